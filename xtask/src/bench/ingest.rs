//! `cargo xtask bench ingest`: the door beside a server that does nothing else.

use super::{
    load::{Installation, Load, Loaded, fdatasync_median},
    machine_line,
    process::Server,
};
use crate::{build, error::Error, machine};
use std::{process::Command, thread, time::Duration};

/// What is sent.
#[derive(clap::Args)]
#[group(skip)]
pub(super) struct Arguments {
    /// Seconds of load for each row.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Connections of the load generator.
    #[arg(long, default_value_t = 64)]
    connections: u32,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Error> {
    build::run()?;
    machine::run(machine::cargo().args(["build", "--release", "--package", "collector", "--example", "bare_hyper"]))?;
    let folder = machine::target().join("bench");
    let installation = Installation::new(&folder)?;
    let fdatasync = fdatasync_median(&folder)?;
    let load = Load { connections: arguments.connections, seconds: arguments.seconds, rate: 0 };

    let bare = bare_hyper(load)?;
    let paused = collector(&installation, false, load)?;
    let half_rate = (paused.per_second / 2.0) as u64;
    let half = collector(&installation, false, Load { rate: half_rate, ..load })?;
    let everything = collector(&installation, true, load)?;

    println!("\n{}", machine_line()?);
    println!("fdatasync of 4 KiB, median of 200: {} µs", fdatasync.as_micros());
    println!(
        "{} connections, {} s a row, one pageview a beacon; processor time and memory are the server process's own\n",
        load.connections, load.seconds
    );
    println!(
        "| server | beacons/s | of bare | p50 | p99 | CPU µs/beacon | most anonymous RSS MB | ClickHouse RSS MB | not 2xx |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for (what, row) in [
        ("bare hyper 204", &bare),
        ("collector, ClickHouse away", &paused),
        ("… at half that rate", &half),
        ("collector and ClickHouse", &everything),
    ] {
        println!(
            "| {what} | {:.0} | {:.0} % | {} | {} | {:.1} | {} | {} | {} |",
            row.per_second,
            100.0 * row.per_second / bare.per_second,
            row.median,
            row.p99,
            row.usage.cpu.as_secs_f64() * 1e6 / row.requests.max(1) as f64,
            row.usage.anonymous / 1024,
            row.store_rss.map_or_else(|| "-".to_owned(), |kilobytes| (kilobytes / 1024).to_string()),
            row.refused,
        );
    }
    Ok(())
}

fn bare_hyper(load: Load) -> Result<Loaded, Error> {
    let program = machine::target().join("release").join("examples").join("bare_hyper");
    let mut server = Server::start(Command::new(&program), true)?;
    let address = server.first_line()?;
    load.put_on(&server, &format!("http://{address}/lfa"))
}

fn collector(installation: &Installation, with_store: bool, load: Load) -> Result<Loaded, Error> {
    let server = installation.serve(with_store)?;
    // Its start is not what is measured.
    thread::park_timeout(Duration::from_secs(5));
    load.put_on(&server, &Installation::beacons())
}
