//! What the resolver says of an address.
//!
//! Texts in a verdict are shared with the data that they came from, so that a verdict is cheap to make and to clone.

use crate::{EvidenceList, LeftOut, Source};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{fmt, net::IpAddr, sync::Arc};

/// The kind of network an address belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkKind {
    /// Homes behind an access provider.
    Residential,
    /// Phones behind a mobile carrier.
    Mobile,
    /// A company's own network.
    Business,
    /// A hosting provider or cloud.
    Hosting,
    /// A school, university or research network.
    Education,
    /// A public authority.
    Government,
    /// A security provider through which many companies browse.
    Gateway,
    /// VPN, proxy, Tor, private relay.
    Anonymizer,
    /// A search engine's or other robot's network.
    Crawler,
    /// Addresses that are not on the public Internet (IANA special-purpose registries).
    Reserved,
    /// Nothing is known.
    Unknown,
}

impl NetworkKind {
    /// Every kind, for tables and tests.
    pub const ALL: [Self; 11] = [
        Self::Residential,
        Self::Mobile,
        Self::Business,
        Self::Hosting,
        Self::Education,
        Self::Government,
        Self::Gateway,
        Self::Anonymizer,
        Self::Crawler,
        Self::Reserved,
        Self::Unknown,
    ];

    /// The lower-case word used in JSON, metrics and storage.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Residential => "residential",
            Self::Mobile => "mobile",
            Self::Business => "business",
            Self::Hosting => "hosting",
            Self::Education => "education",
            Self::Government => "government",
            Self::Gateway => "gateway",
            Self::Anonymizer => "anonymizer",
            Self::Crawler => "crawler",
            Self::Reserved => "reserved",
            Self::Unknown => "unknown",
        }
    }

    /// Whether a network of this kind can be a visiting company's own.
    #[must_use]
    pub const fn is_organisation(self) -> bool {
        matches!(self, Self::Business | Self::Education | Self::Government)
    }
}

impl fmt::Display for NetworkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How sure a statement is, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Confidence(f32);

impl Confidence {
    /// Clamps to 0 to 1; not-a-number becomes 0.
    #[must_use]
    pub const fn new(value: f32) -> Self {
        if value.is_nan() { Self(0.0) } else { Self(value.clamp(0.0, 1.0)) }
    }

    /// The value, 0 to 1.
    #[must_use]
    pub const fn get(self) -> f32 {
        self.0
    }
}

/// Stable key of a company: the first 64 bits of SHA-256 over its main registrable domain, or over its
/// registered name where it has no domain. Shown as 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CompanyId(pub u64);

impl CompanyId {
    /// The id of the company that owns a registrable domain (lower case, as `psl` gives it).
    #[must_use]
    pub fn of_domain(domain: &str) -> Self {
        Self::hash("domain:", &domain.to_ascii_lowercase())
    }

    /// The id of a company known only by its registered name.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        Self::hash("name:", &name.trim().to_lowercase())
    }

    fn hash(prefix: &str, key: &str) -> Self {
        let digest = Sha256::new().chain_update(prefix).chain_update(key).finalize();
        let mut first = [0u8; 8];
        first.copy_from_slice(&digest[..8]);
        Self(u64::from_be_bytes(first))
    }

    /// Reads 16 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit()))
            .then(|| u64::from_str_radix(text, 16).ok())
            .flatten()
            .map(Self)
    }
}

impl fmt::Display for CompanyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Serialize for CompanyId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CompanyId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("a company id is 16 hexadecimal digits"))
    }
}

/// The organisation behind an address.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Company {
    /// Stable key.
    pub id: CompanyId,
    /// Name for people.
    pub name: Arc<str>,
    /// Registrable domain, where known; of several the main one.
    pub domain: Option<Arc<str>>,
    /// The alternative domain by which it was found, where that was not the main one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found_by: Option<Arc<str>>,
    /// Industry in the data set's own words, where known.
    pub industry: Option<Arc<str>>,
    /// The signal that decided.
    pub source: Source,
    /// How sure this is.
    pub confidence: Confidence,
}

/// Where an address is; empty strings where unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// ISO 3166-1 alpha-2, upper case.
    pub country_code: String,
    /// First-level subdivision, its name.
    pub region: String,
    /// City, its name.
    pub city: String,
}

/// The autonomous system that announces an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asn {
    /// Its number.
    pub number: u32,
    /// Its registered name.
    pub name: String,
    /// Its operator's domain; empty where unknown.
    pub domain: String,
}

/// What reverse DNS said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state", content = "name")]
pub enum NameAnswer {
    /// Nobody asked (DNS off, not yet, or the address needs no asking).
    NotAsked,
    /// There is no name.
    None,
    /// A name whose forward look-up gives the address back (FCrDNS).
    Confirmed(Arc<str>),
    /// A name whose forward look-up does not give the address back; weak evidence.
    Unconfirmed(Arc<str>),
    /// DNS did not answer in time, or could not say.
    Failed,
    /// DNS is down, so it was not asked.
    Skipped,
}

/// What the resolver says of an address.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// The address, unless the input was a name or an AS number.
    pub ip: Option<IpAddr>,
    /// The kind of network.
    pub kind: NetworkKind,
    /// The organisation behind the address, never its access provider.
    pub company: Option<Company>,
    /// Where it is.
    pub location: Arc<Location>,
    /// Who announces it.
    pub asn: Option<Arc<Asn>>,
    /// What reverse DNS said.
    pub ptr: NameAnswer,
    /// No later signal can overturn this: an ingest may drop at the door on `kind`.
    pub is_final: bool,
    /// Everything that was weighed.
    pub evidence: EvidenceList,
    /// The owner's rules leave visits from here out.
    pub left_out: Option<LeftOut>,
}

impl Verdict {
    /// About how much memory belongs to this verdict alone, in bytes; what it shares with the data is not counted.
    #[must_use]
    pub(crate) fn bytes(&self) -> usize {
        let name = match &self.ptr {
            NameAnswer::Confirmed(name) | NameAnswer::Unconfirmed(name) => name.len(),
            NameAnswer::NotAsked | NameAnswer::None | NameAnswer::Failed | NameAnswer::Skipped => 0,
        };
        size_of::<Self>() + self.evidence.bytes() + name
    }
}
