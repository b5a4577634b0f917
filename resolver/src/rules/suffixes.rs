//! Domain endings that registries give to one kind of organisation only.

use super::{Table, file::KindWeight};
use std::sync::Arc;

/// Domain endings by their first label.
#[derive(Default)]
pub(crate) struct SuffixRules {
    by_first_label: Table<String, Vec<(Arc<str>, KindWeight)>>,
}

impl SuffixRules {
    pub(super) fn add(&mut self, suffix: &str, value: KindWeight) {
        let first = suffix.split('.').next().unwrap_or_default();
        self.by_first_label.entry(first.to_owned()).or_default().push((suffix.into(), value));
    }

    pub(super) fn find(&self, domain: &str) -> Option<(&Arc<str>, KindWeight)> {
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
    use crate::{NetworkKind, rules::Rules};

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
