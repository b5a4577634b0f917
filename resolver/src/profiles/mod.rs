//! Company profiles: what is publicly known of an organisation, found by its registrable domain.
//!
//! A verdict says *which* organisation; a profile says what that organisation is: industry, size, address, links. Profiles
//! are read from one file that `firmsight companies build` makes of open data (Wikidata, GLEIF) and of the owner's own
//! list. The file is mapped into memory, not loaded: a look-up hashes the domain, bisects a sorted index and decodes one
//! record, so that a file with millions of companies costs no more memory than the records that are asked for.
//!
//! An organisation with several domains has one profile; every one of its domains leads there. A verdict names it by its
//! main domain, whichever of them it was found by, so that `acme.de` and `acme.com` are one company.

mod build;
mod file;
pub(crate) mod fuzzing;
mod gleif;
mod listed;
mod operators;
mod owner_file;
pub(crate) mod python_literal;
mod wikidata;
mod wikidata_extract;

pub use build::{Open, ProfileInputs, ProfilesError, ProfilesReport, build_profiles};
pub use file::{ProfileFileWriter, Profiles, ProfilesStatus, SourceStatus};

use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// What is known of a company. Texts are empty and numbers absent where nothing is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// Its main registrable domain, lower case.
    pub domain: String,
    /// Other registrable domains of the same organisation.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other_domains: Vec<String>,
    /// Name for people, without legal form.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Name in the register of companies.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub legal_name: String,
    /// Industries in English, the most important first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub industries: Vec<String>,
    /// How many people work there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub employees: Option<Employees>,
    /// Revenue of one year.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revenue: Option<Revenue>,
    /// Its head office.
    #[serde(skip_serializing_if = "Address::is_empty")]
    pub address: Address,
    /// Telephone number as its source writes it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub phone: String,
    /// Where it is on the web.
    #[serde(skip_serializing_if = "Links::is_empty")]
    pub links: Links,
    /// URL of its logo.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub logo: String,
    /// The organisation that owns it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
    /// One sentence in English.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The year it was founded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub founded: Option<i16>,
    /// Legal entity identifier (ISO 17442), 20 characters.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub legal_entity_identifier: String,
    /// Where all this was read, the source that counted most first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<ProfileSource>,
}

impl Profile {
    /// All its registrable domains, the main one first.
    pub fn domains(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.domain).chain(&self.other_domains)
    }
}

/// A number of employees, or the range it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Employees {
    /// At least so many.
    pub min: u32,
    /// At most so many; none means an open range, as in "10,001 and more".
    pub max: Option<u32>,
}

impl Employees {
    /// Exactly so many.
    #[must_use]
    pub const fn exactly(count: u32) -> Self {
        Self { min: count, max: Some(count) }
    }

    /// The number itself, where it is known exactly.
    #[must_use]
    pub fn count(self) -> Option<u32> {
        (self.max == Some(self.min)).then_some(self.min)
    }
}

/// Revenue of one year.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revenue {
    /// In whole units of the currency.
    pub amount: u64,
    /// ISO 4217 code, upper case; empty where unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub currency: String,
    /// The business year.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub year: Option<i16>,
}

/// A postal address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Address {
    /// Street and number.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub street: String,
    /// Postal code.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub postcode: String,
    /// City, its name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub city: String,
    /// First-level subdivision, its name or ISO 3166-2 code.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub region: String,
    /// ISO 3166-1 alpha-2, upper case.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub country_code: String,
}

impl Address {
    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// URLs of an organisation's own pages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Links {
    /// Its website.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub website: String,
    /// Its page on LinkedIn.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub linkedin: String,
    /// Its account on X, formerly Twitter.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub twitter: String,
    /// Its page on Facebook.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub facebook: String,
}

impl Links {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The organisation that owns another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Parent {
    /// Its name.
    pub name: String,
    /// Its registrable domain, where known.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub domain: String,
}

/// Where a profile, or a part of one, was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileSource {
    /// The publisher, such as `Wikidata`.
    pub name: String,
    /// Its licence as an SPDX expression; empty for the owner's own data.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub licence: String,
    /// What the company is called there, such as `Q312`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
}

/// Where profiles are looked up.
pub trait ProfileLookup: Send + Sync {
    /// The profile of the organisation that has this registrable domain, lower case, among its domains.
    fn profile(&self, domain: &str) -> Option<Profile>;
}

impl ProfileLookup for HashMap<String, Profile> {
    fn profile(&self, domain: &str) -> Option<Profile> {
        self.get(domain).cloned()
    }
}
