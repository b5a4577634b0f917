//! What is known of a registrable domain: its owner's name and type, our own operator rules, its ending.

use crate::{
    NetworkKind, Source,
    evidence::{DomainFact, DomainStatement},
    names::display_name,
    rules::{OperatorRole, Rules, Table, file::KindWeight},
};
use std::{collections::HashSet, sync::Arc};

/// An upper bound on the size of a domain map: refuses files that were never one.
const MAX_ROWS: usize = 5_000_000;

/// One row of the domain map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DomainOwner {
    /// For people.
    pub(crate) name: Arc<str>,
    /// In the data set's own words.
    pub(crate) owner_type: Arc<str>,
}

/// Registrable domain to owner.
#[derive(Default)]
pub(crate) struct DomainMap {
    owners: Table<Arc<str>, DomainOwner>,
    /// First labels of domains to the one kind that all owners of such a domain have, and how many domains these are.
    labels: Table<Box<str>, (Option<NetworkKind>, usize)>,
}

/// The shortest first label that says whose a domain is, in letters.
const TELLING_LABEL: usize = 4;
/// How strongly a type must speak for a kind to say something of domains with the same first label.
const TELLING_TYPE: f32 = 2.5;

impl DomainMap {
    /// The header that names this form of file.
    pub(crate) const HEADER: &str = "base_reverse_dns,name,type";

    /// Reads comma-separated values under [`Self::HEADER`].
    pub(crate) fn from_csv(bytes: &[u8]) -> Result<Self, String> {
        let mut owners = Table::default();
        let mut types: HashSet<Arc<str>> = HashSet::new();
        let mut reader = csv::Reader::from_reader(bytes);
        for record in reader.records() {
            let record = record.map_err(|error| format!("a damaged domain map: {error}"))?;
            let (Some(domain), Some(name), Some(owner_type)) = (record.get(0), record.get(1), record.get(2)) else {
                return Err("a damaged domain map: a row has fewer than three fields".to_owned());
            };
            if owners.len() >= MAX_ROWS {
                return Err(format!("a domain map of more than {MAX_ROWS} rows"));
            }
            let owner_type = types.get(owner_type).cloned().unwrap_or_else(|| {
                let owner_type: Arc<str> = owner_type.into();
                types.insert(Arc::clone(&owner_type));
                owner_type
            });
            let owner = DomainOwner { name: display_name(name).into(), owner_type };
            owners.insert(domain.to_ascii_lowercase().into(), owner);
        }
        Ok(Self { owners, labels: Table::default() })
    }

    /// Prepares [`Self::same_label`].
    pub(crate) fn index_labels(&mut self, rules: &Rules) {
        self.labels.clear();
        for (domain, owner) in &self.owners {
            let label = first_label(domain);
            if label.len() < TELLING_LABEL {
                continue;
            }
            let of_type = rules.domain_types.get(&*owner.owner_type).filter(|says| says.weight >= TELLING_TYPE);
            let kind = of_type.map(|says| says.kind);
            let known = self.labels.entry(label.into()).or_insert((kind, 0));
            *known = (known.0.filter(|known| Some(*known) == kind), known.1 + 1);
        }
    }

    /// The kind that the owners of all *other* domains with this domain's first label have, where it is one kind.
    pub(crate) fn same_label(&self, domain: &str) -> Option<NetworkKind> {
        let (kind, count) = self.labels.get(first_label(domain)).copied()?;
        kind.filter(|_| count > usize::from(self.owners.contains_key(domain)))
    }

    pub(crate) fn len(&self) -> usize {
        self.owners.len()
    }

    /// The owner of a domain, and the domain as the map holds it.
    pub(crate) fn get(&self, registrable_domain: &str) -> Option<(&Arc<str>, &DomainOwner)> {
        self.owners.get_key_value(registrable_domain)
    }

    /// Name and type of the owner of a domain.
    pub(crate) fn owner(&self, registrable_domain: &str) -> Option<&DomainOwner> {
        self.owners.get(registrable_domain)
    }

    /// Adds the rows of another map; rows that are already there stay.
    pub(crate) fn merge(&mut self, other: Self) {
        for (domain, owner) in other.owners {
            self.owners.entry(domain).or_insert(owner);
        }
    }
}

fn first_label(domain: &str) -> &str {
    domain.split('.').next().unwrap_or(domain)
}

/// What is known of the owner of a registrable domain.
#[derive(Clone)]
pub(crate) struct DomainKnowledge<'a> {
    /// The kind of network its owner runs, with weight and the signal it came from; `None` when nothing is known.
    pub(crate) kind: Option<(KindWeight, Source)>,
    /// Others browse through its networks.
    pub(crate) is_carrier: bool,
    /// Names in this domain are its own staff's, whatever its network carries.
    pub(crate) names_are_own: bool,
    /// Name and type, from the map.
    pub(crate) owner: Option<&'a DomainOwner>,
    /// The domain, and what is known in words.
    pub(crate) statement: DomainStatement,
}

/// Looks a registrable domain up: our own operator rules, then the map, then what its ending is reserved for.
pub(crate) fn knowledge<'a>(domain: &str, map: &'a DomainMap, rules: &Rules) -> DomainKnowledge<'a> {
    let row = map.get(domain);
    let owner = row.map(|(_, owner)| owner);
    let say = |known, shared: Option<&Arc<str>>| DomainStatement {
        domain: shared.map_or_else(|| domain.into(), Arc::clone),
        known,
    };
    if let Some((shared, operator)) = rules.operators.get_key_value(domain)
        && !matches!(operator.role, OperatorRole::Borrowed(_))
    {
        let is_carrier = matches!(operator.role, OperatorRole::Carrier | OperatorRole::Platform);
        let known = if is_carrier { DomainFact::Carries(operator.kind) } else { DomainFact::OwnNetwork };
        let kind = KindWeight { kind: operator.kind, weight: rules.weights.operator_rule };
        return DomainKnowledge {
            kind: Some((kind, Source::OwnRule)),
            is_carrier,
            names_are_own: operator.role != OperatorRole::Carrier,
            owner,
            statement: say(known, Some(shared)),
        };
    }
    let by_suffix = rules.suffix(domain);
    let by_type = row.and_then(|row| rules.domain_types.get(&*row.1.owner_type).map(|kind| (row, kind)));
    match (by_type, by_suffix) {
        (Some(((shared, owner), by_type)), by_suffix) => {
            // A ministry's data centre is still the ministry; but states run access providers under such endings too.
            let by_suffix =
                by_suffix.filter(|_| !matches!(by_type.kind, NetworkKind::Education | NetworkKind::Residential));
            let kind = by_suffix.map_or(*by_type, |(_, suffix)| suffix);
            let known = DomainFact::Belongs {
                name: Arc::clone(&owner.name),
                owner_type: Arc::clone(&owner.owner_type),
                ending: by_suffix.map(|(ending, suffix)| (Arc::clone(ending), suffix.kind)),
            };
            DomainKnowledge {
                kind: Some((kind, Source::DomainMap)),
                is_carrier: !kind.kind.is_organisation(),
                names_are_own: kind.kind.is_organisation(),
                owner: Some(owner),
                statement: say(known, Some(shared)),
            }
        }
        (None, Some((ending, kind))) => DomainKnowledge {
            kind: Some((kind, Source::DomainMap)),
            is_carrier: false,
            names_are_own: true,
            owner,
            statement: say(DomainFact::Ends(Arc::clone(ending), kind.kind), None),
        },
        (None, None) => DomainKnowledge {
            kind: None,
            is_carrier: false,
            names_are_own: false,
            owner,
            statement: say(DomainFact::Nothing, None),
        },
    }
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
