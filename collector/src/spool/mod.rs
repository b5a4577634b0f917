//! The durable queue between "answered 2xx" and "stored in ClickHouse".
//!
//! # Design
//! A spool is a folder of *segments*, files that are written once and removed once stored. One thread (`writer`) owns
//! the active segment. [`Spool::append`] encodes its record, queues it and waits; the thread takes everything queued
//! since its last write, seals it as one *frame*, appends and fdatasyncs it, and answers all of them: group commit, so
//! the disk's sync time bounds latency and not throughput. The queue counts against [`Settings::max_bytes`] like what is
//! on disk and has a bound of its own: memory can't grow, callers get [`AppendError::Full`] at once and never wait for room.
//!
//! A segment is closed by size, or by age while no other closed one waits (a store that is away makes large segments, not
//! many). A closed segment is whole on disk before [`Spool::next_segment`] hands it out, is handed out to one holder at a
//! time, and comes back when its handle is dropped. Its id is the insert token: reading it again gives the same records.
//!
//! Each segment has its own random data key, sealed under the master key in the segment's header (`segment`).
//! [`Spool::remove`] overwrites that sealed key on disk, then removes the file: what an undelete finds can't be read.
//! A start never appends to what it finds (`recovery`): it verifies every frame, ignores an end that a crash tore
//! (never acknowledged), saves what stands around damage, moves what can't be opened to `damaged/`, and says all that.
//! What a newer version wrote goes to `newer/`, whole, and comes back by itself once that version, or a later one, starts.
//!
//! A failed write or sync (disk full, I/O error) refuses the appends it was for, cuts the segment to its last good frame
//! and closes it; the next append tries a new one, and so does [`Spool::check`], at most once a second. After a failed
//! fdatasync nothing may be assumed of the pages it was for, and nothing is: every earlier frame had its own.
//!
//! With [`Sync::Interval`] answers come after the write, before the sync: a killed process loses nothing, a power cut at
//! most the last interval.
//!
//! One process has one spool open: the data directory's lock sees to that.

mod codes;
pub mod files;
#[doc(hidden)]
pub mod fuzzing;
pub mod record;
mod recovery;
mod segment;
#[cfg(test)]
mod tests;
mod writer;

pub use recovery::{Damage, Recovery};

use crate::{
    counters::DropReason,
    sealing::{MasterKey, SealingError},
    site::SiteId,
    time::UtcDay,
};
use files::{Files, RealFiles};
use record::{DropCount, Record, SpooledBeacon};
use recovery::{ClosedSegment, DAMAGED_FOLDER, MAX_SEGMENT_BYTES, bound_damaged, move_aside};
use segment::{SEALED_KEY, SegmentKey};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::sync::{Notify, oneshot};
use uuid::Uuid;
use writer::Writer;

/// Longest record, encoded, in bytes: far above what a beacon of 64 KiB can become.
pub const MAX_RECORD_BYTES: usize = 1 << 20;
/// While several sites share the spool, one of them may hold this many times what is free. A site alone is so refused at nine
/// tenths of the spool, two that flood it at 47 % each, and there is always room for one more. (Shared-memory switches give
/// room to their queues by the same rule: Choudhury and Hahne, "Dynamic queue length thresholds", 1998.)
const SHARE_OF_FREE: u64 = 9;
/// Most memory that records waiting for the disk may take, in bytes.
const MAX_QUEUED_BYTES: u64 = 32 << 20;

/// Between two probes of a disk that refused.
const PROBE_PAUSE: Duration = Duration::from_secs(1);

/// When an append is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// After fdatasync: survives a power cut.
    Always,
    /// After the write, with fdatasync at this interval: survives a killed process; a power cut loses at most the events
    /// acknowledged during one interval and one sync.
    Interval(Duration),
}

/// How a spool is kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the segments are; created if missing. Nothing else may write there.
    pub folder: PathBuf,
    /// Most bytes on disk and in the queue; appends are refused beyond. `damaged/` may take as much again.
    pub max_bytes: u64,
    /// A segment is closed when it is this long, in bytes; at most 256 MiB.
    pub segment_bytes: u64,
    /// A segment is closed when it is this old and no closed one waits.
    pub segment_age: Duration,
    /// When an append is answered.
    pub sync: Sync,
}

impl Settings {
    /// The defaults: 1 GiB, segments of 8 MiB or 1 s, fdatasync before every answer.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            max_bytes: 1 << 30,
            segment_bytes: 8 << 20,
            segment_age: Duration::from_secs(1),
            sync: Sync::Always,
        }
    }
}

/// The spool can't do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// Its folder can't be used.
    #[error("the spool's folder {folder} can't be used: {source}")]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A segment's file can't be read or removed.
    #[error("the spool's segment {file} can't be {action}: {source}")]
    Segment {
        /// The file.
        file: PathBuf,
        /// `read` or `removed`.
        action: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The settings contradict themselves.
    #[error("the spool's settings: {0}")]
    Settings(String),
    /// A key could not be had.
    #[error(transparent)]
    Sealing(#[from] SealingError),
    /// The writer thread could not be started.
    #[error("the spool's writer thread could not be started: {0}")]
    Thread(io::Error),
    /// The end of the queue could not be written while closing; those appends were refused.
    #[error("the spool could not be written to its end while closing: {0}")]
    Close(String),
}

/// A record was not taken.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// The spool is at its limit on disk, or its queue is: try again later.
    #[error("the spool is full: ClickHouse has been away for long, or [spool].max_bytes is too small")]
    Full,
    /// The record's site holds so much of the spool that the rest is kept for other sites.
    #[error("one site holds nearly all of the spool; what is left is for the others")]
    SiteShare,
    /// The spool is closed.
    #[error("the spool is closed: firmsight is stopping")]
    Closed,
    /// The disk refused.
    #[error("the spool can't be written: {0}")]
    Io(Arc<io::Error>),
    /// The record is over [`MAX_RECORD_BYTES`], or can't be encoded at all.
    #[error("a record of {0} bytes is too large for the spool")]
    TooLarge(usize),
}

/// What the spool holds now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Bytes on disk, `damaged/` apart.
    pub bytes: u64,
    /// Segments on disk, the active one included.
    pub segments: u64,
    /// Events acknowledged and not removed yet.
    pub events_waiting: u64,
    /// Age of the oldest segment.
    pub oldest_age: Option<Duration>,
    /// Why the last write or sync failed; none once one succeeded again.
    pub last_sync_error: Option<String>,
    /// Files that were found damaged since the start, at the start included.
    pub damaged: u64,
    /// Damaged files that were removed since then, because those kept took more room than the spool may.
    pub damaged_removed: u64,
    /// Segments in `newer/`: a newer version wrote them, and only that one or a later one can store them.
    pub newer: u64,
}

/// What a segment holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// The segment's id: the insert token.
    pub id: Uuid,
    /// Beacons, in the order in which they were acknowledged.
    pub beacons: Vec<SpooledBeacon>,
    /// Counts of what was dropped at the door; several may have the same key.
    pub drops: Vec<DropCount>,
    /// Events that this process counted into the segment and that could not be read back; count them as
    /// [`DropReason::SpoolDamaged`].
    pub lost_events: u64,
    /// What is wrong with the file, if anything.
    pub damaged: Option<Damage>,
}

/// A closed segment, handed out to its holder alone. Dropping it gives it back.
#[derive(Debug)]
pub struct SegmentHandle {
    order: u64,
    segment: ClosedSegment,
    shared: Arc<Shared>,
}

impl SegmentHandle {
    /// The segment's id: the insert token.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.segment.id
    }

    /// How many events it holds.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.segment.events
    }

    /// Its length on disk.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.segment.bytes
    }
}

impl Drop for SegmentHandle {
    fn drop(&mut self) {
        self.shared.give_back(self.order);
    }
}

/// The spool; clones are the same one. When the last clone is dropped the spool closes by itself.
#[derive(Clone, Debug)]
pub struct Spool(Arc<Owner>);

/// Closes the spool when nobody can append any more.
#[derive(Debug)]
struct Owner(Arc<Shared>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.start_closing();
    }
}

#[derive(Debug)]
struct Shared {
    settings: Settings,
    key: MasterKey,
    files: Arc<dyn Files>,
    state: Mutex<State>,
    /// Whether more than half of the room is taken.
    is_pressed: AtomicBool,
    /// Wakes the writer.
    work: Condvar,
    /// Wakes those who wait for a segment or for the end.
    changed: Notify,
}

type DropKey = (SiteId, UtcDay, DropReason);

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Pending>,
    queued_bytes: u64,
    /// Bytes of each site, queued and on disk.
    bytes_of: HashMap<SiteId, u64>,
    /// Of these, bytes in the active segment.
    active_bytes_of: HashMap<SiteId, u64>,
    drops: HashMap<DropKey, u64>,
    drops_since: Option<Instant>,
    active: Option<Uuid>,
    active_bytes: u64,
    active_events: u64,
    /// Closed segments on disk, oldest first.
    closed: BTreeMap<u64, Closed>,
    closed_bytes: u64,
    closed_events: u64,
    /// How many of them are not handed out.
    ready: u64,
    next_order: u64,
    damaged: u64,
    damaged_removed: u64,
    newer: u64,
    last_error: Option<String>,
    /// Whether the writer is to find out by itself if the error lasts.
    probe: bool,
    /// Whether several sites share it.
    is_shared: bool,
    probed: Option<Instant>,
    close_error: Option<String>,
    closing: bool,
    stopped: bool,
}

#[derive(Debug)]
struct Closed {
    segment: ClosedSegment,
    handed_out: bool,
}

/// A record on its way to the writer.
#[derive(Debug)]
struct Pending {
    encoded: Vec<u8>,
    events: u64,
    /// Whose it is, and how much of the spool it takes.
    share: Option<(SiteId, u64)>,
    done: oneshot::Sender<Result<(), AppendError>>,
}

impl Pending {
    fn answer(self, outcome: Result<(), AppendError>) {
        // Whoever asked may have gone; the record is written all the same.
        drop(self.done.send(outcome));
    }
}

impl State {
    /// Takes off what a site holds; one that holds nothing is forgotten.
    fn release(&mut self, site: &SiteId, bytes: u64) {
        if let Some(held) = self.bytes_of.get_mut(site) {
            *held = held.saturating_sub(bytes);
            if *held == 0 {
                self.bytes_of.remove(site);
            }
        }
    }

    fn add_closed(&mut self, segment: ClosedSegment) {
        self.closed_bytes += segment.bytes;
        self.closed_events += segment.events;
        self.ready += 1;
        self.closed.insert(self.next_order, Closed { segment, handed_out: false });
        self.next_order += 1;
    }

    fn forget_closed(&mut self, order: u64) {
        if let Some(closed) = self.closed.remove(&order) {
            self.closed_bytes -= closed.segment.bytes;
            self.closed_events -= closed.segment.events;
            self.ready -= u64::from(!closed.handed_out);
            for (site, bytes) in &closed.segment.bytes_of {
                self.release(site, *bytes);
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start_closing(&self) {
        self.lock().closing = true;
        self.work.notify_one();
    }

    fn give_back(&self, order: u64) {
        let mut state = self.lock();
        let Some(closed) = state.closed.get_mut(&order) else { return };
        closed.handed_out = false;
        state.ready += 1;
        drop(state);
        self.changed.notify_waiters();
    }

    /// Reads a segment as it was promised, whatever happened to its file since.
    fn read(&self, handed_out: &ClosedSegment) -> Result<Segment, SpoolError> {
        let ClosedSegment { id, path, bytes, events, .. } = handed_out;
        let lost = |damage| Segment {
            id: *id,
            beacons: Vec::new(),
            drops: Vec::new(),
            lost_events: *events,
            damaged: Some(damage),
        };
        let mut file = match self.files.read(path, MAX_SEGMENT_BYTES) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let what = "it is gone: something else removed or renamed it; its events are lost".to_owned();
                return Ok(lost(Damage { file: path.clone(), what }));
            }
            Err(source) => return Err(SpoolError::Segment { file: path.clone(), action: "read", source }),
        };
        file.truncate(usize::try_from(*bytes).unwrap_or(usize::MAX));
        let key = match SegmentKey::open(&file, &self.key) {
            Ok(key) if key.id() == *id => key,
            Ok(_) => {
                let what = "another segment stands in its place".to_owned();
                return Ok(lost(self.move_aside(path, what)));
            }
            Err(error) => {
                return Ok(lost(self.move_aside(path, error.to_string())));
            }
        };
        let contents = key.read(&file);
        let lost_events = events.saturating_sub(contents.events());
        let what = contents.damage().or_else(|| {
            (lost_events > 0).then(|| format!("{} bytes at its end do not verify any more", contents.torn_bytes))
        });
        let damaged = what.map(|what| Damage { file: path.clone(), what });
        Ok(Segment { id: *id, beacons: contents.beacons, drops: contents.drops, lost_events, damaged })
    }

    fn move_aside(&self, path: &Path, what: String) -> Damage {
        let what = format!("{what}; move it back into {} once that is put right", self.settings.folder.display());
        move_aside(&*self.files, &self.settings.folder, DAMAGED_FOLDER, path, what)
    }

    /// Destroys a segment's key, then its file.
    fn remove(&self, segment: &ClosedSegment) -> Result<(), SpoolError> {
        let path = &segment.path;
        match self.files.overwrite(path, SEALED_KEY.start as u64, &[0; SEALED_KEY.end - SEALED_KEY.start]) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(file = %path.display(), %error, "a stored segment's key could not be overwritten");
            }
            _ => {}
        }
        match self.files.remove(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
        .and_then(|()| self.files.sync_folder(&self.settings.folder))
        .map_err(|source| SpoolError::Segment { file: path.clone(), action: "removed", source })
    }
}

impl Spool {
    /// Opens the spool in its folder, looks through what an earlier process left there, and starts the writer.
    ///
    /// # Errors
    /// When the folder can't be used, the settings make no sense or no thread can be started. Damaged segments are no
    /// error: they are in the [`Recovery`].
    pub fn open(settings: Settings, key: &MasterKey) -> Result<(Self, Recovery), SpoolError> {
        Self::open_with(settings, key, Arc::new(RealFiles))
    }

    fn open_with(settings: Settings, key: &MasterKey, files: Arc<dyn Files>) -> Result<(Self, Recovery), SpoolError> {
        if settings.segment_bytes > MAX_SEGMENT_BYTES / 2 || settings.segment_bytes > settings.max_bytes {
            return Err(SpoolError::Settings(format!(
                "a segment of {} bytes is over 256 MiB or over max_bytes ({})",
                settings.segment_bytes, settings.max_bytes
            )));
        }
        let (recovery, segments) = recovery::recover(&*files, &settings.folder, key, settings.max_bytes)?;
        let mut state = State {
            damaged: recovery.damaged.len() as u64,
            damaged_removed: recovery.damaged_removed,
            newer: recovery.newer.len() as u64,
            ..State::default()
        };
        for segment in segments {
            for (site, bytes) in &segment.bytes_of {
                *state.bytes_of.entry(site.clone()).or_default() += bytes;
            }
            state.add_closed(segment);
        }
        let writer = Writer::new(Arc::clone(&files), key.clone(), settings.clone());
        let shared = Arc::new(Shared {
            settings,
            key: key.clone(),
            files,
            state: Mutex::new(state),
            is_pressed: AtomicBool::new(false),
            work: Condvar::new(),
            changed: Notify::new(),
        });
        let for_thread = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("spool".to_owned())
            .spawn(move || writer::run(&for_thread, writer))
            .map_err(SpoolError::Thread)?;
        Ok((Self(Arc::new(Owner(shared))), recovery))
    }

    /// Puts a record into the spool; Ok means that it is on disk (see [`Sync`]).
    ///
    /// Once polled the record is on its way: dropping the future does not take it back, it only nobody is told.
    ///
    /// # Errors
    /// [`AppendError`]; the record was not taken, or, after an I/O error, must be taken for lost.
    pub async fn append(&self, record: &Record) -> Result<(), AppendError> {
        let encoded = record.encode().map_err(|_| AppendError::TooLarge(usize::MAX))?;
        if encoded.len() > MAX_RECORD_BYTES {
            return Err(AppendError::TooLarge(encoded.len()));
        }
        let needs = writer::bytes_on_disk(encoded.len());
        let (events, share) = match record {
            Record::Beacon(beacon) => (beacon.events.len() as u64, Some((beacon.site.clone(), needs))),
            Record::Drops(_) => (0, None),
        };
        let (done, answer) = oneshot::channel();
        {
            let mut state = self.0.0.lock();
            if state.closing {
                return Err(AppendError::Closed);
            }
            let queued = state.queued_bytes + encoded.len() as u64;
            let on_disk = state.closed_bytes + state.active_bytes;
            let needed = on_disk + state.queued_bytes + needs;
            let max_bytes = self.0.0.settings.max_bytes;
            self.0.0.is_pressed.store(needed > max_bytes / 2, Ordering::Relaxed);
            if queued > MAX_QUEUED_BYTES || needed > max_bytes {
                return Err(AppendError::Full);
            }
            if let Some((site, bytes)) = &share {
                let held = state.bytes_of.get(site).copied().unwrap_or_default();
                let free = max_bytes - needed;
                if state.is_shared && held + bytes > free.saturating_mul(SHARE_OF_FREE) {
                    return Err(AppendError::SiteShare);
                }
                match state.bytes_of.get_mut(site) {
                    Some(held) => *held += bytes,
                    None => drop(state.bytes_of.insert(site.clone(), *bytes)),
                }
            }
            state.queued_bytes = queued;
            state.queue.push_back(Pending { encoded, events, share, done });
        }
        self.0.0.work.notify_one();
        answer.await.unwrap_or(Err(AppendError::Closed))
    }

    /// Whether more than half of the room is taken, as of the last append or removal.
    #[must_use]
    pub fn is_under_pressure(&self) -> bool {
        self.0.0.is_pressed.load(Ordering::Relaxed)
    }

    /// Whether several sites share the spool, so that none of them may fill it alone. Not so at first.
    pub fn share_between_sites(&self, is_shared: bool) {
        self.0.0.lock().is_shared = is_shared;
    }

    /// Counts dropped events, without waiting: they ride with the next frame. A crash before that loses the count.
    pub fn note_drops(&self, drops: DropCount) {
        let mut state = self.0.0.lock();
        *state.drops.entry((drops.site, drops.day, drops.reason)).or_default() += drops.events;
        let first = state.drops_since.is_none();
        state.drops_since.get_or_insert_with(Instant::now);
        drop(state);
        if first {
            self.0.0.work.notify_one();
        }
    }

    /// Most bytes on disk and in the queue: [`Settings::max_bytes`].
    #[must_use]
    pub fn max_bytes(&self) -> u64 {
        self.0.0.settings.max_bytes
    }

    /// The oldest closed segment that nobody holds; waits for one. None once the spool is closed and all are handed out.
    pub async fn next_segment(&self) -> Option<SegmentHandle> {
        let shared = &self.0.0;
        loop {
            let changed = shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let mut state = shared.lock();
                if let Some((order, closed)) = state.closed.iter_mut().find(|(_, closed)| !closed.handed_out) {
                    closed.handed_out = true;
                    let handle =
                        SegmentHandle { order: *order, segment: closed.segment.clone(), shared: Arc::clone(shared) };
                    state.ready -= 1;
                    drop(state);
                    // The active segment may be old enough to close, now that none waits.
                    shared.work.notify_one();
                    return Some(handle);
                }
                if state.stopped {
                    return None;
                }
            }
            changed.await;
        }
    }

    /// Reads a segment. A file that was damaged or removed meanwhile is no error: [`Segment::damaged`] and
    /// [`Segment::lost_events`] say what is missing, and the segment can be removed like any other.
    ///
    /// # Errors
    /// When the disk fails to read; worth another try later.
    pub async fn read(&self, handle: &SegmentHandle) -> Result<Segment, SpoolError> {
        let shared = Arc::clone(&self.0.0);
        let segment = handle.segment.clone();
        let read = blocking(&handle.segment, "read", move || shared.read(&segment)).await?;
        if read.damaged.is_some() {
            let shared = Arc::clone(&self.0.0);
            let bound = move || Ok(bound_damaged(&*shared.files, &shared.settings.folder, shared.settings.max_bytes));
            let removed = blocking(&handle.segment, "read", bound).await?;
            let mut state = self.0.0.lock();
            state.damaged += 1;
            state.damaged_removed += removed;
        }
        Ok(read)
    }

    /// Removes a segment that is stored: destroys its key, then its file. It is not handed out again, even on error.
    ///
    /// # Errors
    /// When the disk refuses: the file may come back at the next start, and its insert token with it.
    pub async fn remove(&self, handle: SegmentHandle) -> Result<(), SpoolError> {
        let shared = Arc::clone(&self.0.0);
        let segment = handle.segment.clone();
        let outcome = blocking(&handle.segment, "removed", move || shared.remove(&segment)).await;
        let mut state = self.0.0.lock();
        state.forget_closed(handle.order);
        let on_disk = state.closed_bytes + state.active_bytes + state.queued_bytes;
        self.0.0.is_pressed.store(on_disk > self.0.0.settings.max_bytes / 2, Ordering::Relaxed);
        drop(state);
        outcome
    }

    /// Gives a segment back, to be handed out again: what dropping the handle does, by its name.
    pub fn give_back(&self, handle: SegmentHandle) {
        drop(handle);
    }

    /// Takes no more appends, writes what is queued, and closes the active segment so that it can be drained now or by
    /// the next process.
    ///
    /// # Errors
    /// When the end could not be written; appends that were still waiting were refused.
    pub async fn close(&self) -> Result<(), SpoolError> {
        let shared = &self.0.0;
        shared.start_closing();
        loop {
            let changed = shared.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let state = shared.lock();
                if state.stopped {
                    return state.close_error.clone().map_or(Ok(()), |error| Err(SpoolError::Close(error)));
                }
            }
            changed.await;
        }
    }

    /// Whether a record of usual size would be taken now; what a readiness probe asks. After a failed write it has the
    /// writer try an empty frame, so that a collector whose traffic was turned away comes back by itself.
    ///
    /// # Errors
    /// Why it would not.
    pub fn check(&self) -> Result<(), AppendError> {
        let mut state = self.0.0.lock();
        let on_disk = state.closed_bytes + state.active_bytes + state.queued_bytes;
        if state.closing {
            Err(AppendError::Closed)
        } else if state.queued_bytes >= MAX_QUEUED_BYTES || on_disk >= self.0.0.settings.max_bytes {
            Err(AppendError::Full)
        } else if let Some(error) = state.last_error.clone() {
            if state.probed.is_none_or(|probed| probed.elapsed() >= PROBE_PAUSE) {
                state.probed = Some(Instant::now());
                state.probe = true;
                self.0.0.work.notify_one();
            }
            Err(AppendError::Io(Arc::new(io::Error::other(error))))
        } else {
            Ok(())
        }
    }

    /// The spool's numbers now.
    #[must_use]
    pub fn status(&self) -> Status {
        let state = self.0.0.lock();
        let ids = state.closed.values().map(|closed| closed.segment.id).chain(state.active);
        Status {
            bytes: state.closed_bytes + state.active_bytes,
            segments: state.closed.len() as u64 + u64::from(state.active.is_some()),
            events_waiting: state.closed_events + state.active_events,
            oldest_age: ids.map(age_of).max(),
            last_sync_error: state.last_error.clone(),
            damaged: state.damaged,
            damaged_removed: state.damaged_removed,
            newer: state.newer,
        }
    }
}

/// How long ago a segment was created: its id, a UUID v7, says when.
fn age_of(id: Uuid) -> Duration {
    let created = id.get_timestamp().map_or(UNIX_EPOCH, |stamp| {
        let (seconds, nanoseconds) = stamp.to_unix();
        UNIX_EPOCH + Duration::new(seconds, nanoseconds)
    });
    SystemTime::now().duration_since(created).unwrap_or_default()
}

/// Runs file work where it blocks no one.
async fn blocking<T: Send + 'static>(
    segment: &ClosedSegment,
    action: &'static str,
    work: impl FnOnce() -> Result<T, SpoolError> + Send + 'static,
) -> Result<T, SpoolError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|failed| {
        Err(SpoolError::Segment { file: segment.path.clone(), action, source: io::Error::other(failed) })
    })
}
