//! Logs that real nginx and Caddy write, in several formats at once: every request is read, whatever stands in its headers.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is the finding of a test")]

use collector::{
    import::{
        Importer, Summary,
        chunk::ChunkReader,
        format::{Forms, Reading, Recogniser, compile},
        input::ChunkSplitter,
        page::PageRules,
    },
    site::Site,
    spool::record::SpooledBeacon,
    time::UnixMillis,
};
use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const AGENT: &str = "Mozilla/5.0 (X11; \"quoted\"; back\\slash; äöü) Gecko/20100101 Firefox/140.0";
/// What is asked: two pages with queries and odd characters, a file, a page that isn't there.
const REQUESTS: [&str; 4] = ["/?q=1", "/a%20b/?x=\"y\"", "/style.css", "/missing"];
const PAGEVIEWS: u64 = 2;

/// A server that ends with the test.
struct Server {
    child: Child,
    folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Server {
    fn start(mut command: Command, address: SocketAddr, folder: tempfile::TempDir) -> Self {
        let log = fs::File::create(folder.path().join("server.log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut server = Self { child: command.spawn().unwrap(), folder };
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(address).is_err() {
            let log = || fs::read_to_string(server.folder.path().join("server.log")).unwrap_or_default();
            assert!(server.child.try_wait().unwrap().is_none() && Instant::now() < deadline, "{}", log());
            thread::park_timeout(Duration::from_millis(20));
        }
        server
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
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

fn ask(address: SocketAddr, host: &str) {
    for target in REQUESTS {
        let mut stream = TcpStream::connect(address).unwrap();
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {AGENT}\r\nReferer: https://example.org/\r\n\
             Accept-Language: de-DE,de;q=0.9\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 "), "{}", String::from_utf8_lossy(&answer));
    }
}

/// Waits until a log has all requests, then reads it.
fn import(log: &Path, forms: Forms) -> (Summary, Vec<SpooledBeacon>) {
    let deadline = Instant::now() + Duration::from_secs(10);
    let lines = || fs::read(log).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count();
    while lines() < REQUESTS.len() && Instant::now() < deadline {
        thread::park_timeout(Duration::from_millis(20));
    }
    let reader = ChunkReader {
        recogniser: Recogniser::new(forms, Reading::default()),
        rules: PageRules { site: Site::new("shop".parse().unwrap(), "Shop", hosts()), collector_paths: Vec::new() },
        now: UnixMillis::now(),
    };
    let mut splitter = ChunkSplitter::new(fs::File::open(log).unwrap());
    let mut importer = Importer::new(reader.rules.site.id.clone());
    let mut batches = Vec::new();
    while let Some(lines) = splitter.next_chunk().unwrap() {
        batches.extend(importer.add(reader.read(&lines)));
    }
    let (last, summary) = importer.finish();
    batches.extend(last);
    (summary, batches.into_iter().flat_map(|batch| batch.beacons).collect())
}

/// Checks a log; `agent` is what it says of the browser, which some can't write as it was.
fn check(log: &Path, forms: Forms, agent: Option<&str>) {
    let text = fs::read_to_string(log).unwrap_or_default();
    let (summary, beacons) = import(log, forms);
    assert_eq!(
        (summary.lines, summary.pageviews, summary.unparsable),
        (REQUESTS.len() as u64, PAGEVIEWS, 0),
        "{}: {summary:?}\n{text}",
        log.display()
    );
    let now = UnixMillis::now().0;
    for beacon in beacons {
        assert_eq!(beacon.user_agent, agent.unwrap_or_default(), "{}\n{text}", log.display());
        assert!((now - beacon.received.0).abs() < 600_000, "{}: {:?}", log.display(), beacon.received);
    }
}

/// Every `time_format` that Caddy has a name for.
const TIME_FORMS: [&str; 10] = [
    "unix_seconds_float",
    "unix_milli_float",
    "unix_nano",
    "iso8601",
    "rfc3339",
    "rfc3339_nano",
    "wall",
    "wall_milli",
    "wall_nano",
    "common_log",
];

fn host_of(name: &str) -> String {
    format!("{}.example.com", name.replace('_', "-"))
}

fn hosts() -> Vec<String> {
    TIME_FORMS.into_iter().chain(["www", "filtered"]).map(host_of).collect()
}

const CUSTOM: &str =
    r#"$time_iso8601|$host|$remote_addr|$request_method $request_uri|$status|"$http_user_agent"|$request_time"#;

fn nginx() -> (Server, SocketAddr) {
    let address = free_address();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    for page in ["", "a b"] {
        fs::create_dir_all(root.join(page)).unwrap();
        fs::write(root.join(page).join("index.html"), "page").unwrap();
    }
    fs::write(root.join("style.css"), "").unwrap();
    let json = r#"'{"remote_addr":"$remote_addr","time":"$time_iso8601","request":"$request","status":"$status","http_user_agent":"$http_user_agent","host":"$host"}'"#;
    let at = |name: &str| folder.path().join(name).display().to_string();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {};\n", at(name)))
        .concat();
    let configuration = format!(
        "daemon off;\nmaster_process off;\nerror_log stderr;\npid {pid};\nevents {{}}\nhttp {{\n{temporary}\
         log_format vhost '$host:$server_port $remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \"$http_referer\" \"$http_user_agent\"';\n\
         log_format bare escape=default {json};\nlog_format json escape=json {json};\nlog_format custom '{CUSTOM}';\n\
         log_format ltsv 'time:$time_local\\thost:$remote_addr\\treq:$request\\tstatus:$status\\tua:$http_user_agent\\tvhost:$host';\n\
         access_log {combined};\naccess_log {vhost} vhost;\naccess_log {bare} bare;\naccess_log {escaped} json;\n\
         access_log {custom} custom;\naccess_log {ltsv} ltsv;\n\
         server {{ listen {address}; root {root}; }}\n}}\n",
        pid = at("pid"),
        combined = at("combined.log"),
        vhost = at("vhost.log"),
        bare = at("bare.json"),
        escaped = at("escaped.json"),
        custom = at("custom.log"),
        ltsv = at("ltsv.log"),
        root = root.display(),
    );
    let file = folder.path().join("nginx.conf");
    fs::write(&file, configuration).unwrap();
    let mut command = Command::new(program("nginx"));
    command.arg("-p").arg(folder.path()).arg("-c").arg(file).arg("-e").arg("stderr");
    (Server::start(command, address, folder), address)
}

#[test]
fn what_nginx_writes_is_read_in_every_format_of_its_own() {
    let (server, address) = nginx();
    ask(address, "www.example.com");
    for log in ["combined.log", "vhost.log", "bare.json", "escaped.json", "ltsv.log"] {
        check(&server.path(log), Forms::Any, Some(AGENT));
    }
    let layout = compile(CUSTOM, "x-forwarded-for").unwrap();
    check(&server.path("custom.log"), Forms::Layout(layout), Some(AGENT));
}

#[test]
fn what_caddy_writes_is_read_with_times_in_all_its_forms() {
    let address = free_address();
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("root/a b")).unwrap();
    for file in ["root/index.html", "root/a b/index.html", "root/style.css"] {
        fs::write(folder.path().join(file), "page").unwrap();
    }
    // This Caddy writes one log for each site: a site for each form of time, and one whose headers are filtered out.
    let site = |name: &str, format: &str| {
        let (root, log) = (folder.path().join("root"), folder.path().join(format!("{name}.json")));
        format!(
            "http://{}:{} {{\nbind 127.0.0.1\nroot * {}\nfile_server\nlog {{\noutput file {}\nformat {format}\n}}\n}}\n",
            host_of(name),
            address.port(),
            root.display(),
            log.display()
        )
    };
    let mut configuration = "{\nadmin off\nauto_https off\n}\n".to_owned();
    for form in TIME_FORMS {
        configuration += &site(form, &format!("json {{\ntime_format {form}\n}}"));
    }
    configuration += &site("filtered", "filter {\nwrap json\nfields {\nrequest>headers delete\n}\n}");
    let file = folder.path().join("Caddyfile");
    fs::write(&file, configuration).unwrap();
    let mut command = Command::new(program("caddy"));
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(file);
    command.env("HOME", folder.path()).env("XDG_DATA_HOME", folder.path()).env("XDG_CONFIG_HOME", folder.path());
    let server = Server::start(command, address, folder);
    for form in TIME_FORMS {
        ask(address, &format!("{}:{}", host_of(form), address.port()));
        check(&server.path(&format!("{form}.json")), Forms::Any, Some(AGENT));
    }
    ask(address, &format!("{}:{}", host_of("filtered"), address.port()));
    check(&server.path("filtered.json"), Forms::Any, None);
}
