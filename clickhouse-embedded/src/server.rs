//! The parent's side: starting, watching and stopping the child.

use crate::{
    Engine, Error,
    child::{BINARY, LIBRARY, Order, PORT_END, STATUS_FOLDER_IN_USE},
    configuration::{Configuration, SECRET_HEADER},
};
use rustix::{
    fd::OwnedFd,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};
use std::{
    collections::VecDeque,
    fmt,
    fs::DirBuilder,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener},
    os::unix::{fs::DirBuilderExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, ChildStdin, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{oneshot, watch},
    time::{Instant, sleep, timeout, timeout_at},
};

/// Lines of the child's standard error that are kept for an [`Exit`].
const KEPT_LINES: usize = 20;
/// Bytes kept of one such line.
const KEPT_LINE_BYTES: u64 = 4096;
/// How long [`Server::stop`] waits before it kills; above the child's own patience with the engine.
const STOP_PATIENCE: Duration = Duration::from_secs(25);

/// A place among several engines on this machine that know each other by ClickHouse's native protocol: for trials of
/// sharding. That protocol asks for no secret here, so that every user of the machine reaches the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterNode {
    /// The cluster's name, of letters, digits and `_`.
    pub cluster: String,
    /// This engine's port of the native protocol.
    pub tcp_port: u16,
    /// The ports of all its shards, this one's included, in the same order everywhere.
    pub shards: Vec<u16>,
}

/// How to start a server.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where ClickHouse keeps its data; made when missing, readable by its owner only.
    pub data_folder: PathBuf,
    /// What runs.
    pub engine: Engine,
    /// The program that calls [`crate::child_main_if_asked`]; by default the running one.
    pub program: PathBuf,
    /// Upper bound of the memory ClickHouse takes for its work, in bytes; by default 1 GiB. A query over it fails.
    pub max_memory_bytes: u64,
    /// How long to wait for another process to let go of the data folder; by default 30 seconds.
    pub folder_patience: Duration,
    /// How long the engine may take to answer once it has the folder; by default 2 minutes, because a store
    /// that was killed reads all its parts first.
    pub start_patience: Duration,
    /// Its place in a cluster; by default none.
    pub cluster_node: Option<ClusterNode>,
}

impl Settings {
    /// The defaults for a folder and an engine.
    #[must_use]
    pub fn new(data_folder: impl Into<PathBuf>, engine: Engine) -> Self {
        Self {
            data_folder: data_folder.into(),
            engine,
            // Not `current_exe()`: after an upgrade replaced the file, that names a path which is gone.
            program: "/proc/self/exe".into(),
            max_memory_bytes: 1 << 30,
            folder_patience: Duration::from_secs(30),
            start_patience: Duration::from_secs(120),
            cluster_node: None,
        }
    }
}

/// How the child ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Its exit status; `None` when the system could not tell.
    pub status: Option<ExitStatus>,
    /// The last lines it wrote to standard error, oldest first.
    pub last_lines: Vec<String>,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(f, "{status}")?,
            None => f.write_str("status unknown")?,
        }
        let said = self.last_lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty());
        let said = said.collect::<Vec<_>>().join(" / ");
        if said.is_empty() { Ok(()) } else { write!(f, ": {said}") }
    }
}

/// A running server. Dropping it asks the child to stop and doesn't wait.
#[derive(Debug)]
pub struct Server {
    url: String,
    secret: String,
    process: Process,
}

impl Server {
    /// Where its HTTP interface is, such as `http://127.0.0.1:41873`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The header, name and value, without which every request but `/ping` is answered with 404.
    #[must_use]
    pub fn secret_header(&self) -> (&'static str, &str) {
        (SECRET_HEADER, &self.secret)
    }

    /// The child's process id.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.process.pid
    }

    /// Resolves when the child has ended, for whatever reason, also when it already had.
    pub fn exited(&self) -> impl Future<Output = Exit> + Send + 'static {
        self.process.exited()
    }

    /// Stops the child in order (0.03 to 5 seconds), kills it when it takes too long, and returns when it is gone.
    ///
    /// How it ended matters little: what ClickHouse acknowledged is on disk before that, and the library was seen to crash
    /// in its shutdown (1 of 25 times when stopped 50 ms after its start, none of 25 after a second).
    pub async fn stop(&self) -> Exit {
        self.process.ask_to_stop();
        match timeout(STOP_PATIENCE, self.exited()).await {
            Ok(exit) => exit,
            Err(_) => {
                self.process.signal(Signal::KILL);
                self.exited().await
            }
        }
    }
}

/// The child as a process: its pipes and its end.
#[derive(Debug)]
struct Process {
    pid: u32,
    /// Names the process even after its id was given to another one.
    handle: OwnedFd,
    /// The child lives as long as this is open.
    stdin: Mutex<Option<ChildStdin>>,
    /// Whether the end of standard input is the way to stop it; else SIGTERM is.
    stops_with_stdin: bool,
    ended: watch::Receiver<Option<Exit>>,
}

impl Process {
    fn exited(&self) -> impl Future<Output = Exit> + Send + 'static {
        let mut ended = self.ended.clone();
        async move {
            match ended.wait_for(Option::is_some).await {
                Ok(exit) => exit.clone(),
                Err(_) => None,
            }
            .unwrap_or(Exit { status: None, last_lines: Vec::new() })
        }
    }

    fn ask_to_stop(&self) {
        self.stdin.lock().unwrap_or_else(PoisonError::into_inner).take();
        if !self.stops_with_stdin {
            self.signal(Signal::TERM);
        }
    }

    fn signal(&self, signal: Signal) {
        match pidfd_send_signal(&self.handle, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => tracing::warn!(pid = self.pid, %error, "cannot signal the embedded ClickHouse"),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.ask_to_stop();
    }
}

/// Starts a server and returns once it answers.
///
/// # Errors
/// As [`Error`] says; no child is left behind.
pub async fn start(settings: Settings) -> Result<Server, Error> {
    let deadline = Instant::now() + settings.folder_patience;
    loop {
        match start_once(&settings).await {
            // The child itself waits for our own lock; ClickHouse's own doesn't wait.
            Err(Error::FolderInUse { .. }) if Instant::now() < deadline => sleep(Duration::from_millis(250)).await,
            result => return result,
        }
    }
}

async fn start_once(settings: &Settings) -> Result<Server, Error> {
    let folder = prepare(&settings.data_folder)?;
    let secret: String = {
        let bytes: [u8; 32] = rand::random();
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let is_library = matches!(settings.engine, Engine::Library(_));
    // The binary doesn't tell which port the kernel chose, so it is chosen here, a moment too early.
    let port = if is_library { 0 } else { free_port(&folder)? };
    let configuration = Configuration {
        data: &folder,
        port,
        secret: &secret,
        max_memory_bytes: settings.max_memory_bytes,
        cluster_node: settings.cluster_node.as_ref(),
    }
    .xml();
    let order = Order {
        parent: std::process::id(),
        kind: if is_library { LIBRARY } else { BINARY },
        engine: settings.engine.path().to_owned(),
        folder: folder.clone(),
        patience_millis: u64::try_from(settings.folder_patience.as_millis()).unwrap_or(u64::MAX),
        tcp_port: settings.cluster_node.as_ref().map_or(0, |node| node.tcp_port),
        configuration_bytes: configuration.len(),
    };
    let (process, told_port) = spawn(&settings.program, &order, configuration).await?;

    let deadline = Instant::now() + settings.folder_patience + settings.start_patience;
    let ready = async {
        let port = if is_library { told_port.await.ok()? } else { port };
        while !answers(port, &secret).await {
            sleep(Duration::from_millis(50)).await;
        }
        Some(port)
    };
    let ended = process.exited();
    let port = tokio::select! {
        Some(port) = ready => port,
        exit = ended => return Err(explain(exit, folder, settings.folder_patience)),
        () = tokio::time::sleep_until(deadline) => {
            process.signal(Signal::KILL);
            return Err(Error::Silent(settings.folder_patience + settings.start_patience));
        }
    };
    let server = Server { url: format!("http://{}:{port}", Ipv4Addr::LOCALHOST), secret, process };
    tracing::info!(url = server.url(), pid = server.pid(), engine = %settings.engine.path().display(), "embedded ClickHouse started");
    Ok(server)
}

fn explain(exit: Exit, folder: PathBuf, waited: Duration) -> Error {
    let locked_by_us = exit.status.and_then(|status| status.code()) == Some(STATUS_FOLDER_IN_USE);
    // ClickHouse's own lock, held by a server that was not started by this crate: CANNOT_OPEN_FILE on `status`.
    let locked_by_other = exit.last_lines.iter().any(|line| line.contains("Another server instance"));
    if locked_by_us || locked_by_other { Error::FolderInUse { folder, waited } } else { Error::Ended(exit) }
}

/// Makes the folder and returns its absolute path.
fn prepare(folder: &Path) -> Result<PathBuf, Error> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.and_then(|()| folder.canonicalize()).map_err(|source| Error::Folder { path: folder.to_owned(), source })
}

fn free_port(folder: &Path) -> Result<u16, Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let address = listener.and_then(|listener| listener.local_addr());
    address.map(|address| address.port()).map_err(|source| Error::Folder { path: folder.to_owned(), source })
}

/// Starts the child in a thread that lives as long as the child does (see the crate's design).
async fn spawn(
    program: &Path,
    order: &Order,
    configuration: String,
) -> Result<(Process, oneshot::Receiver<u16>), Error> {
    let mut command = Command::new(program);
    command
        .arg0(crate::child::ASKED)
        .args(order.arguments())
        // ClickHouse refuses to start with a zone that only C libraries understand, such as CET-1CEST; our tables are in UTC.
        .env("TZ", "UTC")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Ctrl-C in a terminal goes to the whole group, and the child must outlive its parent's last inserts.
        .process_group(0);
    let stops_with_stdin = order.kind == LIBRARY;
    let (tell_spawned, spawned) = oneshot::channel();
    let (tell_port, port) = oneshot::channel();
    let (tell_ended, ended) = watch::channel(None);
    let cannot = |source| Error::Execute { program: program.to_owned(), source };

    let watch_child = move || {
        let mut start = || {
            let mut child = command.spawn()?;
            let pid = child.id();
            let handle = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(std::io::ErrorKind::InvalidData)?;
            let handle = pidfd_open(handle, PidfdFlags::empty())?;
            let mut stdin = child.stdin.take().ok_or(std::io::ErrorKind::BrokenPipe)?;
            // A child that is already gone is reported by its exit.
            if let Err(error) = stdin.write_all(configuration.as_bytes()) {
                tracing::debug!(%error, "the embedded ClickHouse took no configuration");
            }
            Ok((child, pid, handle, stdin))
        };
        let mut child = match start() {
            Ok((child, pid, handle, stdin)) => {
                let process = Process { pid, handle, stdin: Mutex::new(Some(stdin)), stops_with_stdin, ended };
                if tell_spawned.send(Ok(process)).is_err() {
                    tracing::debug!("the start of the embedded ClickHouse was given up");
                }
                child
            }
            Err(source) => {
                if tell_spawned.send(Err(source)).is_err() {
                    tracing::debug!("the start of the embedded ClickHouse was given up");
                }
                return;
            }
        };
        let exit = attend(&mut child, tell_port);
        tell_ended.send_replace(Some(exit));
    };
    thread::Builder::new().name("clickhouse".to_owned()).spawn(watch_child).map_err(cannot)?;
    match spawned.await {
        Ok(Ok(process)) => Ok((process, port)),
        Ok(Err(source)) => Err(cannot(source)),
        Err(_) => Err(cannot(std::io::ErrorKind::Other.into())),
    }
}

/// Reads what the child says until it ends.
fn attend(child: &mut Child, tell_port: oneshot::Sender<u16>) -> Exit {
    let last_lines = Arc::new(Mutex::new(VecDeque::new()));
    let errors = child.stderr.take().map(|stderr| {
        let last_lines = Arc::clone(&last_lines);
        thread::spawn(move || keep_last_lines(stderr, &last_lines))
    });
    if let Some(stdout) = child.stdout.take() {
        let mut stdout = BufReader::new(stdout);
        let mut text = Vec::new();
        if stdout.by_ref().take(16).read_until(PORT_END, &mut text).is_ok() && text.pop() == Some(PORT_END) {
            let port = String::from_utf8(text).ok().and_then(|text| text.trim().parse().ok());
            if let Some(port) = port
                && tell_port.send(port).is_err()
            {
                tracing::debug!("the start of the embedded ClickHouse was given up");
            }
        }
        if let Err(error) = std::io::copy(&mut stdout, &mut std::io::sink()) {
            tracing::debug!(%error, "cannot read the embedded ClickHouse's output");
        }
    }
    let status = child.wait().ok();
    if let Some(errors) = errors
        && errors.join().is_err()
    {
        tracing::warn!("the reader of the embedded ClickHouse's messages failed");
    }
    let last_lines = last_lines.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect();
    Exit { status, last_lines }
}

fn keep_last_lines(stderr: ChildStderr, last_lines: &Mutex<VecDeque<String>>) {
    let mut stderr = BufReader::new(stderr);
    let mut line = Vec::new();
    while stderr.by_ref().take(KEPT_LINE_BYTES).read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        line.clear();
        tracing::warn!(message = text, "clickhouse");
        let mut kept = last_lines.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back(text);
        if kept.len() > KEPT_LINES {
            kept.pop_front();
        }
    }
}

/// Whether the server on this port answers a query, which proves that it is ours.
async fn answers(port: u16, secret: &str) -> bool {
    let ask = async {
        let mut stream = tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        let request = format!(
            "GET /?query=SELECT%201 HTTP/1.1\r\nHost: 127.0.0.1\r\n{SECRET_HEADER}: {secret}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(4096).read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(answer.starts_with(b"HTTP/1.1 200"))
    };
    matches!(timeout_at(Instant::now() + Duration::from_secs(5), ask).await, Ok(Ok(true)))
}
