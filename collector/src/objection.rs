//! Who is not counted: companies, networks and visitors that objected, on all sites.
//!
//! An objection is remembered as what the event will be told by: a company's domain, a network, or the SHA-256 of a client id,
//! which is never stored itself (its 64 random bits can't be guessed from the hash). What was stored before an objection
//! stays until it is erased.

use beacon::ClientId;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{collections::HashSet, fmt, net::IpAddr};

/// Who objected.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objection {
    /// A company, by its registrable domain.
    Domain(String),
    /// Everybody in a network.
    Network(IpNet),
    /// A visitor, by the SHA-256 of the client id as hexadecimal digits.
    Visitor(String),
}

impl Objection {
    /// Of the company that a domain or host name belongs to; `None` where it has no registrable part.
    #[must_use]
    pub fn of_domain(name: &str) -> Option<Self> {
        let url::Host::Domain(host) = url::Host::parse(name.trim().trim_end_matches('.')).ok()? else { return None };
        psl::domain_str(&host).map(|domain| Self::Domain(domain.to_owned()))
    }

    /// Of a network; the bits beyond its prefix don't count.
    #[must_use]
    pub fn of_network(network: IpNet) -> Self {
        Self::Network(network.trunc())
    }

    /// Of a visitor.
    #[must_use]
    pub fn of_visitor(client: ClientId) -> Self {
        Self::Visitor(digest(client))
    }

    /// What it is, without saying whose: `domain`, `network` or `visitor`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Domain(_) => "domain",
            Self::Network(_) => "network",
            Self::Visitor(_) => "visitor",
        }
    }
}

/// The key under which it is stored.
impl fmt::Display for Objection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(domain) => write!(formatter, "domain:{domain}"),
            Self::Network(network) => write!(formatter, "network:{network}"),
            Self::Visitor(digest) => write!(formatter, "visitor:{digest}"),
        }
    }
}

fn digest(client: ClientId) -> String {
    Sha256::digest(client.to_string()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// All objections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Objections {
    others: HashSet<Objection>,
    networks: Vec<IpNet>,
}

impl Objections {
    /// These objections, each once.
    #[must_use]
    pub fn of(objections: impl IntoIterator<Item = Objection>) -> Self {
        let mut all = Self::default();
        objections.into_iter().for_each(|objection| all.add(objection));
        all
    }

    /// Adds one.
    pub fn add(&mut self, objection: Objection) {
        match objection {
            Objection::Network(network) if !self.networks.contains(&network) => self.networks.push(network),
            Objection::Network(_) => {}
            other => {
                self.others.insert(other);
            }
        }
    }

    /// Takes one out; whether it was there.
    pub fn remove(&mut self, objection: &Objection) -> bool {
        match objection {
            Objection::Network(network) => {
                let before = self.networks.len();
                self.networks.retain(|own| own != network);
                self.networks.len() < before
            }
            other => self.others.remove(other),
        }
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = Objection> {
        self.others.iter().cloned().chain(self.networks.iter().copied().map(Objection::Network))
    }

    /// Whether who sends from an address or with a client id is not counted.
    #[must_use]
    pub fn cover(&self, address: Option<IpAddr>, client: Option<ClientId>) -> bool {
        address.is_some_and(|address| self.networks.iter().any(|network| network.contains(&address)))
            || (!self.others.is_empty()
                && client.is_some_and(|client| self.others.contains(&Objection::of_visitor(client))))
    }

    /// Whether a company is not counted, by its registrable domain.
    #[must_use]
    pub fn cover_company(&self, domain: &str) -> bool {
        !self.others.is_empty() && self.others.contains(&Objection::Domain(domain.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(random: u64) -> ClientId {
        ClientId { random, created_ms: 1_700_000_000_000 }
    }

    #[test]
    fn domains_networks_and_visitors_are_covered_and_no_others() {
        let mut all = Objections::of([
            Objection::of_domain("WWW.Acme.example.").unwrap(),
            Objection::of_network("192.0.2.77/24".parse().unwrap()),
            Objection::of_network("192.0.2.0/24".parse().unwrap()),
            Objection::of_visitor(client(7)),
        ]);
        assert_eq!(all.iter().count(), 3, "each once");
        for (address, random, expected) in
            [("192.0.2.9", 1, true), ("192.0.3.9", 1, false), ("2001:db8::1", 7, true), ("2001:db8::1", 8, false)]
        {
            assert_eq!(all.cover(address.parse().ok(), Some(client(random))), expected, "{address} {random}");
        }
        assert!(!all.cover(None, None));
        assert!(all.cover_company("acme.example") && !all.cover_company("globex.example"));
        assert!(all.remove(&Objection::of_network("192.0.2.1/24".parse().unwrap())));
        assert!(!all.cover("192.0.2.9".parse().ok(), None));
        assert!(!all.remove(&Objection::of_visitor(client(8))));
    }

    #[test]
    fn what_has_no_registrable_domain_is_none() {
        for name in ["", "localhost", "192.0.2.1", "co.uk", "a b.example"] {
            assert_eq!(Objection::of_domain(name), None, "{name}");
        }
    }

    #[test]
    fn a_client_id_is_kept_as_a_hash_alone() {
        let json = serde_json::to_string(&Objection::of_visitor(client(0xab))).unwrap();
        assert!(!json.contains("00000000000000ab") && !json.contains("1700000000000"), "{json}");
        assert_eq!(serde_json::from_str::<Objection>(&json).unwrap(), Objection::of_visitor(client(0xab)));
    }
}
