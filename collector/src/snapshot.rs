//! The immutable picture of all control data that the serving paths read.
//!
//! [`crate::control`] makes a new one after each change and at least every 5 seconds; readers take
//! the current one without waiting and keep it for one request.

use crate::{
    feed::{CompanyList, Feed, Goal},
    objection::Objections,
    person::Person,
    site::{Site, SiteId},
    time::UnixMillis,
};
use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, sync::Arc};
use uuid::Uuid;

/// What a key may do; each role includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Read reports.
    Read,
    /// Change feeds, tags and the like.
    Write,
    /// Manage sites and keys.
    Admin,
}

impl Role {
    /// The word in commands and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

/// An API key; its token is shown once and only its SHA-256 is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Its id, by which it is listed and revoked.
    pub id: Uuid,
    /// Its name for people.
    pub name: String,
    /// The sites it reads; `None` means all sites, later ones too.
    pub sites: Option<Vec<SiteId>>,
    /// What it may do.
    pub role: Role,
    /// SHA-256 of the token.
    pub token_sha256: [u8; 32],
    /// When it was made.
    pub created_at: UnixMillis,
    /// From when on it is refused.
    #[serde(default)]
    pub expires_at: Option<UnixMillis>,
    /// Requests in a clock minute, in place of the configured number; 0 means any number.
    #[serde(default)]
    pub requests_per_minute: Option<u32>,
    /// Answered requests in a UTC month; `None` means any number, 0 that its plan has no API.
    #[serde(default)]
    pub requests_per_month: Option<u32>,
    /// Whose it is: it may do what both may.
    #[serde(default)]
    pub user: Option<Uuid>,
}

impl ApiKey {
    /// Whether this key may see a site.
    #[must_use]
    pub fn may_see(&self, site: &SiteId) -> bool {
        self.sites.as_ref().is_none_or(|sites| sites.contains(site))
    }

    /// Whether it is over at this moment.
    #[must_use]
    pub fn has_expired(&self, now: UnixMillis) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    /// The key as far as its user's rights go.
    #[must_use]
    pub fn limited_by(&self, user: &User) -> Self {
        let sites = match (&self.sites, &user.sites) {
            (Some(own), Some(theirs)) => Some(own.iter().filter(|site| theirs.contains(site)).cloned().collect()),
            (own, theirs) => own.clone().or_else(|| theirs.clone()),
        };
        Self { sites, role: self.role.min(user.role), ..self.clone() }
    }
}

/// Somebody to whom keys are given, such as a customer of those who run hundreds of sites: what all their keys together
/// may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Its id.
    pub id: Uuid,
    /// Its name for people, unlike any other's.
    pub name: String,
    /// The sites that its keys may read at most; `None` means all sites, later ones too.
    pub sites: Option<Vec<SiteId>>,
    /// What its keys may do at most.
    pub role: Role,
    /// How many keys it may have.
    pub max_keys: u32,
    /// Requests in a clock minute of all its keys together, in place of each key's own number; 0 means any number.
    pub requests_per_minute: Option<u32>,
    /// Answered requests of all its keys together in a UTC month, besides each key's own number; `None` means any number,
    /// 0 that its plan has no API.
    #[serde(default)]
    pub requests_per_month: Option<u32>,
    /// Its keys are refused.
    pub is_disabled: bool,
    /// When it was made.
    pub created_at: UnixMillis,
}

/// All control data at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Sites by id.
    pub sites: HashMap<SiteId, Arc<Site>>,
    /// Keys by the SHA-256 of their token.
    pub keys: HashMap<[u8; 32], Arc<ApiKey>>,
    /// Feeds by id.
    pub feeds: HashMap<Uuid, Arc<Feed>>,
    /// Lists of companies by id.
    pub lists: HashMap<Uuid, Arc<CompanyList>>,
    /// Goals by id.
    pub goals: HashMap<Uuid, Arc<Goal>>,
    /// Who is not counted.
    pub objections: Arc<Objections>,
    /// Users by id.
    pub users: HashMap<Uuid, Arc<User>>,
    /// Those who sign in, by id.
    pub people: HashMap<Uuid, Arc<Person>>,
    /// Whether the sites were ever loaded, from the store or from the file on disk.
    pub loaded: bool,
}

/// The current snapshot, replaced as a whole.
pub type SharedSnapshot = Arc<ArcSwap<Snapshot>>;
