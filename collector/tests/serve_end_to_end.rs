//! The whole collector as its owner runs it: commands, beacons, reports, restarts, kills.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is the test's finding")]

mod binary;
mod load;
mod support;

use binary::{APPLE, Firmsight, Running, pageview, post_beacon, request, wait_for};
use collector::metrics::Metric;
use load::{Senders, assert_stored_once};
use rustix::process::Signal;
use std::{
    collections::HashSet,
    io::Read,
    net::TcpStream,
    time::{Duration, Instant},
};
use uuid::Uuid;

const CLIENT: &str = "LF1.1.0123456789abcdef.1700000000000";

fn add_site(firmsight: &Firmsight) {
    firmsight.ok(&["site", "add", "--id", "shop", "--name", "Shop", "--host", "shop.example"]);
}

/// A command that goes through the server waits for its store.
fn wait_until_the_store_answers(firmsight: &Firmsight) {
    firmsight.ok(&["site", "list"]);
}

fn create_key(firmsight: &Firmsight) -> String {
    let token = firmsight.ok(&["key", "create", "--name", "reports"]);
    assert_eq!(token.lines().count(), 1, "the token alone: {token:?}");
    token.trim().to_owned()
}

fn leads(server: &Running, token: &str) -> serde_json::Value {
    let authorization = format!("Token token={token}");
    let today = jiff::Timestamp::now();
    let path = format!(
        "/accounts/shop/leads?start_date={}&end_date={}",
        (today - jiff::Span::new().hours(48)).strftime("%Y-%m-%d"),
        (today + jiff::Span::new().hours(24)).strftime("%Y-%m-%d"),
    );
    let answer = request(server.admin, "GET", &path, &[("Authorization", &authorization)], b"").unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

#[test]
fn a_beacon_from_a_companys_network_becomes_a_lead_that_survives_a_restart() {
    let firmsight = Firmsight::new();
    // Without a server the first, through it the second.
    add_site(&firmsight);
    let server = firmsight.serve();
    let token = create_key(&firmsight);

    let body = pageview("shop", Uuid::new_v4(), CLIENT, "https://shop.example/pricing");
    wait_for("the first beacon is accepted", || post_beacon(server.public, APPLE, &body).unwrap().status == 204);
    // The same again counts once.
    assert_eq!(post_beacon(server.public, APPLE, &body).unwrap().status, 204);
    server.wait_until_nothing_is_in_flight();
    let metrics = request(server.admin, "GET", "/metrics", &[], b"").unwrap().body;
    // This server asks no name servers.
    for metric in Metric::ALL.iter().filter(|metric| !metric.name().starts_with("firmsight_dns_")) {
        assert!(metrics.contains(&format!("# TYPE {} ", metric.name())), "nobody feeds {metric:?}: {metrics}");
    }
    assert_eq!((server.metric("firmsight_store_up"), server.metric("firmsight_store_failures_total")), (1, 0));
    let before = leads(&server, &token);
    assert_eq!(before["data"].as_array().unwrap().len(), 1, "{before}");
    assert!(before.to_string().contains("apple.com"), "{before}");

    server.terminate();
    let server = firmsight.serve();
    wait_until_the_store_answers(&firmsight);
    assert_eq!(leads(&server, &token)["data"], before["data"]);
    server.terminate();
}

#[test]
fn commands_do_the_same_with_and_without_a_server() {
    let firmsight = Firmsight::new();
    let mut expected = Vec::new();
    for round in ["without", "with"] {
        let server = (round == "with").then(|| firmsight.serve());
        firmsight.ok(&["site", "add", "--id", round, "--name", round, "--host", &format!("{round}.example")]);
        firmsight.ok(&["site", "set", "--id", round, "--timezone", "Europe/Berlin", "--consent", "cookieless"]);
        expected.push(format!("{round}\t{round}\t{round}.example\tEurope/Berlin\tcookieless"));
        expected.sort();
        assert_eq!(firmsight.ok(&["site", "list"]).lines().collect::<Vec<_>>(), expected);

        let again = firmsight.fails(&["site", "add", "--id", round, "--name", round, "--host", "x.example"]);
        assert!(again.contains("already"), "{again}");
        assert!(firmsight.fails(&["site", "set", "--id", "nobody", "--name", "x"]).contains("nobody"));
        assert!(firmsight.fails(&["site", "set", "--id", round, "--timezone", "Moon/Crater"]).contains("Moon/Crater"));

        firmsight.ok(&["key", "create", "--name", round, "--site", round, "--role", "admin"]);
        let keys = firmsight.ok(&["key", "list", "--json"]);
        assert!(keys.contains(&format!("\"name\":\"{round}\"")) && !keys.contains("sha256"), "{keys}");
        firmsight.ok(&["key", "revoke", "--id", round]);
        assert_eq!(firmsight.ok(&["key", "list"]), "");
        assert_eq!(firmsight.ok(&["migrate", "--dry-run"]), "the tables are up to date\n");
        if let Some(server) = server {
            server.terminate();
        }
    }
    firmsight.ok(&["site", "remove", "--id", "without"]);
    assert_eq!(firmsight.ok(&["site", "list"]), format!("{}\n", expected[0]));
}

#[test]
fn a_data_directory_or_port_in_use_is_said_in_one_sentence() {
    let mut firmsight = Firmsight::new();
    let server = firmsight.serve();
    let refusal = firmsight.try_serve().err().expect("a second server is refused");
    assert!(refusal.contains("in use by another process") && refusal.contains(&server.pid().to_string()), "{refusal}");
    server.terminate();

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    firmsight.set("ADMIN__LISTEN", &taken.local_addr().unwrap().to_string());
    let refusal = firmsight.try_serve().err().expect("the port is taken");
    assert!(refusal.contains("admin.listen") && refusal.contains("another program has this port"), "{refusal}");
}

#[test]
fn beacons_are_accepted_while_clickhouse_is_away_and_stored_when_it_is_back() {
    let firmsight = Firmsight::new();
    add_site(&firmsight);
    // A server URL where nobody answers: the sites are known from the copy on disk.
    let mut away = Firmsight::new();
    copy_folder(&firmsight.data_dir(), &away.data_dir());
    away.set("CLICKHOUSE__URL", "http://127.0.0.1:9");
    let server = away.serve();
    let body = pageview("shop", Uuid::new_v4(), CLIENT, "https://shop.example/");
    assert_eq!(post_beacon(server.public, APPLE, &body).unwrap().status, 204, "{}", server.log());
    assert_eq!(server.metric("firmsight_events_in_flight"), 1);
    let refusal = away.try_serve().err().expect("the directory is in use");
    assert!(refusal.contains("in use"), "{refusal}");
    server.terminate();

    // The store comes back: here it is the embedded one.
    away.set("CLICKHOUSE__URL", "");
    let server = away.serve();
    assert_eq!(server.metric("firmsight_events_recovered_total"), 1);
    wait_for("the event is stored", || server.metric("firmsight_events_stored_total") == 1);
    server.terminate();
}

fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copy_folder(&entry.path(), &target);
        } else if kind.is_file() {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Ten kills; a hundred in the long run, which sets `FIRMSIGHT_LONG_TESTS`.
#[test]
fn kills_under_load_lose_and_double_no_acknowledged_event() {
    let rounds = if std::env::var_os("FIRMSIGHT_LONG_TESTS").is_some() { 100 } else { 10 };
    let firmsight = Firmsight::new();
    add_site(&firmsight);
    let mut acknowledged = HashSet::new();
    for round in 0..rounds {
        let server = firmsight.serve();
        let senders = Senders::start(server.public, round, 4);
        // Each round is cut at another place of the pipeline's work.
        senders.wait_until_acknowledged(40 + 60 * (round % 10));
        server.kill();
        acknowledged.extend(senders.stop());
    }
    let server = firmsight.serve();
    wait_until_the_store_answers(&firmsight);
    server.wait_until_nothing_is_in_flight();
    server.terminate();

    assert_stored_once(&firmsight, &acknowledged);
}

#[test]
fn sigterm_stores_everything_that_was_acknowledged_before_the_process_ends() {
    let firmsight = Firmsight::new();
    add_site(&firmsight);
    let server = firmsight.serve();
    wait_until_the_store_answers(&firmsight);
    let senders = Senders::start(server.public, 0, 1);
    senders.wait_until_acknowledged(50);
    server.terminate();
    senders.stop();

    let server = firmsight.serve();
    assert_eq!(server.metric("firmsight_events_recovered_total"), 0, "nothing waited in the spool");
    server.terminate();
}

#[test]
fn half_open_and_slow_connections_are_closed_and_hurt_nobody_else() {
    let mut firmsight = Firmsight::new();
    firmsight.set("LIMITS__REQUEST_HEAD_TIMEOUT", "1s");
    add_site(&firmsight);
    let server = firmsight.serve();
    let mut silent = TcpStream::connect(server.public).unwrap();
    let mut half_a_preface = TcpStream::connect(server.public).unwrap();
    std::io::Write::write_all(&mut half_a_preface, b"PRI * HT").unwrap();
    let mut half_a_head = TcpStream::connect(server.public).unwrap();
    std::io::Write::write_all(&mut half_a_head, b"POST /lfa HTTP/1.1\r\nHost: x\r\n").unwrap();
    let body = pageview("shop", Uuid::new_v4(), CLIENT, "https://shop.example/");
    assert_eq!(post_beacon(server.public, APPLE, &body).unwrap().status, 204);
    for stream in [&mut silent, &mut half_a_preface, &mut half_a_head] {
        stream.set_read_timeout(Some(binary::PATIENCE)).unwrap();
        let mut rest = Vec::new();
        if let Err(error) = stream.read_to_end(&mut rest) {
            // Closed while bytes of ours lay unread.
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        }
        assert!(!rest.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&rest));
    }
    let many_headers: Vec<(String, String)> = (0..200).map(|n| (format!("X-{n}"), "x".to_owned())).collect();
    let many_headers: Vec<(&str, &str)> = many_headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(request(server.public, "POST", "/lfa", &many_headers, b"{}").unwrap().status, 431);
    server.terminate();
}

#[test]
fn a_clickhouse_that_is_killed_under_load_comes_back_and_every_acknowledged_event_is_stored_once() {
    let firmsight = Firmsight::new();
    add_site(&firmsight);
    let server = firmsight.serve();
    wait_until_the_store_answers(&firmsight);
    let senders = Senders::start(server.public, 0, 2);
    for _ in 0..3 {
        let stored = server.metric("firmsight_events_stored_total");
        wait_for("more is stored", || server.metric("firmsight_events_stored_total") > stored);
        wait_for("there is a ClickHouse to kill", || server.signal_clickhouse(Signal::KILL));
        // What comes while it is away is accepted.
        senders.wait_until_acknowledged(senders.acknowledged() + 20);
    }
    let acknowledged = senders.stop();
    server.wait_until_nothing_is_in_flight();
    assert!(server.log().contains("starting it again"), "{}", server.log());
    server.terminate();
    assert_stored_once(&firmsight, &acknowledged);
}

#[test]
fn a_full_spool_refuses_with_retry_after_and_takes_beacons_again_once_it_is_drained() {
    let mut firmsight = Firmsight::new();
    firmsight.set("SPOOL__MAX_BYTES", "32KiB");
    firmsight.set("SPOOL__SEGMENT_BYTES", "8KiB");
    add_site(&firmsight);
    let server = firmsight.serve();
    wait_until_the_store_answers(&firmsight);
    assert!(server.signal_clickhouse(Signal::STOP), "ClickHouse runs");
    let mut acknowledged = HashSet::new();
    let send = || {
        let id = Uuid::new_v4();
        (id, post_beacon(server.public, APPLE, &pageview("shop", id, CLIENT, "https://shop.example/")).unwrap())
    };
    let refused = loop {
        let (id, answer) = send();
        if answer.status != 204 {
            break answer;
        }
        acknowledged.insert(id);
        assert!(acknowledged.len() < 1_000, "32 KiB hold no thousand beacons");
    };
    assert_eq!((refused.status, refused.json()["rule"].as_str()), (503, Some("spool-unavailable")));
    assert!(refused.head.to_ascii_lowercase().contains("\r\nretry-after: "), "{}", refused.head);
    assert_eq!(server.metric("firmsight_events_rejected_total{rule=\"spool-unavailable\"}"), 1);
    assert_eq!(server.metric("firmsight_events_in_flight"), acknowledged.len() as u64);
    assert!(server.metric("firmsight_spool_bytes") <= server.metric("firmsight_spool_max_bytes"));

    assert!(server.signal_clickhouse(Signal::CONT), "ClickHouse runs");
    server.wait_until_nothing_is_in_flight();
    let (id, answer) = send();
    assert_eq!(answer.status, 204, "{}", answer.body);
    acknowledged.insert(id);
    server.wait_until_nothing_is_in_flight();
    server.terminate();
    assert_eq!(assert_stored_once(&firmsight, &acknowledged), acknowledged, "what was refused is not stored");
}

/// Visits of the site and, of its leads, how many visits they say they had.
fn visits_and_lead_visits(server: &Running, token: &str) -> (usize, Vec<u64>) {
    let authorization = format!("Token token={token}");
    let leads = leads(server, token);
    let today = jiff::Timestamp::now();
    let path = format!(
        "/accounts/shop/visits?start_date={}&end_date={}",
        (today - jiff::Span::new().hours(48)).strftime("%Y-%m-%d"),
        (today + jiff::Span::new().hours(24)).strftime("%Y-%m-%d"),
    );
    let visits = request(server.admin, "GET", &path, &[("Authorization", &authorization)], b"").unwrap();
    assert_eq!(visits.status, 200, "{}", visits.body);
    let of_leads = leads["data"].as_array().unwrap().iter();
    let of_leads = of_leads.map(|lead| lead["attributes"]["visits"].as_u64().unwrap()).collect();
    (visits.json()["data"].as_array().unwrap().len(), of_leads)
}

#[test]
fn what_is_held_of_a_visitor_is_printed_and_who_objects_is_not_counted() {
    let firmsight = Firmsight::new();
    add_site(&firmsight);
    let server = firmsight.serve();
    let token = create_key(&firmsight);
    let client = |number: u8| format!("LF1.1.{number:016x}.1700000000000");
    let send = |server: &Running, number: u8| {
        let body = pageview("shop", Uuid::new_v4(), &client(number), "https://shop.example/pricing?plan=a");
        assert_eq!(post_beacon(server.public, APPLE, &body).unwrap().status, 204);
        server.wait_until_nothing_is_in_flight();
    };
    (1..=2).for_each(|number| send(&server, number));
    send(&server, 1);
    let held = |number: u8| -> Vec<serde_json::Value> {
        let text = firmsight.ok(&["privacy", "export", "--site", "shop", "--visitor", &client(number)]);
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let first = held(1);
    let kinds: Vec<&str> = first.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["event", "event", "visit"]);
    assert_eq!((&first[0]["path"], &first[0]["query"]), (&"/pricing".into(), &"plan=a".into()));
    assert!(first.iter().all(|line| line.get("visitor").is_none()), "{first:?}");
    assert_eq!(held(3), Vec::<serde_json::Value>::new());

    assert_eq!(visits_and_lead_visits(&server, &token), (2, vec![2]));
    let object = |arguments: &[&str]| firmsight.ok(&[&["privacy", "object"], arguments].concat());
    object(&["--visitor", &client(4)]);
    send(&server, 4);
    assert_eq!(visits_and_lead_visits(&server, &token), (2, vec![2]), "a visitor who objected");
    for (objection, number) in [(["--cidr", "17.253.0.0/16"], 5), (["--domain", "www.apple.com"], 6)] {
        object(&objection);
        send(&server, number);
        assert_eq!(visits_and_lead_visits(&server, &token), (2, vec![2]), "{objection:?}");
        object(&[objection[0], objection[1], "--take-back"]);
    }
    let missing = firmsight.fails(&["privacy", "object", "--domain", "apple.com", "--take-back"]);
    assert!(missing.contains("there is no objection of this domain"), "{missing}");
    server.terminate();

    // Remembered: also by a server that begins before ClickHouse answers, and by a command without a server.
    object(&["--domain", "apple.com"]);
    let server = firmsight.serve();
    wait_until_the_store_answers(&firmsight);
    send(&server, 7);
    assert_eq!(visits_and_lead_visits(&server, &token), (2, vec![2]), "after a restart");
    let drops = "/v1/sites/shop/drops?start_date=2020-01-01&end_date=2100-01-01";
    let drops = request(server.admin, "GET", drops, &[("X-Api-Key", &token)], b"").unwrap().json();
    let objected = drops["data"].as_array().unwrap().iter().filter(|row| row["reason"] == "objection");
    assert_eq!(objected.map(|row| row["events"].as_u64().unwrap()).sum::<u64>(), 4);
    server.terminate();
    assert_eq!(held(1).len(), 3, "what was stored before stays");
}

#[test]
fn a_forgotten_or_erased_visitor_is_gone_from_visits_leads_and_company_days() {
    let firmsight = Firmsight::new();
    add_site(&firmsight);
    let server = firmsight.serve();
    let token = create_key(&firmsight);
    let client = |number: u8| format!("LF1.1.{number:016x}.1700000000000");
    let mut acknowledged = Vec::new();
    for number in 1..=4 {
        for page in ["", "pricing"] {
            let id = Uuid::new_v4();
            let body = pageview("shop", id, &client(number), &format!("https://shop.example/{page}"));
            assert_eq!(post_beacon(server.public, APPLE, &body).unwrap().status, 204);
            acknowledged.push(id);
        }
    }
    server.wait_until_nothing_is_in_flight();
    assert_eq!(visits_and_lead_visits(&server, &token), (4, vec![4]));

    let now = jiff::Timestamp::now().as_millisecond();
    let forget = serde_json::json!({
        "v": 1, "site": "shop", "consent": "granted", "sent": now, "client": client(1),
        "events": [{ "id": Uuid::new_v4(), "at": now, "type": "forget" }],
    });
    assert_eq!(post_beacon(server.public, APPLE, &forget.to_string()).unwrap().status, 204);
    server.wait_until_nothing_is_in_flight();
    // Withdrawals are carried out together every few seconds.
    let give_up = Instant::now() + Duration::from_secs(30);
    while visits_and_lead_visits(&server, &token) != (3, vec![3]) {
        assert!(Instant::now() < give_up, "the visitor's own wish is not carried out");
        std::thread::park_timeout(Duration::from_secs(1));
    }

    let (second, third, nobody) = (client(2), client(3), client(9));
    firmsight.ok(&["privacy", "erase", "--site", "shop", "--visitor", &second]);
    firmsight.ok(&["privacy", "erase", "--site", "shop", "--visitor", &nobody]);
    assert_eq!(visits_and_lead_visits(&server, &token), (2, vec![2]), "through the server");
    server.terminate();
    firmsight.ok(&["privacy", "erase", "--site", "shop", "--visitor", &third]);
    let left: HashSet<Uuid> = acknowledged.split_off(6).into_iter().collect();
    assert_eq!(assert_stored_once(&firmsight, &left), left);
    let server = firmsight.serve();
    wait_until_the_store_answers(&firmsight);
    assert_eq!(visits_and_lead_visits(&server, &token), (1, vec![1]), "without a server");
    server.terminate();
}
