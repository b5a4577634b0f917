//! Requests of each key by UTC day.
//!
//! Counted in memory and written every few seconds, one row for each key, day and process, replaced as its count grows: so
//! repeating a write changes nothing, and processes on one database add up. A crash loses the seconds since the last write.
//!
//! A month's limit looks at what all processes have stored and at what this one counted since, so that processes on one
//! database learn of each other's requests with the next write.

use crate::{
    store::{Store, StoreError},
    time::{UnixMillis, UtcDay},
};
use clickhouse::Row;
use jiff::civil::Date;
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
    /// Answered requests by key and month, as all processes have stored them; a month by its first day.
    months: Mutex<HashMap<(Uuid, UtcDay), u64>>,
    /// One writer at a time, so that an older count never replaces a newer one.
    writing: tokio::sync::Mutex<u64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    requests: u64,
    refused: u64,
    last_used_at: UnixMillis,
    /// Of the requests, those that are stored, and of the refused ones.
    written: (u64, u64),
}

impl Count {
    const fn is_written(&self) -> bool {
        self.requests == self.written.0
    }

    const fn answered_since(&self) -> u64 {
        (self.requests - self.refused).saturating_sub(self.written.0 - self.written.1)
    }
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
        Self {
            instance: Uuid::new_v4(),
            counts: Mutex::default(),
            months: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
        }
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
    }

    /// How many requests of a key were answered in this UTC month, those of other processes some seconds late.
    pub(super) fn answered_this_month(&self, key: Uuid, now: UnixMillis) -> u64 {
        let (first, today) = (first_of_month(now.day()), now.day());
        // In this order, which the writer takes too: a count that is being stored is never missing from both.
        let counts = self.counts();
        let since: u64 =
            (first.0..=today.0).filter_map(|day| counts.get(&(key, UtcDay(day)))).map(Count::answered_since).sum();
        let months = self.months.lock().unwrap_or_else(PoisonError::into_inner);
        months.get(&(key, first)).copied().unwrap_or_default() + since
    }

    /// Writes counts every few seconds until `stop`, and a last time then.
    pub async fn run(&self, store: &Store, stop: CancellationToken) {
        let mut goes_on = true;
        // A process that begins knows what was used before.
        if let Err(error) = self.write(store).await {
            tracing::warn!(%error, "the counts of API requests can't be read yet");
        }
        while goes_on {
            tokio::select! {
                () = sleep(PERIOD) => {}
                () = stop.cancelled() => goes_on = false,
            }
            if let Err(error) = self.write(store).await {
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
            counts.iter().filter(|(_, count)| !count.is_written()).map(|(of, count)| (*of, *count)).collect()
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
        let newest = self.counts().keys().map(|(_, day)| *day).max();
        let month = first_of_month(newest.unwrap_or_else(|| UnixMillis::now().day()));
        let stored = answered_since(store, month).await?;
        let mut counts = self.counts();
        *self.months.lock().unwrap_or_else(PoisonError::into_inner) =
            stored.into_iter().map(|(key, answered)| ((key, month), answered)).collect();
        for (of, written) in &changed {
            if let Some(count) = counts.get_mut(of) {
                count.written = (written.requests, written.refused);
            }
        }
        let newest = counts.keys().map(|(_, day)| *day).max().unwrap_or_default();
        // A day that is over is complete once it is written; two are kept for clocks that step back.
        counts.retain(|(_, day), count| !count.is_written() || day.0 + 2 > newest.0);
        Ok(())
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<(Uuid, UtcDay), Count>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn first_of_month(day: UtcDay) -> UtcDay {
    let date = jiff::civil::date(1970, 1, 1).checked_add(jiff::Span::new().days(day.0)).unwrap_or_default();
    UtcDay(day.0 - i32::from(date.day()) + 1)
}

/// Answered requests of each key since a day, as all processes have stored them.
async fn answered_since(store: &Store, first: UtcDay) -> Result<HashMap<Uuid, u64>, StoreError> {
    let sql = "SELECT toString(key_id), toUInt64(sum(requests - refused)) FROM api_usage FINAL \
        WHERE toInt64(toUInt16(day)) >= {first:Int64} GROUP BY key_id";
    let query = store.client().query_raw(sql).param("first", i64::from(first.0));
    let rows = store.in_time(query.fetch_all::<(String, u64)>()).await?;
    Ok(rows.into_iter().filter_map(|(key, answered)| Some((key.parse().ok()?, answered))).collect())
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

/// Requests of one key on one day or in one month.
#[derive(Clone, Debug, Row, Deserialize)]
pub(crate) struct KeyDay {
    pub(crate) key: String,
    pub(crate) period: String,
    pub(crate) requests: u64,
    pub(crate) refused: u64,
}

/// Requests of keys, by key and UTC day or month.
pub(crate) async fn by_key(
    store: &Store,
    keys: &[Uuid],
    by_month: bool,
    (first, last): (Date, Date),
) -> Result<Vec<KeyDay>, StoreError> {
    let period = if by_month { "formatDateTime(day, '%Y-%m')" } else { "toString(day)" };
    let sql = format!(
        "SELECT toString(key_id) AS key, {period} AS period, sum(entry.requests) AS requests, sum(entry.refused) AS refused \
        FROM api_usage AS entry FINAL \
        WHERE key_id IN {{keys:Array(UUID)}} AND day BETWEEN {{first_day:Date}} AND {{last_day:Date}} \
        GROUP BY key, period ORDER BY period, key"
    );
    let keys: Vec<String> = keys.iter().map(Uuid::to_string).collect();
    let query = store.reading(&sql).param("keys", keys);
    let query = query.param("first_day", first.to_string()).param("last_day", last.to_string());
    store.in_time(query.fetch_all()).await
}
