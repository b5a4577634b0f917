//! Backup and restore through ClickHouse itself, with and without a running collector.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is the test's finding")]

mod binary;
mod load;
mod support;

use binary::{APPLE, Firmsight, pageview, post_beacon, request, wait_for};
use clickhouse_embedded::start;
use collector::store::Store;
use load::assert_stored_once;
use std::{collections::HashSet, fs, os::unix::fs::PermissionsExt, path::Path};
use tokio::runtime::Runtime;
use uuid::Uuid;

fn client(number: usize) -> String {
    format!("LF1.1.{number:016x}.1700000000000")
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path.display().to_string());
        }
    }
    found
}

fn run_sql(firmsight: &Firmsight, sql: &[&str]) {
    Runtime::new().unwrap().block_on(async {
        let engine = start(support::server_settings(&firmsight.data_dir().join("clickhouse"))).await.unwrap();
        let store = Store::connect(&support::settings(&engine, "firmsight"));
        for sql in sql {
            store.in_time(store.client().query_raw(sql).execute()).await.unwrap();
        }
        engine.stop().await;
    });
}

#[test]
fn a_restored_backup_has_the_sites_keys_visits_and_companies_it_was_made_with() {
    let firmsight = Firmsight::new();
    firmsight.ok(&["site", "add", "--id", "shop", "--name", "Shop", "--host", "shop.example"]);
    let server = firmsight.serve();
    let token = firmsight.ok(&["key", "create", "--name", "reports"]).trim().to_owned();
    let backups = firmsight.folder().join("backups");
    let to = backups.display().to_string();
    let visit = |public, number: usize| {
        let id = Uuid::new_v4();
        let body = pageview("shop", id, &client(number), "https://shop.example/");
        assert_eq!(post_beacon(public, APPLE, &body).unwrap().status, 204);
        id
    };
    let before: HashSet<Uuid> = (0..20).map(|number| visit(server.public, number % 4)).collect();
    server.wait_until_nothing_is_in_flight();

    let output = firmsight.run(&["backup", "--to", &to]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stderr).contains("master.key"), "it says what is not in it");
    let made = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    assert!(made.starts_with(&format!("{to}/firmsight-")), "{made}");
    for file in files(Path::new(&made)) {
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file} is for its owner alone, not {mode:o}");
    }
    let listed = firmsight.ok(&["backups", "list", "--at", &to]);
    assert!(listed.lines().count() == 1 && listed.trim_end().ends_with(&made), "{listed}");
    visit(server.public, 9);
    server.wait_until_nothing_is_in_flight();
    let refusal = firmsight.fails(&["restore", "--from", &made]);
    assert!(refusal.contains("stop it"), "{refusal}");
    server.terminate();
    let refusal = firmsight.fails(&["restore", "--from", &made]);
    assert!(refusal.contains("holds data already"), "{refusal}");
    // Day keys are destroyed after 48 hours, so that no copy of them may stay.
    let kept = files(Path::new(&made));
    assert!(kept.iter().any(|file| file.contains("/events/")), "{kept:?}");
    assert!(!kept.iter().any(|file| file.contains("day_keys")), "{kept:?}");

    // On another machine: the backup, and the key file from where it was kept.
    let restored = Firmsight::new();
    fs::create_dir_all(restored.data_dir()).unwrap();
    fs::copy(firmsight.data_dir().join("master.key"), restored.data_dir().join("master.key")).unwrap();
    let missing = restored.fails(&["restore", "--from", &format!("{to}/nothing")]);
    assert!(missing.contains("ClickHouse could not do it"), "{missing}");
    assert_eq!(restored.ok(&["restore", "--from", &made]), "restored\n");
    assert_eq!(assert_stored_once(&restored, &before), before);
    let server = restored.serve();
    assert!(restored.ok(&["site", "list"]).starts_with("shop\t"));
    let authorization = format!("Token token={token}");
    let accounts = request(server.admin, "GET", "/accounts", &[("Authorization", &authorization)], b"").unwrap();
    assert_eq!(accounts.status, 200, "the key still works: {}", accounts.body);
    // A visitor of before is the same one: the visit goes on.
    let mut all = before;
    wait_for("beacons are taken", || server.metric("firmsight_store_up") == 1);
    all.insert(visit(server.public, 0));
    server.wait_until_nothing_is_in_flight();
    server.terminate();
    assert_eq!(assert_stored_once(&restored, &all), all);
}

#[test]
fn what_a_backup_caught_half_counted_is_counted_when_it_is_restored() {
    let firmsight = Firmsight::new();
    firmsight.ok(&["site", "add", "--id", "shop", "--name", "Shop", "--host", "shop.example"]);
    let server = firmsight.serve();
    let mut stored = HashSet::new();
    for number in 0..12 {
        let id = Uuid::new_v4();
        let body = pageview("shop", id, &client(number % 3), "https://shop.example/");
        assert_eq!(post_beacon(server.public, APPLE, &body).unwrap().status, 204);
        stored.insert(id);
    }
    server.wait_until_nothing_is_in_flight();
    server.terminate();
    // As if the tables had been taken while a batch was on its way from one to the next: one visitor's events are in, the
    // visit isn't; another's visit is in, two of its events aren't.
    run_sql(
        &firmsight,
        &[
            "DELETE FROM visits WHERE visitor = (SELECT min(visitor) FROM visits)",
            "DELETE FROM events WHERE visitor = (SELECT max(visitor) FROM events) AND event_id IN
             (SELECT event_id FROM events WHERE visitor = (SELECT max(visitor) FROM events) ORDER BY event_id LIMIT 2)",
        ],
    );
    let made = firmsight.ok(&["backup", "--to", &firmsight.folder().join("backups").display().to_string()]);
    let restored = Firmsight::new();
    fs::create_dir_all(restored.data_dir()).unwrap();
    fs::copy(firmsight.data_dir().join("master.key"), restored.data_dir().join("master.key")).unwrap();
    restored.ok(&["restore", "--from", made.trim()]);
    let found = assert_stored_once(&restored, &HashSet::new());
    assert_eq!(found.len(), 10);
    assert!(found.is_subset(&stored));
}
