//! Beacons become visits and company days on the real engine: repeats, late arrivals, failures half-way and forgetting.

#![allow(clippy::unwrap_used, reason = "a failure here is the test's finding")]

mod support;

use beacon::{ClientId, Consent, EventKind};
use clickhouse::{Row, RowOwned, RowRead};
use collector::{
    control::ControlError,
    counters::{Counters, DropReason},
    pipeline::{
        Pipeline, Processed, Settings, VisitorKeys,
        rebuild::KeptFor,
        verdicts::Resolve,
        visits::{VisitTimeout, assemble},
    },
    sealing::MasterKey,
    site::Site,
    snapshot::{SharedSnapshot, Snapshot},
    spool::{
        self, Spool,
        record::{ClientAddress, DropCount, Record, SpooledBeacon, SpooledEvent},
    },
    store::{CompanyDayRow, DropRow, EventRow, Store, VisitRow},
    time::{UnixMillis, UtcDay},
};
use firmsight_resolver::{
    Company, CompanyId, Confidence, EvidenceList, Location, NameAnswer, NetworkKind, Source, Verdict,
};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// 2026-03-28 00:00 UTC, the day before Europe's clocks change.
const START: i64 = 1_774_656_000_000;

/// 192.0.2.N is company N; 198.51.100.0/24 are homes.
struct Addresses;

impl Resolve for Addresses {
    fn local(&self, ip: IpAddr) -> Arc<Verdict> {
        let IpAddr::V4(v4) = ip else { panic!("only IPv4 here") };
        let company = (v4.octets()[0] == 192).then(|| {
            let domain = format!("company{}.example", v4.octets()[3]);
            Company {
                id: CompanyId::of_domain(&domain),
                name: domain.to_uppercase().into(),
                domain: Some(domain.into()),
                found_by: None,
                industry: Some("Finance".into()),
                source: Source::Asn,
                confidence: Confidence::new(0.75),
            }
        });
        Arc::new(Verdict {
            ip: Some(ip),
            kind: if company.is_some() { NetworkKind::Business } else { NetworkKind::Residential },
            company,
            location: Arc::new(Location { country_code: "DE".into(), region: String::new(), city: "Kiel".into() }),
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

    async fn day_key(&self, day: UtcDay, _: UnixMillis) -> Result<[u8; 32], ControlError> {
        Ok([day.0.to_le_bytes()[0]; 32])
    }
}

struct World {
    store: Store,
    pipeline: Arc<Pipeline<Addresses, Keys>>,
    counters: Arc<Counters>,
}

fn world_on(store: Store) -> World {
    world_keeping(store, KeptFor::default())
}

fn world_keeping(store: Store, kept_for: KeptFor) -> World {
    let sites = [("berlin", "Europe/Berlin"), ("apia", "Pacific/Apia")].map(|(id, timezone)| Site {
        timezone: timezone.to_owned(),
        identify: true,
        ..Site::new(id.parse().unwrap(), id, ["shop.example"])
    });
    let snapshot = Snapshot {
        users: HashMap::new(),
        sites: sites.map(|site| (site.id.clone(), Arc::new(site))).into(),
        loaded: true,
        ..Snapshot::default()
    };
    let snapshot: SharedSnapshot = Arc::new(arc_swap::ArcSwap::from_pointee(snapshot));
    let counters = Arc::new(Counters::default());
    let settings = Settings {
        kept_for,
        first_wait: Duration::from_millis(1),
        longest_wait: Duration::from_millis(20),
        round_interval: Duration::from_millis(1),
        ..Settings::default()
    };
    let pipeline =
        Pipeline::new(settings, store.clone(), Arc::new(Addresses), Arc::new(Keys), snapshot, Arc::clone(&counters));
    World { store, pipeline: Arc::new(pipeline), counters }
}

async fn world() -> World {
    world_on(support::store().await)
}

impl World {
    async fn process(&self, batch: u128, beacons: &[SpooledBeacon]) -> Processed {
        self.counters.receive(beacons.iter().map(|beacon| beacon.events.len() as u64).sum());
        let processed = self.pipeline.process(Uuid::from_u128(batch), beacons.to_vec(), Vec::new()).await.unwrap();
        assert!(self.counters.balance().holds());
        processed
    }

    /// Puts beacons into a spool, as ingest does.
    async fn spool(&self, spool: &Spool, beacons: &[SpooledBeacon]) {
        for beacon in beacons {
            self.counters.receive(1);
            spool.append(&Record::Beacon(beacon.clone())).await.unwrap();
        }
    }

    async fn run(&self, sql: &str) {
        self.store.in_time(self.store.client().query(sql).execute()).await.unwrap();
    }

    async fn all<T: RowOwned + RowRead>(&self, from: &str) -> Vec<T> {
        let sql = format!("SELECT ?fields FROM {from}");
        self.store.in_time(self.store.client().query(&sql).fetch_all()).await.unwrap()
    }

    async fn visits(&self) -> Vec<VisitRow> {
        let mut rows: Vec<VisitRow> = self.all("visits FINAL ORDER BY site, started_at, visit_id").await;
        rows.iter_mut().for_each(|row| row.version = 0);
        rows
    }

    async fn company_days(&self) -> Vec<CompanyDayRow> {
        let mut rows: Vec<CompanyDayRow> = self.all("company_activity FINAL ORDER BY site, day, company_id").await;
        rows.iter_mut().for_each(|row| row.version = 0);
        rows
    }

    /// Visits and company days.
    async fn counted(&self) -> (Vec<VisitRow>, Vec<CompanyDayRow>) {
        (self.visits().await, self.company_days().await)
    }
}

fn event(id: u128, at: i64, kind: EventKind) -> SpooledEvent {
    SpooledEvent {
        url: format!("https://shop.example/page{}?utm_campaign=c{id}", id % 7).into(),
        title: format!("Page {}", id % 7).into(),
        ..SpooledEvent::new(Uuid::from_u128(id), UnixMillis(at), kind)
    }
}

/// A beacon with one event, received when it happened; `client` 0 is a visitor without an id.
fn beacon(site: &str, client: u64, company: u8, event: SpooledEvent) -> SpooledBeacon {
    let address = ClientAddress::Ip(IpAddr::from([192, 0, 2, company]));
    SpooledBeacon {
        user_agent: "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0".into(),
        language: "de".into(),
        client: (client != 0).then_some(ClientId { random: client, created_ms: 1 }),
        ..SpooledBeacon::new(site.parse().unwrap(), address, event.at, Consent::Granted, vec![event])
    }
}

fn pageview(site: &str, client: u64, company: u8, id: u128, at: i64) -> SpooledBeacon {
    beacon(site, client, company, event(id, at, EventKind::Pageview))
}

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for position in (1..items.len()).rev() {
            items.swap(position, self.below(position as u64 + 1) as usize);
        }
    }
}

/// Four days of some visitors of two sites, who change networks now and then.
fn history() -> Vec<SpooledBeacon> {
    let mut numbers = Numbers(1);
    let mut beacons = Vec::new();
    let mut id = 0;
    for site in ["berlin", "apia"] {
        for client in 0..6 {
            let mut time = START + (numbers.below(24) as i64) * HOUR;
            let mut last_page = None;
            while time < START + 4 * DAY {
                id += 1;
                let company = (1 + (client + numbers.below(8) / 7) % 4) as u8;
                let kind = if numbers.below(4) == 0 { EventKind::Engagement } else { EventKind::Pageview };
                let mut next = event(id, time, kind);
                if kind == EventKind::Pageview {
                    last_page = Some(next.id);
                } else {
                    (next.page, next.visible_ms, next.scroll) = (last_page, 1_000 * numbers.below(100) as u32, 50);
                }
                beacons.push(beacon(site, client, company, next));
                time += match numbers.below(10) {
                    0 => 9 * HOUR + (numbers.below(600) as i64) * MINUTE,
                    1..=3 => 28 * MINUTE + (numbers.below(4 * 60) as i64) * 1_000,
                    _ => (numbers.below(1_200) as i64) * 1_000,
                };
            }
        }
    }
    beacons
}

#[tokio::test]
async fn late_repeated_and_shuffled_beacons_give_the_same_visits_and_company_days_as_all_in_order() {
    let beacons = history();
    let ordered = world().await;
    let processed = ordered.process(1, &beacons).await;
    assert_eq!((processed.stored, processed.dropped.len()), (beacons.len() as u64, 0));
    let expected = ordered.counted().await;
    assert!(expected.0.len() > 50 && expected.1.len() > 20, "{} visits, {} days", expected.0.len(), expected.1.len());

    let shuffled = world().await;
    let mut numbers = Numbers(2);
    let mut mixed = beacons.clone();
    mixed.extend_from_within(..beacons.len() / 3);
    numbers.shuffle(&mut mixed);
    let mut rest = mixed.as_slice();
    let mut batch = 0;
    while !rest.is_empty() {
        batch += 1;
        let (now, later) = rest.split_at(rest.len().min(10 + numbers.below(150) as usize));
        shuffled.process(batch, now).await;
        rest = later;
    }
    assert_eq!(shuffled.counted().await, expected);
    assert_eq!(shuffled.all::<EventRow>("events FINAL").await.len(), beacons.len());

    shuffled.run("OPTIMIZE TABLE events FINAL").await;
    shuffled.run("OPTIMIZE TABLE visits FINAL").await;
    shuffled.run("OPTIMIZE TABLE company_activity FINAL").await;
    shuffled.process(1, &mixed[..20]).await;
    assert_eq!(shuffled.counted().await, expected);
}

#[tokio::test]
async fn what_is_stored_as_visits_is_what_the_core_assembles() {
    let world = world().await;
    world.process(1, &history()).await;
    let events: Vec<EventRow> = world.all("events FINAL").await;
    let assembled: Vec<_> = assemble(&events, VisitTimeout::default())
        .iter()
        .map(|visit| (visit.landing.site.clone(), visit.started_at(), visit.id(), visit.ended_at, visit.visible_ms()))
        .collect();
    let stored: Vec<_> = world
        .visits()
        .await
        .into_iter()
        .map(|row| (row.site, row.started_at, row.visit_id, row.ended_at, row.visible_ms))
        .collect();
    assert_eq!(stored, assembled);
}

/// What a company day says: visits, visitors, pageviews, first start, last start.
type Day = (u32, u32, u32, i64, i64);

/// Company days counted the naive way, from beacons: the test's own reading of the rules.
fn counted_by_hand(beacons: &[SpooledBeacon]) -> BTreeMap<(String, String, u64), Day> {
    let mut by_visitor: BTreeMap<_, Vec<&SpooledBeacon>> = BTreeMap::new();
    for beacon in beacons {
        let (ip, day) = match (beacon.client, &beacon.address) {
            (None, ClientAddress::Ip(ip)) => (Some(*ip), Some(beacon.received.0.div_euclid(DAY))),
            _ => (None, None),
        };
        by_visitor.entry((beacon.site.clone(), beacon.client, ip, day)).or_default().push(beacon);
    }
    let mut days: BTreeMap<(String, String, u64), (BTreeSet<usize>, Day)> = BTreeMap::new();
    for (visitor, (_, mut beacons)) in by_visitor.into_iter().enumerate() {
        beacons.sort_by_key(|beacon| (beacon.received, beacon.events[0].id));
        let mut visits: Vec<Vec<&SpooledBeacon>> = Vec::new();
        let mut last = i64::MIN;
        for beacon in beacons {
            if last == i64::MIN || beacon.received.0 - last > 30 * MINUTE {
                visits.push(Vec::new());
            }
            last = beacon.received.0;
            visits.last_mut().unwrap().push(beacon);
        }
        for visit in visits {
            let pages: Vec<_> = visit.iter().filter(|beacon| beacon.events[0].kind == EventKind::Pageview).collect();
            let Some(first) = pages.first() else { continue };
            let ClientAddress::Ip(ip) = visit[0].address else { continue };
            let company = Addresses.local(ip).company.as_ref().unwrap().id.0;
            let zone = if first.site.as_str() == "berlin" { "Europe/Berlin" } else { "Pacific/Apia" };
            let started = first.received.0;
            let date = jiff::Timestamp::from_millisecond(started).unwrap().in_tz(zone).unwrap().date();
            let (visitors, day) = days
                .entry((first.site.to_string(), date.to_string(), company))
                .or_insert_with(|| (BTreeSet::new(), (0, 0, 0, started, started)));
            visitors.insert(visitor);
            *day =
                (day.0 + 1, visitors.len() as u32, day.2 + pages.len() as u32, day.3.min(started), day.4.max(started));
        }
    }
    days.into_iter().map(|(key, (_, day))| (key, day)).collect()
}

#[tokio::test]
async fn company_days_are_what_counting_by_hand_gives() {
    let world = world().await;
    let beacons = history();
    for (batch, part) in beacons.chunks(150).enumerate() {
        world.process(batch as u128, part).await;
    }
    let stored: BTreeMap<_, Day> = world
        .company_days()
        .await
        .into_iter()
        .map(|row| {
            let date = jiff::civil::Date::constant(1970, 1, 1) + jiff::Span::new().days(row.day);
            let day = (row.visits, row.visitors, row.pageviews, row.first_visit_at.0, row.last_visit_at.0);
            ((row.site.to_string(), date.to_string(), row.company_id), day)
        })
        .collect();
    assert_eq!(stored, counted_by_hand(&beacons));
}

#[tokio::test]
async fn the_same_batch_twice_changes_nothing() {
    let world = world().await;
    let beacons = history();
    let first = world.process(1, &beacons).await;
    let expected = world.counted().await;
    assert_eq!(world.process(1, &beacons).await, first);
    assert_eq!(world.counted().await, expected);
}

#[tokio::test]
async fn a_late_event_in_the_middle_joins_two_visits_into_one() {
    let world = world().await;
    let ids = |visits: &[VisitRow]| visits.iter().map(|visit| visit.pageviews).collect::<Vec<_>>();
    // Three hours of pageviews, 25 minutes apart, without the fourth.
    let chain: Vec<_> =
        (0..8).map(|step| pageview("berlin", 1, 1, step as u128 + 1, START + step * 25 * MINUTE)).collect();
    for (batch, beacon) in chain.iter().enumerate().filter(|(step, _)| *step != 3) {
        world.process(batch as u128, std::slice::from_ref(beacon)).await;
    }
    assert_eq!(ids(&world.visits().await), [3, 4]);
    // Sent a day later by a browser that was offline.
    let mut late = chain[3].clone();
    (late.received, late.sent) = (UnixMillis(late.received.0 + DAY), Some(UnixMillis(late.received.0 + DAY)));
    world.process(100, &[late]).await;
    let visits = world.visits().await;
    assert_eq!(ids(&visits), [8]);
    assert_eq!((visits[0].started_at.0, visits[0].ended_at.0), (START, START + 7 * 25 * MINUTE));
    let days = world.company_days().await;
    assert_eq!(days.iter().map(|day| (day.visits, day.pageviews)).collect::<Vec<_>>(), [(1, 8)]);
}

#[tokio::test]
async fn a_visit_row_carries_what_the_reports_show() {
    let world = world().await;
    let mut first = event(1, START + HOUR, EventKind::Pageview);
    first.url = "https://shop.example/start?utm_source=news&utm_medium=email&utm_campaign=May".into();
    first.referrer = "https://www.google.com/search?q=x".into();
    let mut engagement = event(2, START + HOUR + MINUTE, EventKind::Engagement);
    (engagement.page, engagement.visible_ms, engagement.scroll) = (Some(Uuid::from_u128(1)), 42_000, 80);
    let mut identify = event(3, START + HOUR + 2 * MINUTE, EventKind::Identify);
    identify.props = r#"{"email":"ada@acme.example","first_name":"Ada","last_name":"L"}"#.into();
    let second = event(4, START + HOUR + 3 * MINUTE, EventKind::Pageview);
    let beacons: Vec<_> = [first, engagement, identify, second].map(|event| beacon("berlin", 5, 3, event)).to_vec();
    world.process(1, &beacons).await;
    let visits = world.visits().await;
    let visit = &visits[0];
    assert_eq!((visits.len(), visit.pageviews, visit.events, visit.visible_ms), (1, 2, 4, 42_000));
    assert_eq!((visit.source.as_str(), visit.medium.as_str(), visit.campaign.as_str()), ("news", "email", "May"));
    assert_eq!(visit.referrer, "https://www.google.com/search?q=x");
    assert_eq!(
        (visit.email.as_str(), visit.first_name.as_str(), visit.last_name.as_str()),
        ("ada@acme.example", "Ada", "L")
    );
    assert_eq!((visit.company_name.as_str(), visit.company_domain.as_str()), ("COMPANY3.EXAMPLE", "company3.example"));
    assert_eq!(
        (visit.device.as_str(), visit.browser.as_str(), visit.country_code.as_str()),
        ("desktop", "Firefox", "DE")
    );
    assert_eq!(visit.route_path, ["/start", "/page4"]);
    assert_eq!(visit.route_query[1], "utm_campaign=c4");
    assert_eq!((visit.route_visible_ms.as_slice(), visit.route_scroll.as_slice()), (&[42_000, 0][..], &[80, 0][..]));
    assert_eq!(visit.route_at, [UnixMillis(START + HOUR), UnixMillis(START + HOUR + 3 * MINUTE)]);
}

#[tokio::test]
async fn an_event_that_comes_for_two_visitors_counts_once_for_the_first_arrival() {
    let world = world().await;
    let mut late = pageview("berlin", 1, 1, 1, START);
    late.received = UnixMillis(START + 10);
    late.sent = Some(UnixMillis(START + 10));
    let mut early = pageview("berlin", 2, 2, 1, START);
    early.received = UnixMillis(START + 5);
    early.sent = Some(UnixMillis(START + 5));
    world.process(1, &[late.clone()]).await;
    let company = |number| CompanyId::of_domain(&format!("company{number}.example")).0;
    let companies =
        async || world.company_days().await.iter().map(|day| (day.company_id, day.visits)).collect::<Vec<_>>();
    assert_eq!(companies().await, [(company(1), 1)]);
    // The earlier arrival was spooled by another collector and comes second.
    world.process(2, &[early]).await;
    assert_eq!(world.visits().await.iter().map(|visit| visit.company_id).collect::<Vec<_>>(), [company(2)]);
    assert_eq!(companies().await, [(company(2), 1)]);
    world.process(3, &[late]).await;
    assert_eq!(world.visits().await.len(), 1);
    assert_eq!(companies().await, [(company(2), 1)]);
}

#[tokio::test]
async fn a_failure_at_any_table_is_healed_by_repeating_the_batch() {
    let plain = world().await;
    let beacons = history();
    let (before, after) = beacons.split_at(beacons.len() / 2);
    // A late first event from another company: the visit's company changes with the batch that fails.
    let mut late = before[0].clone();
    late.events[0].id = Uuid::from_u128(99_999);
    late.events[0].at = UnixMillis(before[0].events[0].at.0 - MINUTE);
    late.received = late.events[0].at;
    late.address = ClientAddress::Ip(IpAddr::from([192, 0, 2, 9]));
    let second: Vec<_> = [std::slice::from_ref(&late), after].concat();
    plain.process(1, before).await;
    let in_between = plain.company_days().await;
    plain.process(2, &second).await;
    let expected = plain.counted().await;

    for table in ["visits", "company_activity", "companies", "drops"] {
        let world = world().await;
        world.process(1, before).await;
        assert_eq!(world.company_days().await, in_between);
        world.run(&format!("RENAME TABLE {table} TO {table}_away")).await;
        let mut home = late.clone();
        home.events[0].id = Uuid::from_u128(88_888);
        home.address = ClientAddress::Ip(IpAddr::from([198, 51, 100, 1]));
        let with_drop = [second.as_slice(), &[home]].concat();
        let failed = world.pipeline.process(Uuid::from_u128(2), with_drop.clone(), Vec::new()).await;
        assert!(failed.is_err(), "{table} is away");
        world.run(&format!("RENAME TABLE {table}_away TO {table}")).await;
        // What the failed attempt replaced is merged away before the repeat.
        for table in ["events", "visits", "company_activity", "companies"] {
            world.run(&format!("OPTIMIZE TABLE {table} FINAL")).await;
        }
        world.process(2, &with_drop).await;
        assert_eq!(world.counted().await, expected, "after {table} came back");
        let drops: Vec<DropRow> = world.all("drops FINAL").await;
        assert_eq!(drops.iter().map(|row| (row.reason.as_str(), row.events)).collect::<Vec<_>>(), [("residential", 1)]);
    }
}

#[derive(Debug, PartialEq, Row, Deserialize)]
struct Count {
    rows: u64,
}

#[tokio::test]
async fn forget_erases_the_visitor_on_that_site_and_keeps_late_events_out() {
    let world = world().await;
    let others: Vec<_> =
        [pageview("berlin", 2, 1, 50, START + HOUR), pageview("apia", 1, 1, 51, START + HOUR)].to_vec();
    world.process(1, &others).await;
    let expected = world.counted().await;

    let own: Vec<_> = (0..5).map(|step| pageview("berlin", 1, 1, step as u128 + 1, START + step * 3 * HOUR)).collect();
    world.process(2, &own).await;
    assert_ne!(world.counted().await, expected);
    let forget = beacon("berlin", 1, 1, event(60, START + 13 * HOUR, EventKind::Forget));
    let mut same_batch = pageview("berlin", 1, 1, 61, START + 12 * HOUR + MINUTE);
    same_batch.received = UnixMillis(START + 13 * HOUR);
    same_batch.sent = Some(same_batch.received);
    let processed = world.process(3, &[same_batch, forget.clone()]).await;
    assert_eq!((processed.stored, processed.dropped[&DropReason::Forget]), (0, 2));
    assert_eq!(world.counted().await, expected);
    for table in ["events", "visits"] {
        let left: Vec<Count> = world.all(&format!("(SELECT count() AS rows FROM {table} WHERE site = 'berlin')")).await;
        assert_eq!(left, [Count { rows: 1 }], "{table}: not even old versions stay");
    }

    // Late events of then are dropped, new ones of later count; repeating the forget changes nothing.
    let mut late = pageview("berlin", 1, 1, 62, START + 2 * HOUR);
    late.received = UnixMillis(START + 20 * HOUR);
    late.sent = Some(late.received);
    // Sent before the forget, and overtaken by it on the way: its clock started when it was sent.
    let mut overtaken = pageview("berlin", 1, 1, 64, START + 12 * HOUR);
    overtaken.sent = Some(UnixMillis(START + 12 * HOUR));
    overtaken.received = UnixMillis(START + 20 * HOUR);
    let new = pageview("berlin", 1, 1, 63, START + 21 * HOUR);
    let processed = world.process(4, &[late, overtaken, new]).await;
    assert_eq!((processed.stored, processed.dropped[&DropReason::Forget]), (1, 2));
    let with_new = world.counted().await;
    assert_eq!(with_new.0.len(), expected.0.len() + 1);
    world.process(3, &[forget]).await;
    assert_eq!(world.counted().await, with_new);
}

#[tokio::test]
async fn only_the_rows_that_clickhouse_refuses_are_given_up() {
    let world = world().await;
    world.run("ALTER TABLE events ADD CONSTRAINT poison CHECK if(path = '/poison', toUInt32(path), 1) = 1").await;
    let mut beacons: Vec<_> =
        (0..40).map(|step| pageview("berlin", 1, 1, step as u128 + 1, START + step * MINUTE)).collect();
    for position in [3, 17] {
        beacons[position].events[0].url = "https://shop.example/poison".into();
    }
    let processed = world.process(1, &beacons).await;
    assert_eq!((processed.stored, processed.dropped[&DropReason::Unstorable]), (38, 2));
    assert_eq!(world.visits().await[0].pageviews, 38);
    // With nothing else to show that the table works, the fault may be the set-up's: the batch is kept.
    let only_poison = [beacons[3].clone(), beacons[17].clone()];
    assert!(world.pipeline.process(Uuid::from_u128(2), only_poison.to_vec(), Vec::new()).await.is_err());
}

fn spool_in(folder: &std::path::Path) -> Spool {
    let settings = spool::Settings { segment_age: Duration::from_millis(5), ..spool::Settings::new(folder) };
    Spool::open(settings, &MasterKey::from_bytes([1; 32])).unwrap().0
}

#[tokio::test]
async fn the_loop_empties_the_spool_once_clickhouse_is_there_and_every_event_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let spool = spool_in(folder.path());
    let reference = world().await;
    let mut beacons = history();
    reference.process(1, &beacons).await;
    let home = SpooledBeacon {
        address: ClientAddress::Ip(IpAddr::from([198, 51, 100, 1])),
        ..pageview("berlin", 9, 1, 77_777, START)
    };
    let removed = pageview("removed", 9, 1, 77_778, START);
    beacons.extend([home, removed, beacons[0].clone()]);

    let world = world_on(support::store_away());
    let shutdown = CancellationToken::new();
    let (pipeline, for_loop, stop) = (Arc::clone(&world.pipeline), spool.clone(), shutdown.clone());
    let running = tokio::spawn(async move { pipeline.run(for_loop, stop).await });
    Numbers(3).shuffle(&mut beacons);
    let mut parts = beacons.chunks(beacons.len() / 10);
    world.spool(&spool, parts.next().unwrap()).await;
    spool.note_drops(DropCount {
        site: "berlin".parse().unwrap(),
        day: UnixMillis(START).day(),
        reason: DropReason::Residential,
        events: 4,
    });
    let settings = support::settings(support::server().await, "pipeline_loop");
    Store::connect(&settings).migrate().await.unwrap();
    assert_eq!(world.counters.balance().in_flight, (beacons.len() / 10) as u64);
    while world.pipeline.failures() < 3 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    world.store.reconnect(&settings);
    for part in parts {
        world.spool(&spool, part).await;
        while world.counters.balance().in_flight > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    spool.close().await.unwrap();
    running.await.unwrap();

    let balance = world.counters.balance();
    assert!(balance.holds());
    assert_eq!((balance.in_flight, balance.stored), (0, beacons.len() as u64 - balance.dropped.iter().sum::<u64>()));
    let dropped = |reason: DropReason| balance.dropped[reason as usize];
    assert_eq!((dropped(DropReason::Residential), dropped(DropReason::SiteRemoved)), (1, 1));
    assert_eq!(spool.status().segments, 0);
    assert_eq!(world.counted().await, reference.counted().await);
    let drops: Vec<DropRow> = world.all("drops FINAL WHERE reason = 'residential'").await;
    assert_eq!(drops.iter().map(|row| row.events).sum::<u64>(), 5);
}

#[tokio::test]
async fn who_is_forgotten_in_one_waiting_segment_is_forgotten_in_the_next_too() {
    let folder = tempfile::tempdir().unwrap();
    // Each beacon in a segment of its own.
    let settings = spool::Settings { segment_bytes: 1, ..spool::Settings::new(folder.path()) };
    let spool = Spool::open(settings, &MasterKey::from_bytes([1; 32])).unwrap().0;
    let world = world().await;
    let forget = beacon("berlin", 1, 1, event(60, START + 13 * HOUR, EventKind::Forget));
    // Decided while the segment before it is being stored, when nobody may know yet that its visitor is forgotten.
    let mut late = pageview("berlin", 1, 1, 61, START + HOUR);
    late.received = UnixMillis(START + 20 * HOUR);
    late.sent = Some(late.received);
    for beacon in [forget, late, pageview("berlin", 2, 1, 62, START + HOUR)] {
        world.spool(&spool, &[beacon]).await;
    }
    spool.close().await.unwrap();
    assert_eq!(spool.status().segments, 3);
    world.pipeline.run(spool, CancellationToken::new()).await;

    let visits = world.visits().await;
    assert_eq!(visits.iter().map(|visit| visit.started_at.0).collect::<Vec<_>>(), [START + HOUR], "{visits:?}");
    assert_eq!(world.counted().await.1[0].visits, 1);
}

#[tokio::test]
async fn a_shutdown_while_clickhouse_is_away_leaves_the_segments_in_the_spool() {
    let folder = tempfile::tempdir().unwrap();
    let spool = spool_in(folder.path());
    spool.append(&Record::Beacon(pageview("berlin", 1, 1, 1, START))).await.unwrap();
    let store = support::empty_store().await;
    let settings = Settings { shutdown_deadline: Duration::from_millis(1), ..Settings::default() };
    let snapshot = Snapshot { loaded: false, ..Snapshot::default() };
    let pipeline = Pipeline::new(
        settings,
        store,
        Arc::new(Addresses),
        Arc::new(Keys),
        Arc::new(arc_swap::ArcSwap::from_pointee(snapshot)),
        Arc::default(),
    );
    let shutdown = CancellationToken::new();
    let running = pipeline.run(spool.clone(), shutdown.clone());
    tokio::join!(running, async {
        while spool.status().segments == 0 {
            tokio::task::yield_now().await;
        }
        shutdown.cancel();
    });
    spool.close().await.unwrap();
    assert_eq!(spool.status().events_waiting, 1);
    assert!(spool.next_segment().await.is_some());
}

#[tokio::test]
async fn events_of_a_segment_that_is_damaged_or_gone_are_counted_as_lost_once() {
    let folder = tempfile::tempdir().unwrap();
    let settings = spool::Settings { segment_age: Duration::from_secs(3600), ..spool::Settings::new(folder.path()) };
    let (spool, _) = Spool::open(settings, &MasterKey::from_bytes([1; 32])).unwrap();
    let world = world().await;
    let beacons: Vec<_> = (0..5).map(|number| pageview("berlin", 1, 1, 90_000 + number, START)).collect();
    world.spool(&spool, &beacons).await;
    spool.close().await.unwrap();
    let segment = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    world.pipeline.run(spool.clone(), CancellationToken::new()).await;

    let balance = world.counters.balance();
    assert!(balance.holds());
    let lost = balance.dropped[DropReason::SpoolDamaged as usize];
    assert_eq!((balance.in_flight, balance.stored, lost), (0, 4, 1), "one frame held one event");
    assert_eq!((spool.status().segments, spool.status().damaged), (0, 1));
}

/// As if all that is stored had been written so many days ago.
async fn age(world: &World, days: u64) {
    for table in ["visits", "company_activity"] {
        world.run(&format!("CREATE TABLE aged_{table} AS {table}")).await;
        let sql = format!(
            "INSERT INTO aged_{table} SELECT * REPLACE (version - {days} * 86400000000 AS version) FROM {table} FINAL"
        );
        world.run(&sql).await;
        world.run(&format!("EXCHANGE TABLES aged_{table} AND {table}")).await;
        world.run(&format!("DROP TABLE aged_{table}")).await;
    }
}

#[tokio::test]
async fn rebuilds_leave_alone_what_expired_base_rows_no_longer_prove() {
    let hundred_days = Some(Duration::from_secs(100 * 86_400));
    let world = world_keeping(support::store().await, KeptFor { events: hundred_days, visits: hundred_days });
    let noon = START + 12 * HOUR;
    let first: Vec<_> =
        (0..4).map(|page| pageview("berlin", 1, 1, 1 + page, noon + page as i64 * 10 * MINUTE)).collect();
    world.process(1, &first).await;
    let (visits, days) = world.counted().await;
    assert_eq!((visits.len(), days.len(), visits[0].pageviews), (1, 1, 4));
    age(&world, 90).await;
    world.run("TRUNCATE TABLE events").await;

    // Part of the same log once more: these pages were counted, under a visit that began before them.
    world.process(2, &first[2..]).await;
    assert_eq!(world.counted().await, (visits.clone(), days.clone()));
    // The same company later that day: a visit more. Its day can't be summed up again, other companies' can.
    world.process(3, &[pageview("berlin", 1, 1, 9, noon + 5 * HOUR), pageview("berlin", 2, 2, 10, noon)]).await;
    let (later, later_days) = world.counted().await;
    let mut pages: Vec<u32> = later.iter().map(|visit| visit.pageviews).collect();
    pages.sort_unstable();
    assert_eq!(pages, [1, 1, 4]);
    let mut sums: Vec<(u32, u32)> = later_days.iter().map(|day| (day.visits, day.pageviews)).collect();
    sums.sort_unstable();
    assert_eq!(sums, [(1, 1), (1, 4)]);

    // A visitor who asks for it is erased all the same.
    world.process(4, &[beacon("berlin", 1, 1, event(11, noon + 6 * HOUR, EventKind::Forget))]).await;
    let (left, left_days) = world.counted().await;
    assert_eq!((left.len(), left_days.len()), (1, 1));
    assert_eq!(left_days[0].company_id, left[0].company_id);
}
