use super::*;
use crate::site::SiteId;
use crate::time::UnixMillis;
use beacon::{Consent, EventKind};
use record::{ClientAddress, SpooledEvent};

fn beacon(number: u128) -> Record {
    let event = SpooledEvent {
        id: Uuid::from_u128(number),
        at: UnixMillis(1_700_000_000_000),
        kind: EventKind::Pageview,
        url: "https://example.com/".into(),
        referrer: String::new(),
        title: "Start".into(),
        page: None,
        visible_ms: 0,
        scroll: 0,
        name: String::new(),
        props: String::new(),
    };
    Record::Beacon(SpooledBeacon {
        received: UnixMillis(1_700_000_000_000),
        site: "shop".parse::<SiteId>().unwrap(),
        address: ClientAddress::Ip("192.0.2.77".parse().unwrap()),
        user_agent: "planted-agent".into(),
        language: "de-DE".into(),
        consent: Consent::Granted,
        client: None,
        sent: None,
        events: vec![event],
    })
}

fn key() -> MasterKey {
    MasterKey::from_bytes([7; 32])
}

#[tokio::test]
async fn what_was_appended_is_read_back_and_gone_after_removal() {
    let folder = tempfile::tempdir().unwrap();
    let (spool, recovery) = Spool::open(Settings::new(folder.path()), &key()).unwrap();
    assert_eq!(recovery.to_string(), "the spool is empty");
    spool.append(&beacon(1)).await.unwrap();
    spool.append(&beacon(2)).await.unwrap();
    spool.close().await.unwrap();
    let handle = spool.next_segment().await.unwrap();
    let segment = spool.read(&handle).await.unwrap();
    assert_eq!(segment.beacons.into_iter().map(Record::Beacon).collect::<Vec<_>>(), [beacon(1), beacon(2)]);
    spool.remove(handle).await.unwrap();
    assert!(spool.next_segment().await.is_none());
    assert_eq!(spool.status(), Status::default());
}
