//! What the collector's surroundings can do to it: a ClickHouse that is away, slow, failing or full, dead name servers,
//! a clock that jumps, the end of the process with a full spool, a data directory of an earlier version. Each time every
//! acknowledged event is stored once, and nobody has to do anything for it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is the test's finding")]

mod binary;
mod failing_proxy;
mod load;
mod support;

use binary::{APPLE, Firmsight, Running, pageview, post_beacon, wait_for};
use clickhouse_embedded::{Server, start};
use collector::store::{MIGRATIONS, Store};
use failing_proxy::{Fault, Proxy};
use load::{Senders, assert_stored_once};
use std::{
    collections::HashSet,
    fs,
    net::UdpSocket,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::runtime::Runtime;
use uuid::Uuid;

const CLIENT: &str = "LF1.1.0123456789abcdef.1700000000000";

fn add_site(firmsight: &Firmsight) {
    firmsight.ok(&["site", "add", "--id", "shop", "--name", "Shop", "--host", "shop.example"]);
}

fn start_engine(runtime: &Runtime, firmsight: &Firmsight) -> Server {
    runtime.block_on(start(support::server_settings(&firmsight.data_dir().join("clickhouse")))).unwrap()
}

#[test]
fn each_failure_of_clickhouse_is_waited_out_and_nothing_is_lost_or_doubled() {
    let mut firmsight = Firmsight::new();
    add_site(&firmsight);
    let runtime = Runtime::new().unwrap();
    let engine = start_engine(&runtime, &firmsight);
    let proxy = Proxy::start(&runtime, &engine);
    firmsight.set("CLICKHOUSE__URL", &proxy.url());

    // It is broken already when the collector starts: sites come from the copy on disk.
    proxy.set(Fault::Answers500);
    let server = firmsight.serve();
    let mut acknowledged = HashSet::new();
    let mut round = 0;
    let mut send = |events: usize| {
        round += 1;
        let senders = Senders::start(server.public, round, 2);
        senders.wait_until_acknowledged(events);
        let sent = senders.stop();
        acknowledged.extend(sent);
        acknowledged.len()
    };
    send(20);
    assert_eq!(server.metric("firmsight_store_up"), 0);
    proxy.set(Fault::None);
    server.wait_until_nothing_is_in_flight();

    for fault in [
        Fault::Away,
        Fault::Answers500,
        Fault::LosesAnswers,
        Fault::CutsAnswersShort,
        Fault::CutsRequestsShort,
        Fault::ReadOnly,
        Fault::DiskFull,
    ] {
        proxy.set(fault);
        let failures = server.metric("firmsight_store_failures_total");
        send(20);
        wait_for("the failure is noticed", || server.metric("firmsight_store_failures_total") > failures + 1);
        assert!(server.metric("firmsight_events_in_flight") > 0, "{fault:?}");
        assert_eq!(
            post_beacon(server.public, APPLE, "{}").unwrap().status,
            400,
            "it answers whatever ClickHouse does: {fault:?}"
        );
        proxy.set(Fault::None);
        server.wait_until_nothing_is_in_flight();
    }
    // Slow is no failure: events are stored all the same, only later.
    proxy.set(Fault::Slow);
    let sent = send(20);
    server.wait_until_nothing_is_in_flight();
    assert_eq!(server.metric("firmsight_events_stored_total"), sent as u64);
    wait_for("it is up", || server.metric("firmsight_store_up") == 1);

    server.terminate();
    drop(proxy);
    runtime.block_on(engine.stop());
    assert_eq!(assert_stored_once(&firmsight, &acknowledged), acknowledged);
}

/// Lines of the log that ask for the owner's attention.
fn warnings(server: &Running) -> Vec<String> {
    let asks = |line: &&str| line.contains(" WARN ") || line.contains(" ERROR ");
    // How old the data files are is the machine's affair.
    let log = server.log();
    log.lines().filter(asks).filter(|line| !line.contains("data file is old")).map(str::to_owned).collect()
}

#[test]
fn a_start_while_clickhouse_is_still_starting_writes_no_warnings() {
    let mut firmsight = Firmsight::new();
    add_site(&firmsight);
    let is_up = |server: &Running| server.metric("firmsight_store_up") == 1;

    // The embedded one starts with the collector.
    let server = firmsight.serve();
    wait_for("the store is up", || is_up(&server));
    assert_eq!(warnings(&server), Vec::<String>::new());
    server.terminate();

    // A server that comes up after the collector.
    let runtime = Runtime::new().unwrap();
    let engine = start_engine(&runtime, &firmsight);
    let proxy = Proxy::start(&runtime, &engine);
    firmsight.set("CLICKHOUSE__URL", &proxy.url());
    proxy.set(Fault::Away);
    let server = firmsight.serve();
    wait_for("it waits", || server.log().matches("waiting for ClickHouse").count() >= 2);
    proxy.set(Fault::None);
    wait_for("the store is up", || is_up(&server));
    assert_eq!(warnings(&server), Vec::<String>::new());
    server.terminate();
    runtime.block_on(engine.stop());
}

/// An address of a provider of homes, where only a name could tell a company.
fn homes(number: u8) -> String {
    format!("73.{number}.20.30")
}

/// A name server that says nothing until it is told to; then it knows no name.
fn silent_name_server(speaks: Arc<AtomicBool>) -> std::net::SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut query = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut query) {
            if !speaks.load(Ordering::Relaxed) || length < 17 {
                continue;
            }
            // The question alone, as an answer (RFC 1035, 4.1): QR, RD, RA, NXDOMAIN, one question, nothing else.
            let question = 12 + query[12..length].iter().position(|byte| *byte == 0).unwrap() + 5;
            let mut answer = query[..question].to_vec();
            answer[2..12].copy_from_slice(&[0x81, 0x83, 0, 1, 0, 0, 0, 0, 0, 0]);
            drop(socket.send_to(&answer, from));
        }
    });
    address
}

#[test]
fn dead_name_servers_delay_no_beacon_and_are_asked_again_once_they_live() {
    let mut firmsight = Firmsight::new();
    let speaks = Arc::new(AtomicBool::new(false));
    let name_server = silent_name_server(Arc::clone(&speaks));
    firmsight.set("RESOLVER__DNS", "true");
    firmsight.set("RESOLVER__NAMESERVERS", &format!("[\"{name_server}\"]"));
    firmsight.set("RESOLVER__PTR_TIMEOUT", "200ms");
    add_site(&firmsight);
    let server = firmsight.serve();
    let page = |from: &str| {
        let id = Uuid::new_v4();
        let body = pageview("shop", id, CLIENT, "https://shop.example/");
        assert_eq!(post_beacon(server.public, from, &body).unwrap().status, 204);
        id
    };
    let mut stored = HashSet::new();
    for number in 0..100 {
        page(&homes(number));
        if number % 10 == 0 {
            stored.insert(page(APPLE));
        }
    }
    wait_for("the dead server is noticed", || server.metric("firmsight_dns_servers_down") == 1);
    server.wait_until_nothing_is_in_flight();
    assert_eq!(server.metric("firmsight_events_stored_total"), stored.len() as u64);

    speaks.store(true, Ordering::Relaxed);
    let mut number = 100;
    wait_for("the server is asked again", || {
        number += 1;
        page(&homes(number % 250));
        server.metric("firmsight_dns_servers_down") == 0
    });
    server.wait_until_nothing_is_in_flight();
    server.terminate();
    assert_eq!(assert_stored_once(&firmsight, &stored), stored);
}

/// Debian's libfaketime, which moves a process's clock while it runs.
fn clock_mover() -> PathBuf {
    let library =
        Path::new("/usr/lib").join(format!("{}-linux-gnu", std::env::consts::ARCH)).join("faketime/libfaketimeMT.so.1");
    assert!(
        library.is_file(),
        "{} is missing: run `cargo xtask test` once, it installs libfaketime",
        library.display()
    );
    library
}

#[test]
fn a_clock_that_jumps_forwards_and_back_loses_and_doubles_nothing() {
    let mut firmsight = Firmsight::new();
    add_site(&firmsight);
    let offset = firmsight.folder().join("clock");
    let step = |to: &str| fs::write(&offset, to).unwrap();
    step("+0");
    firmsight.set_server_environment("LD_PRELOAD", clock_mover());
    firmsight.set_server_environment("FAKETIME_TIMESTAMP_FILE", &offset);
    firmsight.set_server_environment("FAKETIME_NO_CACHE", "1");
    firmsight.set_server_environment("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let mut acknowledged = HashSet::new();
    let mut visit = |server: &Running| {
        for page in 0..5 {
            let id = Uuid::new_v4();
            let body = pageview("shop", id, CLIENT, &format!("https://shop.example/{page}"));
            assert_eq!(post_beacon(server.public, APPLE, &body).unwrap().status, 204, "{}", server.log());
            acknowledged.insert(id);
        }
        server.wait_until_nothing_is_in_flight();
    };
    let server = firmsight.serve();
    // A little ahead: what is counted then must give way to what is counted later, also by the next process.
    for to in ["+0", "+20m", "+0", "+3d", "-2d", "+0", "+10m"] {
        step(to);
        visit(&server);
    }
    server.terminate();
    step("+0");
    let server = firmsight.serve();
    visit(&server);
    server.terminate();
    assert_eq!(assert_stored_once(&firmsight, &acknowledged), acknowledged);
}

#[test]
fn sigterm_with_a_hundred_thousand_events_in_the_spool_keeps_them_for_the_next_start() {
    const BEACONS: usize = 2_000;
    const EVENTS: usize = 50;
    let mut firmsight = Firmsight::new();
    add_site(&firmsight);
    firmsight.set("CLICKHOUSE__URL", "http://127.0.0.1:9");
    let server = firmsight.serve();
    let senders: Vec<_> = (0..4)
        .map(|sender| {
            let public = server.public;
            std::thread::spawn(move || {
                let mut acknowledged = HashSet::new();
                for number in (sender..BEACONS).step_by(4) {
                    let (ids, body) = many_pageviews(number, EVENTS);
                    assert_eq!(post_beacon(public, APPLE, &body).unwrap().status, 204);
                    acknowledged.extend(ids);
                }
                acknowledged
            })
        })
        .collect();
    let acknowledged: HashSet<Uuid> = senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect();
    assert_eq!(server.metric("firmsight_spool_events"), (BEACONS * EVENTS) as u64);
    server.terminate();

    firmsight.set("CLICKHOUSE__URL", "");
    let server = firmsight.serve();
    assert_eq!(server.metric("firmsight_events_recovered_total"), (BEACONS * EVENTS) as u64);
    server.wait_until_nothing_is_in_flight();
    wait_for("the spool is empty", || server.metric("firmsight_spool_events") == 0);
    server.terminate();
    assert_eq!(assert_stored_once(&firmsight, &acknowledged), acknowledged);
}

/// A beacon with so many pageviews of one visitor.
fn many_pageviews(number: usize, events: usize) -> (Vec<Uuid>, String) {
    let client = format!("LF1.1.{number:016x}.1700000000000");
    let ids: Vec<Uuid> = (0..events).map(|_| Uuid::new_v4()).collect();
    let mut body: serde_json::Value =
        serde_json::from_str(&pageview("shop", ids[0], &client, "https://shop.example/")).unwrap();
    let first = body["events"][0].clone();
    body["events"] = ids
        .iter()
        .map(|id| {
            let mut event = first.clone();
            event["id"] = serde_json::json!(id);
            event
        })
        .collect();
    (ids, body.to_string())
}

/// The tables as the first version with a complete pipeline made them: migrations up to this one.
const FIRST_LAYOUT: u32 = 6;

/// A spool segment of the first format under the key 07…07, with two events of the site `shop`.
const FIRST_SEGMENT: &[u8] = include_bytes!("../src/spool/tests/segment-v1.bin");

/// The copy of sites and keys as the first version wrote it.
const FIRST_MIRROR: &str = r#"{"format":1,"sites":[{"id":"shop","name":"Shop","hosts":["shop.example"],"timezone":"Europe/Berlin",
    "consent":"required","identify":false,"own_networks":[]}],"keys":[]}"#;

#[test]
fn a_data_directory_of_the_first_layout_is_taken_over_whole() {
    let mut firmsight = Firmsight::new();
    let data = firmsight.data_dir();
    fs::create_dir_all(data.join("spool")).unwrap();
    fs::write(data.join("master.key"), [7; 32]).unwrap();
    fs::write(data.join("spool/01900000-0000-7000-8000-000000000001.segment"), FIRST_SEGMENT).unwrap();
    fs::write(data.join("control.snapshot"), FIRST_MIRROR).unwrap();
    let runtime = Runtime::new().unwrap();
    let engine = start_engine(&runtime, &firmsight);
    let (event, visit_start) = (Uuid::new_v4(), 1_790_000_000_000_i64);
    runtime.block_on(make_first_layout(&engine, event, visit_start));
    runtime.block_on(engine.stop());

    // The segment's sender had a network of which nothing is known: kept here, so that its events become rows.
    firmsight.set("RESOLVER__KEEP", "[\"business\", \"unknown\"]");
    let server = firmsight.serve();
    assert_eq!(server.metric("firmsight_events_recovered_total"), 2);
    assert_eq!(firmsight.ok(&["site", "list"]), "shop\tShop\tshop.example\tEurope/Berlin\trequired\n");
    server.wait_until_nothing_is_in_flight();
    assert_eq!(server.metric("firmsight_events_stored_total"), 2, "{}", server.log());
    server.terminate();

    let engine = start_engine(&runtime, &firmsight);
    let (events, companies): (Vec<String>, Vec<(String, u64, u64)>) = runtime.block_on(async {
        let store = Store::connect(&support::settings(&engine, "firmsight"));
        let client = store.client();
        let events = client.query_raw("SELECT toString(event_id) FROM events FINAL").fetch_all().await.unwrap();
        let companies = client
            .query_raw("SELECT domain, visits, pageviews FROM companies FINAL WHERE domain != ''")
            .fetch_all()
            .await
            .unwrap();
        (events, companies)
    });
    runtime.block_on(engine.stop());
    let ids: HashSet<Uuid> = events.iter().map(|id| id.parse().unwrap()).collect();
    assert_eq!(ids, [event, Uuid::from_u128(1), Uuid::from_u128(2)].into());
    assert_eq!(companies, [("apple.com".to_owned(), 1, 1)], "the day that was counted then is counted still");
}

async fn make_first_layout(engine: &Server, event: Uuid, at: i64) {
    let store = Store::connect(&support::settings(engine, "firmsight"));
    let run = async |sql: &str| store.in_time(store.client().query_raw(sql).execute()).await.unwrap();
    let outside = store.client().with_database("system");
    store.in_time(outside.query_raw("CREATE DATABASE firmsight").execute()).await.unwrap();
    run("CREATE TABLE migrations (number UInt32, name String, sha256 String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3))
         ENGINE = ReplacingMergeTree ORDER BY number")
    .await;
    for migration in MIGRATIONS.iter().filter(|migration| migration.number <= FIRST_LAYOUT) {
        // None of these files has a semicolon within a statement.
        for statement in migration.sql.split(";\n").filter(|statement| !statement.trim().is_empty()) {
            run(statement).await;
        }
        let (number, name, sha256) = (migration.number, migration.name, migration.sha256());
        run(&format!("INSERT INTO migrations (number, name, sha256) VALUES ({number}, '{name}', '{sha256}')")).await;
    }
    let time = format!("fromUnixTimestamp64Milli({at}, 'UTC')");
    run("INSERT INTO sites VALUES ('shop', '{\"id\":\"shop\",\"name\":\"Shop\",\"hosts\":[\"shop.example\"],
        \"timezone\":\"Europe/Berlin\",\"consent\":\"required\",\"identify\":false,\"own_networks\":[]}', 1, 0)")
    .await;
    run(&format!(
        "INSERT INTO events (site, at, event_id, type, event_time, received_at, visitor, company_id, company_domain, version)
         VALUES ('shop', {time}, '{event}', 'pageview', {time}, {time}, 5, 9, 'apple.com', 1)"
    ))
    .await;
    run(&format!(
        "INSERT INTO visits (site, started_at, visit_id, ended_at, visitor, company_id, company_domain, pageviews, events,
         route_at, version) VALUES ('shop', {time}, 3, {time}, 5, 9, 'apple.com', 1, 1, [{time}], 1)"
    ))
    .await;
    run(&format!(
        "INSERT INTO company_days (site, day, company_id, company_domain, visits, visitors, pageviews, first_visit_at,
         last_visit_at, version) VALUES ('shop', toDate({time}, 'Europe/Berlin'), 9, 'apple.com', 1, 1, 1, {time}, {time}, 1)"
    ))
    .await;
}
