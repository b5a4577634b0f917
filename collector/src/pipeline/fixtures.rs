//! Small beacons, sites and verdicts for this room's tests.

use crate::{
    site::Site,
    spool::record::{ClientAddress, SpooledBeacon, SpooledEvent},
    time::UnixMillis,
};
use beacon::{Consent, EventKind};
use firmsight_resolver::{
    Asn, Company, CompanyId, Confidence, EvidenceList, Location, NameAnswer, NetworkKind, Source, Verdict,
};
use std::sync::Arc;
use uuid::Uuid;

pub(super) fn site(id: &str) -> Site {
    Site {
        timezone: "Europe/Berlin".to_owned(),
        ..Site::new(id.parse().unwrap(), "Shop", ["shop.example", "www.shop.example"])
    }
}

/// One pageview, sent and received when it happened.
pub(crate) fn beacon(site: &str, received: i64) -> SpooledBeacon {
    let address = ClientAddress::Ip("192.0.2.1".parse().unwrap());
    let events = vec![event(1, received, EventKind::Pageview)];
    SpooledBeacon {
        language: "de-DE".into(),
        ..SpooledBeacon::new(site.parse().unwrap(), address, UnixMillis(received), Consent::Granted, events)
    }
}

pub(super) fn event(id: u128, at: i64, kind: EventKind) -> SpooledEvent {
    SpooledEvent {
        url: "https://shop.example/".into(),
        title: "Shop".into(),
        ..SpooledEvent::new(Uuid::from_u128(id), UnixMillis(at), kind)
    }
}

pub(super) fn verdict(kind: NetworkKind) -> Verdict {
    Verdict {
        ip: None,
        kind,
        company: None,
        location: Arc::new(Location {
            country_code: "DE".to_owned(),
            region: "Berlin".to_owned(),
            city: "Berlin".to_owned(),
        }),
        asn: Some(Arc::new(Asn { number: 64_496, name: "Example".to_owned(), domain: String::new() })),
        ptr: NameAnswer::NotAsked,
        is_final: false,
        evidence: EvidenceList::default(),
        left_out: None,
    }
}

pub(crate) fn company_verdict(domain: &str) -> Verdict {
    let company = Company {
        id: CompanyId::of_domain(domain),
        name: domain.into(),
        domain: Some(domain.into()),
        found_by: None,
        industry: None,
        source: Source::Asn,
        confidence: Confidence::new(0.8),
    };
    Verdict { company: Some(company), ..verdict(NetworkKind::Business) }
}
