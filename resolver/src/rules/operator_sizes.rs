//! The size and spread of an operator's network, for operators that no map knows: a shop announces 256 addresses in one
//! country, an access provider thousands, a hosting firm some in five countries.

use super::file::{Row, rows};
use crate::{NetworkKind, ResolverError};
use geoip_data::rules::OPERATOR_SIZES;
use std::net::IpAddr;

/// The kinds that traits speak for, in the order of the rule file's columns.
const KINDS: [NetworkKind; 5] = [
    NetworkKind::Residential,
    NetworkKind::Hosting,
    NetworkKind::Business,
    NetworkKind::Education,
    NetworkKind::Government,
];
/// The rows of the rule file on IPv4, each with the most addresses it holds for.
const BY_IPV4: [(&str, u64); 6] = [
    ("no-ipv4", 0),
    ("ipv4-up-to-256", 256),
    ("ipv4-up-to-1024", 1024),
    ("ipv4-up-to-4096", 4096),
    ("ipv4-up-to-32768", 32_768),
    ("ipv4-more", u64::MAX),
];
const IPV6: &str = "ipv6";
const TWO_COUNTRIES: &str = "two-countries";
const MORE_COUNTRIES: &str = "more-countries";

type Weights = [f32; KINDS.len()];

/// What an autonomous system announces, as the network databases have it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Footprint {
    ipv4_addresses: u64,
    has_ipv6: bool,
    /// The first three, enough to tell one, two and more.
    countries: [[u8; 2]; 3],
}

impl Footprint {
    /// Adds a network: any address of it, its prefix length and its country, empty where unknown.
    pub(crate) fn add(&mut self, address: IpAddr, prefix_length: u8, country: &str) {
        match address {
            IpAddr::V4(_) => {
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

    fn countries(&self) -> usize {
        self.countries.iter().filter(|country| **country != [0; 2]).count()
    }
}

/// The compiled rule file.
pub(crate) struct OperatorSizes {
    by_ipv4: [Weights; BY_IPV4.len()],
    ipv6: Weights,
    two_countries: Weights,
    more_countries: Weights,
}

impl OperatorSizes {
    pub(crate) fn compile() -> Result<Self, ResolverError> {
        let rows = rows(OPERATOR_SIZES, KINDS.len() + 1)?;
        let find = |name: &str| -> Result<Weights, ResolverError> {
            let missing = || ResolverError::Rules {
                file: OPERATOR_SIZES.name,
                line: 0,
                reason: format!("there is no row {name}"),
            };
            let row: &Row = rows.iter().find(|row| row.text(0) == name).ok_or_else(missing)?;
            let mut weights = [0.0; KINDS.len()];
            for (index, weight) in weights.iter_mut().enumerate() {
                *weight = row.number(index + 1)?;
            }
            Ok(weights)
        };
        let mut by_ipv4 = [[0.0; KINDS.len()]; BY_IPV4.len()];
        for (weights, (name, _)) in by_ipv4.iter_mut().zip(BY_IPV4) {
            *weights = find(name)?;
        }
        Ok(Self {
            by_ipv4,
            ipv6: find(IPV6)?,
            two_countries: find(TWO_COUNTRIES)?,
            more_countries: find(MORE_COUNTRIES)?,
        })
    }

    /// What a footprint says, and the sentence for people.
    pub(crate) fn judge(&self, footprint: &Footprint) -> (String, Vec<(NetworkKind, f32)>) {
        let by_ipv4 = BY_IPV4.iter().zip(self.by_ipv4).find(|((_, most), _)| footprint.ipv4_addresses <= *most);
        let traits = [
            by_ipv4.map(|(_, weights)| weights),
            footprint.has_ipv6.then_some(self.ipv6),
            (footprint.countries() == 2).then_some(self.two_countries),
            (footprint.countries() > 2).then_some(self.more_countries),
        ];
        let weights = KINDS
            .into_iter()
            .enumerate()
            .map(|(index, kind)| (kind, traits.iter().flatten().map(|weights| weights[index]).sum::<f32>()));
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
            assert_eq!(sizes.judge(&footprint).0, statement);
        }
    }

    #[test]
    fn a_small_network_speaks_for_a_business_and_a_large_one_against() {
        let sizes = OperatorSizes::compile().unwrap();
        let business = |length| {
            let mut footprint = Footprint::default();
            footprint.add("5.0.0.0".parse().unwrap(), length, "DE");
            let weights = sizes.judge(&footprint).1;
            weights.iter().find(|(kind, _)| *kind == NetworkKind::Business).map_or(0.0, |(_, weight)| *weight)
        };
        assert!(business(24) > 0.0);
        assert!(business(24) > business(20));
        assert!(business(14) < 0.0);
    }
}
