//! `cargo xtask bench`: measures on this machine and prints tables; asserts nothing.

mod page_cost;
mod peers;
mod process;
mod reports;
mod tracker_sizes;

use crate::{
    build,
    debian::{self, Program},
    error::Error,
    machine,
};
use process::{Server, Usage};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// What the task takes.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: Option<What>,
    /// Seconds of load for each row.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Connections of the load generator.
    #[arg(long, default_value_t = 64)]
    connections: u32,
}

/// What is measured in place of the collector.
#[derive(clap::Subcommand)]
enum What {
    /// What a page has to fetch: the tracker's parts and other trackers.
    Tracker,
    /// What the tracker costs a page in Chromium, and what others do.
    PageCost {
        /// Loads of each page; the best counts.
        #[arg(long, default_value_t = 15)]
        loads: u32,
    },
    /// The time of report queries over a year of one busy site, and what a pageview takes on disk.
    Reports {
        /// Pageviews that are made first, through the pipeline; kept for the next run under `target/bench-reports`.
        #[arg(long, default_value_t = 10_000_000)]
        pageviews: u64,
    },
}

const LOAD: &[Program] = &[Program { name: "wrk", package: "wrk", purpose: "a load generator on the loopback" }];

/// One row of the ingest table.
struct Row {
    what: &'static str,
    requests_per_second: f64,
    median: String,
    p99: String,
    refused: u64,
    usage: Usage,
    requests: u64,
    store_rss: Option<u64>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Error> {
    match arguments.what {
        Some(What::Tracker) => tracker_sizes::run(),
        Some(What::PageCost { loads }) => page_cost::run(loads),
        Some(What::Reports { pageviews }) => reports::run(pageviews),
        None => ingest(arguments),
    }
}

fn ingest(arguments: &Arguments) -> Result<(), Error> {
    debian::ensure(LOAD)?;
    build::run()?;
    machine::run(machine::cargo().args(["build", "--release", "--package", "collector", "--example", "bare_hyper"]))?;

    let folder = machine::target().join("bench");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(Error::file(&folder))?;
    }
    fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
    let fdatasync = fdatasync_median(&folder)?;

    let bare = bare_hyper(arguments)?;
    let config = collector_configuration(&folder)?;
    prepare_site(&config)?;
    let idle_and_loaded = collector(&config, "collector, everything on", None, arguments)?;
    // Nothing listens there: the collector serves from its snapshot and keeps events in the spool.
    let paused = collector(&config, "collector, ClickHouse away", Some("http://127.0.0.1:9"), arguments)?;

    println!("\n{}", machine_line());
    println!("fdatasync of 4 KiB, median of 200: {} µs", fdatasync.as_micros());
    println!(
        "{} connections, {} s a row; CPU and memory are the server process's own\n",
        arguments.connections, arguments.seconds
    );
    println!(
        "| server | beacons/s | of bare | p50 | p99 | CPU µs/beacon | anonymous RSS before, after MB | ClickHouse RSS MB | not 2xx |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let yardstick = bare.requests_per_second;
    for row in [&bare, &paused, &idle_and_loaded] {
        println!(
            "| {} | {:.0} | {:.0} % | {} | {} | {:.1} | {}, {} | {} | {} |",
            row.what,
            row.requests_per_second,
            100.0 * row.requests_per_second / yardstick,
            row.median,
            row.p99,
            row.usage.cpu.as_secs_f64() * 1e6 / row.requests.max(1) as f64,
            row.usage.anonymous_before / 1024,
            row.usage.anonymous_after / 1024,
            row.store_rss.map_or_else(|| "-".to_owned(), |kilobytes| (kilobytes / 1024).to_string()),
            row.refused,
        );
    }
    Ok(())
}

fn machine_line() -> String {
    let model = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown processor");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} cores of {}", model.trim_start_matches([' ', '\t', ':']))
}

fn bare_hyper(arguments: &Arguments) -> Result<Row, Error> {
    let program = machine::target().join("release").join("examples").join("bare_hyper");
    let mut server = Server::start(Command::new(&program), true)?;
    let address = server.first_line()?;
    measure("bare hyper 204", &format!("http://{address}/lfa"), &server, None, arguments)
}

fn collector_configuration(folder: &Path) -> Result<PathBuf, Error> {
    let path = folder.join("firmsight.toml");
    let text = format!(
        "data_dir = {:?}\n[public]\nlisten = \"127.0.0.1:18080\"\ntrusted_proxies = [\"loopback\"]\n\
         [admin]\nlisten = \"127.0.0.1:18081\"\n[limits]\nbeacons_per_address_per_minute = 0\n[resolver]\ndns = false\n",
        folder.join("data")
    );
    fs::write(&path, text).map_err(Error::file(&path))?;
    Ok(path)
}

fn prepare_site(config: &Path) -> Result<(), Error> {
    let mut command = Command::new(build::binary());
    command.args(["site", "add", "--id", "bench", "--name", "Bench", "--host", "localhost", "--config"]).arg(config);
    machine::output(&mut command).map(drop)
}

fn collector(config: &Path, what: &'static str, url: Option<&str>, arguments: &Arguments) -> Result<Row, Error> {
    let mut command = Command::new(build::binary());
    command.arg("serve").arg("--config").arg(config);
    if let Some(url) = url {
        command.env("FIRMSIGHT_CLICKHOUSE__URL", url);
    }
    let server = Server::start(command, false)?;
    server.wait_until_ready("http://127.0.0.1:18080/healthz")?;
    // Idle for a moment, so that memory before the load is memory at rest.
    std::thread::park_timeout(Duration::from_secs(5));
    let store = server.child();
    if let Some(pid) = store {
        eprintln!(
            "idle: collector {} MB anonymous, ClickHouse {} MB RSS",
            server.anonymous_kilobytes() / 1024,
            process::rss_kilobytes(pid) / 1024
        );
    }
    measure(what, "http://127.0.0.1:18080/lfa", &server, store, arguments)
}

fn measure(
    what: &'static str,
    url: &str,
    server: &Server,
    store: Option<u32>,
    arguments: &Arguments,
) -> Result<Row, Error> {
    eprintln!("loading: {what}");
    let script = machine::root().join("xtask").join("src").join("bench").join("beacon.lua");
    let run = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() & 0xffff_ffff);
    let before = server.usage()?;
    let printed = machine::output(
        Command::new("wrk")
            .args(["--threads", "1", "--latency", "--connections", &arguments.connections.to_string()])
            .args(["--duration", &format!("{}s", arguments.seconds)])
            .arg("--script")
            .arg(&script)
            .arg(url)
            .args(["--", &run.to_string()]),
    )?;
    let after = server.usage()?;
    let word = |prefix: &str, position: usize| {
        printed
            .lines()
            .find(|line| line.trim_start().starts_with(prefix))
            .and_then(|line| line.split_whitespace().nth(position))
            .unwrap_or("")
            .to_owned()
    };
    let requests = printed
        .lines()
        .find(|line| line.contains(" requests in "))
        .and_then(|line| line.split_whitespace().next())
        .and_then(|count| count.parse().ok())
        .ok_or_else(|| Error::Other(format!("wrk printed no request count:\n{printed}")))?;
    Ok(Row {
        what,
        requests_per_second: word("Requests/sec:", 1).parse().unwrap_or(0.0),
        median: word("50%", 1),
        p99: word("99%", 1),
        refused: word("Non-2xx", 4).parse().unwrap_or(0),
        usage: Usage {
            cpu: after.cpu.saturating_sub(before.cpu),
            anonymous_before: before.anonymous_after,
            anonymous_after: after.anonymous_after,
        },
        requests,
        store_rss: store.map(process::rss_kilobytes),
    })
}

/// What one durable write costs on this disk: the floor under every group commit.
fn fdatasync_median(folder: &Path) -> Result<Duration, Error> {
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
