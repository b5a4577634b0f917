//! Words in an operator's registered name and domain, for operators that no map knows: `telecom`, `hosting`, `bank`.

use super::{
    file::{Row, rows},
    operator_sizes::KINDS,
    words::{Word, WordList},
};
use crate::{NetworkKind, ResolverError};
use geoip_data::rules::ORGANISATION_WORDS;
use smallvec::SmallVec;
use std::sync::Arc;

/// The row that holds what is true of every operator.
const EVERY: &str = "*";

type Weights = [f32; KINDS.len()];

/// The words that are shown for a domain.
type FirstWords = [Option<Arc<str>>; 3];

/// The compiled rule file.
pub(crate) struct OrganisationWords {
    words: WordList<Weights>,
    every: Weights,
}

impl OrganisationWords {
    pub(crate) fn compile() -> Result<Self, ResolverError> {
        let read = |row: &Row| {
            let mut weights = [0.0; KINDS.len()];
            for (index, weight) in weights.iter_mut().enumerate() {
                *weight = row.number(index + 2)?;
            }
            Ok(weights)
        };
        let mut every = [0.0; KINDS.len()];
        for row in rows(ORGANISATION_WORDS, KINDS.len() + 2)?.iter().filter(|row| row.text(0) == EVERY) {
            every = read(row)?;
        }
        Ok(Self { words: WordList::compile(ORGANISATION_WORDS, KINDS.len() + 2, read)?, every })
    }

    /// What the words of a network operator's name and domain say, on top of what is true of every operator.
    pub(crate) fn operator(&self, text: &str) -> (String, Vec<(NetworkKind, f32)>) {
        let found = self.find(&text.to_lowercase());
        let words: Vec<String> = found.iter().map(|word| format!("{:?}", word.word)).collect();
        let statement = if words.is_empty() {
            "the network operator's name says nothing of its business".to_owned()
        } else {
            format!("the network operator's name has the words {}", words.join(", "))
        };
        (statement, weights(&found, self.every, 1.0).collect())
    }

    /// How many rows the word list has, and which of them a text has.
    pub(crate) fn features(&self, text: &str) -> (usize, Vec<usize>) {
        let found = self.find(&text.to_lowercase());
        (self.words.len(), found.iter().filter_map(|word| self.words.place(word)).collect())
    }

    /// How many rows the word list has.
    pub(crate) fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether a text has one of these words of the list.
    pub(crate) fn has_one_of(&self, text: &str, words: &[&str]) -> bool {
        self.find(&text.to_lowercase()).iter().any(|word| words.contains(&&*word.word))
    }

    /// What the words of a registrable domain say, `share` of it, and the first of them.
    pub(crate) fn domain(
        &self,
        domain: &str,
        share: f32,
    ) -> Option<(FirstWords, impl Iterator<Item = (NetworkKind, f32)>)> {
        let found = self.find(domain);
        let word = |index: usize| found.get(index).map(|word| Arc::clone(&word.word));
        (!found.is_empty()).then(|| ([word(0), word(1), word(2)], weights(&found, [0.0; KINDS.len()], share)))
    }

    fn find(&self, text: &str) -> SmallVec<[&Word<Weights>; 8]> {
        let mut found = self.words.find(text);
        found.retain(|word| &*word.word != EVERY);
        found
    }
}

/// The sums of `base` and what the words weigh, without zeros.
fn weights(found: &[&Word<Weights>], base: Weights, share: f32) -> impl Iterator<Item = (NetworkKind, f32)> + use<> {
    let mut sums = base;
    for word in found {
        for (sum, weight) in sums.iter_mut().zip(word.says) {
            *sum += weight;
        }
    }
    KINDS.into_iter().zip(sums).map(move |(kind, sum)| (kind, sum * share)).filter(|(_, weight)| *weight != 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is true of every operator is left out: it is weighed against size and shape, which a name alone has not
    /// (`signals::asn` tests them together).
    #[test]
    fn the_words_of_an_operators_name_say_what_it_does() {
        let words = OrganisationWords::compile().unwrap();
        for (text, expected) in [
            ("Beispiel Telekom GmbH beispiel-telekom.example", NetworkKind::Residential),
            ("EXAMPLE TELECOMUNICACOES LTDA example.net.br", NetworkKind::Residential),
            ("Example Cable & Broadband examplecable.net", NetworkKind::Residential),
            ("Example Hosting Ltd example-hosting.com", NetworkKind::Hosting),
            ("Example Data Center Servers exampledatacenter.com", NetworkKind::Hosting),
            ("Example Savings Bank examplebank.com", NetworkKind::Business),
            ("Example Mutual Insurance Company exampleinsurance.com", NetworkKind::Business),
            ("University of Example example-university.org", NetworkKind::Education),
            ("Ministerio de Ejemplo ministerio.example", NetworkKind::Government),
        ] {
            let found = words.find(&text.to_lowercase());
            let strongest = weights(&found, [0.0; KINDS.len()], 1.0).max_by(|a, b| a.1.total_cmp(&b.1));
            assert_eq!(strongest.map(|(kind, _)| kind), Some(expected), "{text}");
        }
    }
}
