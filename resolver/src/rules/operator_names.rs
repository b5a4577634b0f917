//! The shape of an operator's registered name and domain, and what else is known of its domain: a shop calls itself by one
//! word and has that word's domain, a person by two words without a legal form, a hosting firm likes new endings.
//!
//! No trait looks at a particular word; those are `organisation_words.csv`. Whether a name has a legal form says something,
//! which one says nothing.

use super::{
    file::rows,
    operator_sizes::{KINDS, Weights, read_weights},
};
use crate::{
    NetworkKind, ResolverError,
    name_words::{Agreement, NameWords},
};
use geoip_data::rules::OPERATOR_NAMES;
use smallvec::SmallVec;
use std::collections::HashMap;

/// The longest network of a person, in IPv4 addresses.
const PERSON_ADDRESSES: u64 = 256;
/// Bounds of the lengths of a domain's first label, in letters.
const LABEL_LENGTHS: [usize; 5] = [3, 4, 6, 9, 13];
/// Two-letter endings that are sold as words and stand for no country.
const WORD_ENDINGS: [&str; 4] = ["cc", "io", "me", "tv"];

/// What the data say of an operator.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OperatorName<'a> {
    pub(crate) name: &'a str,
    /// Registrable, in lower case; empty where unknown.
    pub(crate) domain: &'a str,
    /// How many words of the trade the name has (`organisation_words.csv`).
    pub(crate) trade_words: usize,
    pub(crate) ipv4_addresses: u64,
    /// The domain is the website of a company that a list of companies has.
    pub(crate) is_listed: bool,
    /// The name begins with the name of such a company.
    pub(crate) is_named_like_listed: bool,
    /// What the map says of all domains that differ from this one in their ending only, where it says one thing.
    pub(crate) same_label: Option<NetworkKind>,
}

/// The compiled rule file.
pub(crate) struct OperatorNames {
    /// In the order of the file.
    weights: Vec<Weights>,
    places: HashMap<String, usize>,
}

impl OperatorNames {
    pub(crate) fn compile() -> Result<Self, ResolverError> {
        let mut names = Self { weights: Vec::new(), places: HashMap::new() };
        for row in rows(OPERATOR_NAMES, KINDS.len() + 1)? {
            if names.places.insert(row.text(0).to_owned(), names.weights.len()).is_some() {
                return Err(row.error(format!("{:?} is there twice", row.text(0))));
            }
            names.weights.push(read_weights(&row)?);
        }
        Ok(names)
    }

    /// The rows of the file that hold for an operator.
    pub(crate) fn traits(&self, operator: &OperatorName<'_>) -> SmallVec<[usize; 12]> {
        traits(operator).iter().filter_map(|name| self.places.get(name.as_str()).copied()).collect()
    }

    /// What they say together.
    pub(crate) fn judge(&self, operator: &OperatorName<'_>) -> Weights {
        let mut sums = [0.0; KINDS.len()];
        for place in self.traits(operator) {
            for (sum, weight) in sums.iter_mut().zip(self.weights.get(place).copied().unwrap_or_default()) {
                *sum += weight;
            }
        }
        sums
    }
}

/// The names of the traits that an operator has.
fn traits(operator: &OperatorName<'_>) -> SmallVec<[String; 12]> {
    let words = NameWords::of(operator.name);
    let mut found: SmallVec<[String; 12]> = SmallVec::new();
    let mut add = |name: &str| found.push(name.to_owned());
    let own = words.own().len();
    match own {
        0 => {}
        1..=3 => add(["one-word", "two-words", "three-words"][own - 1]),
        _ => add("more-words"),
    }
    if !words.has_legal_form() {
        add("no-legal-form");
        if matches!(own, 2 | 3) && operator.trade_words == 0 && operator.ipv4_addresses <= PERSON_ADDRESSES {
            add("like-a-person");
        }
    }
    if operator.domain.is_empty() {
        add("no-domain");
        return found;
    }
    let (label, ending) = operator.domain.split_once('.').unwrap_or((operator.domain, ""));
    match LABEL_LENGTHS.iter().find(|most| label.len() <= **most) {
        Some(most) => add(&format!("label-up-to-{most}")),
        None => add("label-up-to-any"),
    }
    let last = ending.rsplit('.').next().unwrap_or_default();
    add(match last {
        "com" => "ending-com",
        "net" => "ending-net",
        "org" => "ending-org",
        _ if last.len() == 2 && !WORD_ENDINGS.contains(&last) => "ending-country",
        _ => "ending-other",
    });
    if label.bytes().any(|byte| byte.is_ascii_digit()) {
        add("label-with-digits");
    }
    if label.contains('-') {
        add("label-with-hyphen");
    }
    if words.agreement(label, None) == Agreement::None {
        add("named-otherwise");
    }
    if operator.is_listed {
        add("listed-company");
    }
    if operator.is_named_like_listed {
        add("named-like-listed-company");
    }
    if let Some(kind) = operator.same_label {
        add(&format!("same-label-{kind}"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_its_domain_have_traits() {
        let operator = |name, domain| OperatorName {
            name,
            domain,
            trade_words: 0,
            ipv4_addresses: 256,
            is_listed: false,
            is_named_like_listed: false,
            same_label: None,
        };
        for (operator, expected) in [
            (operator("Festo Management SE", "festo.com"), vec!["two-words", "label-up-to-6", "ending-com"]),
            (
                operator("Jane Roe", "nodes-24.io"),
                vec![
                    "two-words",
                    "no-legal-form",
                    "like-a-person",
                    "label-up-to-9",
                    "ending-other",
                    "label-with-digits",
                    "label-with-hyphen",
                    "named-otherwise",
                ],
            ),
            (operator("Example Ltd", ""), vec!["one-word", "no-domain"]),
            (
                OperatorName {
                    same_label: Some(NetworkKind::Business),
                    is_listed: true,
                    ..operator("Example", "example.fr")
                },
                vec![
                    "one-word",
                    "no-legal-form",
                    "label-up-to-9",
                    "ending-country",
                    "listed-company",
                    "same-label-business",
                ],
            ),
        ] {
            assert_eq!(traits(&operator).to_vec(), expected, "{operator:?}");
        }
    }

    #[test]
    fn every_row_of_the_file_is_a_trait_that_something_has() {
        let names = OperatorNames::compile().unwrap();
        assert!(names.places.keys().all(|name| !name.is_empty()));
        assert_eq!(names.places.len(), names.weights.len());
    }
}
