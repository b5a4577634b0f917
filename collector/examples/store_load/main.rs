//! The load of `cargo xtask bench reports`, a site's year of traffic through the pipeline and then the time of report queries, and
//! of `cargo xtask bench insert`.
//!
//! `store_load generate FOLDER PAGEVIEWS` fills a store, and goes on where it stopped; `store_load measure FOLDER` asks
//! the reports API, without a socket; `store_load insert FOLDER` times inserts. Beacons are made here and resolved by a table, so what is measured is the store.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark has nobody to answer to")]

mod insert;
mod measure;
mod traffic;

use arc_swap::ArcSwap;
use clickhouse_embedded::{Engine, Server};
use collector::{
    control::ControlError,
    counters::Counters,
    pipeline::{Pipeline, Settings, VisitorKeys},
    snapshot::{SharedSnapshot, Snapshot},
    store::Store,
    time::{UnixMillis, UtcDay},
};
use std::{env, fs, path::Path, sync::Arc, time::Instant};
use traffic::{Companies, Traffic};
use uuid::Uuid;

/// What ClickHouse may take, as on a small machine.
const MEMORY: u64 = 3 << 30;

fn main() {
    clickhouse_embedded::child_main_if_asked();
    let arguments: Vec<String> = env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["generate", folder, pageviews] => {
            runtime.block_on(generate(Path::new(folder), pageviews.parse().unwrap()));
        }
        ["measure", folder] => runtime.block_on(measure::run(Path::new(folder))),
        ["insert", folder] => runtime.block_on(insert::run(Path::new(folder))),
        _ => panic!("store_load generate FOLDER PAGEVIEWS | measure FOLDER | insert FOLDER"),
    }
}

async fn open(folder: &Path) -> (Server, Store) {
    let library = geoip_data::clickhouse_library().filter(|path| path.is_file()).unwrap();
    let settings = clickhouse_embedded::Settings {
        program: env::current_exe().unwrap(),
        max_memory_bytes: MEMORY,
        ..clickhouse_embedded::Settings::new(folder.join("clickhouse"), Engine::Library(library))
    };
    let server = clickhouse_embedded::start(settings).await.unwrap();
    let (name, value) = server.secret_header();
    let store = Store::connect(&collector::store::Settings {
        url: server.url().to_owned(),
        user: String::new(),
        password: String::new(),
        database: "bench".to_owned(),
        header: Some((name.to_owned(), value.to_owned())),
    });
    store.migrate().await.unwrap();
    (server, store)
}

fn snapshot() -> Snapshot {
    let site = traffic::site();
    Snapshot { sites: [(site.id.clone(), Arc::new(site))].into(), loaded: true, ..Snapshot::default() }
}

struct Keys;

impl VisitorKeys for Keys {
    fn visitor_key(&self) -> [u8; 32] {
        [7; 32]
    }

    async fn day_key(&self, day: UtcDay, _: UnixMillis) -> Result<[u8; 32], ControlError> {
        Ok([day.0.to_le_bytes()[0]; 32])
    }
}

/// Makes the pageviews day by day. Each day is a batch of its own, so that one that broke off is repeated.
async fn generate(folder: &Path, pageviews: u64) {
    fs::create_dir_all(folder).unwrap();
    let (server, store) = open(folder).await;
    let shared: SharedSnapshot = Arc::new(ArcSwap::from_pointee(snapshot()));
    let counters = Arc::new(Counters::default());
    let pipeline = Pipeline::new(
        Settings::default(),
        store.clone(),
        Arc::new(Companies),
        Arc::new(Keys),
        shared,
        Arc::clone(&counters),
    );
    let progress = folder.join("days");
    let first = fs::read_to_string(&progress).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    let began = Instant::now();
    let mut made = 0;
    for day in first..traffic::DAYS {
        let beacons = Traffic::of_day(day, pageviews / traffic::DAYS);
        made += beacons.len() as u64;
        counters.receive(beacons.iter().map(|beacon| beacon.events.len() as u64).sum());
        pipeline.process(Uuid::from_u128(u128::from(day) + 1), beacons, Vec::new()).await.unwrap();
        fs::write(&progress, (day + 1).to_string()).unwrap();
        if day % 20 == 19 {
            println!("day {}: {made} pageviews in {:.0} s", day + 1, began.elapsed().as_secs_f64());
        }
    }
    store.hang_up();
    server.stop().await;
}
