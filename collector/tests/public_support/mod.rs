//! What the tests of the public side share: a sink in memory, a judge with a table, sites to choose from.
#![allow(dead_code, unreachable_pub, reason = "each test file is a crate of its own and uses its part")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is the finding of a test")]

use arc_swap::ArcSwap;
use bytes::Bytes;
use collector::{
    counters::{Balance, Counters, DropReason, RejectRule},
    ingest::{EventSink, LocalJudge, LocalJudgement, Peer, PublicService, Settings, TrackerFile},
    site::{ConsentMode, Site},
    snapshot::{SharedSnapshot, Snapshot},
    spool::{
        AppendError,
        record::{DropCount, Record, SpooledBeacon},
    },
    time::UnixMillis,
};
use firmsight_resolver::NetworkKind;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
};
use tower::ServiceExt;

pub const NOW: i64 = 1_800_000_000_000;
pub const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
pub const CLIENT: &str = "LF1.1.0123456789abcdef.1700000000000";
/// An address of a company, as far as [`Judge`] knows.
pub const COMPANY: &str = "203.0.113.7:50000";

#[derive(Debug, Default)]
pub struct MemorySink {
    pub records: Mutex<Vec<Record>>,
    pub drops: Mutex<Vec<DropCount>>,
    pub refusal: Mutex<Option<AppendError>>,
}

impl MemorySink {
    pub fn beacons(&self) -> Vec<SpooledBeacon> {
        let records = self.records.lock().unwrap();
        let beacons = records.iter().filter_map(|record| match record {
            Record::Beacon(beacon) => Some(beacon.clone()),
            Record::Drops(_) => None,
        });
        beacons.collect()
    }
}

impl EventSink for MemorySink {
    async fn append(&self, record: &Record) -> Result<(), AppendError> {
        self.check()?;
        self.records.lock().unwrap().push(record.clone());
        Ok(())
    }

    fn note_drops(&self, drops: DropCount) {
        self.drops.lock().unwrap().push(drops);
    }

    fn check(&self) -> Result<(), AppendError> {
        self.refusal.lock().unwrap().clone().map_or(Ok(()), Err)
    }
}

/// Networks of the documentation ranges (RFC 5737) play the kinds.
pub struct Judge;

impl LocalJudge for Judge {
    fn judge(&self, address: IpAddr) -> LocalJudgement {
        let is = |network: &str| network.parse::<ipnet::IpNet>().unwrap().contains(&address);
        let (kind, is_final) = if is("127.0.0.0/8") || is("10.0.0.0/8") {
            (NetworkKind::Reserved, true)
        } else if is("198.51.100.0/26") {
            (NetworkKind::Crawler, true)
        } else if is("198.51.100.64/26") {
            (NetworkKind::Anonymizer, true)
        } else if is("198.51.100.128/26") {
            (NetworkKind::Anonymizer, false)
        } else if is("198.51.100.192/26") {
            (NetworkKind::Residential, false)
        } else {
            (NetworkKind::Business, false)
        };
        LocalJudgement { kind, is_final, left_out: None }
    }
}

pub fn site(id: &str, consent: ConsentMode, host: &str) -> Site {
    Site { consent, ..Site::new(id.parse().unwrap(), id, [host]) }
}

/// Sites `required`, `cookieless` and `free` on hosts of their own names under example.com, `identify`
/// which takes names, `own` whose owner sits in 192.0.2.0/24, `addresses` on hosts without a domain.
pub fn sites() -> Snapshot {
    let mut identify = site("identify", ConsentMode::Required, "identify.example.com");
    identify.identify = true;
    let mut own = site("own", ConsentMode::Cookieless, "own.example.com");
    own.own_networks = vec!["192.0.2.0/24".parse().unwrap()];
    let mut addresses = site("addresses", ConsentMode::Cookieless, "localhost");
    addresses.hosts.extend(["127.0.0.1".to_owned(), "[::1]".to_owned()]);
    let sites = [
        site("required", ConsentMode::Required, "required.example.com"),
        site("cookieless", ConsentMode::Cookieless, "cookieless.example.com"),
        site("free", ConsentMode::NotRequired, "free.example.com"),
        identify,
        own,
        addresses,
    ];
    let sites = sites.into_iter().map(|site| (site.id.clone(), Arc::new(site)));
    Snapshot { sites: sites.collect(), loaded: true, ..Snapshot::default() }
}

pub struct Setup {
    pub service: PublicService<Arc<MemorySink>>,
    pub sink: Arc<MemorySink>,
    pub counters: Arc<Counters>,
    pub snapshot: SharedSnapshot,
}

pub struct Answered {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answered {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn cookies(&self) -> Vec<&str> {
        self.headers.get_all(header::SET_COOKIE).iter().map(|value| value.to_str().unwrap()).collect()
    }

    pub fn problem(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/problem+json");
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

impl Setup {
    pub fn new() -> Self {
        Self::with(Settings::default())
    }

    pub fn with(settings: Settings) -> Self {
        Self::with_tracker(settings, &[])
    }

    pub fn with_tracker(settings: Settings, files: &[TrackerFile]) -> Self {
        Self::made_by(|snapshot, counters, sink| {
            let clock = Arc::new(|| UnixMillis(NOW));
            PublicService::with_tracker(settings, files, snapshot, counters, sink, Arc::new(Judge), clock)
        })
    }

    /// With the tracker that this build was given.
    pub fn embedded(settings: Settings) -> Self {
        Self::made_by(|snapshot, counters, sink| {
            PublicService::new(settings, snapshot, counters, sink, Arc::new(Judge), Arc::new(|| UnixMillis(NOW)))
        })
    }

    fn made_by(
        make: impl FnOnce(SharedSnapshot, Arc<Counters>, Arc<MemorySink>) -> PublicService<Arc<MemorySink>>,
    ) -> Self {
        let sink = Arc::new(MemorySink::default());
        let counters = Arc::new(Counters::default());
        let snapshot = Arc::new(ArcSwap::from_pointee(sites()));
        let service = make(Arc::clone(&snapshot), Arc::clone(&counters), Arc::clone(&sink));
        Self { service, sink, counters, snapshot }
    }

    pub async fn send<B>(&self, request: Request<B>) -> Answered
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let answer = self.service.clone().oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answered { status: parts.status, headers: parts.headers, body }
    }

    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answered {
        self.send(request("GET", path, headers, Vec::new())).await
    }

    /// The balance, after checking that it holds and that drops were noted for the owner too.
    pub fn balance(&self) -> Balance {
        let balance = self.counters.balance();
        assert!(balance.holds(), "{balance:?}");
        let noted: u64 = self.sink.drops.lock().unwrap().iter().map(|drops| drops.events).sum();
        assert_eq!(noted, balance.dropped.iter().sum::<u64>());
        let spooled: usize = self.sink.beacons().iter().map(|beacon| beacon.events.len()).sum();
        assert_eq!(balance.in_flight, spooled as u64);
        balance
    }

    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.balance().dropped[reason as usize]
    }

    pub fn rejected(&self, rule: RejectRule) -> u64 {
        self.balance().rejected[rule as usize]
    }

    pub fn undecodable(&self, rule: RejectRule) -> u64 {
        self.balance().undecodable_by_rule[rule as usize]
    }
}

/// A request from [`COMPANY`] unless `peer` is among the headers.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(path);
    let mut peer: SocketAddr = COMPANY.parse().unwrap();
    for (name, value) in headers {
        if *name == "peer" {
            peer = SocketAddr::new(value.parse().unwrap(), 50_000);
        } else {
            request = request.header(*name, *value);
        }
    }
    request.extension(Peer(peer)).body(Full::new(Bytes::from(body))).unwrap()
}

/// A browser's POST of a beacon; `headers` add to the usual ones or replace them, an empty value removes one.
pub fn post(beacon: &Value, headers: &[(&str, &str)]) -> Request<Full<Bytes>> {
    let usual = [("content-type", "text/plain;charset=UTF-8"), ("user-agent", FIREFOX), ("host", "stats.example.com")];
    let kept = usual.into_iter().filter(|(name, _)| !headers.iter().any(|(own, _)| own == name));
    let all: Vec<(&str, &str)> = kept.chain(headers.iter().copied().filter(|(_, value)| !value.is_empty())).collect();
    request("POST", "/lfa", &all, beacon.to_string().into_bytes())
}

/// One pageview on the site's own host.
pub fn pageview(site: &str, consent: &str) -> Value {
    json!({
        "v": 1, "site": site, "consent": consent, "sent": NOW, "events": [{
            "id": "00000000-0000-4000-8000-000000000001", "at": NOW, "type": "pageview",
            "url": format!("https://{site}.example.com/page"), "referrer": "https://search.example/", "title": "Page",
        }],
    })
}

pub fn with_client(mut beacon: Value) -> Value {
    beacon["client"] = json!(CLIENT);
    beacon
}
