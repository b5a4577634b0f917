//! The audit log: who read company data, who changed what.
//!
//! # Design
//! An answer must not wait for the log, and nothing may be missing from it in silence. So a record first takes its place in
//! a bounded queue ([`Audit::reserve`]), and only with that place in hand is company data read or a change made; where no
//! place is free the request is refused (503, counted). One writer ([`AuditWriter::run`]) stores what is queued in batches,
//! repeats a batch under its token while the store is away, and empties the queue at shutdown.
//!
//! A crash takes what was queued in that moment, a fraction of a second's records. Each record is therefore also a line of
//! the process's own log (target `audit`), which is where what a crash took is found; so are the records that a shutdown
//! could not store because the store stayed away.
//!
//! A record holds a key, an endpoint, a site and what was changed: never an address, a query string or what was found.

pub(crate) mod records;

use crate::{
    backoff::Backoff,
    metrics::{Metric, MetricsSource, Sample},
    site::SiteId,
    store::{Store, StoreError},
    time::UnixMillis,
};
use clickhouse::Row;
use serde::{Deserialize, Serialize};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout_at},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Records that wait at most; more are refused. Some megabytes.
const QUEUE: usize = 10_000;
/// Records in one insert.
const BATCH: usize = 1_000;
/// Between two inserts, so that busy times make few and large ones.
const PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long the rest may take at shutdown.
const SHUTDOWN: Duration = Duration::from_secs(5);

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Company data was read.
    Read,
    /// Something was made.
    Create,
    /// Something was changed.
    Change,
    /// Something was removed or revoked.
    Remove,
}

impl Action {
    /// The word in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Create => "create",
            Self::Change => "change",
            Self::Remove => "remove",
        }
    }
}

/// One record, as the table has it.
#[derive(Clone, Debug, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct AuditRow {
    /// When.
    pub at: UnixMillis,
    /// The record's own id.
    #[serde(with = "clickhouse::serde::uuid")]
    pub id: Uuid,
    /// The key's id; nil for the command line.
    #[serde(with = "clickhouse::serde::uuid")]
    pub actor: Uuid,
    /// The key's name then.
    pub actor_name: String,
    /// See [`Action`].
    pub action: String,
    /// The path's pattern, or the command.
    pub endpoint: String,
    /// The site; empty where it is no single one.
    pub site: String,
    /// What was changed, such as a key's id.
    pub object: String,
}

impl AuditRow {
    /// A record of now.
    #[must_use]
    pub fn new(
        actor: (Uuid, &str),
        action: Action,
        endpoint: &str,
        site: Option<&SiteId>,
        object: &str,
        now: UnixMillis,
    ) -> Self {
        Self {
            at: now,
            id: Uuid::new_v4(),
            actor: actor.0,
            actor_name: actor.1.to_owned(),
            action: action.as_str().to_owned(),
            endpoint: endpoint.to_owned(),
            site: site.map_or_else(String::new, SiteId::to_string),
            object: object.to_owned(),
        }
    }

    fn log(&self) {
        let Self { id, actor, actor_name, action, endpoint, site, object, .. } = self;
        tracing::info!(target: "audit", %id, key = %actor, name = actor_name, action, endpoint, site, object, "audit");
    }
}

/// The queue of records is full: the store has been away for long, or does not keep up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit log can't take another record now")]
pub struct AuditFull;

/// Where records go. Clones share the queue.
#[derive(Clone, Debug)]
pub struct Audit {
    queue: mpsc::Sender<AuditRow>,
    refused: Arc<AtomicU64>,
}

/// A place in the queue.
#[derive(Debug)]
pub struct AuditPlace(mpsc::OwnedPermit<AuditRow>);

impl AuditPlace {
    /// Queues a record, and logs it.
    pub fn record(self, row: AuditRow) {
        row.log();
        drop(self.0.send(row));
    }
}

impl Audit {
    /// A queue and what empties it.
    #[must_use]
    pub fn new(store: Store) -> (Self, AuditWriter) {
        let (queue, rows) = mpsc::channel(QUEUE);
        (Self { queue, refused: Arc::default() }, AuditWriter { rows, store })
    }

    /// Takes a place for a record of what is about to be done.
    ///
    /// # Errors
    /// [`AuditFull`]: then it must not be done.
    pub fn reserve(&self) -> Result<AuditPlace, AuditFull> {
        self.queue.clone().try_reserve_owned().map(AuditPlace).map_err(|_| {
            self.refused.fetch_add(1, Ordering::Relaxed);
            AuditFull
        })
    }
}

impl MetricsSource for Audit {
    fn samples(&self) -> Vec<Sample> {
        let waiting = self.queue.max_capacity() - self.queue.capacity();
        vec![
            Sample::new(Metric::AuditWaiting, u64::try_from(waiting).unwrap_or(u64::MAX)),
            Sample::new(Metric::AuditRefused, self.refused.load(Ordering::Relaxed)),
        ]
    }
}

/// Stores records.
#[derive(Debug)]
pub struct AuditWriter {
    rows: mpsc::Receiver<AuditRow>,
    store: Store,
}

impl AuditWriter {
    /// Stores what is queued until `stop`, then what is left.
    pub async fn run(&mut self, stop: CancellationToken) {
        let mut batch = Vec::new();
        loop {
            let received = tokio::select! {
                received = self.rows.recv_many(&mut batch, BATCH) => received,
                () = stop.cancelled() => break,
            };
            if received == 0 {
                return;
            }
            let token = Uuid::new_v4().to_string();
            let mut backoff = Backoff::new(PAUSE, LONGEST_PAUSE);
            while let Err(error) = write(&self.store, &token, &batch).await {
                tracing::warn!(%error, records = batch.len(), "audit records can't be stored; they wait");
                tokio::select! {
                    () = sleep(backoff.next_wait()) => {}
                    () = stop.cancelled() => return self.finish(batch).await,
                }
            }
            batch.clear();
            tokio::select! {
                () = sleep(PAUSE) => {}
                () = stop.cancelled() => break,
            }
        }
        self.finish(batch).await;
    }

    /// Stores what is left, within a deadline.
    async fn finish(&mut self, mut rest: Vec<AuditRow>) {
        self.rows.close();
        while let Some(row) = self.rows.recv().await {
            rest.push(row);
        }
        if rest.is_empty() {
            return;
        }
        let give_up = Instant::now() + SHUTDOWN;
        let token = Uuid::new_v4().to_string();
        let stored = timeout_at(give_up, async {
            while write(&self.store, &token, &rest).await.is_err() {
                sleep(PAUSE).await;
            }
        });
        if stored.await.is_err() {
            tracing::error!(
                records = rest.len(),
                "the store stayed away, so the last audit records are in this log alone"
            );
        }
    }
}

/// Stores records at once: for a command without a server.
///
/// # Errors
/// [`StoreError`].
pub(crate) async fn write(store: &Store, token: &str, rows: &[AuditRow]) -> Result<(), StoreError> {
    store.insert("audit", Some(token), rows).await
}
