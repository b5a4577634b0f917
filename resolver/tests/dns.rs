//! Reverse DNS against a real authoritative server (NLnet Labs' nsd, as Debian packages it) and against misbehaving ones.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is the test's own finding")]

use firmsight_resolver::{Databases, NameAnswer, NetworkKind, Resolver, Settings, Source};
use std::{
    collections::HashSet,
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// nsd on a free loopback port with the zones of `tests/zones/`; ends with the test.
struct Nsd {
    process: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl Nsd {
    fn start() -> Self {
        let zones = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/zones");
        // Another program may take the port between finding and using it.
        for _ in 0..5 {
            let folder = tempfile::tempdir().unwrap();
            let address = free_address();
            let configuration = folder.path().join("nsd.conf");
            fs::write(&configuration, configuration_text(address, &zones, folder.path())).unwrap();
            let process = Command::new(nsd())
                .arg("-d")
                .arg("-c")
                .arg(&configuration)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("nsd can't be started: run `cargo xtask test`, which installs it, or install the package nsd");
            let mut nsd = Self { process, address, _folder: folder };
            if nsd.is_ready() {
                return nsd;
            }
        }
        panic!("nsd does not answer on loopback: run `cargo xtask test`, which checks what tests need");
    }

    fn is_ready(&mut self) -> bool {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline && self.process.try_wait().unwrap().is_none() {
            // SOA of com.
            let query = b"\x12\x34\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03com\x00\x00\x06\x00\x01";
            socket.send_to(query, self.address).unwrap();
            let mut answer = [0; 512];
            if socket.recv(&mut answer).is_ok() {
                return true;
            }
        }
        false
    }
}

impl Drop for Nsd {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn nsd() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .map(|folder| folder.join("nsd"))
        .find(|program| program.exists())
        .expect("nsd is missing: run `cargo xtask test`, which installs it, or install the package nsd")
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap()
}

fn configuration_text(address: SocketAddr, zones: &Path, folder: &Path) -> String {
    let mut text = format!(
        "server:\n ip-address: {}@{}\n server-count: 1\n username: \"\"\n chroot: \"\"\n database: \"\"\n zonesdir: \"{}\"\n \
         pidfile: \"{folder}/nsd.pid\"\n xfrdfile: \"{folder}/xfrd.state\"\n zonelistfile: \"{folder}/zone.list\"\n \
         xfrdir: \"{folder}\"\n rrl-ratelimit: 0\nremote-control:\n control-enable: no\n",
        address.ip(),
        address.port(),
        zones.display(),
        folder = folder.display(),
    );
    for entry in fs::read_dir(zones).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        if let Some(zone) = file.strip_suffix(".zone") {
            text.push_str(&format!("zone:\n name: \"{zone}\"\n zonefile: \"{file}\"\n"));
        }
    }
    text
}

fn resolver(server: SocketAddr, timeout: Duration, dns_concurrency: usize) -> Resolver {
    let settings = Settings {
        nameservers: vec![server],
        ptr_timeout: timeout,
        dns_concurrency,
        cache_entries: 10_000,
        // What is tested here is DNS's own cache.
        verdict_cache_entries: 0,
        ..Settings::default()
    };
    Resolver::new(Databases::none(), settings).unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[tokio::test]
async fn names_of_real_hosts_are_confirmed() {
    let nsd = Nsd::start();
    let resolver = resolver(nsd.address, Duration::from_secs(5), 16);
    let mut confirmed = 0;
    for (address, name, domain) in [
        ("17.128.100.225", "a17-128-100-225.apple.com", Some("apple.com")),
        ("17.254.0.51", "mail-out2.apple.com", Some("apple.com")),
        ("66.187.233.206", "nat-pool-bos-t.redhat.com", Some("redhat.com")),
        ("149.14.88.26", "nat-pool-muc-t.redhat.com", Some("redhat.com")),
        ("192.18.43.5", "inside-swan.sun.com", Some("sun.com")),
        ("192.150.11.2", "smtp-relay-2.adobe.com", Some("adobe.com")),
        ("18.7.22.103", "outgoing-auth.mit.edu", Some("mit.edu")),
        ("18.187.1.73", "multics.mit.edu", Some("mit.edu")),
        ("128.173.14.107", "turing-police.cc.vt.edu", Some("vt.edu")),
        ("128.114.55.196", "dhcp-55-196.cse.ucsc.edu", Some("ucsc.edu")),
        ("156.40.174.121", "eb-174121.od.nih.gov", Some("nih.gov")),
        ("136.201.105.4", "holly.csn.ul.ie", Some("ul.ie")),
        ("136.206.1.5", "mail.dcu.ie", Some("dcu.ie")),
        ("129.132.7.153", "opensource-01.ee.ethz.ch", Some("ethz.ch")),
        ("216.136.204.119", "mx2.freebsd.org", Some("freebsd.org")),
        ("141.151.21.129", "pool-141-151-21-129.phil.east.verizon.net", None),
        ("67.164.133.216", "c-67-164-133-216.client.comcast.net", None),
        ("66.59.172.106", "66-59-172-106.cable.charter.net", None),
        ("84.131.161.178", "p5483a1b2.dip0.t-ipconnect.de", None),
        ("217.128.78.77", "alille-103-2-1-77.abo.wanadoo.fr", None),
        ("52.95.110.1", "ec2-52-95-110-1.compute-1.amazonaws.com", None),
        ("2001:4860:4860::8888", "dns.google", Some("dns.google")),
        ("::ffff:17.254.0.51", "mail-out2.apple.com", Some("apple.com")),
    ] {
        let verdict = resolver.resolve(ip(address)).await;
        assert_eq!(verdict.ptr, NameAnswer::Confirmed(name.into()), "{address}");
        let company = verdict.company.as_ref().map(|company| (company.domain.clone().unwrap(), company.source));
        assert_eq!(company, domain.map(|domain| (domain.into(), Source::Ptr)), "{address}");
        confirmed += 1;
    }
    assert!(confirmed >= 20);
}

#[tokio::test]
async fn names_that_do_not_lead_back_name_no_company() {
    let nsd = Nsd::start();
    let resolver = resolver(nsd.address, Duration::from_secs(5), 16);
    for (address, expected) in [
        ("193.51.100.77", NameAnswer::Unconfirmed("mail-out2.apple.com".into())),
        ("193.51.100.78", NameAnswer::Unconfirmed("vanished.apple.com".into())),
        // A server that refuses to answer for the name's zone says nothing about the name.
        ("193.51.100.79", NameAnswer::Failed),
        ("193.51.100.80", NameAnswer::None),
        ("193.51.100.81", NameAnswer::None),
    ] {
        let verdict = resolver.resolve(ip(address)).await;
        assert_eq!(verdict.ptr, expected, "{address}");
        assert_eq!(verdict.company, None, "{address}");
    }
}

#[tokio::test]
async fn classless_delegation_and_several_names_are_followed() {
    let nsd = Nsd::start();
    let resolver = resolver(nsd.address, Duration::from_secs(5), 16);
    for (address, name) in [("193.248.25.200", "mail.acme-branch.com"), ("193.248.26.1", "second.many-names.com")] {
        assert_eq!(resolver.resolve(ip(address)).await.ptr, NameAnswer::Confirmed(name.into()), "{address}");
    }
}

#[tokio::test]
async fn an_alias_that_leads_to_itself_ends() {
    let nsd = Nsd::start();
    let resolver = resolver(nsd.address, Duration::from_secs(5), 16);
    let verdict = resolver.resolve(ip("193.248.26.2")).await;
    assert!(matches!(verdict.ptr, NameAnswer::None | NameAnswer::Failed), "{:?}", verdict.ptr);
    assert_eq!(verdict.company, None);
}

#[tokio::test]
async fn thousands_of_addresses_at_once_are_all_answered_and_then_cached() {
    let nsd = Nsd::start();
    let resolver = resolver(nsd.address, Duration::from_secs(20), 64);
    let addresses: Vec<IpAddr> = (0..4000u32).map(|n| IpAddr::V4(Ipv4Addr::from(0x112d_0100 + n))).collect();
    for round in 0..2 {
        let tasks: Vec<_> = addresses
            .iter()
            .map(|address| {
                let (resolver, address) = (resolver.clone(), *address);
                tokio::spawn(async move { resolver.resolve(address).await.ptr.clone() })
            })
            .collect();
        for task in tasks {
            let answer = task.await.unwrap();
            assert_eq!(answer, NameAnswer::Unconfirmed("host.generated.apple.com".into()));
        }
        let statistics = resolver.dns_statistics().unwrap();
        assert_eq!((statistics.asked, statistics.cached), (4000, 4000 * round), "round {round}");
    }
}

#[tokio::test]
async fn callers_with_the_same_address_share_one_look_up() {
    let nsd = Nsd::start();
    let resolver = resolver(nsd.address, Duration::from_secs(5), 16);
    let tasks: Vec<_> = (0..500)
        .map(|_| {
            let resolver = resolver.clone();
            tokio::spawn(async move { resolver.resolve(ip("17.254.0.51")).await.ptr.clone() })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), NameAnswer::Confirmed("mail-out2.apple.com".into()));
    }
    let statistics = resolver.dns_statistics().unwrap();
    assert_eq!(statistics.asked, 1);
    assert_eq!(statistics.cache_entries, 1);
}

#[tokio::test]
async fn final_verdicts_ask_nobody() {
    let server = UdpServer::start(|_| Vec::new());
    let resolver = resolver(server.address, Duration::from_millis(100), 16);
    for address in ["10.1.2.3", "127.0.0.1", "::1", "fe80::1", "::ffff:192.168.0.1"] {
        let verdict = resolver.resolve(ip(address)).await;
        assert_eq!((verdict.kind, verdict.ptr.clone()), (NetworkKind::Reserved, NameAnswer::NotAsked), "{address}");
    }
    assert_eq!(resolver.dns_statistics().unwrap().asked, 0);
}

#[test]
fn a_resolver_can_be_made_outside_a_runtime() {
    let resolver = resolver(free_address(), Duration::from_secs(1), 4);
    assert_eq!(resolver.local(ip("10.0.0.1")).kind, NetworkKind::Reserved);
}

/// A UDP server that answers every query with the datagrams that a function makes of it.
struct UdpServer {
    address: SocketAddr,
    socket: UdpSocket,
    thread: Option<JoinHandle<()>>,
}

/// Sent by the test itself to end a server.
const STOP: &[u8] = b"stop";

impl UdpServer {
    fn start(answer: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> Self {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        let (address, own) = (socket.local_addr().unwrap(), socket.try_clone().unwrap());
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 2048];
            while let Ok((length, from)) = own.recv_from(&mut buffer) {
                if &buffer[..length] == STOP {
                    return;
                }
                for datagram in answer(&buffer[..length]) {
                    // A client that gave up is not this server's concern.
                    drop(own.send_to(&datagram, from));
                }
            }
        });
        Self { address, socket, thread: Some(thread) }
    }
}

impl Drop for UdpServer {
    fn drop(&mut self) {
        self.socket.send_to(STOP, self.address).unwrap();
        self.thread.take().unwrap().join().unwrap();
    }
}

/// The query turned into an answer with `code` and the records given.
fn answer(query: &[u8], code: u8, records: &[Vec<u8>]) -> Vec<u8> {
    let end_of_name = 12 + query[12..].iter().position(|byte| *byte == 0).unwrap() + 1;
    let mut message = query[..end_of_name + 4].to_vec();
    message[2] = 0x84; // an authoritative answer
    message[3] = code;
    message[4..12].copy_from_slice(&[0, 1, 0, u8::try_from(records.len()).unwrap(), 0, 0, 0, 0]);
    message.extend(records.iter().flatten());
    message
}

/// A PTR record for the name in the question.
fn pointer(target: &[&str]) -> Vec<u8> {
    let mut name = Vec::new();
    for label in target {
        name.push(u8::try_from(label.len()).unwrap());
        name.extend(label.bytes());
    }
    name.push(0);
    let mut record = vec![0xc0, 12, 0, 12, 0, 1, 0, 0, 0, 60, 0, u8::try_from(name.len()).unwrap()];
    record.extend(name);
    record
}

#[tokio::test]
async fn a_silent_server_fails_every_address_and_is_soon_left_alone() {
    let server = UdpServer::start(|_| Vec::new());
    let resolver = resolver(server.address, Duration::from_millis(200), 32);
    let tasks: Vec<_> = (0..2000u32)
        .map(|n| {
            let resolver = resolver.clone();
            tokio::spawn(async move { resolver.resolve(IpAddr::V4(Ipv4Addr::from(0x1200_0000 + n))).await })
        })
        .collect();
    for task in tasks {
        let verdict = task.await.unwrap();
        assert_eq!(verdict.ptr, NameAnswer::Failed);
        assert_eq!(verdict.kind, NetworkKind::Unknown);
    }
    let statistics = resolver.dns_statistics().unwrap();
    assert_eq!(statistics.asked + statistics.skipped, 2000);
    assert!(statistics.skipped > statistics.asked, "{statistics:?}");
}

#[tokio::test]
async fn a_slow_server_is_waited_for_up_to_the_timeout_only() {
    let slow = |delay: Duration| {
        UdpServer::start(move |query| {
            let (lock, condition) = (std::sync::Mutex::new(()), std::sync::Condvar::new());
            drop(condition.wait_timeout(lock.lock().unwrap(), delay).unwrap());
            vec![answer(query, 3, &[])]
        })
    };
    let server = slow(Duration::from_millis(50));
    let patient = resolver(server.address, Duration::from_secs(20), 4);
    assert_eq!(patient.resolve(ip("18.7.22.103")).await.ptr, NameAnswer::None);
    let server = slow(Duration::from_millis(1500));
    let hasty = resolver(server.address, Duration::from_millis(100), 4);
    assert_eq!(hasty.resolve(ip("18.7.22.103")).await.ptr, NameAnswer::Failed);
}

#[tokio::test]
async fn a_lying_server_confirms_nothing() {
    type Lie = fn(&[u8]) -> Vec<Vec<u8>>;
    let lies: [(&str, Lie, Duration, &[NameAnswer]); 6] = [
        (
            "the same pointer for every question, forward ones too",
            |query| vec![answer(query, 0, &[pointer(&["www", "apple", "com"])])],
            Duration::from_secs(5),
            &[NameAnswer::Failed, NameAnswer::None],
        ),
        (
            "another transaction's number",
            |query| {
                let mut message = answer(query, 0, &[pointer(&["www", "apple", "com"])]);
                message[0] ^= 0xff;
                vec![message]
            },
            Duration::from_millis(300),
            &[NameAnswer::Failed],
        ),
        ("noise", |_| vec![vec![0xff; 700], Vec::new()], Duration::from_millis(300), &[NameAnswer::Failed]),
        (
            "a record that claims more bytes than there are",
            |query| {
                let mut record = pointer(&["www", "apple", "com"]);
                record[10] = 0xff;
                vec![answer(query, 0, &[record])]
            },
            Duration::from_millis(300),
            &[NameAnswer::Failed],
        ),
        ("a server failure", |query| vec![answer(query, 2, &[])], Duration::from_secs(5), &[NameAnswer::Failed]),
        (
            "two hundred names for one address",
            |query| {
                let is_pointer = query[query.len() - 15..].contains(&12) || query.len() > 60;
                let records: Vec<_> = (0..200).map(|_| pointer(&["www", "apple", "com"])).collect();
                vec![if is_pointer { answer(query, 0, &records) } else { answer(query, 3, &[]) }]
            },
            Duration::from_secs(5),
            &[NameAnswer::None, NameAnswer::Failed],
        ),
    ];
    for (what, lie, timeout, expected) in lies {
        let server = UdpServer::start(lie);
        let verdict = resolver(server.address, timeout, 4).resolve(ip("193.51.100.77")).await;
        let unconfirmed = NameAnswer::Unconfirmed("www.apple.com".into());
        let allowed: HashSet<String> =
            expected.iter().chain([&unconfirmed]).map(|answer| format!("{answer:?}")).collect();
        assert!(allowed.contains(&format!("{:?}", verdict.ptr)), "{what}: {:?}", verdict.ptr);
        assert_eq!(verdict.company, None, "{what}");
    }
}

#[tokio::test]
async fn a_port_where_nobody_listens_fails_without_harm() {
    let resolver = resolver(free_address(), Duration::from_millis(500), 4);
    assert_eq!(resolver.resolve(ip("18.7.22.103")).await.ptr, NameAnswer::Failed);
}
