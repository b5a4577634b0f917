//! The served API as strangers see it: an API fuzzer that reads the OpenAPI document, and clients that follow its links and
//! its manual.
//!
//! The programs are Python packages, pinned with their hashes in tests/python/requirements.txt, which `cargo xtask test`
//! installs.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is the test's finding")]

mod binary;

use binary::{APPLE, BROWSER, Firmsight, Running, pageview, post_beacon, wait_for};
use std::{
    collections::BTreeSet,
    fmt::Write as _,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
};
use uuid::Uuid;

const DATES: &str = "start_date=2026-03-01&end_date=2026-03-31";

/// A program of the tests' Python packages.
fn python(program: &str) -> Command {
    let folder = geoip_data::cache_folder().expect("HOME is set").join("python").join("bin");
    let path: PathBuf = folder.join(program);
    assert!(path.is_file(), "{} is missing: run `cargo xtask test` once, it installs what tests need", path.display());
    Command::new(path)
}

/// A log of one page view by each of these companies, told by their reverse DNS names, and those names.
fn log(firmsight: &Firmsight, name: &str, companies: std::ops::Range<u32>, day: u32) -> [String; 2] {
    let (mut log, mut names) = (String::new(), String::new());
    for company in companies {
        let address = format!("80.130.{}.{}", company / 250, company % 250 + 1);
        let (hour, minute, second) = (company / 3600 % 24, company / 60 % 60, company % 60);
        let line = format!(
            r#"{address} - - [{day:02}/Mar/2026:{hour:02}:{minute:02}:{second:02} +0000] "GET /p{} HTTP/1.1" 200 512 "https://www.google.com/" "{BROWSER}""#,
            company % 7
        );
        writeln!(log, "{line}").unwrap();
        writeln!(names, "{address} mail.lead{company:04}-works.de").unwrap();
    }
    let paths = ["log", "names"].map(|kind| firmsight.folder().join(format!("{name}.{kind}")));
    std::fs::write(&paths[0], log).unwrap();
    std::fs::write(&paths[1], names).unwrap();
    paths.map(|path| path.to_str().unwrap().to_owned())
}

fn import(firmsight: &Firmsight, site: &str, [log, names]: &[String; 2]) {
    firmsight.ok(&["import", "--site", site, "--hosts", names, log]);
}

/// A server with a site that has a thousand leads, and a key of this role.
fn served(site: &str, role: &str) -> (Firmsight, Running, String) {
    let mut firmsight = Firmsight::new();
    // Links lead to the address that is configured, so it has to be known before.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    firmsight.set("ADMIN__LISTEN", &free.to_string());
    firmsight.set("ADMIN__BASE_URL", &format!("http://{free}"));
    firmsight.ok(&[
        "site",
        "add",
        "--id",
        site,
        "--name",
        "Shop",
        "--host",
        "shop.example",
        "--timezone",
        "Europe/Berlin",
    ]);
    let server = firmsight.serve();
    import(&firmsight, site, &log(&firmsight, "first", 0..1_000, 2));
    let token = firmsight.ok(&["key", "create", "--name", "stranger", "--role", role]).trim().to_owned();
    (firmsight, server, token)
}

#[test]
fn a_json_api_client_pages_a_thousand_leads_in_parallel_while_beacons_arrive() {
    let (firmsight, server, token) = served("shop", "read");
    let stop = AtomicBool::new(false);
    let later = log(&firmsight, "later", 900..1_100, 3);
    let output = std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let client = format!("LF1.1.{number:016x}.1700000000000");
                let body = pageview("shop", Uuid::new_v4(), &client, "https://shop.example/pricing");
                post_beacon(server.public, APPLE, &body).unwrap();
            }
        });
        scope.spawn(|| import(&firmsight, "shop", &later));
        let url = format!("http://{}/accounts/shop/leads?{DATES}", server.admin);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/page_leads.py");
        let output = python("python").arg(script).args([&url, &token, "4"]).output().unwrap();
        stop.store(true, Ordering::Relaxed);
        output
    });
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let first: BTreeSet<String> = (0..1_000).map(lead).collect();
    let mut rounds = 0;
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let round: serde_json::Value = serde_json::from_str(line).unwrap();
        let ids: Vec<String> =
            round["ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect();
        let unique: BTreeSet<String> = ids.iter().cloned().collect();
        assert_eq!(ids.len(), unique.len(), "{}: a lead came twice", round["way"]);
        let lost: Vec<_> = first.difference(&unique).collect();
        assert!(lost.is_empty(), "{}: lost {lost:?}", round["way"]);
        rounds += 1;
    }
    assert_eq!(rounds, 8);
    wait_for("what was imported meanwhile is a lead too", || {
        let path = format!("/accounts/shop/leads/{}", lead(1_099));
        binary::request(server.admin, "GET", &path, &[("X-Api-Key", &token)], b"").unwrap().status == 200
    });
}

/// The id of the lead of a company in the log.
fn lead(company: u32) -> String {
    firmsight_resolver::CompanyId::of_domain(&format!("lead{company:04}-works.de")).to_string()
}

#[test]
fn the_clients_and_the_manuals_curl_lines_work_against_a_real_server() {
    let (_firmsight, server, token) = served("shop", "admin");
    let address = format!("http://{}", server.admin);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let example = root.join("examples/reports-client-python/example.py");
    let run = |key: &str| {
        let output =
            python("python").arg(&example).args([&address, key, "shop", "2026-03-01", "2026-03-31"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let text = run(&token);
    for line in [
        "1000 companies, the first: lead0999-works.de",
        "31 days, the busiest: 2026-03-02 with 1000 visits",
        "shop.example/p0: 143 visits",
        "17.253.144.10: Apple",
        "made a key with the role read",
    ] {
        assert!(text.lines().any(|found| found.starts_with(line)), "{line} in {text}");
    }
    let reader = serde_json::json!({"name": "reader", "sites": ["shop"]}).to_string();
    let headers = [("X-Api-Key", token.as_str()), ("Content-Type", "application/json")];
    let reader = binary::request(server.admin, "POST", "/v1/keys", &headers, reader.as_bytes()).unwrap().json();
    let reader = reader["token"].as_str().unwrap();
    assert!(run(reader).contains("no key made: role"));

    let in_rust = |key: &str| {
        let (first, last) = ("2026-03-01".parse().unwrap(), "2026-03-31".parse().unwrap());
        let mut text = Vec::new();
        let reports = reports_client::Reports::new(&address, key);
        reports_client::summary::write(&reports, "shop", first, last, &mut text).unwrap();
        String::from_utf8(text).unwrap()
    };
    assert_eq!(in_rust(&token), text, "both clients find the same");
    assert_eq!(in_rust(reader), run(reader));

    let manual = std::fs::read_to_string(root.join("docs/reports-api.md")).unwrap();
    let mut count = 0;
    for line in manual.lines().filter(|line| line.starts_with("curl ")) {
        // The month of the log, so that there is something to answer.
        let line = line.replace("2026-11-01", "2026-03-01").replace("2026-11-30", "2026-03-31");
        let line = line.replace("http://127.0.0.1:8081", &address).replacen("curl ", "curl -sS --fail-with-body ", 1);
        let output = Command::new("sh").args(["-c", &line]).env("KEY", &token).output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stdout));
        assert!(!output.stdout.is_empty(), "{line}");
        count += 1;
    }
    assert!(count >= 10, "{count} lines");
}

#[test]
fn exports_survive_a_kill_and_their_downloads_are_in_the_audit_log() {
    let (firmsight, server, token) = served("shop", "admin");
    let headers = [("X-Api-Key", token.as_str()), ("Content-Type", "application/json")];
    let body = serde_json::json!({
        "account_id": "shop", "custom_feed_id": "all_leads", "start_date": "2026-03-01", "end_date": "2026-03-31",
    });
    let path_of = |url: &serde_json::Value| format!("/{}", url.as_str().unwrap().splitn(4, '/').nth(3).unwrap());
    // More than are made in a moment: some are asked for, some half made, when the process is gone.
    let asked: Vec<_> = (0..12)
        .map(|_| {
            let body = body.to_string();
            let answer = binary::request(server.admin, "POST", "/export-requests", &headers, body.as_bytes()).unwrap();
            assert_eq!(answer.status, 200, "{}", answer.body);
            let attributes = &answer.json()["data"]["attributes"];
            (path_of(&attributes["status_url"]), path_of(&attributes["download_url"]))
        })
        .collect();
    server.kill_with_clickhouse();
    let server = firmsight.serve();
    for (status, download) in &asked {
        wait_for("the export is made", || {
            let answer = binary::request(server.admin, "GET", status, &headers, b"").unwrap();
            answer.status == 200 && answer.json()["data"]["attributes"]["status"] == "processed"
        });
        let file = binary::request(server.admin, "GET", download, &[], b"").unwrap().json();
        let rows: BTreeSet<_> = file["data"].as_array().unwrap().iter().map(|row| row["id"].to_string()).collect();
        assert_eq!((rows.len(), file["data"].as_array().unwrap().len()), (1_000, 1_000));
    }
    let audit = "/v1/audit?start_date=2020-01-01&end_date=2100-01-01&action=read&limit=1000";
    wait_for("each download is in the audit log", || {
        let records = binary::request(server.admin, "GET", audit, &headers, b"").unwrap().json();
        let downloads =
            records["data"].as_array().unwrap().iter().filter(|record| {
                record["endpoint"] == "/download/{unique_filename}" && record["key_name"] == "stranger"
            });
        downloads.map(|record| record["object"].to_string()).collect::<BTreeSet<_>>().len() == asked.len()
    });
}

/// A minute here, ten with `cargo xtask test --long`.
#[test]
fn an_api_fuzzer_finds_no_server_error_and_no_break_of_the_openapi_document() {
    // A minute is not long enough to promise how often data is reached.
    let (seconds, least) = if std::env::var_os("FIRMSIGHT_LONG_TESTS").is_some() { ("600", 20) } else { ("45", 0) };
    // Not the site of the document's examples, by which the fuzzer would remove it.
    let (firmsight, server, token) = served("main", "admin");
    let config = include_str!("python/schemathesis.toml").replace("LEAD", &lead(0));
    let config_file = firmsight.folder().join("schemathesis.toml");
    std::fs::write(&config_file, config).unwrap();
    // The fuzzer finds its own key and the site with the data in lists, and would revoke the one and remove the other: every
    // answer from then on would be 401 or 404. So what can do that comes last, and by itself.
    for (last, seconds) in [("--exclude-operation-id", seconds), ("--include-operation-id", "10")] {
        if last == "--include-operation-id" {
            // What was asked of the site that has data, so that a fuzzer that is always turned away shows.
            for endpoint in [
                "/accounts/{account}/leads",
                "/accounts/{account}/leads/{lead}",
                "/accounts/{account}/visits",
                "/v1/sites/{site}/companies/{company}/score",
            ] {
                let count = reads_of_main(&server, &token, endpoint);
                println!("{endpoint}: reached {count} times");
                assert!(count >= least, "{endpoint} was reached {count} times");
            }
        }
        let output = python("schemathesis")
            .current_dir(firmsight.folder())
            .arg("--config-file")
            .arg(&config_file)
            // A key may come in three headers and one that is right suffices, so that a wrong one beside the fuzzer's own is
            // no way around; reports_v1.rs checks that nothing answers without a key.
            .args(["run", "--checks", "all", "--exclude-checks", "ignored_auth", "--max-time", seconds])
            .args([last, "change_key", last, "revoke_key", last, "remove_site"])
            .args(["--header", &format!("X-Api-Key: {token}"), "--header", &format!("Authorization: Bearer {token}")])
            .arg(format!("http://{}/openapi.json", server.admin))
            .args(["--url", &format!("http://{}", server.admin)])
            .output()
            .unwrap();
        let report = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{report}\n{}", String::from_utf8_lossy(&output.stderr));
        assert!(!report.contains(" 0 generated"), "{report}");
        println!("{report}");
    }
}

/// How often an endpoint read data of the site `main`, by the audit log.
fn reads_of_main(server: &Running, token: &str, endpoint: &str) -> usize {
    let first = "/v1/audit?start_date=2020-01-01&end_date=2100-01-01&site=main&action=read&limit=1000";
    let (mut path, mut count) = (first.to_owned(), 0);
    loop {
        let answer = binary::request(server.admin, "GET", &path, &[("X-Api-Key", token)], b"").unwrap();
        assert_eq!(answer.status, 200, "the fuzzer lost its key: {}", answer.body);
        let page = answer.json();
        count += page["data"].as_array().unwrap().iter().filter(|record| record["endpoint"] == endpoint).count();
        let Some(cursor) = page["next_cursor"].as_str() else { return count };
        path = format!("{first}&cursor={cursor}");
    }
}
