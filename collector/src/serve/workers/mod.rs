//! What runs in the background, and what becomes of it when it ends.
//!
//! # Design
//! A [`Worker`] has a name, a future that works until it is told to stop, and a say in `/readyz` and `/metrics`. The table
//! of them is in [`table`]; adding one is a line there.
//!
//! One supervisor task per worker runs it. A worker that ends before it was told to stop, by a panic or by returning, must
//! not go unnoticed: a pipeline that is gone fills the spool, an audit writer that is gone refuses every report. So the
//! supervisor logs it, counts it (`firmsight_worker_restarts_total`) and runs it again after a back-off; until then
//! `firmsight_worker_up` is 0. A worker that ran for a while before it ended starts with a short back-off again, so that
//! rare accidents stay cheap and a worker that falls over at once is not run in a tight loop.
//!
//! A worker that is down does not fail `/readyz` by itself: a load balancer would take away the collector that still
//! accepts beacons, and with the last one of them the beacons are lost. What keeps beacons from being accepted is a
//! [`Worker::problem`].
//!
//! Workers that need the store first run when it is ready, so that a start while ClickHouse is still starting writes no
//! warnings. When the process stops before that, they run once with `stop` already cancelled and may tidy up.

mod control_refresh;
mod retention;
mod table;

pub(super) use control_refresh::ControlRefresh;
pub(super) use retention::RetentionWorker;
pub(super) use table::{AuditWorker, CommandSocket, PipelineWorker, UsageWorker};

use super::store_keeper::StoreState;
use crate::{
    backoff::Backoff,
    metrics::{Metric, MetricsSource, ReadinessCheck, Sample},
};
use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

/// Before a worker that ended unexpectedly runs again; doubled up to the longest.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// A worker's future.
pub(super) type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Something that runs in the background for as long as the collector does.
pub(super) trait Worker: Send + Sync + 'static {
    /// Its name in logs, `/readyz` and as a metric's label: lower-case words with hyphens.
    fn name(&self) -> &'static str;

    /// Whether it first runs once the store is ready.
    fn needs_store(&self) -> bool {
        true
    }

    /// Works until `stop`. It may be called again after the future ended.
    fn run(self: Arc<Self>, stop: CancellationToken) -> Running;

    /// Whether it may end before `stop` because nothing is left to do.
    fn is_done(&self) -> bool {
        false
    }

    /// What keeps beacons from being accepted now, as a sentence for `/readyz`; must not block.
    fn problem(&self) -> Option<String> {
        None
    }

    /// Its values for `/metrics`; must not block.
    fn samples(&self) -> Vec<Sample> {
        Vec::new()
    }
}

/// A worker and how it fares.
pub(super) struct Post {
    worker: Arc<dyn Worker>,
    is_down: AtomicBool,
    restarts: AtomicU64,
    backoff: fn() -> Backoff,
}

impl Post {
    pub(super) fn new(worker: Arc<dyn Worker>) -> Arc<Self> {
        Self::with_backoff(worker, || Backoff::new(FIRST_WAIT, LONGEST_WAIT))
    }

    fn with_backoff(worker: Arc<dyn Worker>, backoff: fn() -> Backoff) -> Arc<Self> {
        Arc::new(Self { worker, is_down: AtomicBool::new(false), restarts: AtomicU64::new(0), backoff })
    }

    /// Keeps the worker running until `stop`.
    pub(super) fn supervise(
        self: Arc<Self>,
        store: watch::Receiver<StoreState>,
        stop: CancellationToken,
    ) -> JoinHandle<()> {
        tokio::spawn(async move {
            if self.worker.needs_store() {
                until_ready(store, &stop).await;
            }
            let mut backoff = (self.backoff)();
            loop {
                let began = Instant::now();
                // In a task of its own, so that a panic ends that task and not this one.
                let ended = tokio::spawn(Arc::clone(&self.worker).run(stop.clone())).await;
                if ended.is_ok() && (stop.is_cancelled() || self.worker.is_done()) {
                    return;
                }
                if began.elapsed() > LONGEST_WAIT {
                    backoff.reset();
                }
                let wait = backoff.next_wait();
                self.note_end(ended.err().as_ref(), wait);
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = sleep(wait) => {}
                }
                self.is_down.store(false, Ordering::Relaxed);
            }
        })
    }

    fn note_end(&self, panic: Option<&tokio::task::JoinError>, wait: Duration) {
        let (worker, retry_after) = (self.worker.name(), wait);
        match panic {
            Some(error) => {
                tracing::error!(worker, %error, ?retry_after, "a background worker failed; it is started again")
            }
            None => tracing::error!(worker, ?retry_after, "a background worker ended by itself; it is started again"),
        }
        self.restarts.fetch_add(1, Ordering::Relaxed);
        self.is_down.store(true, Ordering::Relaxed);
    }
}

async fn until_ready(mut store: watch::Receiver<StoreState>, stop: &CancellationToken) {
    let ready = async { store.wait_for(|state| *state == StoreState::Ready).await.is_ok() };
    let is_over = tokio::select! {
        () = stop.cancelled() => false,
        is_ready = ready => !is_ready,
    };
    if is_over {
        // Nobody keeps the store any more, so the process is about to stop.
        stop.cancelled().await;
    }
}

/// All workers, as `/readyz` and `/metrics` see them.
pub(super) struct Workers(Vec<Arc<Post>>);

impl Workers {
    pub(super) const fn new(posts: Vec<Arc<Post>>) -> Self {
        Self(posts)
    }

    /// These and some more.
    pub(super) fn with(&self, others: [&Arc<Post>; 2]) -> Self {
        Self(self.0.iter().chain(others).cloned().collect())
    }

    /// Starts every worker.
    pub(super) fn supervise(
        &self,
        store: &watch::Receiver<StoreState>,
        stop: &CancellationToken,
    ) -> Vec<JoinHandle<()>> {
        self.0.iter().map(|post| Arc::clone(post).supervise(store.clone(), stop.clone())).collect()
    }
}

impl ReadinessCheck for Workers {
    fn problem(&self) -> Option<String> {
        let problems: Vec<String> = self.0.iter().filter_map(|post| post.worker.problem()).collect();
        (!problems.is_empty()).then(|| problems.join("\n"))
    }
}

impl MetricsSource for Workers {
    fn samples(&self) -> Vec<Sample> {
        let labelled = |metric, post: &Arc<Post>, value| Sample {
            metric,
            label: Some(("worker", post.worker.name().to_owned())),
            value,
        };
        let of = |post: &Arc<Post>| {
            let is_up = u64::from(!post.is_down.load(Ordering::Relaxed));
            let mut samples = vec![
                labelled(Metric::WorkerUp, post, is_up),
                labelled(Metric::WorkerRestarts, post, post.restarts.load(Ordering::Relaxed)),
            ];
            samples.extend(post.worker.samples());
            samples
        };
        self.0.iter().flat_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use tokio::sync::Notify;

    /// Does what it is told, one run after the other; then it works until it is stopped.
    struct Scripted {
        script: Mutex<Vec<&'static str>>,
        works: Notify,
        is_done: AtomicBool,
    }

    impl Scripted {
        fn new(script: &[&'static str]) -> Arc<Self> {
            let script = Mutex::new(script.iter().rev().copied().collect());
            Arc::new(Self { script, works: Notify::new(), is_done: AtomicBool::new(false) })
        }
    }

    impl Worker for Scripted {
        fn name(&self) -> &'static str {
            "scripted"
        }

        fn run(self: Arc<Self>, stop: CancellationToken) -> Running {
            Box::pin(async move {
                let next = self.script.lock().unwrap().pop();
                match next {
                    Some("return") => {}
                    Some("finish") => self.is_done.store(true, Ordering::Relaxed),
                    Some(word) => panic!("{word}"),
                    None => {
                        self.works.notify_one();
                        stop.cancelled().await;
                    }
                }
            })
        }

        fn is_done(&self) -> bool {
            self.is_done.load(Ordering::Relaxed)
        }
    }

    fn post(worker: &Arc<Scripted>) -> Arc<Post> {
        let worker = Arc::clone(worker) as Arc<dyn Worker>;
        Post::with_backoff(worker, || Backoff::new(Duration::from_millis(2), Duration::from_millis(4)))
    }

    fn ready() -> watch::Receiver<StoreState> {
        watch::channel(StoreState::Ready).1
    }

    #[tokio::test]
    async fn a_worker_that_ends_or_panics_is_counted_and_runs_again() {
        let worker = Scripted::new(&["return", "a panic of the test", "return"]);
        let post = post(&worker);
        let workers = Workers::new(vec![Arc::clone(&post)]);
        let stop = CancellationToken::new();
        let running = workers.supervise(&ready(), &stop);
        worker.works.notified().await;
        let values: Vec<u64> = workers.samples().iter().map(|sample| sample.value).collect();
        assert_eq!(values, [1, 3]);
        stop.cancel();
        for task in running {
            task.await.unwrap();
        }
        assert_eq!(post.restarts.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn a_worker_that_is_down_is_shown_in_metrics_and_fails_no_readiness() {
        let worker = Scripted::new(&["return"]);
        // It stays down for as long as the test looks.
        let hour = || Backoff::new(Duration::from_secs(3_600), Duration::from_secs(3_600));
        let post = Post::with_backoff(Arc::clone(&worker) as Arc<dyn Worker>, hour);
        let workers = Workers::new(vec![post]);
        let stop = CancellationToken::new();
        let running = workers.supervise(&ready(), &stop);
        while workers.samples()[0].value == 1 {
            tokio::task::yield_now().await;
        }
        assert_eq!(workers.samples()[0].metric, Metric::WorkerUp);
        assert_eq!(workers.samples()[1].value, 1);
        assert_eq!(workers.problem(), None);
        stop.cancel();
        for task in running {
            task.await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_worker_that_is_done_is_left_in_peace() {
        let worker = Scripted::new(&["finish"]);
        let post = post(&worker);
        Arc::clone(&post).supervise(ready(), CancellationToken::new()).await.unwrap();
        assert_eq!(post.restarts.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn a_worker_waits_for_the_store_and_still_runs_when_the_process_stops_before() {
        let worker = Scripted::new(&[]);
        let (state, store) = watch::channel(StoreState::Away(None));
        let stop = CancellationToken::new();
        let running = post(&worker).supervise(store, stop.clone());
        state.send_replace(StoreState::Away(Some("starting".to_owned())));
        stop.cancel();
        running.await.unwrap();
        // It ran once, to tidy up.
        worker.works.notified().await;
    }
}
