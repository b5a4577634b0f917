//! Tests of the spool: on a fake disk that fails as disks do, and on a real one.

mod fake_files;
mod format;
mod known_failures;
mod model;
mod promises;
mod record_codes;

use super::*;
use crate::time::UnixMillis;
use beacon::{Consent, EventKind};
use fake_files::{FakeFiles, Operation};
use record::{ClientAddress, SpooledEvent};

/// Stands in a record, to be looked for where it must not be.
const PLANTED_ADDRESS: &str = "192.0.2.77";

/// A beacon with one event of this number.
fn beacon(number: u64) -> Record {
    let now = UnixMillis(1_700_000_000_000);
    let event = SpooledEvent {
        url: "https://example.com/".into(),
        title: "Start".into(),
        visible_ms: 1_500,
        scroll: 40,
        ..SpooledEvent::new(Uuid::from_u128(u128::from(number)), now, EventKind::Pageview)
    };
    let address = ClientAddress::HostName(PLANTED_ADDRESS.into());
    Record::Beacon(SpooledBeacon {
        user_agent: "Mozilla/5.0".into(),
        language: "de-DE".into(),
        ..SpooledBeacon::new("shop".parse::<SiteId>().unwrap(), address, now, Consent::Granted, vec![event])
    })
}

/// The numbers of the events in a segment.
fn numbers(segment: &Segment) -> Vec<u64> {
    let events = segment.beacons.iter().flat_map(|beacon| &beacon.events);
    events.map(|event| u64::try_from(event.id.as_u128()).unwrap()).collect()
}

fn drop_count(day: i32, events: u64) -> DropCount {
    DropCount { site: "shop".parse().unwrap(), day: UtcDay(day), reason: DropReason::Residential, events }
}

fn master() -> MasterKey {
    MasterKey::from_bytes([7; 32])
}

/// Settings under which nothing happens by time.
fn untimed() -> Settings {
    Settings { segment_age: Duration::from_secs(3600), ..Settings::new("/spool") }
}

fn open(files: &FakeFiles) -> (Spool, Recovery) {
    Spool::open_with(untimed(), &master(), Arc::new(files.clone())).unwrap()
}

/// A segment that can be had without waiting.
async fn ready_segment(spool: &Spool) -> Option<SegmentHandle> {
    tokio::select! {
        biased;
        handle = spool.next_segment() => handle,
        () = std::future::ready(()) => None,
    }
}

/// Reads everything that can be had of a closed spool, oldest first, leaving it there.
async fn read_all(spool: &Spool) -> Vec<Segment> {
    let mut handles = Vec::new();
    let mut segments = Vec::new();
    while let Some(handle) = spool.next_segment().await {
        segments.push(spool.read(&handle).await.unwrap());
        handles.push(handle);
    }
    segments
}

/// The events that the next process finds.
async fn found_after_restart(files: &FakeFiles) -> (Vec<u64>, Recovery) {
    let (spool, recovery) = open(&files.kill());
    spool.close().await.unwrap();
    let segments = read_all(&spool).await;
    (segments.iter().flat_map(numbers).collect(), recovery)
}

/// A disk with one finished segment, whose frames hold events 1, 2 and 3; and the segment's path.
async fn one_segment() -> (FakeFiles, PathBuf) {
    let files = FakeFiles::new();
    let (spool, _) = open(&files);
    for number in 1..=3 {
        spool.append(&beacon(number)).await.unwrap();
    }
    spool.close().await.unwrap();
    let path = files.snapshot().into_keys().next().unwrap();
    (files, path)
}
