//! Beacons sent from several connections at once, and what must be stored of them afterwards.

#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, reason = "a failure here is the test's finding")]

use crate::{
    binary::{APPLE, BROWSER, Firmsight, PATIENCE, pageview, send, wait_for},
    support,
};
use clickhouse_embedded::start;
use collector::store::Store;
use std::{
    collections::HashSet,
    io::{BufRead, BufReader, Read},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};
use uuid::Uuid;

/// Connections on which beacons are sent, one after the other, until told to stop or cut off.
pub(crate) struct Senders {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<HashSet<Uuid>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Senders {
    /// Starts `count` of them; visitors are theirs alone within a round.
    pub(crate) fn start(public: SocketAddr, round: usize, count: usize) -> Self {
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::<Mutex<HashSet<Uuid>>>::default());
        let threads = (0..count)
            .map(|number| {
                let (stop, acknowledged) = (Arc::clone(&stop), Arc::clone(&acknowledged));
                std::thread::spawn(move || send_beacons(public, round, number, &stop, &acknowledged))
            })
            .collect();
        Self { stop, acknowledged, threads }
    }

    /// Waits until this many events, in all, were acknowledged.
    pub(crate) fn wait_until_acknowledged(&self, events: usize) {
        wait_for("enough is acknowledged", || self.acknowledged() >= events);
    }

    /// How many events were acknowledged.
    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    /// Ends them; the ids of the events that were acknowledged.
    pub(crate) fn stop(self) -> HashSet<Uuid> {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().unwrap();
        }
        let mut acknowledged = self.acknowledged.lock().unwrap();
        std::mem::take(&mut acknowledged)
    }
}

fn send_beacons(
    public: SocketAddr,
    round: usize,
    number: usize,
    stop: &AtomicBool,
    acknowledged: &Mutex<HashSet<Uuid>>,
) {
    let client = format!("LF1.1.{:016x}.1700000000000", round * 100 + number + 1);
    let Ok(mut stream) = TcpStream::connect(public) else { return };
    stream.set_read_timeout(Some(PATIENCE / 9)).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let headers = [("X-Forwarded-For", APPLE), ("User-Agent", BROWSER), ("Content-Type", "text/plain")];
    for page in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let id = Uuid::new_v4();
        let body = pageview("shop", id, &client, &format!("https://shop.example/{round}/{number}/{page}"));
        if send(&mut stream, "POST", "/lfa", &headers, body.as_bytes(), false).is_err() {
            return;
        }
        match read_answer(&mut reader) {
            Some(204) => {
                acknowledged.lock().unwrap().insert(id);
            }
            Some(_) => {}
            None => return,
        }
    }
}

fn read_answer(reader: &mut BufReader<TcpStream>) -> Option<u16> {
    let mut status = None;
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim().to_ascii_lowercase();
        if status.is_none() {
            status = line.split(' ').nth(1)?.parse().ok();
        } else if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        } else if line.is_empty() {
            let mut body = vec![0; length];
            reader.read_exact(&mut body).ok()?;
            return status;
        }
    }
}

/// A stopped server's tables hold each acknowledged event once, and as many pageviews in visits and company days as
/// events. Gives all events that are stored: one may be stored and not acknowledged when a kill cut the answer off.
pub(crate) fn assert_stored_once(firmsight: &Firmsight, acknowledged: &HashSet<Uuid>) -> HashSet<Uuid> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (stored, visit_pageviews, day_pageviews) = runtime.block_on(async {
        let clickhouse = start(support::server_settings(&firmsight.data_dir().join("clickhouse"))).await.unwrap();
        let store = Store::connect(&support::settings(&clickhouse, "firmsight"));
        let ids: Vec<String> =
            store.client().query_raw("SELECT toString(event_id) FROM events FINAL").fetch_all().await.unwrap();
        let visits: u64 =
            store.client().query_raw("SELECT sum(pageviews) FROM visits FINAL").fetch_one().await.unwrap();
        let days: u64 =
            store.client().query_raw("SELECT sum(pageviews) FROM company_activity FINAL").fetch_one().await.unwrap();
        clickhouse.stop().await;
        (ids, visits, days)
    });
    let distinct: HashSet<Uuid> = stored.iter().map(|id| id.parse().unwrap()).collect();
    assert_eq!(distinct.len(), stored.len(), "no event is stored twice");
    let lost = acknowledged.difference(&distinct).count();
    assert_eq!(lost, 0, "of {} acknowledged events", acknowledged.len());
    assert_eq!(visit_pageviews, stored.len() as u64, "visits count each stored pageview once");
    assert_eq!(day_pageviews, stored.len() as u64, "company days count each stored pageview once");
    distinct
}
