//! The load of the benches: a site whose visitors come from 5,000 companies, and wrk, which sends their beacons.

use super::process::{Server, Usage, cpu, rss_kilobytes};
use crate::{
    build,
    debian::{self, Program},
    error::Error,
    machine,
};
use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

const WRK: &[Program] = &[Program { name: "wrk", package: "wrk", purpose: "a load generator on the loopback" }];
const PUBLIC: &str = "127.0.0.1:18080";
const ADMIN: &str = "127.0.0.1:18081";
/// Companies whose visitors `beacon.lua` sends, a /24 of 11.0.0.0/8 each.
const COMPANIES: u32 = 5_000;
/// Between two looks at a server's memory.
const LOOK: Duration = Duration::from_millis(200);

/// How much is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) connections: u32,
    pub(super) seconds: u64,
    /// Beacons a second; 0 = as many as are answered.
    pub(super) rate: u64,
}

/// What wrk and /proc said of it.
pub(super) struct Loaded {
    pub(super) requests: u64,
    pub(super) per_second: f64,
    pub(super) median: String,
    pub(super) p99: String,
    pub(super) refused: u64,
    /// What the server used for it.
    pub(super) usage: Usage,
    /// What the embedded ClickHouse used in the same time, where there is one.
    pub(super) store_cpu: Option<Duration>,
    /// Resident memory of the embedded ClickHouse at the end, in kilobytes.
    pub(super) store_rss: Option<u64>,
}

impl Load {
    /// Sends it to a server that is up.
    pub(super) fn put_on(self, server: &Server, url: &str) -> Result<Loaded, Error> {
        debian::ensure(WRK)?;
        let script = machine::root().join("xtask").join("src").join("bench").join("beacon.lua");
        let run = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() & 0xffff_ffff);
        let store = server.child();
        let before = (server.usage()?, store.map(cpu).transpose()?);
        let mut peak = before.0.anonymous;
        let mut command = Command::new("wrk");
        command
            .args(["--threads", "1", "--latency", "--connections", &self.connections.to_string()])
            .args(["--duration", &format!("{}s", self.seconds)])
            .arg("--script")
            .arg(&script)
            .arg(url)
            .args(["--", &run.to_string(), &self.rate.to_string()])
            .stdout(Stdio::piped());
        let mut wrk = machine::start(&mut command)?;
        while wrk.try_wait().map_err(Error::file("wrk"))?.is_none() {
            peak = peak.max(server.anonymous_kilobytes());
            thread::park_timeout(LOOK);
        }
        let output = wrk.wait_with_output().map_err(Error::file("wrk"))?;
        let printed = String::from_utf8_lossy(&output.stdout);
        let after = (server.usage()?, store.map(cpu).transpose()?);
        let word = |prefix: &str, position: usize| {
            let line = printed.lines().find(|line| line.trim_start().starts_with(prefix))?;
            line.split_whitespace().nth(position).map(str::to_owned)
        };
        let requests = printed
            .lines()
            .find(|line| line.contains(" requests in "))
            .and_then(|line| line.split_whitespace().next())
            .and_then(|count| count.parse().ok())
            .ok_or_else(|| Error::Other(format!("wrk printed no request count:\n{printed}")))?;
        Ok(Loaded {
            requests,
            per_second: word("Requests/sec:", 1).and_then(|text| text.parse().ok()).unwrap_or(0.0),
            median: word("50%", 1).unwrap_or_default(),
            p99: word("99%", 1).unwrap_or_default(),
            refused: word("Non-2xx", 4).and_then(|text| text.parse().ok()).unwrap_or(0),
            usage: Usage { cpu: after.0.cpu.saturating_sub(before.0.cpu), anonymous: peak },
            store_cpu: after.1.zip(before.1).map(|(after, before)| after.saturating_sub(before)),
            store_rss: store.map(rss_kilobytes),
        })
    }
}

/// A collector of its own, in a folder of its own, with the site that the load is for.
pub(super) struct Installation {
    config: PathBuf,
}

impl Installation {
    /// An empty one.
    pub(super) fn new(folder: &Path) -> Result<Self, Error> {
        if folder.exists() {
            fs::remove_dir_all(folder).map_err(Error::file(folder))?;
        }
        fs::create_dir_all(folder).map_err(Error::file(folder))?;
        let (config, rules) = (folder.join("firmsight.toml"), folder.join("rules.txt"));
        let mut lines = String::new();
        for company in 0..COMPANIES {
            let (high, low) = (company / 250, company % 250);
            if writeln!(lines, "11.{high}.{low}.0/24 company company-{company}.com Company {company}").is_err() {
                return Err(Error::Other("a string took no line".to_owned()));
            }
        }
        fs::write(&rules, lines).map_err(Error::file(&rules))?;
        let text = format!(
            "data_dir = {:?}\n[public]\nlisten = \"{PUBLIC}\"\ntrusted_proxies = [\"loopback\"]\n\
             [admin]\nlisten = \"{ADMIN}\"\n[limits]\nbeacons_per_address_per_minute = 0\n\
             [resolver]\ndns = false\nrules_file = {rules:?}\n[spool]\nmax_bytes = \"8GiB\"\n",
            folder.join("data")
        );
        fs::write(&config, text).map_err(Error::file(&config))?;
        let mut command = Command::new(build::binary());
        command.args(["site", "add", "--id", "bench", "--name", "Bench", "--host", "localhost"]);
        // Without a file this command makes the data directory that the server then takes.
        machine::output(command.env("FIRMSIGHT_CONFIG", "").env("FIRMSIGHT_DATA_DIR", folder.join("data")))?;
        Ok(Self { config })
    }

    /// A command on it that is not started yet.
    pub(super) fn command(&self, arguments: &[&str], file: &Path) -> Command {
        let mut command = Command::new(build::binary());
        command.arg("--config").arg(&self.config).args(arguments).arg(file);
        command
    }

    /// Starts it with its embedded ClickHouse, or with none, when events stay in the spool.
    pub(super) fn serve(&self, with_store: bool) -> Result<Server, Error> {
        let mut command = Command::new(build::binary());
        command.arg("serve").arg("--config").arg(&self.config);
        if !with_store {
            // Nothing listens there: the collector serves from its copy of the settings.
            command.env("FIRMSIGHT_CLICKHOUSE__URL", "http://127.0.0.1:9");
        }
        let server = Server::start(command, false)?;
        server.wait_until_ready(&format!("http://{PUBLIC}/healthz"))?;
        Ok(server)
    }

    /// Where beacons go.
    pub(super) fn beacons() -> String {
        format!("http://{PUBLIC}/lfa")
    }

    /// The sum of a metric's samples.
    pub(super) fn metric(name: &str) -> Result<u64, Error> {
        let unread = |error: ureq::Error| Error::Other(format!("/metrics was not read: {error}"));
        let text = ureq::get(format!("http://{ADMIN}/metrics")).call().map_err(unread)?;
        let text = text.into_body().read_to_string().map_err(unread)?;
        let samples = text.lines().filter_map(|line| {
            let (sample, value) = line.rsplit_once(' ')?;
            (sample.split('{').next() == Some(name)).then(|| value.parse::<u64>().ok())?
        });
        Ok(samples.sum())
    }
}

/// What one durable write costs on this disk, the floor under every group commit: the median of 200.
pub(super) fn fdatasync_median(folder: &Path) -> Result<Duration, Error> {
    let path = folder.join("fdatasync");
    let mut file = fs::File::create(&path).map_err(Error::file(&path))?;
    let mut times = Vec::new();
    for _ in 0..200 {
        file.write_all(&[7; 4096]).map_err(Error::file(&path))?;
        let started = Instant::now();
        file.sync_data().map_err(Error::file(&path))?;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    fs::remove_file(&path).map_err(Error::file(&path))?;
    Ok(times[times.len() / 2])
}
