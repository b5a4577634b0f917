//! `cargo xtask bench`: measures on this machine and prints tables; asserts nothing.

mod import;
mod ingest;
mod insert;
mod load;
mod page_cost;
mod peers;
mod pipeline;
mod process;
mod reports;
mod resolver;
mod soak;
mod tracker_sizes;

use crate::{error::Error, machine};
use std::{fs, process::Command};

/// What the task takes.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: Option<What>,
    /// Of `ingest`, which is what is measured where nothing is named.
    #[command(flatten)]
    ingest: ingest::Arguments,
}

/// What is measured.
#[derive(clap::Subcommand)]
enum What {
    /// The door: beacons a second beside a bare hyper server, with the store away and with everything on.
    Ingest(ingest::Arguments),
    /// From the spool to company days: how fast what waits is stored, and how much a steady stream leaves waiting.
    Pipeline(pipeline::Arguments),
    /// Memory and file descriptors, minute by minute, while everything works.
    Soak(soak::Arguments),
    /// What a page has to fetch: the tracker's parts and other trackers.
    Tracker,
    /// What the tracker costs a page in Chromium, and what others do.
    PageCost {
        /// Loads of each page; the best counts.
        #[arg(long, default_value_t = 15)]
        loads: u32,
    },
    /// An access log into companies, beside GoAccess with GeoIP.
    Import(import::Arguments),
    /// Events into ClickHouse, by how many an insert has.
    Insert,
    /// What verdicts and names cost.
    Resolver,
    /// The time of report queries over a year of one busy site, and what a pageview takes on disk.
    Reports {
        /// Pageviews that are made first, through the pipeline; kept for the next run under `target/bench-reports`.
        #[arg(long, default_value_t = 10_000_000)]
        pageviews: u64,
    },
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Error> {
    match &arguments.what {
        None => ingest::run(&arguments.ingest),
        Some(What::Ingest(arguments)) => ingest::run(arguments),
        Some(What::Pipeline(arguments)) => pipeline::run(arguments),
        Some(What::Soak(arguments)) => soak::run(arguments),
        Some(What::Tracker) => tracker_sizes::run(),
        Some(What::PageCost { loads }) => page_cost::run(*loads),
        Some(What::Import(arguments)) => import::run(arguments),
        Some(What::Insert) => insert::run(),
        Some(What::Resolver) => resolver::run(),
        Some(What::Reports { pageviews }) => reports::run(*pageviews),
    }
}

/// Machine and versions, for the top of a table.
fn machine_line() -> Result<String, Error> {
    let model = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown processor");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let rustc = machine::output(Command::new("rustc").arg("--version"))?;
    Ok(format!(
        "{cores} cores of {}; Linux {}; {rustc}; Firmsight {}; ClickHouse {}",
        model.trim_start_matches([' ', '\t', ':']),
        kernel.trim(),
        env!("CARGO_PKG_VERSION"),
        geoip_data::CLICKHOUSE.version,
    ))
}
