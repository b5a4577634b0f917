//! Visitors who send what no person sends: they cost the others nothing, on the real engine.

#![allow(clippy::unwrap_used, reason = "a failure here is the test's finding")]

mod support;

use beacon::{ClientId, Consent, EventKind};
use clickhouse::{RowOwned, RowRead};
use collector::{
    control::ControlError,
    counters::{Counters, DropReason},
    pipeline::{DailyAllowance, Pipeline, Settings, VisitorKeys, set_aside::Subject, verdicts::Resolve},
    sealing::MasterKey,
    site::Site,
    snapshot::{SharedSnapshot, Snapshot},
    spool::{
        self, Spool,
        record::{ClientAddress, Record, SpooledBeacon, SpooledEvent},
    },
    store::Store,
    time::{UnixMillis, UtcDay},
};
use firmsight_resolver::{
    Company, CompanyId, Confidence, EvidenceList, Location, NameAnswer, NetworkKind, Source, Verdict,
};
use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Within this time an honest visitor's events are stored and counted, whatever others send.
const STORED_WITHIN: Duration = Duration::from_secs(15);
const UNLIMITED: DailyAllowance = DailyAllowance { events: 0, bytes: 0 };

/// Every address is a company of its own.
struct Companies;

impl Resolve for Companies {
    fn local(&self, ip: IpAddr) -> Arc<Verdict> {
        let domain = format!("company-{ip}.example");
        let company = Company {
            id: CompanyId::of_domain(&domain),
            name: domain.clone().into(),
            domain: Some(domain.into()),
            found_by: None,
            industry: None,
            source: Source::Asn,
            confidence: Confidence::new(0.75),
        };
        Arc::new(Verdict {
            ip: Some(ip),
            kind: NetworkKind::Business,
            company: Some(company),
            location: Arc::new(Location { country_code: "DE".into(), region: String::new(), city: String::new() }),
            asn: None,
            ptr: NameAnswer::NotAsked,
            is_final: false,
            evidence: EvidenceList::default(),
            left_out: None,
        })
    }

    async fn resolve(&self, ip: IpAddr) -> Arc<Verdict> {
        self.local(ip)
    }

    fn judge_name(&self, _: &str) -> Arc<Verdict> {
        panic!("no names here")
    }
}

struct Keys;

impl VisitorKeys for Keys {
    fn visitor_key(&self) -> [u8; 32] {
        [7; 32]
    }

    async fn day_key(&self, _: UtcDay, _: UnixMillis) -> Result<[u8; 32], ControlError> {
        Ok([8; 32])
    }
}

/// A spool with a pipeline that empties it.
struct World {
    store: Store,
    pipeline: Arc<Pipeline<Companies, Keys>>,
    counters: Arc<Counters>,
    spool: Spool,
    stop: CancellationToken,
    _folder: tempfile::TempDir,
}

impl World {
    async fn with(allowance: DailyAllowance) -> Self {
        let store = support::store().await;
        let site = Site { identify: true, ..Site::new("shop".parse().unwrap(), "Shop", ["shop.example"]) };
        let sites = [(site.id.clone(), Arc::new(site))].into();
        let snapshot = Snapshot { sites, loaded: true, ..Snapshot::default() };
        let snapshot: SharedSnapshot = Arc::new(arc_swap::ArcSwap::from_pointee(snapshot));
        let counters = Arc::new(Counters::default());
        let settings = Settings {
            visitor_allowance: allowance,
            first_wait: Duration::from_millis(10),
            round_interval: Duration::from_millis(100),
            ..Settings::default()
        };
        let (resolver, keys) = (Arc::new(Companies), Arc::new(Keys));
        let pipeline = Pipeline::new(settings, store.clone(), resolver, keys, snapshot, Arc::clone(&counters));
        let pipeline = Arc::new(pipeline);
        let folder = tempfile::tempdir().unwrap();
        let settings =
            spool::Settings { segment_age: Duration::from_millis(200), ..spool::Settings::new(folder.path()) };
        let (spool, _) = Spool::open(settings, &MasterKey::from_bytes([1; 32])).unwrap();
        let stop = CancellationToken::new();
        tokio::spawn({
            let (pipeline, spool, stop) = (Arc::clone(&pipeline), spool.clone(), stop.clone());
            async move { pipeline.run(spool, stop).await }
        });
        Self { store, pipeline, counters, spool, stop, _folder: folder }
    }

    async fn send(&self, beacon: SpooledBeacon) {
        self.counters.receive(beacon.events.len() as u64);
        self.spool.append(&Record::Beacon(beacon)).await.unwrap();
    }

    async fn all<T: RowOwned + RowRead>(&self, sql: &str) -> Vec<T> {
        self.store.in_time(self.store.client().query(sql).fetch_all()).await.unwrap()
    }

    /// How long until this company's day is counted with so many pageviews.
    async fn counted_within(&self, ip: &str, pageviews: u64) -> Duration {
        let began = Instant::now();
        let company = CompanyId::of_domain(&format!("company-{ip}.example")).0;
        loop {
            let sql =
                format!("SELECT toUInt64(sum(pageviews)) FROM company_activity FINAL WHERE company_id = {company}");
            if self.all::<u64>(&sql).await == [pageviews] {
                return began.elapsed();
            }
            assert!(began.elapsed() < Duration::from_secs(60), "{ip} is not counted after a minute");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn settled(&self) {
        while self.counters.balance().in_flight > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(self.counters.balance().holds());
    }
}

fn beacon(client: u64, ip: &str, events: Vec<SpooledEvent>) -> SpooledBeacon {
    let address = ClientAddress::Ip(ip.parse().unwrap());
    let site = "shop".parse().unwrap();
    SpooledBeacon {
        client: Some(ClientId { random: client, created_ms: 1 }),
        ..SpooledBeacon::new(site, address, UnixMillis::now(), Consent::Granted, events)
    }
}

fn event(kind: EventKind) -> SpooledEvent {
    SpooledEvent {
        url: "https://shop.example/prices".into(),
        ..SpooledEvent::new(Uuid::new_v4(), UnixMillis::now(), kind)
    }
}

/// Seven events with as many properties as there may be.
fn poison() -> SpooledBeacon {
    let props = format!(r#"{{"x":"{}"}}"#, "0123456789abcdef".repeat(511));
    let custom = |_| SpooledEvent { name: "x".into(), props: props.as_str().into(), ..event(EventKind::Custom) };
    let mut events: Vec<SpooledEvent> = (0..6).map(custom).collect();
    events.push(event(EventKind::Pageview));
    beacon(666, "198.51.100.1", events)
}

/// An honest visitor comes while poison arrives: how long until they are counted, the longest.
async fn honest_visitor_beside(world: &World, rounds: u64, poison_per_round: usize) -> Duration {
    let mut longest = Duration::ZERO;
    for round in 1..=rounds {
        for _ in 0..poison_per_round {
            world.send(poison()).await;
        }
        world.send(beacon(round, "192.0.2.1", vec![event(EventKind::Pageview)])).await;
        longest = longest.max(world.counted_within("192.0.2.1", round).await);
    }
    longest
}

#[tokio::test]
async fn a_poison_visitor_delays_nobody_even_where_no_allowance_stops_it() {
    // The attack that stopped storage for every site was 4,800 of these beacons; each round made the next one dearer.
    let rounds = if std::env::var_os("FIRMSIGHT_LONG_TESTS").is_some() { 24 } else { 3 };
    let world = World::with(UNLIMITED).await;
    let longest = honest_visitor_beside(&world, rounds, 200).await;
    assert!(longest < STORED_WITHIN, "{longest:?}");
    world.settled().await;
    let visits =
        world.all::<(u32, u32)>("SELECT pageviews, events FROM visits FINAL ORDER BY events DESC LIMIT 1").await;
    let beacons = 200 * u32::try_from(rounds).unwrap();
    assert_eq!(visits, [(beacons, 7 * beacons)], "what it sent is counted like anybody's");
    world.stop.cancel();
}

#[tokio::test]
async fn a_visitor_has_a_daily_allowance_and_what_goes_beyond_is_dropped_and_counted() {
    let world = World::with(DailyAllowance { events: 100, bytes: 0 }).await;
    let longest = honest_visitor_beside(&world, 2, 50).await;
    assert!(longest < STORED_WITHIN, "{longest:?}");
    world.settled().await;
    let balance = world.counters.balance();
    let limit = DropReason::ALL.iter().position(|reason| *reason == DropReason::VisitorLimit).unwrap();
    assert_eq!((balance.stored, balance.dropped[limit]), (102, 600));
    let sql = "SELECT sum(events) FROM drops FINAL WHERE reason = 'visitor-limit'";
    assert_eq!(world.all::<u64>(sql).await, [600]);
    world.stop.cancel();
}

#[tokio::test]
async fn a_visitor_with_more_events_than_a_rebuild_may_read_is_set_aside_and_everybody_else_is_counted() {
    let world = World::with(UNLIMITED).await;
    for _ in 0..1_001 {
        world.send(beacon(666, "198.51.100.1", (0..50).map(|_| event(EventKind::Custom)).collect())).await;
    }
    world.send(beacon(666, "198.51.100.1", vec![event(EventKind::Pageview)])).await;
    for honest in 1..=3 {
        world.send(beacon(honest, "192.0.2.1", vec![event(EventKind::Pageview)])).await;
    }
    let took = world.counted_within("192.0.2.1", 3).await;
    assert!(took < STORED_WITHIN, "{took:?}");
    world.settled().await;
    let set_aside = world.pipeline.set_aside();
    assert_eq!(set_aside.len(), 1, "{set_aside:?}");
    assert!(matches!(&set_aside[0].subject, Subject::Visitor { site, .. } if site == "shop"));
    assert_eq!(world.pipeline.set_aside_counts().total, 1);
    let rows = world.all::<(String, String, u32)>("SELECT kind, reason, failures FROM set_aside FINAL").await;
    assert_eq!((rows.len(), rows[0].0.as_str(), rows[0].2), (1, "visitor", 1));
    assert!(rows[0].1.contains("more than 50000 events"), "{}", rows[0].1);
    // It costs nothing any more, and its base rows are stored.
    world.send(beacon(666, "198.51.100.1", vec![event(EventKind::Custom)])).await;
    world.settled().await;
    assert_eq!(world.all::<u64>("SELECT count() FROM events").await, [50_055]);
    world.stop.cancel();
}

#[tokio::test]
async fn pages_with_the_longest_addresses_make_no_wide_rows() {
    let world = World::with(UNLIMITED).await;
    let long = |number: usize| SpooledEvent {
        url: format!("https://shop.example/{number}/{}", "x".repeat(4_000)).into(),
        ..event(EventKind::Pageview)
    };
    for visitor in 0..40 {
        let events: Vec<_> = (0..50).map(|page| long(visitor * 50 + page)).collect();
        world.send(beacon(1_000 + visitor as u64, "198.51.100.1", events)).await;
    }
    world.send(beacon(1, "192.0.2.1", vec![event(EventKind::Pageview)])).await;
    let took = world.counted_within("192.0.2.1", 1).await;
    assert!(took < STORED_WITHIN, "{took:?}");
    world.settled().await;
    let sql = "SELECT max(arraySum(arrayMap(path -> toUInt64(length(path)), route_path))), toUInt64(sum(pageviews)) FROM visits FINAL";
    let (widest, pageviews) = world.all::<(u64, u64)>(sql).await[0];
    assert!(widest <= 64 << 10, "{widest}");
    assert_eq!(pageviews, 2_001);
    world.stop.cancel();
}

#[tokio::test]
async fn what_visitors_say_of_themselves_is_kept_though_properties_are_not_read() {
    let world = World::with(UNLIMITED).await;
    let identify = |props: &str| SpooledEvent { props: props.into(), ..event(EventKind::Identify) };
    let events = vec![
        event(EventKind::Pageview),
        identify(r#"{"email":"old@example.com","first_name":"Ada"}"#),
        SpooledEvent { at: UnixMillis(UnixMillis::now().0 + 5), ..identify(r#"{"email":"ada@example.com"}"#) },
    ];
    let mut sent = beacon(1, "192.0.2.1", events);
    sent.received = UnixMillis(sent.received.0 + 10);
    world.send(sent).await;
    world.settled().await;
    let sql = "SELECT email, first_name, last_name FROM visits FINAL";
    let said = world.all::<(String, String, String)>(sql).await;
    assert_eq!(said, [("ada@example.com".to_owned(), "Ada".to_owned(), String::new())]);
    world.stop.cancel();
}

#[tokio::test]
async fn clocks_from_all_centuries_make_no_more_partitions_than_honest_ones_and_repeats_count_once() {
    let world = World::with(UNLIMITED).await;
    let clocks = (2000..2050).map(|year| UnixMillis(946_684_800_000 + (year - 2000) * 31_557_600_000));
    let events: Vec<_> = clocks.map(|at| SpooledEvent { at, ..event(EventKind::Pageview) }).collect();
    for _ in 0..2 {
        world.send(beacon(666, "198.51.100.1", events.clone())).await;
        world.settled().await;
    }
    let sql = "SELECT uniqExact(partition) FROM system.parts WHERE database = currentDatabase() AND table = 'events' AND active";
    let partitions = world.all::<u64>(sql).await[0];
    assert!(partitions <= 3, "{partitions} partitions");
    assert_eq!(world.all::<u64>("SELECT count() FROM events FINAL").await, [50]);
    assert_eq!(world.all::<u64>("SELECT toUInt64(sum(pageviews)) FROM visits FINAL").await, [50]);
    world.stop.cancel();
}

#[tokio::test]
async fn withdrawals_with_ids_that_nobody_has_delay_nobody_and_real_ones_are_carried_out() {
    let world = World::with(UNLIMITED).await;
    world.send(beacon(7, "192.0.2.7", vec![event(EventKind::Pageview)])).await;
    world.counted_within("192.0.2.7", 1).await;
    for unknown in 0..114 {
        world.send(beacon(1_000 + unknown, "198.51.100.1", vec![event(EventKind::Forget)])).await;
    }
    world.send(beacon(7, "192.0.2.7", vec![event(EventKind::Forget)])).await;
    world.send(beacon(1, "192.0.2.1", vec![event(EventKind::Pageview)])).await;
    let took = world.counted_within("192.0.2.1", 1).await;
    assert!(took < STORED_WITHIN, "{took:?}");
    world.counted_within("192.0.2.7", 0).await;
    assert_eq!(world.all::<u64>("SELECT uniqExact(visitor) FROM forgotten").await, [115]);
    assert_eq!(world.all::<u64>("SELECT count() FROM events").await, [1]);
    world.stop.cancel();
}
