//! What a client of the reports API sends: key header, dates, page, lead id.
//!
//! The first byte chooses the account's time zone. Lines follow: Authorization, X-Api-Key, lead id, query.
#![no_main]

use collector::leadfeeder::fuzzing::{self, ListRequest};
use firmsight_fuzz::choice;
use http::{HeaderMap, HeaderValue, header};

const ZONES: [&str; 5] = ["UTC", "Europe/Berlin", "Asia/Beirut", "America/Los_Angeles", "Pacific/Apia"];

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (zone, input) = choice(input);
    let zone = ZONES[zone % ZONES.len()];
    let mut parts = input.splitn(4, |byte| *byte == b'\n');
    let mut next = || parts.next().unwrap_or_default();
    let mut headers = HeaderMap::new();
    for name in [header::AUTHORIZATION, header::HeaderName::from_static("x-api-key")] {
        if let Ok(value) = HeaderValue::from_bytes(next()) {
            headers.insert(name, value);
        }
    }
    if let Some(token) = fuzzing::presented_token(&headers) {
        assert!(!token.is_empty());
    }
    assert_ne!(fuzzing::lead_id(&String::from_utf8_lossy(next())), Some(0), "no company was taken for one");
    let query = String::from_utf8_lossy(next());
    let Ok(read) = fuzzing::list_request(&query, zone) else { return };
    let ListRequest { from, until, offset, limit, link } = &read;
    assert!(from <= until && (0..=4_102_444_800_000).contains(from) && *until <= 4_102_444_800_000);
    assert!((1..=100).contains(limit) && offset % limit == 0);
    let (_, query) = link.split_once('?').expect("a link has a query");
    assert_eq!(fuzzing::list_request(query, zone).as_ref(), Ok(&read), "a link asks for another list");
});
