//! Putting it together: what `firmsight serve` runs, and what another program embeds.
//!
//! [`Collector`] is everything but the listeners. [`run`] gives it listeners and a future that says
//! when to stop; [`run_until_signal`] is the `serve` command.
//!
//! # Order
//! Start: data directory's lock → spool (what an earlier process left is counted) → ClickHouse in the
//! background → public and admin listener → control socket. Beacons are accepted as soon as the sites
//! are known, from the store or from the copy on disk, whatever ClickHouse does.
//!
//! Stop: no new connections → open ones finish → the spool is closed → the pipeline stores what is
//! left, within `limits.shutdown_timeout` → ClickHouse stops. What the deadline cut off is in the
//! spool and stored by the next start.

pub mod admin_listener;
pub(crate) mod backup;
mod batches;
mod check;
mod collector;
pub mod command;
pub(crate) mod control_socket;
mod counted_before;
pub(crate) mod data_files;
pub(crate) mod engine;
mod held_connections;
mod listeners;
pub(crate) mod lock;
mod name_servers;
pub mod reload;
mod rooms;
pub(crate) mod setup;
mod store_keeper;
mod visitor_export;
mod watchers;
mod workers;

pub use check::check;
pub use collector::Collector;

use crate::{
    config::Config, control::ControlError, pipeline::PipelineError, sealing::SealingError, spool::SpoolError,
    store::StoreError,
};
use listeners::ConnectionLimits;
use lock::DataDirectoryLock;
use rustix::process::{Resource, getrlimit, setrlimit};
use setup::SetupError;
use std::{
    future::Future,
    io::{self, Write},
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
};
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

/// Why the collector does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration can't be put to work.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The data directory can't be used.
    #[error("can't use the data directory {}: {source}", path.display())]
    DataDirectory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process has the data directory.
    #[error(
        "the data directory {} is in use by another process{}: stop it, or give this one its own data_dir",
        path.display(), holder.map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The other process, where it is known.
        holder: Option<u32>,
    },
    /// A listener can't be opened.
    #[error("{key}: can't listen on {address}: {source}{}", hint(source))]
    Listen {
        /// The configuration key.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The control socket can't be opened.
    #[error("can't open the control socket {}: {source}", path.display())]
    ControlSocket {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The embedded ClickHouse does not run.
    #[error("{0}{hint}", hint = embedded_hint(.0))]
    Embedded(clickhouse_embedded::Error),
    /// ClickHouse can't be used.
    #[error("{0}{hint}", hint = store_hint(.0))]
    Store(#[from] StoreError),
    /// Sites and keys can't be used.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The spool can't be used.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// A batch could not be stored.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// The master key can't be used.
    #[error(transparent)]
    Sealing(#[from] SealingError),
    /// A change can't be recorded, so it is not made.
    #[error(transparent)]
    Audit(#[from] crate::admin::AuditFull),
    /// A server works with another cluster than the one that is meant.
    #[error("the running server works with {}: set [clickhouse].cluster, or stop it first", if .0.is_empty() {
        "one node".to_owned()
    } else {
        format!("the cluster {}", .0)
    })]
    OtherCluster(String),
    /// ClickHouse could not make or read a backup.
    #[error("ClickHouse could not do it: {0}")]
    Backup(String),
    /// A restore would mix rows.
    #[error("the database {database} holds data already (table {table}): restore into an empty data_dir or database")]
    NotEmpty {
        /// The database.
        database: String,
        /// A table with rows.
        table: String,
    },
    /// A server would write between the rows that come back.
    #[error("a server runs on this data directory: stop it, then restore")]
    RestoreWhileServing,
    /// What [`Collector::failed`] told.
    #[error(transparent)]
    Failed(#[from] Arc<Self>),
    /// New configuration can't be taken.
    #[error("{0}")]
    Reload(String),
    /// The process can't listen for signals.
    #[error("can't listen for signals: {0}")]
    Signal(io::Error),
}

fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::AddrInUse => "; another program has this port: stop it, or choose another port",
        io::ErrorKind::PermissionDenied => "; ports below 1024 need more rights: choose another port",
        io::ErrorKind::AddrNotAvailable => "; this machine has no such address",
        _ => "",
    }
}

fn embedded_hint(error: &clickhouse_embedded::Error) -> &'static str {
    match error {
        clickhouse_embedded::Error::NotFound { .. } => {
            ": it comes with the release as libchdb.so, beside the binary; in a checkout `cargo xtask data` fetches it; or put a \
             clickhouse binary on PATH, or set [clickhouse].url to a server"
        }
        _ => "",
    }
}

fn store_hint(error: &StoreError) -> &'static str {
    match error {
        StoreError::Unreachable(_) => "; is [clickhouse].url right and the server running?",
        _ => "",
    }
}

impl ServeError {
    /// Whether trying again without a person's help is useless.
    fn is_lasting(&self) -> bool {
        match self {
            Self::Store(error)
            | Self::Control(ControlError::Store(error))
            | Self::Pipeline(PipelineError::Store(error) | PipelineError::Keys(ControlError::Store(error))) => {
                !error.is_retryable()
            }
            Self::Pipeline(PipelineError::SitesNotLoaded) => false,
            Self::Embedded(error) => matches!(
                error,
                clickhouse_embedded::Error::NotFound { .. } | clickhouse_embedded::Error::FolderInUse { .. }
            ),
            _ => true,
        }
    }
}

/// The sockets a collector serves, already bound.
#[derive(Debug)]
pub struct Listeners {
    /// For visitors' browsers.
    pub public: TcpListener,
    /// For the owner.
    pub admin: TcpListener,
}

impl Listeners {
    /// Binds what the configuration says.
    ///
    /// # Errors
    /// [`ServeError::Listen`] names the key.
    pub async fn bind(config: &Config) -> Result<Self, ServeError> {
        Ok(Self {
            public: bind("public.listen", config.public.listen).await?,
            admin: bind("admin.listen", config.admin.listen).await?,
        })
    }
}

async fn bind(key: &'static str, address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| ServeError::Listen { key, address, source })
}

/// Runs a collector on these listeners until `shutdown` resolves, then stops in order.
///
/// # Errors
/// When it can't start, or when something failed that no retry can heal.
pub async fn run(config: Config, listeners: Listeners, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
    let lock = collector::take_lock(&config).await?;
    run_locked(config, lock, listeners, None, shutdown).await
}

/// The `serve` command: binds the configured listeners, says where they are, and stops on SIGTERM or
/// SIGINT; SIGHUP makes it read its configuration again.
///
/// # Errors
/// As [`run`].
pub async fn run_until_signal(config: Config, configuration: reload::Source) -> Result<(), ServeError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Signal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Signal)?;
    let hangup = signal(SignalKind::hangup()).map_err(ServeError::Signal)?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
    };
    tokio::pin!(stop);
    raise_file_limit();
    let lock = tokio::select! {
        lock = collector::take_lock(&config) => lock?,
        () = &mut stop => return Ok(()),
    };
    let listeners = Listeners::bind(&config).await?;
    run_locked(config, lock, listeners, Some((hangup, configuration)), stop).await
}

async fn run_locked(
    config: Config,
    lock: DataDirectoryLock,
    listeners: Listeners,
    command: Option<(Signal, reload::Source)>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let greeting = greeting(&config, &listeners);
    let limits = config.limits.clone();
    let proxies = setup::ingest(&config)?.trusted_proxies;
    let (hangup, configuration) = command.unzip();
    let collector = Collector::open_locked(config, lock, configuration).await?;
    let stop = CancellationToken::new();
    let public = tokio::spawn(listeners::serve(
        "public",
        listeners.public,
        collector.public_service(),
        ConnectionLimits::public(&limits, &proxies),
        stop.clone().cancelled_owned(),
    ));
    let admin = tokio::spawn(listeners::serve(
        "admin",
        listeners.admin,
        collector.admin_router(),
        ConnectionLimits::admin(&limits, &proxies),
        stop.clone().cancelled_owned(),
    ));
    if let Err(error) = writeln!(io::stdout(), "{greeting}") {
        tracing::debug!(%error, "nobody reads standard output");
    }
    let failure = tokio::select! {
        () = shutdown => None,
        error = collector.failed() => Some(error),
        () = reload_on(hangup, &collector) => None,
        () = show_first_run(&collector) => None,
    };
    stop.cancel();
    for listener in [public, admin] {
        if let Err(error) = listener.await {
            tracing::error!(%error, "a listener ended in an unforeseen way");
        }
    }
    collector.shutdown().await?;
    failure.map_or(Ok(()), |failure| Err(failure.into()))
}

/// Reads the configuration again on every SIGHUP; never ends.
async fn reload_on(hangup: Option<Signal>, collector: &Collector) {
    if let Some(mut hangup) = hangup {
        while hangup.recv().await.is_some() {
            match collector.reload().await {
                Ok(changes) => tracing::info!(
                    taken = changes.taken.join(" "),
                    after_restart = changes.after_restart.join(" "),
                    "the configuration was read again"
                ),
                Err(error) => tracing::error!(%error, "the new configuration can't be used; the former one stays"),
            }
        }
    }
    std::future::pending().await
}

/// Shows the first-run link once, where nobody can sign in; never ends.
async fn show_first_run(collector: &Collector) {
    if let Ok(Some(link)) = collector.first_run_link().await
        && let Err(error) = writeln!(io::stdout(), "Sign in:  {link}  (once: it makes you the first admin)")
    {
        tracing::debug!(%error, "nobody reads standard output");
    }
    std::future::pending().await
}

/// Two lines: where visitors and owner go, and what to do next.
fn greeting(config: &Config, listeners: &Listeners) -> String {
    let shown = |listener: &TcpListener, fallback: SocketAddr| {
        let address = listener.local_addr().unwrap_or(fallback);
        if address.ip().is_unspecified() { format!("localhost:{}", address.port()) } else { address.to_string() }
    };
    let public = shown(&listeners.public, config.public.listen);
    let admin = shown(&listeners.admin, config.admin.listen);
    let script = config.tracker.script_path.as_str();
    let base = config.public.base_url.get().unwrap_or("https://YOUR-HOST");
    format!(
        "Visitors: http://{public}  put <script async src=\"{base}{script}\" data-site=\"ID\"></script> on your \
         pages (first: firmsight site add --id ID --name NAME --host YOUR-HOST)\n\
         You:      http://{admin}  read reports with a key (firmsight key create --name NAME): \
         curl -H \"Authorization: Token token=TOKEN\" http://{admin}/accounts"
    )
}

/// Connections and ClickHouse's pool need more files than the usual soft limit.
fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "can't raise the limit of open files");
    }
}
