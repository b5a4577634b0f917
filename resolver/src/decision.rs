//! The decision: which network kind, which company, how sure.
//!
//! An explicit additive model. Every signal adds evidence: a network kind it speaks for and a weight in log-odds (natural
//! logarithm). The score of a kind is the sum of the weights that speak for it. Nothing else enters: no rule here looks at
//! a particular provider, name or address; those are rows of the rule files, each with its weight.
//!
//! - The kind with the highest score wins; a tie goes against the company. Below `least-score` the answer is `Unknown`.
//! - The probability of a kind is its share of `exp(score)` over all kinds that any evidence spoke for, with a constant 1
//!   for "something that no signal saw": one signal of weight 0 is a coin's toss, one of 3 is 95 %.
//! - A company is named only when the winning kind is one that a company's own network can have (business, education,
//!   government) and a signal proposed one. Of several candidates the one with the heaviest signal is taken: a confirmed
//!   name in an organisation's own domain outweighs the operator that carries it. Carriers are never proposed.
//! - A candidate found by an alternative domain of its organisation stands for that organisation: its main domain, name and
//!   id come from the company profiles, where there are any. What the owner's rules name stays as it is named.
//! - The company's confidence is the probability that the network is an organisation's, read off `calibration.csv`, because
//!   signals are not as independent as a sum takes them to be; and split between the candidates by the same rule.
//!
//! docs/decisions/0003-resolver.md says where the weights come from.

use crate::{
    Company, CompanyId, Confidence, Evidence, EvidenceList, NetworkKind, Profiles, Source, Statement,
    rules::{Rules, calibration::Line},
};
use smallvec::SmallVec;
use std::sync::Arc;

/// An organisation that may be the visitor.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Candidate {
    /// Registrable domain, where known.
    pub(crate) domain: Option<Arc<str>>,
    /// The domain by which it was found, where that is another one.
    pub(crate) found_by: Option<Arc<str>>,
    pub(crate) name: Arc<str>,
    pub(crate) industry: Option<Arc<str>>,
    /// Where it is known already; else it follows from domain or name, which costs a hash.
    pub(crate) id: Option<CompanyId>,
    pub(crate) source: Source,
    /// Log-odds of the signal that proposed it.
    pub(crate) weight: f32,
}

impl Candidate {
    /// The stable key of a company with this domain, or with this name where no domain is known.
    pub(crate) fn id(&self) -> CompanyId {
        let of_domain = || self.domain.as_deref().map(CompanyId::of_domain);
        self.id.or_else(of_domain).unwrap_or_else(|| CompanyId::of_name(&self.name))
    }

    /// Takes main domain and name from the organisation's profile where this was found by an alternative domain of it; gives
    /// what there is to say of that.
    fn join(&mut self, profiles: &Profiles) -> Option<Evidence> {
        if self.source == Source::OwnRule {
            return None;
        }
        let profile = profiles.company_of_alternative(self.id())?;
        let main: Arc<str> = profile.domain.into();
        let found_by = self.domain.replace(Arc::clone(&main))?;
        let statement = Statement::shared(format!("{found_by} is another domain of {main}'s organisation").into());
        self.found_by = Some(found_by);
        self.id = None;
        if !profile.name.is_empty() {
            self.name = profile.name.into();
        }
        Some(Evidence { source: Source::CompanyProfiles, statement, kind: None, weight: 0.0 })
    }
}

/// The sums of weights by kind: all that a network kind is decided by, and small enough to live on the stack.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scores {
    /// In the order of [`NetworkKind::ALL`].
    sums: [f32; NetworkKind::ALL.len()],
    /// The bits of those kinds that evidence spoke for or against.
    spoken: u16,
}

impl Scores {
    pub(crate) fn add(&mut self, kind: NetworkKind, weight: f32) {
        if kind != NetworkKind::Unknown
            && let Some(sum) = self.sums.get_mut(kind as usize)
        {
            *sum += weight;
            self.spoken |= 1 << kind as u16;
        }
    }

    /// Adds the sums of another.
    pub(crate) fn add_all(&mut self, other: &Self) {
        for (sum, other) in self.sums.iter_mut().zip(other.sums) {
            *sum += other;
        }
        self.spoken |= other.spoken;
    }

    /// The kinds that any evidence spoke for or against.
    fn spoken(&self) -> impl Iterator<Item = (NetworkKind, f32)> + '_ {
        let spoken = NetworkKind::ALL.into_iter().zip(self.sums);
        spoken.filter(|(kind, _)| self.spoken & (1 << *kind as u16) != 0)
    }

    /// The kind with the highest score; of equal ones the one that no company's network has.
    pub(crate) fn winner(&self, least_score: f32) -> NetworkKind {
        let mut best: Option<(NetworkKind, f32)> = None;
        for (kind, score) in self.spoken() {
            let wins = best.is_none_or(|(other, highest)| {
                score > highest || (score == highest && other.is_organisation() && !kind.is_organisation())
            });
            if wins {
                best = Some((kind, score));
            }
        }
        best.filter(|(_, score)| *score >= least_score).map_or(NetworkKind::Unknown, |(kind, _)| kind)
    }

    /// The highest sum of a kind.
    pub(crate) fn highest(&self) -> f32 {
        self.spoken().map(|(_, score)| score).fold(0.0, f32::max)
    }

    /// The probability that the network is an organisation's own.
    pub(crate) fn organisation(&self) -> f32 {
        let sum = |counts: fn(NetworkKind) -> bool| {
            self.spoken().filter(|(kind, _)| counts(*kind)).map(|(_, score)| score.exp()).sum::<f32>()
        };
        sum(NetworkKind::is_organisation) / (1.0 + sum(|_| true))
    }
}

/// Everything that was found out about one address.
#[derive(Debug, Default)]
pub(crate) struct Case {
    scores: Scores,
    evidence: EvidenceList,
    candidates: SmallVec<[Candidate; 2]>,
    is_final: bool,
}

/// What the case comes to.
#[derive(Debug)]
pub(crate) struct Decision {
    pub(crate) kind: NetworkKind,
    pub(crate) company: Option<Company>,
    pub(crate) is_final: bool,
    pub(crate) evidence: EvidenceList,
}

impl Case {
    /// Adds evidence.
    pub(crate) fn add(&mut self, evidence: Evidence) {
        if let Some(kind) = evidence.kind {
            self.scores.add(kind, evidence.weight);
        }
        self.evidence.push(evidence);
    }

    /// Adds evidence that no later signal can overturn.
    pub(crate) fn add_final(&mut self, evidence: Evidence) {
        self.add(evidence);
        self.is_final = true;
    }

    /// Adds what others share: evidence with the sums of its weights.
    pub(crate) fn add_shared(&mut self, scores: &Scores, evidence: &Arc<[Evidence]>) {
        self.scores.add_all(scores);
        self.evidence.share(Arc::clone(evidence));
    }

    /// Proposes a company.
    pub(crate) fn propose(&mut self, candidate: Candidate) {
        self.candidates.push(candidate);
    }

    /// Weighs everything.
    pub(crate) fn decide(mut self, rules: &Rules, profiles: Option<&Profiles>) -> Decision {
        let winner = self.scores.winner(rules.weights.least_score);
        let company = if winner.is_organisation() {
            if let Some(profiles) = profiles {
                let joined: SmallVec<[Evidence; 2]> =
                    self.candidates.iter_mut().filter_map(|candidate| candidate.join(profiles)).collect();
                joined.into_iter().for_each(|evidence| self.add(evidence));
            }
            self.company(winner, rules)
        } else {
            None
        };
        // Verdicts are remembered by the ten thousand.
        self.evidence.shrink();
        Decision { kind: winner, company, is_final: self.is_final, evidence: self.evidence }
    }

    fn company(&self, kind: NetworkKind, rules: &Rules) -> Option<Company> {
        // Of equally heavy candidates the first proposed stays.
        let best = self.candidates.iter().rev().max_by(|a, b| a.weight.total_cmp(&b.weight))?;
        let of_best: f32 = self
            .candidates
            .iter()
            .filter(|candidate| candidate.domain == best.domain)
            .map(|candidate| candidate.weight.exp())
            .sum();
        let of_all: f32 = self.candidates.iter().map(|candidate| candidate.weight.exp()).sum();
        let line = Line::of(best.source, kind, &self.evidence);
        let right = rules.calibration.right(line, self.scores.organisation());
        Some(Company {
            id: best.id(),
            name: best.name.clone(),
            domain: best.domain.clone(),
            found_by: best.found_by.clone(),
            industry: best.industry.clone(),
            source: best.source,
            confidence: Confidence::new(right * (of_best / of_all)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Statement;

    fn evidence(kind: NetworkKind, weight: f32) -> Evidence {
        Evidence { source: Source::Asn, statement: Statement::fixed(""), kind: Some(kind), weight }
    }

    fn candidate(domain: &str, weight: f32) -> Candidate {
        Candidate {
            domain: Some(domain.into()),
            found_by: None,
            name: domain.into(),
            industry: None,
            id: None,
            source: Source::OwnRule,
            weight,
        }
    }

    #[test]
    fn nothing_known_is_unknown() {
        let decision = Case::default().decide(&Rules::compile().unwrap(), None);
        assert_eq!(decision.kind, NetworkKind::Unknown);
        assert_eq!(decision.company, None);
        assert!(!decision.is_final);
    }

    #[test]
    fn the_heaviest_sum_wins_and_ties_go_against_a_company() {
        for (weights, expected) in [
            (vec![(NetworkKind::Business, 2.0), (NetworkKind::Residential, 1.0)], NetworkKind::Business),
            (vec![(NetworkKind::Business, 2.0), (NetworkKind::Residential, 2.0)], NetworkKind::Residential),
            (
                vec![(NetworkKind::Business, 2.0), (NetworkKind::Residential, 1.5), (NetworkKind::Residential, 1.0)],
                NetworkKind::Residential,
            ),
            (vec![(NetworkKind::Business, -0.4)], NetworkKind::Business),
            (vec![(NetworkKind::Business, -2.0)], NetworkKind::Unknown),
        ] {
            let mut case = Case::default();
            for (kind, weight) in &weights {
                case.add(evidence(*kind, *weight));
            }
            assert_eq!(case.decide(&Rules::compile().unwrap(), None).kind, expected, "{weights:?}");
        }
    }

    #[test]
    fn a_company_needs_an_organisation_network() {
        let mut case = Case::default();
        case.add(evidence(NetworkKind::Residential, 3.0));
        case.propose(candidate("isp.net", 3.0));
        assert_eq!(case.decide(&Rules::compile().unwrap(), None).company, None);
    }

    #[test]
    fn the_heaviest_candidate_is_the_company() {
        let mut case = Case::default();
        case.add(evidence(NetworkKind::Business, 6.0));
        case.propose(candidate("carrier-of-one.com", 2.0));
        case.propose(candidate("acme.com", 6.0));
        let company = case.decide(&Rules::compile().unwrap(), None).company.unwrap();
        assert_eq!(company.domain.as_deref(), Some("acme.com"));
        assert!(company.confidence.get() > 0.9);
    }

    #[test]
    fn confidence_grows_with_weight() {
        let sure = |weight| {
            let mut case = Case::default();
            case.add(evidence(NetworkKind::Business, weight));
            case.propose(candidate("acme.com", weight));
            case.decide(&Rules::compile().unwrap(), None).company.unwrap().confidence.get()
        };
        assert!((sure(0.0) - 0.5).abs() < 1e-6);
        assert!(sure(-0.4) < 0.5);
        assert!(sure(1.0) < sure(3.0));
    }
}
