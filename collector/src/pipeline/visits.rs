//! Counting: which events make up which visit. Pure, and the same for every order of arrival.
//!
//! # The rule
//! Events of one visitor with at most the timeout (30 minutes unless configured) between neighbours
//! form a *chain*. What somebody does on a page that was quiet for longer (a form, a download, `identify`)
//! joins the chain of its pageview for four hours, and whatever lies between goes along. A chain is one
//! visit, but for two cuts at midnight UTC:
//! - A visitor without a client id is cut at every midnight, because the key under which such
//!   visitors are hashed is a new one each day.
//! - A visitor with a client id is cut at a midnight before which the chain ran through the whole day
//!   (24 hours without a gap). People don't do that, monitors and forgotten tabs do. The cut bounds a
//!   visit to 48 hours, and it can be decided by looking at one day of events, wherever the chain began.
//!
//! A visit starts with its first pageview, which also gives its id, source and device. Where there is none,
//! because the page was opened in an earlier visit, the first thing that was done opens the visit, on the page
//! on which it was done. Time that passes by itself (engagement) opens none: it counts for its page, up to
//! four hours later, whichever chain it is in. Company and place are those of the first event of any kind. Times on pages are
//! cumulative in the tracker and merged by maximum, so that a lost or repeated engagement event does little harm.
//!
//! # Why late, repeated and reordered events change nothing
//! [`assemble`] sorts by event time and event id and ignores the order in which events arrived. Repeats
//! have the same key (site, the client's clock, event id); the first arrival wins, whichever visitor it
//! was counted for. So the visits are a function of the *set* of stored events.
//!
//! # Why a part of the events is enough
//! A rebuild cannot read everything a visitor ever did. [`settle`] takes the span of event times that
//! were touched (added, or lost to an earlier arrival) and the visitor's events in a [`Window`] around it:
//! - What an event can do to others ends at its *reach*: the timeout, or the four hours if they are longer. So only
//!   chains within a reach of the touched span can have changed.
//! - Backwards, a chain either begins inside the window, or runs through the whole day before the last
//!   midnight `M` before the touched span. Then `M` is a cut whatever was touched, and rebuilding starts there.
//! - Forwards, a midnight more than a day and a reach after the touched span is a cut, or not, whatever
//!   was touched, and rebuilding ends there; what is read behind it is only time on the pages before it.
//!
//! So at most 48 hours (and a few reaches) are read on either side, and the result is exact. A property
//! test compares rebuilding batch by batch with assembling everything at once.

use crate::{store::EventRow, time::UnixMillis};
use beacon::EventKind;
use compact_str::CompactString;
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};
use uuid::Uuid;

const DAY: i64 = 86_400_000;
/// Longest kept e-mail address or name of an `identify` event, in bytes (RFC 5321 allows 254 for an address).
const MAX_IDENTITY_BYTES: usize = 254;
/// The last `identify` events of a visit, which count; whoever sends more is nobody who fills in a form.
const MAX_IDENTIFIES: usize = 50;
/// Events of a visit whose names are kept.
const MAX_EVENT_NAMES: usize = 1_000;

/// How long what happens on a page belongs to the visit of its pageview, however quiet the page was before.
const PAGE_MS: i64 = 4 * 3_600_000;

/// The longest silence inside a visit: 1 minute to 12 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VisitTimeout(i64);

impl VisitTimeout {
    /// Clamps to 1 minute to 12 hours.
    #[must_use]
    pub fn new(timeout: Duration) -> Self {
        Self(i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX).clamp(60_000, DAY / 2))
    }

    /// In milliseconds.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// How far, in milliseconds, an event can change what others belong to.
    const fn reach(self) -> i64 {
        if self.0 > PAGE_MS { self.0 } else { PAGE_MS }
    }
}

impl Default for VisitTimeout {
    fn default() -> Self {
        Self(30 * 60_000)
    }
}

fn is_pageview(event: &EventRow) -> bool {
    event.event_type == EventKind::Pageview.as_str()
}

/// What a repeat has in common with the first arrival.
fn key(event: &EventRow) -> (&str, UnixMillis, Uuid) {
    (&event.site, event.at, event.event_id)
}

/// Neighbours in this order are neighbours in a chain.
fn order(event: &EventRow) -> (&str, u64, UnixMillis, Uuid, UnixMillis) {
    (&event.site, event.visitor, event.event_time, event.event_id, event.at)
}

/// Whether somebody did something: neither a new page nor time that passed by itself.
fn is_act(event: &EventRow) -> bool {
    !is_pageview(event) && event.event_type != EventKind::Engagement.as_str()
}

/// One step of a visit's route.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RouteStep<'a> {
    /// The pageview; in a visit without one, what was done first.
    pub pageview: &'a EventRow,
    /// Milliseconds the page was visible.
    pub visible_ms: u32,
    /// Deepest scroll, percent.
    pub scroll: u8,
}

/// The visitor's own words in `identify` events; empty where not given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// E-mail address.
    pub email: CompactString,
    /// First name.
    pub first_name: CompactString,
    /// Last name.
    pub last_name: CompactString,
}

/// A visit.
#[derive(Clone, Debug, PartialEq)]
pub struct Visit<'a> {
    /// The first event of any kind: company and place are its.
    pub first: &'a EventRow,
    /// The pageviews, oldest first; never empty.
    pub route: Vec<RouteStep<'a>>,
    /// The first step of the route: start, id, source and device are its.
    pub landing: &'a EventRow,
    /// Time of the last event.
    pub ended_at: UnixMillis,
    /// How many events of any kind.
    pub events: u32,
    /// What goals can be made of: names of custom events, and the kinds `outbound`, `download`, `form`, `video`.
    pub event_names: BTreeSet<&'a str>,
    /// What the visitor said of themselves, the latest of each.
    pub identity: Identity,
    /// The latest events that said so, oldest first, for whoever read the events without their properties.
    pub identified_by: Vec<&'a EventRow>,
}

impl Visit<'_> {
    /// Time of the first pageview.
    #[must_use]
    pub const fn started_at(&self) -> UnixMillis {
        self.landing.event_time
    }

    /// The visit's id: the first 64 bits of SHA-256 over the first pageview's event id.
    #[must_use]
    pub fn id(&self) -> u64 {
        visit_id(self.landing.event_id)
    }

    /// Milliseconds all pages together were visible.
    #[must_use]
    pub fn visible_ms(&self) -> u64 {
        self.route.iter().map(|step| u64::from(step.visible_ms)).sum()
    }
}

/// The id of the visit that begins with this pageview.
#[must_use]
pub fn visit_id(first_pageview: Uuid) -> u64 {
    super::rows::first_64_bits(&Sha256::digest(first_pageview.as_bytes()))
}

/// Whole seconds from each pageview to the visit's next one, 0 for the last. Takes the times of the
/// pageviews, oldest first.
#[must_use]
pub fn seconds_on_pages(route_at: &[UnixMillis]) -> Vec<u32> {
    let mut seconds: Vec<u32> = route_at
        .windows(2)
        .map(|pair| u32::try_from((pair[1].0 - pair[0].0).max(0) / 1000).unwrap_or(u32::MAX))
        .collect();
    seconds.extend(route_at.last().map(|_| 0));
    seconds
}

/// A span of event times, Unix milliseconds, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first.
    pub first: i64,
    /// The last.
    pub last: i64,
}

impl Span {
    /// One moment.
    #[must_use]
    pub const fn at(time: UnixMillis) -> Self {
        Self { first: time.0, last: time.0 }
    }

    /// Whether a time lies in it.
    #[must_use]
    pub const fn holds(self, time: UnixMillis) -> bool {
        self.first <= time.0 && time.0 <= self.last
    }

    /// The smallest span that holds both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self { first: self.first.min(other.first), last: self.last.max(other.last) }
    }
}

/// Which events of a visitor a rebuild reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Event times to read.
    pub span: Span,
    /// The midnights at which rebuilding starts when a chain began before the window, and at which it ends when it goes on;
    /// `None` when such a chain needs the full window.
    cuts: Option<(i64, i64)>,
}

impl Window {
    /// Some hours: enough for nearly every visit, and much cheaper to read.
    #[must_use]
    pub const fn near(touched: Span, timeout: VisitTimeout) -> Self {
        let margin = 4 * timeout.0 + timeout.reach();
        Self { span: Span { first: touched.first - margin, last: touched.last + margin }, cuts: None }
    }

    /// Enough for every visit.
    #[must_use]
    pub const fn full(touched: Span, timeout: VisitTimeout) -> Self {
        let reach = timeout.reach();
        let start = (touched.first - reach).div_euclid(DAY) * DAY;
        let decided = touched.last + DAY + reach + 1;
        let end = (decided + DAY - 1).div_euclid(DAY) * DAY;
        Self { span: Span { first: start - DAY - reach, last: end + reach }, cuts: Some((start, end)) }
    }
}

/// What a rebuild of one visitor found.
#[derive(Clone, Debug, PartialEq)]
pub struct Settled<'a> {
    /// Where visits may start that the touched events can have changed. The visitor's stored visits that
    /// start in it and are not among `visits` are no more.
    pub span: Span,
    /// The visits that start in it.
    pub visits: Vec<Visit<'a>>,
}

/// Keeps one row of each key (site, client's clock, event id): the first arrival, which is the one with
/// the highest version.
#[must_use]
pub fn first_arrivals(events: &[EventRow]) -> Vec<&EventRow> {
    let mut kept: HashMap<_, &EventRow> = HashMap::with_capacity(events.len());
    for event in events {
        let best = kept.entry(key(event)).or_insert(event);
        if (event.version, order(event)) > (best.version, order(best)) {
            *best = event;
        }
    }
    kept.into_values().collect()
}

/// All visits in a set of events, which may be of several visitors and sites and in any order, with repeats.
#[must_use]
pub fn assemble(events: &[EventRow], timeout: VisitTimeout) -> Vec<Visit<'_>> {
    let events = first_arrivals(events);
    let times = TimeOnPages::of(&events);
    let mut visits: Vec<_> = chains(events, timeout).iter().flat_map(|chain| visits_of_chain(chain, &times)).collect();
    visits.sort_unstable_by_key(|visit| (&visit.landing.site, visit.started_at(), visit.id()));
    visits
}

/// The visits of one visitor that touched event times can have changed. `events` are the visitor's
/// first arrivals in the window. `None` when the window is too small: call again with [`Window::full`].
#[must_use]
pub fn settle<'a>(
    events: Vec<&'a EventRow>,
    window: Window,
    touched: Span,
    timeout: VisitTimeout,
) -> Option<Settled<'a>> {
    let reach = timeout.reach();
    let events: Vec<_> = events.into_iter().filter(|event| window.span.holds(event.event_time)).collect();
    let times = TimeOnPages::of(&events);
    let mut span = touched;
    let mut visits = Vec::new();
    for chain in chains(events, timeout) {
        let (first, last) = (chain[0].event_time.0, chain[chain.len() - 1].event_time.0);
        if last < touched.first - reach || touched.last + reach < first {
            continue;
        }
        let begins_before = first <= window.span.first + reach;
        let goes_on = last >= window.span.last - reach;
        if window.cuts.is_none() && (begins_before || goes_on) {
            return None;
        }
        let start = window.cuts.filter(|_| begins_before).map_or(first, |(start, _)| start);
        let end = window.cuts.map_or(i64::MAX, |(_, end)| end);
        let rebuilt = Span { first: start, last: last.min(end - 1) };
        span = span.union(rebuilt);
        let found = visits_of_chain(&chain, &times).into_iter();
        visits.extend(found.filter(|visit| rebuilt.holds(visit.first.event_time)));
    }
    Some(Settled { span, visits })
}

/// Sorts events and splits them where the visitor changes or was silent for longer than the timeout, unless something was
/// done after the silence on a page from before it.
fn chains(mut events: Vec<&EventRow>, timeout: VisitTimeout) -> Vec<Vec<&EventRow>> {
    events.sort_unstable_by_key(|event| order(event));
    let bridges = bridges(&events);
    let mut chains: Vec<Vec<&EventRow>> = Vec::new();
    let mut bridged_until = i64::MIN;
    for (event, bridge) in events.into_iter().zip(bridges) {
        let time = event.event_time.0;
        match chains.last_mut() {
            Some(chain)
                if chain.last().is_some_and(|last| {
                    (&last.site, last.visitor) == (&event.site, event.visitor)
                        && (time - last.event_time.0 <= timeout.0 || time <= bridged_until)
                }) =>
            {
                chain.push(event);
                bridged_until = bridged_until.max(bridge);
            }
            _ => {
                chains.push(vec![event]);
                bridged_until = bridge;
            }
        }
    }
    chains
}

/// For each event, in order: until when something was done on it as a page.
fn bridges(events: &[&EventRow]) -> Vec<i64> {
    let mut bridges = vec![i64::MIN; events.len()];
    let mut pages: HashMap<(&str, u64, Uuid), Vec<usize>> = HashMap::new();
    for (position, page) in events.iter().enumerate().filter(|(_, event)| is_pageview(event)) {
        pages.entry((&page.site, page.visitor, page.event_id)).or_default().push(position);
    }
    for act in events.iter().filter(|event| is_act(event)) {
        for &position in pages.get(&(&*act.site, act.visitor, act.page)).into_iter().flatten() {
            if (0..=PAGE_MS).contains(&(act.event_time.0 - events[position].event_time.0)) {
                bridges[position] = bridges[position].max(act.event_time.0);
            }
        }
    }
    bridges
}

/// What events say of the time on pages, wherever they stand.
struct TimeOnPages<'a>(HashMap<(&'a str, u64, Uuid), Vec<&'a EventRow>>);

impl<'a> TimeOnPages<'a> {
    fn of(events: &[&'a EventRow]) -> Self {
        let mut pages: HashMap<_, Vec<&EventRow>> = HashMap::new();
        for event in events.iter().filter(|event| event.visible_ms > 0 && !is_pageview(event)) {
            pages.entry((event.site.as_str(), event.visitor, event.page)).or_default().push(event);
        }
        Self(pages)
    }

    /// Adds what was said later than the visit that the page is in.
    fn complete(&self, step: &mut RouteStep<'_>) {
        let page = step.pageview;
        for event in self.0.get(&(&*page.site, page.visitor, page.event_id)).into_iter().flatten() {
            if (0..=PAGE_MS).contains(&(event.event_time.0 - page.event_time.0)) {
                step.visible_ms = step.visible_ms.max(event.visible_ms);
                step.scroll = step.scroll.max(event.scroll);
            }
        }
    }
}

fn visits_of_chain<'a>(chain: &[&'a EventRow], times: &TimeOnPages<'_>) -> Vec<Visit<'a>> {
    let began = chain.first().map_or(0, |event| event.event_time.0);
    chain
        .chunk_by(|one, next| {
            let midnight = next.event_time.0.div_euclid(DAY) * DAY;
            let crossed = one.event_time.0 < midnight;
            !crossed || (one.has_client && began > midnight - DAY)
        })
        .filter_map(|events| visit_of(events, times))
        .collect()
}

/// Makes one visit of its events, sorted by time; `None` where nothing was opened or done.
fn visit_of<'a>(events: &[&'a EventRow], times: &TimeOnPages<'_>) -> Option<Visit<'a>> {
    let act = events.iter().find(|event| is_act(event) && !event.host.is_empty());
    let opening = if events.iter().any(|event| is_pageview(event)) { None } else { act };
    let mut route: Vec<RouteStep<'_>> = events
        .iter()
        .filter(|event| is_pageview(event))
        .chain(opening)
        .map(|&pageview| RouteStep { pageview, visible_ms: pageview.visible_ms, scroll: pageview.scroll })
        .collect();
    let landing = route.first()?.pageview;
    let mut steps: BTreeMap<Uuid, usize> = BTreeMap::new();
    for (index, step) in route.iter().enumerate() {
        steps.entry(step.pageview.event_id).or_insert(index);
    }
    for event in events.iter().filter(|event| !is_pageview(event)) {
        if let Some(step) = steps.get(&event.page).and_then(|&index| route.get_mut(index)) {
            step.visible_ms = step.visible_ms.max(event.visible_ms);
            step.scroll = step.scroll.max(event.scroll);
        }
    }
    for &index in steps.values() {
        if let Some(step) = route.get_mut(index) {
            times.complete(step);
        }
    }
    let said = events.iter().copied().filter(|event| event.event_type == EventKind::Identify.as_str());
    let mut identified_by: Vec<&EventRow> = said.rev().take(MAX_IDENTIFIES).collect();
    identified_by.reverse();
    let mut identity = Identity::default();
    identified_by.iter().for_each(|event| identity.learn(&event.props));
    Some(Visit {
        first: events.first()?,
        landing,
        ended_at: events.last()?.event_time,
        events: u32::try_from(events.len()).unwrap_or(u32::MAX),
        event_names: events.iter().filter_map(|event| goal_name(event)).take(MAX_EVENT_NAMES).collect(),
        identity,
        identified_by,
        route,
    })
}

/// The name by which a goal can mean this event; none for those that only measure.
fn goal_name(event: &EventRow) -> Option<&str> {
    match event.event_type.as_str() {
        "custom" => Some(event.name.as_str()).filter(|name| !name.is_empty()),
        kind @ ("outbound" | "download" | "form" | "video") => Some(kind),
        _ => None,
    }
}

impl Identity {
    /// Takes over what an `identify` event's properties hold; anything but text is ignored.
    pub(super) fn learn(&mut self, props: &str) {
        let read = |json: &str| serde_json::from_str::<serde_json::Value>(json);
        let Ok(props) = read(props).or_else(|_| read(&without_half_pairs(props))) else { return };
        for (name, slot) in
            [("email", &mut self.email), ("first_name", &mut self.first_name), ("last_name", &mut self.last_name)]
        {
            if let Some(text) = props.get(name).and_then(serde_json::Value::as_str).map(str::trim)
                && !text.is_empty()
            {
                *slot = text[..text.floor_char_boundary(MAX_IDENTITY_BYTES)].into();
            }
        }
    }
}

/// JSON in which every half of a surrogate pair is replaced: pages cut names between the halves, and one such name shall not hide
/// what else was said.
fn without_half_pairs(json: &str) -> String {
    let mut whole = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        whole.push_str(before);
        let is_unicode = escape.get(1..2) == Some("u");
        let is_half = is_unicode
            && escape.get(2..3).is_some_and(|digit| digit.eq_ignore_ascii_case("d"))
            && escape.get(3..4).is_some_and(|digit| digit >= "8");
        let (escape, after) = escape.split_at_checked(if is_unicode { 6 } else { 2 }).unwrap_or((escape, ""));
        whole.push_str(if is_half { "\\ufffd" } else { escape });
        rest = after;
    }
    whole + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: i64 = 3_600_000;
    const MINUTE: i64 = 60_000;
    /// 2023-11-15 00:00 UTC.
    const MIDNIGHT: i64 = 1_700_006_400_000;

    fn event(id: u128, event_time: i64, event_type: &str) -> EventRow {
        EventRow {
            site: "shop".into(),
            at: UnixMillis(event_time),
            event_id: Uuid::from_u128(id),
            event_type: event_type.into(),
            event_time: UnixMillis(event_time),
            visitor: 1,
            has_client: true,
            ..EventRow::default()
        }
    }

    fn pageviews(times: &[i64]) -> Vec<EventRow> {
        times.iter().zip(1..).map(|(&time, id)| event(id, time, "pageview")).collect()
    }

    /// Start and number of events of each visit.
    fn shape(events: &[EventRow]) -> Vec<(i64, u32)> {
        assemble(events, VisitTimeout::default()).iter().map(|visit| (visit.started_at().0, visit.events)).collect()
    }

    #[test]
    fn a_gap_over_the_timeout_parts_visits() {
        let noon = MIDNIGHT + 12 * HOUR;
        let times = [noon, noon + 30 * MINUTE, noon + 60 * MINUTE + 1];
        assert_eq!(shape(&pageviews(&times)), [(noon, 2), (noon + 60 * MINUTE + 1, 1)]);
    }

    #[test]
    fn only_visitors_without_an_id_are_cut_at_any_midnight() {
        let mut events = pageviews(&[MIDNIGHT - MINUTE, MIDNIGHT]);
        assert_eq!(shape(&events), [(MIDNIGHT - MINUTE, 2)]);
        events.iter_mut().for_each(|event| event.has_client = false);
        assert_eq!(shape(&events), [(MIDNIGHT - MINUTE, 1), (MIDNIGHT, 1)]);
    }

    #[test]
    fn a_visit_that_ran_through_a_whole_day_is_cut_at_midnight() {
        let times: Vec<i64> = (0..150).map(|step| MIDNIGHT + 2 * HOUR + step * 30 * MINUTE).collect();
        assert_eq!(
            shape(&pageviews(&times)),
            [(MIDNIGHT + 2 * HOUR, 92), (MIDNIGHT + 48 * HOUR, 48), (MIDNIGHT + 72 * HOUR, 10)]
        );
    }

    #[test]
    fn time_alone_makes_no_visit() {
        assert!(assemble(&[event(1, MIDNIGHT, "engagement")], VisitTimeout::default()).is_empty());
    }

    fn on_page(page: u128, event: EventRow) -> EventRow {
        EventRow { page: Uuid::from_u128(page), host: "shop.example".into(), ..event }
    }

    #[test]
    fn what_is_done_on_a_quiet_page_joins_its_visit_and_so_does_what_lies_between() {
        let noon = MIDNIGHT + 12 * HOUR;
        let mut events = vec![event(1, noon, "pageview"), on_page(1, event(2, noon + 31 * MINUTE, "form"))];
        assert_eq!(shape(&events), [(noon, 2)]);
        assert!(assemble(&events, VisitTimeout::default())[0].event_names.contains("form"));
        events.push(event(3, noon + 100 * MINUTE, "pageview"));
        assert_eq!(shape(&events), [(noon, 2), (noon + 100 * MINUTE, 1)]);
        events.push(on_page(1, event(4, noon + 240 * MINUTE, "custom")));
        assert_eq!(shape(&events), [(noon, 4)]);
    }

    #[test]
    fn what_is_done_on_a_page_of_long_ago_opens_a_visit() {
        let noon = MIDNIGHT + 12 * HOUR;
        let late = noon + 240 * MINUTE + 1;
        let identify = EventRow { props: r#"{"email":"ada@acme.example"}"#.into(), ..event(2, late, "identify") };
        let events = [event(1, noon, "pageview"), on_page(1, identify)];
        let visits = assemble(&events, VisitTimeout::default());
        assert_eq!(shape(&events), [(noon, 1), (late, 1)]);
        assert_eq!((visits[1].identity.email.as_str(), visits[1].route.len()), ("ada@acme.example", 1));
    }

    #[test]
    fn time_on_a_page_counts_for_it_in_a_later_chain_too() {
        let noon = MIDNIGHT + 12 * HOUR;
        let engagement = EventRow { visible_ms: 3_600_000, ..event(2, noon + 61 * MINUTE, "engagement") };
        let events = [event(1, noon, "pageview"), on_page(1, engagement)];
        let visits = assemble(&events, VisitTimeout::default());
        assert_eq!((visits.len(), visits[0].visible_ms(), visits[0].events), (1, 3_600_000, 1));
    }

    #[test]
    fn start_id_and_source_come_from_the_first_pageview_and_company_from_the_first_event() {
        let noon = MIDNIGHT + 12 * HOUR;
        let mut events = vec![
            event(1, noon, "custom"),
            event(2, noon + 1, "pageview"),
            event(3, noon + 2, "pageview"),
            event(4, noon + 3, "outbound"),
        ];
        events[0].company_id = 10;
        events[1].source = "Google".into();
        events[2].campaign = "spring".into();
        let visits = assemble(&events, VisitTimeout::default());
        let visit = &visits[0];
        assert_eq!((visits.len(), visit.events, visit.route.len()), (1, 4, 2));
        assert_eq!((visit.started_at().0, visit.ended_at.0), (noon + 1, noon + 3));
        assert_eq!((visit.first.company_id, visit.landing.source.as_str()), (10, "Google"));
        assert_eq!(visit.landing.campaign, "");
        assert_eq!(visit.id(), visit_id(Uuid::from_u128(2)));
    }

    #[test]
    fn engagement_is_merged_by_maximum_into_its_page() {
        let noon = MIDNIGHT + 12 * HOUR;
        let engagement = |id, page, visible_ms, scroll| EventRow {
            page: Uuid::from_u128(page),
            visible_ms,
            scroll,
            ..event(id, noon + i64::try_from(id).unwrap(), "engagement")
        };
        let events = [
            event(1, noon, "pageview"),
            event(2, noon + 2, "pageview"),
            engagement(3, 1, 4_000, 10),
            engagement(4, 1, 9_000, 40),
            engagement(5, 1, 7_000, 50),
            engagement(6, 2, 1_000, 0),
            engagement(7, 99, 60_000, 99),
        ];
        let visits = assemble(&events, VisitTimeout::default());
        let merged: Vec<_> = visits[0].route.iter().map(|step| (step.visible_ms, step.scroll)).collect();
        assert_eq!(merged, [(9_000, 50), (1_000, 0)]);
        assert_eq!(visits[0].visible_ms(), 10_000);
    }

    #[test]
    fn identify_fills_in_the_visitor_and_the_latest_word_counts() {
        let noon = MIDNIGHT + 12 * HOUR;
        let identify = |id, props: &str| EventRow {
            props: props.into(),
            ..event(id, noon + i64::try_from(id).unwrap(), "identify")
        };
        let events = [
            event(1, noon, "pageview"),
            identify(2, r#"{"email":"a@acme.example","first_name":"Ada"}"#),
            identify(3, r#"{"email":" ada@acme.example ","last_name":7}"#),
            identify(4, "not json"),
            identify(5, r#"{"last_name":"Love\ud83d","first_name":"Ada \\"}"#),
        ];
        let expected = Identity {
            email: "ada@acme.example".into(),
            first_name: "Ada \\".into(),
            last_name: "Love\u{fffd}".into(),
        };
        assert_eq!(assemble(&events, VisitTimeout::default())[0].identity, expected);
    }

    #[test]
    fn an_event_that_came_for_two_visitors_counts_for_the_first_arrival() {
        let early = EventRow { version: 9, ..event(1, MIDNIGHT, "pageview") };
        let late = EventRow { visitor: 2, version: 8, event_time: UnixMillis(MIDNIGHT + 5), ..early.clone() };
        for events in [[early.clone(), late.clone()], [late, early]] {
            let visits = assemble(&events, VisitTimeout::default());
            assert_eq!((visits.len(), visits[0].landing.visitor), (1, 1));
        }
    }

    #[test]
    fn time_on_page_lasts_to_the_next_pageview_in_whole_seconds() {
        assert_eq!(seconds_on_pages(&[]), [0u32; 0]);
        assert_eq!(seconds_on_pages(&[UnixMillis(5)]), [0]);
        assert_eq!(seconds_on_pages(&[0, 1_999, 1_999, 62_000].map(UnixMillis)), [1, 0, 60, 0]);
    }

    /// What two ways of counting must agree on.
    type Summary = BTreeMap<(UnixMillis, u64), (u64, UnixMillis, u32, u64, Vec<(Uuid, u32)>)>;

    fn summary<'a>(visits: impl IntoIterator<Item = &'a Visit<'a>>) -> Summary {
        visits
            .into_iter()
            .map(|visit| {
                let route = visit.route.iter().map(|step| (step.pageview.event_id, step.visible_ms)).collect();
                let first = visit.first;
                (
                    (visit.started_at(), visit.id()),
                    (first.visitor, visit.ended_at, visit.events, first.company_id, route),
                )
            })
            .collect()
    }

    /// The rebuild that the shell does against ClickHouse, with lists in place of tables.
    #[derive(Default)]
    struct Tables {
        events: Vec<EventRow>,
        visits: Summary,
    }

    impl Tables {
        fn add(&mut self, batch: &[EventRow], timeout: VisitTimeout) {
            self.events.extend_from_slice(batch);
            let mut touched: BTreeMap<u64, Span> = BTreeMap::new();
            for row in self.events.iter().filter(|row| batch.iter().any(|event| key(event) == key(row))) {
                let span = Span::at(row.event_time);
                touched.entry(row.visitor).and_modify(|known| *known = known.union(span)).or_insert(span);
            }
            let stored = self.events.clone();
            let mut found = Summary::new();
            let mut gone = Vec::new();
            for (&visitor, &span) in &touched {
                let own = || first_arrivals(&stored).into_iter().filter(|event| event.visitor == visitor).collect();
                let settled = settle(own(), Window::near(span, timeout), span, timeout)
                    .or_else(|| settle(own(), Window::full(span, timeout), span, timeout))
                    .expect("the full window always suffices");
                gone.extend(
                    self.visits
                        .iter()
                        .filter_map(|(key, visit)| (visit.0 == visitor && settled.span.holds(key.0)).then_some(*key)),
                );
                found.extend(summary(&settled.visits));
            }
            self.visits.retain(|key, _| !gone.contains(key));
            self.visits.extend(found);
        }
    }

    /// Events with gaps around a long timeout, so that chains run over several days; some share a key.
    fn histories() -> impl Strategy<Value = Vec<EventRow>> {
        let gap = prop_oneof![16 => 0i64..=6, 12 => 2i64..=4, 1 => 7i64..=40];
        let visitor = prop_oneof![12 => Just(1u64), 1 => Just(2), 1 => Just(3)];
        let one = (gap, 0u8..5, visitor, 0u64..3, any::<prop::sample::Index>(), 0u32..100);
        (0i64..24, prop::collection::vec(one, 1..70)).prop_map(|(start, parts)| {
            let mut time = MIDNIGHT + start * HOUR;
            let mut events: Vec<EventRow> = Vec::new();
            for (number, (gap, what, visitor, company_id, page, visible_ms)) in parts.into_iter().enumerate() {
                time += gap * HOUR;
                let kind = ["engagement", "form", "pageview", "pageview", "pageview"][usize::from(what)];
                let mut next = event(number as u128 + 1, time, kind);
                next.host = "shop.example".into();
                next.visitor = visitor;
                next.has_client = next.visitor != 3;
                next.version = u64::from(visible_ms) << 32 | number as u64;
                next.company_id = company_id;
                next.page = if events.is_empty() { Uuid::nil() } else { page.get(&events).event_id };
                next.visible_ms = visible_ms;
                if visible_ms % 10 == 0 && !events.is_empty() {
                    let earlier = page.get(&events);
                    (next.at, next.event_id) = (earlier.at, earlier.event_id);
                }
                events.push(next);
            }
            events
        })
    }

    /// Longer and shorter than what is done on a page reaches.
    fn timeouts() -> impl Strategy<Value = VisitTimeout> {
        prop_oneof![3 => Just(6), 2 => Just(2)].prop_map(|hours| VisitTimeout::new(Duration::from_secs(hours * 3600)))
    }

    proptest! {
        #[test]
        fn order_and_repeats_of_arrival_change_nothing(
            (events, shuffled) in histories().prop_flat_map(|events| {
                let twice = [events.clone(), events.clone()].concat();
                (Just(events), Just(twice).prop_shuffle())
            }),
            timeout in timeouts(),
        ) {
            let expected = summary(&assemble(&events, timeout));
            prop_assert_eq!(summary(&assemble(&shuffled, timeout)), expected);
        }

        #[test]
        fn rebuilding_batch_by_batch_gives_what_counting_all_at_once_gives(
            events in prop_oneof![histories(), histories().prop_shuffle()],
            sizes in prop::collection::vec(1usize..20, 0..3),
            timeout in timeouts(),
        ) {
            let mut tables = Tables::default();
            let mut rest = events.as_slice();
            for size in sizes.into_iter().chain(std::iter::repeat(2)) {
                if rest.is_empty() {
                    break;
                }
                let (batch, later) = rest.split_at(size.min(rest.len()));
                tables.add(batch, timeout);
                rest = later;
            }
            prop_assert_eq!(&tables.visits, &summary(&assemble(&events, timeout)));
            tables.add(&events, timeout);
            prop_assert_eq!(&tables.visits, &summary(&assemble(&events, timeout)));
        }

        #[test]
        fn every_event_of_a_visit_lies_within_48_hours(events in histories(), timeout in timeouts()) {
            for visit in assemble(&events, timeout) {
                prop_assert!(visit.ended_at.0 - visit.first.event_time.0 <= 2 * DAY);
            }
        }
    }
}
