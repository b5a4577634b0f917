//! The thread that owns the active segment: everything queued while one frame was on its way to the disk is the next.

use super::{
    AppendError, DropKey, Pending, Settings, Shared, State, Sync,
    files::{AppendFile, Files},
    record::{DropCount, Record},
    recovery::{ClosedSegment, SEGMENT_SUFFIX},
    segment::{FRAME_OVERHEAD_BYTES, SegmentKey},
};
use crate::sealing::MasterKey;
use std::{
    collections::HashMap,
    io,
    path::PathBuf,
    sync::{Arc, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};
use uuid::Uuid;

/// A frame takes no more records once it is this long, in bytes, so that a reader never needs much memory at once.
const FRAME_BYTES: usize = 1 << 20;
/// Commits begin at least this far apart, so that more beacons share one: a disk that syncs in 0.2 ms is otherwise asked thousands
/// of times a second, for a tenth of all processor time. A beacon after a quiet moment waits for nobody.
const COMMIT_INTERVAL: Duration = Duration::from_millis(1);

/// Writes segments, one at a time. Knows nothing of threads and queues.
#[derive(Debug)]
pub(super) struct Writer {
    files: Arc<dyn Files>,
    key: MasterKey,
    settings: Settings,
    active: Option<ActiveSegment>,
}

#[derive(Debug)]
struct ActiveSegment {
    key: SegmentKey,
    path: PathBuf,
    file: Box<dyn AppendFile>,
    /// Not written yet: it goes out together with the first frame.
    header: Vec<u8>,
    frames: u32,
    /// Bytes up to the end of the last good frame.
    bytes: u64,
    events: u64,
    opened: Instant,
    /// When the oldest frame that may not be on disk was written.
    unsynced_since: Option<Instant>,
    /// Whether the file's name is on disk.
    named: bool,
}

impl Writer {
    pub(super) fn new(files: Arc<dyn Files>, key: MasterKey, settings: Settings) -> Self {
        Self { files, key, settings, active: None }
    }

    /// Writes one batch as a frame; with [`Sync::Always`] it is on disk when this returns Ok.
    /// On error the frame is taken back as well as can be, and the segment, where it holds anything, is closed:
    /// it is returned, and the next batch starts a new one.
    fn write(&mut self, batch: &[u8], events: u64) -> Result<(), WriteFailed> {
        let mut active = match self.active.take() {
            Some(active) => active,
            None => self.create_segment().map_err(|error| WriteFailed { error, closed: None })?,
        };
        match self.write_frame(&mut active, batch, false) {
            Ok(()) => {
                active.events += events;
                self.active = Some(active);
                Ok(())
            }
            Err(error) => Err(WriteFailed { error, closed: self.take_back(active) }),
        }
    }

    /// Closes the active segment with a last frame; it is on disk as a whole when this returns Ok.
    fn finish(&mut self, batch: &[u8]) -> Result<Option<ClosedSegment>, WriteFailed> {
        let Some(mut active) = self.active.take() else { return Ok(None) };
        match self.write_frame(&mut active, batch, true) {
            Ok(()) => Ok(Some(active.closed())),
            Err(error) => Err(WriteFailed { error, closed: self.take_back(active) }),
        }
    }

    /// Puts what was written on disk.
    fn sync(&mut self) -> Result<(), WriteFailed> {
        let Some(mut active) = self.active.take() else { return Ok(()) };
        match self.sync_segment(&mut active) {
            Ok(()) => {
                self.active = Some(active);
                Ok(())
            }
            Err(error) => Err(WriteFailed { error, closed: self.take_back(active) }),
        }
    }

    fn create_segment(&self) -> io::Result<ActiveSegment> {
        let id = Uuid::now_v7();
        let path = self.settings.folder.join(format!("{id}{SEGMENT_SUFFIX}"));
        let (key, header) = SegmentKey::create(id, &self.key).map_err(io::Error::other)?;
        let file = self.files.create(&path)?;
        let opened = Instant::now();
        Ok(ActiveSegment {
            key,
            path,
            file,
            header,
            frames: 0,
            bytes: 0,
            events: 0,
            opened,
            unsynced_since: None,
            named: false,
        })
    }

    fn write_frame(&self, active: &mut ActiveSegment, batch: &[u8], last: bool) -> io::Result<()> {
        let frame = active.key.seal_frame(active.frames, last, batch).map_err(io::Error::other)?;
        let bytes = if active.frames == 0 { [&active.header[..], &frame].concat() } else { frame };
        active.file.append(&bytes)?;
        active.unsynced_since.get_or_insert_with(Instant::now);
        if last || self.settings.sync == Sync::Always {
            self.sync_segment(active)?;
        }
        active.frames += 1;
        active.bytes += bytes.len() as u64;
        Ok(())
    }

    fn sync_segment(&self, active: &mut ActiveSegment) -> io::Result<()> {
        if active.unsynced_since.is_some() {
            active.file.sync()?;
        }
        if !active.named {
            self.files.sync_folder(&self.settings.folder)?;
            active.named = true;
        }
        active.unsynced_since = None;
        Ok(())
    }

    /// Cuts a segment back to its last good frame. What can't be cut is never read by this process, and what a later one
    /// may find in it was refused, so its sender repeats it under the same event ids.
    fn take_back(&self, mut active: ActiveSegment) -> Option<ClosedSegment> {
        let cut = active.file.truncate(active.bytes);
        let outcome = match active.frames {
            0 => self.files.remove(&active.path),
            _ => cut.and_then(|()| self.sync_segment(&mut active)),
        };
        if let Err(error) = outcome {
            tracing::warn!(file = %active.path.display(), %error, "a frame that failed could not be taken back");
        }
        (active.frames > 0).then(|| active.closed())
    }
}

impl ActiveSegment {
    fn closed(self) -> ClosedSegment {
        ClosedSegment {
            id: self.key.id(),
            path: self.path,
            bytes: self.bytes,
            events: self.events,
            bytes_of: HashMap::new(),
        }
    }
}

/// A write failed; the segment it was for is closed and returned if it holds anything.
#[derive(Debug)]
struct WriteFailed {
    error: io::Error,
    closed: Option<ClosedSegment>,
}

/// What the thread does next.
#[derive(Default)]
struct Work {
    batch: Vec<Pending>,
    drops: HashMap<DropKey, u64>,
    finish_segment: bool,
    sync: bool,
    probe: bool,
    stop: bool,
}

/// The thread: works until the spool is closed and its queue is empty.
#[expect(
    clippy::disallowed_methods,
    reason = "a thread of its own; a condition variable would be woken by each record"
)]
pub(super) fn run(shared: &Arc<Shared>, mut writer: Writer) {
    let _stopped = StopsOnDrop(shared);
    loop {
        let work = next_work(shared, &writer);
        let began = Instant::now();
        let stop = work.stop;
        work.perform(shared, &mut writer);
        if stop {
            return;
        }
        thread::sleep(COMMIT_INTERVAL.saturating_sub(began.elapsed()));
    }
}

/// Whatever ends the thread, a panic too, nobody waits for it any more.
struct StopsOnDrop<'a>(&'a Shared);

impl Drop for StopsOnDrop<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.closing = true;
        state.stopped = true;
        state.queue.clear();
        drop(state);
        self.0.changed.notify_waiters();
    }
}

/// Waits until there is something to do and takes it out of the state.
fn next_work(shared: &Shared, writer: &Writer) -> Work {
    let mut state = shared.lock();
    loop {
        let now = Instant::now();
        let due = Due::of(&state, writer, &shared.settings);
        let mut work = Work {
            finish_segment: state.closing || due.finish.is_some_and(|at| at <= now),
            sync: due.sync.is_some_and(|at| at <= now),
            // A write may have gone well since it was asked for.
            probe: std::mem::take(&mut state.probe) && state.last_error.is_some(),
            ..Work::default()
        };
        let drops_due = due.drops.is_some_and(|at| at <= now);
        if !state.queue.is_empty() || work.finish_segment || work.sync || work.probe || drops_due {
            let mut length = 0;
            while let Some(pending) = state.queue.front()
                && (length == 0 || length + pending.encoded.len() <= FRAME_BYTES)
            {
                length += pending.encoded.len();
                work.batch.extend(state.queue.pop_front());
            }
            state.queued_bytes -= length as u64;
            work.stop = state.closing && state.queue.is_empty();
            work.finish_segment &= !state.closing || work.stop;
            work.drops = std::mem::take(&mut state.drops);
            state.drops_since = None;
            return work;
        }
        state = match due.earliest() {
            None => shared.work.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(at) => wait_until(shared, state, at.saturating_duration_since(now)),
        };
    }
}

fn wait_until<'a>(shared: &'a Shared, state: MutexGuard<'a, State>, wait: Duration) -> MutexGuard<'a, State> {
    shared.work.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0
}

/// When what has to be done by itself, without a new record.
struct Due {
    finish: Option<Instant>,
    sync: Option<Instant>,
    drops: Option<Instant>,
}

impl Due {
    fn of(state: &State, writer: &Writer, settings: &Settings) -> Self {
        let active = writer.active.as_ref();
        // While closed segments wait, nobody gains by one more: the active one grows to its full size.
        let finish = active.filter(|_| state.ready == 0).map(|active| active.opened + settings.segment_age);
        let sync = match settings.sync {
            Sync::Always => None,
            Sync::Interval(interval) => active.and_then(|active| active.unsynced_since).map(|since| since + interval),
        };
        let drops = state.drops_since.filter(|_| active.is_none()).map(|since| since + settings.segment_age);
        Self { finish, sync, drops }
    }

    fn earliest(&self) -> Option<Instant> {
        [self.finish, self.sync, self.drops].into_iter().flatten().min()
    }
}

impl Work {
    fn perform(mut self, shared: &Shared, writer: &mut Writer) {
        if !self.batch.is_empty() || self.probe || (!self.drops.is_empty() && writer.active.is_none()) {
            self.write_batch(shared, writer);
        }
        let full = writer.active.as_ref().is_some_and(|active| active.bytes >= shared.settings.segment_bytes);
        if full || self.finish_segment {
            let outcome = writer.finish(&encode_drops(&self.drops));
            match outcome {
                Ok(closed) => {
                    self.drops.clear();
                    shared.segment_closed(closed, None);
                }
                Err(failed) => shared.segment_closed(failed.closed, Some(&failed.error)),
            }
        } else if self.sync {
            match writer.sync() {
                Ok(()) => shared.write_succeeded(writer),
                Err(failed) => shared.segment_closed(failed.closed, Some(&failed.error)),
            }
        }
        shared.restore_drops(self.drops);
    }

    fn write_batch(&mut self, shared: &Shared, writer: &mut Writer) {
        let pending = std::mem::take(&mut self.batch);
        let mut batch: Vec<u8> = Vec::with_capacity(pending.iter().map(|pending| pending.encoded.len()).sum());
        for pending in &pending {
            batch.extend_from_slice(&pending.encoded);
        }
        batch.extend_from_slice(&encode_drops(&self.drops));
        let events = pending.iter().map(|pending| pending.events).sum();
        match writer.write(&batch, events) {
            Ok(()) => {
                self.drops.clear();
                shared.write_succeeded(writer);
                shared.settle_shares(&pending, true);
                for pending in pending {
                    pending.answer(Ok(()));
                }
            }
            Err(failed) => {
                shared.segment_closed(failed.closed, Some(&failed.error));
                shared.settle_shares(&pending, false);
                let error = Arc::new(failed.error);
                for pending in pending {
                    pending.answer(Err(AppendError::Io(Arc::clone(&error))));
                }
            }
        }
    }
}

fn encode_drops(drops: &HashMap<DropKey, u64>) -> Vec<u8> {
    let mut batch = Vec::new();
    for ((site, day, reason), events) in drops {
        let record = Record::Drops(DropCount { site: site.clone(), day: *day, reason: *reason, events: *events });
        match record.encode() {
            Ok(encoded) => batch.extend(encoded),
            Err(error) => tracing::error!(%error, "a drop count could not be encoded"),
        }
    }
    batch
}

impl Shared {
    /// A frame or a sync went well: the active segment's numbers are the writer's.
    fn write_succeeded(&self, writer: &Writer) {
        let mut state = self.lock();
        let (bytes, events) = writer.active.as_ref().map_or((0, 0), |active| (active.bytes, active.events));
        state.active_bytes = bytes;
        state.active_events = events;
        state.active = writer.active.as_ref().map(|active| active.key.id());
        if state.last_error.take().is_some() {
            tracing::info!("the spool can be written again");
        }
    }

    /// What sites hold of the queue goes over to the active segment, or is given up.
    fn settle_shares(&self, pending: &[Pending], is_written: bool) {
        let mut state = self.lock();
        for (site, bytes) in pending.iter().filter_map(|pending| pending.share.as_ref()) {
            if !is_written {
                state.release(site, *bytes);
            } else if let Some(held) = state.active_bytes_of.get_mut(site) {
                *held += bytes;
            } else {
                state.active_bytes_of.insert(site.clone(), *bytes);
            }
        }
    }

    /// The active segment is no more; what is left of it can be drained.
    fn segment_closed(&self, closed: Option<ClosedSegment>, error: Option<&io::Error>) {
        let mut state = self.lock();
        (state.active, state.active_bytes, state.active_events) = (None, 0, 0);
        let bytes_of = std::mem::take(&mut state.active_bytes_of);
        match closed {
            Some(closed) => state.add_closed(ClosedSegment { bytes_of, ..closed }),
            None => bytes_of.iter().for_each(|(site, bytes)| state.release(site, *bytes)),
        }
        if let Some(error) = error {
            if state.last_error.is_none() {
                tracing::error!(folder = %self.settings.folder.display(), %error,
                    "the spool can't be written: beacons are refused until it can, nothing acknowledged is lost");
            }
            state.last_error = Some(error.to_string());
            state.close_error = state.closing.then(|| error.to_string());
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Drop counts that found no frame wait for the next.
    fn restore_drops(&self, drops: HashMap<DropKey, u64>) {
        if drops.is_empty() {
            return;
        }
        let mut state = self.lock();
        for (key, events) in drops {
            *state.drops.entry(key).or_default() += events;
        }
        state.drops_since.get_or_insert_with(Instant::now);
    }
}

/// How much a record takes on disk at most.
pub(super) const fn bytes_on_disk(encoded: usize) -> u64 {
    (encoded + FRAME_OVERHEAD_BYTES) as u64
}
