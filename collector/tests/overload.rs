//! More than the collector can take: it keeps what it took, refuses the rest with a reason, and no one sender or site takes
//! the room of the others.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is the test's finding")]

mod binary;
mod support;

use binary::{APPLE, Firmsight, PATIENCE, pageview, post_beacon, request, wait_for};
use rustix::process::Signal;
use std::{
    fs,
    io::{Read, Write},
    net::{IpAddr, TcpStream},
    path::Path,
};
use uuid::Uuid;

const CLIENT: &str = "LF1.1.0123456789abcdef.1700000000000";

fn add_site(firmsight: &Firmsight, id: &str) {
    firmsight.ok(&["site", "add", "--id", id, "--name", id, "--host", &format!("{id}.example")]);
}

fn page(site: &str) -> String {
    pageview(site, Uuid::new_v4(), CLIENT, &format!("https://{site}.example/"))
}

#[test]
fn a_site_that_floods_the_spool_is_refused_while_others_are_served() {
    let mut firmsight = Firmsight::new();
    firmsight.set("SPOOL__MAX_BYTES", "64KiB");
    firmsight.set("SPOOL__SEGMENT_BYTES", "8KiB");
    add_site(&firmsight, "noisy");
    add_site(&firmsight, "quiet");
    let server = firmsight.serve();
    firmsight.ok(&["site", "list"]);
    wait_for("ClickHouse hangs", || server.signal_clickhouse(Signal::STOP));
    let refused = (0..1_000)
        .map(|_| post_beacon(server.public, APPLE, &page("noisy")).unwrap())
        .find(|answer| answer.status != 204)
        .expect("64 KiB hold no thousand beacons");
    assert_eq!((refused.status, refused.json()["rule"].as_str()), (503, Some("site-share")));
    assert!(refused.head.to_ascii_lowercase().contains("\r\nretry-after: "), "{}", refused.head);
    for _ in 0..5 {
        assert_eq!(post_beacon(server.public, APPLE, &page("quiet")).unwrap().status, 204);
    }
    assert_eq!(server.metric("firmsight_events_rejected_total{rule=\"site-share\"}"), 1);
    // With more than half of the room taken, homes are not kept for a name that might tell a company.
    assert_eq!(server.metric("firmsight_events_dropped_total{reason=\"residential\"}"), 0);
    assert_eq!(post_beacon(server.public, "73.1.2.3", &page("quiet")).unwrap().status, 204);
    assert_eq!(server.metric("firmsight_events_dropped_total{reason=\"residential\"}"), 1);

    assert!(server.signal_clickhouse(Signal::CONT), "ClickHouse runs");
    server.wait_until_nothing_is_in_flight();
    wait_for("the flood is stored", || server.metric("firmsight_spool_events") == 0);
    assert_eq!(post_beacon(server.public, APPLE, &page("noisy")).unwrap().status, 204);
    server.terminate();
}

#[test]
fn connections_beyond_the_limit_wait_outside_and_are_served_when_others_end() {
    let mut firmsight = Firmsight::new();
    firmsight.set("LIMITS__PUBLIC_CONNECTIONS", "4");
    firmsight.set("LIMITS__REQUEST_HEAD_TIMEOUT", "2s");
    let server = firmsight.serve();
    let files = || fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count();
    let before = files();
    let idle: Vec<TcpStream> = (0..40).map(|_| TcpStream::connect(server.public).unwrap()).collect();
    let mut waiting = TcpStream::connect(server.public).unwrap();
    waiting.set_read_timeout(Some(PATIENCE)).unwrap();
    waiting.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    assert!(files() < before + 20, "40 connections are not 40 open files: {before} before, {} now", files());
    // Those that say nothing are closed one after the other, until the one that asks has its turn.
    let mut answer = String::new();
    waiting.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    drop(idle);
    server.terminate();
}

#[test]
fn endless_and_compressed_bodies_are_refused_before_they_take_memory() {
    let firmsight = Firmsight::new();
    let server = firmsight.serve();
    let memory = || {
        let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let before = memory();
    // A body that never ends, in chunks; 64 KiB are too much already.
    let mut stream = TcpStream::connect(server.public).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = "POST /lfa HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    for _ in 0..1_000 {
        if stream.write_all(chunk.as_bytes()).is_err() {
            break;
        }
    }
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 413"), "{}", String::from_utf8_lossy(&answer));
    let bomb = [("Content-Type", "text/plain"), ("Content-Encoding", "gzip")];
    assert_eq!(request(server.public, "POST", "/lfa", &bomb, &[0; 1_000]).unwrap().status, 415);
    assert!(memory() < before + 32 * 1024, "{before} KiB before, {} KiB now", memory());
    server.terminate();
}

/// Whether a file below this folder holds these bytes.
fn holds(folder: &Path, bytes: &[u8]) -> Option<String> {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let found = if path.is_dir() {
            holds(&path, bytes)
        } else {
            // ClickHouse may have merged the file away meanwhile.
            let content = if path.is_file() { fs::read(&path).unwrap_or_default() } else { Vec::new() };
            content.windows(bytes.len()).any(|window| window == bytes).then(|| path.display().to_string())
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

#[test]
fn no_file_ever_holds_an_address_neither_while_events_wait_nor_once_they_are_stored() {
    /// In a network of Apple's, so that its visits are kept.
    const PLANTED: &str = "2620:149:af0::c0de:f00d";
    let firmsight = Firmsight::new();
    add_site(&firmsight, "shop");
    let server = firmsight.serve();
    firmsight.ok(&["site", "list"]);
    let IpAddr::V6(address) = PLANTED.parse().unwrap() else { unreachable!() };
    let forms: Vec<Vec<u8>> = vec![
        PLANTED.into(),
        address.octets().into(),
        address.octets().into_iter().rev().collect(),
        b"f00d without address".to_vec(),
    ];
    let found = || -> Vec<Option<String>> { forms.iter().map(|form| holds(firmsight.folder(), form)).collect() };
    wait_for("ClickHouse hangs", || server.signal_clickhouse(Signal::STOP));
    let body = page("shop").replace("A page", "f00d without address");
    assert_eq!(post_beacon(server.public, PLANTED, &body).unwrap().status, 204);
    assert_eq!(server.metric("firmsight_spool_events"), 1);
    assert_eq!(found(), [None, None, None, None], "in the spool everything is sealed");

    assert!(server.signal_clickhouse(Signal::CONT), "ClickHouse runs");
    server.wait_until_nothing_is_in_flight();
    assert_eq!(server.metric("firmsight_events_stored_total"), 1, "{}", server.log());
    wait_for("the segment is gone", || server.metric("firmsight_spool_segments") == 0);
    assert_eq!(found()[..3], [None, None, None]);
    server.terminate();
    assert_eq!(found()[..3], [None, None, None]);

    // ClickHouse's files are compressed, so that its tables are read too: the title is there, the address isn't.
    let tables = stored_text(&firmsight);
    assert!(tables.contains("f00d without address"), "{tables}");
    assert!(!tables.contains(PLANTED) && !tables.contains("2620:149"), "{tables}");
}

/// All rows of all tables of a stopped server, as text.
fn stored_text(firmsight: &Firmsight) -> String {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let folder = firmsight.data_dir().join("clickhouse");
    let engine = runtime.block_on(clickhouse_embedded::start(support::server_settings(&folder))).unwrap();
    let address = engine.url().trim_start_matches("http://").parse().unwrap();
    let ask = |sql: &str| {
        let answer = request(address, "POST", "/", &[engine.secret_header()], sql.as_bytes()).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    };
    let tables = ask("SELECT name FROM system.tables WHERE database = 'firmsight'");
    let text = tables.lines().map(|table| ask(&format!("SELECT * FROM firmsight.{table}"))).collect();
    runtime.block_on(engine.stop());
    text
}
