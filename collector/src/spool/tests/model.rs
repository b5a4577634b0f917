//! The spool against what it promises, on a disk that fails at random.
//!
//! The model is three sets of events: tried, acknowledged, removed. Whatever happens, what is found is within tried;
//! acknowledged and not removed is within what is found; each is found once; a segment read again holds the same.

use super::*;
use proptest::{prelude::*, test_runner::TestCaseError};
use std::collections::{HashMap, HashSet};

#[derive(Clone, Debug)]
enum Step {
    /// So many appends at the same time.
    Append(u8),
    NoteDrops,
    /// Takes a segment, if there is one, reads it, and removes it or gives it back.
    Drain {
        remove: bool,
    },
    Restart,
    Kill,
    CutPower(u64),
    Fail(Operation),
    DiskRoom(usize),
    DiskFree,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1..5u8).prop_map(Step::Append),
        2 => Just(Step::NoteDrops),
        4 => any::<bool>().prop_map(|remove| Step::Drain { remove }),
        1 => Just(Step::Restart),
        1 => Just(Step::Kill),
    ]
}

fn step_with_power_cuts() -> impl Strategy<Value = Step> {
    prop_oneof![8 => step(), 1 => any::<u64>().prop_map(Step::CutPower)]
}

fn step_with_failures() -> impl Strategy<Value = Step> {
    use Operation::*;
    let operation = prop::sample::select(vec![Create, Append, Sync, Truncate, Overwrite, Rename, Remove, SyncFolder]);
    prop_oneof![
        8 => step_with_power_cuts(),
        3 => operation.prop_map(Step::Fail),
        1 => (0..500usize).prop_map(Step::DiskRoom),
        1 => Just(Step::DiskFree),
    ]
}

#[derive(Debug, Default)]
struct Model {
    tried: HashSet<u64>,
    acknowledged: HashSet<u64>,
    removed: HashSet<u64>,
    /// Their removal failed: they may come back.
    removed_perhaps: HashSet<u64>,
    /// What each segment held when it was first read.
    read: HashMap<Uuid, Vec<u64>>,
    drops_noted: u64,
    drops_removed: u64,
    /// Whether operations were made to fail, after which a refused frame may come back once power was cut.
    failures: bool,
}

struct Run {
    model: Model,
    settings: Settings,
    files: FakeFiles,
    spool: Spool,
}

impl Run {
    fn start(settings: Settings) -> Self {
        let files = FakeFiles::new();
        let (spool, _) = Spool::open_with(settings.clone(), &master(), Arc::new(files.clone())).unwrap();
        Self { model: Model::default(), settings, files, spool }
    }

    async fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Append(count) => self.append(count).await,
            Step::NoteDrops => {
                self.spool.note_drops(drop_count(1, 1));
                self.model.drops_noted += 1;
            }
            Step::Drain { remove } => self.drain(remove).await?,
            Step::Restart => {
                drop(self.spool.close().await);
                self.reopen(self.files.kill())?;
            }
            Step::Kill => self.reopen(self.files.kill())?,
            Step::CutPower(seed) => self.reopen(self.files.cut_power(seed))?,
            Step::Fail(operation) => {
                self.model.failures = true;
                self.files.fail_next(&[operation]);
            }
            Step::DiskRoom(room) => {
                self.model.failures = true;
                let used: usize = self.files.snapshot().values().map(Vec::len).sum();
                self.files.set_capacity(used + room);
            }
            Step::DiskFree => self.files.set_capacity(usize::MAX),
        }
        Ok(())
    }

    async fn append(&mut self, count: u8) {
        let first = self.model.tried.len() as u64;
        let mut appends = tokio::task::JoinSet::new();
        for number in first..first + u64::from(count) {
            self.model.tried.insert(number);
            let spool = self.spool.clone();
            appends.spawn(async move { spool.append(&beacon(number)).await.ok().map(|()| number) });
        }
        self.model.acknowledged.extend(appends.join_all().await.into_iter().flatten());
    }

    async fn drain(&mut self, remove: bool) -> Result<(), TestCaseError> {
        let Some(handle) = ready_segment(&self.spool).await else { return Ok(()) };
        let segment = self.spool.read(&handle).await.unwrap();
        let found = self.check(&segment)?;
        if !remove {
            self.spool.give_back(handle);
        } else if self.spool.remove(handle).await.is_ok() {
            self.model.removed.extend(found);
            self.model.drops_removed += segment.drops.iter().map(|drops| drops.events).sum::<u64>();
        } else {
            self.model.removed_perhaps.extend(found);
        }
        Ok(())
    }

    /// What must hold of any segment at any time; returns its events.
    fn check(&mut self, segment: &Segment) -> Result<Vec<u64>, TestCaseError> {
        let found = numbers(segment);
        prop_assert_eq!(segment.lost_events, 0);
        prop_assert!(segment.damaged.is_none(), "{:?}", segment.damaged);
        prop_assert!(found.iter().all(|number| self.model.tried.contains(number)), "nothing is invented: {:?}", found);
        prop_assert!(
            !found.iter().any(|number| self.model.removed.contains(number)),
            "removed stays removed: {:?}",
            found
        );
        let first = self.model.read.entry(segment.id).or_insert_with(|| found.clone());
        prop_assert!(self.model.failures || *first == found, "a token means the same: {:?}, then {:?}", first, found);
        Ok(found)
    }

    fn reopen(&mut self, files: FakeFiles) -> Result<(), TestCaseError> {
        let failing = files.take_failing();
        let (spool, recovery) = Spool::open_with(self.settings.clone(), &master(), Arc::new(files.clone())).unwrap();
        prop_assert!(self.model.failures || recovery.damaged.is_empty(), "a crash is no damage: {}", recovery);
        files.fail_next(&failing);
        (self.files, self.spool) = (files, spool);
        Ok(())
    }

    /// Drains everything and compares.
    async fn finish(mut self) -> Result<(), TestCaseError> {
        self.files.fail_next(&[]);
        self.files.set_capacity(usize::MAX);
        drop(self.spool.close().await);
        self.reopen(self.files.kill())?;
        self.spool.close().await.unwrap();
        let (mut found, mut drops) = (Vec::new(), self.model.drops_removed);
        for segment in read_all(&self.spool).await {
            found.extend(self.check(&segment)?);
            drops += segment.drops.iter().map(|drops| drops.events).sum::<u64>();
        }
        let once: HashSet<u64> = found.iter().copied().collect();
        prop_assert_eq!(once.len(), found.len(), "each once: {:?}", &found);
        let model = &self.model;
        let gone = |number: &u64| model.removed.contains(number) || model.removed_perhaps.contains(number);
        let missing: Vec<_> =
            model.acknowledged.iter().filter(|number| !once.contains(*number) && !gone(number)).collect();
        prop_assert!(missing.is_empty(), "acknowledged and lost: {:?}", missing);
        prop_assert!(model.failures || drops <= model.drops_noted, "drops are not counted twice");
        Ok(())
    }
}

fn run(settings: Settings, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut run = Run::start(settings);
        for step in steps {
            run.step(step).await?;
        }
        run.finish().await
    })
}

/// Segments of a few frames, and few of them.
fn small(sync: Sync) -> Settings {
    Settings { segment_bytes: 700, max_bytes: 6_000, sync, ..untimed() }
}

proptest! {
    #[test]
    fn with_sync_always_nothing_acknowledged_is_lost_in_crashes_and_power_cuts(
        steps in prop::collection::vec(step_with_power_cuts(), 1..40),
    ) {
        run(small(Sync::Always), steps)?;
    }

    #[test]
    fn with_sync_always_nothing_acknowledged_is_lost_when_operations_fail_and_the_disk_fills(
        steps in prop::collection::vec(step_with_failures(), 1..40),
    ) {
        run(small(Sync::Always), steps)?;
    }

    #[test]
    fn with_sync_interval_nothing_acknowledged_is_lost_when_the_process_dies(
        steps in prop::collection::vec(step(), 1..40),
    ) {
        run(small(Sync::Interval(Duration::from_secs(3600))), steps)?;
    }
}
