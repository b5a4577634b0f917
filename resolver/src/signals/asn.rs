//! The autonomous system that announces an address: its operator's domain and registered name.

use super::{
    domain_map::{DomainKnowledge, DomainMap, is_organisation, knowledge},
    operator_size::Footprint,
};
use crate::{
    Evidence, NetworkKind, Source,
    decision::{Candidate, Case, Scores},
    names::{display_name, registrable_domain},
    rules::{OperatorRole, Rules},
};
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

/// Log-odds that the operator of a network of which nothing is known is the company at its desks: two in five.
const UNMAPPED_COMPANY: f32 = -0.4;

/// At most this many operators are remembered, some 400 bytes each; then the memory starts anew.
const MAX_JUDGEMENTS: usize = 65_536;

/// What is known of an autonomous system.
#[derive(Clone, Copy)]
pub(crate) struct System<'a> {
    pub(crate) name: &'a str,
    pub(crate) domain: &'a str,
    /// What it announces; asked for only where name and domain leave the answer open.
    pub(crate) footprint: &'a dyn Fn() -> Option<Footprint>,
}

/// One statement and all that it speaks for.
#[derive(Clone, Debug)]
struct Said {
    source: Source,
    statement: String,
    weights: Vec<(NetworkKind, f32)>,
}

/// What the operator of a network says of everyone in it. It depends on nothing but name and domain, so one is kept for
/// every record of the network database that was asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct OperatorJudgement {
    said: Vec<Said>,
    candidate: Option<Candidate>,
}

impl OperatorJudgement {
    /// Adds the weights alone.
    pub(crate) fn score(&self, scores: &mut Scores) {
        for (kind, weight) in self.said.iter().flat_map(|said| &said.weights) {
            scores.add(*kind, *weight);
        }
    }

    /// Adds evidence and candidate.
    pub(crate) fn add_to(&self, case: &mut Case) {
        for Said { source, statement, weights } in &self.said {
            for (kind, weight) in weights {
                let (source, statement) = (*source, statement.clone());
                case.add(Evidence { source, statement, kind: Some(*kind), weight: *weight });
            }
        }
        if let Some(candidate) = &self.candidate {
            case.propose(candidate.clone());
        }
    }
}

/// Judges the operator of a network.
pub(crate) fn judge(system: System<'_>, map: &DomainMap, rules: &Rules) -> OperatorJudgement {
    if system.name.is_empty() && system.domain.is_empty() {
        return OperatorJudgement::default();
    }
    let domain = own_domain(system, rules);
    let known = domain.as_deref().map(|domain| knowledge(domain, map, rules));
    let candidate = |name: &str, industry: Option<&str>, weight: f32| Candidate {
        id: Candidate::id(domain.as_deref(), name),
        name: display_name(name),
        industry: industry.map(str::to_owned),
        domain: domain.clone(),
        source: Source::Asn,
        weight,
    };
    match known {
        Some(DomainKnowledge { kind: Some((kind, source)), is_carrier, owner, statement, .. }) => {
            let is_visitor = is_organisation(kind.kind) && !is_carrier;
            let name = owner.map_or(system.name, |owner| &owner.name);
            let industry = owner.map(|owner| owner.owner_type.as_str());
            OperatorJudgement {
                said: vec![Said {
                    source,
                    statement: format!("network operator: {statement}"),
                    weights: vec![(kind.kind, kind.weight)],
                }],
                candidate: is_visitor.then(|| candidate(name, industry, kind.weight)),
            }
        }
        _ => {
            let (statement, weights) = rules.organisation_words.operator(&format!("{} {}", system.name, system.domain));
            let mut said = vec![Said { source: Source::Asn, statement, weights }];
            if let Some(footprint) = (system.footprint)() {
                let (statement, weights) = rules.operator_sizes.judge(&footprint);
                said.push(Said { source: Source::Asn, statement, weights });
            }
            OperatorJudgement { said, candidate: Some(candidate(system.name, None, UNMAPPED_COMPANY)) }
        }
    }
}

/// Judgements of operators by the record of the network database, filled as they are asked for.
///
/// A site's visitors come from a few thousand networks, so nearly every address finds its operator here.
#[derive(Default)]
pub(crate) struct OperatorCache {
    judgements: RwLock<HashMap<u64, Arc<OperatorJudgement>>>,
}

impl OperatorCache {
    /// The judgement under a key, made by `judge` when it isn't there. `None` is never kept.
    pub(crate) fn get(&self, key: Option<u64>, judge: impl FnOnce() -> OperatorJudgement) -> Arc<OperatorJudgement> {
        let Some(key) = key else { return Arc::new(judge()) };
        if let Some(known) = self.judgements.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Arc::clone(known);
        }
        let made = Arc::new(judge());
        let mut judgements = self.judgements.write().unwrap_or_else(PoisonError::into_inner);
        if judgements.len() >= MAX_JUDGEMENTS {
            judgements.clear();
        }
        judgements.insert(key, Arc::clone(&made));
        made
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
