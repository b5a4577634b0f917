//! Updates against a local server.

use super::*;
use firmsight_resolver::DatabaseKind;
use flate2::{Compression, write::GzEncoder};
use std::{
    collections::HashMap,
    io::{BufRead, BufReader},
    net::TcpListener,
    sync::{Arc, Mutex},
};

const TODAY: UnixMillis = UnixMillis(1_796_000_000_000); // 2026-11-30
const DBIP: &str = "/free/dbip-city-lite-2026-11.mmdb.gz";

/// One prepared answer.
#[derive(Clone)]
struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    /// Sent in place of the body's length.
    length: Option<usize>,
}

impl Answer {
    fn ok(body: Vec<u8>) -> Self {
        Self { status: 200, headers: Vec::new(), body, length: None }
    }

    fn status(status: u16) -> Self {
        Self { status, ..Self::ok(Vec::new()) }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

/// A publisher: prepared answers by path, and the heads of the requests that came. A request that names the ETag of an
/// answer gets 304.
struct Publisher {
    url: String,
    answers: Arc<Mutex<HashMap<String, Answer>>>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Publisher {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answers: Arc<Mutex<HashMap<String, Answer>>> = Arc::default();
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let (known, seen) = (Arc::clone(&answers), Arc::clone(&requests));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut head = String::new();
                for line in BufReader::new(stream.try_clone().unwrap()).lines() {
                    let line = line.unwrap();
                    if line.is_empty() {
                        break;
                    }
                    head.push_str(&line);
                    head.push('\n');
                }
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                seen.lock().unwrap().push(head.clone());
                let mut answer = known.lock().unwrap().get(&path).cloned().unwrap_or_else(|| Answer::status(404));
                let etag = answer.headers.iter().find(|(name, _)| *name == "ETag").map(|(_, value)| value.clone());
                if etag.is_some_and(|etag| head.contains(&format!("if-none-match: {etag}"))) {
                    answer = Answer::status(304);
                }
                let length = answer.length.unwrap_or(answer.body.len());
                let mut text =
                    format!("HTTP/1.1 {} X\r\nConnection: close\r\nContent-Length: {length}\r\n", answer.status);
                for (name, value) in &answer.headers {
                    text.push_str(&format!("{name}: {value}\r\n"));
                }
                let sent = stream.write_all((text + "\r\n").as_bytes()).and_then(|()| stream.write_all(&answer.body));
                // A client that heard enough hangs up.
                drop(sent);
            }
        });
        Self { url, answers, requests }
    }

    fn answer(&self, path: &str, answer: Answer) {
        self.answers.lock().unwrap().insert(path.to_owned(), answer);
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    fn updater(&self, folder: &Path) -> Updater {
        let urls = BaseUrls {
            dbip: self.url.clone(),
            ipinfo: self.url.clone(),
            maxmind: self.url.clone(),
            icloud: self.url.clone(),
            tor: self.url.clone(),
            cloudflare: self.url.clone(),
        };
        let credentials = Credentials {
            ipinfo_token: "t0ken".to_owned(),
            maxmind_account_id: "123".to_owned(),
            maxmind_license_key: "l1cence".to_owned(),
        };
        Updater::new(folder.to_owned(), urls, credentials).unwrap()
    }
}

async fn update(updater: &Updater, source: &str) -> Result<Outcome, UpdateError> {
    let source: Source = source.parse().unwrap();
    let mut outcomes = updater.update(&[source], TODAY).await.unwrap();
    outcomes.remove(0).1
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// A MaxMind DB whose every address has this AS number.
fn database(number: u32) -> Vec<u8> {
    let text = |text: &str| [&[2 << 5 | u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let node = |record: u32| [&record.to_be_bytes()[1..], &record.to_be_bytes()[1..]].concat();
    let mut bytes = node(1 + 16);
    bytes.extend([0; 16]);
    bytes.push(7 << 5 | 1);
    bytes.extend(text("asn"));
    bytes.extend([6 << 5 | 4]);
    bytes.extend(number.to_be_bytes());
    bytes.extend(b"\xab\xcd\xefMaxMind.com");
    bytes.push(7 << 5 | 9);
    bytes.extend(text("description"));
    bytes.push(7 << 5);
    for (name, value) in [
        ("node_count", vec![6 << 5 | 1, 1]),
        ("record_size", vec![5 << 5 | 1, 24]),
        ("ip_version", vec![5 << 5 | 1, 4]),
    ] {
        bytes.extend(text(name));
        bytes.extend(value);
    }
    bytes.extend(text("database_type"));
    bytes.extend(text("Test"));
    bytes.extend(text("languages"));
    bytes.extend([0, 11 - 7]);
    for name in ["binary_format_major_version", "binary_format_minor_version"] {
        // A text of 27 bytes still has its length in the first byte.
        bytes.extend(text(name));
        bytes.extend([5 << 5 | 1, if name.contains("major") { 2 } else { 0 }]);
    }
    bytes.extend(text("build_epoch"));
    bytes.extend([4, 9 - 7]);
    bytes.extend(1_796_000_000u32.to_be_bytes());
    bytes
}

fn tar_gzip(name: &str, content: &[u8]) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, content) in [("GeoIP2-ISP_20261101/README.txt", &b"read me"[..]), (name, content)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(u64::try_from(content.len()).unwrap());
        header.set_mode(0o644);
        header.set_cksum();
        tar.append_data(&mut header, name, content).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

#[tokio::test]
async fn a_file_is_fetched_put_in_place_and_not_sent_again() {
    let (publisher, folder) = (Publisher::start(), tempfile::tempdir().unwrap());
    publisher.answer(DBIP, Answer::ok(gzip(&database(7))).with("ETag", "\"one\""));
    let updater = publisher.updater(folder.path());
    assert!(matches!(update(&updater, "dbip-city-lite").await.unwrap(), Outcome::Replaced { .. }));
    let file = folder.path().join("dbip-city-lite.mmdb");
    assert_eq!(fs::read(&file).unwrap(), database(7));
    assert_eq!(Databases::open(std::slice::from_ref(&file)).unwrap().status()[0].kind, DatabaseKind::Asn);
    assert_eq!(update(&updater, "dbip-city-lite").await.unwrap(), Outcome::Unchanged);
    publisher.answer(DBIP, Answer::ok(gzip(&database(8))).with("ETag", "\"two\""));
    assert!(matches!(update(&updater, "dbip-city-lite").await.unwrap(), Outcome::Replaced { .. }));
    assert_eq!(fs::read(&file).unwrap(), database(8));
    let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["dbip-city-lite.mmdb", STATE_FILE, LOCK_FILE], "nothing else is left behind");
}

#[tokio::test]
async fn what_is_due_is_what_was_not_asked_for_long_enough() {
    let (publisher, folder) = (Publisher::start(), tempfile::tempdir().unwrap());
    publisher.answer(DBIP, Answer::ok(gzip(&database(7))));
    let updater = publisher.updater(folder.path());
    let sources = [Source::DbipCityLite];
    assert_eq!(updater.due(&sources, TODAY, 1_000).len(), 1);
    update(&updater, "dbip-city-lite").await.unwrap();
    assert_eq!(updater.due(&sources, UnixMillis(TODAY.0 + 999), 1_000).len(), 0);
    assert_eq!(updater.due(&sources, UnixMillis(TODAY.0 + 1_000), 1_000).len(), 1);
}

#[tokio::test]
async fn early_in_a_month_last_months_file_is_taken() {
    let (publisher, folder) = (Publisher::start(), tempfile::tempdir().unwrap());
    publisher.answer("/free/dbip-city-lite-2026-10.mmdb.gz", Answer::ok(gzip(&database(7))));
    assert!(matches!(
        update(&publisher.updater(folder.path()), "dbip-city-lite").await.unwrap(),
        Outcome::Replaced { url, .. } if url.ends_with("2026-10.mmdb.gz")
    ));
}

#[tokio::test]
async fn maxminds_archive_needs_the_licence_and_must_have_its_checksum() {
    let (publisher, folder) = (Publisher::start(), tempfile::tempdir().unwrap());
    let archive = tar_gzip("GeoIP2-ISP_20261101/GeoIP2-ISP.mmdb", &database(7));
    let elsewhere = Publisher::start();
    elsewhere.answer("/presigned", Answer::ok(archive.clone()));
    let path = "/geoip/databases/GeoIP2-ISP/download?suffix=tar.gz";
    publisher.answer(path, Answer::status(302).with("Location", &format!("{}/presigned", elsewhere.url)));
    let checksum = |bytes: &[u8]| {
        let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Answer::ok(format!("{hex}  GeoIP2-ISP_20261101.tar.gz\n").into_bytes())
    };
    let updater = publisher.updater(folder.path());
    publisher.answer(&format!("{path}.sha256"), checksum(b"something else"));
    let error = update(&updater, "GeoIP2-ISP").await.unwrap_err();
    assert!(matches!(error, UpdateError::Checksum { .. }), "{error}");
    assert!(!folder.path().join("GeoIP2-ISP.mmdb").exists());
    publisher.answer(&format!("{path}.sha256"), checksum(&archive));
    assert!(matches!(update(&updater, "GeoIP2-ISP").await.unwrap(), Outcome::Replaced { .. }));
    assert_eq!(fs::read(folder.path().join("GeoIP2-ISP.mmdb")).unwrap(), database(7));
    // Base64 of 123:l1cence, for MaxMind alone and not for where its server leads.
    assert!(publisher.requests().iter().all(|head| head.contains("authorization: Basic MTIzOmwxY2VuY2U=")));
    assert!(elsewhere.requests().iter().all(|head| !head.contains("authorization")));
}

#[tokio::test]
async fn whatever_goes_wrong_the_old_file_stays_and_no_secret_is_shown() {
    let sound = database(7);
    let mut torn = database(8);
    // The only node leads out of the file.
    torn[..3].copy_from_slice(&[0, 200, 0]);
    let cut = gzip(&sound)[..40].to_vec();
    let path = "/data/ipinfo_lite.mmdb?token=t0ken";
    for (what, answer, part) in [
        ("no rights", Answer::status(401), "[geoip]"),
        ("forbidden", Answer::status(403), "[geoip]"),
        ("too often", Answer::status(429), "too often"),
        ("broken server", Answer::status(500), "500"),
        ("body cut short", Answer { length: Some(5_000), ..Answer::ok(sound.clone()) }, "nothing was replaced"),
        ("nothing", Answer::ok(Vec::new()), "empty"),
        ("a page", Answer::ok(b"<!doctype html><title>Sorry</title>".to_vec()), "can't be used"),
        ("an archive where a file should be", Answer::ok(cut), "can't be used"),
        ("a tree that leads out of the file", Answer::ok(torn), "damaged"),
        ("leads in a ring", Answer::status(302).with("Location", path), "five steps"),
        ("leads nowhere", Answer::status(302), "where"),
        ("larger than anything", Answer { length: Some(1 << 40), ..Answer::ok(sound.clone()) }, "more than"),
    ] {
        let (publisher, folder) = (Publisher::start(), tempfile::tempdir().unwrap());
        let file = folder.path().join("ipinfo_lite.mmdb");
        fs::write(&file, &sound).unwrap();
        publisher.answer(path, answer);
        let error = update(&publisher.updater(folder.path()), "ipinfo-lite").await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains(part), "{what}: {text}");
        assert!(!text.contains("t0ken"), "{what}: {text}");
        assert_eq!(fs::read(&file).unwrap(), sound, "{what}");
        let state = fs::read_to_string(folder.path().join(STATE_FILE)).unwrap();
        assert!(!state.contains("ipinfo"), "{what}: a failure is not remembered as done: {state}");
    }
}

#[tokio::test]
async fn a_broken_archive_is_refused() {
    let (publisher, folder) = (Publisher::start(), tempfile::tempdir().unwrap());
    for body in [gzip(&database(7))[..60].to_vec(), database(7)] {
        publisher.answer(DBIP, Answer::ok(body));
        let error = update(&publisher.updater(folder.path()), "dbip-city-lite").await.unwrap_err();
        assert!(matches!(error, UpdateError::Archive { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_full_disk_is_noticed_before_anything_is_written() {
    let (publisher, folder) = (Publisher::start(), tempfile::tempdir().unwrap());
    publisher.answer(DBIP, Answer::ok(gzip(&database(7))));
    let mut updater = publisher.updater(folder.path());
    updater.client.free_space = |_| Ok(1 << 20);
    let error = update(&updater, "dbip-city-lite").await.unwrap_err();
    assert!(error.to_string().contains("the disk has 1048576 bytes left"), "{error}");
    assert!(!folder.path().join("dbip-city-lite.mmdb").exists());
}

#[tokio::test]
async fn two_updates_of_one_folder_do_not_meet() {
    let (publisher, folder) = (Publisher::start(), tempfile::tempdir().unwrap());
    let updater = publisher.updater(folder.path());
    let lock = updater.lock().unwrap();
    assert!(matches!(updater.update(&[], TODAY).await, Err(UpdateError::Busy(_))));
    drop(lock);
    assert!(updater.update(&[], TODAY).await.unwrap().is_empty());
}

#[tokio::test]
async fn cloudflares_ranges_become_a_list_of_networks_and_nothing_else_is_taken() {
    const PATH: &str = "/client/v4/ips";
    let (publisher, folder) = (Publisher::start(), tempfile::tempdir().unwrap());
    let updater = publisher.updater(folder.path());
    let list = folder.path().join(CLOUDFLARE_LIST);
    let answer =
        |ranges: &str| Answer::ok(format!(r#"{{"result":{{{ranges},"etag":"x"}},"success":true}}"#).into_bytes());
    publisher
        .answer(PATH, answer(r#""ipv4_cidrs":["173.245.48.0/20","104.16.0.0/13"],"ipv6_cidrs":["2400:cb00::/32"]"#));
    assert!(matches!(update(&updater, "cloudflare-ranges").await, Ok(Outcome::Replaced { .. })));
    let networks = "173.245.48.0/20\n104.16.0.0/13\n2400:cb00::/32\n";
    assert_eq!(fs::read_to_string(&list).unwrap(), networks);
    for (what, wrong) in [
        ("everybody", answer(r#""ipv4_cidrs":["0.0.0.0/0"],"ipv6_cidrs":[]"#)),
        ("half of IPv6", answer(r#""ipv4_cidrs":[],"ipv6_cidrs":["::/1"]"#)),
        ("nobody", answer(r#""ipv4_cidrs":[],"ipv6_cidrs":[]"#)),
        ("a page", Answer::ok(b"<!doctype html>".to_vec())),
    ] {
        publisher.answer(PATH, wrong);
        let refusal = update(&updater, "cloudflare-ranges").await.unwrap_err().to_string();
        assert!(refusal.contains("nothing was replaced"), "{what}: {refusal}");
        assert_eq!(fs::read_to_string(&list).unwrap(), networks, "{what}");
    }
}
