//! What was acknowledged survives the end of the engine, and is counted once whatever was retried.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's finding")]

mod support;

use clickhouse_embedded::{Server, start};
use collector::{
    store::{EventRow, Store},
    time::UnixMillis,
};
use rustix::process::{Pid, Signal, kill_process};
use std::{path::Path, time::Duration};
use uuid::Uuid;

async fn open(folder: &Path) -> (Server, Store) {
    let server = start(support::server_settings(folder)).await.unwrap();
    let store = Store::connect(&support::settings(&server, "firmsight"));
    store.migrate().await.unwrap();
    (server, store)
}

async fn kill(server: &Server) {
    kill_process(Pid::from_raw(server.pid().try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
    server.exited().await;
}

/// A batch of events, each in one of two years, so that an insert writes two parts.
fn batch(number: u128) -> Vec<EventRow> {
    let event = |place: u128| EventRow {
        site: "shop".into(),
        at: UnixMillis(if place.is_multiple_of(2) { 1_700_000_000_000 } else { 1_790_000_000_000 }),
        event_id: Uuid::from_u128(number * 1000 + place),
        event_type: "pageview".into(),
        ..EventRow::default()
    };
    (0..100).map(event).collect()
}

async fn count(store: &Store, what: &str) -> u64 {
    store.in_time(store.client().query_raw(&format!("SELECT {what} FROM events")).fetch_one()).await.unwrap()
}

#[tokio::test]
async fn a_token_stores_once_also_after_the_engine_was_restarted() {
    let folder = tempfile::tempdir().unwrap();
    let (server, store) = open(folder.path()).await;
    store.insert_events("segment-1", &batch(1)).await.unwrap();
    server.stop().await;

    let (server, store) = open(folder.path()).await;
    store.insert_events("segment-1", &batch(1)).await.unwrap();
    assert_eq!(count(&store, "count()").await, 100);
    kill(&server).await;

    let (_server, store) = open(folder.path()).await;
    store.insert_events("segment-1", &batch(1)).await.unwrap();
    store.insert_events("segment-2", &batch(2)).await.unwrap();
    assert_eq!(count(&store, "count()").await, 200);
}

#[tokio::test]
async fn a_killed_engine_loses_nothing_acknowledged_and_a_retry_counts_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged: u64 = 0;
    for round in 0..5 {
        let (server, store) = open(folder.path()).await;
        let (acknowledge, mut acknowledgement) = tokio::sync::mpsc::unbounded_channel();
        let inserting = async {
            let acknowledge = acknowledge;
            loop {
                let token = format!("segment-{acknowledged}");
                match store.insert_events(&token, &batch(acknowledged.into())).await {
                    Ok(()) => {
                        acknowledged += 1;
                        acknowledge.send(()).unwrap();
                    }
                    Err(error) => break error,
                }
            }
        };
        // In the middle of the third insert or a later one, each time at another point.
        let killing = async {
            acknowledgement.recv().await.unwrap();
            acknowledgement.recv().await.unwrap();
            tokio::time::sleep(Duration::from_millis(3 + 5 * round)).await;
            kill(&server).await;
        };
        let (error, ()) = tokio::join!(inserting, killing);
        assert!(error.is_retryable(), "{error}");

        let (server, store) = open(folder.path()).await;
        let stored = count(&store, "uniqExact(event_id)").await;
        assert!(stored >= acknowledged * 100, "{stored} events of {acknowledged} acknowledged batches");
        // The batch that got no answer may be there, in part or not at all: its retry makes it whole.
        store.insert_events(&format!("segment-{acknowledged}"), &batch(acknowledged.into())).await.unwrap();
        acknowledged += 1;
        assert_eq!(count(&store, "uniqExact(event_id)").await, acknowledged * 100);
        assert_eq!(count(&store, "count()").await, acknowledged * 100, "nothing twice");
        kill(&server).await;
    }
}

#[tokio::test]
async fn a_store_follows_an_engine_that_was_started_again() {
    let folder = tempfile::tempdir().unwrap();
    let (server, store) = open(folder.path()).await;
    let clone = store.clone();
    kill(&server).await;
    let error = store.insert_events("a", &batch(1)).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");

    let server = start(support::server_settings(folder.path())).await.unwrap();
    store.reconnect(&support::settings(&server, "firmsight"));
    clone.insert_events("a", &batch(1)).await.unwrap();
    assert_eq!(count(&clone, "count()").await, 100);
}
