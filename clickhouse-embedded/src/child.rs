//! The child's side: what the program does when it is executed as the embedded ClickHouse.

use crate::ffi;
use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::{FlockOperation, flock},
    process::{Pid, Resource, Rlimit, Signal, getppid, getrlimit, set_parent_process_death_signal, setrlimit},
};
use std::{
    env,
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::{fs::OpenOptionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, exit},
    thread,
    time::{Duration, Instant},
};

/// First argument that turns the program into the embedded ClickHouse.
pub(crate) const ASKED: &str = "__clickhouse-embedded";
/// Exit status that says: another process holds the folder. `EX_TEMPFAIL` of sysexits.h.
pub(crate) const STATUS_FOLDER_IN_USE: i32 = 75;
/// Separates the port from what may follow it on standard output.
pub(crate) const PORT_END: u8 = b';';

/// How long the engine may take to stop in order before the child ends by force.
const STOP_PATIENCE: Duration = Duration::from_secs(20);

/// What parent and child agree on, one command line argument each.
pub(crate) struct Order {
    /// The parent, so that a child which starts after its parent's death ends.
    pub(crate) parent: u32,
    /// `library` or `binary`.
    pub(crate) kind: &'static str,
    /// The file to load or execute.
    pub(crate) engine: PathBuf,
    /// The data folder.
    pub(crate) folder: PathBuf,
    /// How long to wait for the folder's lock, in milliseconds.
    pub(crate) patience_millis: u64,
    /// Port of the native protocol; 0 for none.
    pub(crate) tcp_port: u16,
    /// Bytes of configuration that come on standard input.
    pub(crate) configuration_bytes: usize,
}

pub(crate) const LIBRARY: &str = "library";
pub(crate) const BINARY: &str = "binary";

impl Order {
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        vec![
            ASKED.into(),
            self.parent.to_string().into(),
            self.kind.into(),
            self.engine.clone().into(),
            self.folder.clone().into(),
            self.patience_millis.to_string().into(),
            self.tcp_port.to_string().into(),
            self.configuration_bytes.to_string().into(),
        ]
    }

    fn parse(mut arguments: impl Iterator<Item = OsString>) -> Option<Self> {
        fn number<T: std::str::FromStr>(text: &OsString) -> Option<T> {
            text.to_str()?.parse().ok()
        }
        let parent = number(&arguments.next()?)?;
        let kind = arguments.next()?;
        Some(Self {
            parent,
            kind: [LIBRARY, BINARY].into_iter().find(|known| kind == *known)?,
            engine: arguments.next()?.into(),
            folder: arguments.next()?.into(),
            patience_millis: number(&arguments.next()?)?,
            tcp_port: number(&arguments.next()?)?,
            configuration_bytes: number(&arguments.next()?)?,
        })
    }
}

/// Call this first in `main`: it returns at once, unless this process was started to be the embedded ClickHouse; then
/// it never returns.
pub fn child_main_if_asked() {
    let mut arguments = env::args_os().skip(1);
    if arguments.next().is_none_or(|first| first != ASKED) {
        return;
    }
    let Some(order) = Order::parse(arguments) else {
        eprintln!("{ASKED} is for the program's own use");
        exit(2)
    };
    if let Err(message) = run(&order) {
        eprintln!("{message}");
        ffi::exit_at_once(1)
    }
    ffi::exit_at_once(0)
}

fn run(order: &Order) -> Result<(), String> {
    die_with(order.parent)?;
    let limit = getrlimit(Resource::Nofile);
    // Each pool thread of the engine takes three descriptors, parts take more. A refusal is no reason not to start.
    if setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).is_err() {
        eprintln!("the limit of open files stays at {:?}", limit.current);
    }
    let mut configuration = vec![0; order.configuration_bytes];
    io::stdin().read_exact(&mut configuration).map_err(|error| format!("no configuration came: {error}"))?;

    // Held until the process ends, also across exec: the descriptor is passed on.
    let lock = lock(&order.folder, Duration::from_millis(order.patience_millis))?;
    let file = order.folder.join("config.xml");
    write_private(&file, &configuration).map_err(|error| format!("cannot write {}: {error}", file.display()))?;

    if order.kind == LIBRARY {
        ffi::ignore_sigterm();
        thread::spawn(end_by_force_after_parent_asked);
        let result = ffi::run_library(&order.engine, &library_arguments(order, &file));
        drop(lock);
        result
    } else {
        rustix::io::fcntl_setfd(&lock, rustix::io::FdFlags::empty())
            .map_err(|error| format!("cannot keep the folder's lock: {error}"))?;
        let error = Command::new(&order.engine)
            .arg("server")
            .arg(format!("--config-file={}", file.display()))
            .env("CLICKHOUSE_WATCHDOG_ENABLE", "0")
            .exec();
        Err(format!("cannot execute {}: {error}", order.engine.display()))
    }
}

/// clickhouse-local's arguments. `SYSTEM START LISTEN HTTP` starts the real server; the second statement tells the
/// parent the port; the third lasts as long as standard input, and with it the server.
fn library_arguments(order: &Order, configuration: &Path) -> Vec<String> {
    let end = char::from(PORT_END);
    let tcp = if order.tcp_port == 0 { "" } else { "SYSTEM START LISTEN TCP; " };
    vec![
        "clickhouse".to_owned(),
        format!("--config-file={}", configuration.display()),
        format!("--path={}", order.folder.display()),
        "--listen_host=127.0.0.1".to_owned(),
        "--http_port=0".to_owned(),
        format!(
            "--query=SYSTEM START LISTEN HTTP; {tcp}\
             SELECT concat(toString(getServerPort('http_port')), '{end}') INTO OUTFILE '/dev/stdout' TRUNCATE FORMAT RawBLOB; \
             SELECT count() FROM file(stdin, LineAsString, 'line String') \
             SETTINGS max_execution_time = 0, max_threads = 1, input_format_parallel_parsing = 0 FORMAT Null"
        ),
    ]
}

/// Asks the kernel to kill this process when the parent dies. A parent that died before the question was
/// answered shows by another parent id.
fn die_with(parent: u32) -> Result<(), String> {
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| format!("cannot follow the parent's death: {error}"))?;
    let alive = getppid().map(Pid::as_raw_nonzero).is_some_and(|pid| u32::try_from(pid.get()) == Ok(parent));
    if alive { Ok(()) } else { Err("the parent is gone".to_owned()) }
}

/// Takes the folder's lock, which is released by the kernel however its holder ends.
fn lock(folder: &Path, patience: Duration) -> Result<File, String> {
    let path = folder.join("embedded.lock");
    let cannot = |error: &dyn std::fmt::Display| format!("cannot lock {}: {error}", path.display());
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let file = file.map_err(|error| cannot(&error))?;
    let deadline = Instant::now() + patience;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < deadline => {
                #[expect(clippy::disallowed_methods, reason = "this process has no runtime")]
                thread::sleep(Duration::from_millis(50));
            }
            Err(rustix::io::Errno::WOULDBLOCK) => ffi::exit_at_once(STATUS_FOLDER_IN_USE),
            Err(error) => return Err(cannot(&error)),
        }
    }
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?.write_all(bytes)
}

/// Waits for the end of standard input without reading it (the engine does), then gives the engine its time.
fn end_by_force_after_parent_asked() {
    let stdin = io::stdin();
    loop {
        let mut watched = [PollFd::new(&stdin, PollFlags::empty())];
        match poll(&mut watched, None) {
            Ok(_) if watched[0].revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) => break,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
    }
    #[expect(clippy::disallowed_methods, reason = "this thread is the process's own alarm clock")]
    thread::sleep(STOP_PATIENCE);
    eprintln!("the engine did not stop within {} seconds", STOP_PATIENCE.as_secs());
    ffi::exit_at_once(1)
}
