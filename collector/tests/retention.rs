//! Retention on the real engine: three years of rows, removed sites, a policy that would delete too much.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is the test's finding")]

mod support;

use collector::{
    retention::{Class, Keep, Policy, enforce},
    store::Store,
    time::UnixMillis,
};
use std::time::{Duration, Instant};

const MONTHS: u64 = 36;

async fn run(store: &Store, sql: &str) {
    store.in_time(store.client().query(sql).execute()).await.unwrap();
}

async fn count(store: &Store, of: &str) -> u64 {
    store.in_time(store.client().query(&format!("SELECT count() FROM {of}")).fetch_one()).await.unwrap()
}

/// One row for each of the last 36 months in every table that expires, stored a day before the month was full.
async fn three_years(store: &Store) {
    let stored = "now() - toIntervalMonth(number) - toIntervalDay(1)";
    let version = format!("toUInt64(toUnixTimestamp({stored})) * 1000000");
    for sql in [
        format!(
            "INSERT INTO events (site, at, event_id, event_time, received_at, stored_at, visitor, props, version)
             SELECT 'shop', {stored}, generateUUIDv4(), {stored}, {stored}, {stored}, number + 1, 'x', 1 FROM numbers({MONTHS})"
        ),
        format!(
            "INSERT INTO visits (site, started_at, visit_id, visitor, email, pageviews, version, is_deleted)
             SELECT 'shop', {stored}, number, number + 1, 'a@b.example', 3, {version}, 0 FROM numbers({MONTHS})"
        ),
        format!(
            "INSERT INTO company_activity (site, company_id, day, visits, version, is_deleted)
             SELECT 'shop', 1, toDate({stored}), 1, {version}, 0 FROM numbers({MONTHS})"
        ),
        format!(
            "INSERT INTO drops (site, day, reason, batch, events, version)
             SELECT 'shop', toDate({stored}), 'crawler', generateUUIDv4(), 1, {version} FROM numbers({MONTHS})"
        ),
        format!(
            "INSERT INTO audit (at, id, actor, actor_name, action, endpoint, site, object)
             SELECT {stored}, generateUUIDv4(), generateUUIDv4(), 'n', 'read', 'e', 'shop', '' FROM numbers(24)"
        ),
        format!(
            "INSERT INTO api_usage (day, key_id, instance, requests, refused, last_used_at, version)
             SELECT toDate({stored}), generateUUIDv4(), generateUUIDv4(), 1, 0, {stored}, 1 FROM numbers(13)"
        ),
    ] {
        run(store, &sql).await;
    }
}

/// ClickHouse removes what expired as it merges; here it is told to at once.
async fn merge_until(store: &Store, table: &str, left: u64) {
    let give_up = Instant::now() + Duration::from_secs(60);
    loop {
        run(store, &format!("OPTIMIZE TABLE {table} FINAL SETTINGS optimize_skip_merged_partitions = 0")).await;
        let there = count(store, &format!("{table} FINAL")).await;
        if there == left {
            return;
        }
        assert!(Instant::now() < give_up, "{table}: {there} rows, not {left}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn nothing_older_than_allowed_stays_and_nothing_younger_goes() {
    let store = support::store().await;
    three_years(&store).await;
    let policy = Policy {
        company_days: Keep::Months(30),
        audit: Keep::Days(100),
        usage: Keep::Months(6),
        allow_large_deletions: true,
        ..Policy::default()
    };
    let enforced = enforce(&store, &policy, UnixMillis::now()).await.unwrap();
    assert_eq!(enforced.refused, []);
    for (table, left) in
        [("events", 13), ("visits", 25), ("company_activity", 30), ("drops", 25), ("api_usage", 6), ("audit", 4)]
    {
        merge_until(&store, table, left).await;
    }
    // Visits outlive what told their visitors apart.
    merge_until(&store, "visits", 25).await;
    assert_eq!(count(&store, "visits FINAL WHERE visitor != 0 AND email != ''").await, 13);
    assert_eq!(count(&store, "visits FINAL WHERE visitor = 0 AND email = '' AND pageviews = 3").await, 12);

    let again = enforce(&store, &policy, UnixMillis::now()).await.unwrap();
    assert_eq!(again.changes, Vec::<String>::new(), "what is in force is not said again");
    // For ever is the absence of a rule, which can be had back.
    let longer = Policy { events: Keep::Forever, visits: Keep::Forever, visitor_hashes: Keep::Forever, ..policy };
    let enforced = enforce(&store, &longer, UnixMillis::now()).await.unwrap();
    assert_eq!(enforced.changes.len(), 3, "{:?}", enforced.changes);
    assert_eq!(enforce(&store, &longer, UnixMillis::now()).await.unwrap().changes, Vec::<String>::new());
}

#[tokio::test]
async fn more_than_half_of_a_table_goes_only_when_that_is_allowed() {
    let store = support::store().await;
    three_years(&store).await;
    // Of three years, 13 months are less than half, 25 more.
    let enforced = enforce(&store, &Policy::default(), UnixMillis::now()).await.unwrap();
    let of_events = enforced.refused.iter().find(|refusal| refusal.class == Class::Events).unwrap();
    assert_eq!((of_events.table, of_events.expired, of_events.total), ("events", 23, 36));
    run(&store, "OPTIMIZE TABLE events FINAL").await;
    assert_eq!(count(&store, "events").await, 36);

    // Downwards in steps asks nobody.
    let step = Policy { events: Keep::Months(24), ..Policy::default() };
    let enforced = enforce(&store, &step, UnixMillis::now()).await.unwrap();
    assert!(enforced.refused.iter().all(|refusal| refusal.class == Class::VisitorHashes), "{:?}", enforced.refused);
    merge_until(&store, "events", 24).await;

    let allowed = Policy { allow_large_deletions: true, ..Policy::default() };
    assert_eq!(enforce(&store, &allowed, UnixMillis::now()).await.unwrap().refused, []);
    merge_until(&store, "events", 13).await;
}

#[tokio::test]
async fn what_a_removed_site_left_goes_after_its_time_and_no_other_sites() {
    let store = support::store().await;
    let now = UnixMillis::now();
    let day = 86_400_000;
    for (site, removed_days_ago, is_back) in [("gone", 31, false), ("fresh", 29, false), ("back", 40, true)] {
        let version = now.0 - removed_days_ago * day;
        run(
            &store,
            &format!("INSERT INTO sites (id, document, version, is_deleted) VALUES ('{site}', '', {version}, 1)"),
        )
        .await;
        if is_back {
            run(
                &store,
                &format!(
                    "INSERT INTO sites (id, document, version, is_deleted) VALUES ('{site}', '', {}, 0)",
                    version + 1
                ),
            )
            .await;
        }
    }
    for site in ["gone", "fresh", "back", "kept"] {
        for table in ["events", "visits", "company_activity", "companies", "drops"] {
            let key = match table {
                "events" => "at, stored_at",
                "visits" => "started_at, ended_at",
                "companies" => "first_visit_at, last_visit_at",
                _ => "day, day",
            };
            let columns = key.split(", ").next().unwrap();
            run(&store, &format!("INSERT INTO {table} (site, {columns}, version) SELECT '{site}', now(), toUInt64(toUnixTimestamp(now())) * 1000000")).await;
        }
    }
    let enforced = enforce(&store, &Policy::default(), now).await.unwrap();
    assert_eq!(enforced.refused, []);
    for table in ["events", "visits", "company_activity", "companies", "drops"] {
        merge_until(&store, table, 3).await;
        assert_eq!(count(&store, &format!("{table} WHERE site = 'gone'")).await, 0);
    }
}
