//! How fast events are inserted, each insert synced before it is acknowledged, by how many rows it has; beside ClickHouse copying the
//! same rows from one table into another of the same kind, which asks nothing of anybody.

use super::{open, traffic};
use collector::{
    pipeline::{
        device,
        rows::{VisitorKey, rows_of},
        verdicts::Resolve,
    },
    spool::record::{ClientAddress, SpooledBeacon},
    store::{EventRow, Store},
};
use std::{path::Path, time::Instant};
use traffic::{Companies, Traffic, site};

/// Rows of each measurement.
const ROWS: usize = 300_000;
/// Rows of one insert; a busy collector's have some 25,000.
const PORTIONS: [usize; 4] = [1_000, 5_000, 25_000, 100_000];

/// Fills an empty store several times and prints a table.
pub(crate) async fn run(folder: &Path) {
    let (server, store) = open(folder).await;
    let rows = rows();
    let mut measured = Vec::new();
    for portion in PORTIONS {
        execute(&store, "TRUNCATE TABLE events").await;
        let began = Instant::now();
        let mut times = Vec::new();
        for (number, rows) in rows.chunks(portion).enumerate() {
            let insert_began = Instant::now();
            store.insert_events(&format!("{portion}-{number}"), rows).await.unwrap();
            times.push(insert_began.elapsed());
        }
        times.sort_unstable();
        measured.push((portion, rows.len() as f64 / began.elapsed().as_secs_f64(), times[times.len() / 2]));
    }
    execute(&store, "CREATE TABLE copied AS events").await;
    let began = Instant::now();
    execute(&store, "INSERT INTO copied SELECT * FROM events").await;
    let copied = rows.len() as f64 / began.elapsed().as_secs_f64();

    println!("| rows an insert | events/s | of copying | median of an insert, ms |");
    println!("|---|---|---|---|");
    for (portion, per_second, median) in measured {
        let share = 100.0 * per_second / copied;
        println!("| {portion} | {per_second:.0} | {share:.0} % | {:.1} |", median.as_secs_f64() * 1e3);
    }
    println!("| copied inside ClickHouse | {copied:.0} | 100 % | |");
    store.hang_up();
    server.stop().await;
}

async fn execute(store: &Store, sql: &str) {
    store.client().query(sql).execute().await.unwrap();
}

fn rows() -> Vec<EventRow> {
    let site = site();
    let row = |(number, beacon): (usize, &SpooledBeacon)| {
        let ClientAddress::Ip(ip) = beacon.address else { unreachable!("only addresses are made") };
        let device = device::read(&beacon.user_agent);
        rows_of(beacon, &site, VisitorKey(number as u64 / 4), &Companies.local(ip), &device).collect::<Vec<_>>()
    };
    let beacons = (0..).flat_map(|day| Traffic::of_day(day, ROWS as u64 / 30)).take(ROWS).collect::<Vec<_>>();
    beacons.iter().enumerate().flat_map(row).collect()
}
