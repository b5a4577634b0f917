//! Scores computed in SQL, against the formulas of docs/scores.md computed here, over visits drawn at random.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's finding")]

mod reports_support;
mod support;

use collector::{
    feed::{Goal, GoalRule, TextMatch},
    snapshot::Snapshot,
    store::{CompanyRow, VisitRow},
    time::UnixMillis,
};
use compact_str::CompactString;
use firmsight_resolver::CompanyId;
use http::StatusCode;
use jiff::{Timestamp, tz::TimeZone};
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
use serde_json::{Value, json};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};
use uuid::Uuid;

const ZONE: &str = "Europe/Berlin";
const DAY: i64 = 86_400_000;
const PAGES: &[&str] = &["/", "/pricing", "/Demo/now", "/demo", "/jobs", "/' OR 1=1 --"];
const EVENTS: &[&str] = &["form", "download", "Asked for \"more\"", "'; DROP TABLE visits; --"];

fn draw<T>(runner: &mut TestRunner, strategy: &impl Strategy<Value = T>) -> T {
    strategy.new_tree(runner).unwrap().current()
}

/// Visits of 60 companies around the end of March, where clocks change: some with one visit, some with dozens.
fn visits(runner: &mut TestRunner) -> Vec<VisitRow> {
    let start = millis("2026-03-01T00:00:00Z").0;
    let mut visits = Vec::new();
    for company in 0..60_u64 {
        let domain = format!("c{company}.example");
        let known = draw(runner, &prop::array::uniform4(any::<bool>()));
        let text = |is_known: bool, text: &str| CompactString::from(if is_known { text } else { "" });
        for _ in 0..draw(runner, &prop_oneof![Just(1), 1..4, 5..30]) {
            let pages = draw(runner, &prop::collection::vec(prop::sample::select(PAGES), 1..9));
            let steps: Vec<(i64, &str, &str)> = pages.iter().map(|page| (0, *page, "")).collect();
            let visit = VisitRow {
                visitor: draw(runner, &(0..6_u64)),
                company_name: text(known[0], "Name"),
                company_domain: text(known[1], &domain),
                company_industry: text(known[2], "Retail"),
                country_code: text(known[3], "DE"),
                event_names: draw(runner, &prop::collection::vec(prop::sample::select(EVENTS), 0..2))
                    .into_iter()
                    .map(CompactString::from)
                    .collect(),
                ..plain_visit(
                    "shop",
                    visits.len() as u64 + 1,
                    &domain,
                    UnixMillis(start + draw(runner, &(0..60 * DAY))),
                )
            };
            visits.push(visit.with_pages(&steps));
        }
    }
    visits.sort_by_key(|visit| (visit.started_at, visit.visit_id));
    visits
}

/// Thresholds that a number reaches.
fn points(number: f64, thresholds: &[f64]) -> usize {
    thresholds.iter().filter(|least| number >= **least).count()
}

/// A part as the API writes it.
fn part(name: &str, value: f64, points: usize, of: u8) -> Value {
    json!({"name": name, "value": value, "points": points, "of": of})
}

fn reaches(goal: &GoalRule, visit: &VisitRow) -> bool {
    let (texts, wanted) = match goal {
        GoalRule::Page(wanted) => (&visit.route_path, wanted),
        GoalRule::Event(wanted) => (&visit.event_names, wanted),
    };
    let lower = |text: &str| text.to_ascii_lowercase();
    texts.iter().any(|text| match wanted {
        TextMatch::Is(wanted) => wanted.iter().any(|wanted| wanted == text),
        TextMatch::Contains(wanted) => wanted.iter().any(|part| lower(text).contains(&lower(part))),
        TextMatch::StartsWith(wanted) => wanted.iter().any(|part| lower(text).starts_with(&lower(part))),
    })
}

/// docs/scores.md, without SQL.
fn score(row: &CompanyRow, visits: &[&VisitRow], goals: &[GoalRule], until: i64) -> Value {
    let zone = TimeZone::get(ZONE).unwrap();
    let pageviews: u64 = visits.iter().map(|visit| u64::from(visit.pageviews)).sum();
    let facts = [
        ("name", !row.name.is_empty()),
        ("domain", !row.domain.is_empty()),
        ("industry", !row.industry.is_empty()),
        ("country", !row.country_code.is_empty()),
        ("size", row.employees_min.is_some() || row.revenue_amount.is_some()),
    ];
    let mut quality = vec![part("engagement", pageviews as f64, points(pageviews as f64, &[1., 2., 4., 8., 16.]), 5)];
    quality.extend(facts.map(|(name, is_known)| part(name, f64::from(u8::from(is_known)), usize::from(is_known), 1)));

    let reaches_any = |visit: &&&VisitRow| goals.iter().any(|goal| reaches(goal, visit));
    let goal_visits = visits.iter().filter(reaches_any).count() as f64;
    // Of these pages only /jobs speaks against interest.
    let saw_more = |visit: &&&VisitRow| visit.route_path.iter().any(|path| !path.contains("/jobs"));
    let counted: Vec<&VisitRow> =
        visits.iter().filter(|visit| reaches_any(visit) || saw_more(visit)).copied().collect();
    let visits = counted.as_slice();
    let pageviews: u64 = visits.iter().map(|visit| u64::from(visit.pageviews)).sum();
    let day = |visit: &&VisitRow| zone.to_datetime(Timestamp::from_millisecond(visit.started_at.0).unwrap()).date();
    let days = visits.iter().map(day).collect::<BTreeSet<_>>().len() as f64;
    let visitors = visits.iter().map(|visit| visit.visitor).collect::<BTreeSet<_>>().len() as f64;
    let last = visits.iter().map(|visit| visit.started_at.0).max();
    let since = last.map_or(0, |last| until - last);
    let recency = last.map_or(0, |_| usize::from(since < 30 * DAY) + usize::from(since < 7 * DAY));
    let depth = if visits.is_empty() { 0. } else { pageviews as f64 / visits.len() as f64 };
    let intent = vec![
        part("goals", goal_visits, points(goal_visits, &[1., 3.]), 2),
        part("active_days", days, points(days, &[2., 5.]), 2),
        part("visitors", visitors, points(visitors, &[2., 4.]), 2),
        part("recency", (since / DAY) as f64, recency, 2),
        part("depth", depth, points(depth, &[3., 6.]), 2),
    ];
    let sum = |parts: &[Value]| parts.iter().map(|part| part["points"].as_u64().unwrap()).sum::<u64>();
    json!({
        "quality": {"score": sum(&quality), "parts": quality},
        "intent": {"score": sum(&intent), "parts": intent},
    })
}

#[tokio::test]
async fn scores_equal_the_documented_formulas_computed_without_sql() {
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &[11; 32]));
    let visits = visits(&mut runner);
    let store = support::store().await;
    store.insert_visits(&visits).await.unwrap();
    let days = company_days(&visits, ZONE);
    let mut rows = companies(&days);
    for (number, row) in rows.iter_mut().enumerate() {
        row.employees_min = (number % 3 == 0).then_some(50);
        row.revenue_amount = (number % 4 == 0).then_some(1_000_000);
    }
    store.insert_company_days(&days).await.unwrap();
    store.insert_companies(&rows).await.unwrap();
    let goals = [
        GoalRule::Page(TextMatch::StartsWith(vec!["/DEMO".into()])),
        GoalRule::Page(TextMatch::Is(vec!["/' OR 1=1 --".into()])),
        GoalRule::Event(TextMatch::Contains(vec!["drop table".into(), "\"more\"".into()])),
    ];
    let goal = |(reached_by, number): (&GoalRule, u128)| {
        let (id, name, created_at) = (Uuid::from_u128(number), format!("goal {number}"), UnixMillis(0));
        (id, Arc::new(Goal { id, site: site_id("shop"), name, reached_by: reached_by.clone(), created_at }))
    };
    let of_site: HashMap<_, _> = goals.iter().zip(1..).map(goal).collect();
    let api = Api::with(store, |state| {
        let snapshot = Snapshot { goals: of_site, ..Snapshot::clone(&state.snapshot.load()) };
        state.snapshot.store(Arc::new(snapshot));
    });
    let mut seen = BTreeSet::new();
    for (start, end, from, until) in [
        ("2026-03-01", "2026-04-30", "2026-02-28T23:00:00Z", "2026-04-30T22:00:00Z"),
        ("2026-03-28", "2026-03-29", "2026-03-27T23:00:00Z", "2026-03-29T22:00:00Z"),
        ("2026-03-10T12:00:00Z", "2026-04-20T11:59:59.999Z", "2026-03-10T12:00:00Z", "2026-04-20T12:00:00Z"),
    ] {
        let (from, until) = (millis(from).0, millis(until).0);
        for row in &rows {
            let own = |visit: &&VisitRow| visit.company_id == row.company_id;
            let within = |visit: &&VisitRow| (from..until).contains(&visit.started_at.0);
            let own: Vec<&VisitRow> = visits.iter().filter(own).filter(within).collect();
            let company = CompanyId(row.company_id);
            let path = format!("/v1/sites/shop/companies/{company}/score?start_date={start}&end_date={end}");
            let answer = api.get(&path).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
            let expected = score(row, &own, &goals, until);
            assert_eq!(answer.json(), expected, "{company} from {start} to {end}");
            seen.insert((expected["quality"]["score"].as_u64(), expected["intent"]["score"].as_u64()));
            // Lists and filters score quality by the same formula.
            let lead = format!("/accounts/shop/leads/{company}");
            let all: u64 = visits
                .iter()
                .filter(|visit| visit.company_id == row.company_id)
                .map(|visit| u64::from(visit.pageviews))
                .sum();
            if own.iter().map(|visit| u64::from(visit.pageviews)).sum::<u64>() == all {
                let lead = api.get(&lead).await.json();
                assert_eq!(lead["data"]["attributes"]["quality"], expected["quality"]["score"]);
            }
        }
    }
    assert!(seen.len() > 30, "only {} different pairs of scores: they show little", seen.len());
}
