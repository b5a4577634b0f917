//! Visits from events, company days from visits: rebuilt for what was touched, never incremented.
//!
//! # What a rebuild reads, and why that is right
//! It starts from the keys (site, the client's clock, event id) of base rows that were just inserted.
//!
//! 1. *Who is touched.* All stored rows with those keys are looked up, losers of the first-arrival rule
//!    included: their visitors and event times are what may have changed. Mostly that is the visitor of the
//!    new row alone. When the same event came twice for two visitors (a consent given in between, a retry from
//!    another network), both are rebuilt, and it counts for the one whose row came first: never twice.
//! 2. *Their events*, around the touched times ([`Window`]). The inner select finds keys by visitor and event time, the outer
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
//! counts all companies of the touched days. Deleted visits stay as rows, so their days are known for ever.

mod companies;
mod company_days;

pub use companies::NoProfiles;

use super::{
    local_day::{LocalDay, zone},
    visits::{Settled, Span, Visit, VisitTimeout, Window, seconds_on_pages, settle},
};
use crate::{
    site::SiteId,
    snapshot::Snapshot,
    spool::record::SpooledEvent,
    store::{EventRow, Staged, Store, StoreError, VisitRow},
    time::UnixMillis,
};
use clickhouse::{
    Row, RowOwned, RowRead,
    query::{Query, RowCursor},
};
use compact_str::CompactString;
use firmsight_resolver::ProfileLookup;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt,
    sync::{
        Arc, Mutex as StdMutex, PoisonError,
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
/// Most visitors that are rebuilt together: their visits are in memory at once.
const MAX_STAGED_VISITORS: usize = 20_000;
/// Visitors whose touched times lie further apart than this are read by different statements.
const MAX_SPREAD_MS: i64 = 86_400_000;
/// Pageviews that a stored route shows; later ones of a longer visit still count.
const MAX_ROUTE: usize = 1_000;

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
    /// The client's own clock.
    pub at: UnixMillis,
    /// The event's id.
    pub event_id: Uuid,
}

impl BaseKey {
    /// The key of an event's row.
    #[must_use]
    pub fn new(site: &SiteId, event: &SpooledEvent) -> Self {
        Self { site: site.as_str().into(), at: event.at, event_id: event.id }
    }
}

/// Visitors by site, and the event times of theirs that were touched.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Touched(BTreeMap<(CompactString, u64), Span>);

impl Touched {
    /// Adds a visitor's times.
    pub fn add(&mut self, site: CompactString, visitor: u64, span: Span) {
        self.0.entry((site, visitor)).and_modify(|known| *known = known.union(span)).or_insert(span);
    }

    /// In portions that are rebuilt together, near to each other in time.
    fn chunks(&self) -> Vec<Vec<Visitor>> {
        let mut visitors: Vec<Visitor> = self
            .0
            .iter()
            .map(|((site, visitor), span)| Visitor { site: site.clone(), visitor: *visitor, touched: *span })
            .collect();
        visitors.sort_by_key(|visitor| visitor.touched.first);
        let mut chunks: Vec<Vec<Visitor>> = Vec::new();
        for visitor in visitors {
            match chunks.last_mut() {
                Some(chunk)
                    if chunk.len() < MAX_STAGED_VISITORS
                        && visitor.touched.first - chunk[0].touched.first <= MAX_SPREAD_MS =>
                {
                    chunk.push(visitor);
                }
                _ => chunks.push(vec![visitor]),
            }
        }
        chunks
    }
}

#[derive(Clone, Debug)]
struct Visitor {
    site: CompactString,
    visitor: u64,
    touched: Span,
}

/// Company days to count again: those of visits that a rebuild wrote or replaced.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Affected(BTreeMap<(CompactString, LocalDay), BTreeSet<u64>>);

/// Which companies of a touched day are counted again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Those whose visits were touched.
    Companies,
    /// All: for what may have been half done before.
    WholeDays,
}

/// A visit's key and what became of it.
#[derive(Debug, Row, Deserialize)]
struct StoredVisit {
    site: CompactString,
    started_at: UnixMillis,
    visit_id: u64,
    owner: u64,
    is_gone: u8,
    companies: Vec<u64>,
}

type VisitKey = (CompactString, UnixMillis, u64);

/// A row of the temporary table `touched_keys`.
#[derive(Row, Serialize)]
struct TouchedKey<'a> {
    site: &'a str,
    at: UnixMillis,
    #[serde(with = "clickhouse::serde::uuid")]
    event_id: Uuid,
}

/// A row of the temporary table `touched_visitors`.
#[derive(Row, Serialize)]
struct TouchedVisitor<'a> {
    site: &'a str,
    visitor: u64,
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
    one_at_a_time: Mutex<()>,
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
        Self { store, timeout, versions: Versions::default(), profiles, one_at_a_time: Mutex::default() }
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

    async fn rebuild_visits_of(
        &self,
        snapshot: &Snapshot,
        touched: &Touched,
        affected: &mut Affected,
    ) -> Result<(), StoreError> {
        let version = self.versions.next();
        let mut found: HashSet<VisitKey> = HashSet::new();
        let mut replaced: Vec<StoredVisit> = Vec::new();
        for chunk in touched.chunks() {
            let (rows, spans) = self.settle(&chunk, version).await?;
            let stored = self.stored_visits(&spans).await?;
            let starts = rows.iter().map(|row| (row.site.as_str(), row.started_at, row.company_id));
            let former = stored.iter().flat_map(|visit| {
                visit.companies.iter().map(|company| (visit.site.as_str(), visit.started_at, *company))
            });
            affected.add(snapshot, starts.chain(former));
            self.store.insert_visits(&rows).await?;
            found.extend(rows.into_iter().map(|row| (row.site, row.started_at, row.visit_id)));
            replaced.extend(stored.into_iter().filter(|visit| {
                let span = spans.get(&(visit.site.clone(), visit.owner));
                visit.is_gone == 0 && span.is_some_and(|span| span.holds(visit.started_at))
            }));
        }
        let vanished: Vec<VisitRow> = replaced
            .into_iter()
            .filter(|visit| !found.contains(&(visit.site.clone(), visit.started_at, visit.visit_id)))
            .map(|visit| VisitRow {
                site: visit.site,
                started_at: visit.started_at,
                visit_id: visit.visit_id,
                visitor: visit.owner,
                company_id: visit.companies.first().copied().unwrap_or_default(),
                version,
                is_deleted: 1,
                ..VisitRow::default()
            })
            .collect();
        self.store.insert_visits(&vanished).await
    }

    /// The visits of these visitors as they should be, and the spans in which theirs may start.
    async fn settle(
        &self,
        chunk: &[Visitor],
        version: u64,
    ) -> Result<(Vec<VisitRow>, HashMap<(CompactString, u64), Span>), StoreError> {
        let mut settled = SettledVisits { timeout: self.timeout, version, rows: Vec::new(), spans: HashMap::new() };
        let mut waiting: BTreeMap<(&str, u64), Span> =
            chunk.iter().map(|visitor| ((visitor.site.as_str(), visitor.visitor), visitor.touched)).collect();
        for window in [Window::near, Window::full] {
            let Some(read) = waiting.values().map(|touched| window(*touched, self.timeout).span).reduce(Span::union)
            else {
                break;
            };
            let rows = waiting.keys().map(|(site, visitor)| TouchedVisitor { site, visitor: *visitor }).collect();
            let staged = self.stage_visitors(rows).await?;
            let mut events = Self::events_of(&staged, read).map_err(StoreError::from)?;
            let mut of_one: Vec<EventRow> = Vec::new();
            let mut next = self.store.in_time(events.next()).await?;
            let mut unsettled = BTreeMap::new();
            // Visitors come in the order of `waiting`; those of whom nothing is stored don't come at all.
            for (&(site, visitor), &touched) in &waiting {
                of_one.clear();
                while let Some(event) = next.take_if(|event| (event.site.as_str(), event.visitor) <= (site, visitor)) {
                    if (event.site.as_str(), event.visitor) == (site, visitor) {
                        of_one.push(event);
                    }
                    next = self.store.in_time(events.next()).await?;
                }
                if !settled.add(&of_one, window(touched, self.timeout), touched, (site, visitor)) {
                    unsettled.insert((site, visitor), touched);
                }
            }
            while next.is_some() {
                next = self.store.in_time(events.next()).await?;
            }
            staged.end().await;
            waiting = unsettled;
        }
        Ok((settled.rows, settled.spans))
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
        let rows: Vec<TouchedKey<'_>> =
            keys.iter().map(|key| TouchedKey { site: &key.site, at: key.at, event_id: key.event_id }).collect();
        let columns = "site String, at DateTime64(3, 'UTC'), event_id UUID";
        let staged = self.store.stage::<TouchedKey<'_>>("touched_keys", columns, &rows).await?;
        let query = staged.query(
            "SELECT site, visitor, min(event_time) AS first, max(event_time) AS last FROM events
             WHERE (site, at, event_id) IN (SELECT site, at, event_id FROM touched_keys)
             GROUP BY site, visitor",
        );
        let touched = self.all(query).await?;
        staged.end().await;
        Ok(touched)
    }

    async fn stage_visitors(&self, rows: Vec<TouchedVisitor<'_>>) -> Result<Staged, StoreError> {
        self.store.stage::<TouchedVisitor<'_>>("touched_visitors", "site String, visitor UInt64", &rows).await
    }

    /// The first arrivals of these visitors in this time, visitor by visitor in the order of site and key. The innermost
    /// select finds the keys, the next one chooses among all rows of each, whoever's they are.
    fn events_of(staged: &Staged, span: Span) -> clickhouse::error::Result<RowCursor<EventRow>> {
        staged
            .query(
                "SELECT ?fields FROM (
                     SELECT ?fields FROM events
                     WHERE (site, at, event_id) IN (
                         SELECT site, at, event_id FROM events
                         WHERE site IN (SELECT site FROM touched_visitors)
                             AND visitor IN (SELECT visitor FROM touched_visitors)
                             AND event_time BETWEEN fromUnixTimestamp64Milli({first:Int64}, 'UTC')
                                 AND fromUnixTimestamp64Milli({last:Int64}, 'UTC'))
                     ORDER BY version DESC LIMIT 1 BY site, at, event_id)
                 ORDER BY toString(site), visitor",
            )
            .param("first", span.first)
            .param("last", span.last)
            .fetch()
    }

    /// The stored visits, deleted ones included, that start where these visitors' may have changed.
    async fn stored_visits(&self, spans: &HashMap<(CompactString, u64), Span>) -> Result<Vec<StoredVisit>, StoreError> {
        let Some(span) = spans.values().copied().reduce(Span::union) else { return Ok(Vec::new()) };
        let rows = spans.keys().map(|(site, visitor)| TouchedVisitor { site, visitor: *visitor }).collect();
        let staged = self.stage_visitors(rows).await?;
        let query = staged.query(
            "SELECT site, started_at, visit_id, argMax(visitor, version) AS owner,
                 argMax(is_deleted, version) AS is_gone, groupUniqArray(company_id) AS companies
             FROM visits
             WHERE (site, started_at, visit_id) IN (
                 SELECT site, started_at, visit_id FROM visits
                 WHERE site IN (SELECT site FROM touched_visitors) AND visitor IN (SELECT visitor FROM touched_visitors)
                     AND started_at BETWEEN fromUnixTimestamp64Milli({first:Int64}, 'UTC')
                         AND fromUnixTimestamp64Milli({last:Int64}, 'UTC'))
             GROUP BY site, started_at, visit_id",
        );
        let stored = self.all(query.param("first", span.first).param("last", span.last)).await?;
        staged.end().await;
        Ok(stored)
    }

    /// A query whose FINAL is exact.
    fn query(&self, sql: &str) -> Query {
        exact_final(self.store.client().query(sql))
    }

    async fn all<T: RowOwned + RowRead>(&self, query: Query) -> Result<Vec<T>, StoreError> {
        self.store.in_time(query.fetch_all()).await
    }
}

/// What [`Rebuilder::settle`] has found so far.
struct SettledVisits {
    timeout: VisitTimeout,
    version: u64,
    rows: Vec<VisitRow>,
    spans: HashMap<(CompactString, u64), Span>,
}

impl SettledVisits {
    /// Adds a visitor; false when the window was too small.
    fn add(&mut self, events: &[EventRow], window: Window, touched: Span, visitor: (&str, u64)) -> bool {
        let Some(Settled { span, visits }) = settle(events.iter().collect(), window, touched, self.timeout) else {
            return false;
        };
        self.rows.extend(visits.iter().map(|visit| visit_row(visit, self.version)));
        self.spans.insert((visitor.0.into(), visitor.1), span);
        true
    }
}

impl Affected {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    fn add<'a>(&mut self, snapshot: &Snapshot, visits: impl Iterator<Item = (&'a str, UnixMillis, u64)>) {
        let mut zones = HashMap::new();
        for (site, started_at, company) in visits {
            let zone = zones.entry(site).or_insert_with(|| zone(zone_of(snapshot, site)));
            let companies = self.0.entry((site.into(), LocalDay::of(started_at, zone))).or_default();
            if company != 0 {
                companies.insert(company);
            }
        }
    }

    /// Sites that have the same hours of a day, together.
    fn by_zone<'a>(&'a self, snapshot: &'a Snapshot) -> BTreeMap<(&'a str, LocalDay), BTreeSet<&'a str>> {
        let mut groups: BTreeMap<_, BTreeSet<&str>> = BTreeMap::new();
        for (site, day) in self.0.keys() {
            groups.entry((zone_of(snapshot, site), *day)).or_default().insert(site);
        }
        groups
    }

    fn companies<'a>(&'a self, site: &'a str, day: LocalDay) -> impl Iterator<Item = (&'a str, u64)> {
        self.0.get(&(site.into(), day)).into_iter().flatten().map(move |company| (site, *company))
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

fn visit_row(visit: &Visit<'_>, version: u64) -> VisitRow {
    let Visit { first, landing, .. } = visit;
    let shown = &visit.route[..visit.route.len().min(MAX_ROUTE)];
    let pages = || shown.iter().map(|step| step.pageview);
    let route_at: Vec<UnixMillis> = pages().map(|page| page.event_time).collect();
    VisitRow {
        site: landing.site.clone(),
        started_at: visit.started_at(),
        visit_id: visit.id(),
        ended_at: visit.ended_at,
        visitor: landing.visitor,
        has_client: landing.has_client,
        network_kind: first.network_kind.clone(),
        company_id: first.company_id,
        company_name: first.company_name.clone(),
        company_domain: first.company_domain.clone(),
        company_industry: first.company_industry.clone(),
        company_source: first.company_source.clone(),
        company_confidence: first.company_confidence,
        country_code: first.country_code.clone(),
        region: first.region.clone(),
        city: first.city.clone(),
        asn: first.asn,
        source: landing.source.clone(),
        medium: landing.medium.clone(),
        campaign: landing.campaign.clone(),
        term: landing.term.clone(),
        referrer: landing.referrer.clone(),
        device: landing.device.clone(),
        browser: landing.browser.clone(),
        os: landing.os.clone(),
        language: landing.language.clone(),
        pageviews: u32::try_from(visit.route.len()).unwrap_or(u32::MAX),
        events: visit.events,
        visible_ms: visit.visible_ms(),
        visit_length: seconds_on_pages(&route_at).iter().copied().fold(0, u32::saturating_add),
        event_names: visit.event_names.iter().map(|name| CompactString::from(*name)).collect(),
        email: visit.identity.email.clone(),
        first_name: visit.identity.first_name.clone(),
        last_name: visit.identity.last_name.clone(),
        route_at,
        route_scheme: pages().map(|page| page.scheme.clone()).collect(),
        route_host: pages().map(|page| page.host.clone()).collect(),
        route_path: pages().map(|page| page.path.clone()).collect(),
        route_query: pages().map(|page| page.query.clone()).collect(),
        route_title: pages().map(|page| page.title.clone()).collect(),
        route_visible_ms: shown.iter().map(|step| step.visible_ms).collect(),
        route_scroll: shown.iter().map(|step| step.scroll).collect(),
        version,
        is_deleted: 0,
    }
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

    #[test]
    fn visitors_are_rebuilt_in_bounded_portions_and_distant_times_apart() {
        let mut touched = Touched::default();
        for visitor in 0..MAX_STAGED_VISITORS as u64 + 5_000 {
            touched.add("a".into(), visitor, Span { first: 1_000, last: 2_000 });
        }
        touched.add("b".into(), 1, Span { first: MAX_SPREAD_MS * 3, last: MAX_SPREAD_MS * 3 });
        touched.add("b".into(), 1, Span { first: MAX_SPREAD_MS * 2, last: MAX_SPREAD_MS * 2 });
        let chunks = touched.chunks();
        assert_eq!(chunks.iter().map(Vec::len).collect::<Vec<_>>(), [MAX_STAGED_VISITORS, 5_000, 1]);
        assert_eq!(chunks[2][0].touched, Span { first: MAX_SPREAD_MS * 2, last: MAX_SPREAD_MS * 3 });
    }
}
