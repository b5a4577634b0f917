//! IP address to verdict: network kind, company or none, location, confidence and evidence.
//!
//! # What it does
//!
//! Given the address of a website's visitor, the resolver says which kind of network it is ([`NetworkKind`]) and, where
//! the network is an organisation's own, which organisation that is ([`Company`]). An access provider, a cloud, a VPN or
//! a security gateway is never the company: its customers are somebody else. Everything that was weighed is in
//! [`Verdict::evidence`], so that a person can follow it ([`explain`]).
//!
//! # Opening data, judging an address
//!
//! Data comes from files ([`Databases`]), rules are inside the program, names come from reverse DNS. Each part may be
//! missing; what is not known is [`NetworkKind::Unknown`], never an error.
//!
//! ```
//! use firmsight_resolver::{Databases, NetworkKind, Resolver, Settings, explain};
//!
//! # fn main() -> Result<(), firmsight_resolver::ResolverError> {
//! // `Databases::open_default()` takes the files that `cargo xtask data` fetched; here there are none.
//! let resolver = Resolver::new(Databases::none(), Settings { dns: false, ..Settings::default() })?;
//!
//! // Without DNS: fast enough for the door of a collector.
//! let verdict = resolver.local("192.168.1.20".parse().unwrap());
//! assert_eq!(verdict.kind, NetworkKind::Reserved);
//! assert!(verdict.is_final);
//!
//! // A name that is already known, from a log with host names or from `--hosts`.
//! let verdict = resolver.judge_named(None, "nat-pool-muc-t.redhat.com");
//! assert_eq!(verdict.company.as_ref().unwrap().domain.as_deref(), Some("redhat.com"));
//!
//! let verdict = resolver.judge_named(None, "dialup-203-0-113-9.provider.example.com");
//! assert_eq!(verdict.kind, NetworkKind::Residential);
//! println!("{}", explain(&verdict));
//! # Ok(())
//! # }
//! ```
//!
//! With reverse DNS, on a tokio runtime: `resolver.resolve(address).await`. It never fails and never takes much longer
//! than [`Settings::ptr_timeout`]; what DNS did not say in time is marked [`NameAnswer::Failed`].
//!
//! # Shape
//!
//! Signals (`signals/`) are pure: each reads one source and returns evidence with a weight in log-odds. `decision` adds the
//! weights up. `mmdb`, `databases` and `dns` are the shells with files and sockets. The rules are readable tables in
//! `geoip-data/rules/`, compiled once by [`Resolver::new`]; `rules/` holds them in memory. Verdicts are shared
//! ([`std::sync::Arc`]) and remembered, within bounds, as long as their data ([`Settings::verdict_cache_bytes`]).
//!
//! Addresses and names stay in memory: nothing here writes to disk, and statements in evidence never hold either.
//!
//! # Without DNS
//!
//! The feature `dns`, on by default, is the part with sockets: [`Resolver::resolve`] and what it needs of tokio. Without it
//! (`default-features = false`) the rest is as it is, and a name is judged where the caller brings it.
#![deny(unsafe_code)]
#![warn(missing_debug_implementations)]

/// The examples of the README are run like those of this page.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod company_databases;
mod company_record;
mod databases;
mod decision;
#[cfg(feature = "dns")]
mod dns;
mod error;
mod evidence;
#[doc(hidden)]
pub mod fitting;
#[doc(hidden)]
pub mod fuzzing;
mod mapped_file;
mod mmdb;
mod name_words;
mod names;
pub mod network_lists;
mod output;
mod owner_rules;
mod profiles;
mod resolver;
mod rules;
mod search_tree;
mod signals;
mod verdict;
mod verdict_cache;

pub use company_databases::NetworkFacts;
pub use databases::{DatabaseStatus, Databases};
#[cfg(feature = "dns")]
pub use dns::DnsStatistics;
pub use error::ResolverError;
pub use evidence::{Evidence, EvidenceList, Source, Statement};
pub use mmdb::DatabaseKind;
pub use names::registrable_domain;
pub use output::{explain, to_json};
pub use owner_rules::{LeftOut, OwnerRule, OwnerRules, RuleAction, RuleError, RuleSubject, RulesError};
pub use profiles::{
    Address, Employees, Links, Open, Parent, Profile, ProfileFileWriter, ProfileInputs, ProfileLookup, ProfileSource,
    Profiles, ProfilesError, ProfilesReport, ProfilesStatus, Revenue, SourceStatus, build_profiles,
};
pub use resolver::{DoorVerdict, Resolver, Settings};
pub use verdict::{Asn, Company, CompanyId, Confidence, Location, NameAnswer, NetworkKind, Verdict};
