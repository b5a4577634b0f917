//! The autonomous system that announces an address: its operator's domain and registered name.

use super::domain_map::{DomainKnowledge, DomainMap, is_organisation, knowledge};
use crate::{
    Evidence, Source,
    decision::{Candidate, Case},
    names::registrable_domain,
    rules::{OperatorRole, Rules},
};

/// Log-odds that the operator of a network of which nothing is known is the company at its desks: two in five.
const UNMAPPED_COMPANY: f32 = -0.4;

/// What is known of an autonomous system.
#[derive(Clone, Copy, Debug)]
pub(crate) struct System<'a> {
    pub(crate) name: &'a str,
    pub(crate) domain: &'a str,
}

/// Adds what the operator of the network says.
pub(crate) fn judge(system: System<'_>, map: &DomainMap, rules: &Rules, case: &mut Case) {
    if system.name.is_empty() && system.domain.is_empty() {
        return;
    }
    let domain = own_domain(system, rules);
    let known = domain.as_deref().map(|domain| knowledge(domain, map, rules));
    match known {
        Some(DomainKnowledge { kind: Some((kind, source)), is_carrier, owner, statement, .. }) => {
            case.add(Evidence {
                source,
                statement: format!("network operator: {statement}"),
                kind: Some(kind.kind),
                weight: kind.weight,
            });
            if is_organisation(kind.kind) && !is_carrier {
                case.propose(Candidate {
                    name: owner.map_or(system.name, |owner| &owner.name).to_owned(),
                    industry: owner.map(|owner| owner.owner_type.clone()),
                    domain,
                    source: Source::Asn,
                    weight: kind.weight,
                });
            }
        }
        _ => {
            let text = format!("{} {}", system.name, system.domain);
            rules.organisation_words.judge_operator(&text, case);
            case.propose(Candidate {
                name: system.name.to_owned(),
                industry: None,
                domain,
                source: Source::Asn,
                weight: UNMAPPED_COMPANY,
            });
        }
    }
}

/// The operator's registrable domain, unless it is a platform's that the operator only has an account with.
fn own_domain(system: System<'_>, rules: &Rules) -> Option<String> {
    let domain = registrable_domain(system.domain)?;
    match rules.operators.get(&domain).map(|operator| &operator.role) {
        Some(OperatorRole::Borrowed(word)) if !system.name.to_lowercase().contains(word) => None,
        _ => Some(domain),
    }
}
