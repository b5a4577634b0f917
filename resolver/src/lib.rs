//! IP address to verdict: network kind, company or none, location, confidence and evidence.
#![deny(unsafe_code)]

mod databases;
mod decision;
mod dns;
mod error;
mod mmdb;
mod names;
mod output;
mod resolver;
mod rules;
mod signals;
mod verdict;
mod words;

pub use databases::{DatabaseStatus, Databases};
pub use dns::DnsStatistics;
pub use error::ResolverError;
pub use mmdb::DatabaseKind;
pub use output::{explain, to_json};
pub use resolver::{Resolver, Settings};
pub use verdict::{Asn, Company, CompanyId, Confidence, Evidence, Location, NameAnswer, NetworkKind, Source, Verdict};
