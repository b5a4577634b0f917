//! Our own rule files (`geoip-data/rules/`), compiled once when a resolver is made.
//!
//! Tables only: what a table says of an address, a name or an operator is weighed in `signals/`, which imports this
//! folder and never the other way round.

pub(crate) mod calibration;
pub(crate) mod database_values;
pub(crate) mod file;
pub(crate) mod operator_names;
pub(crate) mod operator_sizes;
mod organisation_words;
mod special_purpose;
mod suffixes;
pub(crate) mod weights;
mod words;

use self::{
    calibration::Calibration,
    database_values::DatabaseValues,
    file::{KindWeight, rows},
    operator_names::OperatorNames,
    operator_sizes::OperatorSizes,
    organisation_words::OrganisationWords,
    special_purpose::SpecialPurpose,
    suffixes::SuffixRules,
    weights::Weights,
    words::WordList,
};
use crate::{NetworkKind, ResolverError};
use geoip_data::rules;
use quick_cache::DefaultHashBuilder;
use std::{collections::HashMap, sync::Arc};

/// A table that is filled once from a file and then only asked: quick to ask, with a random seed all the same.
pub(crate) type Table<K, V> = HashMap<K, V, DefaultHashBuilder>;

/// How an operator stands to those who browse through its network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OperatorRole {
    /// Others browse through it: never the visiting company.
    Carrier,
    /// As a carrier, but names in this domain are its own staff's.
    Platform,
    /// The network is the organisation's own.
    Owner,
    /// A platform that small networks name as their domain; theirs only when the network's name holds the word.
    Borrowed(String),
}

/// One line of `network_operators.csv`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Operator {
    pub(crate) kind: NetworkKind,
    pub(crate) role: OperatorRole,
}

/// Every rule file, compiled.
pub(crate) struct Rules {
    pub(crate) weights: Weights,
    pub(crate) calibration: Calibration,
    pub(crate) special_purpose: SpecialPurpose,
    pub(crate) domain_types: Table<String, KindWeight>,
    /// What networks of such owners often are beside that.
    pub(crate) beside_types: Table<String, KindWeight>,
    pub(crate) operators: Table<Arc<str>, Operator>,
    suffixes: SuffixRules,
    range_labels: HashMap<(String, String), RangeLabel>,
    pub(crate) ptr_words: WordList<KindWeight>,
    pub(crate) organisation_words: OrganisationWords,
    pub(crate) operator_sizes: OperatorSizes,
    pub(crate) operator_names: OperatorNames,
    pub(crate) database_values: DatabaseValues,
}

/// What a range says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RangeSays {
    pub(crate) kind: NetworkKind,
    /// Log-odds.
    pub(crate) weight: f32,
    /// No later signal can overturn it.
    pub(crate) is_final: bool,
}

/// A label of the range list.
#[derive(Debug)]
pub(crate) struct RangeLabel {
    pub(crate) says: RangeSays,
    /// What the range is, for people.
    pub(crate) shown_as: String,
}

impl Rules {
    pub(crate) fn compile() -> Result<Self, ResolverError> {
        let mut special_purpose = SpecialPurpose::default();
        for row in rows(rules::SPECIAL_PURPOSE, 3)? {
            let network = row.text(0).parse().map_err(|error| row.error(format!("{error}")))?;
            special_purpose.add(network, row.text(1), row.text(2));
        }
        let mut domain_types = Table::default();
        let mut beside_types = Table::default();
        for row in rows(rules::DOMAIN_TYPES, 6)? {
            let value = KindWeight { kind: row.kind(1)?, weight: row.number(2)? };
            domain_types.insert(row.text(0).to_owned(), value);
            if !row.text(3).is_empty() {
                beside_types.insert(row.text(0).to_owned(), KindWeight { kind: row.kind(3)?, weight: row.number(4)? });
            }
        }
        let mut operators = Table::default();
        for row in rows(rules::NETWORK_OPERATORS, 4)? {
            let role = match row.text(2) {
                "carrier" => OperatorRole::Carrier,
                "platform" => OperatorRole::Platform,
                "owner" => OperatorRole::Owner,
                "borrowed" => OperatorRole::Borrowed(row.text(3).to_lowercase()),
                other => return Err(row.error(format!("role {other:?} is not carrier, platform, owner or borrowed"))),
            };
            if operators.insert(Arc::from(row.text(0)), Operator { kind: row.kind(1)?, role }).is_some() {
                return Err(row.error(format!("{} is there twice", row.text(0))));
            }
        }
        let mut suffixes = SuffixRules::default();
        for row in rows(rules::DOMAIN_SUFFIXES, 3)? {
            suffixes.add(row.text(0), KindWeight { kind: row.kind(1)?, weight: row.number(2)? });
        }
        let mut range_labels = HashMap::new();
        for row in rows(rules::RANGE_LABELS, 7)? {
            let says = RangeSays {
                kind: row.kind(2)?,
                weight: row.number(3)?,
                is_final: match row.text(4) {
                    "yes" => true,
                    "no" => false,
                    other => return Err(row.error(format!("final is yes or no, not {other:?}"))),
                },
            };
            let label = RangeLabel { says, shown_as: row.text(5).to_owned() };
            range_labels.insert((row.text(0).to_owned(), row.text(1).to_owned()), label);
        }
        let ptr_words = WordList::compile(rules::PTR_WORDS, 4, |row| {
            Ok(KindWeight { kind: row.kind(2)?, weight: row.number(3)? })
        })?;
        let organisation_words = OrganisationWords::compile()?;
        let operator_sizes = OperatorSizes::compile()?;
        let operator_names = OperatorNames::compile()?;
        Ok(Self {
            weights: Weights::compile()?,
            calibration: Calibration::compile()?,
            special_purpose,
            domain_types,
            beside_types,
            operators,
            suffixes,
            range_labels,
            ptr_words,
            organisation_words,
            operator_sizes,
            operator_names,
            database_values: DatabaseValues::compile()?,
        })
    }

    /// What a label of the range list says; `None` for kinds that no rule knows.
    pub(crate) fn range_label(&self, kind: &str, provider: &str) -> Option<&RangeLabel> {
        let find = |provider: &str| self.range_labels.get(&(kind.to_owned(), provider.to_owned()));
        find(provider).or_else(|| find(""))
    }

    /// The kind that a registrable domain's ending is reserved for, with the ending.
    pub(crate) fn suffix(&self, registrable_domain: &str) -> Option<(&Arc<str>, KindWeight)> {
        self.suffixes.find(registrable_domain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_file_compiles() {
        Rules::compile().unwrap();
    }
}
