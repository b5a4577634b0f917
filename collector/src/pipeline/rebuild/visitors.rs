//! The visits of touched visitors.
//!
//! # What one visitor can cost
//! Many visitors are read by one statement, and what comes from outside decides how much that is. So everything is bounded:
//! - Only columns that a visit needs are read: never `props` (but of `identify` events, by a statement of its own), and no page texts of
//!   what only measures.
//! - Of one visitor at most [`MAX_EVENTS`] events are read; one who has more in some days is set aside
//!   ([`super::super::set_aside`]).
//! - One visitor's events are in memory at a time, and at most [`MAX_ROW_BYTES`] of finished visits.
//! - A route shows at most [`MAX_ROUTE`] pageviews and [`MAX_ROUTE_BYTES`]; later ones still count.
//! - A statement that fails for its size is repeated for each half of its visitors, until the one at fault stands alone.

use super::{
    super::{
        set_aside::Subject,
        visits::{Identity, RouteStep, Settled, Span, Visit, VisitTimeout, Window, seconds_on_pages, settle},
    },
    Affected, BaseKey, Rebuilder, Touched,
    provable::{Horizon, SettledForGood},
    within_limits,
};
use crate::{
    snapshot::Snapshot,
    store::{EventRow, Staged, StoreError, VisitRow},
    time::UnixMillis,
};
use clickhouse::{Row, query::RowCursor};
use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
use uuid::Uuid;

/// Most visitors that are rebuilt together.
const MAX_STAGED_VISITORS: usize = 20_000;
/// Visitors whose touched times lie further apart than this are read by different statements.
const MAX_SPREAD_MS: i64 = 86_400_000;

/// Most events that are read of one visitor, more than a screen in a lobby that is reloaded every ten seconds makes in the
/// days that a rebuild may have to look at.
const MAX_EVENTS: usize = 50_000;
/// Pageviews that a stored route shows.
const MAX_ROUTE: usize = 1_000;
/// Bytes of pages' paths, queries and titles that a stored route shows.
const MAX_ROUTE_BYTES: usize = 64 << 10;
/// Finished visits that wait for being stored, in bytes.
const MAX_ROW_BYTES: usize = 16 << 20;
/// What a visit takes besides its route, about.
const FIXED_ROW_BYTES: usize = 512;
/// Most bytes that are read of an `identify` event's properties.
const MAX_IDENTIFY_BYTES: usize = 8 << 10;

/// A touched visitor.
#[derive(Clone, Debug)]
struct Visitor {
    site: CompactString,
    visitor: u64,
    touched: Span,
}

/// A visit's key and what became of it.
#[derive(Debug, Row, Deserialize)]
pub(super) struct StoredVisit {
    pub(super) site: CompactString,
    pub(super) started_at: UnixMillis,
    pub(super) visit_id: u64,
    pub(super) ended_at: UnixMillis,
    pub(super) owner: u64,
    pub(super) is_gone: u8,
    pub(super) newest_version: u64,
    pub(super) companies: Vec<u64>,
}

type VisitKey = (CompactString, UnixMillis, u64);

/// A row of the temporary table `touched_visitors`.
#[derive(Row, Serialize)]
struct TouchedVisitor<'a> {
    site: &'a str,
    visitor: u64,
}

/// What an `identify` event said.
#[derive(Debug, Row, Deserialize)]
struct Identified {
    site: CompactString,
    at: UnixMillis,
    #[serde(with = "clickhouse::serde::uuid")]
    event_id: Uuid,
    words: String,
}

/// A visit that is not stored yet.
struct Finished {
    row: VisitRow,
    /// Its `identify` events, oldest first.
    identified_by: Vec<BaseKey>,
}

/// One rebuild of touched visitors, how far it has come.
struct Pass<'a> {
    snapshot: &'a Snapshot,
    /// Who is rebuilt, among them those who are erased.
    touched: &'a Touched,
    affected: &'a mut Affected,
    /// What was written before may lack its base rows.
    horizon: Option<Horizon>,
    version: u64,
    /// Visits that are to be stored, and how many bytes they have.
    finished: Vec<Finished>,
    bytes: usize,
    /// Where the visits of visitors may start of whom `finished` has all.
    spans: HashMap<(CompactString, u64), Span>,
    /// Visits that were found, and stored ones that may have to go.
    found: HashSet<VisitKey>,
    replaced: Vec<StoredVisit>,
    /// Visitors with more than [`MAX_EVENTS`] events.
    oversized: Vec<Visitor>,
}

impl Rebuilder {
    /// Rebuilds the visits of all touched visitors but those who are set aside.
    pub(super) async fn rebuild_visits_of(
        &self,
        snapshot: &Snapshot,
        touched: &Touched,
        affected: &mut Affected,
    ) -> Result<(), StoreError> {
        let mut pass = Pass {
            snapshot,
            touched,
            affected,
            horizon: self.horizon_of_visits(),
            version: self.versions.next(),
            finished: Vec::new(),
            bytes: 0,
            spans: HashMap::new(),
            found: HashSet::new(),
            replaced: Vec::new(),
            oversized: Vec::new(),
        };
        let mut waiting = touched.chunks(|visitor| self.is_set_aside(&visitor.subject(), visitor.touched));
        while let Some(chunk) = waiting.pop() {
            match self.rebuild_chunk(&chunk, &mut pass).await {
                Ok(()) => {}
                Err(error) if error.is_over_limit() => {
                    (pass.finished, pass.bytes, pass.spans) = Default::default();
                    match chunk.as_slice() {
                        [] => {}
                        [one] => self.set_aside(one.subject(), one.touched, error).await?,
                        many => waiting.extend(many.chunks(many.len().div_ceil(2)).map(<[_]>::to_vec)),
                    }
                }
                Err(error) => return Err(error),
            }
        }
        for visitor in std::mem::take(&mut pass.oversized) {
            let error = StoreError::TooManyEvents(MAX_EVENTS);
            self.set_aside(visitor.subject(), visitor.touched, error).await?;
        }
        self.remove_vanished(pass).await
    }

    /// Settles these visitors and stores their visits.
    async fn rebuild_chunk(&self, chunk: &[Visitor], pass: &mut Pass<'_>) -> Result<(), StoreError> {
        let mut waiting: BTreeMap<(&str, u64), Span> =
            chunk.iter().map(|visitor| ((visitor.site.as_str(), visitor.visitor), visitor.touched)).collect();
        for window in [Window::near, Window::full] {
            let Some(read) = waiting.values().map(|touched| window(*touched, self.timeout).span).reduce(Span::union)
            else {
                break;
            };
            let rows = waiting.keys().map(|(site, visitor)| TouchedVisitor { site, visitor: *visitor }).collect();
            let staged = self.stage_visitors(rows).await?;
            let mut events = events_of(&staged, read).map_err(StoreError::from)?;
            let mut of_one: Vec<EventRow> = Vec::new();
            let mut next = self.store.in_time(events.next()).await?;
            let mut unsettled = BTreeMap::new();
            // Visitors come in the order of `waiting`; those of whom nothing is stored don't come at all.
            for (&(site, visitor), &touched) in &waiting {
                of_one.clear();
                let mut count = 0;
                while let Some(event) = next.take_if(|event| (event.site.as_str(), event.visitor) <= (site, visitor)) {
                    if (event.site.as_str(), event.visitor) == (site, visitor) {
                        count += 1;
                        if count <= MAX_EVENTS {
                            of_one.push(event);
                        }
                    }
                    next = self.store.in_time(events.next()).await?;
                }
                if count > MAX_EVENTS {
                    pass.oversized.push(Visitor { site: site.into(), visitor, touched });
                } else if !pass.add(&of_one, window(touched, self.timeout), touched, (site, visitor), self.timeout) {
                    unsettled.insert((site, visitor), touched);
                }
                if pass.bytes >= MAX_ROW_BYTES {
                    self.store_finished(pass).await?;
                }
            }
            while next.is_some() {
                next = self.store.in_time(events.next()).await?;
            }
            staged.end().await;
            waiting = unsettled;
        }
        self.store_finished(pass).await
    }

    /// Stores what is finished, and notes which stored visits of the same visitors were not found again.
    async fn store_finished(&self, pass: &mut Pass<'_>) -> Result<(), StoreError> {
        let mut finished = std::mem::take(&mut pass.finished);
        let spans = std::mem::take(&mut pass.spans);
        pass.bytes = 0;
        self.identify(&mut finished).await?;
        let mut rows: Vec<VisitRow> = finished.into_iter().map(|finished| finished.row).collect();
        // Before the new rows come: a merge may take away the old ones, and with them whose days these were.
        let mut stored = self.stored_visits(&spans, pass.horizon).await?;
        let for_good = SettledForGood::among(&stored, pass.horizon, pass.touched);
        rows.retain(|row| !for_good.covers_row(row));
        stored.retain(|visit| !for_good.covers(&visit.site, visit.owner, visit.started_at, visit.ended_at));
        let starts = rows.iter().map(|row| (row.site.as_str(), row.started_at, row.company_id));
        let former = stored
            .iter()
            .flat_map(|visit| visit.companies.iter().map(|company| (visit.site.as_str(), visit.started_at, *company)));
        pass.affected.add(pass.snapshot, starts.chain(former));
        let of_erased = stored.iter().filter(|visit| pass.touched.is_erased(&visit.site, visit.owner));
        pass.affected.add_erased(pass.snapshot, of_erased.map(|visit| (visit.site.as_str(), visit.started_at)));
        self.store.insert_visits(&rows).await?;
        pass.found.extend(rows.into_iter().map(|row| (row.site, row.started_at, row.visit_id)));
        pass.replaced.extend(stored.into_iter().filter(|visit| {
            let span = spans.get(&(visit.site.clone(), visit.owner));
            visit.is_gone == 0 && span.is_some_and(|span| span.holds(visit.started_at))
        }));
        Ok(())
    }

    /// Marks stored visits as deleted that were not found again, which is known only after all visitors.
    async fn remove_vanished(&self, pass: Pass<'_>) -> Result<(), StoreError> {
        let Pass { found, replaced, version, .. } = pass;
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

    /// Fills in what visitors said of themselves, the latest of each.
    async fn identify(&self, finished: &mut [Finished]) -> Result<(), StoreError> {
        let keys: Vec<&BaseKey> = finished.iter().flat_map(|finished| &finished.identified_by).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let staged = self.stage_keys(&keys).await?;
        let query = staged.query(
            "SELECT site, at, event_id, argMax(substring(props, 1, {most:UInt64}), version) AS words FROM events
             PREWHERE type = 'identify' AND (site, at, event_id) IN (SELECT site, at, event_id FROM touched_keys)
             GROUP BY site, at, event_id",
        );
        let said = self.all::<Identified>(within_limits(query).param("most", MAX_IDENTIFY_BYTES as u64)).await?;
        staged.end().await;
        let said: HashMap<BaseKey, String> = said
            .into_iter()
            .map(|Identified { site, at, event_id, words }| (BaseKey { site, at, event_id }, words))
            .collect();
        for Finished { row, identified_by } in finished.iter_mut().filter(|visit| !visit.identified_by.is_empty()) {
            let mut identity = Identity::default();
            identified_by.iter().filter_map(|key| said.get(key)).for_each(|words| identity.learn(words));
            (row.email, row.first_name, row.last_name) = (identity.email, identity.first_name, identity.last_name);
        }
        Ok(())
    }

    async fn stage_visitors(&self, rows: Vec<TouchedVisitor<'_>>) -> Result<Staged, StoreError> {
        self.store.stage::<TouchedVisitor<'_>>("touched_visitors", "site String, visitor UInt64", &rows).await
    }

    /// The stored visits, deleted ones included, that start where these visitors' may have changed.
    async fn stored_visits(
        &self,
        spans: &HashMap<(CompactString, u64), Span>,
        horizon: Option<Horizon>,
    ) -> Result<Vec<StoredVisit>, StoreError> {
        let Some(span) = spans.values().copied().reduce(Span::union) else { return Ok(Vec::new()) };
        let rows = spans.keys().map(|(site, visitor)| TouchedVisitor { site, visitor: *visitor }).collect();
        let staged = self.stage_visitors(rows).await?;
        let query = staged.query(
            "SELECT site, started_at, visit_id, argMax(ended_at, version) AS ended_at, argMax(visitor, version) AS owner,
                 argMax(is_deleted, version) AS is_gone, max(version) AS newest_version,
                 groupUniqArray(company_id) AS companies
             FROM visits
             WHERE (site, started_at, visit_id) IN (
                 SELECT site, started_at, visit_id FROM visits
                 WHERE site IN (SELECT site FROM touched_visitors) AND visitor IN (SELECT visitor FROM touched_visitors)
                     AND started_at BETWEEN fromUnixTimestamp64Milli({first:Int64}, 'UTC')
                         AND fromUnixTimestamp64Milli({last:Int64}, 'UTC'))
             GROUP BY site, started_at, visit_id",
        );
        let query = within_limits(query).param("first", Self::look_back(span, horizon)).param("last", span.last);
        let stored = self.all(query).await?;
        staged.end().await;
        Ok(stored)
    }
}

/// The first arrivals of these visitors in this time, visitor by visitor in the order of site and key. The innermost
/// select finds the keys, the next one chooses among all rows of each, whoever's they are.
fn events_of(staged: &Staged, span: Span) -> clickhouse::error::Result<RowCursor<EventRow>> {
    let query = staged.query(
        "SELECT ?fields FROM (
             SELECT * EXCEPT (props, path, query, title, referrer), '' AS props,
                 if(event.type != 'engagement', event.path, '') AS path,
                 if(event.type != 'engagement', event.query, '') AS query,
                 if(event.type != 'engagement', event.title, '') AS title,
                 if(event.type != 'engagement', event.referrer, '') AS referrer
             FROM events AS event
             WHERE (site, at, event_id) IN (
                 SELECT site, at, event_id FROM events
                 WHERE site IN (SELECT site FROM touched_visitors)
                     AND visitor IN (SELECT visitor FROM touched_visitors)
                     AND event_time BETWEEN fromUnixTimestamp64Milli({first:Int64}, 'UTC')
                         AND fromUnixTimestamp64Milli({last:Int64}, 'UTC')
                 LIMIT {most:UInt64} BY site, visitor)
             ORDER BY version DESC LIMIT 1 BY site, at, event_id)
         ORDER BY toString(site), visitor",
    );
    // Texts that are left out must be left out before rows are sorted, not after.
    let query = within_limits(query).with_setting("query_plan_execute_functions_after_sorting", "0");
    query.param("most", MAX_EVENTS as u64 + 1).param("first", span.first).param("last", span.last).fetch()
}

impl Visitor {
    fn subject(&self) -> Subject {
        Subject::Visitor { site: self.site.clone(), visitor: self.visitor }
    }
}

impl Touched {
    /// In portions that are rebuilt together, near to each other in time; without those that are set aside.
    fn chunks(&self, is_set_aside: impl Fn(&Visitor) -> bool) -> Vec<Vec<Visitor>> {
        let mut visitors: Vec<Visitor> = self
            .spans
            .iter()
            .map(|((site, visitor), span)| Visitor { site: site.clone(), visitor: *visitor, touched: *span })
            .filter(|visitor| !is_set_aside(visitor))
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

impl Pass<'_> {
    /// Adds a visitor; false when the window was too small.
    fn add(
        &mut self,
        events: &[EventRow],
        window: Window,
        touched: Span,
        visitor: (&str, u64),
        timeout: VisitTimeout,
    ) -> bool {
        let Some(Settled { span, visits }) = settle(events.iter().collect(), window, touched, timeout) else {
            return false;
        };
        for visit in &visits {
            let row = visit_row(visit, self.version);
            self.bytes += FIXED_ROW_BYTES + visit.route[..row.route_at.len()].iter().map(page_bytes).sum::<usize>();
            let identified_by = visit.identified_by.iter().map(|event| BaseKey {
                site: event.site.clone(),
                at: event.at,
                event_id: event.event_id,
            });
            self.finished.push(Finished { row, identified_by: identified_by.collect() });
        }
        self.spans.insert((visitor.0.into(), visitor.1), span);
        true
    }
}

/// How many pages of a visit its route shows; always the first one.
fn shown_pages(visit: &Visit<'_>) -> usize {
    let mut bytes = 0;
    let fit = visit.route.iter().take(MAX_ROUTE).take_while(|step| {
        bytes += page_bytes(step);
        bytes <= MAX_ROUTE_BYTES
    });
    fit.count().max(1).min(visit.route.len())
}

/// The bytes of a page's texts.
fn page_bytes(step: &RouteStep<'_>) -> usize {
    let page = step.pageview;
    page.path.len() + page.query.len() + page.title.len()
}

fn visit_row(visit: &Visit<'_>, version: u64) -> VisitRow {
    let Visit { first, landing, .. } = visit;
    let shown = &visit.route[..shown_pages(visit)];
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
    use crate::pipeline::visits::assemble;

    #[test]
    fn visitors_are_rebuilt_in_bounded_portions_and_distant_times_apart() {
        let mut touched = Touched::default();
        for visitor in 0..MAX_STAGED_VISITORS as u64 + 5_000 {
            touched.add("a".into(), visitor, Span { first: 1_000, last: 2_000 });
        }
        touched.add("b".into(), 1, Span { first: MAX_SPREAD_MS * 3, last: MAX_SPREAD_MS * 3 });
        touched.add("b".into(), 1, Span { first: MAX_SPREAD_MS * 2, last: MAX_SPREAD_MS * 2 });
        touched.add("b".into(), 2, Span { first: MAX_SPREAD_MS * 5, last: MAX_SPREAD_MS * 5 });
        let chunks = touched.chunks(|visitor| visitor.visitor == 2 && visitor.site == "b");
        assert_eq!(chunks.iter().map(Vec::len).collect::<Vec<_>>(), [MAX_STAGED_VISITORS, 5_000, 1]);
        assert_eq!(chunks[2][0].touched, Span { first: MAX_SPREAD_MS * 2, last: MAX_SPREAD_MS * 3 });
    }

    #[test]
    fn a_route_shows_so_many_pages_and_so_many_bytes_and_always_the_first() {
        let shown = |pages: usize, path: usize| {
            let events: Vec<EventRow> = (0..pages)
                .map(|number| EventRow {
                    event_id: Uuid::from_u128(number as u128),
                    event_type: "pageview".into(),
                    event_time: UnixMillis(number as i64),
                    path: "x".repeat(path).into(),
                    ..EventRow::default()
                })
                .collect();
            let visits = assemble(&events, VisitTimeout::default());
            (shown_pages(&visits[0]), visits[0].route.len())
        };
        assert_eq!(shown(3, 10), (3, 3));
        assert_eq!(shown(1_200, 10), (MAX_ROUTE, 1_200));
        assert_eq!(shown(100, 4_096), (16, 100));
        assert_eq!(shown(2, MAX_ROUTE_BYTES + 1), (1, 2));
    }
}
