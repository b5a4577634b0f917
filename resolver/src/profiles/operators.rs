//! Organisations that announce their networks under several domains, from an ASN database.
//!
//! Two autonomous systems are one organisation's when their registered name is the same, letter for letter, and says more than
//! the label that both domains have before their endings, with which it begins: "Acme Logistics GmbH" with `acme.de` and
//! `acme.com`. Nothing less is enough: strangers share a label (`atlas.de`, `atlas.co.uk`), there are two called "FLYNET", and
//! a "Ministry of Education" is in every country. In IPinfo Lite, with 67,754 domains of operators, that makes 82 organisations.

use super::{Profile, ProfileSource};
use crate::names::{name_of_label, registrable_domain};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

/// What the source is called; which database it was stands with the others, licence and attribution included.
const SOURCE: &str = "ASN database";
/// A shorter label begins too many names.
const SHORTEST_LABEL: usize = 3;

/// The organisations among these operators' names and domains that have several domains, in the order of their registered names.
pub(super) fn with_several_domains<'a>(operators: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<Profile> {
    let mut domains_by_name: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for (name, domain) in operators {
        let Some(domain) = registrable_domain(domain) else { continue };
        let Some((label, _)) = domain.split_once('.') else { continue };
        let says_more = letters(name).strip_prefix(&letters(label)).is_some_and(|rest| !rest.is_empty());
        if says_more && label.len() >= SHORTEST_LABEL {
            let key = (name.trim().to_owned(), label.to_owned());
            domains_by_name.entry(key).or_default().insert(domain.to_string());
        }
    }
    // Sisters that share a domain are one: of `orange.com` and `orange.pl`, `orange.com` and `orange.tn`.
    let mut organisations: Vec<(String, BTreeSet<String>)> = Vec::new();
    for ((_, label), domains) in domains_by_name.into_iter().filter(|(_, domains)| domains.len() > 1) {
        match organisations.iter_mut().find(|(_, others)| !others.is_disjoint(&domains)) {
            Some((_, others)) => others.extend(domains),
            None => organisations.push((label, domains)),
        }
    }
    organisations.into_iter().map(|(label, domains)| profile(&label, domains)).collect()
}

fn profile(label: &str, domains: BTreeSet<String>) -> Profile {
    let mut domains: Vec<String> = domains.into_iter().collect();
    // What an organisation with many domains most often calls its own, then the shortest.
    domains.sort_by_key(|domain| (Reverse(domain.ends_with(".com")), domain.len()));
    let mut domains = domains.into_iter();
    Profile {
        domain: domains.next().unwrap_or_default(),
        other_domains: domains.collect(),
        // The registered names are those of sisters: "Acme Polska sp. z o.o.".
        name: name_of_label(label),
        sources: vec![ProfileSource { name: SOURCE.to_owned(), licence: String::new(), id: String::new() }],
        ..Profile::default()
    }
}

fn letters(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_registered_name_and_one_label_make_one_organisation_and_nothing_less_does() {
        let operators = [
            ("Acme Logistics GmbH", "acme.de"),
            ("Acme Logistics GmbH", "acme.com"),
            ("Acme Logistics GmbH", "acme.co.uk"),
            ("Acme Logistics GmbH", "acme-cargo.com"),
            ("Acme Ltd", "acme.ie"),
            ("Ministry of Education", "moe.gov.sg"),
            ("Ministry of Education", "moe.edu.kw"),
            ("Atlas GmbH", "atlas.de"),
            ("Atlas Ltd", "atlas.co.uk"),
            ("BT Limited", "bt.com"),
            ("BT Limited", "bt.net"),
            ("FLYNET", "flynet.it"),
            ("FLYNET", "flynet.com.py"),
            ("Acme Polska sp. z o.o.", "acme.com"),
            ("Acme Polska sp. z o.o.", "acme.pl"),
            ("Twice Inc", "twice.com"),
            ("Twice Inc", "TWICE.com"),
            ("No domain Inc", ""),
        ];
        let [acme] = &with_several_domains(operators.into_iter())[..] else { panic!("one organisation") };
        assert_eq!(acme.domains().collect::<Vec<_>>(), ["acme.com", "acme.de", "acme.pl", "acme.co.uk"]);
        assert_eq!(acme.name, "ACME");
    }
}
