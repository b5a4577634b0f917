//! Visits from events, company days from visits: rebuilt for what was touched, never incremented.
//!
//! # What a rebuild reads, and why that is right
//! It starts from the keys (site, the client's clock, event id) of base rows that were just inserted.
//!
//! 1. *Who is touched.* All stored rows with those keys are looked up, losers of the first-arrival rule
//!    included: their visitors and event times are what may have changed. Mostly that is the visitor of the
//!    new row alone. When the same event came twice for two visitors (a consent given in between, a retry from
//!    another network), both are rebuilt, and it counts for the one whose row came first: never twice.
//! 2. *Their events*, around the touched times ([`Window`]). The inner select finds keys by visitor and event
//!    time, the outer one reads every row of those keys, and the first arrival is chosen here
//!    ([`first_arrivals`]). `FINAL` would give the same but has to read all columns of all events of the site in
//!    that time, because a filter by visitor must not come before the choice (docs/decisions/0002-counting.md has figures).
//! 3. *Their visits*: new and changed ones are written whole. Stored ones that start in a settled span and were not
//!    found again get a row with `is_deleted = 1` under their full key. That is decided after all visitors of the
//!    round, because a visit can pass from one visitor to another and keep its key.
//! 4. *Company days* of the old and new visits' companies, as sums over the visits as they are then.
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
    visits::{Settled, Span, Visit, VisitTimeout, Window, first_arrivals, seconds_on_pages, settle},
};
use crate::{
    snapshot::Snapshot,
    store::{EventRow, Store, StoreError, VisitRow},
    time::UnixMillis,
};
use clickhouse::{Row, RowOwned, RowRead, query::Query};
use firmsight_resolver::ProfileLookup;
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::sync::Mutex;
use uuid::Uuid;

/// Most visitors, keys or companies in one statement: ClickHouse's client refuses a parameter over 100 KB.
pub(super) const MAX_IN_STATEMENT: usize = 2_000;
/// Most sites in one statement; an id has up to 64 bytes.
const MAX_SITES_IN_STATEMENT: usize = 1_000;
/// Visitors whose touched times lie further apart than this are read by different statements.
const MAX_SPREAD_MS: i64 = 86_400_000;
/// Pageviews that a stored route shows; later ones of a longer visit still count.
const MAX_ROUTE: usize = 1_000;

/// Versions of derived rows: microseconds since 1970 that always grow.
#[derive(Debug, Default)]
pub struct Versions(AtomicU64);

impl Versions {
    /// The next one. Reads the clock.
    pub fn next(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
        let last = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(now.max(last + 1)));
        last.map_or(now, |last| now.max(last + 1))
    }
}

/// The key of a base row.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BaseKey {
    /// Site id.
    pub site: String,
    /// The client's own clock.
    pub at: UnixMillis,
    /// The event's id.
    pub event_id: Uuid,
}

impl From<&EventRow> for BaseKey {
    fn from(row: &EventRow) -> Self {
        Self { site: row.site.clone(), at: row.at, event_id: row.event_id }
    }
}

/// Visitors by site, and the event times of theirs that were touched.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Touched(BTreeMap<(String, u64), Span>);

impl Touched {
    /// Adds a visitor's times.
    pub fn add(&mut self, site: String, visitor: u64, span: Span) {
        self.0.entry((site, visitor)).and_modify(|known| *known = known.union(span)).or_insert(span);
    }

    /// In portions that fit into a statement each, near to each other in time.
    fn chunks(&self) -> Vec<Vec<Visitor>> {
        let mut visitors: Vec<Visitor> = self
            .0
            .iter()
            .map(|((site, visitor), span)| Visitor { site: site.clone(), visitor: *visitor, touched: *span })
            .collect();
        visitors.sort_by_key(|visitor| visitor.touched.first);
        let mut chunks: Vec<Vec<Visitor>> = Vec::new();
        let mut sites = HashSet::new();
        for visitor in visitors {
            sites.insert(visitor.site.clone());
            match chunks.last_mut() {
                Some(chunk)
                    if chunk.len() < MAX_IN_STATEMENT
                        && sites.len() <= MAX_SITES_IN_STATEMENT
                        && visitor.touched.first - chunk[0].touched.first <= MAX_SPREAD_MS =>
                {
                    chunk.push(visitor);
                }
                _ => {
                    sites = HashSet::from([visitor.site.clone()]);
                    chunks.push(vec![visitor]);
                }
            }
        }
        chunks
    }
}

#[derive(Clone, Debug)]
struct Visitor {
    site: String,
    visitor: u64,
    touched: Span,
}

/// Company days to count again: those of visits that a rebuild wrote or replaced.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Affected(BTreeMap<(String, LocalDay), BTreeSet<u64>>);

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
    site: String,
    started_at: UnixMillis,
    visit_id: u64,
    owner: u64,
    is_gone: u8,
    companies: Vec<u64>,
}

type VisitKey = (String, UnixMillis, u64);

#[derive(Debug, Row, Deserialize)]
struct TouchedRow {
    site: String,
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

    /// Rebuilds the visits around these base rows and around `also`, and the company days of what they were and are.
    ///
    /// # Errors
    /// [`StoreError`]; repeat with the same arguments, `affected` included.
    pub async fn rebuild(
        &self,
        snapshot: &Snapshot,
        keys: &[BaseKey],
        also: Touched,
        affected: &mut Affected,
        scope: Scope,
    ) -> Result<(), StoreError> {
        let _one = self.one_at_a_time.lock().await;
        let mut touched = also;
        for chunk in keys.chunks(MAX_IN_STATEMENT) {
            for row in self.touched_by(chunk).await? {
                touched.add(row.site, row.visitor, Span { first: row.first.0, last: row.last.0 });
            }
        }
        self.rebuild_visits(snapshot, &touched, affected).await?;
        let companies = self.rebuild_company_days(snapshot, affected, scope).await?;
        self.rebuild_companies(&companies).await
    }

    async fn rebuild_visits(
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
            let starts = rows.iter().map(|row| (&row.site, row.started_at, row.company_id));
            let former = stored
                .iter()
                .flat_map(|visit| visit.companies.iter().map(|company| (&visit.site, visit.started_at, *company)));
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
    ) -> Result<(Vec<VisitRow>, HashMap<(String, u64), Span>), StoreError> {
        let mut rows = Vec::new();
        let mut spans = HashMap::new();
        let mut waiting: Vec<&Visitor> = chunk.iter().collect();
        for window in [Window::near, Window::full] {
            let Some(read) =
                waiting.iter().map(|visitor| window(visitor.touched, self.timeout).span).reduce(Span::union)
            else {
                break;
            };
            let stored = self.events_of(&waiting, read).await?;
            let mut events: HashMap<(&str, u64), Vec<&EventRow>> = HashMap::new();
            for event in first_arrivals(&stored) {
                events.entry((&event.site, event.visitor)).or_default().push(event);
            }
            waiting.retain(|visitor| {
                let own = events.remove(&(visitor.site.as_str(), visitor.visitor)).unwrap_or_default();
                match settle(own, window(visitor.touched, self.timeout), visitor.touched, self.timeout) {
                    Some(Settled { span, visits }) => {
                        rows.extend(visits.iter().map(|visit| visit_row(visit, version)));
                        spans.insert((visitor.site.clone(), visitor.visitor), span);
                        false
                    }
                    None => true,
                }
            });
        }
        Ok((rows, spans))
    }

    async fn touched_by(&self, keys: &[BaseKey]) -> Result<Vec<TouchedRow>, StoreError> {
        let sites: BTreeSet<&str> = keys.iter().map(|key| key.site.as_str()).collect();
        let ats: Vec<i64> = keys.iter().map(|key| key.at.0).collect();
        let ids: Vec<Uuid> = keys.iter().map(|key| key.event_id).collect();
        let mut touched = Vec::new();
        for sites in portions(sites, MAX_SITES_IN_STATEMENT) {
            let query = self.query(
                "SELECT site, visitor, min(event_time) AS first, max(event_time) AS last FROM events
                 WHERE site IN {sites:Array(String)} AND (at, event_id) IN (
                     SELECT fromUnixTimestamp64Milli(tupleElement(key, 1), 'UTC'), tupleElement(key, 2)
                     FROM (SELECT arrayJoin(arrayZip({ats:Array(Int64)}, {ids:Array(UUID)})) AS key))
                 GROUP BY site, visitor",
            );
            touched.extend(self.all(query.param("sites", sites).param("ats", &ats).param("ids", &ids)).await?);
        }
        Ok(touched)
    }

    /// Every row, winner or not, of the keys under which these visitors have an event in this time.
    async fn events_of(&self, visitors: &[&Visitor], span: Span) -> Result<Vec<EventRow>, StoreError> {
        let sites: BTreeSet<&str> = visitors.iter().map(|visitor| visitor.site.as_str()).collect();
        let ids: Vec<u64> = visitors.iter().map(|visitor| visitor.visitor).collect();
        let query = self.query(
            "SELECT ?fields FROM events
             WHERE site IN {sites:Array(String)} AND (site, at, event_id) IN (
                 SELECT site, at, event_id FROM events
                 WHERE site IN {sites:Array(String)} AND visitor IN {visitors:Array(UInt64)}
                     AND event_time BETWEEN fromUnixTimestamp64Milli({first:Int64}, 'UTC')
                         AND fromUnixTimestamp64Milli({last:Int64}, 'UTC'))",
        );
        let query = query.param("sites", sites).param("visitors", ids);
        self.all(query.param("first", span.first).param("last", span.last)).await
    }

    /// The stored visits, deleted ones included, that start where these visitors' may have changed.
    async fn stored_visits(&self, spans: &HashMap<(String, u64), Span>) -> Result<Vec<StoredVisit>, StoreError> {
        let Some(span) = spans.values().copied().reduce(Span::union) else { return Ok(Vec::new()) };
        let sites: BTreeSet<&str> = spans.keys().map(|(site, _)| site.as_str()).collect();
        let visitors: Vec<u64> = spans.keys().map(|(_, visitor)| *visitor).collect();
        let query = self.query(
            "SELECT site, started_at, visit_id, argMax(visitor, version) AS owner,
                 argMax(is_deleted, version) AS is_gone, groupUniqArray(company_id) AS companies
             FROM visits
             WHERE site IN {sites:Array(String)} AND (site, started_at, visit_id) IN (
                 SELECT site, started_at, visit_id FROM visits
                 WHERE site IN {sites:Array(String)} AND visitor IN {visitors:Array(UInt64)}
                     AND started_at BETWEEN fromUnixTimestamp64Milli({first:Int64}, 'UTC')
                         AND fromUnixTimestamp64Milli({last:Int64}, 'UTC'))
             GROUP BY site, started_at, visit_id",
        );
        let query = query.param("sites", sites).param("visitors", visitors);
        self.all(query.param("first", span.first).param("last", span.last)).await
    }

    /// A query whose FINAL is exact: nothing is filtered before rows with the same key were merged.
    fn query(&self, sql: &str) -> Query {
        self.store
            .client()
            .query(sql)
            .with_setting("do_not_merge_across_partitions_select_final", "1")
            .with_setting("optimize_move_to_prewhere_if_final", "0")
            .with_setting("use_skip_indexes_if_final", "0")
    }

    async fn all<T: RowOwned + RowRead>(&self, query: Query) -> Result<Vec<T>, StoreError> {
        self.store.in_time(query.fetch_all()).await
    }
}

impl Affected {
    fn add<'a>(&mut self, snapshot: &Snapshot, visits: impl Iterator<Item = (&'a String, UnixMillis, u64)>) {
        let mut zones = HashMap::new();
        for (site, started_at, company) in visits {
            let zone = zones.entry(site).or_insert_with(|| zone(zone_of(snapshot, site)));
            let companies = self.0.entry((site.clone(), LocalDay::of(started_at, zone))).or_default();
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
        self.0.get(&(site.to_owned(), day)).into_iter().flatten().map(move |company| (site, *company))
    }
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
        event_names: visit.event_names.iter().map(|name| (*name).to_owned()).collect(),
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
    fn chunks_fit_a_statement_and_keep_distant_times_apart() {
        let mut touched = Touched::default();
        for visitor in 0..5_000 {
            touched.add("a".to_owned(), visitor, Span { first: 1_000, last: 2_000 });
        }
        touched.add("b".to_owned(), 1, Span { first: MAX_SPREAD_MS * 3, last: MAX_SPREAD_MS * 3 });
        touched.add("b".to_owned(), 1, Span { first: MAX_SPREAD_MS * 2, last: MAX_SPREAD_MS * 2 });
        let chunks = touched.chunks();
        assert_eq!(chunks.iter().map(Vec::len).collect::<Vec<_>>(), [2_000, 2_000, 1_000, 1]);
        assert_eq!(chunks[3][0].touched, Span { first: MAX_SPREAD_MS * 2, last: MAX_SPREAD_MS * 3 });
        let mut many_sites = Touched::default();
        for site in 0..MAX_SITES_IN_STATEMENT + 1 {
            many_sites.add(site.to_string(), 1, Span { first: 0, last: 0 });
        }
        assert_eq!(many_sites.chunks().len(), 2);
    }
}
