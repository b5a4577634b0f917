//! Listed companies: their names and websites, as the package pytickersymbols collects them from Wikipedia.
//!
//! Whose website an operator's domain is, is evidence: a company that shares are traded of seldom carries other people's
//! traffic, unless that is its trade. Companies of these trades are left out.

use crate::{name_words::NameWords, names::registrable_domain, profiles::python_literal, rules::Table};
use serde_json::Value;
use std::sync::Arc;

/// The first bytes of the module that holds them.
pub(crate) const HEAD: &str = "\"\"\"\nAuto-generated indices data module.";
/// What is assigned there.
const NAME: &str = "INDICES";
/// Words of trades whose networks carry other people's traffic.
const CARRIERS: [&str; 12] = [
    "telecom",
    "internet service",
    "internet software",
    "mobile network",
    "wireless",
    "cable",
    "broadband",
    "communication services",
    "data cent",
    "cloud",
    "web hosting",
    "content delivery",
];
/// The shortest name, in letters, by whose beginning another company is taken for a part of this one.
const TELLING_NAME: usize = 5;

/// A listed company.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListedCompany {
    pub(crate) name: Arc<str>,
    pub(crate) website: Arc<str>,
    pub(crate) industries: Vec<String>,
    /// As Wikipedia writes it: `23,299 (December, 2024)`; empty where unknown.
    pub(crate) employees: String,
    /// As Wikipedia writes it: `Amsterdam , Netherlands`; empty where unknown.
    pub(crate) headquarters: String,
}

impl ListedCompany {
    fn is_carrier(&self) -> bool {
        let has = |text: &str| CARRIERS.iter().any(|word| text.to_lowercase().contains(word));
        self.industries.iter().any(|industry| has(industry))
    }
}

/// By website and by name.
#[derive(Default)]
pub(crate) struct ListedCompanies {
    by_domain: Table<Arc<str>, ListedCompany>,
    /// The own words of names, joined by spaces, of companies that carry nobody's traffic.
    names: Table<String, ()>,
}

impl ListedCompanies {
    /// Reads the module's text.
    pub(crate) fn from_module(text: &str) -> Result<Self, String> {
        let module = python_literal::assigned(text, NAME)?;
        let indices = module.as_object().ok_or("not a list of listed companies: no dictionary of indices")?;
        let companies = indices.values().filter_map(|index| index["companies"].as_array()).flatten();
        let mut listed = Self::default();
        for company in companies {
            let facts = &company["metadata"];
            let Some(website) = website_domain(&text_of(&facts["website"])) else { continue };
            let industries = company["industries"].as_array().map(Vec::as_slice).unwrap_or_default();
            let company = ListedCompany {
                name: text_of(&company["name"]).into(),
                website: Arc::clone(&website),
                industries: industries.iter().map(text_of).filter(|text| !text.is_empty()).collect(),
                employees: text_of(&facts["employees"]),
                headquarters: text_of(&facts["headquarters"]),
            };
            let words = NameWords::of(&company.name).own().join(" ");
            if !company.is_carrier() && words.len() >= TELLING_NAME {
                listed.names.insert(words, ());
            }
            // Of two companies with one website the first stays: an index lists several classes of shares.
            listed.by_domain.entry(website).or_insert(company);
        }
        Ok(listed)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_domain.len()
    }

    /// Every company, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &ListedCompany> {
        self.by_domain.values()
    }

    /// Whether a registrable domain is the website of a company that carries nobody's traffic.
    pub(crate) fn has_website(&self, domain: &str) -> bool {
        self.by_domain.get(domain).is_some_and(|company| !company.is_carrier())
    }

    /// Whether a name begins with the whole name of such a company: `Electrolux Italia`.
    pub(crate) fn is_named_like_one(&self, name: &NameWords) -> bool {
        let own = name.own();
        (1..=own.len()).any(|count| self.names.contains_key(&own.get(..count).unwrap_or_default().join(" ")))
    }

    /// Adds the companies of another list; those that are there already stay.
    pub(crate) fn merge(&mut self, other: Self) {
        for (website, company) in other.by_domain {
            self.by_domain.entry(website).or_insert(company);
        }
        self.names.extend(other.names);
    }
}

/// A text, or a number as a text; nothing of anything else.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

/// The registrable domain of a website, however it is written: `www.acme.com/en`, `https://acme.com`.
fn website_domain(website: &str) -> Option<Arc<str>> {
    let website = website.trim();
    let host = website.split_once("://").map_or(website, |(_, rest)| rest);
    let host = host.split(['/', ' ', '?', '|', ',']).next()?;
    registrable_domain(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE: &str = "\"\"\"\nAuto-generated indices data module.\n\"\"\"\nINDICES = {'A': {'name': 'A', 'companies': [\
        {'name': 'Electrolux AB', 'country': 'Sweden', 'industries': ['Household appliances'], 'metadata': {'employees': '52,000 (2023)', 'website': 'www.electroluxgroup.com/en'}},\
        {'name': 'Telia Company', 'country': 'Sweden', 'industries': ['Telecommunications'], 'metadata': {'website': 'teliacompany.com'}},\
        {'name': 'No Website', 'metadata': {'employees': 7}}]}}\n";

    #[test]
    fn websites_and_names_of_companies_are_known_but_not_those_of_carriers() {
        assert!(MODULE.starts_with(HEAD));
        let listed = ListedCompanies::from_module(MODULE).unwrap();
        assert_eq!(listed.len(), 2);
        for (domain, expected) in [("electroluxgroup.com", true), ("teliacompany.com", false), ("example.com", false)] {
            assert_eq!(listed.has_website(domain), expected, "{domain}");
        }
        for (name, expected) in
            [("Electrolux Italia SpA", true), ("Telia Company Danmark", false), ("Italia Electrolux", false)]
        {
            assert_eq!(listed.is_named_like_one(&NameWords::of(name)), expected, "{name}");
        }
    }
}
