//! Spool to rows to visits to company days.
//!
//! # Design
//! A *batch* is a spool segment or a part of an imported log. It is decided once ([`steps`]): each event becomes a row or
//! a drop with a reason. Then it is stored, and every step of storing can be repeated without changing a number:
//!
//! 1. Rows go into `events` under a token, and are keyed by what a retry repeats exactly.
//! 2. Visitors who asked for it get a tombstone; they are erased apart ([`forget`]).
//! 3. Visits around the rows are rebuilt, then company days ([`rebuild`]), from [`visits`], the core that counts.
//! 4. Drop counts are written, one row per batch, site, day and reason.
//! 5. Only then is the segment removed and are its events counted as stored or dropped.
//!
//! [`Pipeline::run`] takes several segments into one *round*: visits around one segment's rows are rebuilt while the next
//! segment is decided, company days and drop counts come once for all of them, because these cost as much as the day is long:
//! the longer the last count took, the longer a round stays open for segments that come. Each segment keeps its own token; the
//! rows of one are in memory at a time. A round that fails waits and is repeated; decisions stay as they were. Rows that
//! ClickHouse refuses for what is in them are singled out by halving and given up, counted, as long as it takes others: a
//! refusal of everything is a fault of the set-up and is waited out.

pub mod attribution;
mod batch;
pub mod device;
pub mod forget;
pub mod local_day;
pub mod rebuild;
pub mod rows;
mod run;
pub mod set_aside;
pub mod steps;
pub mod verdicts;
mod visitor_allowance;
pub mod visits;

pub use visitor_allowance::DailyAllowance;

#[cfg(test)]
pub(crate) mod fixtures;

use self::{
    batch::Batch,
    forget::{Erasures, Forgotten, leave_tombstones},
    rebuild::{Affected, BaseKey, KeptFor, NoProfiles, Rebuilder, Scope, Touched},
    set_aside::{SetAside, SetAsideCounts},
    verdicts::Resolve,
    visitor_allowance::VisitorAllowance,
    visits::VisitTimeout,
};
use crate::{
    control::{Control, ControlError},
    counters::{Counters, DropReason},
    snapshot::SharedSnapshot,
    spool::{
        SpoolError,
        record::{DropCount, SpooledBeacon},
    },
    store::{Store, StoreError},
    time::{UnixMillis, UtcDay},
};
use firmsight_resolver::{NetworkKind, ProfileLookup};
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use uuid::Uuid;

/// How often an insert may be refused before one part of the rows was taken.
const MAX_REFUSALS: usize = 40;

/// How the pipeline works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The longest silence inside a visit.
    pub visit_timeout: VisitTimeout,
    /// How long base rows are kept, which bounds what a rebuild may replace.
    pub kept_for: KeptFor,
    /// The kinds of network whose visits are kept.
    pub keep: Vec<NetworkKind>,
    /// How many addresses are looked up at once.
    pub resolve_at_once: usize,
    /// How long looking up a batch's addresses may take; the rest get their local verdicts.
    pub resolve_deadline: Duration,
    /// Rounds begin at least this far apart, so that a busy site is rebuilt in larger portions.
    pub round_interval: Duration,
    /// A round takes segments until it has this many events; a crash repeats it.
    pub round_events: u64,
    /// A round is counted after this time at the latest, however long the last count took.
    pub longest_round: Duration,
    /// The first wait after a failure.
    pub first_wait: Duration,
    /// The longest wait after a failure.
    pub longest_wait: Duration,
    /// How long a round may go on after the shutdown began.
    pub shutdown_deadline: Duration,
    /// What one visitor may have stored in a day.
    pub visitor_allowance: DailyAllowance,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            visit_timeout: VisitTimeout::default(),
            kept_for: KeptFor::default(),
            keep: vec![NetworkKind::Business, NetworkKind::Education, NetworkKind::Government],
            resolve_at_once: 256,
            resolve_deadline: Duration::from_secs(10),
            round_interval: Duration::from_secs(1),
            round_events: 4_000_000,
            longest_round: Duration::from_secs(60),
            first_wait: Duration::from_millis(200),
            longest_wait: Duration::from_secs(30),
            shutdown_deadline: Duration::from_secs(10),
            visitor_allowance: DailyAllowance::default(),
        }
    }
}

/// Where the keys come from under which visitors are hashed.
pub trait VisitorKeys: Send + Sync + 'static {
    /// The installation's key for client ids.
    fn visitor_key(&self) -> [u8; 32];
    /// The random key of a UTC day.
    fn day_key(&self, day: UtcDay, now: UnixMillis) -> impl Future<Output = Result<[u8; 32], ControlError>> + Send;
}

impl VisitorKeys for Control {
    fn visitor_key(&self) -> [u8; 32] {
        Self::visitor_key(self)
    }

    async fn day_key(&self, day: UtcDay, now: UnixMillis) -> Result<[u8; 32], ControlError> {
        Self::day_key(self, day, now).await
    }
}

/// A batch could not be processed; the same call may be repeated.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The store failed or refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The key of a day could not be had.
    #[error("the key of a day's visitors cannot be had: {0}")]
    Keys(#[from] ControlError),
    /// The sites were never loaded, so that nobody knows which events to keep.
    #[error("the sites are not loaded yet: ClickHouse was never reached and there is no copy on disk")]
    SitesNotLoaded,
    /// A segment can't be read.
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

/// What became of a batch's events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Processed {
    /// Stored, whether or not they were stored before.
    pub stored: u64,
    /// Dropped, by reason; those dropped at the door are not among them.
    pub dropped: BTreeMap<DropReason, u64>,
}

/// Turns beacons into rows, visits and company days.
#[derive(Debug)]
pub struct Pipeline<R, K> {
    settings: Settings,
    store: Store,
    resolver: Arc<R>,
    keys: Arc<K>,
    snapshot: SharedSnapshot,
    counters: Arc<Counters>,
    rebuilder: Arc<Rebuilder>,
    /// None for batches that a person brings.
    allowance: Option<VisitorAllowance>,
    erasures: Arc<Erasures>,
    failures: Arc<AtomicU64>,
}

/// Batches that are stored together, and how far that has come.
#[derive(Debug)]
struct Round {
    batches: Vec<Batch>,
    affected: Affected,
    scope: Scope,
    /// Who asked to be forgotten in the batches stored so far; they are erased when all of the round is stored.
    forgotten: Vec<Forgotten>,
    /// Why the first of the refused batches was refused.
    refusal: Option<StoreError>,
}

impl Round {
    const fn new(scope: Scope) -> Self {
        Self { batches: Vec::new(), affected: Affected::new(), scope, forgotten: Vec::new(), refusal: None }
    }
}

fn rebuilder(settings: &Settings, store: &Store, profiles: Arc<dyn ProfileLookup>) -> Rebuilder {
    Rebuilder::new(store.clone(), settings.visit_timeout, profiles).with_base_rows_kept_for(settings.kept_for)
}

impl<R: Resolve, K: VisitorKeys> Pipeline<R, K> {
    /// A pipeline; nothing is asked of the store yet.
    #[must_use]
    pub fn new(
        settings: Settings,
        store: Store,
        resolver: Arc<R>,
        keys: Arc<K>,
        snapshot: SharedSnapshot,
        counters: Arc<Counters>,
    ) -> Self {
        let profiles: Arc<dyn ProfileLookup> = Arc::new(NoProfiles);
        let rebuilder = Arc::new(rebuilder(&settings, &store, profiles));
        let allowance = Some(VisitorAllowance::new(settings.visitor_allowance));
        Self {
            settings,
            store,
            resolver,
            keys,
            snapshot,
            counters,
            rebuilder,
            allowance,
            erasures: Arc::default(),
            failures: Arc::default(),
        }
    }

    /// The same pipeline, which writes down what is known about the companies it counts.
    #[must_use]
    pub fn with_profiles(mut self, profiles: Arc<dyn ProfileLookup>) -> Self {
        self.rebuilder = Arc::new(rebuilder(&self.settings, &self.store, profiles));
        self
    }

    /// A pipeline into the same tables with another resolver and other counters, for batches that a person brings. It
    /// shares the rebuilder: two would overtake each other.
    #[must_use]
    pub fn sharing_rebuilder<R2: Resolve>(&self, resolver: Arc<R2>, counters: Arc<Counters>) -> Pipeline<R2, K> {
        Pipeline {
            settings: self.settings.clone(),
            store: self.store.clone(),
            resolver,
            keys: Arc::clone(&self.keys),
            snapshot: Arc::clone(&self.snapshot),
            counters,
            rebuilder: Arc::clone(&self.rebuilder),
            allowance: None,
            erasures: Arc::clone(&self.erasures),
            failures: Arc::clone(&self.failures),
        }
    }

    /// What can't be counted and is set aside.
    #[must_use]
    pub fn set_aside(&self) -> Vec<SetAside> {
        self.rebuilder.set_aside_now()
    }

    /// How many subjects were set aside.
    #[must_use]
    pub fn set_aside_counts(&self) -> SetAsideCounts {
        self.rebuilder.set_aside_counts()
    }

    /// How many attempts to store failed so far and were or will be repeated.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Decides and stores one batch. Its events must be in flight in [`Counters`], where they end as stored or dropped;
    /// `dropped_before` were counted already and are only written down. The same batch may be processed again.
    ///
    /// # Errors
    /// [`PipelineError`]; nothing was counted, the batch may be stored in part, and repeating the call heals that.
    pub async fn process(
        &self,
        batch_id: Uuid,
        beacons: Vec<SpooledBeacon>,
        dropped_before: Vec<DropCount>,
    ) -> Result<Processed, PipelineError> {
        let batch = self.prepare(batch_id, beacons, dropped_before).await?;
        // An earlier call may have failed half-way, in another process even.
        let mut round = Round { batches: vec![batch], ..Round::new(Scope::WholeDays) };
        self.store_round(&mut round).await?;
        // Who brings a batch waits for it.
        self.erase(&round.forgotten).await?;
        Ok(self.count(&round))
    }

    /// Counts again what was stored or counted in the last hour before the newest row: a backup takes one table after the
    /// other, so that the newest visits may not be what the newest events make.
    ///
    /// # Errors
    /// [`PipelineError`]; the call may be repeated.
    pub async fn count_newest_again(&self) -> Result<(), PipelineError> {
        let touched = self.rebuilder.newest().await?;
        let snapshot = self.snapshot.load_full();
        let mut affected = Affected::default();
        self.rebuilder.rebuild_visits(&snapshot, &[], touched, &mut affected).await?;
        Ok(self.rebuilder.rebuild_totals(&snapshot, &affected, Scope::WholeDays).await?)
    }

    /// Stores what the round holds and is not stored yet, and counts anew what derives from it. After an error call it
    /// again with the same round.
    #[tracing::instrument(target = "firmsight", name = "pipeline.round", skip_all, fields(batches = round.batches.len()))]
    async fn store_round(&self, round: &mut Round) -> Result<(), PipelineError> {
        self.store_batches(round).await?;
        self.finish_round(round).await
    }

    /// Stores the rows of batches that are not stored yet, and the visits around them.
    async fn store_batches(&self, round: &mut Round) -> Result<(), PipelineError> {
        self.insert_batches(round).await?;
        self.rebuild_batches(round).await
    }

    /// Stores the rows of batches that are not stored yet; then the rows are no longer in memory.
    async fn insert_batches(&self, round: &mut Round) -> Result<(), PipelineError> {
        for batch in round.batches.iter_mut().filter(|batch| batch.stored.is_none() && !batch.is_refused) {
            match self.insert_batch(batch).await {
                Ok(()) => batch.inserted(),
                Err(error) if error.is_retryable() => return Err(error.into()),
                Err(error) => {
                    batch.is_refused = true;
                    round.refusal.get_or_insert(error);
                }
            }
        }
        Ok(())
    }

    /// Brings the visits around stored rows up to date, where that was not done yet.
    async fn rebuild_batches(&self, round: &mut Round) -> Result<(), PipelineError> {
        for batch in round.batches.iter_mut().filter(|batch| batch.stored.is_some() && !batch.has_visits) {
            leave_tombstones(&self.store, &batch.forgotten).await?;
            round.forgotten.append(&mut batch.forgotten);
            self.rebuild_visits(batch, &mut round.affected).await?;
        }
        Ok(())
    }

    /// Brings the visits of a stored batch up to date.
    async fn rebuild_visits(&self, batch: &mut Batch, affected: &mut Affected) -> Result<(), PipelineError> {
        let keys: Vec<&BaseKey> = batch.keys.iter().collect();
        self.rebuilder.rebuild_visits(&self.snapshot.load_full(), &keys, Touched::default(), affected).await?;
        batch.keys = HashSet::new();
        batch.has_visits = true;
        Ok(())
    }

    /// Gives up the batches that ClickHouse refused while it took others, counts company days and companies anew, and
    /// writes down what was dropped.
    async fn finish_round(&self, round: &mut Round) -> Result<(), PipelineError> {
        if let Some(error) = round.refusal.take() {
            let is_any_taken = round.batches.iter().any(|batch| batch.stored.is_some_and(|rows| rows > 0));
            for batch in round.batches.iter_mut().filter(|batch| batch.is_refused) {
                batch.is_refused = false;
                if is_any_taken {
                    tracing::error!(batch = %batch.id, events = batch.len(), %error, "events are given up");
                    batch.give_up(&(0..batch.len()).collect());
                    batch.inserted();
                }
            }
            if !is_any_taken {
                return Err(error.into());
            }
            // They may hold who is to be forgotten.
            self.store_batches(round).await?;
        }
        self.rebuilder.rebuild_totals(&self.snapshot.load_full(), &round.affected, round.scope).await?;
        let version = self.rebuilder.versions().next();
        let drops: Vec<_> = round.batches.iter().flat_map(|batch| batch.drop_rows(version)).collect();
        Ok(self.store.insert_drops(&drops).await?)
    }

    /// Counts a stored round's events as what they became.
    fn count(&self, round: &Round) -> Processed {
        let mut processed = Processed::default();
        for batch in &round.batches {
            processed.stored += batch.stored.unwrap_or_default();
            for ((_, _, reason), events) in &batch.dropped {
                *processed.dropped.entry(*reason).or_default() += events;
            }
        }
        self.counters.store(processed.stored);
        for (reason, events) in &processed.dropped {
            self.counters.drop_events(*reason, *events);
        }
        processed
    }

    /// Inserts a batch's rows. When they are refused as a whole but not all of them, gives up those that are.
    #[tracing::instrument(target = "firmsight", name = "pipeline.insert", skip_all, fields(rows = batch.len()))]
    async fn insert_batch(&self, batch: &mut Batch) -> Result<(), StoreError> {
        let token = batch.token();
        let mut parts: Vec<Range<usize>> = Vec::from([Range { start: 0, end: batch.len() }]);
        let mut refused = BTreeSet::new();
        let mut refusals = 0;
        let mut is_any_taken = false;
        while let Some(part) = parts.pop() {
            let part_token = if part.len() == batch.len() { token.clone() } else { format!("{token}-{part:?}") };
            let rows = batch.rows().skip(part.start).take(part.len());
            match self.store.insert_events(&part_token, rows).await {
                Ok(()) => is_any_taken = true,
                Err(error) if error.is_retryable() => return Err(error),
                Err(error) => {
                    refusals += 1;
                    let is_last_hope_gone = parts.is_empty() && part.len() == 1;
                    if !is_any_taken && (refusals >= MAX_REFUSALS || is_last_hope_gone) {
                        return Err(error);
                    }
                    if part.len() == 1 {
                        tracing::error!(batch = %batch.id, %error, "ClickHouse refuses an event, which is given up");
                        refused.insert(part.start);
                    } else {
                        let middle = part.start + part.len() / 2;
                        parts.extend([middle..part.end, part.start..middle]);
                    }
                }
            }
        }
        batch.give_up(&refused);
        Ok(())
    }
}
