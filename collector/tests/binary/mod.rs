//! The real binary, on a data directory of its own, killed at the end also when a test panics.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is the test's finding")]

use rustix::process::{Pid, Signal, kill_process};
use std::{
    collections::HashMap,
    ffi::OsString,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

/// Longest wait for anything; a test that needs it all has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// A data directory with its settings.
pub(crate) struct Firmsight {
    folder: tempfile::TempDir,
    settings: HashMap<String, String>,
    /// Set for the server alone, not for other commands.
    server_environment: HashMap<String, OsString>,
}

/// What set-up puts on the machine, or a clear word about what is missing.
pub(crate) fn require_set_up() {
    let data = geoip_data::data_folder().expect("HOME is set");
    for file in geoip_data::resolver_files() {
        let file = data.join(file);
        assert!(
            file.is_file(),
            "{} is missing: run `cargo xtask test` once, it fetches the data files",
            file.display()
        );
    }
    let library = geoip_data::clickhouse_library().expect("HOME is set");
    assert!(library.is_file(), "{} is missing: run `cargo xtask test` once, it fetches ClickHouse", library.display());
}

impl Firmsight {
    pub(crate) fn new() -> Self {
        require_set_up();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut this = Self { folder, settings: HashMap::new(), server_environment: HashMap::new() };
        let data_dir = this.data_dir().display().to_string();
        for (key, value) in [
            ("DATA_DIR", data_dir.as_str()),
            ("PUBLIC__LISTEN", "127.0.0.1:0"),
            ("ADMIN__LISTEN", "127.0.0.1:0"),
            ("PUBLIC__TRUSTED_PROXIES", "[\"loopback\"]"),
            ("RESOLVER__DNS", "false"),
            ("SPOOL__SEGMENT_AGE", "200ms"),
            ("LIMITS__BEACONS_PER_ADDRESS_PER_MINUTE", "0"),
            ("LIMITS__API_REQUESTS_PER_MINUTE", "0"),
        ] {
            this.set(key, value);
        }
        this
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Sets `FIRMSIGHT_{key}`.
    pub(crate) fn set(&mut self, key: &str, value: &str) {
        self.settings.insert(format!("FIRMSIGHT_{key}"), value.to_owned());
    }

    /// Leaves `FIRMSIGHT_{key}` to the configuration file.
    pub(crate) fn unset(&mut self, key: &str) {
        self.settings.remove(&format!("FIRMSIGHT_{key}"));
    }

    /// Sets a variable of every command.
    pub(crate) fn set_variable(&mut self, name: &str, value: &str) {
        self.settings.insert(name.to_owned(), value.to_owned());
    }

    /// Sets a variable of the server's process.
    pub(crate) fn set_server_environment(&mut self, name: &str, value: impl Into<OsString>) {
        self.server_environment.insert(name.to_owned(), value.into());
    }

    /// A command that the caller starts.
    pub(crate) fn program(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_firmsight"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FIRMSIGHT_")) {
            command.env_remove(name);
        }
        command.envs(&self.settings).current_dir(self.folder.path());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.program().args(arguments).stdin(Stdio::null()).output().expect("the binary runs")
    }

    /// Runs a command with standard input to its end.
    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut command = self.program();
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary runs");
        let mut stdin = child.stdin.take().expect("a pipe");
        let input = input.to_vec();
        let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let output = child.wait_with_output().expect("the binary ends");
        writer.join().expect("the writer ends");
        output
    }

    /// Runs a command that must succeed; its standard output.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// Runs a command that must fail with status 1; its one sentence.
    pub(crate) fn fails(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let text = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {text}");
        assert_eq!(text.lines().count(), 1, "{arguments:?}: one sentence, not {text:?}");
        text
    }

    /// Starts the server and waits until it says where it listens.
    pub(crate) fn serve(&self) -> Running {
        self.try_serve().expect("the server starts")
    }

    /// The same; an error is what it wrote to standard error before it ended.
    pub(crate) fn try_serve(&self) -> Result<Running, String> {
        let log = self.folder.path().join("serve.log");
        let log_file = std::fs::OpenOptions::new().create(true).append(true).open(&log).expect("a log file");
        let mut child = self
            .program()
            .envs(&self.server_environment)
            .arg("serve")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log_file)
            .spawn()
            .expect("the binary runs");
        let stdout = child.stdout.take().expect("a pipe");
        let mut running =
            Running { child, public: SocketAddr::from(([0; 4], 0)), admin: SocketAddr::from(([0; 4], 0)), log };
        let mut lines = BufReader::new(stdout).lines();
        let mut address = || {
            let line = lines.next()?.ok()?;
            let start = line.find("http://")? + "http://".len();
            line[start..].split_whitespace().next()?.parse().ok()
        };
        match (address(), address()) {
            (Some(public), Some(admin)) => (running.public, running.admin) = (public, admin),
            _ => {
                drop(running.child.wait());
                return Err(running.log());
            }
        }
        Ok(running)
    }
}

/// A server, killed when dropped.
pub(crate) struct Running {
    child: Child,
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
    log: PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Running {
    /// What the server wrote to standard error so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`, and waits until the process is gone.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("the server still runs");
        self.child.wait().expect("the server ends");
    }

    /// SIGTERM, and waits; the exit must be in order.
    pub(crate) fn terminate(mut self) {
        self.signal_to_terminate();
        let status = self.child.wait().expect("the server ends");
        assert!(status.success(), "{status}: {}", self.log());
    }

    /// Signals the embedded ClickHouse alone; false when there is none just now.
    pub(crate) fn signal_clickhouse(&self, signal: Signal) -> bool {
        self.children().into_iter().filter_map(|child| kill_process(child, signal).ok()).count() > 0
    }

    fn children(&self) -> Vec<Pid> {
        // Threads start children: each has a list of its own.
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid())).expect("the server still runs");
        let lists = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok());
        lists
            .flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
            .filter_map(|child| Pid::from_raw(child.parse().ok()?))
            .collect()
    }

    /// `kill -9` of the server and its ClickHouse at the same moment, as far as they can tell.
    pub(crate) fn kill_with_clickhouse(self) {
        let server = Pid::from_raw(i32::try_from(self.pid()).expect("a process id")).expect("a process id");
        // Stopped first: it would see its ClickHouse go, which would see its parent go.
        kill_process(server, Signal::STOP).expect("the server still runs");
        let children = self.children();
        for child in &children {
            kill_process(*child, Signal::KILL).expect("a child that nobody waited for");
        }
        self.kill();
        // One that is dead and that nobody waits for has no command line.
        let is_gone = |child: &Pid| {
            std::fs::read(format!("/proc/{}/cmdline", child.as_raw_nonzero())).unwrap_or_default().is_empty()
        };
        wait_for("ClickHouse is gone", || children.iter().all(is_gone));
    }

    pub(crate) fn signal_to_terminate(&self) {
        let pid = Pid::from_raw(i32::try_from(self.pid()).expect("a process id")).expect("a process id");
        kill_process(pid, Signal::TERM).expect("the server still runs");
    }

    /// The value of a metric without labels.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let answer = request(self.admin, "GET", "/metrics", &[], b"").expect("an answer");
        let line = answer.body.lines().find(|line| line.starts_with(&format!("{name} ")));
        let value = line.and_then(|line| line.rsplit(' ').next()).and_then(|value| value.parse().ok());
        value.unwrap_or_else(|| panic!("{name} in {}", answer.body))
    }

    /// Waits until everything that was accepted is stored or dropped.
    pub(crate) fn wait_until_nothing_is_in_flight(&self) {
        wait_for("nothing is in flight", || self.metric("firmsight_events_in_flight") == 0);
    }
}

pub(crate) fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < give_up, "waited in vain until {what}");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

/// An answer over HTTP.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// One request on a connection of its own.
pub(crate) fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    send(&mut stream, method, path, headers, body, true)?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { unchunked(body) } else { body.to_owned() };
    Ok(Answer { status: status.ok_or(std::io::ErrorKind::InvalidData)?, head: head.to_owned(), body })
}

fn unchunked(mut text: &str) -> String {
    let mut body = String::new();
    while let Some((size, rest)) = text.split_once("\r\n") {
        match usize::from_str_radix(size.trim(), 16) {
            Ok(size) if size > 0 && rest.len() >= size => {
                body.push_str(&rest[..size]);
                text = rest[size..].trim_start_matches("\r\n");
            }
            _ => break,
        }
    }
    body
}

pub(crate) fn send(
    stream: &mut TcpStream,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
    close: bool,
) -> std::io::Result<()> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += if close { "Connection: close\r\n\r\n" } else { "\r\n" };
    stream.write_all(&[head.as_bytes(), body].concat())
}

/// A desktop browser.
pub(crate) const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";
/// An address of Apple's own network.
pub(crate) const APPLE: &str = "17.253.144.10";

/// The body of a beacon with one pageview.
pub(crate) fn pageview(site: &str, event_id: uuid::Uuid, client: &str, url: &str) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_millis();
    serde_json::json!({
        "v": 1, "site": site, "consent": "granted", "sent": now as u64, "client": client,
        "events": [{ "id": event_id, "at": now as u64, "type": "pageview", "url": url, "title": "A page" }],
    })
    .to_string()
}

/// Posts a beacon as nginx on the same machine would pass it on.
pub(crate) fn post_beacon(public: SocketAddr, from: &str, body: &str) -> std::io::Result<Answer> {
    let headers = [("X-Forwarded-For", from), ("User-Agent", BROWSER), ("Content-Type", "text/plain")];
    request(public, "POST", "/lfa", &headers, body.as_bytes())
}
