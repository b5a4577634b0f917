//! Keeps ClickHouse there: starts the embedded one, starts it again when it dies, migrates, and tells
//! everybody when the store is ready.

use super::{
    ServeError,
    setup::SetupError,
    workers::{Running, Worker},
};
use crate::{
    backoff::Backoff,
    config::Config,
    control::Control,
    store::{self, Cluster, Store, StoreError},
    time::UnixMillis,
};
use clickhouse_embedded::Server;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

/// Between two attempts; doubled up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long after our own start a ClickHouse that does not answer is taken to be starting as well.
const STARTING: Duration = Duration::from_secs(60);

/// Whether the store can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StoreState {
    /// Not yet, or not again; the last problem where there was one.
    Away(Option<String>),
    /// It answers and its tables are up to date.
    Ready,
}

/// Where ClickHouse is.
#[derive(Debug)]
enum Place {
    Server(store::Settings),
    Embedded { settings: clickhouse_embedded::Settings, database: String },
}

/// See the module.
#[derive(Debug)]
pub(super) struct StoreKeeper {
    place: Place,
    store: Store,
    state: watch::Sender<StoreState>,
}

impl StoreKeeper {
    /// A keeper and its store, which connects to nothing before [`StoreKeeper::start`].
    pub(super) fn new(config: &Config) -> Result<Self, ServeError> {
        let cluster = match config.clickhouse.cluster.as_str() {
            "" => None,
            _ if config.clickhouse.url.get().is_none() => return Err(SetupError::Cluster.into()),
            name => Some(Cluster::new(name)?),
        };
        let database = config.clickhouse.database.as_str().to_owned();
        let place = match config.clickhouse.url.get() {
            Some(url) => Place::Server(store::Settings {
                url: url.to_owned(),
                user: config.clickhouse.user.clone(),
                password: config.clickhouse.password.clone(),
                database,
                header: None,
            }),
            None => {
                let engine = &config.clickhouse.embedded_engine;
                let engine = (!engine.as_os_str().is_empty()).then_some(engine.as_path());
                let libraries: Vec<_> = geoip_data::clickhouse_library().into_iter().collect();
                let engine = clickhouse_embedded::locate(engine, &libraries).map_err(ServeError::Embedded)?;
                let mut settings = clickhouse_embedded::Settings::new(config.clickhouse_folder(), engine);
                settings.max_memory_bytes = config.clickhouse.embedded_memory.get();
                Place::Embedded { settings, database }
            }
        };
        let placeholder = match &place {
            Place::Server(settings) => settings.clone(),
            // Port 9 is "discard": nothing answers until the embedded server has told its own.
            Place::Embedded { database, .. } => store::Settings {
                url: "http://127.0.0.1:9".to_owned(),
                user: String::new(),
                password: String::new(),
                database: database.clone(),
                header: None,
            },
        };
        let (state, _) = watch::channel(StoreState::Away(None));
        let store = Store::connect(&placeholder);
        let store = match cluster {
            Some(cluster) => store.on_cluster(cluster),
            None => store,
        };
        Ok(Self { place, store, state })
    }

    pub(super) fn store(&self) -> Store {
        self.store.clone()
    }

    pub(super) fn watch(&self) -> watch::Receiver<StoreState> {
        self.state.subscribe()
    }

    /// Says that the store is ready without keeping it: for a command that started it for itself.
    pub(super) fn ready(&self) -> watch::Receiver<StoreState> {
        self.state.send_replace(StoreState::Ready);
        self.watch()
    }

    /// Starts ClickHouse where it is ours and leads the store to it.
    pub(super) async fn start(&self) -> Result<Option<Server>, ServeError> {
        let Place::Embedded { settings, database } = &self.place else { return Ok(None) };
        let server = clickhouse_embedded::start(settings.clone()).await.map_err(ServeError::Embedded)?;
        let (name, value) = server.secret_header();
        self.store.reconnect(&store::Settings {
            url: server.url().to_owned(),
            user: String::new(),
            password: String::new(),
            database: database.clone(),
            header: Some((name.to_owned(), value.to_owned())),
        });
        Ok(Some(server))
    }

    /// Keeps the store there until `stop`; ends earlier only when no later attempt could succeed.
    /// `prepare` runs each time the store has come, before it counts as ready.
    async fn keep<F>(&self, stop: CancellationToken, prepare: impl Fn() -> F) -> Result<(), ServeError>
    where
        F: Future<Output = Result<(), ServeError>>,
    {
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        let began = Instant::now();
        // A run before this one may have left another word.
        self.state.send_replace(StoreState::Away(None));
        loop {
            let started = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                started = self.attempt(&prepare) => started,
            };
            let wait = match started {
                Ok(server) => {
                    self.state.send_replace(StoreState::Ready);
                    let since = Instant::now();
                    let Some(exit) = self.until_exit(server, &stop).await else { return Ok(()) };
                    if since.elapsed() > LONGEST_PAUSE {
                        backoff.reset();
                    }
                    tracing::error!(%exit, "the embedded ClickHouse ended; starting it again");
                    self.state.send_replace(StoreState::Away(Some(exit)));
                    backoff.next_wait()
                }
                Err(error) => {
                    self.state.send_replace(StoreState::Away(Some(error.to_string())));
                    if error.is_lasting() {
                        return Err(error);
                    }
                    let wait = backoff.next_wait();
                    // A server that is started beside us needs its time: that is no news.
                    if is_not_up_yet(&error) && began.elapsed() < STARTING {
                        tracing::info!(retry_after = ?wait, "waiting for ClickHouse; beacons wait in the spool");
                    } else {
                        tracing::warn!(%error, retry_after = ?wait, "the store is not ready; beacons wait in the spool");
                    }
                    wait
                }
            };
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = sleep(wait) => {}
            }
        }
    }

    /// Starts ClickHouse where it is ours, and brings tables and control data up to date.
    async fn attempt<F>(&self, prepare: &impl Fn() -> F) -> Result<Option<Server>, ServeError>
    where
        F: Future<Output = Result<(), ServeError>>,
    {
        let server = self.start().await?;
        let prepared = async {
            self.store.migrate().await?;
            prepare().await
        };
        match prepared.await {
            Ok(()) => Ok(server),
            Err(error) => {
                stop_server(server).await;
                Err(error)
            }
        }
    }

    /// Waits until the embedded server ends and says how it did; `None` when `stop` came first. A server that is not ours
    /// ends without our knowing.
    async fn until_exit(&self, server: Option<Server>, stop: &CancellationToken) -> Option<String> {
        let Some(server) = server else {
            stop.cancelled().await;
            return None;
        };
        tokio::select! {
            exit = server.exited() => return Some(exit.to_string()),
            () = stop.cancelled() => {}
        }
        self.store.hang_up();
        server.stop().await;
        None
    }
}

/// Whether nothing listens there yet.
fn is_not_up_yet(error: &ServeError) -> bool {
    matches!(error, ServeError::Store(StoreError::Unreachable(_)))
}

pub(super) async fn stop_server(server: Option<Server>) {
    if let Some(server) = server {
        server.stop().await;
    }
}

/// The worker that keeps the store there.
pub(super) struct StoreWorker {
    pub(super) keeper: StoreKeeper,
    pub(super) control: Control,
    /// Told when no later attempt could succeed.
    pub(super) failure: watch::Sender<Option<Arc<ServeError>>>,
}

impl Worker for StoreWorker {
    fn name(&self) -> &'static str {
        "store"
    }

    fn needs_store(&self) -> bool {
        false
    }

    fn run(self: Arc<Self>, stop: CancellationToken) -> Running {
        Box::pin(async move {
            let prepare = || async {
                self.control.check_master_key(UnixMillis::now()).await?;
                self.control.seal_objections(UnixMillis::now()).await?;
                Ok(self.control.refresh(UnixMillis::now()).await?)
            };
            if let Err(error) = self.keeper.keep(stop, prepare).await {
                tracing::error!(%error, "the store can't be used");
                self.failure.send_replace(Some(Arc::new(error)));
            }
        })
    }

    fn is_done(&self) -> bool {
        self.failure.borrow().is_some()
    }
}
