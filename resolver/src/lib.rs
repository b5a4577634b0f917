//! IP address to verdict: network kind, company or none, location, confidence and evidence.
#![forbid(unsafe_code)]

mod verdict;

pub use verdict::{Asn, Company, CompanyId, Confidence, Evidence, Location, NameAnswer, NetworkKind, Source, Verdict};
