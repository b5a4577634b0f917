//! The time of report queries: the reports API over the store that was filled, asked without a socket.
//!
//! Each list is asked for over another window (or company) each time, so that no request repeats the one before it. What
//! a request read is the difference of the server's counters around one request that is alone.

use super::{open, snapshot, traffic};
use axum::{Router, body::Body};
use collector::{
    admin::{AdminServices, AdminSettings, Audit},
    control::Control,
    counters::Counters,
    feed::{Feed, Filter, NumberRange, TextMatch},
    reports::ResolveForReports,
    sealing::MasterKey,
    serve::admin_listener,
    snapshot::{ApiKey, Role, Snapshot},
    store::Store,
    time::UnixMillis,
};
use firmsight_resolver::{CompanyId, Verdict};
use http::Request;
use http_body_util::BodyExt;
use jiff::{ToSpan, civil::Date, civil::date};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    future::Future,
    net::IpAddr,
    path::Path,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use traffic::{COMPANIES, DAYS, Random, domain, site};
use uuid::Uuid;

const TOKEN: &str = "bench";
const FEED: Uuid = Uuid::from_u128(77);
/// The first of the days that were made.
const FIRST_DAY: Date = date(2025, 9, 28);
/// Requests of each kind by one client alone.
const ALONE: u64 = 60;
/// Clients at once, and requests of each.
const CLIENTS: u64 = 16;
const EACH: u64 = 15;

/// What is asked for.
#[derive(Clone, Copy)]
enum Asked {
    Leads,
    Visits,
    CompanyVisits,
    Feed,
    TimeSeries,
    Breakdown,
}

impl Asked {
    const ALL: [Self; 6] =
        [Self::Leads, Self::Visits, Self::CompanyVisits, Self::Feed, Self::TimeSeries, Self::Breakdown];

    const fn name(self) -> &'static str {
        match self {
            Self::Leads => "leads",
            Self::Visits => "visits",
            Self::CompanyVisits => "one company's visits",
            Self::Feed => "feed of three filters",
            Self::TimeSeries => "time series by day",
            Self::Breakdown => "breakdown by source",
        }
    }

    fn path(self, dates: &str, company: u64) -> String {
        match self {
            Self::Leads => format!("/accounts/shop/leads?{dates}&page[size]=100"),
            Self::Visits => format!("/accounts/shop/visits?{dates}&page[size]=100"),
            Self::CompanyVisits => {
                let id = CompanyId::of_domain(&domain(company));
                format!("/accounts/shop/leads/{id}/visits?{dates}&page[size]=100")
            }
            Self::Feed => format!("/accounts/shop/custom-feeds/{FEED}/leads?{dates}&page[size]=100"),
            Self::TimeSeries => format!("/v1/sites/shop/time-series?{dates}&interval=day"),
            Self::Breakdown => format!("/v1/sites/shop/breakdowns/source?{dates}"),
        }
    }
}

/// Resolves nothing: no report of these asks.
struct Nobody;

impl ResolveForReports for Nobody {
    fn verdict(&self, _: IpAddr) -> Pin<Box<dyn Future<Output = Arc<Verdict>> + Send + '_>> {
        unreachable!("no address is asked for")
    }

    fn verdict_on_name(&self, _: &str) -> Verdict {
        unreachable!("no name is asked for")
    }
}

fn with_key_and_feed() -> Snapshot {
    let token_sha256: [u8; 32] = Sha256::digest(TOKEN).into();
    let key = ApiKey {
        id: Uuid::from_u128(1),
        name: "bench".to_owned(),
        sites: None,
        role: Role::Read,
        token_sha256,
        created_at: UnixMillis(0),
        expires_at: None,
        requests_per_minute: None,
        requests_per_month: None,
        user: None,
    };
    let feed = Feed {
        id: FEED,
        site: site().id,
        name: "German and Austrian buyers".to_owned(),
        folder: String::new(),
        filter: Filter::All(vec![
            Filter::Country(TextMatch::Is(vec!["DE".to_owned(), "AT".to_owned()])),
            Filter::Page(TextMatch::Contains(vec!["pricing".to_owned()])),
            Filter::Visits(NumberRange { min: Some(3), max: None }),
        ]),
        created_at: UnixMillis(0),
    };
    Snapshot {
        keys: HashMap::from([(token_sha256, Arc::new(key))]),
        feeds: HashMap::from([(FEED, Arc::new(feed))]),
        ..snapshot()
    }
}

fn router(store: &Store, folder: &Path) -> Router {
    let control = Control::open(store.clone(), MasterKey::from_bytes([7; 32]), folder.join("mirror"));
    control.snapshot().store(Arc::new(with_key_and_feed()));
    let (audit, mut writer) = Audit::new(store.clone());
    tokio::spawn(async move { writer.run(CancellationToken::new()).await });
    admin_listener::router(AdminServices {
        store: store.clone(),
        snapshot: control.snapshot(),
        control,
        audit,
        usage: Arc::default(),
        counters: Arc::new(Counters::default()),
        resolver: Arc::new(Nobody),
        metrics: Vec::new(),
        readiness: Vec::new(),
        settings: AdminSettings {
            base_url: "http://127.0.0.1".to_owned(),
            script_path: "/lfa.js".to_owned(),
            public_url: None,
            requests_per_minute: 0,
            metrics_needs_key: false,
            pseudonym_key: [7; 32],
            allowed_networks: Vec::new(),
        },
        clock: UnixMillis::now,
    })
}

/// Another window of so many days for each number.
fn dates(days: u64, number: u64) -> String {
    let latest = DAYS - days;
    let first = if latest == 0 { 0 } else { number * 7 % latest };
    // A window of all days ends a little earlier each time.
    let length = if latest == 0 { days - number % 5 } else { days };
    let day = |number: u64| FIRST_DAY.saturating_add((number as i64).days());
    format!("start_date={}&end_date={}", day(first), day(first + length - 1))
}

async fn ask(router: Router, asked: Asked, days: u64, number: u64) -> Duration {
    let company = Random::seeded(number).skewed(COMPANIES);
    let path = asked.path(&dates(days, number), company).replace('[', "%5B").replace(']', "%5D");
    let request = Request::get(&path).header("x-api-key", TOKEN).body(Body::empty()).unwrap();
    let began = Instant::now();
    let response = router.oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let took = began.elapsed();
    assert!(status.is_success(), "{path}: {status} {}", String::from_utf8_lossy(&body));
    took
}

/// What the server has read since it began: rows, marks, bytes.
async fn read_so_far(store: &Store) -> [u64; 3] {
    let sql = "SELECT toUInt64(sumIf(value, event = 'SelectedRows')), toUInt64(sumIf(value, event = 'SelectedMarks')), \
        toUInt64(sumIf(value, event = 'SelectedBytes')) FROM system.events";
    let (rows, marks, bytes) = store.client().query(sql).fetch_one::<(u64, u64, u64)>().await.unwrap();
    [rows, marks, bytes]
}

fn percentile(times: &mut [Duration], percent: usize) -> f64 {
    times.sort_unstable();
    times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e3
}

/// Prints the tables.
pub(crate) async fn run(folder: &Path) {
    let (server, store) = open(folder).await;
    let router = router(&store, folder);
    wait_for_merges(&store).await;
    sizes(&store).await;
    println!("| list | days | p50 ms | p95 ms | p50 ms of {CLIENTS} | p95 ms of {CLIENTS} | rows read | marks | MB |");
    println!("|---|---|---|---|---|---|---|---|---|");
    for asked in Asked::ALL {
        for days in [30, DAYS] {
            ask(router.clone(), asked, days, 0).await;
            let before = read_so_far(&store).await;
            ask(router.clone(), asked, days, 1).await;
            let [rows, marks, bytes] = read_so_far(&store).await;

            let mut alone = Vec::new();
            for number in 0..ALONE {
                alone.push(ask(router.clone(), asked, days, number).await);
            }
            let mut clients = JoinSet::new();
            let next = Arc::new(AtomicU64::new(ALONE));
            for _ in 0..CLIENTS {
                let (router, next) = (router.clone(), Arc::clone(&next));
                clients.spawn(async move {
                    let mut times = Vec::new();
                    for _ in 0..EACH {
                        times.push(ask(router.clone(), asked, days, next.fetch_add(1, Ordering::Relaxed)).await);
                    }
                    times
                });
            }
            let mut together = clients.join_all().await.concat();
            println!(
                "| {} | {days} | {:.0} | {:.0} | {:.0} | {:.0} | {} | {} | {:.1} |",
                asked.name(),
                percentile(&mut alone, 50),
                percentile(&mut alone, 95),
                percentile(&mut together, 50),
                percentile(&mut together, 95),
                rows - before[0],
                marks - before[1],
                (bytes - before[2]) as f64 / 1e6,
            );
        }
    }
    store.hang_up();
    server.stop().await;
}

/// A store that was just filled merges for a while.
async fn wait_for_merges(store: &Store) {
    let sql = "SELECT count() FROM system.merges";
    while store.client().query(sql).fetch_one::<u64>().await.unwrap() > 0 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Bytes on disk by table and column, for each page view.
async fn sizes(store: &Store) {
    let sql = "SELECT countIf(type = 'pageview') FROM events FINAL";
    let pageviews = store.client().query(sql).fetch_one::<u64>().await.unwrap();
    let sql = "SELECT table, column, sum(column_data_compressed_bytes) AS bytes FROM system.parts_columns \
        WHERE active AND database = currentDatabase() AND table IN ('events', 'visits', 'company_activity', 'companies') \
        GROUP BY table, column ORDER BY table, bytes DESC";
    let columns = store.client().query(sql).fetch_all::<(String, String, u64)>().await.unwrap();
    println!("{pageviews} page views; bytes on disk for each:\n");
    println!("| table | bytes a page view | largest columns |");
    println!("|---|---|---|");
    for table in ["events", "visits", "company_activity", "companies"] {
        let own: Vec<_> = columns.iter().filter(|(name, ..)| name == table).collect();
        let each = |bytes: u64| bytes as f64 / pageviews as f64;
        let total: u64 = own.iter().map(|(.., bytes)| bytes).sum();
        let largest: Vec<String> =
            own.iter().take(12).map(|(_, column, bytes)| format!("{column} {:.2}", each(*bytes))).collect();
        println!("| {table} | {:.1} | {} |", each(total), largest.join(", "));
    }
    println!();
}
