//! Visits from events, company days from visits: rebuilt for what was touched, never incremented.
//!
//! # What a rebuild reads, and why that is right
//! It starts from the keys (site, the client's clock, event id) of base rows that were just inserted.
//!
//! 1. *Who is touched.* All stored rows with those keys are looked up, losers of the first-arrival rule
//!    included: their visitors and event times are what may have changed. Mostly that is the visitor of the
//!    new row alone. When the same event came twice for two visitors (a consent given in between, a retry from
//!    another network), both are rebuilt, and it counts for the one whose row came first: never twice.
//! 2. *Their events*, around the touched times (`Window`). The inner select finds keys by visitor and event time, the outer
//!    one reads every row of those keys and chooses the first arrival. `FINAL` would give the same but has to read all columns
//!    of all events of the site in that time, because a filter by visitor must not come before the choice
//!    (docs/decisions/0002-counting.md has figures).
//! 3. *Their visits*: new and changed ones are written whole. Stored ones that start in a settled span and were not
//!    found again get a row with `is_deleted = 1` under their full key. That is decided after all visitors of the
//!    round, because a visit can pass from one visitor to another and keep its key.
//! 4. *Company days* of the old and new visits' companies, as sums over the visits as they are then, by a statement inside
//!    ClickHouse (`company_days`).
//! 5. *Companies* of these days, as sums over all their days, with what is known about them from elsewhere.
//!
//! # Versions and crashes
//! A version is taken after the inserts it builds on and before the reads, so that of two rebuilds at once the one
//! that saw less has the lower version. A rebuild that breaks off is repeated. What it had touched (the old companies of
//! rewritten visits) is kept in [`Affected`] between attempts; after a restart, when that is gone, [`Scope::WholeDays`]
//! counts all companies of the touched days. Deleted visits stay as rows, so their days are known for as long as visits are.
//!
//! What was written so long ago that its base rows may have expired is left alone: see `provable`.

mod companies;
mod company_days;
mod isolation;
mod provable;
mod visitors;

pub use companies::NoProfiles;
pub use provable::KeptFor;

use self::isolation::within_limits;
use super::{
    local_day::{LocalDay, zone},
    rows::stored_clock,
    set_aside::Quarantine,
    visits::{Span, VisitTimeout},
};
use crate::{
    site::SiteId,
    snapshot::Snapshot,
    spool::record::SpooledEvent,
    store::{Staged, Store, StoreError},
    time::UnixMillis,
};
use clickhouse::{Row, RowOwned, RowRead, query::Query};
use compact_str::CompactString;
use firmsight_resolver::ProfileLookup;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::{
        Arc, Mutex as StdMutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::sync::Mutex;
use uuid::Uuid;

/// Most visitors or companies as parameters of one statement: ClickHouse's client refuses one over 100 KB.
pub(super) const MAX_IN_STATEMENT: usize = 2_000;
/// Most sites in one statement; an id has up to 64 bytes.
const MAX_SITES_IN_STATEMENT: usize = 1_000;

/// Versions of derived rows: microseconds since 1970 that always grow, by the store's clock. Collectors that share a store
/// share that clock, whatever their own say; and where it was put back, they go on from the highest version there is.
#[derive(Debug, Default)]
pub struct Versions {
    last: AtomicU64,
    /// What the store's clock said, and when by ours that only goes forwards.
    told: StdMutex<Option<(u64, Instant)>>,
}

impl Versions {
    /// The next one.
    pub fn next(&self) -> u64 {
        let told = *self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let since = match told {
            Some((micros, when)) => Duration::from_micros(micros) + when.elapsed(),
            None => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        };
        let now = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
        let last = self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(now.max(last + 1)));
        last.map_or(now, |last| now.max(last + 1))
    }

    /// Sets the clock by the store's, the first time also by its rows.
    async fn follow(&self, store: &Store) -> Result<(), StoreError> {
        const NOW: &str = "SELECT toUInt64(toUnixTimestamp64Micro(now64(6, 'UTC')))";
        const HIGHEST: &str = "SELECT max(highest) FROM (SELECT max(version) AS highest FROM visits
            UNION ALL SELECT max(version) FROM company_activity UNION ALL SELECT max(version) FROM companies)";
        let is_first = self.told.lock().unwrap_or_else(PoisonError::into_inner).is_none();
        if is_first {
            let highest: u64 = store.in_time(store.client().query_raw(HIGHEST).fetch_one()).await?;
            self.last.fetch_max(highest, Ordering::Relaxed);
        }
        let now: u64 = store.in_time(store.client().query_raw(NOW).fetch_one()).await?;
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, Instant::now()));
        Ok(())
    }
}

/// The key of a base row.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BaseKey {
    /// Site id.
    pub site: CompactString,
    /// The client's own clock, as it is stored.
    pub at: UnixMillis,
    /// The event's id.
    pub event_id: Uuid,
}

impl BaseKey {
    /// The key of an event's row.
    #[must_use]
    pub fn new(site: &SiteId, received: UnixMillis, event: &SpooledEvent) -> Self {
        Self { site: site.as_str().into(), at: stored_clock(event.at, received), event_id: event.id }
    }
}

/// Visitors by site, and the event times of theirs that were touched.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Touched {
    spans: BTreeMap<(CompactString, u64), Span>,
    /// Those of them whose events were erased at their own wish.
    erased: BTreeSet<(CompactString, u64)>,
}

impl Touched {
    /// Adds a visitor's times.
    pub fn add(&mut self, site: CompactString, visitor: u64, span: Span) {
        self.spans.entry((site, visitor)).and_modify(|known| *known = known.union(span)).or_insert(span);
    }

    /// Adds times of a visitor whose events were erased: no visit of theirs is settled for good.
    pub fn add_erased(&mut self, site: CompactString, visitor: u64, span: Span) {
        self.erased.insert((site.clone(), visitor));
        self.add(site, visitor, span);
    }

    fn is_erased(&self, site: &CompactString, visitor: u64) -> bool {
        self.erased.contains(&(site.clone(), visitor))
    }
}

/// Company days to count again: those of visits that a rebuild wrote or replaced.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Affected {
    companies: BTreeMap<(CompactString, LocalDay), BTreeSet<u64>>,
    /// Days on which an erased visitor came.
    erased: BTreeSet<(CompactString, LocalDay)>,
}

/// Which companies of a touched day are counted again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Those whose visits were touched.
    Companies,
    /// All: for what may have been half done before.
    WholeDays,
}

/// A row of the temporary table `touched_keys`.
#[derive(Row, Serialize)]
struct TouchedKey<'a> {
    site: &'a str,
    at: UnixMillis,
    #[serde(with = "clickhouse::serde::uuid")]
    event_id: Uuid,
}

#[derive(Debug, Row, Deserialize)]
struct TouchedRow {
    site: CompactString,
    visitor: u64,
    first: UnixMillis,
    last: UnixMillis,
}

/// Rebuilds what derives from base rows, one round at a time.
pub struct Rebuilder {
    store: Store,
    timeout: VisitTimeout,
    versions: Versions,
    profiles: Arc<dyn ProfileLookup>,
    kept: KeptFor,
    one_at_a_time: Mutex<()>,
    quarantine: StdMutex<Quarantine>,
    /// Whether what an earlier process set aside is in the quarantine.
    has_recalled: OnceLock<()>,
}

impl fmt::Debug for Rebuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rebuilder").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl Rebuilder {
    /// A rebuilder of this store.
    #[must_use]
    pub fn new(store: Store, timeout: VisitTimeout, profiles: Arc<dyn ProfileLookup>) -> Self {
        Self {
            store,
            timeout,
            versions: Versions::default(),
            profiles,
            kept: KeptFor::default(),
            one_at_a_time: Mutex::default(),
            quarantine: StdMutex::default(),
            has_recalled: OnceLock::new(),
        }
    }

    /// Versions for rows that belong to the same round.
    #[must_use]
    pub const fn versions(&self) -> &Versions {
        &self.versions
    }

    /// Rebuilds the visits around these base rows and around `also`; adds the days of what they were and are.
    ///
    /// # Errors
    /// [`StoreError`]; repeat with the same arguments, `affected` included.
    #[tracing::instrument(target = "firmsight", name = "pipeline.rebuild", skip_all, fields(keys = keys.len()))]
    pub async fn rebuild_visits(
        &self,
        snapshot: &Snapshot,
        keys: &[&BaseKey],
        also: Touched,
        affected: &mut Affected,
    ) -> Result<(), StoreError> {
        let _one = self.one_at_a_time.lock().await;
        self.versions.follow(&self.store).await?;
        self.recall_set_aside().await?;
        let mut touched = also;
        for row in self.touched_by(keys).await? {
            touched.add(row.site, row.visitor, Span { first: row.first.0, last: row.last.0 });
        }
        self.rebuild_visits_of(snapshot, &touched, affected).await
    }

    /// Counts the affected company days again, and the companies whose days these are.
    ///
    /// # Errors
    /// [`StoreError`]; repeat with the same arguments.
    pub async fn rebuild_totals(
        &self,
        snapshot: &Snapshot,
        affected: &Affected,
        scope: Scope,
    ) -> Result<(), StoreError> {
        let _one = self.one_at_a_time.lock().await;
        let companies = self.rebuild_company_days(snapshot, affected, scope).await?;
        self.rebuild_companies(&companies).await
    }

    /// Visitors of whom something was stored or counted in the last hour before the newest row.
    pub(super) async fn newest(&self) -> Result<Touched, StoreError> {
        let query = self.query(
            "SELECT site, visitor, min(first) AS first, max(last) AS last FROM (
                 SELECT toString(site) AS site, visitor, min(event_time) AS first, max(event_time) AS last FROM events
                 WHERE stored_at >= (SELECT max(stored_at) FROM events) - INTERVAL 1 HOUR GROUP BY site, visitor
                 UNION ALL
                 SELECT toString(site) AS site, visitor, min(started_at) AS first, greatest(max(ended_at), min(started_at)) AS last
                 FROM visits WHERE version + 3600000000 >= (SELECT max(version) FROM visits) GROUP BY site, visitor)
             GROUP BY site, visitor",
        );
        let mut touched = Touched::default();
        for row in self.all::<TouchedRow>(query).await? {
            touched.add(row.site, row.visitor, Span { first: row.first.0, last: row.last.0 });
        }
        Ok(touched)
    }

    async fn touched_by(&self, keys: &[&BaseKey]) -> Result<Vec<TouchedRow>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let staged = self.stage_keys(keys).await?;
        let query = staged.query(
            "SELECT site, visitor, min(event_time) AS first, max(event_time) AS last FROM events
             WHERE (site, at, event_id) IN (SELECT site, at, event_id FROM touched_keys)
             GROUP BY site, visitor",
        );
        let touched = self.all(within_limits(query)).await?;
        staged.end().await;
        Ok(touched)
    }

    async fn stage_keys(&self, keys: &[&BaseKey]) -> Result<Staged, StoreError> {
        let rows: Vec<TouchedKey<'_>> =
            keys.iter().map(|key| TouchedKey { site: &key.site, at: key.at, event_id: key.event_id }).collect();
        let columns = "site String, at DateTime64(3, 'UTC'), event_id UUID";
        self.store.stage::<TouchedKey<'_>>("touched_keys", columns, &rows).await
    }

    /// A query whose FINAL is exact.
    fn query(&self, sql: &str) -> Query {
        exact_final(self.store.client().query(sql))
    }

    async fn all<T: RowOwned + RowRead>(&self, query: Query) -> Result<Vec<T>, StoreError> {
        self.store.in_time(query.fetch_all()).await
    }
}

impl Affected {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { companies: BTreeMap::new(), erased: BTreeSet::new() }
    }

    fn add<'a>(&mut self, snapshot: &Snapshot, visits: impl Iterator<Item = (&'a str, UnixMillis, u64)>) {
        let mut zones = HashMap::new();
        for (site, started_at, company) in visits {
            let zone = zones.entry(site).or_insert_with(|| zone(zone_of(snapshot, site)));
            let companies = self.companies.entry((site.into(), LocalDay::of(started_at, zone))).or_default();
            if company != 0 {
                companies.insert(company);
            }
        }
    }

    fn add_erased<'a>(&mut self, snapshot: &Snapshot, visits: impl Iterator<Item = (&'a str, UnixMillis)>) {
        self.erased.extend(visits.map(|(site, started_at)| {
            (CompactString::from(site), LocalDay::of(started_at, &zone(zone_of(snapshot, site))))
        }));
    }

    fn is_erased(&self, site: &str, day: LocalDay) -> bool {
        self.erased.contains(&(site.into(), day))
    }

    /// Sites that have the same hours of a day, together.
    fn by_zone<'a>(&'a self, snapshot: &'a Snapshot) -> BTreeMap<(&'a str, LocalDay), BTreeSet<&'a str>> {
        let mut groups: BTreeMap<_, BTreeSet<&str>> = BTreeMap::new();
        for (site, day) in self.companies.keys() {
            groups.entry((zone_of(snapshot, site), *day)).or_default().insert(site);
        }
        groups
    }

    fn companies<'a>(&'a self, site: &'a str, day: LocalDay) -> impl Iterator<Item = (&'a str, u64)> {
        self.companies.get(&(site.into(), day)).into_iter().flatten().map(move |company| (site, *company))
    }
}

/// Nothing is filtered before rows with the same key were merged.
fn exact_final(query: Query) -> Query {
    query
        .with_setting("do_not_merge_across_partitions_select_final", "1")
        .with_setting("optimize_move_to_prewhere_if_final", "0")
        .with_setting("use_skip_indexes_if_final", "0")
}

fn zone_of<'a>(snapshot: &'a Snapshot, site: &str) -> &'a str {
    snapshot.sites.get(site).map_or("UTC", |site| site.timezone.as_str())
}

fn portions<T: Clone>(items: BTreeSet<T>, size: usize) -> Vec<Vec<T>> {
    let items: Vec<T> = items.into_iter().collect();
    items.chunks(size).map(<[T]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_grow_even_within_one_microsecond() {
        let versions = Versions::default();
        let taken: Vec<u64> = (0..10_000).map(|_| versions.next()).collect();
        assert!(taken.is_sorted_by(|one, next| one < next));
    }
}
