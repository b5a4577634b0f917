//! From a spooled beacon and its verdict to rows of `events`. Pure: keys and times are arguments.

use super::{attribution, device::Device};
use crate::{
    site::{Site, SiteId},
    spool::record::{ClientAddress, SpooledBeacon, SpooledEvent},
    store::EventRow,
    time::UnixMillis,
};
use beacon::{ClientId, MAX_EVENT_AGE_MS};
use firmsight_resolver::{Source, Verdict};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::net::IpAddr;
use url::Url;
use uuid::Uuid;

/// The key under which one visitor of one site is known; never the client id or the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VisitorKey(pub u64);

/// The visitor behind a client id. The key is the installation's own and lasts.
#[must_use]
pub fn visitor_of_client(visitor_key: &[u8; 32], site: &SiteId, client: ClientId) -> VisitorKey {
    keyed_hash(visitor_key, &[b"client", site.as_str().as_bytes(), client.to_string().as_bytes()])
}

/// The visitor behind an address and user agent, for as long as the UTC day's random key exists.
#[must_use]
pub fn visitor_of_day(day_key: &[u8; 32], site: &SiteId, address: &ClientAddress, user_agent: &str) -> VisitorKey {
    let site = site.as_str().as_bytes();
    let user_agent = user_agent.as_bytes();
    match address {
        ClientAddress::Ip(IpAddr::V4(ip)) => keyed_hash(day_key, &[b"v4", site, &ip.octets(), user_agent]),
        ClientAddress::Ip(IpAddr::V6(ip)) => keyed_hash(day_key, &[b"v6", site, &ip.octets(), user_agent]),
        ClientAddress::HostName(name) => keyed_hash(day_key, &[b"name", site, name.as_bytes(), user_agent]),
    }
}

/// First 64 bits of HMAC-SHA256 over the parts, each preceded by its length so that no two lists of
/// parts give the same input.
fn keyed_hash(key: &[u8; 32], parts: &[&[u8]]) -> VisitorKey {
    // HMAC itself pads a key with zeros to the block of the hash (RFC 2104).
    let mut block = [0; 64];
    block[..32].copy_from_slice(key);
    let mut mac = Hmac::<Sha256>::new(&block.into());
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    VisitorKey(first_64_bits(&mac.finalize().into_bytes()))
}

/// The first eight bytes, big-endian; shorter input counts as padded with zeros.
pub(super) fn first_64_bits(bytes: &[u8]) -> u64 {
    bytes.iter().chain(std::iter::repeat(&0)).take(8).fold(0, |number, &byte| number << 8 | u64::from(byte))
}

/// When an event happened by the collector's clock: received − clamp(sent − at, 0, 7 days).
#[must_use]
pub fn event_time(beacon: &SpooledBeacon, event: &SpooledEvent) -> UnixMillis {
    let sent = beacon.sent.unwrap_or(beacon.received);
    let age = sent.0.saturating_sub(event.at.0).clamp(0, MAX_EVENT_AGE_MS as i64);
    UnixMillis(beacon.received.0.saturating_sub(age))
}

/// How far a browser's clock may be from the collector's for an event to be stored under it, in milliseconds: 31 days.
pub const MAX_CLOCK_OFFSET_MS: i64 = 31 * 86_400_000;

/// The browser's clock as base rows are stored under it. One that is further off than [`MAX_CLOCK_OFFSET_MS`] is folded into the
/// year 2000: still the same for each retry, because it hangs on nothing that the collector knows, but all such clocks share one
/// partition, where they would choose as many as they like (docs/decisions/0071-clocks.md).
#[must_use]
pub fn stored_clock(at: UnixMillis, received: UnixMillis) -> UnixMillis {
    const YEAR_2000: i64 = beacon::MIN_AT_MS as i64;
    const YEAR: i64 = 365 * 86_400_000;
    if at.0.abs_diff(received.0) <= MAX_CLOCK_OFFSET_MS as u64 {
        return at;
    }
    UnixMillis(YEAR_2000 + at.0.rem_euclid(YEAR))
}

/// The version of a base row, counted down from its receipt so that the first arrival replaces all
/// later ones. Within one millisecond the visitor decides, so that which row survives never depends on
/// the order in which parts are merged.
#[must_use]
pub fn version(received: UnixMillis, visitor: VisitorKey) -> u64 {
    const TIME_BITS: u32 = 42;
    let received = (received.0.max(0) as u64).min((1 << TIME_BITS) - 1);
    u64::MAX - ((received << (64 - TIME_BITS)) | (visitor.0 >> TIME_BITS))
}

/// The rows of a beacon's events, in the beacon's order.
pub fn rows_of(
    beacon: &SpooledBeacon,
    site: &Site,
    visitor: VisitorKey,
    verdict: &Verdict,
    device: &Device,
) -> impl Iterator<Item = EventRow> {
    beacon.events.iter().map(move |event| row(beacon, event, site, visitor, verdict, device))
}

fn row(
    beacon: &SpooledBeacon,
    event: &SpooledEvent,
    site: &Site,
    visitor: VisitorKey,
    verdict: &Verdict,
    device: &Device,
) -> EventRow {
    let url = Url::parse(&event.url).ok();
    let from = attribution::attribute(url.as_ref(), &event.referrer, site);
    let page = PageAddress::of(url.as_ref());
    let company = verdict.company.as_ref();
    EventRow {
        site: beacon.site.as_str().into(),
        at: stored_clock(event.at, beacon.received),
        event_id: event.id,
        event_type: event.kind.as_str().into(),
        event_time: event_time(beacon, event),
        received_at: beacon.received,
        visitor: visitor.0,
        has_client: beacon.client.is_some(),
        consent: beacon.consent.as_str().into(),
        page: event.page.unwrap_or(Uuid::nil()),
        scheme: page.scheme.into(),
        host: page.host.into(),
        path: page.path.into(),
        query: page.query.into(),
        title: event.title.as_str().into(),
        referrer: referrer(&event.referrer).into(),
        source: from.source.into(),
        medium: from.medium.into(),
        campaign: from.campaign.into(),
        term: from.term.into(),
        visible_ms: event.visible_ms,
        scroll: event.scroll.min(100),
        name: event.name.as_str().into(),
        props: event.props.as_str().into(),
        network_kind: verdict.kind.as_str().into(),
        company_id: company.map_or(0, |company| company.id.0),
        company_name: company.map(|company| company.name.as_ref().into()).unwrap_or_default(),
        company_domain: company.and_then(|company| company.domain.as_deref()).unwrap_or_default().into(),
        company_industry: company.and_then(|company| company.industry.as_deref()).unwrap_or_default().into(),
        company_source: company.map_or("", |company| signal_name(company.source)).into(),
        company_confidence: company.map_or(0.0, |company| company.confidence.get()),
        country_code: verdict.location.country_code.as_str().into(),
        region: verdict.location.region.as_str().into(),
        city: verdict.location.city.as_str().into(),
        asn: verdict.asn.as_ref().map_or(0, |asn| asn.number),
        device: device.kind.into(),
        browser: device.browser.clone(),
        os: device.os.clone(),
        language: beacon.language.as_str().into(),
        version: version(beacon.received, visitor),
    }
}

/// The referrer, whose click ids are the visitor's too where it is a page of the site.
fn referrer(referrer: &str) -> String {
    match referrer.split_once('?') {
        Some((page, query)) => format!("{page}?{}", attribution::without_click_ids(query)),
        None => referrer.to_owned(),
    }
}

/// The stored word of the signal that named a company; the same as in JSON.
const fn signal_name(source: Source) -> &'static str {
    match source {
        Source::SpecialPurpose => "special-purpose",
        Source::OwnRule => "own-rule",
        Source::Asn => "asn",
        Source::DomainMap => "domain-map",
        Source::RangeList => "range-list",
        Source::Ptr => "ptr",
        Source::CommercialDatabase => "commercial-database",
        Source::CityDatabase => "city-database",
        Source::CompanyProfiles => "company-profiles",
    }
}

/// A page's URL in parts. The fragment is dropped, unless the page routes by it (`#/` or `#!`).
#[derive(Debug, Default, PartialEq, Eq)]
struct PageAddress {
    scheme: String,
    host: String,
    path: String,
    query: String,
}

impl PageAddress {
    fn of(url: Option<&Url>) -> Self {
        let Some(url) = url else { return Self::default() };
        let route = url.fragment().filter(|fragment| fragment.starts_with(['/', '!']));
        Self {
            scheme: url.scheme().to_owned(),
            host: url.host_str().unwrap_or_default().to_owned(),
            path: route.map_or_else(|| url.path().to_owned(), |route| format!("{}#{route}", url.path())),
            query: attribution::without_click_ids(url.query().unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::fixtures;
    use std::collections::HashSet;

    #[test]
    fn event_time_is_receipt_less_the_clients_own_delay() {
        const RECEIVED: i64 = 1_700_000_000_000;
        const WEEK: i64 = 7 * 86_400_000;
        for (sent, at, expected) in [
            (None, RECEIVED, RECEIVED),
            (None, RECEIVED - 5_000, RECEIVED - 5_000),
            (None, RECEIVED + 5_000, RECEIVED),
            (Some(50_000), 20_000, RECEIVED - 30_000),
            (Some(20_000), 50_000, RECEIVED),
            (Some(RECEIVED), 0, RECEIVED - WEEK),
            (Some(i64::MAX), i64::MIN, RECEIVED - WEEK),
            (Some(i64::MIN), i64::MAX, RECEIVED),
        ] {
            let mut beacon = fixtures::beacon("shop", RECEIVED);
            beacon.sent = sent.map(UnixMillis);
            beacon.events[0].at = UnixMillis(at);
            assert_eq!(event_time(&beacon, &beacon.events[0]).0, expected, "sent {sent:?}, at {at}");
        }
    }

    #[test]
    fn wild_clocks_share_a_year_and_stay_what_they_are_whenever_they_arrive() {
        const NOW: i64 = 1_700_000_000_000;
        let stored = |at: i64, received: i64| stored_clock(UnixMillis(at), UnixMillis(received)).0;
        for at in [NOW, NOW - MAX_CLOCK_OFFSET_MS, NOW + MAX_CLOCK_OFFSET_MS] {
            assert_eq!(stored(at, NOW), at);
        }
        let year_2000 = 946_684_800_000..978_307_200_000;
        // Retried a minute later, and not within that minute of the line.
        for at in [i64::MIN, -1, 0, NOW - MAX_CLOCK_OFFSET_MS - 1, NOW + MAX_CLOCK_OFFSET_MS + 60_001, i64::MAX] {
            assert!(year_2000.contains(&stored(at, NOW)), "{at}");
            assert_eq!(stored(at, NOW), stored(at, NOW + 60_000), "{at}");
        }
        assert_ne!(stored(5, NOW), stored(6, NOW));
    }

    #[test]
    fn earlier_receipt_has_the_higher_version_whoever_the_visitor_is() {
        let versions: Vec<u64> =
            [(-1, 0), (0, u64::MAX), (1, 0), (1_700_000_000_000, u64::MAX), (1_700_000_000_001, 0), (i64::MAX, 0)]
                .map(|(received, visitor)| version(UnixMillis(received), VisitorKey(visitor)))
                .to_vec();
        assert!(versions.is_sorted_by(|early, late| early > late), "{versions:?}");
        assert_ne!(version(UnixMillis(5), VisitorKey(1 << 63)), version(UnixMillis(5), VisitorKey(1)));
    }

    #[test]
    fn visitors_differ_by_site_client_address_agent_and_day() {
        let [one, two] = ["one", "two"].map(|site| site.parse::<SiteId>().unwrap());
        let client = |random| ClientId { random, created_ms: 1_700_000_000_000 };
        let ip = |text: &str| ClientAddress::Ip(text.parse().unwrap());
        let name = ClientAddress::HostName("a.example".to_owned());
        let keys = [
            visitor_of_client(&[1; 32], &one, client(1)),
            visitor_of_client(&[1; 32], &one, client(2)),
            visitor_of_client(&[1; 32], &two, client(1)),
            visitor_of_client(&[2; 32], &one, client(1)),
            visitor_of_day(&[1; 32], &one, &ip("192.0.2.1"), "agent"),
            visitor_of_day(&[1; 32], &one, &ip("192.0.2.2"), "agent"),
            visitor_of_day(&[1; 32], &one, &ip("192.0.2.1"), "other"),
            visitor_of_day(&[1; 32], &two, &ip("192.0.2.1"), "agent"),
            visitor_of_day(&[2; 32], &one, &ip("192.0.2.1"), "agent"),
            visitor_of_day(&[1; 32], &one, &ip("2001:db8::1"), "agent"),
            visitor_of_day(&[1; 32], &one, &name, "agent"),
        ];
        assert_eq!(keys.iter().collect::<HashSet<_>>().len(), keys.len());
        assert_eq!(keys[0], visitor_of_client(&[1; 32], &one, client(1)));
    }

    #[test]
    fn page_urls_are_split_and_only_routing_fragments_stay() {
        for (url, expected) in [
            ("", ["", "", "", ""]),
            ("https://Shop.Example:8443", ["https", "shop.example", "/", ""]),
            ("https://shop.example/a%20b?q=1&x#part", ["https", "shop.example", "/a%20b", "q=1&x"]),
            ("http://shop.example/app?q=1#/orders/5", ["http", "shop.example", "/app#/orders/5", "q=1"]),
            ("http://shop.example/#!about", ["http", "shop.example", "/#!about", ""]),
            ("http://[2001:db8::1]/", ["http", "[2001:db8::1]", "/", ""]),
        ] {
            let [scheme, host, path, query] = expected.map(str::to_owned);
            let expected = PageAddress { scheme, host, path, query };
            assert_eq!(PageAddress::of(Url::parse(url).ok().as_ref()), expected, "{url}");
        }
    }

    #[test]
    fn a_row_carries_beacon_event_verdict_and_device() {
        let mut beacon = fixtures::beacon("shop", 1_700_000_000_000);
        let device = Device { kind: "desktop", browser: "Firefox".into(), os: "Linux".into() };
        beacon.events[0].referrer = "https://www.google.com/".into();
        beacon.events[0].scroll = 200;
        let (site, verdict) = (fixtures::site("shop"), fixtures::company_verdict("acme.example"));
        let rows: Vec<EventRow> = rows_of(&beacon, &site, VisitorKey(7), &verdict, &device).collect();
        let row = &rows[0];
        assert_eq!(rows.len(), 1);
        assert_eq!((row.site.as_str(), row.event_type.as_str(), row.visitor), ("shop", "pageview", 7));
        assert_eq!((row.source.as_str(), row.medium.as_str()), ("Google", "organic"));
        assert_eq!((row.device.as_str(), row.browser.as_str(), row.os.as_str()), ("desktop", "Firefox", "Linux"));
        assert_eq!((row.network_kind.as_str(), row.company_domain.as_str()), ("business", "acme.example"));
        assert_eq!((row.company_source.as_str(), row.country_code.as_str(), row.scroll), ("asn", "DE", 100));
    }

    #[test]
    fn stored_signal_names_are_those_of_the_json() {
        for source in [
            Source::SpecialPurpose,
            Source::OwnRule,
            Source::Asn,
            Source::DomainMap,
            Source::RangeList,
            Source::Ptr,
            Source::CommercialDatabase,
            Source::CityDatabase,
            Source::CompanyProfiles,
        ] {
            assert_eq!(serde_json::to_value(source).unwrap(), signal_name(source));
        }
    }
}
