//! Reverse DNS against a real authoritative server (NLnet Labs' nsd, as Debian packages it).

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is the test's own finding")]

use firmsight_resolver::{Databases, NameAnswer, Resolver, Settings, Source};
use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
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
        dns_queries_per_second: 0,
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
async fn other_name_servers_are_asked_once_they_are_named() {
    let nsd = Nsd::start();
    // RFC 5737: nobody answers there.
    let resolver = resolver("192.0.2.53:53".parse().unwrap(), Duration::from_millis(100), 16);
    let address = ip("17.254.0.51");
    assert_eq!(resolver.resolve(address).await.ptr, NameAnswer::Failed);
    assert_eq!(resolver.use_name_servers(&[nsd.address]).unwrap(), [nsd.address]);
    assert_eq!(resolver.dns_statistics().unwrap().servers, 1);
    let other = resolver.resolve(ip("66.187.233.206")).await;
    assert_eq!(other.ptr, NameAnswer::Confirmed("nat-pool-bos-t.redhat.com".into()));
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
