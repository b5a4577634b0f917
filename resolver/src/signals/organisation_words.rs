//! Words in an operator's registered name and domain, for operators that no map knows: `telecom`, `hosting`, `bank`.

use crate::{
    Evidence, NetworkKind, ResolverError, Source,
    decision::Case,
    rules::{Row, rows},
    words::WordList,
};
use geoip_data::rules::ORGANISATION_WORDS;

/// The kinds that words speak for, in the order of the rule file's columns.
const KINDS: [NetworkKind; 5] = [
    NetworkKind::Residential,
    NetworkKind::Hosting,
    NetworkKind::Business,
    NetworkKind::Education,
    NetworkKind::Government,
];
/// The row that holds what is true of every operator.
const EVERY: &str = "*";

type Weights = [f32; KINDS.len()];

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
        self.read(&text.to_lowercase(), "the network operator's name", 1.0, self.every)
    }

    /// Adds what the words of a text say, `share` of it.
    pub(crate) fn judge(&self, text: &str, whose: &str, source: Source, share: f32, case: &mut Case) {
        let (statement, weights) = self.read(text, whose, share, [0.0; KINDS.len()]);
        for (kind, weight) in weights {
            case.add(Evidence { source, statement: statement.clone(), kind: Some(kind), weight });
        }
    }

    fn read(&self, text: &str, whose: &str, share: f32, base: Weights) -> (String, Vec<(NetworkKind, f32)>) {
        let mut found = self.words.find(text);
        found.retain(|word| word.word != EVERY);
        let words: Vec<String> = found.iter().map(|word| format!("{:?}", word.word)).collect();
        let statement = if words.is_empty() {
            format!("{whose} says nothing of its business")
        } else {
            format!("{whose} has the words {}", words.join(", "))
        };
        let weights = KINDS
            .into_iter()
            .zip(base)
            .enumerate()
            .map(|(index, (kind, base))| {
                (kind, (base + found.iter().map(|word| word.says[index]).sum::<f32>()) * share)
            })
            .filter(|(_, weight)| *weight != 0.0);
        (statement, weights.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::Scores;

    #[test]
    fn an_operators_name_says_what_it_does() {
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
            let mut scores = Scores::default();
            words.operator(text).1.into_iter().for_each(|(kind, weight)| scores.add(kind, weight));
            assert_eq!(scores.winner(), expected, "{text}");
        }
    }
}
