//! Sites, API keys, users and day keys: the one writer of control data.
//!
//! # Design
//! Control data is small: a few tables of JSON documents, of which the row with the highest version counts. [`Control`] keeps
//! all of it in memory as one immutable [`Snapshot`] that the serving paths read without waiting.
//!
//! - **One change at a time.** A mutex spans load, check, write and publish of each change, and each refresh, so
//!   that a refresh never publishes a picture older than a change that has returned. ClickHouse has no unique keys: what must
//!   be unique is checked here, against rows just read. Two processes that change the same thing in
//!   the same moment are not told apart; the later version counts.
//! - **In force on return.** A change is published before its call returns, and reaches other collectors with their
//!   next [`Control::refresh`].
//! - **Serves without ClickHouse.** Each new snapshot is mirrored to a file, which is what a start finds when
//!   ClickHouse is away. The mirror holds no secrets but hashes of tokens and passwords, and is never the truth: it is
//!   replaced by the first successful refresh.
//! - **Day keys** are random, shared through the store, and gone 48 hours after they were made: see `day_keys`.

mod access;
mod day_keys;
mod error;
mod exports;
mod master_key;
mod mirror;
mod objections;
mod people;
mod removed_sites;
mod site_objects;
mod site_rules;
mod stored_objection;
mod token;

pub use access::{KeyChange, NewKey, NewUser, UserChange};
pub use error::ControlError;
pub use exports::{ExportRequest, ExportStatus};
pub use people::{NewPerson, PersonChange};
pub(crate) use people::{by_email, invited};
pub use removed_sites::RemovedSite;
pub use site_objects::SiteObject;
pub use site_rules::SiteRule;
pub use token::{Token, random_name, token_sha256};

use crate::{
    person::Person,
    sealing::MasterKey,
    site::{Site, SiteId},
    snapshot::{ApiKey, SharedSnapshot, Snapshot, User},
    store::Store,
    time::{UnixMillis, UtcDay},
};
use arc_swap::ArcSwap;
use clickhouse::Row;
use day_keys::DayKeys;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{path::PathBuf, sync::Arc};
use tokio::sync::{Mutex, MutexGuard, Notify};

/// The writer and keeper of control data. Clones share everything.
#[derive(Clone, Debug)]
pub struct Control {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    store: Store,
    master_key: MasterKey,
    mirror: PathBuf,
    snapshot: SharedSnapshot,
    /// Held from reading the tables to publishing what was read or changed. Inside: whether the mirror is
    /// known to hold the current snapshot.
    mirrored: Mutex<bool>,
    day_keys: DayKeys,
    /// Wakes whoever makes exports.
    export_asked: Notify,
}

/// A row of `sites` or `objections`.
#[derive(Row, Serialize, Deserialize)]
struct NamedDocumentRow {
    id: String,
    document: String,
    version: u64,
    is_deleted: u8,
}

impl Control {
    /// Control data as the mirror file has it, or none; nothing is asked of the store before [`Control::refresh`].
    #[must_use]
    pub fn open(store: Store, master_key: MasterKey, mirror: PathBuf) -> Self {
        let snapshot = match mirror::read(&mirror, &master_key) {
            Ok(Some(snapshot)) => snapshot,
            Ok(None) => Snapshot::default(),
            Err(error) => {
                tracing::warn!(path = %mirror.display(), %error, "the copy of sites and keys cannot be used; they are read from ClickHouse");
                Snapshot::default()
            }
        };
        let snapshot = Arc::new(ArcSwap::from_pointee(snapshot));
        let shared = Shared {
            store,
            master_key,
            mirror,
            snapshot,
            mirrored: Mutex::new(false),
            day_keys: DayKeys::default(),
            export_asked: Notify::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The snapshot that every reader shares.
    #[must_use]
    pub fn snapshot(&self) -> SharedSnapshot {
        Arc::clone(&self.shared.snapshot)
    }

    /// Reads all control data, publishes what changed, and destroys day keys that are due. Call it every few seconds.
    ///
    /// # Errors
    /// [`ControlError::Store`]; the snapshot stays as it was.
    pub async fn refresh(&self, now: UnixMillis) -> Result<(), ControlError> {
        let shared = &self.shared;
        shared.day_keys.forget_due(now);
        let mut mirrored = shared.mirrored.lock().await;
        let snapshot = self.load().await?;
        self.publish(&mut mirrored, snapshot).await;
        drop(mirrored);
        shared.day_keys.refresh(&shared.store, &shared.master_key, now).await
    }

    /// All sites, by id.
    #[must_use]
    pub fn list_sites(&self) -> Vec<Arc<Site>> {
        let mut sites: Vec<_> = self.shared.snapshot.load().sites.values().cloned().collect();
        sites.sort_by(|a, b| a.id.cmp(&b.id));
        sites
    }

    /// Adds a site, in force when this returns, and returns it as it was stored: names trimmed, hosts in the form
    /// browsers send.
    ///
    /// # Errors
    /// [`ControlError::SiteRule`], [`ControlError::SiteExists`], [`ControlError::SiteWasRemoved`] or [`ControlError::Store`].
    pub async fn add_site(&self, site: Site, now: UnixMillis) -> Result<Arc<Site>, ControlError> {
        let site = Arc::new(site_rules::check(site)?);
        let (mut mirrored, mut snapshot) = self.begin().await?;
        if snapshot.sites.contains_key(&site.id) {
            return Err(ControlError::SiteExists(site.id.clone()));
        }
        if self.removed_sites().await?.iter().any(|removed| removed.id == site.id) {
            return Err(ControlError::SiteWasRemoved(site.id.clone()));
        }
        self.write_site(&site, false, now).await?;
        snapshot.sites.insert(site.id.clone(), Arc::clone(&site));
        self.publish(&mut mirrored, snapshot).await;
        Ok(site)
    }

    /// Replaces a site, in force when this returns.
    ///
    /// # Errors
    /// [`ControlError::SiteRule`], [`ControlError::NoSuchSite`] or [`ControlError::Store`].
    pub async fn set_site(&self, site: Site, now: UnixMillis) -> Result<Arc<Site>, ControlError> {
        let site = Arc::new(site_rules::check(site)?);
        let (mut mirrored, mut snapshot) = self.begin().await?;
        if !snapshot.sites.contains_key(&site.id) {
            return Err(ControlError::NoSuchSite(site.id.clone()));
        }
        self.write_site(&site, false, now).await?;
        snapshot.sites.insert(site.id.clone(), Arc::clone(&site));
        self.publish(&mut mirrored, snapshot).await;
        Ok(site)
    }

    /// Removes a site: its beacons are refused from now on. What was stored of it stays until [`Self::purge_site`] or the
    /// retention takes it, and so long nobody else can have the id. Keys, users and people that were limited to it lose it, and a key that
    /// has no site left is revoked.
    ///
    /// # Errors
    /// [`ControlError::NoSuchSite`] or [`ControlError::Store`].
    pub async fn remove_site(&self, id: &SiteId, now: UnixMillis) -> Result<(), ControlError> {
        let (mut mirrored, mut snapshot) = self.begin().await?;
        let site = snapshot.sites.remove(id).ok_or_else(|| ControlError::NoSuchSite(id.clone()))?;
        self.write_site(&site, true, now).await?;
        self.take_site_from_keys_and_users(&mut snapshot, id, now).await?;
        self.take_site_from_people(&mut snapshot, id, now).await?;
        self.publish(&mut mirrored, snapshot).await;
        Ok(())
    }

    /// The random key of a UTC day, made when there is none, and another one once it was destroyed, 48 hours after it was
    /// made.
    ///
    /// # Errors
    /// [`ControlError::Store`], or [`ControlError::Sealing`] when the system has no randomness.
    pub async fn day_key(&self, day: UtcDay, now: UnixMillis) -> Result<[u8; 32], ControlError> {
        self.shared.day_keys.get(&self.shared.store, &self.shared.master_key, day, now).await
    }

    /// The lasting key under which client ids are hashed. It hangs on the master key alone.
    #[must_use]
    pub fn visitor_key(&self) -> [u8; 32] {
        self.shared.master_key.derive(b"firmsight visitor key")
    }

    /// The lasting key under which lines of access logs get their events' ids.
    #[must_use]
    pub fn import_key(&self) -> [u8; 32] {
        self.shared.master_key.derive(b"firmsight imported event ids")
    }

    /// Starts a change: the right to make it, and what it changes.
    async fn begin(&self) -> Result<(MutexGuard<'_, bool>, Snapshot), ControlError> {
        let mirrored = self.shared.mirrored.lock().await;
        let snapshot = self.load().await?;
        Ok((mirrored, snapshot))
    }

    async fn load(&self) -> Result<Snapshot, ControlError> {
        let store = &self.shared.store;
        let client = store.client();
        let sites = client.query_raw("SELECT id, document FROM sites FINAL").fetch_all::<(String, String)>();
        let keys =
            client.query_raw("SELECT toString(id), document FROM api_keys FINAL").fetch_all::<(String, String)>();
        let users = client.query_raw("SELECT toString(id), document FROM users FINAL").fetch_all::<(String, String)>();
        let people =
            client.query_raw("SELECT toString(id), document FROM people FINAL").fetch_all::<(String, String)>();
        let (sites, keys, users, people) =
            tokio::try_join!(store.in_time(sites), store.in_time(keys), store.in_time(users), store.in_time(people))?;
        let mut snapshot = Snapshot { loaded: true, ..Snapshot::default() };
        for site in parse_documents::<Site>("site", &sites) {
            snapshot.sites.insert(site.id.clone(), Arc::new(site));
        }
        for key in parse_documents::<ApiKey>("key", &keys) {
            snapshot.keys.insert(key.token_sha256, Arc::new(key));
        }
        self.load_objects(&mut snapshot).await?;
        self.load_objections(&mut snapshot).await?;
        for user in parse_documents::<User>("user", &users) {
            snapshot.users.insert(user.id, Arc::new(user));
        }
        for person in parse_documents::<Person>("person", &people) {
            snapshot.people.insert(person.id, Arc::new(person));
        }
        Ok(snapshot)
    }

    /// Publishes a snapshot, then mirrors it. A mirror that can't be written is no reason to refuse a change which is
    /// stored and in force.
    async fn publish(&self, mirrored: &mut bool, snapshot: Snapshot) {
        let shared = &self.shared;
        if *mirrored && **shared.snapshot.load() == snapshot {
            return;
        }
        let snapshot = Arc::new(snapshot);
        shared.snapshot.store(Arc::clone(&snapshot));
        *mirrored = match mirror::write(shared.mirror.clone(), snapshot, shared.master_key.clone()).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(path = %shared.mirror.display(), %error, "sites and keys cannot be copied to disk");
                false
            }
        };
    }

    async fn write_site(&self, site: &Site, is_deleted: bool, now: UnixMillis) -> Result<(), ControlError> {
        self.write_named("sites", site.id.to_string(), document(site)?, is_deleted, now).await
    }

    async fn write_named(
        &self,
        table: &str,
        id: String,
        document: String,
        is_deleted: bool,
        now: UnixMillis,
    ) -> Result<(), ControlError> {
        let version = self.next_version(table, now).await?;
        let row = NamedDocumentRow { id, document, version, is_deleted: is_deleted.into() };
        Ok(self.shared.store.insert(table, None, &[row]).await?)
    }

    /// The time, or more where a clock that is ahead has written already.
    async fn next_version(&self, table: &str, now: UnixMillis) -> Result<u64, ControlError> {
        let store = &self.shared.store;
        let sql = format!("SELECT max(version) FROM {table}");
        let highest: u64 = store.in_time(store.client().query_raw(&sql).fetch_one()).await?;
        Ok(highest.saturating_add(1).max(u64::try_from(now.0).unwrap_or_default()))
    }
}

fn document<T: Serialize>(value: &T) -> Result<String, ControlError> {
    serde_json::to_string(value).map_err(|error| ControlError::Document(error.to_string()))
}

/// Reads documents; one that a later version wrote, or a hand, must not take all others down.
fn parse_documents<T: DeserializeOwned>(what: &str, rows: &[(String, String)]) -> Vec<T> {
    let parse = |(id, text): &(String, String)| match serde_json::from_str(text) {
        Ok(value) => Some(value),
        Err(error) => {
            tracing::error!(what, id, %error, "a document in ClickHouse cannot be read and is left out");
            None
        }
    };
    rows.iter().filter_map(parse).collect()
}
