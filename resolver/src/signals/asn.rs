//! The autonomous system that announces an address: its operator's domain and registered name.

use super::domain_map::{DomainKnowledge, DomainMap, knowledge};
use crate::{
    Asn, Evidence, NetworkKind, Source, Statement,
    decision::{Candidate, Case, Scores},
    names::{operator_name, registrable_domain},
    rules::{OperatorRole, Rules, operator_sizes::Footprint},
};
use quick_cache::sync::Cache;
use std::sync::Arc;

/// At most this many operators are remembered, some 800 bytes each.
const MAX_OPERATORS: usize = 65_536;

/// What is known of an autonomous system.
#[derive(Clone, Copy)]
pub(crate) struct System<'a> {
    /// `None` where the data names an operator without its number.
    pub(crate) number: Option<u32>,
    pub(crate) name: &'a str,
    pub(crate) domain: &'a str,
    /// ISO 3166-1 alpha-2, empty where unknown.
    pub(crate) country: &'a str,
    /// What it announces; asked for only where name and domain leave the answer open.
    pub(crate) footprint: &'a dyn Fn() -> Option<Footprint>,
}

/// The operator of a network, and what it says of everyone in it. It depends on nothing but the record of the network
/// database, so one is kept for every record that was asked for.
#[derive(Debug, Default)]
pub(crate) struct Operator {
    pub(crate) asn: Option<Arc<Asn>>,
    /// Of the network, upper case; empty where unknown.
    pub(crate) country: Arc<str>,
    scores: Scores,
    evidence: Option<Arc<[Evidence]>>,
    candidate: Option<Candidate>,
}

impl Operator {
    /// Adds the weights alone.
    pub(crate) fn score(&self, scores: &mut Scores) {
        scores.add_all(&self.scores);
    }

    /// Adds evidence and candidate.
    pub(crate) fn add_to(&self, case: &mut Case) {
        if let Some(evidence) = &self.evidence {
            case.add_shared(&self.scores, evidence);
        }
        if let Some(candidate) = &self.candidate {
            case.propose(candidate.clone());
        }
    }
}

/// Judges the operator of a network.
pub(crate) fn judge(system: System<'_>, map: &DomainMap, rules: &Rules) -> Operator {
    let asn = system
        .number
        .map(|number| Arc::new(Asn { number, name: system.name.to_owned(), domain: system.domain.to_owned() }));
    let mut operator = Operator { asn, country: system.country.to_ascii_uppercase().into(), ..Operator::default() };
    if system.name.is_empty() && system.domain.is_empty() {
        return operator;
    }
    let domain = own_domain(system, rules);
    let known = domain.as_deref().map(|domain| knowledge(domain, map, rules));
    let candidate = |name: Arc<str>, industry: Option<Arc<str>>, weight: f32| {
        let (domain, source) = (domain.clone(), Source::Asn);
        let mut candidate = Candidate { id: None, name, industry, domain, found_by: None, source, weight };
        candidate.id = Some(candidate.id());
        candidate
    };
    let registered = || operator_name(system.name, domain.as_deref()).into();
    let mut said: Vec<Evidence> = Vec::new();
    let mut say = |source, statement: String, weights: &[(NetworkKind, f32)]| {
        let statement = Statement::shared(statement.into());
        for (kind, weight) in weights {
            operator.scores.add(*kind, *weight);
            said.push(Evidence { source, statement: statement.clone(), kind: Some(*kind), weight: *weight });
        }
    };
    match known {
        Some(DomainKnowledge { kind: Some((kind, source)), is_carrier, owner, statement, .. }) => {
            say(source, format!("network operator: {statement}"), &[(kind.kind, kind.weight)]);
            if kind.kind == NetworkKind::Residential && source == Source::DomainMap {
                // The map calls many hosting firms access providers; where name and size say so clearly, they are right.
                let (statement, weights) = hosting_or_access(system, rules);
                if weights > 0.0 {
                    say(Source::Asn, statement, &[(NetworkKind::Hosting, rules.weights.hosting_in_the_map + weights)]);
                }
            }
            if kind.kind.is_organisation() && !is_carrier {
                let name = owner.map_or_else(registered, |owner| Arc::clone(&owner.name));
                let industry = owner.map(|owner| Arc::clone(&owner.owner_type));
                operator.candidate = Some(candidate(name, industry, kind.weight));
            }
        }
        _ => {
            let (statement, weights) = rules.organisation_words.operator(&format!("{} {}", system.name, system.domain));
            say(Source::Asn, statement, &weights);
            if let Some(footprint) = (system.footprint)() {
                let (statement, weights) = rules.operator_sizes.judge(system.number, &footprint);
                say(Source::Asn, statement, &weights);
            }
            operator.candidate = Some(candidate(registered(), None, rules.weights.unmapped_company));
        }
    }
    operator.evidence = Some(said.into());
    operator
}

/// How much more an operator's words, size and age speak for hosting than for Internet access, and the words.
fn hosting_or_access(system: System<'_>, rules: &Rules) -> (String, f32) {
    let (statement, mut weights) = rules.organisation_words.operator(&format!("{} {}", system.name, system.domain));
    if let Some(footprint) = (system.footprint)() {
        weights.extend(rules.operator_sizes.judge(system.number, &footprint).1);
    }
    let sum = |wanted: NetworkKind| weights.iter().filter(|(kind, _)| *kind == wanted).map(|(_, weight)| weight).sum();
    let (hosting, access): (f32, f32) = (sum(NetworkKind::Hosting), sum(NetworkKind::Residential));
    (statement, hosting - access)
}

/// Operators by the record of the network database, filled as they are asked for.
///
/// A site's visitors come from a few thousand networks, so nearly every address finds its operator here.
pub(crate) struct OperatorCache {
    operators: Cache<u64, Arc<Operator>>,
}

impl Default for OperatorCache {
    fn default() -> Self {
        Self { operators: Cache::new(MAX_OPERATORS) }
    }
}

impl OperatorCache {
    /// The operator under a key, made by `judge` when it isn't there. `None` is never kept.
    pub(crate) fn get(&self, key: Option<u64>, judge: impl FnOnce() -> Operator) -> Arc<Operator> {
        let Some(key) = key else { return Arc::new(judge()) };
        if let Some(known) = self.operators.get(&key) {
            return known;
        }
        let made = Arc::new(judge());
        self.operators.insert(key, Arc::clone(&made));
        made
    }
}

/// The operator's registrable domain, unless it is a platform's that the operator only has an account with.
fn own_domain(system: System<'_>, rules: &Rules) -> Option<Arc<str>> {
    let domain = registrable_domain(system.domain)?;
    match rules.operators.get(&domain).map(|operator| &operator.role) {
        Some(OperatorRole::Borrowed(word)) if !system.name.to_lowercase().contains(word) => None,
        _ => Some(domain),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_company_is_called_by_its_domain_and_not_by_its_network() {
        let rules = Rules::compile().unwrap();
        let mapped = DomainMap::from_csv(b"base_reverse_dns,name,type\napple.com,Apple Inc.,Technology\n").unwrap();
        for (map, name, expected) in [
            (&mapped, "APPLE-ENGINEERING", "Apple"),
            (&DomainMap::default(), "APPLE-ENGINEERING", "Apple"),
            (&DomainMap::default(), "Apple Inc.", "Apple"),
        ] {
            let footprint = &|| None;
            let system = System { number: Some(714), name, domain: "apple.com", country: "US", footprint };
            let candidate = judge(system, map, &rules).candidate.unwrap();
            assert_eq!((&*candidate.name, candidate.domain.as_deref()), (expected, Some("apple.com")), "{name}");
        }
    }
}
