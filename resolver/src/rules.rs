//! Our own rule files (`geoip-data/rules/`), compiled once when a resolver is made.

use crate::{
    NetworkKind, ResolverError,
    signals::{operator_size::OperatorSizes, organisation_words::OrganisationWords, special_purpose::SpecialPurpose},
    words::WordList,
};
use geoip_data::rules::{self, RuleFile};
use std::collections::HashMap;

/// What a type of the domain map says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct KindWeight {
    pub(crate) kind: NetworkKind,
    /// Log-odds.
    pub(crate) weight: f32,
}

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
    pub(crate) special_purpose: SpecialPurpose,
    pub(crate) domain_types: HashMap<String, KindWeight>,
    pub(crate) operators: HashMap<String, Operator>,
    suffixes: SuffixRules,
    range_labels: HashMap<(String, String), RangeMeaning>,
    pub(crate) ptr_words: WordList<KindWeight>,
    pub(crate) organisation_words: OrganisationWords,
    pub(crate) operator_sizes: OperatorSizes,
}

/// What a label of the range list says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RangeMeaning {
    pub(crate) kind: NetworkKind,
    /// Log-odds.
    pub(crate) weight: f32,
    /// No later signal can overturn it.
    pub(crate) is_final: bool,
}

impl Rules {
    pub(crate) fn compile() -> Result<Self, ResolverError> {
        let mut special_purpose = SpecialPurpose::default();
        for row in rows(rules::SPECIAL_PURPOSE, 3)? {
            let network = row.text(0).parse().map_err(|error| row.error(format!("{error}")))?;
            special_purpose.add(network, row.text(1), row.text(2));
        }
        let mut domain_types = HashMap::new();
        for row in rows(rules::DOMAIN_TYPES, 4)? {
            let value = KindWeight { kind: row.kind(1)?, weight: row.number(2)? };
            domain_types.insert(row.text(0).to_owned(), value);
        }
        let mut operators = HashMap::new();
        for row in rows(rules::NETWORK_OPERATORS, 4)? {
            let role = match row.text(2) {
                "carrier" => OperatorRole::Carrier,
                "platform" => OperatorRole::Platform,
                "owner" => OperatorRole::Owner,
                "borrowed" => OperatorRole::Borrowed(row.text(3).to_lowercase()),
                other => return Err(row.error(format!("role {other:?} is not carrier, platform, owner or borrowed"))),
            };
            if operators.insert(row.text(0).to_owned(), Operator { kind: row.kind(1)?, role }).is_some() {
                return Err(row.error(format!("{} is there twice", row.text(0))));
            }
        }
        let mut suffixes = SuffixRules::default();
        for row in rows(rules::DOMAIN_SUFFIXES, 3)? {
            suffixes.add(row.text(0), KindWeight { kind: row.kind(1)?, weight: row.number(2)? });
        }
        let mut range_labels = HashMap::new();
        for row in rows(rules::RANGE_LABELS, 6)? {
            let meaning = RangeMeaning {
                kind: row.kind(2)?,
                weight: row.number(3)?,
                is_final: match row.text(4) {
                    "yes" => true,
                    "no" => false,
                    other => return Err(row.error(format!("final is yes or no, not {other:?}"))),
                },
            };
            range_labels.insert((row.text(0).to_owned(), row.text(1).to_owned()), meaning);
        }
        let ptr_words = WordList::compile(rules::PTR_WORDS, 4, |row| {
            Ok(KindWeight { kind: row.kind(2)?, weight: row.number(3)? })
        })?;
        let organisation_words = OrganisationWords::compile()?;
        let operator_sizes = OperatorSizes::compile()?;
        Ok(Self {
            special_purpose,
            domain_types,
            operators,
            suffixes,
            range_labels,
            ptr_words,
            organisation_words,
            operator_sizes,
        })
    }

    /// What a label of the range list says; `None` for kinds that no rule knows.
    pub(crate) fn range_label(&self, kind: &str, provider: &str) -> Option<RangeMeaning> {
        let find = |provider: &str| self.range_labels.get(&(kind.to_owned(), provider.to_owned())).copied();
        find(provider).or_else(|| find(""))
    }

    /// The kind that a registrable domain's ending is reserved for, with the ending.
    pub(crate) fn suffix(&self, registrable_domain: &str) -> Option<(&str, KindWeight)> {
        self.suffixes.find(registrable_domain)
    }
}

/// One data line of a rule file.
pub(crate) struct Row {
    file: &'static str,
    line: usize,
    fields: csv::StringRecord,
}

impl Row {
    pub(crate) fn text(&self, column: usize) -> &str {
        self.fields.get(column).unwrap_or_default()
    }

    pub(crate) fn kind(&self, column: usize) -> Result<NetworkKind, ResolverError> {
        let text = self.text(column);
        NetworkKind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| self.error(format!("{text:?} is not a network kind")))
    }

    pub(crate) fn number(&self, column: usize) -> Result<f32, ResolverError> {
        let text = self.text(column);
        text.parse().map_err(|_| self.error(format!("{text:?} is not a number")))
    }

    pub(crate) fn error(&self, reason: String) -> ResolverError {
        ResolverError::Rules { file: self.file, line: self.line, reason }
    }
}

/// The data lines of a rule file, each with exactly `columns` fields.
pub(crate) fn rows(file: RuleFile, columns: usize) -> Result<Vec<Row>, ResolverError> {
    let mut reader = csv::ReaderBuilder::new()
        .comment(Some(b'#'))
        .trim(csv::Trim::All)
        .flexible(true)
        .from_reader(file.text.as_bytes());
    let mut rows = Vec::new();
    for record in reader.records() {
        let fields = record.map_err(|error| ResolverError::Rules {
            file: file.name,
            line: error.position().map_or(0, |position| usize::try_from(position.line()).unwrap_or(0)),
            reason: error.to_string(),
        })?;
        let line = fields.position().map_or(0, |position| usize::try_from(position.line()).unwrap_or(0));
        let row = Row { file: file.name, line, fields };
        if row.fields.len() != columns {
            return Err(row.error(format!("{} fields where {columns} belong", row.fields.len())));
        }
        rows.push(row);
    }
    Ok(rows)
}

/// Domain endings by their first label.
#[derive(Default)]
struct SuffixRules {
    by_first_label: HashMap<String, Vec<(String, KindWeight)>>,
}

impl SuffixRules {
    fn add(&mut self, suffix: &str, value: KindWeight) {
        let first = suffix.split('.').next().unwrap_or_default();
        self.by_first_label.entry(first.to_owned()).or_default().push((suffix.to_owned(), value));
    }

    fn find(&self, domain: &str) -> Option<(&str, KindWeight)> {
        let mut rest = domain;
        let mut labels_before = 0;
        loop {
            let first = rest.split('.').next().unwrap_or_default();
            for (pattern, value) in self.by_first_label.get(first).into_iter().flatten() {
                // `gov.xx` itself may be anyone's domain, `state.ca.us` may not.
                if (labels_before > 0 || pattern.split('.').count() >= 3) && matches_labels(pattern, rest) {
                    return Some((pattern, *value));
                }
            }
            rest = rest.split_once('.')?.1;
            labels_before += 1;
        }
    }
}

/// A `*` stands for one label of two letters: a country or, in `.us`, a state.
fn matches_labels(pattern: &str, name: &str) -> bool {
    let mut names = name.split('.');
    for wanted in pattern.split('.') {
        match names.next() {
            Some(label) if wanted == "*" && label.len() == 2 => {}
            Some(label) if wanted == label => {}
            _ => return false,
        }
    }
    names.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_file_compiles() {
        Rules::compile().unwrap();
    }

    #[test]
    fn endings_name_the_kind_their_registry_admits() {
        let rules = Rules::compile().unwrap();
        for (domain, kind) in [
            ("mit.edu", Some(NetworkKind::Education)),
            ("ntu.edu.tw", Some(NetworkKind::Education)),
            ("ox.ac.uk", Some(NetworkKind::Education)),
            ("greene.k12.il.us", Some(NetworkKind::Education)),
            ("nih.gov", Some(NetworkKind::Government)),
            ("impots.gouv.fr", Some(NetworkKind::Government)),
            ("sat.gob.mx", Some(NetworkKind::Government)),
            ("army.mil", Some(NetworkKind::Government)),
            ("mod.go.jp", Some(NetworkKind::Government)),
            ("state.ca.us", Some(NetworkKind::Government)),
            ("ac.com", None),
            ("gov.com", None),
            ("education.com", None),
            ("x.edu.com", None),
            ("apple.com", None),
        ] {
            assert_eq!(rules.suffix(domain).map(|(_, value)| value.kind), kind, "{domain}");
        }
    }
}
