//! The public side behind real nginx and Caddy, started with the files that users copy: the address in
//! the spool is the client's, whatever the client claims.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is the finding of a test")]

mod public_support;

use arc_swap::ArcSwap;
use collector::{
    counters::{Counters, DropReason},
    ingest::{LocalJudge, LocalJudgement, Peer, PublicService, Settings},
    site::ConsentMode,
    snapshot::Snapshot,
    spool::record::ClientAddress,
    time::UnixMillis,
};
use firmsight_resolver::NetworkKind;
use hyper_util::rt::{TokioExecutor, TokioIo};
use public_support::{CLIENT, FIREFOX, MemorySink, NOW, site};
use serde_json::json;
use std::{
    fs,
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};
use tower::ServiceExt;

/// Where clients come from: loopback addresses that no proxy uses.
const CLIENT_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 5);
const SPOOFED: &str = "203.0.113.66";

/// Loopback counts as a company here, or nothing would be kept.
struct Anywhere;

impl LocalJudge for Anywhere {
    fn judge(&self, _: IpAddr) -> LocalJudgement {
        LocalJudgement { kind: NetworkKind::Business, is_final: false, left_out: None }
    }
}

struct Collector {
    address: SocketAddr,
    service: PublicService<Arc<MemorySink>>,
    sink: Arc<MemorySink>,
    counters: Arc<Counters>,
}

/// The service on a port of its own; it ends with the test's runtime.
async fn collector(trusted: &[&str]) -> Collector {
    let settings = Settings {
        trusted_proxies: trusted.iter().map(|network| network.parse().unwrap()).collect(),
        ..Settings::default()
    };
    let proxied = site("proxied", ConsentMode::Required, "www.example.com");
    let sites = [(proxied.id.clone(), Arc::new(proxied))].into();
    let snapshot = Arc::new(ArcSwap::from_pointee(Snapshot { sites, loaded: true, ..Snapshot::default() }));
    let sink = Arc::new(MemorySink::default());
    let counters = Arc::new(Counters::default());
    let service = PublicService::new(
        settings,
        snapshot,
        Arc::clone(&counters),
        Arc::clone(&sink),
        Arc::new(Anywhere),
        Arc::new(|| UnixMillis(NOW)),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = service.clone();
    tokio::spawn(async move {
        loop {
            let (stream, peer) = listener.accept().await.unwrap();
            let service = serving.clone();
            let with_peer = hyper::service::service_fn(move |mut request: http::Request<hyper::body::Incoming>| {
                request.extensions_mut().insert(Peer(peer));
                service.clone().oneshot(request)
            });
            tokio::spawn(async move {
                let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                // How a connection ends is the proxy's business.
                server.serve_connection(TokioIo::new(stream), with_peer).await.ok();
            });
        }
    });
    Collector { address, service, sink, counters }
}

/// A proxy that ends with the test.
struct Proxy {
    address: SocketAddr,
    child: Child,
    folder: tempfile::TempDir,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn example(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/proxies").join(name)).unwrap()
}

fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "the example has no {from:?} any more");
    text.replace(from, to)
}

fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    let found = folders.map(|folder| folder.join(name)).find(|file| file.is_file());
    found.unwrap_or_else(|| panic!("{name} is not installed: `cargo xtask test` installs what tests need"))
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

async fn start(mut command: Command, address: SocketAddr, folder: tempfile::TempDir) -> Proxy {
    let log = fs::File::create(folder.path().join("log")).unwrap();
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    let mut proxy = Proxy { address, child: command.spawn().unwrap(), folder };
    let deadline = Instant::now() + Duration::from_secs(20);
    while tokio::net::TcpStream::connect(address).await.is_err() {
        let ended = proxy.child.try_wait().unwrap();
        let log = || fs::read_to_string(proxy.folder.path().join("log")).unwrap_or_default();
        assert!(ended.is_none() && Instant::now() < deadline, "the proxy does not listen: {}", log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    proxy
}

async fn nginx(upstream: SocketAddr) -> Proxy {
    let address = free_address();
    let folder = tempfile::tempdir().unwrap();
    let site = replaced(&example("nginx.conf"), "server 127.0.0.1:8080;", &format!("server {upstream};"));
    let site = replaced(&site, "listen 80;", &format!("listen {address};"));
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {};\n", folder.path().join(name).display()))
        .concat();
    let whole = format!(
        "daemon off;\nmaster_process off;\nerror_log stderr;\npid {};\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}{site}\n}}\n",
        folder.path().join("pid").display()
    );
    let file = folder.path().join("nginx.conf");
    fs::write(&file, whole).unwrap();
    let mut command = Command::new(program("nginx"));
    command.arg("-p").arg(folder.path()).arg("-c").arg(file).arg("-e").arg("stderr");
    start(command, address, folder).await
}

/// `trusting`: Caddy appends to what clients in that network claim, instead of replacing it.
async fn caddy(upstream: SocketAddr, trusting: Option<&str>) -> Proxy {
    let address = free_address();
    let folder = tempfile::tempdir().unwrap();
    let port = address.port();
    let site = replaced(&example("Caddyfile"), "www.example.com {", &format!("http://:{port} {{\n\tbind 127.0.0.1"));
    let options = trusting.map_or_else(String::new, |network| format!(" {{\n\t\ttrusted_proxies {network}\n\t}}"));
    let site = replaced(&site, "127.0.0.1:8080\n}", &format!("{upstream}{options}\n}}"));
    let file = folder.path().join("Caddyfile");
    fs::write(&file, format!("{{\n\tadmin off\n\tauto_https off\n}}\n{site}")).unwrap();
    let mut command = Command::new(program("caddy"));
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(file);
    command.env("HOME", folder.path()).env("XDG_DATA_HOME", folder.path()).env("XDG_CONFIG_HOME", folder.path());
    start(command, address, folder).await
}

/// A browser at [`CLIENT_ADDRESS`] that sends one beacon with this X-Forwarded-For; the whole answer.
async fn send(to: SocketAddr, claimed: Option<&'static str>) -> String {
    let sent = tokio::task::spawn_blocking(move || {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((CLIENT_ADDRESS, 0)).into()).unwrap();
        socket.connect(&to.into()).unwrap();
        let mut stream = std::net::TcpStream::from(socket);
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let body = json!({
            "v": 1, "site": "proxied", "consent": "granted", "client": CLIENT, "events": [{
                "id": "00000000-0000-4000-8000-000000000001", "at": NOW, "type": "pageview",
                "url": "https://www.example.com/",
            }],
        });
        let body = body.to_string();
        let claim = claimed.map_or_else(String::new, |line| format!("X-Forwarded-For: {line}\r\n"));
        write!(
            stream,
            "POST /lfa HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: {FIREFOX}\r\nContent-Type: text/plain\r\n\
             {claim}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    sent.await.unwrap()
}

async fn assert_the_client_is_found(collector: &Collector, proxy: &Proxy) {
    let claims = [None, Some(SPOOFED), Some("127.0.0.1"), Some("203.0.113.66, 127.0.0.1"), Some("nonsense")];
    for claimed in claims {
        let answer = send(proxy.address, claimed).await;
        assert!(answer.starts_with("HTTP/1.1 204"), "{claimed:?}: {answer}");
        // The proxy handed the site's own name on, so that the cookie is the site's.
        assert!(answer.to_ascii_lowercase().contains("; domain=example.com"), "{answer}");
        let spooled = collector.sink.beacons().pop().unwrap();
        assert_eq!(spooled.address, ClientAddress::Ip(CLIENT_ADDRESS.into()), "{claimed:?}");
    }
    assert_eq!(collector.sink.beacons().len(), claims.len());
    assert_eq!(collector.service.untrusted_proxy_requests(), 0);
    assert!(collector.counters.balance().holds());
}

#[tokio::test]
async fn behind_nginx_the_client_is_found() {
    let collector = collector(&["127.0.0.1/32"]).await;
    let proxy = nginx(collector.address).await;
    assert_the_client_is_found(&collector, &proxy).await;
}

#[tokio::test]
async fn behind_caddy_the_client_is_found() {
    let collector = collector(&["127.0.0.1/32"]).await;
    let proxy = caddy(collector.address, None).await;
    assert_the_client_is_found(&collector, &proxy).await;
}

#[tokio::test]
async fn behind_a_caddy_that_appends_the_client_is_found() {
    let collector = collector(&["127.0.0.1/32"]).await;
    let proxy = caddy(collector.address, Some("127.0.0.0/8")).await;
    assert_the_client_is_found(&collector, &proxy).await;
}

#[tokio::test]
async fn behind_caddy_and_nginx_the_client_is_found() {
    let collector = collector(&["127.0.0.1/32"]).await;
    let inner = nginx(collector.address).await;
    let outer = caddy(inner.address, None).await;
    assert_the_client_is_found(&collector, &outer).await;
}

#[tokio::test]
async fn a_proxy_that_nobody_named_is_noticed() {
    let collector = collector(&[]).await;
    let proxy = nginx(collector.address).await;
    for _ in 0..2 {
        assert!(send(proxy.address, None).await.starts_with("HTTP/1.1 204"));
    }
    assert_eq!(collector.service.untrusted_proxy_requests(), 2);
    let spooled = collector.sink.beacons();
    assert_eq!(spooled[0].address, ClientAddress::Ip(Ipv4Addr::LOCALHOST.into()), "the proxy is all that can be seen");
    assert_eq!(collector.counters.balance().dropped[DropReason::Reserved as usize], 0);
}
