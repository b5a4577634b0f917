//! Feeds: random filters over hostile data, against a computation that knows no SQL.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's finding")]

mod reports_support;
mod support;

use collector::{
    feed::{CompanyMarks, DateRange, Feed, Filter, NumberRange, TextMatch, VisitorKind},
    snapshot::Snapshot,
    store::{CompanyRow, Store, VisitRow},
    time::UnixMillis,
};
use compact_str::{CompactString, format_compact};
use firmsight_resolver::CompanyId;
use http::StatusCode;
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use reports_support::{
    Api,
    rows::{WithPages, companies, company_days, millis, plain_visit},
    site_id,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};
use uuid::Uuid;

/// Texts that mean something to SQL, JSON, HTML or a careless escape, and some that match each other in part.
const NASTY: &[&str] = &[
    "",
    "a",
    "A",
    "'",
    "''",
    "' OR '1'='1",
    "\"",
    "\\",
    "\\'",
    "\\\\",
    "\\N",
    "\\0",
    "\0",
    "\t",
    "\n",
    "\r\n",
    "`",
    "NULL",
    "null",
    "{p0:Array(String)}",
    "{site:String}",
    "{}",
    "[]",
    "['a','b']",
    "',''",
    "%",
    "_",
    "*",
    "?",
    "1) OR (1=1",
    "shop'; DROP TABLE visits; --",
    "/* */",
    "-- ",
    "#",
    "$$",
    "0x41",
    "1e309",
    "nan",
    "\u{202e}",
    "ÄÖÜ",
    "äöü",
    "İ",
    "ß",
    "😀",
    "٣",
    "(direct)",
    "(none)",
    "/pricing",
    "/PRICING",
    "/pricing/teams",
    "Google",
    "google",
    "DE",
    "</script>",
    "\"}],\"x\":[{\"",
];

const ZONE: &str = "Europe/Berlin";
const WINDOW: (&str, &str) = ("2026-03-20", "2026-04-05");

fn text() -> impl Strategy<Value = String> {
    let some = || prop::sample::select(NASTY).prop_map(str::to_owned);
    prop_oneof![4 => some(), 1 => (some(), some()).prop_map(|(one, other)| one + &other)]
}

fn texts() -> impl Strategy<Value = TextMatch> {
    let full = || prop::collection::vec(text().prop_filter("not empty", |text: &String| !text.is_empty()), 1..4);
    prop_oneof![
        prop::collection::vec(text(), 1..5).prop_map(TextMatch::Is),
        full().prop_map(TextMatch::Contains),
        full().prop_map(TextMatch::StartsWith),
    ]
}

fn range(highest: u64) -> impl Strategy<Value = NumberRange> {
    (0..highest, 0..highest, 0..3).prop_map(|(one, other, ends)| NumberRange {
        min: (ends != 0).then_some(one.min(other)),
        max: (ends != 1).then_some(one.max(other)),
    })
}

fn days() -> impl Strategy<Value = DateRange> {
    let day = |number: i64| "2026-03-15".parse::<Date>().unwrap().saturating_add(jiff::Span::new().days(number));
    (0i64..25, 0i64..25, 0..3).prop_map(move |(one, other, ends)| DateRange {
        from: (ends != 0).then(|| day(one.min(other))),
        to: (ends != 1).then(|| day(one.max(other))),
    })
}

fn filter() -> impl Strategy<Value = Filter> {
    let of_visits = prop_oneof![
        texts().prop_map(Filter::Country),
        texts().prop_map(Filter::Region),
        texts().prop_map(Filter::City),
        texts().prop_map(Filter::Page),
        texts().prop_map(Filter::Source),
        texts().prop_map(Filter::Medium),
        texts().prop_map(Filter::Campaign),
        texts().prop_map(Filter::Event),
    ];
    let of_companies = prop_oneof![
        texts().prop_map(Filter::Company),
        texts().prop_map(Filter::Domain),
        texts().prop_map(Filter::Industry),
        texts().prop_map(Filter::Tag),
        texts().prop_map(Filter::Assignee),
        any::<bool>().prop_map(Filter::Followed),
        Just(Filter::List(vec![Uuid::nil()])),
    ];
    let numbers = prop_oneof![
        range(6).prop_map(Filter::Visits),
        range(12).prop_map(Filter::Pageviews),
        range(400).prop_map(Filter::Duration),
        range(11).prop_map(Filter::Quality),
        range(300).prop_map(Filter::Employees),
        days().prop_map(Filter::FirstSeen),
        prop_oneof![Just(VisitorKind::New), Just(VisitorKind::Returning)].prop_map(Filter::Visitor),
    ];
    let leaf = prop_oneof![3 => of_visits, 2 => of_companies, 2 => numbers];
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Filter::All),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Filter::Any),
            inner.prop_map(|filter| Filter::Not(Box::new(filter))),
        ]
    })
}

/// Everything a filter is evaluated over.
struct World {
    visits: Vec<VisitRow>,
    companies: BTreeMap<u64, CompanyRow>,
    marks: HashMap<u64, CompanyMarks>,
}

fn runner() -> TestRunner {
    TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]))
}

fn draw<T>(runner: &mut TestRunner, strategy: &impl Strategy<Value = T>) -> T {
    strategy.new_tree(runner).unwrap().current()
}

impl World {
    fn new(runner: &mut TestRunner) -> Self {
        let mut visits = Vec::new();
        let start = millis("2026-03-15T00:00:00Z").0;
        let nasty = stored_text();
        for company in 0..40_u64 {
            let domain = format_compact!("c{company}.example");
            let name = draw(runner, &nasty);
            let industry = draw(runner, &nasty);
            for _ in 0..draw(runner, &(1..6)) {
                let at = start + draw(runner, &(0..26 * 86_400_000_i64));
                let mut visit = VisitRow {
                    company_name: name.clone(),
                    company_domain: if company % 5 == 0 { CompactString::default() } else { domain.clone() },
                    company_industry: industry.clone(),
                    country_code: draw(runner, &nasty),
                    region: draw(runner, &nasty),
                    city: draw(runner, &nasty),
                    source: draw(runner, &nasty),
                    medium: draw(runner, &nasty),
                    campaign: draw(runner, &nasty),
                    visit_length: draw(runner, &(0..200_u32)),
                    event_names: draw(runner, &prop::collection::vec(stored_text(), 0..3)),
                    ..plain_visit("shop", visits.len() as u64 + 1, &domain, UnixMillis(at))
                };
                let pages = draw(runner, &prop::collection::vec(stored_text(), 1..5));
                let steps: Vec<(i64, &str, &str)> = pages.iter().map(|_| (0, "/", "")).collect();
                visit = visit.with_pages(&steps);
                visit.route_path = pages;
                visits.push(visit);
            }
        }
        visits.sort_by_key(|visit| (visit.started_at, visit.visit_id));
        let days = company_days(&visits, ZONE);
        let mut companies: BTreeMap<u64, CompanyRow> =
            companies(&days).into_iter().map(|company| (company.company_id, company)).collect();
        let mut marks = HashMap::new();
        for (number, (id, company)) in companies.iter_mut().enumerate() {
            let number = number as u32;
            company.employees_min = (!number.is_multiple_of(3)).then_some(number * 7);
            company.employees_max = company.employees_min.filter(|_| !number.is_multiple_of(4)).map(|min| min + number);
            if number.is_multiple_of(2) {
                let line = text().prop_filter("one line", |text: &String| {
                    !text.trim().is_empty() && text.trim() == text && !text.chars().any(char::is_control)
                });
                let tags: BTreeSet<String> = draw(runner, &prop::collection::vec(line, 0..3)).into_iter().collect();
                marks.insert(
                    *id,
                    CompanyMarks {
                        tags: tags.into_iter().collect(),
                        assignee: if number.is_multiple_of(4) {
                            "o'hara@shop.example".to_owned()
                        } else {
                            String::new()
                        },
                        is_followed: number.is_multiple_of(6),
                        is_hidden: number.is_multiple_of(14),
                        ..CompanyMarks::default()
                    },
                );
            }
        }
        Self { visits, companies, marks }
    }

    async fn store(&self, store: &Store) {
        store.insert_visits(&self.visits).await.unwrap();
        store.insert_company_days(&company_days(&self.visits, ZONE)).await.unwrap();
        store.insert_companies(&self.companies.values().cloned().collect::<Vec<_>>()).await.unwrap();
    }

    fn in_window(&self, company: u64, window: (i64, i64)) -> impl Iterator<Item = &VisitRow> {
        self.visits
            .iter()
            .filter(move |visit| visit.company_id == company && (window.0..window.1).contains(&visit.started_at.0))
    }

    /// Visits, page views, companies and visitors of a feed.
    fn counts(&self, filter: &Filter, window: (i64, i64)) -> [u64; 4] {
        let is_shown = |company: &u64| !self.marks.get(company).is_some_and(|marks| marks.is_hidden);
        let companies = self.companies.keys().filter(|id| is_shown(id) && self.fits(filter, **id, window));
        let visits: Vec<&VisitRow> = companies.flat_map(|id| self.in_window(*id, window)).collect();
        let different = |of: fn(&VisitRow) -> u64| visits.iter().map(|visit| of(visit)).collect::<BTreeSet<_>>().len();
        [
            visits.len() as u64,
            visits.iter().map(|visit| u64::from(visit.pageviews)).sum(),
            different(|visit| visit.company_id) as u64,
            different(|visit| visit.visitor) as u64,
        ]
    }

    fn fits(&self, filter: &Filter, company: u64, window: (i64, i64)) -> bool {
        let any = |field: fn(&VisitRow) -> Vec<&str>, none: &str, matched: &TextMatch| {
            self.in_window(company, window)
                .flat_map(field)
                .any(|text| matches(matched, text) || (text.is_empty() && matches(matched, none)))
        };
        let row = &self.companies[&company];
        let marks = self.marks.get(&company).cloned().unwrap_or_default();
        let sum = |number: fn(&VisitRow) -> u64| self.in_window(company, window).map(number).sum::<u64>();
        match filter {
            Filter::All(filters) => filters.iter().all(|filter| self.fits(filter, company, window)),
            Filter::Any(filters) => filters.iter().any(|filter| self.fits(filter, company, window)),
            Filter::Not(filter) => !self.fits(filter, company, window),
            Filter::Company(matched) => matches(matched, &row.name),
            Filter::Domain(matched) => matches(matched, &row.domain),
            Filter::Industry(matched) => matches(matched, &row.industry),
            Filter::Country(matched) => any(|visit| vec![&visit.country_code], "", matched),
            Filter::Region(matched) => any(|visit| vec![&visit.region], "", matched),
            Filter::City(matched) => any(|visit| vec![&visit.city], "", matched),
            Filter::Page(matched) => {
                any(|visit| visit.route_path.iter().map(CompactString::as_str).collect(), "", matched)
            }
            Filter::Source(matched) => any(|visit| vec![&visit.source], "(direct)", matched),
            Filter::Medium(matched) => any(|visit| vec![&visit.medium], "(none)", matched),
            Filter::Campaign(matched) => any(|visit| vec![&visit.campaign], "", matched),
            Filter::Event(matched) => {
                any(|visit| visit.event_names.iter().map(CompactString::as_str).collect(), "", matched)
            }
            Filter::Tag(matched) => marks.tags.iter().any(|tag| matches(matched, tag)),
            Filter::Assignee(matched) => matches(matched, &marks.assignee),
            Filter::List(lists) => marks.lists.iter().any(|list| lists.contains(list)),
            Filter::Followed(is_followed) => marks.is_followed == *is_followed,
            Filter::Visits(range) => within(range, sum(|_| 1)),
            Filter::Pageviews(range) => within(range, sum(|visit| u64::from(visit.pageviews))),
            Filter::Duration(range) => within(range, sum(|visit| u64::from(visit.visit_length))),
            Filter::Quality(range) => {
                let pageviews = sum(|visit| u64::from(visit.pageviews));
                let engagement = [1, 2, 4, 8, 16].iter().filter(|least| pageviews >= **least).count();
                within(range, engagement as u64 + facts(row).iter().filter(|is_known| **is_known).count() as u64)
            }
            Filter::Employees(range) => {
                let least = range.min.is_none_or(|min| row.employees_min.is_some_and(|own| u64::from(own) >= min));
                let most = range.max.is_none_or(|max| row.employees_max.is_some_and(|own| u64::from(own) <= max));
                least && most
            }
            Filter::FirstSeen(range) => {
                let zone = TimeZone::get(ZONE).unwrap();
                let day = zone.to_datetime(Timestamp::from_millisecond(row.first_visit_at.0).unwrap()).date();
                range.from.is_none_or(|from| day >= from) && range.to.is_none_or(|to| day <= to)
            }
            Filter::Visitor(kind) => (row.first_visit_at.0 >= window.0) == (*kind == VisitorKind::New),
        }
    }
}

/// Whether name, domain, industry, country and size are known.
fn facts(row: &CompanyRow) -> [bool; 5] {
    let is_known = |text: &str| !text.is_empty();
    [
        is_known(&row.name),
        is_known(&row.domain),
        is_known(&row.industry),
        is_known(&row.country_code),
        row.employees_min.is_some() || row.revenue_amount.is_some(),
    ]
}

fn stored_text() -> impl Strategy<Value = CompactString> {
    text().prop_map(CompactString::from)
}

fn within(range: &NumberRange, number: u64) -> bool {
    range.min.is_none_or(|min| number >= min) && range.max.is_none_or(|max| number <= max)
}

fn matches(matched: &TextMatch, text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    match matched {
        TextMatch::Is(texts) => texts.iter().any(|one| one == text),
        TextMatch::Contains(texts) => texts.iter().any(|part| lower.contains(&part.to_ascii_lowercase())),
        TextMatch::StartsWith(texts) => texts.iter().any(|part| lower.starts_with(&part.to_ascii_lowercase())),
    }
}

fn ids(document: &serde_json::Value) -> BTreeSet<String> {
    document["data"].as_array().unwrap().iter().map(|lead| lead["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn any_filter_over_hostile_texts_finds_what_a_computation_without_sql_finds() {
    let mut runner = runner();
    let world = World::new(&mut runner);
    let store = support::store().await;
    world.store(&store).await;
    let filters: Vec<Filter> = std::iter::repeat_with(|| draw(&mut runner, &filter()))
        .filter(|filter| filter.check().is_ok())
        .take(150)
        .collect();
    let feeds: HashMap<Uuid, Arc<Feed>> = filters
        .iter()
        .zip(1..)
        .map(|(filter, number)| {
            let id = Uuid::from_u128(number);
            let name = format!("feed {number}");
            let created_at = UnixMillis(0);
            let feed =
                Feed { id, site: site_id("shop"), name, folder: String::new(), filter: filter.clone(), created_at };
            (id, Arc::new(feed))
        })
        .collect();
    let mut control = None;
    let api = Api::with(store.clone(), |state| {
        let snapshot = Snapshot { feeds, ..Snapshot::clone(&state.snapshot.load()) };
        state.snapshot.store(Arc::new(snapshot));
        control = Some(state.control.clone());
    });
    let before = state_of(&store).await;
    // Marks go through control, which is what writes them.
    let control = control.unwrap();
    for (company, marks) in &world.marks {
        let marks = marks.clone();
        let now = UnixMillis(1_790_000_000_000);
        control.change_marks(&site_id("shop"), CompanyId(*company), move |own| *own = marks, now).await.unwrap();
    }

    let zone = TimeZone::get(ZONE).unwrap();
    let midnight = |day: &str| {
        let day: Date = day.parse().unwrap();
        day.to_zoned(zone.clone()).unwrap().timestamp().as_millisecond()
    };
    let window = (midnight(WINDOW.0), midnight("2026-04-06"));
    let instants = ("2026-03-20T00:00:00", "2026-04-05T23:59:59.999");
    let mut found_any = 0;
    for (number, filter) in filters.iter().enumerate() {
        let expected: BTreeSet<String> = world
            .companies
            .keys()
            .filter(|id| world.in_window(**id, window).next().is_some())
            .filter(|id| !world.marks.get(id).is_some_and(|marks| marks.is_hidden))
            .filter(|id| world.fits(filter, **id, window))
            .map(|id| CompanyId(*id).to_string())
            .collect();
        found_any += usize::from(!expected.is_empty());
        let feed = Uuid::from_u128(number as u128 + 1);
        // Whole days come from company days, instants from the visits themselves.
        for (start, end) in [WINDOW, instants] {
            let path =
                format!("/accounts/shop/custom-feeds/{feed}/leads?start_date={start}&end_date={end}&page[size]=100");
            let answer = api.get(&path).await;
            assert_eq!(answer.status, StatusCode::OK, "{filter:?}: {}", answer.text());
            assert_eq!(ids(&answer.json()), expected, "{filter:?} from {start}");
        }
    }
    assert!(found_any > 50, "only {found_any} filters find anything: they show little");
    for (start, end) in [WINDOW, instants] {
        let mut path = format!("/v1/sites/shop/breakdowns/feed?start_date={start}&end_date={end}");
        let mut counted = HashMap::new();
        loop {
            let answer = api.get(&path).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
            let page = answer.json();
            for row in page["data"].as_array().unwrap() {
                let number = |name: &str| row[name].as_u64().unwrap();
                let counts = ["visits", "pageviews", "companies", "visitors"].map(number);
                counted.insert(row["feed"].as_str().unwrap().to_owned(), counts);
            }
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            path = format!("/v1/sites/shop/breakdowns/feed?start_date={start}&end_date={end}&cursor={cursor}");
        }
        assert_eq!(counted.len(), filters.len() + 4, "and the built-in ones");
        for (number, filter) in filters.iter().enumerate() {
            let feed = Uuid::from_u128(number as u128 + 1).to_string();
            assert_eq!(counted[&feed], world.counts(filter, window), "{filter:?} from {start}");
        }
        assert_eq!(counted["all_leads"], world.counts(&Filter::All(Vec::new()), window));
    }
    assert_eq!(state_of(&store).await, before);
}

/// How many rows the tables hold: what an injected statement would change.
async fn state_of(store: &Store) -> Vec<(String, u64)> {
    let sql = "SELECT name, ifNull(total_rows, 0) FROM system.tables WHERE database = currentDatabase() \
        AND name IN ('visits', 'company_activity', 'companies', 'sites', 'api_keys', 'events') ORDER BY name";
    store.client().query(sql).fetch_all().await.unwrap()
}
