//! Leads, visits and drops, on the real engine.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's finding")]

mod reports_support;
mod support;

use collector::{
    store::{DropRow, Store, VisitRow},
    time::UnixMillis,
};
use firmsight_resolver::CompanyId;
use http::StatusCode;
use jiff::civil::date;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reports_support::{
    Api, BASE_URL, assert_golden,
    rows::{WithPages, company_days, insert, insert_days, millis, plain_visit},
};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
};
use tokio::sync::watch;
use uuid::Uuid;

/// Two companies in summer time, one visit from nowhere, one that was deleted.
async fn shop() -> Api {
    Api::new(shop_store().await)
}

async fn shop_store() -> Store {
    let store = support::store().await;
    let acme = VisitRow {
        has_client: true,
        visitor: 77,
        company_name: "Acme \"Werke\" GmbH".into(),
        company_industry: "Manufacturing".into(),
        country_code: "DE".into(),
        region: "Saxony".into(),
        city: "Dresden".into(),
        source: "Google".into(),
        medium: "organic".into(),
        campaign: "spring".into(),
        term: "company visits".into(),
        referrer: "https://www.google.com/".into(),
        email: "erika@acme.example".into(),
        first_name: "Erika".into(),
        last_name: "Mustermann".into(),
        ..plain_visit("shop", 0xab, "acme.example", millis("2026-03-29T00:59:30.071Z"))
    };
    let acme = acme.with_pages(&[
        (0, "/", "Home"),
        (36_900, "/prices?plan=a&x=%20", "Prices"),
        (95_000, "/contact", "Contact"),
    ]);
    let acme_before = VisitRow {
        country_code: "DE".into(),
        company_name: "Acme".into(),
        ..plain_visit("shop", 0xac, "acme.example", millis("2026-02-01T12:00:00Z"))
    };
    let globex = plain_visit("shop", 0xad, "globex.example", millis("2026-03-29T01:00:00Z"));
    let nobody = VisitRow { company_id: 0, ..plain_visit("shop", 0xae, "", millis("2026-03-29T02:00:00Z")) };
    insert(&store, &[acme_before, acme, globex, nobody], "Europe/Berlin").await;

    let vanished = plain_visit("shop", 0xaf, "vanished.example", millis("2026-03-29T03:00:00Z"));
    insert(&store, std::slice::from_ref(&vanished), "Europe/Berlin").await;
    let mut day = company_days(std::slice::from_ref(&vanished), "Europe/Berlin");
    day.iter_mut().for_each(|row| (row.version, row.is_deleted) = (2, 1));
    insert_days(&store, &day).await;
    store.insert_visits(&[VisitRow { version: 2, is_deleted: 1, ..vanished }]).await.unwrap();
    store
}

const SUNDAY: &str = "start_date=2026-03-29&end_date=2026-03-29";

#[tokio::test]
async fn documents_are_as_clients_know_them() {
    let api = shop().await;
    let acme = CompanyId::of_domain("acme.example");
    for (name, path) in [
        ("leads", format!("/accounts/shop/leads?{SUNDAY}")),
        ("lead", format!("/accounts/shop/leads/{acme}")),
        ("visits", format!("/accounts/shop/visits?{SUNDAY}")),
        (
            "lead_visits",
            format!("/accounts/shop/leads/{acme}/visits?start_date=2026-01-01&end_date=2026-12-31&page[size]=1"),
        ),
        ("no_leads", "/accounts/shop/leads?start_date=2020-01-01&end_date=2020-01-02".to_owned()),
    ] {
        let answer = api.get(&path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
        assert_eq!(answer.header("content-type"), "application/json");
        assert_golden(name, &answer.json());
    }
}

#[tokio::test]
async fn merging_in_the_background_changes_no_answer() {
    let store = shop_store().await;
    let api = Api::new(store.clone());
    let paths = [
        format!("/accounts/shop/leads?{SUNDAY}"),
        "/accounts/shop/leads?start_date=2026-03-01T00:00:00Z&end_date=2026-04-01".to_owned(),
        "/accounts/shop/visits?start_date=2026-01-01&end_date=2026-12-31".to_owned(),
        format!("/accounts/shop/leads/{}", CompanyId::of_domain("vanished.example")),
    ];
    let mut before = Vec::new();
    for path in &paths {
        before.push(api.get(path).await.body);
    }
    for table in ["visits", "company_activity", "companies"] {
        let merge = store.client().query(&format!("OPTIMIZE TABLE {table} FINAL"));
        store.in_time(merge.execute()).await.unwrap();
    }
    for (path, before) in paths.iter().zip(before) {
        assert_eq!(api.get(path).await.body, before, "{path}");
    }
}

/// What an attribute may be.
#[derive(Clone, Copy, Debug)]
enum Type {
    Text,
    TextOrNull,
    Integer,
    Texts,
    Objects,
    Range,
}

impl Type {
    fn fits(self, value: &Value) -> bool {
        let all = |check: fn(&Value) -> bool| value.as_array().is_some_and(|items| items.iter().all(check));
        match self {
            Self::Text => value.is_string(),
            Self::TextOrNull => value.is_string() || value.is_null(),
            Self::Integer => value.is_u64(),
            Self::Texts => all(Value::is_string),
            Self::Objects => all(Value::is_object),
            Self::Range => {
                [&value["min"], &value["max"]].iter().all(|end| end.is_u64() || end.is_null()) && value.is_object()
            }
        }
    }
}

const LEAD: &[(&str, Type)] = &[
    ("assignee", Type::Text),
    ("business_id", Type::Text),
    ("crm_lead_id", Type::Text),
    ("crm_organization_id", Type::Text),
    ("emailed_to", Type::Text),
    ("employee_count", Type::Integer),
    ("employees_range", Type::Range),
    ("facebook_url", Type::Text),
    ("first_visit_date", Type::Text),
    ("industries", Type::Objects),
    ("industry", Type::Text),
    ("last_visit_date", Type::Text),
    ("linkedin_url", Type::Text),
    ("logo_url", Type::Text),
    ("name", Type::Text),
    ("phone", Type::Text),
    ("quality", Type::Integer),
    ("revenue", Type::Text),
    ("status", Type::Text),
    ("tags", Type::Texts),
    ("twitter_handle", Type::Text),
    ("view_in_leadfeeder", Type::Text),
    ("visits", Type::Integer),
    ("website_url", Type::Text),
];

const VISIT: &[(&str, Type)] = &[
    ("adobe_cookies", Type::Objects),
    ("campaign", Type::TextOrNull),
    ("country_code", Type::Text),
    ("date", Type::Text),
    ("device_type", Type::Text),
    ("ga_client_ids", Type::Texts),
    ("hour", Type::Integer),
    ("keyword", Type::TextOrNull),
    ("landing_page_path", Type::Text),
    ("lead_id", Type::Text),
    ("lf_client_id", Type::Text),
    ("medium", Type::Text),
    ("page_depth", Type::Integer),
    ("query_term", Type::TextOrNull),
    ("referring_url", Type::TextOrNull),
    ("source", Type::Text),
    ("started_at", Type::Text),
    ("visit_length", Type::Integer),
    ("visit_route", Type::Objects),
    ("visitor_email", Type::TextOrNull),
    ("visitor_first_name", Type::TextOrNull),
    ("visitor_last_name", Type::TextOrNull),
];

const STEP: &[(&str, Type)] = &[
    ("display_page_name", Type::Text),
    ("hostname", Type::Text),
    ("page_path", Type::Text),
    ("page_title", Type::Text),
    ("page_url", Type::Text),
    ("previous_page_path", Type::Text),
    ("time_on_page", Type::Integer),
];

const LOCATION: &[(&str, Type)] = &[
    ("city", Type::Text),
    ("country", Type::Text),
    ("country_code", Type::Text),
    ("region", Type::Text),
    ("region_code", Type::Text),
    ("state_code", Type::Text),
];

fn assert_attributes(object: &Value, expected: &[(&str, Type)]) {
    let mut names: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, expected.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    for (name, kind) in expected {
        assert!(kind.fits(&object[*name]), "{name} is no {kind:?}: {}", object[*name]);
    }
}

#[tokio::test]
async fn every_attribute_is_there_with_the_type_that_clients_decode() {
    let api = shop().await;
    let leads = api.get(&format!("/accounts/shop/leads?{SUNDAY}")).await.json();
    let visits = api.get(&format!("/accounts/shop/visits?{SUNDAY}")).await.json();
    for document in [&leads, &visits] {
        let places: BTreeSet<&str> =
            document["included"].as_array().unwrap().iter().map(|place| place["id"].as_str().unwrap()).collect();
        assert_eq!(places.len(), document["included"].as_array().unwrap().len(), "each place once");
        for resource in document["data"].as_array().unwrap() {
            assert!(resource["id"].is_string());
            let location = &resource["relationships"]["location"]["data"];
            assert_eq!(location["type"], "locations");
            assert!(places.contains(location["id"].as_str().unwrap()));
        }
        for place in document["included"].as_array().unwrap() {
            assert_attributes(&place["attributes"], LOCATION);
        }
    }
    for lead in leads["data"].as_array().unwrap() {
        assert_eq!(lead["type"], "leads");
        assert_attributes(&lead["attributes"], LEAD);
    }
    for visit in visits["data"].as_array().unwrap() {
        let attributes = &visit["attributes"];
        assert_eq!(visit["type"], "visits");
        assert_attributes(attributes, VISIT);
        let route = attributes["visit_route"].as_array().unwrap();
        route.iter().for_each(|step| assert_attributes(step, STEP));
        let times: Vec<u64> = route.iter().map(|step| step["time_on_page"].as_u64().unwrap()).collect();
        assert_eq!(attributes["page_depth"], route.len());
        assert_eq!(attributes["visit_length"], times.iter().sum::<u64>());
        assert_eq!(times.last(), Some(&0));
        assert_eq!(route[0]["previous_page_path"], "(entrance)");
        assert_eq!(route[0]["page_path"], attributes["landing_page_path"]);
    }
}

fn ids(document: &Value) -> Vec<String> {
    document["data"].as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn days_are_the_accounts_own_also_when_the_clocks_change() {
    let store = support::store().await;
    // The last and first seconds around each day of the change in Berlin, and around a common day.
    let starts = [
        "2026-03-28T22:59:59Z",
        "2026-03-28T23:00:00Z",
        "2026-03-29T21:59:59Z",
        "2026-03-29T22:00:00Z",
        "2026-10-24T21:59:59Z",
        "2026-10-24T22:00:00Z",
        "2026-10-25T22:59:59Z",
        "2026-10-25T23:00:00Z",
    ];
    let visits: Vec<VisitRow> = (0..)
        .zip(starts)
        .map(|(number, start)| plain_visit("shop", number, &format!("company-{number}.example"), millis(start)))
        .collect();
    insert(&store, &visits, "Europe/Berlin").await;
    let api = Api::new(store);
    for (day, from, until, expected) in [
        ("2026-03-28", "2026-03-28T00:00:00", "2026-03-28T23:59:59.999", vec![0u64]),
        ("2026-03-29", "2026-03-29T00:00:00+01:00", "2026-03-29T23:59:59.999+02:00", vec![2, 1]),
        ("2026-03-30", "2026-03-30T00:00:00", "2026-03-30T23:59:59.999", vec![3]),
        ("2026-10-24", "2026-10-24T00:00:00", "2026-10-24T23:59:59.999", vec![4]),
        ("2026-10-25", "2026-10-25T00:00:00+02:00", "2026-10-25T23:59:59.999+01:00", vec![6, 5]),
        ("2026-10-26", "2026-10-26T00:00:00.000000Z", "2026-10-26T00:00:00.000000Z", vec![7]),
    ] {
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let dates = format!("start_date={day}&end_date={day}");
        let instants = format!("start_date={}&end_date={}", encode(from), encode(until));
        for query in [dates, instants] {
            let visits = api.get(&format!("/accounts/shop/visits?{query}")).await.json();
            let expected_visits: Vec<String> = expected.iter().map(|number| format!("{number:016x}")).collect();
            assert_eq!(ids(&visits), expected_visits, "{query}");
            visits["data"].as_array().unwrap().iter().for_each(|visit| assert_eq!(visit["attributes"]["date"], day));
            let leads = api.get(&format!("/accounts/shop/leads?{query}")).await.json();
            let company = |number: &u64| CompanyId::of_domain(&format!("company-{number}.example")).to_string();
            assert_eq!(ids(&leads), expected.iter().map(company).collect::<Vec<_>>(), "{query}");
            leads["data"]
                .as_array()
                .unwrap()
                .iter()
                .for_each(|lead| assert_eq!(lead["attributes"]["last_visit_date"], day));
        }
    }
}

/// How one known client finds the page count.
fn pages_as_cut_from_the_last_link(document: &Value) -> u64 {
    let last = document["links"]["last"].as_str().unwrap();
    let start = last.find("page%5Bnumber%5D=").unwrap() + 17;
    last[start..last.find("&page%5Bsize").unwrap()].parse().unwrap()
}

/// The path that a link leads to.
fn path_of(link: &Value) -> String {
    link.as_str().unwrap().strip_prefix(BASE_URL).unwrap().to_owned()
}

/// Asks for the first page, waits for the next arrival, asks for all other pages at once, as clients with many workers
/// do, and returns the ids in order.
async fn all_pages_in_parallel(api: &Api, list: &str, arrived: &mut watch::Receiver<u64>) -> Vec<String> {
    let first = api.get(&format!("{list}&page[size]=100")).await.json();
    let before = *arrived.borrow();
    arrived.wait_for(|count| *count > before).await.unwrap();
    let mut found = ids(&first);
    let mut workers = tokio::task::JoinSet::new();
    for number in 2..=pages_as_cut_from_the_last_link(&first) {
        let path = path_of(&first["links"]["last"]);
        let (head, tail) = path.split_once("page%5Bnumber%5D=").unwrap();
        let tail = tail.split_once('&').unwrap().1;
        let path = format!("{head}page%5Bnumber%5D={number}&{tail}");
        let api = api.clone();
        workers.spawn(async move { (number, ids(&api.get(&path).await.json())) });
    }
    let mut pages = workers.join_all().await;
    pages.sort();
    found.extend(pages.into_iter().flat_map(|(_, ids)| ids));
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_paging_loses_and_repeats_nothing_while_visits_arrive() {
    const COMPANIES: u64 = 1_000;
    let store = support::store().await;
    let start = millis("2026-05-01T08:00:00Z").0;
    let visit = |number: u64, company: u64| {
        plain_visit("shop", number, &format!("company-{company}.example"), UnixMillis(start + number as i64 * 1_000))
    };
    let before: Vec<VisitRow> = (0..COMPANIES).map(|number| visit(number, number)).collect();
    insert(&store, &before, "Europe/Berlin").await;
    let api = Api::new(store.clone());
    let leads_before: BTreeSet<String> = before.iter().map(|visit| format!("{:016x}", visit.company_id)).collect();
    let visits_before: BTreeSet<String> = before.iter().map(|visit| format!("{:016x}", visit.visit_id)).collect();

    let is_done = AtomicBool::new(false);
    let (arrived, mut arrivals_seen) = watch::channel(0u64);
    // Every second visit is of a company that is listed already: its row of the day is replaced by a higher one.
    let arrivals = async {
        let mut visits = before.clone();
        while !is_done.load(Ordering::Relaxed) {
            let number = visits.len() as u64;
            let company = if number.is_multiple_of(2) { number * 7 % COMPANIES } else { number };
            visits.push(visit(number, company));
            let new = visits.last().unwrap();
            store.insert_visits(std::slice::from_ref(new)).await.unwrap();
            let mut days = company_days(&visits, "Europe/Berlin");
            days.retain(|day| day.company_id == new.company_id);
            days.iter_mut().for_each(|day| day.version = number);
            insert_days(&store, &days).await;
            arrived.send_modify(|count| *count += 1);
        }
    };
    let reader = async {
        for _ in 0..3 {
            for (list, expected) in [("leads", &leads_before), ("visits", &visits_before)] {
                let path = format!("/accounts/shop/{list}?start_date=2026-05-01&end_date=2026-05-31");
                let found = all_pages_in_parallel(&api, &path, &mut arrivals_seen).await;
                let distinct: BTreeSet<String> = found.iter().cloned().collect();
                assert_eq!(distinct.len(), found.len(), "{list}: an entry came twice");
                let lost: Vec<_> = expected.difference(&distinct).collect();
                assert!(lost.is_empty(), "{list}: lost {lost:?}");
            }
        }
        is_done.store(true, Ordering::Relaxed);
    };
    tokio::join!(arrivals, reader);
}

#[tokio::test]
async fn following_next_ends_where_the_list_ends() {
    let store = support::store().await;
    let visits: Vec<VisitRow> = (0..25)
        .map(|number| {
            plain_visit(
                "shop",
                number,
                &format!("c{number}.example"),
                UnixMillis(millis("2026-05-01T08:00:00Z").0 + number as i64),
            )
        })
        .collect();
    insert(&store, &visits, "Europe/Berlin").await;
    let api = Api::new(store);
    for list in ["leads", "visits"] {
        let mut path = format!("/accounts/shop/{list}?start_date=2026-05-01&end_date=2026-05-01&unknown=1");
        let mut sizes = Vec::new();
        loop {
            let document = api.get(&path).await.json();
            sizes.push(ids(&document).len());
            match &document["links"]["next"] {
                Value::Null => break,
                next => path = path_of(next),
            }
        }
        assert_eq!(sizes, [10, 10, 5], "{list}");
        let beyond = api.get(&format!("/accounts/shop/{list}?start_date=2026-05-01&end_date=2026-05-01&page[number]=1000000000&page[size]=1000")).await;
        assert_eq!((beyond.status, ids(&beyond.json()).len()), (StatusCode::OK, 0));
    }
}

#[tokio::test]
async fn leads_end_at_ten_thousand() {
    let store = support::store().await;
    let start = millis("2026-05-01T08:00:00Z").0;
    let visits: Vec<VisitRow> = (0..10_050)
        .map(|number| plain_visit("shop", number, &format!("c{number}.example"), UnixMillis(start + number as i64)))
        .collect();
    insert(&store, &visits, "Europe/Berlin").await;
    let api = Api::new(store);
    let list = "/accounts/shop/leads?start_date=2026-05-01&end_date=2026-05-01&page[size]=30";
    let first = api.get(list).await.json();
    assert_eq!(pages_as_cut_from_the_last_link(&first), 334);
    let last = api.get(&format!("{list}&page[number]=334")).await.json();
    assert_eq!(ids(&last).len(), 10);
    assert_eq!(last["links"]["next"], Value::Null);
    assert_eq!(ids(&api.get(&format!("{list}&page[number]=335")).await.json()).len(), 0);
}

#[tokio::test]
async fn a_lead_that_never_came_is_404_and_one_that_stayed_away_has_no_visits() {
    let api = shop().await;
    let acme = CompanyId::of_domain("acme.example");
    let vanished = CompanyId::of_domain("vanished.example");
    let far = "start_date=2020-01-01&end_date=2020-01-01";
    for (path, expected) in [
        (format!("/accounts/shop/leads/{acme}/visits?{far}"), StatusCode::OK),
        (format!("/accounts/shop/leads/{vanished}"), StatusCode::NOT_FOUND),
        (format!("/accounts/shop/leads/{vanished}/visits?{SUNDAY}"), StatusCode::NOT_FOUND),
        (format!("/accounts/blog/leads/{acme}"), StatusCode::NOT_FOUND),
        (format!("/accounts/blog/leads/{acme}/visits?{SUNDAY}"), StatusCode::NOT_FOUND),
        ("/accounts/shop/leads/0000000000000000".to_owned(), StatusCode::NOT_FOUND),
    ] {
        assert_eq!(api.get(&path).await.status, expected, "{path}");
    }
}

#[tokio::test]
async fn drops_are_summed_by_day_and_reason_and_a_repeated_batch_counts_once() {
    let store = support::store().await;
    let row = |day: u16, reason: &str, batch: u128, events: u64, version: u64| DropRow {
        site: "shop".into(),
        day,
        reason: reason.into(),
        batch: Uuid::from_u128(batch),
        events,
        version,
    };
    let rows = [
        row(20_000, "residential", 1, 5, 1),
        row(20_000, "residential", 2, 7, 1),
        row(20_000, "crawler", 1, 1, 1),
        row(20_001, "crawler", 3, 2, 1),
        row(20_002, "crawler", 4, 100, 1),
    ];
    store.insert_drops(&rows).await.unwrap();
    store.insert_drops(&[row(20_000, "residential", 1, 5, 2)]).await.unwrap();
    let api = Api::new(store);
    let day = |days: i32| date(1970, 1, 1).saturating_add(jiff::Span::new().days(days)).to_string();
    let answer = api.get(&format!("/v1/sites/shop/drops?start_date={}&end_date={}", day(20_000), day(20_001))).await;
    let expected = serde_json::json!({"data": [
        {"day": day(20_000), "reason": "crawler", "events": 1},
        {"day": day(20_000), "reason": "residential", "events": 12},
        {"day": day(20_001), "reason": "crawler", "events": 2},
    ], "next_cursor": null});
    assert_eq!(answer.json(), expected);
}

#[tokio::test]
async fn no_parameter_reaches_the_store_as_sql() {
    let api = shop().await;
    let list = format!("/accounts/shop/visits?{SUNDAY}");
    let before = api.get(&list).await.body;
    let payloads = [
        "'",
        "' OR '1'='1",
        "shop' UNION ALL SELECT * FROM events --",
        "'; DROP TABLE visits; --",
        "{site:String}",
        "1) OR (1=1",
        "\\' OR 1=1 #",
        "shop\u{0}",
        "\"}],\"x\":[{\"",
        "../../metrics",
        "0x0000000000000a",
        "%27",
        "？",
        "9999999999999999999999999999",
    ];
    for payload in payloads {
        let payload = utf8_percent_encode(payload, NON_ALPHANUMERIC).to_string();
        for (path, expected) in [
            (format!("/accounts/{payload}"), StatusCode::NOT_FOUND),
            (format!("/accounts/{payload}/leads?{SUNDAY}"), StatusCode::NOT_FOUND),
            (format!("/accounts/shop/leads/{payload}"), StatusCode::NOT_FOUND),
            (format!("/accounts/shop/leads/{payload}/visits?{SUNDAY}"), StatusCode::NOT_FOUND),
            (format!("/v1/sites/{payload}/drops?{SUNDAY}"), StatusCode::NOT_FOUND),
            (format!("/accounts/shop/leads?start_date={payload}&end_date=2026-03-29"), StatusCode::BAD_REQUEST),
            (format!("/accounts/shop/visits?start_date=2026-03-29&end_date={payload}"), StatusCode::BAD_REQUEST),
            (format!("/v1/sites/shop/drops?start_date={payload}&end_date=2026-03-29"), StatusCode::BAD_REQUEST),
            (format!("/companies?ip={payload}"), StatusCode::BAD_REQUEST),
        ] {
            assert_eq!(api.get(&path).await.status, expected, "{path}");
        }
        // A number too large for any list is a page beyond its end.
        let paged = api.get(&format!("{list}&page[number]={payload}")).await;
        assert!(paged.status == StatusCode::BAD_REQUEST || ids(&paged.json()).is_empty(), "{payload}");
    }
    assert_eq!(api.get(&list).await.body, before);
}

#[tokio::test]
async fn what_visitors_wrote_is_only_text() {
    let store = support::store().await;
    let hostile = "</script><img src=x onerror=1>\"'\\\n\u{0}\u{202e}{{7*7}}=cmd|' /C calc'!A0";
    let visit = VisitRow {
        company_name: hostile.into(),
        campaign: hostile.into(),
        referrer: hostile.into(),
        email: hostile.into(),
        city: hostile.into(),
        ..plain_visit("shop", 1, "acme.example", millis("2026-03-29T10:00:00Z"))
    };
    insert(&store, &[visit.with_pages(&[(0, "/", hostile)])], "Europe/Berlin").await;
    let api = Api::new(store);
    let visits = api.get(&format!("/accounts/shop/visits?{SUNDAY}")).await.json();
    let attributes = &visits["data"][0]["attributes"];
    for value in [
        &attributes["campaign"],
        &attributes["referring_url"],
        &attributes["visitor_email"],
        &attributes["visit_route"][0]["page_title"],
        &visits["included"][0]["attributes"]["city"],
    ] {
        assert_eq!(value, hostile);
    }
    let leads = api.get(&format!("/accounts/shop/leads?{SUNDAY}")).await.json();
    assert_eq!(leads["data"][0]["attributes"]["name"], hostile);
}
