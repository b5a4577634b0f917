//! Every row type goes into its table and comes back the same, on the real engine.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's finding")]

mod support;

use clickhouse::{RowOwned, RowRead};
use collector::{
    store::{CompanyDayRow, DropRow, EventRow, Store, VisitRow},
    time::UnixMillis,
};
use uuid::Uuid;

async fn all<T: RowOwned + RowRead>(store: &Store, table: &str) -> Vec<T> {
    let sql = format!("SELECT ?fields FROM {table} FINAL");
    store.in_time(store.client().query(&sql).fetch_all()).await.unwrap()
}

fn event(number: u128) -> EventRow {
    EventRow {
        site: "shop".into(),
        at: UnixMillis(1_790_000_000_123),
        event_id: Uuid::from_u128(number),
        event_type: "pageview".into(),
        event_time: UnixMillis(1_790_000_000_456),
        received_at: UnixMillis(1_790_000_000_789),
        visitor: u64::MAX - 1,
        has_client: true,
        consent: "granted".into(),
        page: Uuid::from_u128(7),
        scheme: "https".into(),
        host: "shop.example".into(),
        path: "/ä?;'\\\"".into(),
        query: "a=1&b=2".into(),
        title: "Title\n\0\u{1f600}".into(),
        referrer: "https://search.example/".into(),
        source: "search.example".into(),
        medium: "organic".into(),
        campaign: "spring".into(),
        term: "thing".into(),
        visible_ms: 12_345,
        scroll: 99,
        name: "signup".into(),
        props: r#"{"plan":"a"}"#.into(),
        network_kind: "business".into(),
        company_id: 42,
        company_name: "Example GmbH".into(),
        company_domain: "example.com".into(),
        company_industry: "Finance".into(),
        company_source: "asn".into(),
        company_confidence: 0.75,
        country_code: "DE".into(),
        region: "Berlin".into(),
        city: "Berlin".into(),
        asn: 4_200_000_000,
        device: "desktop".into(),
        browser: "Firefox".into(),
        os: "Linux".into(),
        language: "de".into(),
        version: 5,
    }
}

#[tokio::test]
async fn an_event_comes_back_as_it_went_in() {
    let store = support::store().await;
    store.insert_events("token", &[event(1)]).await.unwrap();
    assert_eq!(all::<EventRow>(&store, "events").await, [event(1)]);
}

#[tokio::test]
async fn a_visit_comes_back_as_it_went_in() {
    let store = support::store().await;
    let visit = VisitRow {
        site: "shop".into(),
        started_at: UnixMillis(1_790_000_000_123),
        visit_id: u64::MAX,
        ended_at: UnixMillis(1_790_000_100_000),
        visitor: 3,
        pageviews: 2,
        events: 3,
        visible_ms: 5_000_000_000,
        email: "a@example.com".into(),
        route_at: vec![UnixMillis(1_790_000_000_123), UnixMillis(1_790_000_050_000)],
        route_scheme: vec!["https".into(), "https".into()],
        route_host: vec!["shop.example".into(), "shop.example".into()],
        route_path: vec!["/".into(), "/b".into()],
        route_query: vec!["".into(), "x=1".into()],
        route_title: vec!["A".into(), "B".into()],
        route_visible_ms: vec![1, 2],
        route_scroll: vec![10, 100],
        version: 1,
        ..VisitRow::default()
    };
    store.insert_visits(std::slice::from_ref(&visit)).await.unwrap();
    assert_eq!(all::<VisitRow>(&store, "visits").await, std::slice::from_ref(&visit));

    let gone = VisitRow { version: 2, is_deleted: 1, ..visit };
    store.insert_visits(&[gone]).await.unwrap();
    assert_eq!(all::<VisitRow>(&store, "visits").await, []);
}

#[tokio::test]
async fn a_company_day_comes_back_as_it_went_in() {
    let store = support::store().await;
    let day = CompanyDayRow {
        site: "shop".into(),
        day: 20_000,
        company_id: 42,
        company_name: "Example GmbH".into(),
        visits: 3,
        visitors: 2,
        pageviews: 9,
        visible_ms: 1,
        first_visit_at: UnixMillis(1_728_000_000_001),
        last_visit_at: UnixMillis(1_728_000_000_002),
        version: 1,
        ..CompanyDayRow::default()
    };
    store.insert_company_days(std::slice::from_ref(&day)).await.unwrap();
    assert_eq!(all::<CompanyDayRow>(&store, "company_activity").await, [day]);
}

#[tokio::test]
async fn a_batch_of_drops_replaces_its_own_earlier_count_only() {
    let store = support::store().await;
    let drop = |batch, events, version| DropRow {
        site: "shop".into(),
        day: 20_000,
        reason: "residential".into(),
        batch: Uuid::from_u128(batch),
        events,
        version,
    };
    store.insert_drops(&[drop(1, 5, 1), drop(2, 7, 1)]).await.unwrap();
    store.insert_drops(&[drop(1, 5, 2)]).await.unwrap();
    assert_eq!(all::<DropRow>(&store, "drops").await, [drop(1, 5, 2), drop(2, 7, 1)]);
}

#[tokio::test]
async fn the_first_arrival_of_an_event_wins() {
    let store = support::store().await;
    // Versions are counted down from the time of receipt.
    let first = EventRow { title: "first".into(), version: 10, ..event(1) };
    let second = EventRow { title: "second".into(), version: 9, ..event(1) };
    store.insert_events("one", std::slice::from_ref(&first)).await.unwrap();
    store.insert_events("two", &[second]).await.unwrap();
    assert_eq!(all::<EventRow>(&store, "events").await, [first]);
}

#[tokio::test]
async fn the_same_token_stores_once() {
    let store = support::store().await;
    let rows: Vec<EventRow> = (0..1000).map(event).collect();
    for token in ["a", "a", "b"] {
        store.insert_events(token, &rows).await.unwrap();
    }
    let stored: u64 = store.client().query("SELECT count() FROM events").fetch_one().await.unwrap();
    assert_eq!(stored, 2000, "before the table merges what has the same key");
}

#[tokio::test]
async fn nothing_is_sent_for_no_rows() {
    support::empty_store().await.insert_events("token", &[]).await.unwrap();
}

#[tokio::test]
async fn rows_of_another_table_are_refused_for_good() {
    let store = support::store().await;
    store.client().query("DROP TABLE drops").execute().await.unwrap();
    store.client().query("CREATE TABLE drops (site String) ENGINE = MergeTree ORDER BY site").execute().await.unwrap();
    let error = store.insert_drops(&[DropRow::default()]).await.unwrap_err();
    assert!(!error.is_retryable(), "{error}");
}

#[tokio::test]
async fn a_server_that_is_away_can_be_tried_again() {
    let store = support::store().await;
    store.reconnect(&support::settings_away());
    let error = store.insert_events("token", &[event(1)]).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(error.to_string().contains("Connection refused"), "{error}");
}
