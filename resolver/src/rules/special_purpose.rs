//! IANA's special-purpose registries: addresses that are not on the public Internet.

use crate::{Evidence, NetworkKind, Source, Statement};
use ipnet::IpNet;
use std::{net::IpAddr, sync::Arc};

/// Nothing outweighs a registry.
const WEIGHT: f32 = 20.0;

/// The registries' networks, few enough to be walked.
#[derive(Default)]
pub(crate) struct SpecialPurpose {
    /// First and last address.
    v4: Vec<(u32, u32, Arc<str>)>,
    v6: Vec<(u128, u128, Arc<str>)>,
}

impl SpecialPurpose {
    pub(crate) fn add(&mut self, network: IpNet, name: &str, document: &str) {
        let statement = format!("the address is reserved: {name} ({document})").into();
        match network {
            IpNet::V4(network) => self.v4.push((network.network().into(), network.broadcast().into(), statement)),
            IpNet::V6(network) => self.v6.push((network.network().into(), network.broadcast().into(), statement)),
        }
    }

    /// Why the address is reserved, if it is.
    pub(crate) fn statement(&self, ip: IpAddr) -> Option<&Arc<str>> {
        fn find<'a, T: Ord>(networks: &'a [(T, T, Arc<str>)], ip: &T) -> Option<&'a Arc<str>> {
            networks.iter().find(|(first, last, _)| first <= ip && ip <= last).map(|(_, _, statement)| statement)
        }
        match ip {
            IpAddr::V4(ip) => find(&self.v4, &ip.into()),
            IpAddr::V6(ip) => find(&self.v6, &ip.into()),
        }
    }

    /// Final evidence when the address is reserved.
    pub(crate) fn evidence(&self, ip: IpAddr) -> Option<Evidence> {
        let statement = self.statement(ip)?;
        Some(Evidence {
            source: Source::SpecialPurpose,
            statement: Statement::shared(Arc::clone(statement)),
            kind: Some(NetworkKind::Reserved),
            weight: WEIGHT,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::Rules;

    #[test]
    fn reserved_networks_are_known_at_their_edges() {
        let rules = Rules::compile().unwrap();
        for (ip, reserved) in [
            ("9.255.255.255", false),
            ("10.0.0.0", true),
            ("10.255.255.255", true),
            ("11.0.0.0", false),
            ("100.63.255.255", false),
            ("100.64.0.0", true),
            ("127.0.0.1", true),
            ("169.254.1.1", true),
            ("172.15.255.255", false),
            ("172.31.255.255", true),
            ("192.0.2.1", true),
            ("192.168.1.1", true),
            ("198.20.0.0", false),
            ("203.0.113.9", true),
            ("224.0.0.1", true),
            ("255.255.255.255", true),
            ("8.8.8.8", false),
            ("::", true),
            ("::1", true),
            ("fe80::1", true),
            ("fd12::1", true),
            ("2001:db8::1", true),
            ("3fff:fff::1", true),
            ("2001:200::1", false),
            ("2a00:1450::1", false),
            ("2606:4700::1", false),
        ] {
            assert_eq!(rules.special_purpose.evidence(ip.parse().unwrap()).is_some(), reserved, "{ip}");
        }
    }
}
