//! A tracked website and its rules.

use compact_str::CompactString;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, time::Duration};

/// A site's id: 1 to 64 characters of `A-Z a-z 0-9 _ -`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "CompactString", into = "CompactString")]
pub struct SiteId(CompactString);

/// The text is no site id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a site id has 1 to 64 characters of A-Z a-z 0-9 _ -, which {0:?} does not")]
pub struct SiteIdError(pub String);

impl SiteId {
    /// The id's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SiteId {
    type Err = SiteIdError;

    fn from_str(text: &str) -> Result<Self, SiteIdError> {
        let fits = (1..=beacon::MAX_SITE_BYTES).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        if fits { Ok(Self(text.into())) } else { Err(SiteIdError(text.chars().take(80).collect())) }
    }
}

impl TryFrom<CompactString> for SiteId {
    type Error = SiteIdError;

    fn try_from(text: CompactString) -> Result<Self, SiteIdError> {
        text.parse()
    }
}

impl From<SiteId> for CompactString {
    fn from(id: SiteId) -> Self {
        id.0
    }
}

impl std::borrow::Borrow<str> for SiteId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SiteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a site asks before anything is stored or sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConsentMode {
    /// Nothing happens before the person agreed.
    #[default]
    Required,
    /// Events are sent without an id before the person agreed; not the same as consent-free (EDPB 2/2023).
    Cookieless,
    /// The owner has another legal ground.
    NotRequired,
}

impl ConsentMode {
    /// The word in commands and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Cookieless => "cookieless",
            Self::NotRequired => "not-required",
        }
    }
}

/// How long the `_lfa` id is kept after the last beacon, written `"90d"`: whole days, at least one and at most the 400 that
/// browsers keep a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientIdLife {
    days: u16,
}

/// The text is no life of an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no time that an id is kept: write whole days from \"1d\" to \"400d\"")]
pub struct ClientIdLifeError(pub String);

impl ClientIdLife {
    /// As long as browsers keep a cookie (RFC 6265bis, 5.5).
    pub const LONGEST: Self = Self { days: 400 };

    /// Days of 24 hours, 1 to 400.
    #[must_use]
    pub const fn days(self) -> u16 {
        self.days
    }

    /// The same as the standard library's type.
    #[must_use]
    pub fn get(self) -> Duration {
        Duration::from_hours(24 * u64::from(self.days))
    }
}

impl Default for ClientIdLife {
    fn default() -> Self {
        Self::LONGEST
    }
}

impl FromStr for ClientIdLife {
    type Err = ClientIdLifeError;

    fn from_str(text: &str) -> Result<Self, ClientIdLifeError> {
        let days = text.strip_suffix('d').and_then(|days| days.parse().ok());
        days.filter(|days| (1..=Self::LONGEST.days).contains(days))
            .map(|days| Self { days })
            .ok_or_else(|| ClientIdLifeError(text.chars().take(40).collect()))
    }
}

impl TryFrom<String> for ClientIdLife {
    type Error = ClientIdLifeError;

    fn try_from(text: String) -> Result<Self, ClientIdLifeError> {
        text.parse()
    }
}

impl fmt::Display for ClientIdLife {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}d", self.days)
    }
}

impl From<ClientIdLife> for String {
    fn from(life: ClientIdLife) -> Self {
        life.to_string()
    }
}

/// A tracked website; the reports API calls it an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// Its id.
    pub id: SiteId,
    /// Its name for people.
    pub name: String,
    /// Exact hosts, lower case, no port; IP addresses and `localhost` are allowed.
    pub hosts: Vec<String>,
    /// IANA time zone in which its days are counted.
    pub timezone: String,
    /// What it asks before anything is stored or sent.
    pub consent: ConsentMode,
    /// Whether `identify` events are accepted.
    #[serde(default)]
    pub identify: bool,
    /// The owner's own networks: their visits are dropped.
    #[serde(default)]
    pub own_networks: Vec<IpNet>,
    /// How long its visitors' ids are kept, where `[tracker].client_id_life` is not shorter.
    #[serde(default)]
    pub client_id_life: ClientIdLife,
}

impl Site {
    /// A site with every setting at its default: days in UTC, consent required, no identities.
    #[must_use]
    pub fn new(id: SiteId, name: impl Into<String>, hosts: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            id,
            name: name.into(),
            hosts: hosts.into_iter().map(Into::into).collect(),
            timezone: "UTC".to_owned(),
            consent: ConsentMode::default(),
            identify: false,
            own_networks: Vec::new(),
            client_id_life: ClientIdLife::default(),
        }
    }

    /// Whether a page on this host belongs to the site; port and letter case do not count.
    #[must_use]
    pub fn has_host(&self, host: &str) -> bool {
        self.hosts.iter().any(|own| own.eq_ignore_ascii_case(host))
    }
}
