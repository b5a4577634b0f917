//! `cargo xtask bench soak`: whether memory and file descriptors stay where they are while everything works for long.

use super::{
    load::{Installation, Load},
    machine_line,
};
use crate::{build, error::Error, machine};

/// Seconds of load between two lines of the table; each has connections of its own.
const SECONDS_A_LINE: u64 = 60;

/// What is sent.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// How long.
    #[arg(long, default_value_t = 30)]
    minutes: u64,
    /// Beacons a second, of one pageview each.
    #[arg(long, default_value_t = 25_000)]
    rate: u64,
    /// Connections of the load generator.
    #[arg(long, default_value_t = 64)]
    connections: u32,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Error> {
    build::run()?;
    let installation = Installation::new(&machine::target().join("bench"))?;
    let server = installation.serve(true)?;
    println!("\n{}\n", machine_line()?);
    println!(
        "| minute | beacons/s | p99 | not 2xx | most anonymous RSS MB | file descriptors | events waiting | ClickHouse RSS MB |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for minute in 1..=arguments.minutes {
        let load = Load { connections: arguments.connections, seconds: SECONDS_A_LINE, rate: arguments.rate };
        let loaded = load.put_on(&server, &Installation::beacons())?;
        println!(
            "| {minute} | {:.0} | {} | {} | {} | {} | {} | {} |",
            loaded.per_second,
            loaded.p99,
            loaded.refused,
            loaded.usage.anonymous / 1024,
            server.file_descriptors(),
            Installation::metric("firmsight_spool_events")?,
            loaded.store_rss.unwrap_or_default() / 1024,
        );
    }
    Ok(())
}
