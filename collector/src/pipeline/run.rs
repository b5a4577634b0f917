//! The loop that empties the spool.

use super::{Batch, Pipeline, PipelineError, Round, Scope, VisitorKeys, verdicts::Resolve};
use crate::{
    backoff::Backoff,
    counters::DropReason,
    spool::{SegmentHandle, Spool},
    time::UnixMillis,
};
use std::{sync::atomic::Ordering, time::Duration};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// While segments keep coming, a round stays open this many times as long as counting at the end of the last one took:
/// what a count costs grows with the day, what is stored in between does not make it dearer.
const OPEN_PER_COUNT: u32 = 9;
/// The part of the spool that segments of one round may take: they stay in it until the round is counted.
const SPOOL_PER_ROUND: u64 = 4;

/// Between two retries of what is set aside, while no segment comes.
const SET_ASIDE_PAUSE: Duration = Duration::from_secs(30);

/// A segment in a round, and what was decided about it.
struct Held {
    segment: SegmentHandle,
    is_prepared: bool,
}

impl From<SegmentHandle> for Held {
    fn from(segment: SegmentHandle) -> Self {
        Self { segment, is_prepared: false }
    }
}

/// What rounds of one run have in common.
struct Rounds<'a> {
    spool: &'a Spool,
    shutdown: &'a CancellationToken,
    /// Segments that were made before are an earlier process's, which may have half stored them.
    started: UnixMillis,
    /// How long counting took at the end of the last round.
    count_took: Duration,
}

impl<R: Resolve, K: VisitorKeys> Pipeline<R, K> {
    /// Empties the spool until it is closed and empty or the shutdown begins; then the current round may go on
    /// for [`super::Settings::shutdown_deadline`], after which its segments go back to the spool.
    ///
    /// Withdrawals are carried out beside that, and once more at the end.
    pub async fn run(&self, spool: Spool, shutdown: CancellationToken) {
        tokio::select! {
            () = self.run_rounds(spool, &shutdown) => {}
            () = self.erase_regularly() => {}
        }
        self.erasures.recover();
        shutdown.run_until_cancelled(self.erase_waiting()).await;
    }

    async fn run_rounds(&self, spool: Spool, shutdown: &CancellationToken) {
        let mut rounds = Rounds { spool: &spool, shutdown, started: UnixMillis::now(), count_took: Duration::ZERO };
        loop {
            let next = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                next = spool.next_segment() => next,
                () = sleep(SET_ASIDE_PAUSE) => {
                    self.retry_set_aside(shutdown).await;
                    continue;
                }
            };
            let Some(segment) = next else { break };
            let began = Instant::now();
            let deadline = async {
                shutdown.cancelled().await;
                sleep(self.settings.shutdown_deadline).await;
            };
            tokio::select! {
                () = self.round(&mut rounds, segment) => {}
                () = deadline => {
                    tracing::warn!("the shutdown's deadline passed; what is not stored yet stays in the spool");
                    break;
                }
            }
            self.retry_set_aside(shutdown).await;
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = sleep_until(began + self.settings.round_interval) => {}
            }
        }
    }

    /// Tries one of what is set aside again, if one is due.
    async fn retry_set_aside(&self, shutdown: &CancellationToken) {
        let snapshot = self.snapshot.load_full();
        let retry = self.rebuilder.retry_set_aside(&snapshot);
        if let Some(Err(error)) = shutdown.run_until_cancelled(retry).await {
            tracing::warn!(%error, "what is set aside can't be tried again at the moment");
        }
    }

    /// Stores a segment and those that come behind it while the round is open, however long that takes.
    async fn round(&self, rounds: &mut Rounds<'_>, segment: SegmentHandle) {
        let open_until = Instant::now() + (rounds.count_took * OPEN_PER_COUNT).min(self.settings.longest_round);
        let mut held = vec![Held::from(segment)];
        let mut round = Round::new(Scope::Companies);
        let mut backoff = self.backoff();
        loop {
            match self.attempt(rounds, &mut held, &mut round, open_until).await {
                Ok(()) => break,
                Err(error) => {
                    let wait = self.note_failure(&mut backoff);
                    tracing::warn!(%error, wait_ms = wait.as_millis(), segments = held.len(), "storing failed and is tried again");
                    sleep(wait).await;
                }
            }
        }
        self.count(&round);
        self.erasures.add(round.forgotten);
        for held in held {
            if let Err(error) = rounds.spool.remove(held.segment).await {
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
        backoff.next_wait()
    }

    /// Stores what is held and what comes while the round is open, then counts. Call it again after an error.
    #[tracing::instrument(target = "firmsight", name = "pipeline.round", skip_all, fields(batches = tracing::field::Empty))]
    async fn attempt(
        &self,
        rounds: &mut Rounds<'_>,
        held: &mut Vec<Held>,
        round: &mut Round,
        open_until: Instant,
    ) -> Result<(), PipelineError> {
        loop {
            self.take_waiting(rounds.spool, held).await;
            // Refused rows stay in memory until the end of the round decides what they are: no more of them.
            while round.refusal.is_none()
                && let Some(next) = held.iter_mut().find(|held| !held.is_prepared)
            {
                // While visits are rebuilt around one segment's rows, which are no longer held, the next segment is decided.
                self.insert_batches(round).await?;
                let (rebuilt, read) = tokio::join!(self.rebuild_batches(round), self.read(rounds.spool, &next.segment));
                round.batches.push(read?);
                next.is_prepared = true;
                if was_made_before(&next.segment, rounds.started) {
                    round.scope = Scope::WholeDays;
                }
                rebuilt?;
            }
            self.store_batches(round).await?;
            if round.refusal.is_some() || !self.take_next(rounds, held, open_until).await {
                break;
            }
        }
        // The others go back to the spool.
        held.retain(|held| held.is_prepared);
        tracing::Span::current().record("batches", round.batches.len());
        let counting = Instant::now();
        self.finish_round(round).await?;
        rounds.count_took = counting.elapsed();
        Ok(())
    }

    async fn read(&self, spool: &Spool, segment: &SegmentHandle) -> Result<Batch, PipelineError> {
        let read = spool.read(segment).await?;
        let batch = self.prepare(read.id, read.beacons, read.drops).await?;
        if let Some(damage) = read.damaged {
            tracing::error!(%damage, lost_events = read.lost_events, "a spool segment is damaged");
            self.counters.drop_events(DropReason::SpoolDamaged, read.lost_events);
        }
        Ok(batch)
    }

    /// Takes what waits already, without waiting for more.
    async fn take_waiting(&self, spool: &Spool, held: &mut Vec<Held>) {
        while self.has_room(spool, held) {
            let Ok(Some(segment)) = timeout(Duration::ZERO, spool.next_segment()).await else { break };
            held.push(segment.into());
        }
    }

    /// Waits for one more segment; false when the round ends before one comes.
    async fn take_next(&self, rounds: &Rounds<'_>, held: &mut Vec<Held>, open_until: Instant) -> bool {
        if !self.has_room(rounds.spool, held) {
            return false;
        }
        let next = tokio::select! {
            biased;
            () = rounds.shutdown.cancelled() => None,
            () = sleep_until(open_until) => None,
            next = rounds.spool.next_segment() => next,
        };
        let is_taken = next.is_some();
        held.extend(next.map(Held::from));
        is_taken
    }

    /// Whether a round may take one more segment.
    fn has_room(&self, spool: &Spool, held: &[Held]) -> bool {
        let (events, bytes) = held
            .iter()
            .fold((0, 0), |(events, bytes), held| (events + held.segment.events(), bytes + held.segment.bytes()));
        events < self.settings.round_events && bytes < spool.max_bytes() / SPOOL_PER_ROUND
    }
}

/// A segment's id, a UUID v7, says in which millisecond it was made.
fn was_made_before(segment: &SegmentHandle, started: UnixMillis) -> bool {
    segment.id().get_timestamp().is_none_or(|made| {
        let (seconds, nanoseconds) = made.to_unix();
        seconds.saturating_mul(1_000).saturating_add(u64::from(nanoseconds / 1_000_000)) <= started.0.max(0) as u64
    })
}
