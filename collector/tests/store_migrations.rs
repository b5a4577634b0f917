//! Migrations on the real engine, and servers that are refused.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's finding")]

mod support;

use collector::store::{MIGRATIONS, Settings, Store, StoreError, Version};
use std::io::{Read, Write};

async fn execute(store: &Store, sql: &str) {
    store.in_time(store.client().query_raw(sql).execute()).await.unwrap();
}

#[tokio::test]
async fn an_empty_database_runs_all_migrations_once() {
    let store = support::empty_store().await;
    assert_eq!(store.pending_migrations().await.unwrap(), MIGRATIONS, "a dry run on a database that isn't there yet");
    assert_eq!(store.migrate().await.unwrap(), MIGRATIONS);
    assert_eq!(store.pending_migrations().await.unwrap(), []);
    assert_eq!(store.migrate().await.unwrap(), []);

    let tables: Vec<String> = store.client().query("SHOW TABLES").fetch_all().await.unwrap();
    for table in [
        "api_keys",
        "companies",
        "company_activity",
        "company_marks",
        "day_keys",
        "drops",
        "events",
        "export_parts",
        "export_requests",
        "migrations",
        "objections",
        "site_objects",
        "sites",
        "visits",
    ] {
        assert!(tables.iter().any(|name| name == table), "{table} in {tables:?}");
    }
}

#[tokio::test]
async fn every_table_asks_for_fsync_and_those_of_the_pipeline_remember_tokens() {
    let store = support::store().await;
    let tables: Vec<(String, String)> = store
        .client()
        .query("SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase()")
        .fetch_all()
        .await
        .unwrap();
    assert!(tables.len() >= 8);
    for (name, sql) in tables {
        assert!(sql.contains("fsync_after_insert = 1, fsync_part_directory = 1"), "{name}: {sql}");
        if ["events", "visits", "company_activity", "companies", "drops"].contains(&name.as_str()) {
            assert!(sql.contains("non_replicated_deduplication_window = 10000"), "{name}: {sql}");
        }
    }
}

#[tokio::test]
async fn a_migration_that_broke_off_runs_again_from_its_first_statement() {
    let store = support::store().await;
    execute(&store, "DELETE FROM migrations WHERE number = 5").await;
    execute(&store, "DROP TABLE day_keys").await;
    let names: Vec<&str> = store.migrate().await.unwrap().iter().map(|migration| migration.name).collect();
    assert_eq!(names, ["0005_control"]);
    execute(&store, "SELECT * FROM day_keys").await;
}

#[tokio::test]
async fn company_days_of_an_older_version_are_taken_over() {
    let store = support::store().await;
    execute(&store, "DELETE FROM migrations WHERE number > 6").await;
    for statement in [
        "DROP TABLE company_activity",
        "DROP TABLE companies",
        "ALTER TABLE visits DROP COLUMN visit_length, DROP COLUMN event_names",
        MIGRATIONS[2].sql,
        "INSERT INTO company_days (site, day, company_id, company_name, visits, visitors, pageviews, first_visit_at,
             last_visit_at, version) VALUES
             ('shop', '2026-03-01', 7, 'Old name', 1, 1, 2, '2026-03-01 09:00:00', '2026-03-01 09:00:00', 1),
             ('shop', '2026-03-01', 7, 'Acme', 2, 1, 3, '2026-03-01 09:00:00', '2026-03-01 18:00:00', 2),
             ('shop', '2026-04-02', 7, 'Acme GmbH', 1, 1, 1, '2026-04-02 10:00:00', '2026-04-02 10:00:00', 1)",
        "INSERT INTO visits (site, started_at, visit_id, company_id, source, route_at, route_path, version) VALUES
             ('shop', '2026-03-01 09:00:00', 1, 7, 'Google', ['2026-03-01 09:00:00.500', '2026-03-01 09:01:00.400'],
                 ['/', '/prices'], 1),
             ('shop', '2026-03-01 18:00:00', 2, 7, '', ['2026-03-01 18:00:00'], ['/'], 1),
             ('shop', '2026-04-02 10:00:00', 3, 7, '', ['2026-04-02 10:00:00'], ['/jobs'], 1)",
    ] {
        execute(&store, statement).await;
    }
    store.migrate().await.unwrap();
    let days: Vec<(String, u32, u64, String, String)> = store
        .client()
        .query(
            "SELECT toString(day), visits, visit_length, arrayStringConcat(arraySort(sources), ','),
                 arrayStringConcat(arraySort(paths), ',') FROM company_activity FINAL
             WHERE site = 'shop' AND company_id = 7 ORDER BY day",
        )
        .fetch_all()
        .await
        .unwrap();
    assert_eq!(
        days,
        [
            ("2026-03-01".to_owned(), 2, 59, ",Google".to_owned(), "/,/prices".to_owned()),
            ("2026-04-02".to_owned(), 1, 0, String::new(), "/jobs".to_owned()),
        ]
    );
    let companies: Vec<(String, u64, u64, u32)> = store
        .client()
        .query(
            "SELECT name, visits, pageviews, active_days FROM companies FINAL WHERE site = 'shop' AND company_id = 7",
        )
        .fetch_all()
        .await
        .unwrap();
    assert_eq!(companies, [("Acme GmbH".to_owned(), 3, 4, 2)]);
}

#[tokio::test]
async fn a_changed_migration_is_refused() {
    let store = support::store().await;
    execute(&store, "INSERT INTO migrations (number, name, sha256) VALUES (3, '0003_company_days', 'another')").await;
    for result in [store.migrate().await, store.pending_migrations().await] {
        let error = result.unwrap_err();
        assert!(matches!(error, StoreError::MigrationChanged(_)), "{error}");
        assert!(error.to_string().contains("0003_company_days was changed"), "{error}");
        assert!(!error.is_retryable());
    }
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused() {
    let store = support::store().await;
    execute(&store, "INSERT INTO migrations (number, name, sha256) VALUES (9999, '9999_future', 'x')").await;
    let error = store.migrate().await.unwrap_err();
    assert!(matches!(error, StoreError::DatabaseNewer(_)), "{error}");
}

#[tokio::test]
async fn collectors_that_start_at_once_migrate_one_database() {
    let store = support::empty_store().await;
    let (one, other) = tokio::join!(store.migrate(), store.migrate());
    one.unwrap();
    other.unwrap();
    assert_eq!(store.pending_migrations().await.unwrap(), []);
}

/// A server that gives every request this one answer, and where it listens.
fn answering(status: &'static str, body: &'static str) -> Settings {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            assert!(stream.read(&mut [0; 65536]).unwrap() > 0);
            let length = body.len();
            write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}").unwrap();
        }
    });
    Settings { url, user: String::new(), password: String::new(), database: "any".into(), header: None }
}

/// The version as `RowBinaryWithNamesAndTypes` gives it: one column, its name, its type, its value.
const TOO_OLD: &str = "\x01\x09version()\x06String\x0924.3.1.12";

#[tokio::test]
async fn a_server_that_is_too_old_is_refused_in_one_sentence() {
    let store = Store::connect(&answering("200 OK", TOO_OLD));
    for error in [store.version().await.unwrap_err(), store.migrate().await.unwrap_err()] {
        assert!(matches!(error, StoreError::TooOld { .. }), "{error:?}");
        assert_eq!(error.to_string(), "ClickHouse 24.3 is too old: Firmsight needs 24.8 or later");
    }
}

#[tokio::test]
async fn what_is_no_clickhouse_is_told() {
    let store = Store::connect(&answering("404 Not Found", "<h1>nothing here</h1>"));
    let error = store.version().await.unwrap_err();
    assert!(error.to_string().contains("nothing here"), "{error}");
    assert!(error.is_retryable(), "a proxy may be asked before ClickHouse is there");
}

#[tokio::test]
async fn an_https_url_is_spoken_to_in_tls_only() {
    let settings = answering("200 OK", TOO_OLD);
    let url = settings.url.replace("http://", "https://");
    let error = Store::connect(&Settings { url, ..settings }).version().await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable(_)), "an answer in clear is none: {error}");
}

#[tokio::test]
async fn the_embedded_server_is_new_enough() {
    assert!(support::store().await.version().await.unwrap() > Version::OLDEST);
}
