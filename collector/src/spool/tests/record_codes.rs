//! Numbers of enums in records: written down, never moved, and everything that was ever written stays readable.

use super::*;
use beacon::ClientId;
use codes::Coded;
use segment::{SegmentKey, VERSION};
use std::net::IpAddr;

/// What each version released, from version 1 on, one number a line. A line is never changed or removed: a new number raises
/// [`VERSION`] and adds a file.
const RELEASED: &[&str] = &[include_str!("record-codes-v1.txt"), include_str!("record-codes-v2.txt")];

/// A segment under the key 07…07 whose one frame holds [`every_record`]. The first release wrote it, which stored enums by
/// their place in the source.
const EVERY_RECORD: &[u8] = include_bytes!("every-record-v1.bin");

/// A table's lines, in the form of the released files.
fn lines<T: Coded>(text: impl Fn(T) -> &'static str) -> Vec<String> {
    T::TABLE.iter().map(|(code, variant)| format!("{} {code} {}", T::NAME, text(*variant))).collect()
}

fn current_lines() -> Vec<String> {
    let with_fields = [
        ("record", codes::RECORD_BEACON, "beacon"),
        ("record", codes::RECORD_DROPS, "drops"),
        ("address", codes::ADDRESS_IP, "ip"),
        ("address", codes::ADDRESS_HOST_NAME, "host-name"),
    ];
    let mut current: Vec<String> =
        with_fields.iter().map(|(name, code, variant)| format!("{name} {code} {variant}")).collect();
    current.extend(lines(EventKind::as_str));
    current.extend(lines(Consent::as_str));
    current.extend(lines(DropReason::as_str));
    current
}

#[test]
fn the_numbers_are_those_that_this_version_released() {
    assert_eq!(RELEASED.len(), usize::from(VERSION), "each version has its file");
    let released: Vec<&str> = RELEASED[RELEASED.len() - 1].lines().collect();
    assert_eq!(
        current_lines(),
        released,
        "a new number raises VERSION and gets a new file; no other change is possible"
    );
}

#[test]
fn no_version_took_back_what_an_earlier_one_released() {
    for pair in RELEASED.windows(2) {
        let next: Vec<&str> = pair[1].lines().collect();
        assert!(pair[0].lines().all(|line| next.contains(&line)));
    }
}

#[test]
fn every_variant_can_be_stored_and_each_number_means_one() {
    fn check<T: Coded + PartialEq + std::fmt::Debug>(all: &[T]) {
        assert_eq!(all.len(), T::TABLE.len());
        for variant in all {
            assert_eq!(T::of_code(variant.code()), Some(*variant));
        }
        assert_eq!((0..=u8::MAX).filter_map(T::of_code).count(), all.len());
    }
    check(&EventKind::ALL);
    check(&Consent::ALL);
    check(DropReason::ALL);
}

#[test]
fn what_the_first_release_wrote_of_every_kind_is_read_as_what_it_was() {
    let contents = SegmentKey::open(EVERY_RECORD, &master()).unwrap().read(EVERY_RECORD);
    assert!(contents.finished && contents.damage().is_none());
    let beacons = contents.beacons.into_iter().map(Record::Beacon);
    let found: Vec<Record> = beacons.chain(contents.drops.into_iter().map(Record::Drops)).collect();
    assert_eq!(found, every_record());
}

#[test]
fn every_kind_is_still_written_as_the_first_release_wrote_it() {
    let key = SegmentKey::open(EVERY_RECORD, &master()).unwrap();
    let batch: Vec<u8> = every_record().iter().flat_map(|record| record.encode().unwrap()).collect();
    assert_eq!(key.seal_frame(0, true, &batch).unwrap(), EVERY_RECORD[segment::HEADER_BYTES..]);
}

#[test]
fn a_number_that_nobody_released_is_refused() {
    let drops = Record::Drops(drop_count(20_000, 3)).encode().unwrap();
    assert!(Record::decode(&drops).is_ok());
    for (at, of) in [(0, "record"), (9, "drop reason")] {
        let mut bytes = drops.clone();
        bytes[at] = 100;
        assert!(Record::decode(&bytes).is_err(), "{of}");
    }
    let mut bytes = beacon(1).encode().unwrap();
    assert!(Record::decode(&bytes).is_ok());
    assert_eq!(bytes[12], codes::ADDRESS_HOST_NAME);
    bytes[12] = 2;
    assert!(Record::decode(&bytes).is_err(), "address");
    assert!(Record::decode(&[]).is_err());
}

#[tokio::test]
async fn a_newer_versions_segment_is_kept_whole_until_that_version_stores_it() {
    let (files, path) = one_segment().await;
    let readable = files.steal(&path);
    let mut newer = readable.clone();
    newer[segment::VERSION_AT] = 99;
    let files = FakeFiles::new();
    files.plant("/spool/found.segment", newer.clone());
    let kept: PathBuf = "/spool/newer/found.segment".into();
    // However often an older version starts.
    for _ in 0..2 {
        let (spool, recovery) = open(&files);
        assert_eq!((recovery.segments, recovery.damaged.len(), recovery.newer.len()), (0, 0, 1));
        assert_eq!(spool.status().newer, 1);
        let words = recovery.to_string();
        assert!(words.contains("a newer version of firmsight wrote it (format 99"), "{words}");
        spool.close().await.unwrap();
        assert_eq!(files.snapshot(), BTreeMap::from([(kept.clone(), newer.clone())]));
    }
    // The newer version, which can read it.
    files.plant("/spool/newer/found.segment", readable);
    let (spool, recovery) = open(&files);
    assert_eq!((recovery.segments, recovery.events, recovery.newer.len()), (1, 3, 0));
    assert_eq!(spool.status().newer, 0);
}

/// A record for each variant of each enum that the first release had, at the fullest and at the emptiest.
fn every_record() -> Vec<Record> {
    let address = |text: &str| ClientAddress::Ip(text.parse::<IpAddr>().unwrap());
    let addresses = [address("192.0.2.77"), address("2001:db8::77"), ClientAddress::HostName("a.example".to_owned())];
    let consents = [Consent::Granted, Consent::Unknown, Consent::NotRequired];
    let kinds = (0..9).filter_map(EventKind::of_code);
    let events = (1_u8..).zip(kinds).map(|(number, kind)| SpooledEvent {
        id: Uuid::from_u128(number.into()),
        at: UnixMillis(1_700_000_000_000 + i64::from(number)),
        kind,
        url: "https://example.com/prices?plan=team".into(),
        referrer: "https://search.example/".into(),
        title: "Prices".into(),
        page: Some(Uuid::from_u128(1)),
        visible_ms: 90_000,
        scroll: 100,
        name: "signup".into(),
        props: r#"{"plan":"team"}"#.into(),
    });
    let full = SpooledBeacon {
        received: UnixMillis(1_700_000_009_000),
        site: "shop".parse().unwrap(),
        address: addresses[0].clone(),
        user_agent: "Mozilla/5.0".into(),
        language: "de-DE".into(),
        consent: Consent::Granted,
        client: Some(ClientId { random: 0x0123_4567_89ab_cdef, created_ms: 1_600_000_000_000 }),
        sent: Some(UnixMillis(1_700_000_008_000)),
        events: events.collect(),
    };
    let Record::Beacon(least) = beacon(1) else { unreachable!("a beacon") };
    let mut records = vec![Record::Beacon(full)];
    for (address, consent) in addresses.into_iter().zip(consents) {
        records.push(Record::Beacon(SpooledBeacon { address, consent, ..least.clone() }));
    }
    let reasons = (0..19).filter_map(DropReason::of_code).zip(1..);
    records.extend(reasons.map(|(reason, events)| Record::Drops(DropCount { reason, ..drop_count(20_000, events) })));
    records
}
