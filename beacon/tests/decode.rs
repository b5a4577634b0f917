//! The wire format as the collector reads it: golden files for what is accepted, a table for what is
//! refused, and the promise that no bytes at all break the reader.
#![cfg(feature = "decode")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is the finding of a test")]

use beacon::{Beacon, MAX_BODY_BYTES, MAX_EVENTS, MAX_NAME_BYTES, MAX_PROPS_BYTES, MAX_TITLE_BYTES, MAX_URL_BYTES};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::{borrow::Cow, fs, path::Path};

/// What was read, as JSON with every field.
fn rendered(beacon: &Beacon<'_>) -> Value {
    let events: Vec<Value> = beacon
        .events
        .iter()
        .map(|event| {
            json!({
                "id": event.id.to_string(), "at": event.at, "kind": event.kind.as_str(), "url": event.url,
                "referrer": event.referrer, "title": event.title, "page": event.page.map(|page| page.to_string()),
                "visible_ms": event.visible_ms, "scroll": event.scroll, "name": event.name,
                "props": event.props.map(serde_json::value::RawValue::get),
            })
        })
        .collect();
    json!({
        "site": beacon.site, "consent": beacon.consent.as_str(), "sent": beacon.sent,
        "client": beacon.client.map(|client| client.to_string()), "events": events,
    })
}

#[test]
fn golden_beacons_are_read_as_they_were() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/accepted");
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let body = fs::read(&path).unwrap();
        let found = format!("{:#}\n", rendered(&Beacon::decode(&body).unwrap()));
        let expected_path = path.with_extension("expected.txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&expected_path, &found).unwrap();
        }
        let expected = fs::read_to_string(&expected_path).unwrap();
        assert_eq!(found, expected, "{} (UPDATE_GOLDEN=1 rewrites it)", path.display());
        seen += 1;
    }
    assert_eq!(seen, 4);
}

fn whole() -> Value {
    json!({
        "v": 1, "site": "acme", "consent": "granted", "sent": 1_800_000_000_000u64,
        "client": "LF1.1.0123456789abcdef.1700000000000",
        "events": [
            {
                "id": "00000000-0000-4000-8000-000000000001", "at": 1_800_000_000_000u64, "type": "pageview",
                "url": "https://example.com/", "referrer": "https://search.example/", "title": "Title",
            },
            {
                "id": "00000000-0000-4000-8000-000000000002", "at": 1_800_000_000_000u64, "type": "custom",
                "name": "name", "props": {}, "page": "00000000-0000-4000-8000-000000000001",
                "visible_ms": 5, "scroll": 5,
            },
        ],
    })
}

/// `whole()` with one value put at a JSON pointer; `null` removes it in effect.
fn with(pointer: &str, value: Value) -> Vec<u8> {
    let mut beacon = whole();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    beacon.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(key.to_owned(), value);
    beacon.to_string().into_bytes()
}

/// Why the beacon, or one of its events, was refused.
fn refusal(body: &[u8]) -> beacon::Refusal {
    match Beacon::decode(body) {
        Ok(beacon) => beacon.refused.into_iter().next().expect("something is refused"),
        Err(refusal) => refusal,
    }
}

#[test]
fn what_breaks_a_limit_is_refused_with_field_and_rule() {
    let nested = |depth: usize| (1..depth).fold(json!({}), |inner, _| json!({ "a": inner }));
    let event = |index: usize| json!({ "id": format!("00000000-0000-4000-8000-{index:012}"), "at": 1_800_000_000_000u64, "type": "form" });
    let events = |count: usize| json!((1..=count).map(event).collect::<Vec<_>>());
    #[rustfmt::skip]
    let table: Vec<(&str, Value, &str, &str)> = vec![
        ("/v", json!(null), "v", "required"),
        ("/v", json!(2), "v", "version"),
        ("/v", json!("1"), "v", "type"),
        ("/site", json!(null), "site", "required"),
        ("/site", json!(7), "site", "type"),
        ("/site", json!(""), "site", "site-id"),
        ("/site", json!("a b"), "site", "site-id"),
        ("/site", json!("a\u{0}b"), "site", "site-id"),
        ("/site", json!("a".repeat(65)), "site", "site-id"),
        ("/consent", json!(null), "consent", "required"),
        ("/consent", json!("yes"), "consent", "consent-word"),
        ("/consent", json!("denied"), "consent", "consent-word"),
        ("/consent", json!(true), "consent", "type"),
        ("/sent", json!(-1), "sent", "type"),
        ("/client", json!(""), "client", "client-id"),
        ("/client", json!("LF1.1.0123456789abcdef.NC"), "client", "client-id"),
        ("/events", json!(null), "events", "required"),
        ("/events", json!([]), "events", "event-count"),
        ("/events", json!({}), "events", "type"),
        ("/events", json!([["00000000-0000-4000-8000-000000000001", 1_800_000_000_000u64, "form"]]), "events[0]", "type"),
        ("/events", events(MAX_EVENTS + 1), "events", "event-count"),
        ("/events/0/id", json!(null), "events[0].id", "required"),
        ("/events/0/id", json!("1"), "events[0].id", "uuid"),
        ("/events/0/id", json!("00000000000040008000000000000001"), "events[0].id", "uuid"),
        ("/events/0/id", json!("00000000-0000-0000-0000-000000000000"), "events[0].id", "uuid"),
        ("/events/1/id", json!("00000000-0000-4000-8000-000000000001"), "events[1].id", "duplicate-id"),
        ("/events/0/at", json!(null), "events[0].at", "required"),
        ("/events/0/at", json!(1.5), "events[0].at", "type"),
        ("/events/1/type", json!(null), "events[1].type", "required"),
        ("/events/1/type", json!("click"), "events[1].type", "event-type"),
        ("/events/0/url", json!(null), "events[0].url", "required"),
        ("/events/0/url", json!(""), "events[0].url", "required"),
        ("/events/0/url", json!("javascript:alert(1)"), "events[0].url", "url-scheme"),
        ("/events/0/url", json!("//example.com/"), "events[0].url", "url-scheme"),
        ("/events/0/url", json!("http:example.com"), "events[0].url", "url-scheme"),
        ("/events/0/url", json!("file:///etc/passwd"), "events[0].url", "url-scheme"),
        ("/events/0/url", json!(" https://example.com/"), "events[0].url", "url-scheme"),
        ("/events/0/url", json!("https://example.com/\u{0}"), "events[0].url", "control-character"),
        ("/events/0/url", json!("https://exam\nple.com/"), "events[0].url", "control-character"),
        ("/events/0/url", json!(format!("https://example.com/{}", "a".repeat(MAX_URL_BYTES))), "events[0].url", "too-long"),
        ("/events/0/url", json!(["https://example.com/"]), "events[0].url", "type"),
        ("/events/0/referrer", json!("data:text/html,x"), "events[0].referrer", "url-scheme"),
        ("/events/0/title", json!("a\u{0}b"), "events[0].title", "control-character"),
        ("/events/0/title", json!({}), "events[0].title", "type"),
        ("/events/1/page", json!("x"), "events[1].page", "uuid"),
        ("/events/1/visible_ms", json!(u64::from(u32::MAX) + 1), "events[1].visible_ms", "range"),
        ("/events/1/visible_ms", json!(-5), "events[1].visible_ms", "type"),
        ("/events/1/scroll", json!(101), "events[1].scroll", "range"),
        ("/events/1/name", json!(null), "events[1].name", "required"),
        ("/events/1/name", json!("a".repeat(MAX_NAME_BYTES + 1)), "events[1].name", "too-long"),
        ("/events/1/name", json!("a\tb"), "events[1].name", "control-character"),
        ("/events/1/props", json!([]), "events[1].props", "type"),
        ("/events/1/props", json!("{}"), "events[1].props", "type"),
        ("/events/1/props", json!({ "a": "b".repeat(MAX_PROPS_BYTES) }), "events[1].props", "too-long"),
        ("/events/1/props", json!({ "a": "b\u{0}" }), "events[1].props", "control-character"),
        ("/events/1/props", nested(9), "events[1].props", "too-deep"),
    ];
    for (pointer, value, field, rule) in table {
        let body = with(pointer, value.clone());
        let refusal = refusal(&body);
        assert_eq!((refusal.field.as_str(), refusal.rule), (field, rule), "{pointer} {value}: {refusal}");
        assert!(refusal.detail.len() <= 250, "{refusal}");
    }
    assert!(Beacon::decode(&with("/events", events(MAX_EVENTS))).is_ok());
    assert!(Beacon::decode(&with("/events/1/props", nested(8))).is_ok());
    assert!(Beacon::decode(&with("/events/1/props", json!({ "a": "\\u0000 and { \" [" }))).is_ok());
}

#[test]
fn what_belongs_to_a_kind_of_event_must_be_there() {
    let mut beacon = whole();
    beacon["events"][1]["type"] = json!("engagement");
    beacon["events"][1]["page"] = json!(null);
    let engagement = refusal(beacon.to_string().as_bytes());
    assert_eq!((engagement.field.as_str(), engagement.rule), ("events[1].page", "required"));

    beacon["events"][1]["type"] = json!("forget");
    beacon["client"] = json!(null);
    let forget = refusal(beacon.to_string().as_bytes());
    assert_eq!((forget.field.as_str(), forget.rule), ("client", "required"));
}

#[test]
fn a_bad_event_leaves_the_good_ones() {
    let deep = (1..9).fold(json!({}), |inner, _| json!({ "a": inner }));
    for (pointer, value) in
        [("/events/1/props", deep), ("/events/1/visible_ms", json!("5")), ("/events/1/name", json!("\u{0}"))]
    {
        let body = with(pointer, value);
        let beacon = Beacon::decode(&body).unwrap();
        assert_eq!((beacon.events.len(), beacon.refused.len()), (1, 1), "{pointer}");
        assert_eq!(beacon.refused[0].field, pointer.replace("/events/1/", "events[1]."));
    }
    let half_a_pair = whole().to_string().replace("\"name\":\"name\"", "\"name\":\"\\ud800\"");
    let beacon = Beacon::decode(half_a_pair.as_bytes()).unwrap();
    assert_eq!((beacon.events.len(), beacon.refused[0].rule), (1, "json"));
    // All bad is bad.
    assert!(Beacon::decode(whole().to_string().replace("2-4", "x").replace("-4000-", "-").as_bytes()).is_err());
}

#[test]
fn a_clock_that_is_decades_off_is_moved_to_the_nearest_that_is_kept() {
    for (at, kept) in [(1, beacon::MIN_AT_MS), (4_102_444_800_000u64, beacon::MAX_AT_MS - 1)] {
        let body = whole().to_string().replace("1800000000000", &at.to_string());
        let beacon = Beacon::decode(body.as_bytes()).unwrap();
        assert_eq!((beacon.sent, beacon.events[0].at), (Some(kept), kept));
    }
}

#[test]
fn bodies_that_are_no_beacon_are_refused() {
    let deep = |open: &str| open.repeat(MAX_BODY_BYTES / open.len()).into_bytes();
    let too_large = vec![b' '; MAX_BODY_BYTES + 1];
    let in_text = |middle: &[u8]| [&b"{\"v\":1,\"site\":\"a"[..], middle, b"\"}"].concat();
    #[rustfmt::skip]
    let table: Vec<(Vec<u8>, &str, &str)> = vec![
        (b"".to_vec(), "", "json"),
        (b"null".to_vec(), "", "type"),
        (b"[]".to_vec(), "", "type"),
        (b"7".to_vec(), "", "type"),
        (b"{".to_vec(), "", "json"),
        (b"{} {}".to_vec(), "", "json"),
        (b"site=a".to_vec(), "", "json"),
        (b"{\"v\":1,\"v\":1}".to_vec(), "", "type"),
        (b"\0".to_vec(), "", "json"),
        (in_text(b"\0"), "site", "json"),
        (in_text(b"\xff\xfe"), "", "utf-8"),
        (in_text(b"\\ud800"), "site", "json"),
        (deep("["), "", "type"),
        (deep("{\"a\":"), "a", "json"),
        (deep("{\"events\":["), "events[0].events", "json"),
        (too_large, "", "too-large"),
    ];
    for (body, field, rule) in table {
        let refusal = Beacon::decode(&body).unwrap_err();
        let start = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
        assert_eq!((refusal.field.as_str(), refusal.rule), (field, rule), "{start}: {refusal}");
    }
}

#[test]
fn a_long_title_is_cut_at_a_character() {
    let body = with("/events/0/title", json!("ä".repeat(MAX_TITLE_BYTES)));
    let beacon = Beacon::decode(&body).unwrap();
    assert_eq!(beacon.events[0].title.as_deref(), Some("ä".repeat(MAX_TITLE_BYTES / 2).as_str()));
}

#[test]
fn text_without_escapes_is_borrowed() {
    let body = with("/events/0/title", json!("plain"));
    let beacon = Beacon::decode(&body).unwrap();
    assert!(matches!(beacon.events[0].url, Some(Cow::Borrowed(_))));
    assert!(matches!(beacon.events[0].title, Some(Cow::Borrowed(_))));
}

/// Bytes that look like a beacon now and then: a valid one with a few places overwritten.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6).prop_map(|damage| {
        let mut body = whole().to_string().into_bytes();
        for (index, byte) in damage {
            let index = index.index(body.len());
            body[index] = byte;
        }
        body
    })
}

proptest! {
    #[test]
    fn no_bytes_break_the_reader(body: Vec<u8>) {
        if let Ok(beacon) = Beacon::decode(&body) {
            prop_assert!(!beacon.events.is_empty());
        }
    }

    #[test]
    fn what_is_accepted_of_a_damaged_beacon_is_within_every_limit(body in damaged()) {
        match Beacon::decode(&body) {
            Ok(beacon) => for event in &beacon.events {
                prop_assert!((beacon::MIN_AT_MS..beacon::MAX_AT_MS).contains(&event.at));
                for url in [&event.url, &event.referrer].into_iter().flatten() {
                    prop_assert!(url.len() <= MAX_URL_BYTES && url.get(..4).is_some_and(|start| ["http", "andr"].iter().any(|word| start.eq_ignore_ascii_case(word))));
                }
            },
            Err(refusal) => prop_assert!(!refusal.rule.is_empty() && !refusal.detail.is_empty()),
        }
    }
}
