//! The size, spread, country and age of an operator's network: a shop announces 256 addresses in one country, an access
//! provider thousands, a hosting firm some in five countries, leased from everywhere.

use super::file::{Row, rows};
use crate::{NetworkKind, ResolverError};
use geoip_data::rules::OPERATOR_SIZES;
use smallvec::SmallVec;
use std::{collections::HashMap, net::IpAddr};

/// The kinds that traits speak for, in the order of the rule file's columns.
pub(crate) const KINDS: [NetworkKind; 5] = [
    NetworkKind::Residential,
    NetworkKind::Hosting,
    NetworkKind::Business,
    NetworkKind::Education,
    NetworkKind::Government,
];
/// How traits are named in the file; the numbers are upper bounds, and the first row that holds counts.
const IPV4_UP_TO: &str = "ipv4-up-to-";
const ASN_UP_TO: &str = "asn-up-to-";
const COUNTRY: &str = "country-";
const FIRST_BYTES_UP_TO: &str = "first-bytes-up-to-";
const IPV6: &str = "ipv6";
const TWO_COUNTRIES: &str = "two-countries";
const MORE_COUNTRIES: &str = "more-countries";

/// One weight for each of [`KINDS`], log-odds.
pub(crate) type Weights = [f32; KINDS.len()];

/// The weights of a row whose first column is a name.
pub(super) fn read_weights(row: &Row) -> Result<Weights, ResolverError> {
    let mut weights = [0.0; KINDS.len()];
    for (index, weight) in weights.iter_mut().enumerate() {
        *weight = row.number(index + 1)?;
    }
    Ok(weights)
}

/// What an autonomous system announces, as the network databases have it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Footprint {
    ipv4_addresses: u64,
    has_ipv6: bool,
    /// The first three, enough to tell one, two and more.
    countries: [[u8; 2]; 3],
    /// Which first bytes IPv4 addresses have, a bit each: who leases addresses has them from everywhere.
    first_bytes: [u64; 4],
}

impl Footprint {
    /// Adds a network: any address of it, its prefix length and its country, empty where unknown.
    pub(crate) fn add(&mut self, address: IpAddr, prefix_length: u8, country: &str) {
        match address {
            IpAddr::V4(address) => {
                let first = address.octets()[0];
                if let Some(bits) = self.first_bytes.get_mut(usize::from(first / 64)) {
                    *bits |= 1 << (first % 64);
                }
                let addresses = 1u64 << (32 - prefix_length.min(32));
                self.ipv4_addresses = self.ipv4_addresses.saturating_add(addresses);
            }
            IpAddr::V6(_) => self.has_ipv6 = true,
        }
        if let Ok(country) = <[u8; 2]>::try_from(country.as_bytes())
            && !self.countries.contains(&country)
            && let Some(free) = self.countries.iter_mut().find(|known| **known == [0; 2])
        {
            *free = country;
        }
    }

    /// How many IPv4 addresses it has.
    pub(crate) const fn ipv4_addresses(&self) -> u64 {
        self.ipv4_addresses
    }

    /// How many different first bytes its IPv4 addresses have.
    fn first_bytes(&self) -> u64 {
        self.first_bytes.iter().map(|bits| u64::from(bits.count_ones())).sum()
    }

    fn countries(&self) -> usize {
        self.countries.iter().filter(|country| **country != [0; 2]).count()
    }
}

/// The compiled rule file.
pub(crate) struct OperatorSizes {
    /// In the order of the file.
    weights: Vec<Weights>,
    by_ipv4: Vec<(u64, usize)>,
    by_number: Vec<(u64, usize)>,
    by_first_bytes: Vec<(u64, usize)>,
    by_country: HashMap<[u8; 2], usize>,
    ipv6: Option<usize>,
    two_countries: Option<usize>,
    more_countries: Option<usize>,
}

impl OperatorSizes {
    pub(crate) fn compile() -> Result<Self, ResolverError> {
        let mut sizes = Self {
            weights: Vec::new(),
            by_ipv4: Vec::new(),
            by_number: Vec::new(),
            by_first_bytes: Vec::new(),
            by_country: HashMap::new(),
            ipv6: None,
            two_countries: None,
            more_countries: None,
        };
        for row in rows(OPERATOR_SIZES, KINDS.len() + 1)? {
            sizes.add(&row)?;
        }
        sizes.by_ipv4.sort_unstable();
        sizes.by_number.sort_unstable();
        sizes.by_first_bytes.sort_unstable();
        Ok(sizes)
    }

    fn add(&mut self, row: &Row) -> Result<(), ResolverError> {
        let weights = read_weights(row)?;
        let place = self.weights.len();
        self.weights.push(weights);
        let name = row.text(0);
        let bound = |text: &str| match text {
            "any" => Ok(u64::MAX),
            _ => text.parse().map_err(|_| row.error(format!("{text:?} is neither a number nor any"))),
        };
        if let Some(text) = name.strip_prefix(IPV4_UP_TO) {
            self.by_ipv4.push((bound(text)?, place));
        } else if let Some(text) = name.strip_prefix(ASN_UP_TO) {
            self.by_number.push((bound(text)?, place));
        } else if let Some(text) = name.strip_prefix(FIRST_BYTES_UP_TO) {
            self.by_first_bytes.push((bound(text)?, place));
        } else if let Some(text) = name.strip_prefix(COUNTRY) {
            let country = text.to_ascii_uppercase();
            let country = country.as_bytes().try_into().map_err(|_| row.error(format!("{text:?} is no country")))?;
            self.by_country.insert(country, place);
        } else {
            match name {
                IPV6 => self.ipv6 = Some(place),
                TWO_COUNTRIES => self.two_countries = Some(place),
                MORE_COUNTRIES => self.more_countries = Some(place),
                other => return Err(row.error(format!("{other:?} is no trait"))),
            }
        }
        Ok(())
    }

    /// How many rows the file has.
    pub(crate) fn len(&self) -> usize {
        self.weights.len()
    }

    /// The rows of the file that hold for an operator.
    pub(crate) fn traits(&self, number: Option<u32>, footprint: &Footprint) -> SmallVec<[usize; 8]> {
        let first =
            |rows: &[(u64, usize)], value: u64| rows.iter().find(|(most, _)| value <= *most).map(|(_, place)| *place);
        let only = (footprint.countries() == 1).then(|| footprint.countries[0]);
        [
            first(&self.by_ipv4, footprint.ipv4_addresses),
            number.and_then(|number| first(&self.by_number, u64::from(number))),
            first(&self.by_first_bytes, footprint.first_bytes()),
            only.and_then(|country| self.by_country.get(&country).copied()),
            self.ipv6.filter(|_| footprint.has_ipv6),
            self.two_countries.filter(|_| footprint.countries() == 2),
            self.more_countries.filter(|_| footprint.countries() > 2),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// What number and footprint say, and the sentence for people.
    pub(crate) fn judge(&self, number: Option<u32>, footprint: &Footprint) -> (String, Vec<(NetworkKind, f32)>) {
        let traits = self.traits(number, footprint);
        let held = || traits.iter().filter_map(|place| self.weights.get(*place));
        let weights = KINDS
            .into_iter()
            .enumerate()
            .map(|(index, kind)| (kind, held().map(|weights| weights[index]).sum::<f32>()));
        let countries = ["no known country", "one country", "two countries", "more than two countries"];
        let statement = format!(
            "the network operator announces {} IPv4 addresses{} in {}",
            footprint.ipv4_addresses,
            if footprint.has_ipv6 { " and IPv6" } else { "" },
            countries.get(footprint.countries()).copied().unwrap_or_default(),
        );
        (statement, weights.filter(|(_, weight)| *weight != 0.0).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_footprint_counts_addresses_and_countries() {
        let sizes = OperatorSizes::compile().unwrap();
        let mut footprint = Footprint::default();
        for (network, length, country, statement) in [
            ("5.0.0.0", 24, "DE", "the network operator announces 256 IPv4 addresses in one country"),
            ("5.0.1.0", 24, "DE", "the network operator announces 512 IPv4 addresses in one country"),
            ("2a00::", 32, "FR", "the network operator announces 512 IPv4 addresses and IPv6 in two countries"),
            ("6.0.0.0", 8, "", "the network operator announces 16777728 IPv4 addresses and IPv6 in two countries"),
            (
                "2a01::",
                32,
                "IT",
                "the network operator announces 16777728 IPv4 addresses and IPv6 in more than two countries",
            ),
            (
                "2a02::",
                32,
                "ES",
                "the network operator announces 16777728 IPv4 addresses and IPv6 in more than two countries",
            ),
        ] {
            footprint.add(network.parse().unwrap(), length, country);
            assert_eq!(sizes.judge(None, &footprint).0, statement);
        }
    }

    #[test]
    fn a_small_network_speaks_for_a_business_and_a_large_one_of_many_parts_against() {
        let sizes = OperatorSizes::compile().unwrap();
        let business = |networks: &[&str], length| {
            let mut footprint = Footprint::default();
            for network in networks {
                footprint.add(network.parse().unwrap(), length, "");
            }
            let weights = sizes.judge(None, &footprint).1;
            weights.iter().find(|(kind, _)| *kind == NetworkKind::Business).map_or(0.0, |(_, weight)| *weight)
        };
        let one = ["5.0.0.0"];
        let many = ["5.0.0.0", "31.0.0.0", "46.0.0.0", "62.0.0.0", "77.0.0.0", "80.0.0.0", "91.0.0.0", "185.0.0.0"];
        assert!(business(&one, 24) > 0.0);
        assert!(business(&one, 24) > business(&one, 20));
        // Large companies of the early Internet hold one large network; providers collect theirs over the years.
        assert!(business(&one, 20) >= business(&one, 14));
        assert!(business(&many, 14) < 0.0);
    }
}
