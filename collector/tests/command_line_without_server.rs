//! Commands that need no store: configuration, resolve, data files, usage.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is the test's finding")]

mod binary;

use binary::{APPLE, Firmsight};

#[test]
fn the_example_configuration_is_accepted_and_a_wrong_key_is_refused_by_name() {
    let firmsight = Firmsight::new();
    let example = firmsight.ok(&["config", "example"]);
    let file = firmsight.folder().join("firmsight.toml");
    std::fs::write(&file, &example).unwrap();
    let file = file.to_str().unwrap();
    assert!(firmsight.ok(&["config", "check", "--config", file]).contains("in order"));

    std::fs::write(file, example.replace("timeout = \"30m\"", "timout = \"30m\"")).unwrap();
    let refusal = firmsight.fails(&["config", "check", "--config", file]);
    for part in [file, "`visits.timout`", "did you mean `visits.timeout`?"] {
        assert!(refusal.contains(part), "{refusal}");
    }
}

#[test]
fn bad_input_gets_one_sentence_that_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let damaged = folder.path().join("damaged.mmdb");
    let library = geoip_data::data_folder().unwrap().join("ipinfo_lite.mmdb");
    let missing = folder.path().join("missing.mmdb");
    let no_mmdb = folder.path().join("text.mmdb");
    std::fs::write(&no_mmdb, "hello\n".repeat(100)).unwrap();
    for (key, value, parts) in [
        ("RESOLVER__DATABASES", format!("[{missing:?}]"), &["missing.mmdb", "[resolver].databases"][..]),
        ("RESOLVER__DATABASES", "[\"no_such_file.mmdb\"]".to_owned(), &["no_such_file.mmdb", "cargo xtask data"]),
        ("RESOLVER__DATABASES", format!("[{no_mmdb:?}]"), &["text.mmdb"]),
        ("RESOLVER__DATABASES", format!("[{damaged:?}]"), &["damaged.mmdb"]),
        ("PUBLIC__TRUSTED_PROXIES", "[\"cloudflare\"]".to_owned(), &["ips-v4"]),
        ("VISITS__TIMEOUT", "half an hour".to_owned(), &["FIRMSIGHT_VISITS__TIMEOUT", "\"30m\""]),
        ("VISITS__TIMEOUTS", "30m".to_owned(), &["FIRMSIGHT_VISITS__TIMEOUTS", "visits.timeout"]),
        ("LOG__LEVEL", "loud".to_owned(), &["log.level", "debug"]),
        ("CLICKHOUSE__CLUSTER", "main".to_owned(), &["clickhouse.cluster", "clickhouse.url"]),
        ("LIMITS__BODIES_IN_FLIGHT", "0".to_owned(), &["limits.bodies_in_flight"]),
        ("GEOIP__SOURCES", "[\"ipinfo-lite\"]".to_owned(), &["geoip.sources", "ipinfo_token"]),
        ("SECRETS__KEY_FILE", "/dev/null/keys/master.key".to_owned(), &["/dev/null/keys"]),
        ("PUBLIC__LISTEN", "192.0.2.1:8080".to_owned(), &["public.listen", "no such address"]),
        ("ADMIN__LISTEN", "[::1]:99999".to_owned(), &["admin.listen", "localhost:8080"]),
        ("TRACKER__CLIENT_ID_LIFE", "401d".to_owned(), &["tracker.client_id_life", "400d"]),
        ("TRACKER__CLIENT_ID_LIFE", "12h".to_owned(), &["tracker.client_id_life", "whole days"]),
        ("CLICKHOUSE__EMBEDDED_ENGINE", "/nowhere/clickhouse".to_owned(), &["/nowhere/clickhouse"]),
    ] {
        let mut firmsight = Firmsight::new();
        let whole = std::fs::read(&library).unwrap();
        std::fs::write(&damaged, &whole[..whole.len() / 3]).unwrap();
        firmsight.set(key, &value);
        let refusal = firmsight.fails(&["config", "check"]);
        for part in parts {
            assert!(refusal.contains(part), "{key}={value}: {refusal:?} lacks {part:?}");
        }
    }
}

#[test]
fn wrong_usage_is_status_2() {
    let firmsight = Firmsight::new();
    for arguments in
        [&["serv"][..], &["site", "add"], &["resolve"], &["key", "create", "--name", "x", "--role", "boss"]]
    {
        let output = firmsight.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn resolve_says_who_is_behind_addresses_names_and_as_numbers() {
    let firmsight = Firmsight::new();
    let output = firmsight.ok(&["resolve", "--json", "--no-dns", APPLE, "192.168.1.1", "www.mit.edu", "AS714"]);
    let lines: Vec<serde_json::Value> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 4);
    for line in &lines {
        for field in ["input", "ip", "kind", "company", "location", "asn", "ptr", "evidence"] {
            assert!(line.get(field).is_some(), "{field} in {line}");
        }
    }
    assert_eq!(lines[0]["company"]["domain"], "apple.com");
    assert_eq!(lines[1]["kind"], "reserved");
    assert_eq!(lines[2]["input"], "www.mit.edu");
    assert_eq!(lines[3]["company"]["domain"], "apple.com");
    let explained = firmsight.ok(&["resolve", "--explain", "--no-dns", APPLE]);
    assert!(explained.contains("apple.com") && explained.contains("because:"), "{explained}");
}

#[test]
fn resolve_reads_lines_in_order_and_counts_what_it_can_not_read() {
    let firmsight = Firmsight::new();
    let addresses: Vec<String> = (0..2_000).map(|number| format!("17.1.{}.{}", number / 250, number % 250)).collect();
    let output = firmsight.run_with_input(&["resolve", "-", "--json", "--no-dns"], addresses.join("\n").as_bytes());
    let inputs: Vec<String> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["input"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(inputs, addresses);

    let output = firmsight.run_with_input(&["resolve", "-", "--json", "--no-dns"], b"17.1.1.1\n\x00\xff\n\n17.1.1.2\n");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 3);
}

#[test]
fn resolve_takes_names_from_a_file_in_place_of_dns() {
    let firmsight = Firmsight::new();
    let hosts = firmsight.folder().join("hosts.txt");
    std::fs::write(&hosts, "93.184.216.34 gateway.bosch.com\n").unwrap();
    let output = firmsight.ok(&["resolve", "--json", "--hosts", hosts.to_str().unwrap(), "93.184.216.34"]);
    let line: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!(line["ptr"], "gateway.bosch.com", "{line}");
    std::fs::write(&hosts, "gateway.bosch.com\n").unwrap();
    assert!(firmsight.fails(&["resolve", "--hosts", hosts.to_str().unwrap(), APPLE]).contains("line 1"));
}

#[test]
fn geoip_status_shows_files_licences_and_what_must_be_shown() {
    let firmsight = Firmsight::new();
    let status = firmsight.ok(&["geoip", "status"]);
    for part in ["ipinfo_lite.mmdb", "CC-BY-SA-4.0", "https://ipinfo.io", "https://db-ip.com"] {
        assert!(status.contains(part), "{part} in {status}");
    }
    std::fs::create_dir(firmsight.data_dir()).unwrap();
    std::fs::write(firmsight.data_dir().join("lock"), "").unwrap();
    assert!(firmsight.fails(&["geoip", "update"]).contains("[geoip].sources"));
}
