//! Data files under a running server: cut short in place, replaced, fetched.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is the test's finding")]

mod binary;

use binary::{Firmsight, pageview, post_beacon, wait_for};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
};

const TOR_EXITS: &str =
    "ExitNode 0011BD2485AD45D984EC4159C88FC066E5E3300E\nExitAddress 17.253.144.10 2026-11-01 03:04:06\n";

/// The Tor project's server, as far as it matters here: the same list for every question.
fn publisher() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let head = BufReader::new(stream.try_clone().unwrap()).lines();
            assert!(head.map_while(Result::ok).take_while(|line| !line.is_empty()).count() > 0);
            let length = TOR_EXITS.len();
            let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
            stream.write_all((head + TOR_EXITS).as_bytes()).unwrap();
        }
    });
    url
}

#[test]
fn a_running_server_survives_broken_files_and_takes_fetched_ones() {
    let mut firmsight = Firmsight::new();
    let database = firmsight.folder().join("network.mmdb");
    let whole = fs::read(geoip_data::data_folder().unwrap().join("ipinfo_lite.mmdb")).unwrap();
    fs::write(&database, &whole).unwrap();
    firmsight.set("RESOLVER__DATABASES", &format!("[{database:?}]"));
    firmsight.set("RESOLVER__LISTS", "[]");
    firmsight.set("GEOIP__SOURCES", "[\"tor-exits\"]");
    firmsight.set("GEOIP__URLS__TOR", &format!("{:?}", publisher()));
    let server = firmsight.serve();
    firmsight.ok(&[
        "site",
        "add",
        "--id",
        "shop",
        "--name",
        "Shop",
        "--host",
        "shop.example",
        "--consent",
        "not-required",
    ]);
    let hangup = || kill_process(Pid::from_raw(i32::try_from(server.pid()).unwrap()).unwrap(), Signal::HUP).unwrap();
    let visit = |from: &str| {
        let body =
            pageview("shop", uuid::Uuid::new_v4(), "LF1.1.0123456789abcdef.1700000000000", "https://shop.example/");
        assert_eq!(post_beacon(server.public, from, &body).unwrap().status, 204);
    };

    // In place, under the eyes of the server: what it mapped must not be this file.
    fs::OpenOptions::new().write(true).truncate(true).open(&database).unwrap();
    (0..200u8).for_each(|n| visit(&format!("{}.{n}.7.9", 12 + n)));
    hangup();
    wait_for("the empty file is refused", || server.metric("firmsight_data_files_refused") == 1);
    assert_eq!(server.metric("firmsight_data_files_replaced_total"), 0);
    assert!(server.log().contains("refused"), "{}", server.log());
    let status = firmsight.ok(&["geoip", "status"]);
    assert!(status.contains("can't be used") && status.contains("empty"), "{status}");

    // Written whole again, and a list fetched beside it: both are taken, without a signal.
    fs::write(&database, &whole).unwrap();
    assert!(firmsight.ok(&["geoip", "update"]).contains("tor-exits: "));
    wait_for("the files are in use", || server.metric("firmsight_data_files_replaced_total") > 0);
    wait_for("nothing is refused", || server.metric("firmsight_data_files_refused") == 0);
    let status = firmsight.ok(&["geoip", "status", "--json"]);
    let files: Vec<serde_json::Value> = status.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(files[0]["source"], "tor-exits");
    assert!(files.iter().all(|file| file["problem"].is_null() && file["is_old"] == false), "{status}");
    let verdict = firmsight.ok(&["resolve", "17.253.144.10"]);
    assert!(verdict.contains("anonymizer"), "{verdict}");
    server.terminate();
}
