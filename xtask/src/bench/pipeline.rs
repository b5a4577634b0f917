//! `cargo xtask bench pipeline`: from the spool to company days, with ClickHouse on the same processors.
//!
//! *Drain*: the spool is filled while the store is away; then the collector is started with its store, and is timed from the
//! first event stored to the last. *Steady*: beacons come at a fixed rate while all of it works; what waits at the end says
//! whether the rate was kept up with.

use super::{
    load::{Installation, Load, fdatasync_median},
    machine_line,
    process::{self, Server},
};
use crate::{build, error::Error, machine};
use std::{
    thread,
    time::{Duration, Instant},
};

/// Between two looks at the counters.
const LOOK: Duration = Duration::from_millis(100);
/// How long what waits may take to be stored.
const PATIENCE: Duration = Duration::from_secs(1_800);

/// What is sent.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Seconds of full load by which the spool is filled before the drain.
    #[arg(long, default_value_t = 40)]
    fill: u64,
    /// Beacons a second, of one pageview each, of the steady load.
    #[arg(long, default_value_t = 25_000)]
    rate: u64,
    /// Seconds of the steady load; 0 leaves it out.
    #[arg(long, default_value_t = 300)]
    seconds: u64,
    /// Connections of the load generator.
    #[arg(long, default_value_t = 64)]
    connections: u32,
}

/// How storing what waits went.
struct Stored {
    events: u64,
    took: Duration,
    cpu: Duration,
    store_cpu: Duration,
    /// Most anonymous memory of the collector, in kilobytes.
    anonymous: u64,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Error> {
    build::run()?;
    let folder = machine::target().join("bench");
    let installation = Installation::new(&folder)?;
    let fdatasync = fdatasync_median(&folder)?;

    let server = installation.serve(false)?;
    let load = Load { connections: arguments.connections, seconds: arguments.fill, rate: 0 };
    load.put_on(&server, &Installation::beacons())?;
    drop(server);
    let server = installation.serve(true)?;
    let drain = until_stored(&server)?;

    println!("\n{}", machine_line()?);
    println!("fdatasync of 4 KiB, median of 200: {} µs\n", fdatasync.as_micros());
    println!("| what | events | events/s | collector CPU µs/event | ClickHouse CPU µs/event | most anonymous RSS MB |");
    println!("|---|---|---|---|---|---|");
    print_row("drain of a full spool", &drain);
    drop(server);
    if arguments.seconds == 0 {
        return Ok(());
    }

    let installation = Installation::new(&folder)?;
    let server = installation.serve(true)?;
    let load = Load { connections: arguments.connections, seconds: arguments.seconds, rate: arguments.rate };
    let loaded = load.put_on(&server, &Installation::beacons())?;
    let waiting = Installation::metric("firmsight_spool_events")?;
    let stored = Installation::metric("firmsight_events_stored_total")?;
    let rest = until_stored(&server)?;
    let per_event = |cpu: Duration| cpu.as_secs_f64() * 1e6 / loaded.requests.max(1) as f64;
    println!(
        "| steady, {} a second asked for {} s | {} | {:.0} | {:.1} | {:.1} | {} |",
        arguments.rate,
        arguments.seconds,
        loaded.requests,
        loaded.per_second,
        per_event(loaded.usage.cpu),
        per_event(loaded.store_cpu.unwrap_or_default()),
        loaded.usage.anonymous / 1024,
    );
    println!(
        "\nsteady: answered p50 {}, p99 {}, not 2xx {}; when the load ended {stored} events were stored ({:.0} a second) and {waiting} \
         waited, which took {:.1} s more",
        loaded.median,
        loaded.p99,
        loaded.refused,
        stored as f64 / arguments.seconds as f64,
        rest.took.as_secs_f64(),
    );
    Ok(())
}

fn print_row(what: &str, stored: &Stored) {
    let per_event = |cpu: Duration| cpu.as_secs_f64() * 1e6 / stored.events.max(1) as f64;
    println!(
        "| {what} | {} | {:.0} | {:.1} | {:.1} | {} |",
        stored.events,
        stored.events as f64 / stored.took.as_secs_f64().max(0.001),
        per_event(stored.cpu),
        per_event(stored.store_cpu),
        stored.anonymous / 1024,
    );
}

/// Waits until nothing waits any more. The clock starts when the tables are there: what comes before is the start.
fn until_stored(server: &Server) -> Result<Stored, Error> {
    let deadline = Instant::now() + PATIENCE;
    while Installation::metric("firmsight_store_up")? == 0 {
        patience(deadline)?;
    }
    let store = server.child();
    let (began, before) = (Instant::now(), server.usage()?.cpu);
    let store_before = store.map(process::cpu).transpose()?.unwrap_or_default();
    let stored_before = Installation::metric("firmsight_events_stored_total")?;
    let mut anonymous = 0;
    while Installation::metric("firmsight_events_in_flight")? > 0 {
        anonymous = anonymous.max(server.anonymous_kilobytes());
        patience(deadline)?;
    }
    Ok(Stored {
        events: Installation::metric("firmsight_events_stored_total")? - stored_before,
        took: began.elapsed(),
        cpu: server.usage()?.cpu.saturating_sub(before),
        store_cpu: store.map(process::cpu).transpose()?.unwrap_or_default().saturating_sub(store_before),
        anonymous,
    })
}

fn patience(deadline: Instant) -> Result<(), Error> {
    if Instant::now() > deadline {
        return Err(Error::Other(format!("events still wait for the store after {} s", PATIENCE.as_secs())));
    }
    thread::park_timeout(LOOK);
    Ok(())
}
