//! Starting, reaching, losing and stopping a server, with the real library and with a stand-in for the binary.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is the test's finding")]

use clickhouse_embedded::{Engine, Error, Server, Settings, locate, start};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::{fs::PermissionsExt, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_clickhouse-embedded");

fn library() -> PathBuf {
    let library = geoip_data::clickhouse_library().filter(|path| path.is_file());
    library.expect("this test needs libchdb.so: run it through `cargo xtask test`, which fetches it")
}

fn settings(folder: &Path) -> Settings {
    Settings { program: PROGRAM.into(), ..Settings::new(folder, Engine::Library(library())) }
}

/// Status and body of a request.
fn get(server: &Server, target: &str, headers: &str) -> (u16, String) {
    let address = server.url().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {target} HTTP/1.0\r\nHost: {address}\r\n{headers}\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn query(server: &Server, sql: &str) -> String {
    let (name, value) = server.secret_header();
    let (status, body) = get(server, &format!("/?query={}", sql.replace(' ', "%20")), &format!("{name}: {value}\r\n"));
    assert_eq!(status, 200, "{body}");
    body.trim().to_owned()
}

fn kill(pid: u32) {
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
}

#[tokio::test]
async fn it_answers_on_loopback_to_those_who_know_the_secret() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(settings(folder.path())).await.unwrap();
    assert!(server.url().starts_with("http://127.0.0.1:"), "{}", server.url());
    assert_eq!(query(&server, "SELECT 6 * 7"), "42");
    let (name, _) = server.secret_header();
    for headers in ["", &format!("{name}: 0\r\n"), &format!("{name}:\r\n")] {
        assert_eq!(get(&server, "/?query=SELECT%201", headers).0, 404, "{headers:?}");
    }
    assert_eq!(get(&server, "/ping", ""), (200, "Ok.\n".to_owned()));

    let listeners = Command::new("cat").arg(format!("/proc/{}/net/tcp", server.pid())).output().unwrap();
    let port = server.url().rsplit(':').next().unwrap().parse::<u16>().unwrap();
    let listeners = String::from_utf8(listeners.stdout).unwrap();
    assert!(listeners.contains(&format!("0100007F:{port:04X} 00000000:0000 0A")), "listens on loopback");
    assert!(!listeners.contains(&format!("00000000:{port:04X}")), "listens nowhere else");

    for file in ["config.xml", "embedded.lock"] {
        let mode = fs::metadata(folder.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let pid = server.pid();
    server.stop().await;
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}

#[tokio::test]
async fn its_configuration_is_fit_for_a_small_server() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(Settings { max_memory_bytes: 500_000_000, ..settings(folder.path()) }).await.unwrap();
    for (sql, expected) in [
        ("SELECT value FROM system.server_settings WHERE name = 'max_server_memory_usage'", "500000000"),
        ("SELECT value FROM system.server_settings WHERE name = 'background_pool_size'", "2"),
        ("SELECT value FROM system.settings WHERE name = 'max_memory_usage'", "375000000"),
        ("SELECT value FROM system.merge_tree_settings WHERE name = 'non_replicated_deduplication_window'", "1000"),
        ("SELECT count() FROM system.tables WHERE database = 'system' AND endsWith(name, '_log')", "0"),
    ] {
        assert_eq!(query(&server, sql), expected, "{sql}");
    }
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.pid())).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let figures: Vec<&str> = files.split_whitespace().collect();
    assert_eq!(figures[3], figures[4], "{files}");
}

#[tokio::test]
async fn it_serves_when_its_folder_has_an_odd_name() {
    let parent = tempfile::tempdir().unwrap();
    let server = start(settings(&parent.path().join("a <b> & 'c' ü"))).await.unwrap();
    assert_eq!(query(&server, "SELECT 1"), "1");
}

#[tokio::test]
async fn the_end_of_the_child_is_told_and_data_outlives_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(settings(folder.path())).await.unwrap();
    let exited = server.exited();
    kill(server.pid());
    let exit = exited.await;
    assert_eq!(exit.status.unwrap().signal(), Some(9));
    assert_eq!(server.exited().await, exit, "told again to who asks later");
    assert_eq!(server.stop().await, exit, "stopping what is gone is fine");

    let next = start(settings(folder.path())).await.unwrap();
    assert_ne!(next.secret_header(), server.secret_header());
    assert_eq!(query(&next, "SELECT 1"), "1");
}

#[test]
fn the_child_dies_with_a_parent_that_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut parent = Command::new(PROGRAM)
        .arg(folder.path())
        .arg(library())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(parent.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let child = line.trim().strip_prefix("# process ").unwrap().to_owned();
    let is_there = || {
        let status = fs::read_to_string(format!("/proc/{child}/status")).unwrap_or_default();
        !status.is_empty() && !status.contains("State:\tZ")
    };
    assert!(is_there());
    parent.kill().unwrap();
    parent.wait().unwrap();
    // The kernel signals at once; the end takes it a moment.
    let ended = (0..200).any(|_| {
        #[allow(clippy::disallowed_methods, reason = "there is no runtime here")]
        std::thread::sleep(Duration::from_millis(50));
        !is_there()
    });
    assert!(ended);
}

#[tokio::test]
async fn a_folder_in_use_is_refused_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(settings(folder.path())).await.unwrap();
    let impatient = Settings { folder_patience: Duration::from_millis(200), ..settings(folder.path()) };
    let error = start(impatient).await.unwrap_err();
    assert!(matches!(error, Error::FolderInUse { .. }), "{error}");
    assert!(error.to_string().contains("in use by another process"), "{error}");
    assert_eq!(query(&server, "SELECT 1"), "1", "the first goes on");
}

#[tokio::test]
async fn a_folder_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(settings(folder.path())).await.unwrap();
    let (next, _) = tokio::join!(start(settings(folder.path())), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        server.stop().await
    });
    assert_eq!(query(&next.unwrap(), "SELECT 1"), "1");
}

#[tokio::test]
async fn what_is_no_library_is_told_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.so");
    fs::write(&text, "no library").unwrap();
    for engine in [text, folder.path().join("missing.so")] {
        let data = folder.path().join("data");
        let error = start(Settings { engine: Engine::Library(engine), ..settings(&data) }).await.unwrap_err();
        assert!(error.to_string().contains("cannot load the library"), "{error}");
    }
}

#[tokio::test]
async fn a_program_that_cannot_be_executed_and_a_folder_that_cannot_be_made_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let error = start(Settings { program: "/nonexistent".into(), ..settings(folder.path()) }).await.unwrap_err();
    assert!(matches!(error, Error::Execute { .. }), "{error}");
    let error = start(settings(Path::new("/proc/nowhere"))).await.unwrap_err();
    assert!(matches!(error, Error::Folder { .. }), "{error}");
}

/// Takes the configuration as `clickhouse server` would, and answers queries with `binary`.
const STAND_IN: &str = r#"#!/usr/bin/env python3
import os, re, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
assert sys.argv[1] == "server" and os.environ["CLICKHOUSE_WATCHDOG_ENABLE"] == "0"
text = open(sys.argv[2].removeprefix("--config-file=")).read()
port = int(re.search("<http_port>(.*)</http_port>", text)[1])
secret = re.search("<X-Embedded-Secret>(.*)</X-Embedded-Secret>", text)[1]
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        known = self.headers.get("X-Embedded-Secret") == secret
        self.send_response(200 if known else 404)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"binary")
    def log_message(self, *_): pass
print("starting", file=sys.stderr, flush=True)
HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"#;

/// Written by another process: a file that this one writes can't be executed while some other test forks.
fn script(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("clickhouse");
    let write = "cat > \"$0\" && chmod 755 \"$0\"";
    let mut shell = Command::new("sh").args(["-c", write]).arg(&path).stdin(Stdio::piped()).spawn().unwrap();
    shell.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(shell.wait().unwrap().success());
    path
}

#[tokio::test]
async fn a_binary_gets_the_same_configuration_and_is_stopped_by_a_signal() {
    let folder = tempfile::tempdir().unwrap();
    let engine = locate(Some(&script(folder.path(), STAND_IN)), &[]).unwrap();
    let data = folder.path().join("data");
    let server = start(Settings { engine: engine.clone(), ..settings(&data) }).await.unwrap();
    assert_eq!(query(&server, "SELECT 1"), "binary");
    let impatient = Settings { engine, folder_patience: Duration::ZERO, ..settings(&data) };
    let error = start(impatient).await.unwrap_err();
    assert!(matches!(error, Error::FolderInUse { .. }), "the lock outlives exec: {error}");
    let exit = server.stop().await;
    assert_eq!(exit.status.unwrap().signal(), Some(15));
    assert_eq!(exit.last_lines, ["starting"]);
}

#[tokio::test]
async fn a_folder_that_clickhouse_itself_finds_in_use_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    script(folder.path(), STAND_IN);
    let first = folder.path().join("first");
    fs::rename(folder.path().join("clickhouse"), &first).unwrap();
    let busy_once = format!(
        "#!/bin/sh\nif mkdir {0}.tried; then echo 'Cannot lock file. Another server instance in same directory is \
         already running. (CANNOT_OPEN_FILE)' >&2; exit 76; fi\nexec {0} \"$@\"\n",
        first.display()
    );
    let engine = Engine::Binary(script(folder.path(), &busy_once));
    let data = folder.path().join("data");
    let server = start(Settings { engine, ..settings(&data) }).await.unwrap();
    assert_eq!(query(&server, "SELECT 1"), "binary");
}

#[tokio::test]
async fn a_binary_that_fails_is_told_with_its_last_words() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::Binary(script(folder.path(), "#!/bin/sh\necho 'no such disk' >&2\nexit 3\n"));
    let error = start(Settings { engine, ..settings(&folder.path().join("data")) }).await.unwrap_err();
    assert!(matches!(error, Error::Ended(_)), "{error}");
    assert!(error.to_string().contains("exit status: 3: no such disk"), "{error}");
}

#[tokio::test]
async fn a_binary_that_never_answers_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::Binary(script(folder.path(), "#!/bin/sh\nexec sleep 1000\n"));
    let patience = Duration::from_millis(300);
    let data = folder.path().join("data");
    let impatient = Settings { engine, folder_patience: patience, start_patience: patience, ..settings(&data) };
    let error = start(impatient).await.unwrap_err();
    assert!(matches!(error, Error::Silent(_)), "{error}");
    start(settings(&data)).await.expect("the folder is free again");
}

#[test]
fn a_configured_engine_is_taken_by_its_name_and_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("libchdb.so");
    fs::write(&library, "").unwrap();
    let binary = script(folder.path(), "");
    assert_eq!(locate(Some(&library), &[]).unwrap(), Engine::Library(library.clone()));
    assert_eq!(locate(Some(&binary), std::slice::from_ref(&library)).unwrap(), Engine::Binary(binary));
    let missing = folder.path().join("missing.so");
    let error = locate(Some(&missing), std::slice::from_ref(&library)).unwrap_err();
    assert!(matches!(&error, Error::NotFound { looked_for } if *looked_for == [missing]), "{error}");
}
