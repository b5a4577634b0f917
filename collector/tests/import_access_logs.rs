//! Real files through the real binary into the real store.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is the test's finding")]

mod binary;

use binary::Firmsight;
use std::{fmt::Write as _, io::Write as _, process::Stdio};

/// 17.253.144.10 is Apple's own, 17.1.2.3 too; 84.191.1.1 is a German home line; the last is reserved.
fn log() -> String {
    let mut log = String::new();
    let agent = binary::BROWSER;
    for (client, path, second) in [
        ("17.253.144.10", "/", 0),
        ("17.253.144.10", "/pricing", 20),
        ("17.253.144.10", "/logo.png", 21),
        ("17.1.2.3", "/", 30),
        ("84.191.1.1", "/", 31),
        ("192.168.1.5", "/", 32),
    ] {
        writeln!(
            log,
            r#"{client} - - [02/Mar/2024:10:00:{second:02} +0100] "GET {path} HTTP/1.1" 200 512 "-" "{agent}""#
        )
        .unwrap();
    }
    log += "\u{1}\u{2}binary\n";
    log
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// The number after a title of the summary.
fn number(summary: &str, title: &str) -> u64 {
    let line = summary.lines().find(|line| line.starts_with(title)).unwrap_or_else(|| panic!("{title} in {summary}"));
    line[title.len()..].split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn a_log_becomes_visits_with_and_without_a_server_and_again_adds_nothing() {
    let firmsight = Firmsight::new();
    firmsight.ok(&["site", "add", "--id", "shop", "--name", "Shop", "--host", "shop.example"]);
    let plain = firmsight.folder().join("access.log");
    let packed = firmsight.folder().join("access.log.gz");
    std::fs::write(&plain, log()).unwrap();
    std::fs::write(&packed, gzip(&log())).unwrap();

    let summary = firmsight.ok(&["import", "--site", "shop", plain.to_str().unwrap()]);
    for (title, expected) in [
        ("lines", 7),
        ("pageviews", 5),
        ("kept", 3),
        ("visits", 2),
        ("companies", 1),
        ("no pageview", 1),
        ("unparsable", 1),
    ] {
        assert_eq!(number(&summary, title), expected, "{title} in {summary}");
    }
    assert!(
        summary.contains("apple.com") && summary.contains("residential") && summary.contains("reserved"),
        "{summary}"
    );
    assert!(summary.contains("access.log:7:"), "{summary}");

    let server = firmsight.serve();
    let token = firmsight.ok(&["key", "create", "--name", "reports"]);
    let visits = || {
        let authorization = format!("Token token={}", token.trim());
        let path = "/accounts/shop/visits?start_date=2024-03-01&end_date=2024-03-03";
        let answer = binary::request(server.admin, "GET", path, &[("Authorization", &authorization)], b"").unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    };
    let before = visits();
    assert_eq!(before["data"].as_array().unwrap().len(), 2, "{before}");
    // The same file again, packed and through the server.
    let summary = firmsight.ok(&["import", "--site", "shop", packed.to_str().unwrap()]);
    assert_eq!(number(&summary, "pageviews"), 5, "{summary}");
    assert_eq!(visits(), before, "running it again adds nothing");
    server.terminate();
}

#[test]
fn a_visit_that_two_files_share_counts_once_in_whatever_order_they_come() {
    let firmsight = Firmsight::new();
    firmsight.ok(&["site", "add", "--id", "shop", "--name", "Shop", "--host", "shop.example"]);
    let mut import = vec!["import", "--site", "shop"];
    // The later page first: the earlier one gives the visit another id. The third ties two visits together.
    let files = [("late.log", "10:40"), ("early.log", "10:00"), ("between.log", "10:20")].map(|(name, time)| {
        let file = firmsight.folder().join(name);
        let agent = binary::BROWSER;
        let line = format!(r#"17.1.2.3 - - [02/Mar/2024:{time}:00 +0100] "GET /{name} HTTP/1.1" 200 5 "-" "{agent}""#);
        std::fs::write(&file, line + "\n").unwrap();
        file.to_str().unwrap().to_owned()
    });
    import.extend(files.iter().map(String::as_str));
    let summary = firmsight.ok(&import);
    assert_eq!((number(&summary, "kept"), number(&summary, "visits")), (3, 1), "{summary}");
}

#[test]
fn an_import_outlives_clickhouse() {
    let firmsight = Firmsight::new();
    firmsight.ok(&["site", "add", "--id", "shop", "--name", "Shop", "--host", "shop.example"]);
    let mut log = String::new();
    let agent = binary::BROWSER;
    for number in 0..41_000 {
        let (host, second, minute) = (number % 200, number % 60, number / 60 % 60);
        writeln!(
            log,
            r#"17.1.2.{host} - - [02/Mar/2024:10:{minute:02}:{second:02} +0100] "GET /{number} HTTP/1.1" 200 5 "-" "{agent}""#
        )
        .unwrap();
    }
    let file = firmsight.folder().join("access.log");
    std::fs::write(&file, log).unwrap();
    let server = firmsight.serve();
    firmsight.ok(&["site", "list"]);
    let summary = std::thread::scope(|scope| {
        let import = scope.spawn(|| firmsight.ok(&["import", "--site", "shop", file.to_str().unwrap()]));
        binary::wait_for("a batch failed and is repeated", || {
            let is_up = server.metric("firmsight_store_up") == 1;
            if is_up && !import.is_finished() {
                server.signal_clickhouse(rustix::process::Signal::KILL);
            }
            server.metric("firmsight_store_failures_total") > 0
        });
        import.join().unwrap()
    });
    assert_eq!((number(&summary, "kept"), number(&summary, "companies")), (41_000, 1), "{summary}");
    server.terminate();
}

#[test]
fn names_from_a_file_stand_in_for_dns() {
    let firmsight = Firmsight::new();
    firmsight.ok(&["site", "add", "--id", "shop", "--name", "Shop", "--host", "shop.example"]);
    let hosts = firmsight.folder().join("hosts.txt");
    // A company behind a German access provider, under its own name.
    std::fs::write(&hosts, "84.191.1.1 gateway.bosch.com\n").unwrap();
    let import = ["import", "--site", "shop", "--hosts", hosts.to_str().unwrap(), "-"];
    let output = firmsight.run_with_input(&import, log().as_bytes());
    let summary = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(summary.contains("bosch.com"), "{summary}");
}

#[test]
fn what_can_not_be_imported_is_said_in_one_sentence() {
    let firmsight = Firmsight::new();
    firmsight.ok(&["site", "add", "--id", "shop", "--name", "Shop", "--host", "shop.example"]);
    let missing = firmsight.fails(&["import", "--site", "nobody", "/dev/null"]);
    assert!(missing.contains("firmsight site add --id nobody"), "{missing}");
    let log_format = firmsight.fails(&["import", "--site", "shop", "--log-format", "$request", "/dev/null"]);
    assert!(log_format.contains("no client"), "{log_format}");
}

#[test]
fn one_bad_file_leaves_the_others_and_a_summary() {
    let firmsight = Firmsight::new();
    firmsight.ok(&["site", "add", "--id", "shop", "--name", "Shop", "--host", "shop.example"]);
    let file = |name: &str, bytes: &[u8]| {
        let path = firmsight.folder().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let packed = gzip(&log().repeat(2000));
    let files = [
        file("garbage.bin", &[0u8, 159, 146, 150].repeat(1000)),
        file("cut.log.gz", &packed[..packed.len() / 2]),
        firmsight.folder().join("none.log").to_str().unwrap().to_owned(),
        file("whole.log", log().as_bytes()),
    ];
    let mut import = vec!["import", "--site", "shop"];
    import.extend(files.iter().map(String::as_str));
    let output = firmsight.run_with_input(&import, b"");
    let (summary, problem) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(1), "{problem}");
    assert!(problem.contains("3 files left out"), "{problem}");
    for part in ["garbage.bin: the lines are of no known format", "cut.log.gz: ", "none.log: No such file", "apple.com"]
    {
        assert!(summary.contains(part), "{part} in {summary}");
    }
    assert!(number(&summary, "kept") >= 3, "{summary}");
}

#[test]
fn a_file_that_is_followed_counts_as_it_grows_and_across_rotation() {
    let firmsight = Firmsight::new();
    firmsight.ok(&["site", "add", "--id", "shop", "--name", "Shop", "--host", "shop.example"]);
    let path = firmsight.folder().join("access.log");
    let line = |page: &str| {
        let agent = binary::BROWSER;
        format!("17.1.2.3 - - [02/Mar/2024:10:00:00 +0100] \"GET /{page} HTTP/1.1\" 200 5 \"-\" \"{agent}\"\n")
    };
    std::fs::write(&path, line("first")).unwrap();
    let server = firmsight.serve();
    let token = firmsight.ok(&["key", "create", "--name", "reports"]);
    let is_stored = |page: &str| {
        let authorization = format!("Token token={}", token.trim());
        let path = "/accounts/shop/visits?start_date=2024-03-01&end_date=2024-03-03";
        let answer = binary::request(server.admin, "GET", path, &[("Authorization", &authorization)], b"").unwrap();
        answer.body.contains(page)
    };
    let mut follower = firmsight.program();
    follower.args(["import", "--site", "shop", "--follow", path.to_str().unwrap()]).stdout(Stdio::piped());
    let follower = follower.spawn().unwrap();
    binary::wait_for("what was there is stored", || is_stored("shop.example/first"));
    std::fs::rename(&path, firmsight.folder().join("access.log.1")).unwrap();
    std::fs::write(&path, line("second") + &line("third")).unwrap();
    binary::wait_for("what came after rotation is stored", || is_stored("shop.example/third"));
    let pid = rustix::process::Pid::from_child(&follower);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let output = follower.wait_with_output().unwrap();
    assert!(output.status.success());
    let summary = String::from_utf8(output.stdout).unwrap();
    let numbers = ["pageviews", "kept", "visits"].map(|title| number(&summary, title));
    assert_eq!(numbers, [3, 3, 1], "{summary}");
    server.terminate();
}

#[test]
fn what_the_tracker_counted_is_not_counted_again() {
    let firmsight = Firmsight::new();
    firmsight.ok(&["site", "add", "--id", "shop", "--name", "Shop", "--host", "shop.example"]);
    let server = firmsight.serve();
    let client = "LF1.1.0123456789abcdef.1700000000000";
    let id = "0190b3c4-5d6e-7f80-8123-456789abcdef".parse().unwrap();
    let body = binary::pageview("shop", id, client, "https://shop.example/pricing");
    let answer = binary::post_beacon(server.public, "17.1.2.3", &body).unwrap();
    assert_eq!(answer.status, 204, "{}", answer.body);
    let now = jiff::Timestamp::now();
    binary::wait_for("it is stored", || server.metric("firmsight_events_stored_total") == 1);

    let time = now.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string();
    let agent = binary::BROWSER;
    let line = |page: &str| format!("17.1.2.3 - - [{time}] \"GET {page} HTTP/1.1\" 200 5 \"-\" \"{agent}\"\n");
    let log = [line("/pricing"), line("/contact"), line("/lfa.js"), line("/lfa/privacy")].concat();
    let output = firmsight.run_with_input(&["import", "--site", "shop", "-"], log.as_bytes());
    let summary = String::from_utf8(output.stdout).unwrap();
    let numbers = ["pageviews", "kept", "counted", "no pageview"].map(|title| number(&summary, title));
    assert_eq!(numbers, [2, 1, 1, 2], "{summary}");
    server.terminate();
}
