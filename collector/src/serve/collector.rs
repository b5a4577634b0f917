//! Everything but the listeners.

use super::{
    ServeError, control_socket,
    engine::Engine,
    lock::{Attempt, DataDirectoryLock},
    reload,
    rooms::{Posts, Rooms},
    store_keeper::StoreState,
};
use crate::{
    config::{Changes, Config},
    ingest::PublicService,
    spool::Spool,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    task::{JoinError, JoinHandle},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

/// How long a killed predecessor may take to let go of the data directory.
const LOCK_PATIENCE: Duration = Duration::from_secs(30);
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// A running collector without listeners: mount [`Collector::public_service`] where visitors come and
/// [`Collector::admin_router`] where only you come, and end with [`Collector::shutdown`].
pub struct Collector {
    public: PublicService<Spool>,
    admin: axum::Router,
    spool: Spool,
    shutdown_timeout: Duration,
    /// Tells the pipeline that the spool is about to be closed.
    closing: CancellationToken,
    /// Ends all workers but the store's.
    stop_work: CancellationToken,
    /// Ends ClickHouse, after them.
    stop_store: CancellationToken,
    work: Vec<JoinHandle<()>>,
    /// Ends by itself when the spool is closed and empty.
    pipeline: JoinHandle<()>,
    store: JoinHandle<()>,
    failure: watch::Receiver<Option<Arc<ServeError>>>,
    engine: Arc<Engine>,
    first_run_link: String,
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
        Self::open_locked(config, lock, None).await
    }

    pub(super) async fn open_locked(
        config: Config,
        lock: DataDirectoryLock,
        configuration: Option<reload::Source>,
    ) -> Result<Self, ServeError> {
        let (rooms, belongings) = Rooms::open(&config)?;
        let engine = rooms.engine(&config, configuration);
        let (report_failure, failure) = watch::channel(None);
        let closing = CancellationToken::new();
        let public = rooms.public(&config)?;
        let posts = rooms.posts(&config, belongings, &engine, closing.clone(), report_failure)?;
        let admin = rooms.admin(&config, &public, &posts)?;

        let (stop_work, stop_store) = (CancellationToken::new(), CancellationToken::new());
        let Posts { work, pipeline, store } = posts;
        Ok(Self {
            public,
            admin,
            first_run_link: rooms.first_run_link(&config),
            spool: rooms.spool,
            shutdown_timeout: config.limits.shutdown_timeout.get(),
            closing,
            work: work.supervise(&rooms.state, &stop_work),
            pipeline: pipeline.supervise(rooms.state.clone(), stop_work.clone()),
            store: store.supervise(rooms.state, stop_store.clone()),
            stop_work,
            stop_store,
            failure,
            engine,
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

    /// The link by which the first person makes themselves admin, where nobody can sign in. Waits for the store.
    ///
    /// # Errors
    /// As [`Self::store_is_ready`].
    pub async fn first_run_link(&self) -> Result<Option<&str>, Arc<ServeError>> {
        self.store_is_ready().await?;
        let nobody = !self.engine.control.list_people().iter().any(|person| person.can_sign_in());
        Ok(nobody.then_some(self.first_run_link.as_str()))
    }

    /// Resolves when something failed that no retry can heal, such as a ClickHouse that is too old; to each who asks.
    pub async fn failed(&self) -> Arc<ServeError> {
        let mut failure = self.failure.clone();
        if let Ok(failure) = failure.wait_for(Option::is_some).await
            && let Some(error) = &*failure
        {
            return Arc::clone(error);
        }
        // The store was stopped in order: nothing will fail any more.
        std::future::pending().await
    }

    /// Reads the configuration again where the `serve` command runs, and looks at data files and name servers now; by themselves
    /// those are looked at every few seconds.
    ///
    /// # Errors
    /// One sentence: why the configuration can't be used. Nothing was taken then.
    pub async fn reload(&self) -> Result<Changes, String> {
        self.engine.reload().await
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
        let Self { spool, mut pipeline, work, store, engine, .. } = self;
        self.closing.cancel();
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
        report(store.await);
        Ok(closed?)
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a task ended in an unforeseen way");
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
