//! Everything but the listeners.

use super::{
    ServeError,
    backup::S3Keys,
    control_socket::{self, ControlSocket},
    data_files::{DataFiles, update_regularly},
    engine::Engine,
    lock::{Attempt, DataDirectoryLock},
    setup,
    store_keeper::{StoreKeeper, StoreState},
    watchers::{PublicWatcher, ReportsResolver, ResolverWatcher, SpoolWatcher, StoreWatcher},
};
use crate::{
    config::{Config, SpoolSync},
    control::Control,
    counters::Counters,
    ingest::PublicService,
    pipeline::Pipeline,
    reports,
    sealing::MasterKey,
    spool::{self, Spool},
    time::UnixMillis,
};
use firmsight_resolver::Resolver;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::watch,
    task::{JoinError, JoinHandle},
    time::{Instant, MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;

/// How long a killed predecessor may take to let go of the data directory.
const LOCK_PATIENCE: Duration = Duration::from_secs(30);
const LOCK_PAUSE: Duration = Duration::from_millis(100);
/// How often control data is read again, so that other collectors' changes are seen.
const CONTROL_REFRESH: Duration = Duration::from_secs(5);

/// A running collector without listeners: mount [`Collector::public_service`] where visitors come and
/// [`Collector::admin_router`] where only you come, and end with [`Collector::shutdown`].
pub struct Collector {
    public: PublicService<Spool>,
    admin: axum::Router,
    spool: Spool,
    shutdown_timeout: Duration,
    /// Ends the pipeline, the control refresh and the control socket.
    stop_work: CancellationToken,
    /// Ends ClickHouse, after them.
    stop_store: CancellationToken,
    work: Vec<JoinHandle<()>>,
    /// Ends by itself when the spool is closed and empty.
    pipeline: JoinHandle<()>,
    keeper: JoinHandle<()>,
    failure: watch::Receiver<Option<Arc<ServeError>>>,
    engine: Arc<Engine>,
    data_files: Arc<DataFiles>,
    _lock: DataDirectoryLock,
}

/// Waits for the data directory.
pub(super) async fn take_lock(config: &Config) -> Result<DataDirectoryLock, ServeError> {
    let give_up = Instant::now() + LOCK_PATIENCE;
    let path = || config.data_dir.clone();
    let mut waits = false;
    loop {
        let attempt = DataDirectoryLock::try_take(&config.data_dir)
            .map_err(|source| ServeError::DataDirectory { path: path(), source })?;
        match attempt {
            Attempt::Taken(lock) => return Ok(lock),
            // A server that answers is alive and stays: no use in waiting for it.
            Attempt::HeldBy(holder)
                if Instant::now() >= give_up || control_socket::connect(&config.data_dir).await.is_ok() =>
            {
                return Err(ServeError::InUse { path: path(), holder });
            }
            Attempt::HeldBy(holder) => {
                if !waits {
                    tracing::info!(?holder, "waiting for another process to let go of the data directory");
                    waits = true;
                }
                sleep(LOCK_PAUSE).await;
            }
        }
    }
}

impl Collector {
    /// Opens everything; ClickHouse starts in the background and beacons wait in the spool for it.
    ///
    /// # Errors
    /// When the data directory is in use, a data file is missing or damaged, or the spool can't be opened.
    pub async fn open(config: Config) -> Result<Self, ServeError> {
        let lock = take_lock(&config).await?;
        Self::open_locked(config, lock).await
    }

    pub(super) async fn open_locked(config: Config, lock: DataDirectoryLock) -> Result<Self, ServeError> {
        let settings = setup::ingest(&config)?;
        let resolver = setup::serving_resolver(&config)?;
        let data_files = Arc::new(DataFiles::new(&config, resolver.clone()));
        let keeper = StoreKeeper::new(&config)?;
        let master_key = MasterKey::load_or_create(&config.key_file())?;
        let counters = Arc::new(Counters::default());
        let spool = open_spool(&config, &master_key, &counters)?;
        let control = Control::open(keeper.store(), master_key.clone(), config.snapshot_file());
        let pipeline = Arc::new(
            Pipeline::new(
                setup::pipeline(&config),
                keeper.store(),
                Arc::new(resolver.clone()),
                Arc::new(control.clone()),
                control.snapshot(),
                Arc::clone(&counters),
            )
            .with_profiles(Arc::new(resolver.clone())),
        );
        let public = PublicService::new(
            settings,
            control.snapshot(),
            Arc::clone(&counters),
            spool.clone(),
            Arc::new(resolver.clone()),
            Arc::new(UnixMillis::now),
        );
        let (audit, audit_writer) = reports::Audit::new(keeper.store());
        let usage = Arc::new(reports::Usage::default());
        let exports = reports::ExportQueue::default();
        let engine = Arc::new(Engine {
            store: keeper.store(),
            control: control.clone(),
            resolver: resolver.clone(),
            pipeline: Arc::clone(&pipeline),
            state: keeper.watch(),
            audit: Some(audit.clone()),
            s3_keys: S3Keys::of(&config),
        });
        let store_answers = Arc::new(AtomicBool::new(true));
        let spool_watcher = Arc::new(SpoolWatcher { spool: spool.clone(), max_bytes: config.spool.max_bytes.get() });
        let admin = reports::router(reports::State {
            store: keeper.store(),
            snapshot: control.snapshot(),
            control: control.clone(),
            audit: audit.clone(),
            usage: Arc::clone(&usage),
            exports: exports.clone(),
            counters,
            resolver: Arc::new(ReportsResolver(resolver.clone())),
            metrics: vec![
                Arc::clone(&spool_watcher) as Arc<dyn reports::MetricsSource>,
                Arc::new(StoreWatcher {
                    pipeline: Arc::clone(&pipeline),
                    state: keeper.watch(),
                    answers: Arc::clone(&store_answers),
                }),
                Arc::new(PublicWatcher { service: public.clone() }),
                Arc::new(ResolverWatcher(resolver)),
                Arc::clone(&data_files) as Arc<dyn reports::MetricsSource>,
                Arc::new(audit),
            ],
            readiness: vec![spool_watcher],
            settings: reports::Settings {
                base_url: config.admin.base_url.as_str().to_owned(),
                script_path: config.tracker.script_path.as_str().to_owned(),
                requests_per_minute: config.limits.api_requests_per_minute,
                metrics_needs_key: !config.admin.listen.ip().is_loopback(),
                pseudonym_key: master_key.derive(b"firmsight client id pseudonyms"),
                allowed_networks: setup::admin_allow(&config)?,
            },
            clock: UnixMillis::now,
        });

        let stop_work = CancellationToken::new();
        let stop_store = CancellationToken::new();
        let socket = ControlSocket::bind(&config.data_dir)
            .map_err(|source| ServeError::ControlSocket { path: control_socket::path(&config.data_dir), source })?;
        let work = vec![
            tokio::spawn(socket.serve(Arc::clone(&engine), stop_work.clone().cancelled_owned())),
            tokio::spawn(refresh_control(
                control.clone(),
                spool.clone(),
                keeper.watch(),
                store_answers,
                stop_work.clone(),
            )),
            tokio::spawn(Arc::clone(&data_files).watch(stop_work.clone())),
            tokio::spawn(update_regularly(config.clone(), stop_work.clone())),
            tokio::spawn(audit_writer.run(stop_work.clone())),
            tokio::spawn(
                reports::ExportWorker {
                    store: keeper.store(),
                    control: control.clone(),
                    snapshot: control.snapshot(),
                    base_url: config.admin.base_url.as_str().to_owned(),
                    queue: exports,
                    clock: UnixMillis::now,
                }
                .run(stop_work.clone()),
            ),
            tokio::spawn({
                let (store, stop) = (keeper.store(), stop_work.clone());
                async move { usage.run(store, stop).await }
            }),
        ];
        let pipeline = tokio::spawn(run_pipeline(pipeline, spool.clone(), keeper.watch(), stop_work.clone()));
        let (report_failure, failure) = watch::channel(None);
        let keeper = tokio::spawn({
            let stop_store = stop_store.clone();
            async move {
                let store = keeper.store();
                let prepare = || {
                    let (control, store) = (control.clone(), store.clone());
                    async move {
                        store.keep_audit_for(config.retention.audit_days).await?;
                        Ok(control.refresh(UnixMillis::now()).await?)
                    }
                };
                if let Err(error) = keeper.keep(stop_store, prepare).await {
                    tracing::error!(%error, "the store can't be used");
                    report_failure.send_replace(Some(Arc::new(error)));
                }
            }
        });
        Ok(Self {
            public,
            admin,
            spool,
            shutdown_timeout: config.limits.shutdown_timeout.get(),
            stop_work,
            stop_store,
            work,
            pipeline,
            keeper,
            failure,
            engine,
            data_files,
            _lock: lock,
        })
    }

    /// The public side: a tower service over any HTTP body. The peer's address must be in the request's
    /// extensions, as [`crate::ingest::Peer`] or axum's `ConnectInfo<SocketAddr>`.
    #[must_use]
    pub fn public_service(&self) -> PublicService<Spool> {
        self.public.clone()
    }

    /// The owner's side: reports API, `/metrics`, health.
    pub fn admin_router(&self) -> axum::Router {
        self.admin.clone()
    }

    /// Resolves when the store answers and its tables are up to date; beacons need not wait for that.
    ///
    /// # Errors
    /// What [`Self::failed`] says: the store will not come.
    pub async fn store_is_ready(&self) -> Result<(), Arc<ServeError>> {
        let mut state = self.engine.state.clone();
        tokio::select! {
            biased;
            Ok(_) = state.wait_for(|state| *state == StoreState::Ready) => Ok(()),
            error = self.failed() => Err(error),
        }
    }

    /// Resolves when something failed that no retry can heal, such as a ClickHouse that is too old; to each who asks.
    pub async fn failed(&self) -> Arc<ServeError> {
        let mut failure = self.failure.clone();
        if let Ok(failure) = failure.wait_for(Option::is_some).await
            && let Some(error) = &*failure
        {
            return Arc::clone(error);
        }
        // The store's keeper ended in order: nothing will fail any more.
        std::future::pending().await
    }

    /// Looks at the data files now, and takes those that changed and are sound; on SIGHUP the `serve` command does so.
    /// By itself that happens every few seconds.
    pub async fn reload_data_files(&self) {
        Arc::clone(&self.data_files).look_aside(true).await;
    }

    /// Carries a command out as the terminal would.
    ///
    /// # Errors
    /// One sentence for the person who gave it.
    pub async fn execute(&self, command: super::command::Command) -> Result<super::command::Answer, String> {
        control_socket::Execute::execute(Arc::clone(&self.engine), command).await
    }

    /// Stops in order: closes the spool, stores what is left within `limits.shutdown_timeout`, stops
    /// ClickHouse. Stop your listeners first.
    ///
    /// # Errors
    /// When the end of the spool could not be written; nothing that was acknowledged is lost by that.
    pub async fn shutdown(self) -> Result<(), ServeError> {
        let Self { spool, mut pipeline, work, keeper, engine, .. } = self;
        let closed = spool.close().await;
        let mut state = engine.state.clone();
        // While the store is away there is nothing to wait for: the next start stores what is left.
        let is_stored = tokio::select! {
            _ = &mut pipeline => true,
            _ = state.wait_for(|state| *state != StoreState::Ready) => false,
            () = sleep(self.shutdown_timeout) => false,
        };
        self.stop_work.cancel();
        if !is_stored {
            tracing::warn!(events = spool.status().events_waiting, "events wait in the spool for the next start");
            report(pipeline.await);
        }
        for task in work {
            report(task.await);
        }
        self.stop_store.cancel();
        report(keeper.await);
        Ok(closed?)
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a task ended in an unforeseen way");
    }
}

async fn run_pipeline(
    pipeline: Arc<Pipeline<Resolver, Control>>,
    spool: Spool,
    mut state: watch::Receiver<StoreState>,
    stop: CancellationToken,
) {
    let is_ready = tokio::select! {
        () = stop.cancelled() => return,
        is_ready = state.wait_for(|state| *state == StoreState::Ready) => is_ready.is_ok(),
    };
    if is_ready {
        pipeline.run(spool, stop).await;
    }
}

fn open_spool(config: &Config, master_key: &MasterKey, counters: &Counters) -> Result<Spool, ServeError> {
    let settings = spool::Settings {
        folder: config.spool_folder(),
        max_bytes: config.spool.max_bytes.get(),
        segment_bytes: config.spool.segment_bytes.get(),
        segment_age: config.spool.segment_age.get(),
        sync: match config.spool.sync {
            SpoolSync::Always => spool::Sync::Always,
            SpoolSync::Interval => spool::Sync::Interval(config.spool.sync_interval.get()),
        },
    };
    let (spool, recovery) = Spool::open(settings, master_key)?;
    counters.recover(recovery.events);
    if recovery.damaged.is_empty() {
        tracing::info!("{recovery}");
    } else {
        tracing::error!("{recovery}");
    }
    Ok(spool)
}

async fn refresh_control(
    control: Control,
    spool: Spool,
    state: watch::Receiver<StoreState>,
    store_answers: Arc<AtomicBool>,
    stop: CancellationToken,
) {
    let mut ticks = interval(CONTROL_REFRESH);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        spool.share_between_sites(control.snapshot().load().sites.len() > 1);
        if *state.borrow() != StoreState::Ready {
            continue;
        }
        let refreshed = control.refresh(UnixMillis::now()).await;
        store_answers.store(refreshed.is_ok(), Ordering::Relaxed);
        if let Err(error) = refreshed {
            tracing::warn!(%error, "can't read sites and keys; the last known ones count");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    /// A ClickHouse of version 24.3: the answer to `SELECT version()` as `RowBinaryWithNamesAndTypes` gives it.
    fn too_old_server() -> String {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                assert!(stream.read(&mut [0; 65536]).unwrap() > 0);
                let body = "\x01\x09version()\x06String\x0924.3.1.12";
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
                stream.write_all((head + body).as_bytes()).unwrap();
            }
        });
        url
    }

    #[tokio::test]
    async fn a_store_that_will_never_come_is_told_to_all_who_wait() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config { data_dir: folder.path().to_owned(), ..Config::default() };
        config.resolver.dns = false;
        config.clickhouse.url = too_old_server().parse().unwrap();
        let collector = Collector::open(config).await.unwrap();
        let (ready, failed) = tokio::join!(collector.store_is_ready(), collector.failed());
        for error in [ready.unwrap_err(), failed, collector.failed().await] {
            assert!(error.to_string().contains("24.3 is too old"), "{error}");
        }
        collector.shutdown().await.unwrap();
    }
}
