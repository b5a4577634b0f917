//! The random keys of UTC days, under which visitors without an id are hashed.
//!
//! A key makes visits of one browser on one day recognisable, and its end makes them unlinkable for good. So it is random, lives
//! in the store only sealed with the master key, and is destroyed 48 hours after it was made: in memory by
//! [`DayKeys::forget_due`], in the store by a delete and by the table's TTL (which ClickHouse applies only when
//! it merges); a row that is due is never read again. Events of a day whose key is gone get a new one.
//!
//! Collectors on one database share keys. ClickHouse cannot say "insert unless there", so each candidate is
//! a row and the earliest counts: whoever makes a key writes it, then reads what counts. A candidate that was
//! made earlier on a slow clock may still arrive later; [`DayKeys::refresh`] reads again what counts every few seconds, and
//! makes the keys of the day and, ten minutes before midnight, of the next: by then all collectors have the same. Only
//! collectors that are started at the same moment on an empty store may differ, for these seconds.
//!
//! A row that doesn't open was sealed under another master key (a lost key file, or collectors with different ones). It
//! is passed over, because waiting for it would stop the pipeline.

use super::ControlError;
use crate::{
    sealing::{KEY_BYTES, MasterKey, random_key},
    store::Store,
    time::{UnixMillis, UtcDay},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use clickhouse::Row;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// How long before its day begins a key is made, in milliseconds.
const AHEAD: i64 = 10 * 60 * 1000;
/// How long a key lives, in milliseconds.
const LIFETIME: i64 = 48 * 60 * 60 * 1000;

/// A row of `day_keys`.
#[derive(Debug, Row, Serialize, Deserialize)]
struct DayKeyRow {
    /// Days since 1970-01-01.
    day: u16,
    /// When it was made, in milliseconds.
    version: u64,
    /// Base64 of the sealed key.
    sealed: String,
    /// When it was made, in seconds, for the TTL.
    created_at: u32,
}

#[derive(Clone, Copy)]
struct DayKey {
    key: [u8; KEY_BYTES],
    made_at: UnixMillis,
}

impl DayKey {
    const fn is_due(&self, now: UnixMillis) -> bool {
        now.0 - self.made_at.0 >= LIFETIME
    }
}

/// The keys in use.
#[derive(Default)]
pub(super) struct DayKeys {
    keys: Mutex<HashMap<UtcDay, DayKey>>,
    /// One maker at a time, so that concurrent first events of a day make one key.
    making: tokio::sync::Mutex<()>,
}

/// Without the keys.
impl std::fmt::Debug for DayKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DayKeys").finish_non_exhaustive()
    }
}

impl DayKeys {
    /// The key of a day; reads or makes it when it isn't in memory.
    pub(super) async fn get(
        &self,
        store: &Store,
        master_key: &MasterKey,
        day: UtcDay,
        now: UnixMillis,
    ) -> Result<[u8; KEY_BYTES], ControlError> {
        if let Some(key) = self.in_memory(day, now) {
            return Ok(key);
        }
        let _making = self.making.lock().await;
        if let Some(key) = self.in_memory(day, now) {
            return Ok(key);
        }
        let found = match read(store, master_key, Some(day), now).await?.remove(&day) {
            Some(found) => found,
            None => {
                let made = DayKey { key: random_key()?, made_at: now };
                store.insert("day_keys", None, &[seal(master_key, day, &made)]).await?;
                read(store, master_key, Some(day), now).await?.remove(&day).unwrap_or(made)
            }
        };
        self.lock().insert(day, found);
        Ok(found.key)
    }

    /// Destroys the keys in memory that are due.
    pub(super) fn forget_due(&self, now: UnixMillis) {
        self.lock().retain(|_, key| !key.is_due(now));
    }

    /// Takes over what counts in the store for the days in memory, and destroys the stored keys that are due.
    pub(super) async fn refresh(
        &self,
        store: &Store,
        master_key: &MasterKey,
        now: UnixMillis,
    ) -> Result<(), ControlError> {
        let stored = if self.lock().is_empty() { BTreeMap::new() } else { read(store, master_key, None, now).await? };
        for (day, key) in self.lock().iter_mut() {
            if let Some(counts) = stored.get(day) {
                *key = *counts;
            }
        }
        let due = now.0.saturating_sub(LIFETIME);
        let count = "SELECT count() FROM day_keys WHERE version <= {due:UInt64}";
        let count: u64 = store.in_time(store.client().query_raw(count).param("due", due).fetch_one()).await?;
        if count > 0 {
            let delete = "ALTER TABLE day_keys DELETE WHERE version <= {due:UInt64} SETTINGS mutations_sync = 1";
            store.in_time(store.client().query_raw(delete).param("due", due).execute()).await?;
        }
        // Before anybody needs them, so that several collectors have long agreed by then.
        self.get(store, master_key, now.day(), now).await?;
        self.get(store, master_key, UnixMillis(now.0.saturating_add(AHEAD)).day(), now).await?;
        Ok(())
    }

    fn in_memory(&self, day: UtcDay, now: UnixMillis) -> Option<[u8; KEY_BYTES]> {
        self.lock().get(&day).filter(|key| !key.is_due(now)).map(|key| key.key)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UtcDay, DayKey>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What counts in the store, for one day or for all: the earliest candidate of each day that isn't due and opens.
async fn read(
    store: &Store,
    master_key: &MasterKey,
    day: Option<UtcDay>,
    now: UnixMillis,
) -> Result<BTreeMap<UtcDay, DayKey>, ControlError> {
    let sql =
        "SELECT ?fields FROM day_keys WHERE version > ? AND (? OR toUInt16(day) = ?) ORDER BY day, version, sealed";
    let query = store.client().query(sql).bind(now.0.saturating_sub(LIFETIME));
    let query = query.bind(day.is_none()).bind(day.map(column).unwrap_or_default());
    let mut keys = BTreeMap::new();
    for row in store.in_time(query.fetch_all::<DayKeyRow>()).await? {
        let day = UtcDay(row.day.into());
        match open(master_key, &row) {
            Some(key) => {
                keys.entry(day).or_insert(key);
            }
            None => tracing::debug!(day = day.0, "a day key was sealed under another master key"),
        }
    }
    Ok(keys)
}

fn seal(master_key: &MasterKey, day: UtcDay, made: &DayKey) -> DayKeyRow {
    let day = column(day);
    DayKeyRow {
        day,
        version: u64::try_from(made.made_at.0).unwrap_or_default(),
        sealed: STANDARD.encode(master_key.seal(&context(day), &made.key)),
        created_at: u32::try_from(made.made_at.0 / 1000).unwrap_or(u32::MAX),
    }
}

fn open(master_key: &MasterKey, row: &DayKeyRow) -> Option<DayKey> {
    let sealed = STANDARD.decode(&row.sealed).ok()?;
    let key = master_key.open(&context(row.day), &sealed).ok()?.try_into().ok()?;
    Some(DayKey { key, made_at: UnixMillis(i64::try_from(row.version).ok()?) })
}

/// The day as the column holds it; days outside of ClickHouse's `Date` (1970 to 2149) share its ends.
fn column(day: UtcDay) -> u16 {
    u16::try_from(day.0.max(0)).unwrap_or(u16::MAX)
}

fn context(day: u16) -> Vec<u8> {
    [b"firmsight day key ".as_slice(), &day.to_be_bytes()].concat()
}
