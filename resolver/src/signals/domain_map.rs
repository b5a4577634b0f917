//! What is known of a registrable domain: its owner's name and type, our own operator rules, its ending.

use crate::{
    NetworkKind, Source,
    rules::{KindWeight, OperatorRole, Rules},
};
use std::collections::HashMap;

/// An upper bound on the size of a domain map: refuses files that were never one.
const MAX_ROWS: usize = 5_000_000;

/// One row of the domain map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DomainOwner {
    pub(crate) name: String,
    /// In the data set's own words.
    pub(crate) owner_type: String,
}

/// Registrable domain to owner.
#[derive(Default)]
pub(crate) struct DomainMap {
    owners: HashMap<String, DomainOwner>,
}

impl DomainMap {
    /// The header that names this form of file.
    pub(crate) const HEADER: &str = "base_reverse_dns,name,type";

    /// Reads comma-separated values under [`Self::HEADER`].
    pub(crate) fn from_csv(bytes: &[u8]) -> Result<Self, String> {
        let mut owners = HashMap::new();
        let mut reader = csv::Reader::from_reader(bytes);
        for record in reader.records() {
            let record = record.map_err(|error| format!("a damaged domain map: {error}"))?;
            let (Some(domain), Some(name), Some(owner_type)) = (record.get(0), record.get(1), record.get(2)) else {
                return Err("a damaged domain map: a row has fewer than three fields".to_owned());
            };
            if owners.len() >= MAX_ROWS {
                return Err(format!("a domain map of more than {MAX_ROWS} rows"));
            }
            let owner = DomainOwner { name: name.to_owned(), owner_type: owner_type.to_owned() };
            owners.insert(domain.to_ascii_lowercase(), owner);
        }
        Ok(Self { owners })
    }

    pub(crate) fn len(&self) -> usize {
        self.owners.len()
    }

    pub(crate) fn get(&self, registrable_domain: &str) -> Option<&DomainOwner> {
        self.owners.get(registrable_domain)
    }

    /// Adds the rows of another map; rows that are already there stay.
    pub(crate) fn merge(&mut self, other: Self) {
        for (domain, owner) in other.owners {
            self.owners.entry(domain).or_insert(owner);
        }
    }
}

/// What is known of the owner of a registrable domain.
#[derive(Clone, Debug)]
pub(crate) struct DomainKnowledge<'a> {
    /// The kind of network its owner runs, with weight and the signal it came from; `None` when nothing is known.
    pub(crate) kind: Option<(KindWeight, Source)>,
    /// Others browse through its networks.
    pub(crate) is_carrier: bool,
    /// Names in this domain are its own staff's, whatever its network carries.
    pub(crate) names_are_own: bool,
    /// Name and type, from the map.
    pub(crate) owner: Option<&'a DomainOwner>,
    /// The statement for people.
    pub(crate) statement: String,
}

/// The weight of our own operator rules.
const OPERATOR_WEIGHT: f32 = 5.0;

/// Looks a registrable domain up: our own operator rules, then the map, then what its ending is reserved for.
pub(crate) fn knowledge<'a>(domain: &str, map: &'a DomainMap, rules: &Rules) -> DomainKnowledge<'a> {
    let owner = map.get(domain);
    if let Some(operator) = rules.operators.get(domain)
        && !matches!(operator.role, OperatorRole::Borrowed(_))
    {
        let is_carrier = matches!(operator.role, OperatorRole::Carrier | OperatorRole::Platform);
        let statement = if is_carrier {
            format!("{domain} carries other people's traffic ({})", operator.kind)
        } else {
            format!("{domain} is the organisation's own network")
        };
        let kind = KindWeight { kind: operator.kind, weight: OPERATOR_WEIGHT };
        let names_are_own = operator.role != OperatorRole::Carrier;
        return DomainKnowledge { kind: Some((kind, Source::OwnRule)), is_carrier, names_are_own, owner, statement };
    }
    let by_suffix = rules.suffix(domain);
    let by_type = owner.and_then(|owner| rules.domain_types.get(&owner.owner_type));
    match (by_type, by_suffix) {
        (Some(by_type), by_suffix) => {
            let name = owner.map_or("", |owner| owner.name.as_str());
            let owner_type = owner.map_or("", |owner| owner.owner_type.as_str());
            let mut kind = *by_type;
            let mut statement = format!("{domain} belongs to {name} ({owner_type})");
            // A ministry's data centre is still the ministry; but states run access providers under such endings too.
            if let Some((ending, suffix)) = by_suffix
                && !matches!(kind.kind, NetworkKind::Education | NetworkKind::Residential)
            {
                kind = suffix;
                statement.push_str(&format!(", and .{ending} is for {} only", suffix.kind));
            }
            DomainKnowledge {
                kind: Some((kind, Source::DomainMap)),
                is_carrier: !is_organisation(kind.kind),
                names_are_own: is_organisation(kind.kind),
                owner,
                statement,
            }
        }
        (None, Some((ending, kind))) => DomainKnowledge {
            kind: Some((kind, Source::DomainMap)),
            is_carrier: false,
            names_are_own: true,
            owner,
            statement: format!("{domain} ends in .{ending}, which is for {} only", kind.kind),
        },
        (None, None) => {
            let statement = format!("nothing is known of {domain}");
            DomainKnowledge { kind: None, is_carrier: false, names_are_own: false, owner, statement }
        }
    }
}

/// Whether a network of this kind can be a visiting company's.
pub(crate) const fn is_organisation(kind: NetworkKind) -> bool {
    matches!(kind, NetworkKind::Business | NetworkKind::Education | NetworkKind::Government)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operator_rules_beat_the_map_and_the_map_beats_nothing() {
        let rules = Rules::compile().unwrap();
        let map = DomainMap::from_csv(
            b"base_reverse_dns,name,type\nzscaler.com,Zscaler,SaaS\nexample-isp.net,Example,ISP\nACME.com,\"Acme, Inc.\",Manufacturing\n",
        )
        .unwrap();
        for (domain, kind, carrier) in [
            ("zscaler.com", Some(NetworkKind::Gateway), true),
            ("example-isp.net", Some(NetworkKind::Residential), true),
            ("acme.com", Some(NetworkKind::Business), false),
            ("dfn.de", Some(NetworkKind::Education), true),
            ("nasa.gov", Some(NetworkKind::Government), false),
            ("example.org", None, false),
        ] {
            let known = knowledge(domain, &map, &rules);
            assert_eq!((known.kind.map(|(kind, _)| kind.kind), known.is_carrier), (kind, carrier), "{domain}");
        }
    }

    #[test]
    fn a_map_with_short_rows_is_refused() {
        assert!(DomainMap::from_csv(b"base_reverse_dns,name,type\nacme.com,Acme\n").is_err());
    }
}
