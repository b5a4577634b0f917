//! Forgetting a visitor: what is stored until then goes, what still arrives of it is dropped.
//!
//! A withdrawal leaves its tombstone in the round that brings it, so that nothing new comes in; erasing is another matter, which
//! no round waits for. ClickHouse rewrites a part of every partition for a delete, however few rows it is about, so that
//! whoever could make one delete for each request could stop everybody. So withdrawals are collected, each visitor once, and carried
//! out together every few seconds (`Erasures`); one about whom nothing is stored costs a look-up.
//!
//! The order makes a crash harmless: the tombstone first; then the base rows; then visits and company days are rebuilt without
//! them, which leaves the visits as deleted rows that still say which days to count again; only then these rows go too. What
//! a crash left undone is found at the next start: a tombstone whose visitor still has rows of before.

use super::{
    Pipeline, PipelineError, VisitorKeys,
    rebuild::{Affected, MAX_IN_STATEMENT, Scope, Touched},
    verdicts::Resolve,
    visits::Span,
};
use crate::{
    store::{Store, StoreError},
    time::UnixMillis,
};
use clickhouse::{Row, query::Query};
use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::sleep;

/// Between two times at which withdrawals are carried out.
const ERASURE_INTERVAL: Duration = Duration::from_secs(5);
/// Most withdrawals in memory; more are found again by their tombstones.
const MAX_WAITING: usize = 100_000;

/// A visitor of a site who wants everything up to a moment forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct Forgotten {
    /// Site id.
    pub site: String,
    /// The visitor's key.
    pub visitor: u64,
    /// Everything until then, this moment included.
    pub until: UnixMillis,
}

#[derive(Row, Deserialize)]
struct VisitTimes {
    site: CompactString,
    visitor: u64,
    first: UnixMillis,
    last: UnixMillis,
}

/// Withdrawals that wait for being carried out, each visitor once.
#[derive(Debug)]
pub(super) struct Erasures {
    waiting: Mutex<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    until: BTreeMap<(String, u64), UnixMillis>,
    /// Whether there may be tombstones besides, of an earlier process or of a flood.
    look_for_more: bool,
    /// Whether those that were taken are being erased.
    is_erasing: bool,
}

impl Default for Erasures {
    fn default() -> Self {
        Self { waiting: Mutex::new(Waiting { until: BTreeMap::new(), look_for_more: true, is_erasing: false }) }
    }
}

impl Erasures {
    /// Adds withdrawals whose tombstones are stored.
    pub(super) fn add(&self, forgotten: Vec<Forgotten>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for Forgotten { site, visitor, until } in forgotten {
            if waiting.until.len() >= MAX_WAITING {
                waiting.look_for_more = true;
                return;
            }
            let known = waiting.until.entry((site, visitor)).or_insert(until);
            *known = until.max(*known);
        }
    }

    /// Takes all of them, and whether to look for more.
    fn take(&self) -> (Vec<Forgotten>, bool) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let until = std::mem::take(&mut waiting.until);
        let look_for_more = std::mem::take(&mut waiting.look_for_more);
        waiting.is_erasing = true;
        (until.into_iter().map(|((site, visitor), until)| Forgotten { site, visitor, until }).collect(), look_for_more)
    }

    /// Those that were taken are erased, or wait again.
    fn end(&self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_erasing = false;
    }

    /// Erasing was broken off: what it left undone is found again by its tombstones.
    pub(super) fn recover(&self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.look_for_more |= std::mem::take(&mut waiting.is_erasing);
    }

    fn look_for_more(&self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).look_for_more = true;
    }
}

impl<R: Resolve, K: VisitorKeys> Pipeline<R, K> {
    /// Carries withdrawals out every few seconds, for ever.
    pub(super) async fn erase_regularly(&self) {
        loop {
            sleep(ERASURE_INTERVAL).await;
            self.erase_waiting().await;
        }
    }

    /// Carries out the withdrawals that wait. What fails waits for the next time.
    pub(super) async fn erase_waiting(&self) {
        let (mut waiting, look_for_more) = self.erasures.take();
        if look_for_more {
            match tombstones(&self.store).await {
                Ok(found) => waiting.extend(found),
                Err(error) => {
                    tracing::warn!(%error, "earlier withdrawals can't be looked for yet");
                    self.erasures.look_for_more();
                }
            }
        }
        if let Err(error) = self.erase(&waiting).await {
            tracing::warn!(%error, visitors = waiting.len(), "erasing failed and is tried again");
            self.erasures.add(waiting);
        }
        self.erasures.end();
    }

    /// Erases what is stored of these visitors until their moments, and counts anew what derives from it.
    ///
    /// # Errors
    /// [`PipelineError`]; the call may be repeated.
    pub(super) async fn erase(&self, forgotten: &[Forgotten]) -> Result<(), PipelineError> {
        let snapshot = self.snapshot.load_full();
        for chunk in forgotten.chunks(MAX_IN_STATEMENT) {
            let stored = with_rows(&self.store, chunk).await?;
            if stored.is_empty() {
                continue;
            }
            let touched = erase_events(&self.store, &stored).await?;
            let mut affected = Affected::new();
            self.rebuilder.release_visitors(&touched);
            self.rebuilder.rebuild_visits(&snapshot, &[], touched, &mut affected).await?;
            self.rebuilder.rebuild_totals(&snapshot, &affected, Scope::Companies).await?;
            delete(&self.store, "visits", "started_at", &stored).await?;
        }
        Ok(())
    }
}

/// The moments until which these visitors are forgotten; those who are not are left out.
pub(super) async fn forgotten_until(
    store: &Store,
    visitors: &BTreeSet<u64>,
) -> Result<HashMap<(String, u64), UnixMillis>, StoreError> {
    let visitors: Vec<u64> = visitors.iter().copied().collect();
    let mut known = HashMap::new();
    for chunk in visitors.chunks(MAX_IN_STATEMENT) {
        let sql = "SELECT site, visitor, max(forgotten.until) AS until FROM forgotten
                   WHERE visitor IN {visitors:Array(UInt64)} GROUP BY site, visitor";
        let query = store.client().query(sql).param("visitors", chunk);
        for row in store.in_time(query.fetch_all::<Forgotten>()).await? {
            known.insert((row.site, row.visitor), row.until);
        }
    }
    Ok(known)
}

/// All tombstones there are.
async fn tombstones(store: &Store) -> Result<Vec<Forgotten>, StoreError> {
    let sql = "SELECT site, visitor, max(forgotten.until) AS until FROM forgotten GROUP BY site, visitor";
    store.in_time(store.client().query(sql).fetch_all()).await
}

/// Leaves tombstones.
pub(super) async fn leave_tombstones(store: &Store, forgotten: &[Forgotten]) -> Result<(), StoreError> {
    store.insert("forgotten", None, forgotten).await
}

/// Those of whom something is stored that is to go.
async fn with_rows(store: &Store, chunk: &[Forgotten]) -> Result<Vec<Forgotten>, StoreError> {
    let sql = format!(
        "SELECT DISTINCT site, visitor FROM (
             SELECT toString(site) AS site, visitor FROM events WHERE {}
             UNION ALL SELECT toString(site) AS site, visitor FROM visits WHERE {})",
        condition("event_time"),
        condition("started_at")
    );
    let query = bound(store.client().query(&sql), chunk);
    let found: BTreeSet<(String, u64)> = store.in_time(query.fetch_all::<(String, u64)>()).await?.into_iter().collect();
    Ok(chunk.iter().filter(|gone| found.contains(&(gone.site.clone(), gone.visitor))).cloned().collect())
}

/// Erases the base rows. Returns what must be rebuilt before the visits' rows go.
async fn erase_events(store: &Store, chunk: &[Forgotten]) -> Result<Touched, StoreError> {
    delete(store, "events", "event_time", chunk).await?;
    let mut touched = Touched::default();
    let sql = "SELECT site, visitor, min(started_at) AS first, max(ended_at) AS last FROM visits
               WHERE site IN {sites:Array(String)} AND visitor IN {visitors:Array(UInt64)} GROUP BY site, visitor";
    let query = store.client().query(sql).param("sites", sites(chunk)).param("visitors", visitors(chunk));
    for row in store.in_time(query.fetch_all::<VisitTimes>()).await? {
        // A deleted row has no end.
        touched.add_erased(row.site, row.visitor, Span { first: row.first.0, last: row.last.0.max(row.first.0) });
    }
    for gone in chunk {
        touched.add_erased(gone.site.as_str().into(), gone.visitor, Span::at(gone.until));
    }
    Ok(touched)
}

/// Deletes these visitors' rows, old versions and deleted ones included, of until then.
async fn delete(store: &Store, table: &str, time: &str, chunk: &[Forgotten]) -> Result<(), StoreError> {
    let sql = format!("DELETE FROM {} WHERE {}", store.stored(table), condition(time));
    store.in_time(bound(store.client().query(&sql), chunk).execute()).await
}

/// Rows of these visitors until their moments.
fn condition(time: &str) -> String {
    format!(
        "site IN {{sites:Array(String)}} AND visitor IN {{visitors:Array(UInt64)}}
         AND toUnixTimestamp64Milli({time}) <= transform(visitor, {{visitors:Array(UInt64)}}, {{untils:Array(Int64)}}, toInt64(-1))"
    )
}

fn bound(query: Query, chunk: &[Forgotten]) -> Query {
    let untils: Vec<i64> = chunk.iter().map(|gone| gone.until.0).collect();
    query.param("sites", sites(chunk)).param("visitors", visitors(chunk)).param("untils", untils)
}

fn sites(chunk: &[Forgotten]) -> BTreeSet<&str> {
    chunk.iter().map(|gone| gone.site.as_str()).collect()
}

fn visitors(chunk: &[Forgotten]) -> Vec<u64> {
    chunk.iter().map(|gone| gone.visitor).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone(visitor: u64, until: i64) -> Forgotten {
        Forgotten { site: "shop".to_owned(), visitor, until: UnixMillis(until) }
    }

    #[test]
    fn a_visitor_waits_once_with_the_latest_moment() {
        let erasures = Erasures::default();
        erasures.add(vec![gone(1, 5), gone(2, 1), gone(1, 3)]);
        erasures.add(vec![gone(1, 4)]);
        assert_eq!(erasures.take(), (vec![gone(1, 5), gone(2, 1)], true), "the first time earlier ones are looked for");
        assert_eq!(erasures.take(), (Vec::new(), false));
    }

    #[test]
    fn a_flood_is_bounded_and_found_again_by_its_tombstones() {
        let erasures = Erasures::default();
        erasures.take();
        erasures.add((0..MAX_WAITING as u64 + 10).map(|visitor| gone(visitor, 1)).collect());
        let (waiting, look_for_more) = erasures.take();
        assert_eq!((waiting.len(), look_for_more), (MAX_WAITING, true));
    }
}
