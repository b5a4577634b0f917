//! What a running server tells of itself: traces, and whether it is ready.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is the test's finding")]

mod binary;

use binary::{APPLE, Firmsight, pageview, post_beacon, request, wait_for};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    path::Path,
    sync::{Arc, Mutex},
};
use uuid::Uuid;

const CLIENT: &str = "LF1.1.0123456789abcdef.1700000000000";

/// A collector of traces, as far as it matters here: its URL, and what was sent to it.
fn traces_collector() -> (String, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let received = Arc::<Mutex<Vec<u8>>>::default();
    let sink = Arc::clone(&received);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut line, mut length, mut is_traces) = (String::new(), 0, false);
            while reader.read_line(&mut line).unwrap_or(0) > 2 {
                let head = line.to_ascii_lowercase();
                is_traces |= head.starts_with("post /v1/traces ");
                if let Some(value) = head.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            assert!(is_traces, "only traces are sent");
            sink.lock().unwrap().extend(body);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
        }
    });
    (url, received)
}

#[test]
fn traces_tell_of_rounds_and_requests_and_of_no_visitor() {
    let mut firmsight = Firmsight::new();
    let (url, received) = traces_collector();
    firmsight.set("LOG__TRACES_TO", &url);
    firmsight.ok(&["site", "add", "--id", "shop", "--name", "Shop", "--host", "shop.example"]);
    let server = firmsight.serve();
    let token = firmsight.ok(&["key", "create", "--name", "reports"]).trim().to_owned();
    let body = pageview("shop", Uuid::new_v4(), CLIENT, "https://shop.example/secret-page");
    assert_eq!(post_beacon(server.public, APPLE, &body).unwrap().status, 204);
    server.wait_until_nothing_is_in_flight();
    let authorization = format!("Token token={token}");
    let path = "/accounts/shop?planted=query";
    assert_eq!(request(server.admin, "GET", path, &[("Authorization", &authorization)], b"").unwrap().status, 200);
    server.terminate();

    let received = received.lock().unwrap();
    let holds = |text: &str| received.windows(text.len()).any(|window| window == text.as_bytes());
    for expected in
        ["firmsight", "pipeline.round", "pipeline.insert", "pipeline.rebuild", "reports.request", "http.route"]
    {
        assert!(holds(expected), "{expected} in {}", String::from_utf8_lossy(&received));
    }
    for hidden in [APPLE, CLIENT, "secret-page", "planted", token.as_str(), "shop.example", "apple.com"] {
        assert!(!holds(hidden), "{hidden} in {}", String::from_utf8_lossy(&received));
    }
}

#[test]
fn a_traces_collector_that_is_away_hinders_nothing() {
    let mut firmsight = Firmsight::new();
    firmsight.set("LOG__TRACES_TO", "http://127.0.0.1:9");
    firmsight.ok(&["site", "add", "--id", "shop", "--name", "Shop", "--host", "shop.example"]);
    let server = firmsight.serve();
    let body = pageview("shop", Uuid::new_v4(), CLIENT, "https://shop.example/");
    assert_eq!(post_beacon(server.public, APPLE, &body).unwrap().status, 204);
    server.wait_until_nothing_is_in_flight();
    assert_eq!(server.metric("firmsight_events_stored_total"), 1);
    server.terminate();
    let mut refused = Firmsight::new();
    refused.set("LOG__TRACES_TO", "localhost");
    assert!(refused.fails(&["site", "list"]).contains("log.traces_to"));
}

#[test]
fn ready_means_that_beacons_are_taken_whatever_clickhouse_does() {
    let mut firmsight = Firmsight::new();
    // Never reached, and no copy of the sites on disk: nobody knows whose beacons to take.
    firmsight.set("CLICKHOUSE__URL", "http://127.0.0.1:9");
    let server = firmsight.serve();
    for listener in [server.public, server.admin] {
        assert_eq!(request(listener, "GET", "/healthz", &[], b"").unwrap().status, 200);
        let ready = request(listener, "GET", "/readyz", &[], b"").unwrap();
        assert_eq!(ready.status, 503);
        assert!(ready.body.contains("not loaded"), "{}", ready.body);
    }
    server.terminate();

    firmsight.set("CLICKHOUSE__URL", "");
    firmsight.ok(&["site", "add", "--id", "shop", "--name", "Shop", "--host", "shop.example"]);
    firmsight.set("CLICKHOUSE__URL", "http://127.0.0.1:9");
    firmsight.set("SPOOL__MAX_BYTES", "16KiB");
    firmsight.set("SPOOL__SEGMENT_BYTES", "8KiB");
    let server = firmsight.serve();
    let is_ready =
        || [server.public, server.admin].map(|listener| request(listener, "GET", "/readyz", &[], b"").unwrap().status);
    assert_eq!(is_ready(), [200, 200], "ClickHouse is away, and beacons are taken");
    assert_eq!(server.metric("firmsight_store_up"), 0);
    wait_for("the spool is full", || {
        let body = pageview("shop", Uuid::new_v4(), CLIENT, "https://shop.example/");
        post_beacon(server.public, APPLE, &body).unwrap().status == 503
    });
    assert_eq!(request(server.public, "GET", "/healthz", &[], b"").unwrap().status, 200, "a restart would not help");
    server.terminate();
}

#[test]
fn the_example_configuration_of_a_cluster_is_accepted() {
    let firmsight = Firmsight::new();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/cluster/firmsight.toml");
    let checked = firmsight.ok(&["--config", &example.display().to_string(), "config", "check"]);
    assert_eq!(checked, "the configuration is in order\n");
}
