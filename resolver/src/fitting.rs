//! What `examples/fit_operators.rs` and `cargo xtask eval` need: which rows of the operator tables hold for each operator
//! of the network databases, and what a verdict's evidence would come to with other constants. No part of the library's
//! interface.

use crate::{
    Databases, EvidenceList, NetworkKind, ResolverError, Source,
    decision::Scores,
    rules::{Rules, calibration::Line},
};

/// One autonomous system.
#[derive(Clone, Debug)]
pub struct Operator {
    /// AS number.
    pub number: u32,
    /// Its registered domain; empty where unknown.
    pub domain: String,
    /// The domain map's type of its owner, where the map knows the domain.
    pub owner_type: Option<String>,
    /// The rows that hold: those of `organisation_words.csv` from 0, those of `operator_sizes.csv` from
    /// [`Operators::words`].
    pub rows: Vec<usize>,
}

/// Every autonomous system of the network databases.
#[derive(Clone, Debug)]
pub struct Operators {
    /// How many rows `organisation_words.csv` has.
    pub words: usize,
    /// By number.
    pub systems: Vec<Operator>,
}

/// Reads every autonomous system. Walks the network databases twice: seconds.
///
/// # Errors
/// When a rule file is malformed.
pub fn operators(databases: &Databases) -> Result<Operators, ResolverError> {
    let rules = Rules::compile()?;
    let mut operators = Operators { words: 0, systems: Vec::new() };
    for (number, name, domain) in databases.autonomous_systems() {
        let (words, mut rows) = rules.organisation_words.features(&format!("{name} {domain}"));
        operators.words = words;
        if let Some(footprint) = databases.footprint(number) {
            rows.extend(rules.operator_sizes.traits(Some(number), &footprint).iter().map(|row| words + row));
        }
        let owner_type = databases.domain_map.get(domain).map(|(_, owner)| owner.owner_type.to_string());
        operators.systems.push(Operator { number, domain: domain.to_owned(), owner_type, rows });
    }
    operators.systems.sort_by_key(|system| system.number);
    Ok(operators)
}

fn scores(evidence: &EvidenceList) -> Scores {
    let mut scores = Scores::default();
    for evidence in evidence.iter() {
        if let Some(kind) = evidence.kind {
            scores.add(kind, evidence.weight);
        }
    }
    scores
}

/// The least score that a kind must have to be named (`decision_weights.csv`).
///
/// # Errors
/// When a rule file is malformed.
pub fn least_score() -> Result<f32, ResolverError> {
    Ok(Rules::compile()?.weights.least_score)
}

/// The model's probability that the network is an organisation's own, before `calibration.csv`.
#[must_use]
pub fn organisation_share(evidence: &EvidenceList) -> f32 {
    scores(evidence).organisation()
}

/// The line of `calibration.csv` for a company that a signal named in a network of this kind.
#[must_use]
pub fn calibration_line(signal: Source, kind: NetworkKind, evidence: &EvidenceList) -> Option<&'static str> {
    Line::of(signal, kind, evidence).map(Line::as_str)
}

/// The kind that would win with these weights added, where a kind must have this score at least.
#[must_use]
pub fn winner_with(evidence: &EvidenceList, added: &[(NetworkKind, f32)], least_score: f32) -> NetworkKind {
    let mut scores = scores(evidence);
    for (kind, weight) in added {
        scores.add(*kind, *weight);
    }
    scores.winner(least_score)
}
