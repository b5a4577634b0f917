//! The loop that empties the spool.

use super::{Batch, Pipeline, PipelineError, Round, Scope, VisitorKeys, retry::Backoff, verdicts::Resolve};
use crate::{
    counters::DropReason,
    spool::{SegmentHandle, Spool},
    time::UnixMillis,
};
use std::{sync::atomic::Ordering, time::Duration};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// A segment in a round, and what was decided about it.
struct Held {
    segment: SegmentHandle,
    is_prepared: bool,
}

impl<R: Resolve, K: VisitorKeys> Pipeline<R, K> {
    /// Empties the spool until it is closed and empty or the shutdown begins; then the current round may go on
    /// for [`super::Settings::shutdown_deadline`], after which its segments go back to the spool.
    pub async fn run(&self, spool: Spool, shutdown: CancellationToken) {
        // What an earlier process left may be half stored.
        let started = UnixMillis::now();
        loop {
            let next = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                next = spool.next_segment() => next,
            };
            let Some(segment) = next else { break };
            let began = Instant::now();
            let deadline = async {
                shutdown.cancelled().await;
                sleep(self.settings.shutdown_deadline).await;
            };
            tokio::select! {
                () = self.round(&spool, segment, started) => {}
                () = deadline => {
                    tracing::warn!("the shutdown's deadline passed; what is not stored yet stays in the spool");
                    break;
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = sleep_until(began + self.settings.round_interval) => {}
            }
        }
    }

    /// Stores a segment and those that wait behind it, however long that takes.
    async fn round(&self, spool: &Spool, segment: SegmentHandle, started: UnixMillis) {
        let mut held = vec![Held { segment, is_prepared: false }];
        let mut round = Round::new(Scope::Companies);
        let mut backoff = self.backoff();
        loop {
            self.take_waiting(spool, &mut held).await;
            match self.attempt(spool, &mut held, &mut round, started).await {
                Ok(()) => break,
                Err(error) => {
                    let wait = self.note_failure(&mut backoff);
                    tracing::warn!(%error, wait_ms = wait.as_millis(), segments = held.len(), "storing failed and is tried again");
                    sleep(wait).await;
                }
            }
        }
        self.count(&round);
        for held in held {
            if let Err(error) = spool.remove(held.segment).await {
                tracing::error!(%error, "a stored segment could not be removed; it will be stored again, which changes nothing");
            }
        }
    }

    /// How attempts to store are spaced.
    pub(crate) fn backoff(&self) -> Backoff {
        Backoff::new(self.settings.first_wait, self.settings.longest_wait)
    }

    /// Counts an attempt that failed; how long to wait before the next.
    pub(crate) fn note_failure(&self, backoff: &mut Backoff) -> Duration {
        self.failures.fetch_add(1, Ordering::Relaxed);
        backoff.next(rand::random())
    }

    async fn attempt(
        &self,
        spool: &Spool,
        held: &mut [Held],
        round: &mut Round,
        started: UnixMillis,
    ) -> Result<(), PipelineError> {
        for held in held.iter_mut().filter(|held| !held.is_prepared) {
            // ClickHouse works on one segment while the next is decided.
            let (stored, read) = tokio::join!(self.store_batches(round), self.read(spool, &held.segment));
            round.batches.push(read?);
            held.is_prepared = true;
            if was_made_before(&held.segment, started) {
                round.scope = Scope::WholeDays;
            }
            stored?;
        }
        self.store_round(round).await
    }

    async fn read(&self, spool: &Spool, segment: &SegmentHandle) -> Result<Batch, PipelineError> {
        let read = spool.read(segment).await?;
        let batch = self.prepare(read.id, &read.beacons, read.drops).await?;
        if let Some(damage) = read.damaged {
            tracing::error!(%damage, lost_events = read.lost_events, "a spool segment is damaged");
            self.counters.drop_events(DropReason::SpoolDamaged, read.lost_events);
        }
        Ok(batch)
    }

    /// Takes what waits already, without waiting for more.
    async fn take_waiting(&self, spool: &Spool, held: &mut Vec<Held>) {
        while held.iter().map(|held| held.segment.events()).sum::<u64>() < self.settings.round_events {
            let Ok(Some(segment)) = timeout(Duration::ZERO, spool.next_segment()).await else { break };
            held.push(Held { segment, is_prepared: false });
        }
    }
}

/// A segment's id, a UUID v7, says in which millisecond it was made.
fn was_made_before(segment: &SegmentHandle, started: UnixMillis) -> bool {
    segment.id().get_timestamp().is_none_or(|made| {
        let (seconds, nanoseconds) = made.to_unix();
        seconds.saturating_mul(1_000).saturating_add(u64::from(nanoseconds / 1_000_000)) <= started.0.max(0) as u64
    })
}
