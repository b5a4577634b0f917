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

    /// Adds what the words of a network operator's name and domain say, on top of what is true of every operator.
    pub(crate) fn judge_operator(&self, text: &str, case: &mut Case) {
        self.add(text, "the network operator's name", Source::Asn, 1.0, self.every, case);
    }

    /// Adds what the words of a text say, `share` of it.
    pub(crate) fn judge(&self, text: &str, whose: &str, source: Source, share: f32, case: &mut Case) {
        self.add(text, whose, source, share, [0.0; KINDS.len()], case);
    }

    fn add(&self, text: &str, whose: &str, source: Source, share: f32, base: Weights, case: &mut Case) {
        let mut found = self.words.find(text);
        found.retain(|word| word.word != EVERY);
        let words: Vec<String> = found.iter().map(|word| format!("{:?}", word.word)).collect();
        let statement = if words.is_empty() {
            format!("{whose} says nothing of its business")
        } else {
            format!("{whose} has the words {}", words.join(", "))
        };
        for (index, kind) in KINDS.into_iter().enumerate() {
            let weight = base[index] + found.iter().map(|word| word.says[index]).sum::<f32>();
            if weight != 0.0 {
                case.add(Evidence { source, statement: statement.clone(), kind: Some(kind), weight: weight * share });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let mut case = Case::default();
            words.judge_operator(text, &mut case);
            assert_eq!(case.decide().kind, expected, "{text}");
        }
    }
}
