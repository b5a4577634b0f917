//! Rows of lists: which columns mean what, and what a row says.

use crate::{NetworkKind, names::registrable_domain};
use ipnet::{IpNet, Ipv4Net, Ipv4Subnets, Ipv6Net, Ipv6Subnets};
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Column names by what they mean, as publishers and exports write them; letters only, in lower case.
const NETWORK: &[&str] = &["network", "cidr", "prefix", "subnet", "iprange", "range", "ip", "block", "inetnum"];
const START: &[&str] =
    &["start", "startip", "ipstart", "rangestart", "ipfrom", "from", "first", "firstip", "startaddress"];
const END: &[&str] = &["end", "endip", "ipend", "rangeend", "ipto", "to", "last", "lastip", "endaddress"];
const ORGANIZATION: &[&str] = &[
    "organization",
    "organisation",
    "company",
    "companyname",
    "name",
    "org",
    "orgname",
    "owner",
    "asorganization",
    "autonomoussystemorganization",
    "asname",
    "isp",
];
const DOMAIN: &[&str] = &["domain", "companydomain", "website", "url", "asdomain", "homepage"];
const KIND: &[&str] = &["kind", "networkkind", "type", "companytype", "usertype"];

/// Longest name of an organisation, in bytes; longer ones are cut.
const MAX_NAME_BYTES: usize = 500;
/// A prefix this short is a mistake: nobody's network is a sixteenth of IPv4 (`/4`), or as much of IPv6's unicast space.
const SHORTEST_PREFIX: (u8, u8) = (5, 12);

/// Why a row was left out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// There is neither a network nor a first and last address.
    #[error("no network: write it as 192.0.2.0/24, as one address, as FIRST-LAST or in two columns")]
    NoNetwork,
    /// There is something else in its place.
    #[error("{0:?} is no network")]
    Network(String),
    /// The last address is before the first, or of the other IP version.
    #[error("the range ends before it starts")]
    Backwards,
    /// It covers so much that it must be a mistake.
    #[error("{0} is too wide to be one organisation's")]
    TooWide(String),
    /// There is neither a name nor a domain.
    #[error("no organisation: neither a name nor a domain")]
    NoOrganization,
    /// The line is no JSON object.
    #[error("not a JSON object: {0}")]
    Json(String),
    /// The row's text is no UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
}

/// What a row says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkRow {
    pub(super) networks: Networks,
    /// The organisation's name; empty where only its domain is known.
    pub(super) name: String,
    /// Its registrable domain; empty where unknown.
    pub(super) domain: String,
    /// A word of [`NetworkKind`]; empty where unknown.
    pub(super) kind: String,
}

/// The networks of a row: one, or those that a range comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Networks {
    One(IpNet),
    V4(Ipv4Addr, Ipv4Addr),
    V6(Ipv6Addr, Ipv6Addr),
}

impl Networks {
    /// Calls `each` with first address and prefix length in 128 bits, IPv4 below 2³².
    pub(super) fn for_each<E>(&self, each: &mut impl FnMut(u128, u8) -> Result<(), E>) -> Result<(), E> {
        let mut v4 = |network: Ipv4Net| each(u128::from(u32::from(network.network())), network.prefix_len() + 96);
        match *self {
            Self::One(IpNet::V4(network)) => v4(network),
            Self::V4(first, last) => Ipv4Subnets::new(first, last, 0).try_for_each(v4),
            Self::One(IpNet::V6(network)) => each(network.network().into(), network.prefix_len()),
            Self::V6(first, last) => Ipv6Subnets::new(first, last, 0)
                .try_for_each(|network: Ipv6Net| each(network.network().into(), network.prefix_len())),
        }
    }

    fn of_text(text: &str) -> Result<Self, RowError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(RowError::NoNetwork);
        }
        if let Ok(network) = text.parse::<IpNet>() {
            return Self::of_network(network);
        }
        if let Some(ip) = address(text) {
            return Self::of_network(ip.into());
        }
        match text.split_once('-') {
            Some((first, last)) => Self::of_range(first, last),
            None => Err(RowError::Network(text.chars().take(60).collect())),
        }
    }

    fn of_network(network: IpNet) -> Result<Self, RowError> {
        let network = match network {
            // ::ffff:192.0.2.0/120 is 192.0.2.0/24.
            IpNet::V6(v6) if v6.prefix_len() >= 96 => match v6.network().to_ipv4_mapped() {
                Some(v4) => Ipv4Net::new(v4, v6.prefix_len() - 96).map_or(network, IpNet::V4),
                None => network,
            },
            _ => network,
        };
        let (is_too_wide, holds_ipv4) = match network {
            IpNet::V4(v4) => (v4.prefix_len() < SHORTEST_PREFIX.0, false),
            // The tree has IPv4 under ::/96.
            IpNet::V6(v6) => (v6.prefix_len() < SHORTEST_PREFIX.1, u128::from(v6.network()) >> 32 == 0),
        };
        if is_too_wide || holds_ipv4 {
            Err(RowError::TooWide(network.to_string()))
        } else {
            Ok(Self::One(network.trunc()))
        }
    }

    fn of_range(first: &str, last: &str) -> Result<Self, RowError> {
        let read = |text: &str| address(text.trim()).ok_or_else(|| RowError::Network(text.chars().take(60).collect()));
        match (read(first)?.to_canonical(), read(last)?.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(last)) if first <= last => {
                let too_wide = u32::from(last) - u32::from(first) >= 1 << (32 - SHORTEST_PREFIX.0);
                if too_wide { Err(RowError::TooWide(format!("{first}-{last}"))) } else { Ok(Self::V4(first, last)) }
            }
            (IpAddr::V6(first), IpAddr::V6(last)) if first <= last => {
                let too_wide = u128::from(last) - u128::from(first) >= 1 << (128 - SHORTEST_PREFIX.1);
                let holds_ipv4 = u128::from(first) >> 32 == 0;
                if too_wide || holds_ipv4 {
                    Err(RowError::TooWide(format!("{first}-{last}")))
                } else {
                    Ok(Self::V6(first, last))
                }
            }
            _ => Err(RowError::Backwards),
        }
    }
}

/// An address in its usual form, or as the decimal number that some exports use.
fn address(text: &str) -> Option<IpAddr> {
    text.parse().ok().or_else(|| {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number: u128 = text.parse().ok()?;
        Some(
            u32::try_from(number)
                .map_or_else(|_| Ipv6Addr::from(number).into(), |number| Ipv4Addr::from(number).into()),
        )
    })
}

/// Which columns mean what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldNames {
    delimiter: u8,
    network: Option<usize>,
    range: Option<(usize, usize)>,
    organization: Option<usize>,
    domain: Option<usize>,
    kind: Option<usize>,
}

impl FieldNames {
    /// Reads a header line.
    ///
    /// # Errors
    /// A sentence that says which columns are missing and what they may be called.
    pub fn of_header(line: &[u8]) -> Result<Self, String> {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_start_matches(['\u{feff}', '#']).trim();
        let delimiter = [',', ';', '\t', '|']
            .into_iter()
            .max_by_key(|delimiter| (line.matches(*delimiter).count(), *delimiter == ','))
            .unwrap_or(',');
        let columns: Vec<String> = line.split(delimiter).map(letters).collect();
        let find = |names: &[&str]| names.iter().find_map(|name| columns.iter().position(|column| column == name));
        let names = Self {
            delimiter: delimiter as u8,
            network: find(NETWORK),
            range: find(START).zip(find(END)),
            organization: find(ORGANIZATION),
            domain: find(DOMAIN),
            kind: find(KIND),
        };
        let shown: String = line.chars().take(120).collect();
        if names.network.is_none() && names.range.is_none() {
            return Err(format!("its first line {shown:?} names no column `network`, nor `start` and `end`"));
        }
        if names.organization.is_none() && names.domain.is_none() {
            return Err(format!("its first line {shown:?} names no column `organization` or `domain`"));
        }
        Ok(names)
    }

    pub(super) const fn delimiter(&self) -> u8 {
        self.delimiter
    }

    pub(super) fn row(&self, record: &csv::ByteRecord) -> Result<NetworkRow, RowError> {
        let text = |column: Option<usize>| match column.and_then(|column| record.get(column)) {
            Some(bytes) => std::str::from_utf8(bytes).map_err(|_| RowError::NotUtf8),
            None => Ok(""),
        };
        let networks = match (text(self.network)?, self.range) {
            ("", Some((start, end))) => Networks::of_range(text(Some(start))?, text(Some(end))?),
            (network, _) => Networks::of_text(network),
        }?;
        organization(networks, text(self.organization)?, text(self.domain)?, text(self.kind)?)
    }
}

fn letters(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphabetic).collect::<String>().to_ascii_lowercase()
}

fn organization(networks: Networks, name: &str, domain: &str, kind: &str) -> Result<NetworkRow, RowError> {
    let mut name = name.trim();
    while name.len() > MAX_NAME_BYTES {
        let end = name.char_indices().map(|(index, _)| index).take_while(|index| *index <= MAX_NAME_BYTES).last();
        name = name[..end.unwrap_or(0)].trim_end();
    }
    let domain = domain_of(domain);
    if name.is_empty() && domain.is_empty() {
        return Err(RowError::NoOrganization);
    }
    Ok(NetworkRow { networks, name: name.to_owned(), domain, kind: kind_of(kind).to_owned() })
}

/// The registrable domain of a domain, host or URL; empty when there is none.
pub(crate) fn domain_of(text: &str) -> String {
    let text = text.trim();
    let host = text.split_once("://").map_or(text, |(_, rest)| rest);
    let host = host.split(['/', '?', '#', ':']).next().unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or_default();
    if host.parse::<IpAddr>().is_ok() {
        String::new()
    } else {
        registrable_domain(host).map(|domain| domain.to_string()).unwrap_or_default()
    }
}

/// Our word for a publisher's word; empty when it is none.
fn kind_of(text: &str) -> &'static str {
    let kind = match text.trim().to_ascii_lowercase().as_str() {
        "isp" | "consumer" | "broadband" | "household" => NetworkKind::Residential,
        "cellular" => NetworkKind::Mobile,
        "company" | "enterprise" | "corporate" | "commercial" => NetworkKind::Business,
        "cloud" | "datacenter" | "content_delivery_network" | "cdn" => NetworkKind::Hosting,
        "school" | "college" | "university" => NetworkKind::Education,
        other => match NetworkKind::ALL.into_iter().find(|kind| kind.as_str() == other) {
            Some(NetworkKind::Reserved | NetworkKind::Unknown) | None => return "",
            Some(kind) => kind,
        },
    };
    kind.as_str()
}

/// Reads a line of NDJSON.
pub(crate) fn row_of_json(line: &[u8]) -> Result<NetworkRow, RowError> {
    let value: Value = serde_json::from_slice(line).map_err(|error| RowError::Json(error.to_string()))?;
    let fields = Fields::of(&value).ok_or_else(|| RowError::Json("it is something else".to_owned()))?;
    let networks = match (fields.find(NETWORK), fields.find(START), fields.find(END)) {
        (Some(network), _, _) => Networks::of_text(&network),
        (None, Some(first), Some(last)) => Networks::of_range(&first, &last),
        _ => Err(RowError::NoNetwork),
    }?;
    fields.row(networks)
}

/// Reads a record of another database.
pub(super) fn row_of_record(ip: IpAddr, prefix: u8, value: Option<&Value>) -> Result<NetworkRow, RowError> {
    let fields = value.and_then(Fields::of).ok_or(RowError::NoOrganization)?;
    let network = IpNet::new(ip, prefix).map_err(|_| RowError::Network(ip.to_string()))?;
    // Whether it names an organisation comes first: a database without one is no wide network.
    let row = fields.row(Networks::One(network))?;
    Networks::of_network(network).map(|networks| NetworkRow { networks, ..row })
}

/// The texts of a JSON object; those of objects inside it too, under their own names and with the outer one before.
struct Fields<'a>(Vec<(String, &'a Value)>);

impl<'a> Fields<'a> {
    fn of(value: &'a Value) -> Option<Self> {
        let mut fields = Vec::new();
        for (name, value) in value.as_object()? {
            match value {
                Value::Object(inner) => {
                    let name = letters(name);
                    fields.extend(inner.iter().map(|(key, value)| (format!("{name}{}", letters(key)), value)));
                    if name == "company" || name == "traits" {
                        fields.extend(inner.iter().map(|(key, value)| (letters(key), value)));
                    }
                }
                _ => fields.insert(0, (letters(name), value)),
            }
        }
        Some(Self(fields))
    }

    fn find(&self, names: &[&str]) -> Option<String> {
        let text = |value: &Value| match value {
            Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        names
            .iter()
            .find_map(|name| self.0.iter().filter(|(field, _)| field == name).find_map(|(_, value)| text(value)))
    }

    fn row(&self, networks: Networks) -> Result<NetworkRow, RowError> {
        let text = |names| self.find(names).unwrap_or_default();
        organization(networks, &text(ORGANIZATION), &text(DOMAIN), &text(KIND))
    }
}
