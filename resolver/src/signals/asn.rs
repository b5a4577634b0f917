//! The autonomous system that announces an address: its operator's domain and registered name.

use super::{
    domain_map::{DomainKnowledge, DomainMap, DomainOwner, knowledge},
    listed_companies::ListedCompanies,
};
use crate::{
    Asn, Evidence, NetworkKind, Source, Statement,
    decision::{Candidate, Case, Scores},
    name_words::{Agreement, NameWords},
    names::{operator_name, registrable_domain},
    rules::{
        OperatorRole, Rules,
        operator_names::OperatorName,
        operator_sizes::{Footprint, KINDS},
    },
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
    /// Whether its network serves homes, by what is known of it.
    pub(crate) fn is_access(&self, least_score: f32) -> bool {
        matches!(self.scores.winner(least_score), NetworkKind::Residential | NetworkKind::Mobile)
    }

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

/// What operators are judged by.
#[derive(Clone, Copy)]
pub(crate) struct Knowledge<'a> {
    pub(crate) map: &'a DomainMap,
    pub(crate) listed: &'a ListedCompanies,
    pub(crate) rules: &'a Rules,
}

/// Judges the operator of a network.
///
/// 1. One of our own rules on its domain settles the matter.
/// 2. Where the map knows the domain's owner, its type counts, and the words, size and age of the operator for a share.
///    Where the owner would be an organisation whose name shares no word with the operator's, the domain is somebody
///    else's, and the map's row says nothing.
/// 3. Else words, size and age decide alone.
pub(crate) fn judge(system: System<'_>, known_by: Knowledge<'_>) -> Operator {
    let Knowledge { map, rules, .. } = known_by;
    let asn = system
        .number
        .map(|number| Arc::new(Asn { number, name: system.name.to_owned(), domain: system.domain.to_owned() }));
    let operator = Operator { asn, country: system.country.to_ascii_uppercase().into(), ..Operator::default() };
    if system.name.is_empty() && system.domain.is_empty() {
        return operator;
    }
    let domain = own_domain(system, rules);
    let known = domain.as_deref().map(|domain| knowledge(domain, map, rules));
    let mut said = Said { operator, evidence: Vec::new(), domain, registered: system.name };
    match known {
        Some(DomainKnowledge { kind: Some((kind, Source::OwnRule)), is_carrier, owner, statement, .. }) => {
            said.say(Source::OwnRule, format!("network operator: {statement}"), &[(kind.kind, kind.weight)]);
            if !is_carrier {
                said.propose(owner, kind.weight);
            }
        }
        Some(DomainKnowledge { kind: Some((kind, _)), owner, statement, .. }) => {
            let sentence = format!("network operator: {statement}");
            if is_somebody_elses(&said, owner, kind.kind, rules) {
                let otherwise = format!("{sentence}; its registered name shares no word with that");
                said.say(Source::DomainMap, otherwise, &[]);
                said.domain = None;
                said.say_traits(system, known_by, 1.0);
                said.propose(None, rules.weights.unmapped_company);
            } else {
                let beside = owner.and_then(|owner| rules.beside_types.get(&*owner.owner_type));
                let mut weights = vec![(kind.kind, kind.weight)];
                weights.extend(beside.map(|beside| (beside.kind, beside.weight)));
                if kind.kind == NetworkKind::Residential {
                    weights.push((NetworkKind::Hosting, rules.weights.hosting_in_the_map));
                }
                said.say(Source::DomainMap, sentence, &weights);
                said.say_traits(system, known_by, rules.weights.words_beside_the_map);
                said.propose(owner, kind.weight);
            }
        }
        _ => {
            said.say_traits(system, known_by, 1.0);
            said.propose(None, rules.weights.unmapped_company);
        }
    }
    said.done(rules.weights.operator_at_most)
}

/// Whether the domain's owner is an organisation that the operator can't be by its name. An ending that only such
/// organisations get is no mistake of a map.
fn is_somebody_elses(said: &Said<'_>, owner: Option<&DomainOwner>, kind: NetworkKind, rules: &Rules) -> bool {
    let (Some(owner), Some(domain)) = (owner, said.domain.as_deref()) else { return false };
    let label = domain.split('.').next().unwrap_or_default();
    let agreement = || NameWords::of(said.registered).agreement(label, Some(&owner.name));
    kind.is_organisation() && rules.suffix(domain).is_none() && agreement() == Agreement::None
}

/// An operator while it is judged.
struct Said<'a> {
    operator: Operator,
    evidence: Vec<Evidence>,
    domain: Option<Arc<str>>,
    registered: &'a str,
}

impl Said<'_> {
    fn say(&mut self, source: Source, statement: String, weights: &[(NetworkKind, f32)]) {
        let statement = Statement::shared(statement.into());
        if weights.is_empty() {
            self.evidence.push(Evidence { source, statement, kind: None, weight: 0.0 });
            return;
        }
        for (kind, weight) in weights {
            self.operator.scores.add(*kind, *weight);
            self.evidence.push(Evidence { source, statement: statement.clone(), kind: Some(*kind), weight: *weight });
        }
    }

    /// What words, size, age and shape of the name say, a share of it.
    fn say_traits(&mut self, system: System<'_>, known_by: Knowledge<'_>, share: f32) {
        let domain = self.domain.clone();
        for (statement, weights) in traits(system, domain.as_deref().unwrap_or_default(), known_by) {
            let weights: Vec<_> = weights.into_iter().map(|(kind, weight)| (kind, weight * share)).collect();
            if !weights.is_empty() {
                self.say(Source::Asn, statement, &weights);
            }
        }
    }

    /// The operator, its weights scaled down where the heaviest sum is more than that.
    fn done(mut self, at_most: f32) -> Operator {
        let heaviest = self.operator.scores.highest();
        let is_rule = self.evidence.iter().any(|evidence| evidence.source == Source::OwnRule);
        if heaviest > at_most && !is_rule {
            let factor = at_most / heaviest;
            self.operator.scores = Scores::default();
            for evidence in &mut self.evidence {
                evidence.weight *= factor;
                if let Some(kind) = evidence.kind {
                    self.operator.scores.add(kind, evidence.weight);
                }
            }
        }
        self.operator.evidence = Some(self.evidence.into());
        self.operator
    }

    fn propose(&mut self, owner: Option<&DomainOwner>, weight: f32) {
        let registered = || operator_name(self.registered, self.domain.as_deref()).into();
        let name = owner.map_or_else(registered, |owner| Arc::clone(&owner.name));
        let industry = owner.map(|owner| Arc::clone(&owner.owner_type));
        let (domain, source) = (self.domain.clone(), Source::Asn);
        let mut candidate = Candidate { id: None, name, industry, domain, found_by: None, source, weight };
        candidate.id = Some(candidate.id());
        self.operator.candidate = Some(candidate);
    }
}

/// Sentences and weights of an operator's words, of its size and age, and of the shape of its name.
fn traits(system: System<'_>, domain: &str, known_by: Knowledge<'_>) -> Vec<(String, Vec<(NetworkKind, f32)>)> {
    let rules = known_by.rules;
    let mut found = vec![rules.organisation_words.operator(&format!("{} {domain}", system.name))];
    let footprint = (system.footprint)();
    if let Some(footprint) = &footprint {
        found.push(rules.operator_sizes.judge(system.number, footprint));
    }
    let shape = rules.operator_names.judge(&shape(system, domain, footprint.as_ref(), known_by));
    let weights = KINDS.into_iter().zip(shape).filter(|(_, weight)| *weight != 0.0).collect();
    found.push(("the shape of the network operator's name and domain".to_owned(), weights));
    found
}

/// What `operator_names.csv` looks at.
pub(crate) fn shape<'a>(
    system: System<'a>,
    domain: &'a str,
    footprint: Option<&Footprint>,
    known_by: Knowledge<'_>,
) -> OperatorName<'a> {
    let words = NameWords::of(system.name);
    OperatorName {
        name: system.name,
        domain,
        trade_words: known_by.rules.organisation_words.features(system.name).1.len(),
        ipv4_addresses: footprint.map_or(0, Footprint::ipv4_addresses),
        is_listed: known_by.listed.has_website(domain),
        is_named_like_listed: known_by.listed.is_named_like_one(&words),
        same_label: known_by.map.same_label(domain),
    }
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
            let candidate =
                judge(system, Knowledge { map, listed: &ListedCompanies::default(), rules: &rules }).candidate.unwrap();
            assert_eq!((&*candidate.name, candidate.domain.as_deref()), (expected, Some("apple.com")), "{name}");
        }
    }
    #[test]
    fn words_size_and_shape_together_say_what_an_operator_is() {
        let rules = Rules::compile().unwrap();
        let footprint = || {
            let mut footprint = Footprint::default();
            footprint.add("192.0.2.0".parse().unwrap(), 24, "");
            Some(footprint)
        };
        for (name, domain, expected) in [
            ("Beispiel Telekom GmbH", "beispiel-telekom.example", NetworkKind::Residential),
            ("EXAMPLE TELECOMUNICACOES LTDA", "example.net.br", NetworkKind::Residential),
            ("Example Cable & Broadband", "examplecable.net", NetworkKind::Residential),
            ("Example Hosting Ltd", "example-hosting.com", NetworkKind::Hosting),
            ("Example Data Center Servers", "exampledatacenter.com", NetworkKind::Hosting),
            ("Example Savings Bank", "examplebank.com", NetworkKind::Business),
            ("Example Mutual Insurance Company", "exampleinsurance.com", NetworkKind::Business),
            ("University of Example", "example-university.org", NetworkKind::Education),
            ("Ministerio de Ejemplo", "ministerio.example", NetworkKind::Government),
            // A legal form says nothing: with the words of a trade or without, these are companies.
            ("Example Foods AB", "examplefoods.com", NetworkKind::Business),
            ("Example Automotive GmbH", "example-automotive.com", NetworkKind::Business),
        ] {
            let system = System { number: Some(30_000), name, domain, country: "", footprint: &footprint };
            let (map, listed) = (DomainMap::default(), ListedCompanies::default());
            let operator = judge(system, Knowledge { map: &map, listed: &listed, rules: &rules });
            assert_eq!(operator.scores.winner(rules.weights.least_score), expected, "{name} {domain}");
        }
    }
}
