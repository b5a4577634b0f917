//! The proxy examples with hosts of their own, in the real nginx, Caddy and Apache, beside a website that is there already: its
//! pages and its way from http to https stay, beacons arrive with the visitor's address, and no log keeps them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is the test's finding")]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// What a visitor claims to be.
const SPOOFED: &str = "203.0.113.66";

/// A listener of Firmsight's, as the proxy sees it: answers with its name and what it was told.
fn upstream(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || answer(name, stream.unwrap()));
        }
    });
    address
}

fn answer(name: &str, mut stream: TcpStream) {
    let head =
        BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    let told: Vec<String> = head.map(|line| line.to_ascii_lowercase()).collect();
    let body = format!("{name}\n{}\n", told.join("\n"));
    let length = body.len();
    drop(write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"));
}

/// A proxy in a folder of its own; ends with the test.
struct Proxy {
    folder: tempfile::TempDir,
    child: Child,
    http: u16,
    https: u16,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    let found = folders.map(|folder| folder.join(name)).find(|file| file.is_file());
    found.unwrap_or_else(|| panic!("{name} is not installed: `cargo xtask test` installs what tests need"))
}

/// The example with the test's ports and certificate in place of the real ones.
fn example(name: &str, folder: &Path, (http, https): (u16, u16)) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/proxies").join(name);
    let certificate = folder.join("certificate.pem").display().to_string();
    let key = folder.join("key.pem").display().to_string();
    let (public, reports) = (upstream("public").to_string(), upstream("reports").to_string());
    let mut text = fs::read_to_string(path).unwrap();
    for (from, to) in [
        ("127.0.0.1:8080", public.as_str()),
        ("127.0.0.1:8081", &reports),
        ("/etc/letsencrypt/live/stats.example.com/fullchain.pem", &certificate),
        ("/etc/letsencrypt/live/stats.example.com/privkey.pem", &key),
        ("listen 80;", &format!("listen 127.0.0.1:{http};")),
        ("listen 443 ssl;", &format!("listen 127.0.0.1:{https} ssl;")),
        ("*:80>", &format!("*:{http}>")),
        ("*:443>", &format!("*:{https}>")),
    ] {
        text = text.replace(from, to);
    }
    text
}

fn make_certificate(folder: &Path) {
    let made = Command::new(program("openssl"))
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=stats.example.com",
            "-keyout",
        ])
        .arg(folder.join("key.pem"))
        .arg("-out")
        .arg(folder.join("certificate.pem"))
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

fn start(mut command: Command, folder: tempfile::TempDir, (http, https): (u16, u16)) -> Proxy {
    let log = fs::File::create(folder.path().join("output")).unwrap();
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    let mut proxy = Proxy { child: command.spawn().unwrap(), folder, http, https };
    let deadline = Instant::now() + Duration::from_secs(30);
    while [http, https].iter().any(|port| TcpStream::connect(("127.0.0.1", *port)).is_err()) {
        let output = || fs::read_to_string(proxy.folder.path().join("output")).unwrap_or_default();
        assert!(proxy.child.try_wait().unwrap().is_none() && Instant::now() < deadline, "no proxy: {}", output());
        thread::park_timeout(Duration::from_millis(50));
    }
    proxy
}

/// Head and body of the answer to a request for a host.
fn ask(proxy: &Proxy, scheme: &str, host: &str, path: &str) -> String {
    let port = if scheme == "https" { proxy.https } else { proxy.http };
    let output = Command::new(program("curl"))
        .args(["--silent", "--show-error", "--insecure", "--include", "--max-time", "20", "--noproxy", "*"])
        .args(["--resolve", &format!("{host}:{port}:127.0.0.1"), "--header", &format!("X-Forwarded-For: {SPOOFED}")])
        .arg(format!("{scheme}://{host}:{port}{path}"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{host}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).to_ascii_lowercase()
}

fn assert_all_stand_beside_each_other(proxy: &Proxy) {
    let beacon = ask(proxy, "https", "stats.example.com", "/lfa.js?site=secret-mark");
    assert!(beacon.contains("\npublic\n") && beacon.contains("/lfa.js?site=secret-mark"), "{beacon}");
    assert!(beacon.contains("host: stats.example.com"), "{beacon}");
    let forwarded = beacon.lines().find_map(|line| line.strip_prefix("x-forwarded-for: ")).unwrap();
    assert!(forwarded.trim().ends_with("127.0.0.1"), "the visitor's own address is the last: {forwarded}");
    assert!(beacon.contains("x-forwarded-proto: https"), "{beacon}");
    assert!(ask(proxy, "https", "reports.example.com", "/accounts").contains("\nreports\n"));

    // The website goes on as before, and every name leads from http to https.
    assert!(ask(proxy, "https", "www.example.com", "/lfa.js").contains("the website"));
    for host in ["www.example.com", "stats.example.com", "reports.example.com"] {
        let answer = ask(proxy, "http", host, "/page?a=1");
        let location =
            answer.lines().find_map(|line| line.strip_prefix("location: ")).unwrap_or_default().trim().to_owned();
        assert!(
            location.starts_with(&format!("https://{host}")) && location.ends_with("/page?a=1"),
            "{host}: {answer}"
        );
    }
    for entry in fs::read_dir(proxy.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let is_log = path.extension().is_some_and(|extension| extension == "log");
        let kept = if is_log { fs::read_to_string(&path).unwrap() } else { String::new() };
        assert!(!kept.contains("secret-mark"), "{} keeps a beacon: {kept}", path.display());
    }
}

#[test]
fn nginx_serves_both_hosts_beside_a_website() {
    let folder = tempfile::tempdir().unwrap();
    make_certificate(folder.path());
    let ports @ (http, https) = (free_port(), free_port());
    let here = folder.path().display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {here}/{name};\n"))
        .concat();
    let whole = format!(
        "daemon off;\nmaster_process off;\nerror_log stderr;\npid {here}/pid;\nevents {{}}\nhttp {{\n{temporary}\
         access_log {here}/access.log;\n\
         server {{ listen 127.0.0.1:{http}; server_name www.example.com; return 301 https://$host$request_uri; }}\n\
         server {{ listen 127.0.0.1:{https} ssl; server_name www.example.com; ssl_certificate {here}/certificate.pem;\n\
         ssl_certificate_key {here}/key.pem; location / {{ return 200 \"the website\"; }} }}\n{}\n}}\n",
        example("nginx-stats-host.conf", folder.path(), ports)
    );
    fs::write(folder.path().join("nginx.conf"), whole).unwrap();
    let mut command = Command::new(program("nginx"));
    command.arg("-p").arg(folder.path()).arg("-c").arg(folder.path().join("nginx.conf")).args(["-e", "stderr"]);
    assert_all_stand_beside_each_other(&start(command, folder, ports));
}

#[test]
fn caddy_serves_both_hosts_beside_a_website() {
    let folder = tempfile::tempdir().unwrap();
    let ports @ (http, https) = (free_port(), free_port());
    let here = folder.path().display();
    let whole = format!(
        "{{\n\tadmin off\n\tlocal_certs\n\tskip_install_trust\n\thttp_port {http}\n\thttps_port {https}\n\tdefault_bind 127.0.0.1\n}}\n\
         www.example.com {{\n\tlog {{\n\t\toutput file {here}/access.log\n\t}}\n\trespond \"the website\"\n}}\n{}",
        example("Caddyfile-stats-host", folder.path(), ports)
    );
    fs::write(folder.path().join("Caddyfile"), whole).unwrap();
    let mut command = Command::new(program("caddy"));
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(folder.path().join("Caddyfile"));
    command.env("HOME", folder.path()).env("XDG_DATA_HOME", folder.path()).env("XDG_CONFIG_HOME", folder.path());
    assert_all_stand_beside_each_other(&start(command, folder, ports));
}

#[test]
fn apache_serves_both_hosts_beside_a_website() {
    let folder = tempfile::tempdir().unwrap();
    make_certificate(folder.path());
    let ports @ (http, https) = (free_port(), free_port());
    let here = folder.path().display();
    let modules: String =
        ["mpm_event", "authz_core", "alias", "headers", "proxy", "proxy_http", "rewrite", "ssl", "socache_shmcb"]
            .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"))
            .concat();
    let website = folder.path().join("website");
    fs::create_dir(&website).unwrap();
    fs::write(website.join("lfa.js"), "the website").unwrap();
    // Apache's workers are another user's.
    fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let whole = format!(
        "ServerRoot {here}\nServerName localhost\nPidFile {here}/pid\nErrorLog {here}/error.log\nMutex file:{here}\n{modules}\
         User www-data\nGroup www-data\nListen 127.0.0.1:{http}\nListen 127.0.0.1:{https}\n\
         <VirtualHost *:{http}>\nServerName www.example.com\nCustomLog {here}/access.log \"%r\"\n\
         RewriteEngine On\nRewriteRule ^ https://%{{HTTP_HOST}}%{{REQUEST_URI}} [R=301,L]\n</VirtualHost>\n\
         <VirtualHost *:{https}>\nServerName www.example.com\nCustomLog {here}/access.log \"%r\"\nSSLEngine on\n\
         SSLCertificateFile {here}/certificate.pem\nSSLCertificateKeyFile {here}/key.pem\nDocumentRoot {here}/website\n</VirtualHost>\n{}",
        example("apache-stats-host.conf", folder.path(), ports)
    );
    fs::write(folder.path().join("apache.conf"), whole).unwrap();
    let mut command = Command::new(program("apache2"));
    command.arg("-X").arg("-f").arg(folder.path().join("apache.conf"));
    assert_all_stand_beside_each_other(&start(command, folder, ports));
}
