//! Requests of each key by UTC day.
//!
//! Counted in memory and written every few seconds, one row for each key, day and process, replaced as its count grows: so
//! repeating a write changes nothing, and processes on one database add up. A crash loses the seconds since the last write.

use crate::{
    store::{Store, StoreError},
    time::{UnixMillis, UtcDay},
};
use clickhouse::Row;
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const PERIOD: Duration = Duration::from_secs(10);

/// What keys did since the process began.
#[derive(Debug)]
pub struct Usage {
    /// This process.
    instance: Uuid,
    counts: Mutex<HashMap<(Uuid, UtcDay), Count>>,
    /// One writer at a time, so that an older count never replaces a newer one.
    writing: tokio::sync::Mutex<u64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    requests: u64,
    refused: u64,
    last_used_at: UnixMillis,
    is_written: bool,
}

/// A row of `api_usage`.
#[derive(Debug, Row, Serialize, Deserialize)]
struct UsageRow {
    /// Days since 1970-01-01.
    day: u16,
    #[serde(with = "clickhouse::serde::uuid")]
    key_id: Uuid,
    #[serde(with = "clickhouse::serde::uuid")]
    instance: Uuid,
    requests: u64,
    refused: u64,
    last_used_at: UnixMillis,
    version: u64,
}

impl Default for Usage {
    fn default() -> Self {
        Self { instance: Uuid::new_v4(), counts: Mutex::default(), writing: tokio::sync::Mutex::default() }
    }
}

impl Usage {
    /// Counts a request of a known key; `is_refused` when it was over the key's limit.
    pub(super) fn count(&self, key: Uuid, now: UnixMillis, is_refused: bool) {
        let mut counts = self.counts();
        let count = counts.entry((key, now.day())).or_default();
        count.requests += 1;
        count.refused += u64::from(is_refused);
        count.last_used_at = count.last_used_at.max(now);
        count.is_written = false;
    }

    /// Writes counts every few seconds until `stop`, and a last time then.
    pub async fn run(&self, store: Store, stop: CancellationToken) {
        let mut goes_on = true;
        while goes_on {
            tokio::select! {
                () = sleep(PERIOD) => {}
                () = stop.cancelled() => goes_on = false,
            }
            if let Err(error) = self.write(&store).await {
                tracing::warn!(%error, "the counts of API requests can't be stored; they wait");
            }
        }
    }

    /// Writes what changed since the last time.
    ///
    /// # Errors
    /// [`StoreError`]; the counts stay and are written the next time.
    pub async fn write(&self, store: &Store) -> Result<(), StoreError> {
        let mut version = self.writing.lock().await;
        *version = version.saturating_add(1).max(u64::try_from(UnixMillis::now().0).unwrap_or_default());
        let changed: Vec<_> = {
            let counts = self.counts();
            counts.iter().filter(|(_, count)| !count.is_written).map(|(of, count)| (*of, *count)).collect()
        };
        let row = |((key_id, day), count): &((Uuid, UtcDay), Count)| UsageRow {
            day: u16::try_from(day.0.max(0)).unwrap_or(u16::MAX),
            key_id: *key_id,
            instance: self.instance,
            requests: count.requests,
            refused: count.refused,
            last_used_at: count.last_used_at,
            version: *version,
        };
        let rows: Vec<UsageRow> = changed.iter().map(row).collect();
        store.insert("api_usage", None, &rows).await?;
        let mut counts = self.counts();
        for (of, written) in &changed {
            if let Some(count) = counts.get_mut(of) {
                count.is_written = count.requests == written.requests;
            }
        }
        let newest = counts.keys().map(|(_, day)| *day).max().unwrap_or_default();
        // A day that is over is complete once it is written; two are kept for clocks that step back.
        counts.retain(|(_, day), count| !count.is_written || day.0 + 2 > newest.0);
        Ok(())
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<(Uuid, UtcDay), Count>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When each key was used last, as far as it was written.
///
/// # Errors
/// [`StoreError`].
pub(crate) async fn last_used(store: &Store) -> Result<HashMap<Uuid, UnixMillis>, StoreError> {
    let sql = "SELECT toString(key_id), toUnixTimestamp64Milli(max(last_used_at)) FROM api_usage GROUP BY key_id";
    let rows = store.in_time(store.client().query_raw(sql).fetch_all::<(String, i64)>()).await?;
    Ok(rows.into_iter().filter_map(|(key, at)| Some((key.parse().ok()?, UnixMillis(at)))).collect())
}
