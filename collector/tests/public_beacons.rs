//! Beacons through the whole public service, without sockets: each rule's status, problem and counters.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is the finding of a test")]

mod public_support;

use bytes::Bytes;
use collector::{
    counters::{DropReason, RejectRule},
    ingest::{AccessNetworks, Peer, Settings},
    site::ConsentMode,
    snapshot::Snapshot,
    spool::{AppendError, record::ClientAddress},
};
use http::{Request, StatusCode};
use http_body::Frame;
use proptest::prelude::*;
use public_support::{CLIENT, COMPANY, FIREFOX, NOW, Setup, pageview, post, request, site, sites, with_client};
use serde_json::{Value, json};
use std::{convert::Infallible, path::Path, sync::Arc, time::Duration};

type Headers<'a> = Vec<(&'a str, &'a str)>;

/// What a beacon should come to.
#[derive(Debug)]
enum Expected {
    Kept,
    Dropped(DropReason),
    Rejected(u16, RejectRule, &'static str),
}

use Expected::{Dropped, Kept, Rejected};

#[tokio::test]
async fn every_rule_has_its_status_and_its_counter() {
    let edited = |pointer: &str, value: Value| {
        let mut beacon = pageview("cookieless", "unknown");
        *beacon.pointer_mut(pointer).unwrap() = value;
        beacon
    };
    let url = |url: &str| edited("/events/0/url", json!(url));
    let on = |site: &str, consent: &str| pageview(site, consent);
    let address = |url: &str| {
        let mut beacon = pageview("addresses", "unknown");
        beacon["events"][0]["url"] = json!(url);
        beacon
    };
    let consent = |field| Rejected(403, RejectRule::Consent, field);
    let host = || Rejected(403, RejectRule::Host, "events[0].url");
    let origin = || Rejected(403, RejectRule::Origin, "Origin");
    const GPC: (&str, &str) = ("sec-gpc", "1");
    #[rustfmt::skip]
    let table: Vec<(Value, Headers<'_>, Expected)> = vec![
        // Sites.
        (on("nobody", "unknown"), vec![], Rejected(403, RejectRule::UnknownSite, "site")),
        // Page hosts.
        (url("https://cookieless.example.com:8443/"), vec![], Kept),
        (url("HTTPS://Cookieless.Example.COM./"), vec![], Kept),
        (url("https://user:secret@cookieless.example.com/"), vec![], Kept),
        (url("https://www.cookieless.example.com/"), vec![], host()),
        (url("https://example.com/"), vec![], host()),
        (url("https://cookieless.example.com@evil.test/"), vec![], host()),
        (url("https://cookieless.example.com.evil.test/"), vec![], host()),
        (url("https://evil.test\\@cookieless.example.com/"), vec![], host()),
        (url("https:///cookieless.example.com/"), vec![], host()),
        (address("http://localhost:3000/"), vec![], Kept),
        (address("http://127.0.0.1:3000/"), vec![], Kept),
        (address("http://[::1]:3000/"), vec![], Kept),
        // Origins.
        (on("cookieless", "unknown"), vec![("origin", "https://cookieless.example.com")], Kept),
        (on("cookieless", "unknown"), vec![("origin", "http://cookieless.example.com:3000")], Kept),
        (on("cookieless", "unknown"), vec![("origin", "https://evil.test")], origin()),
        (on("cookieless", "unknown"), vec![("origin", "null")], origin()),
        (on("cookieless", "unknown"), vec![("origin", "null"), ("sec-fetch-site", "cross-site")], origin()),
        // A strict referrer policy hides the origin of what isn't CORS; the browser itself says whose page it is.
        (on("cookieless", "unknown"), vec![("origin", "null"), ("sec-fetch-site", "same-site")], Kept),
        (on("cookieless", "unknown"), vec![("origin", "null"), ("sec-fetch-site", "same-origin")], Kept),
        (on("cookieless", "unknown"), vec![("origin", "https://required.example.com")], origin()),
        // Consent, by mode and word.
        (on("required", "unknown"), vec![], consent("consent")),
        (on("required", "not-required"), vec![], consent("consent")),
        (on("required", "granted"), vec![], Kept),
        (with_client(on("required", "granted")), vec![], Kept),
        (with_client(on("required", "unknown")), vec![], consent("consent")),
        (on("cookieless", "unknown"), vec![], Kept),
        (with_client(on("cookieless", "unknown")), vec![], consent("client")),
        (on("cookieless", "granted"), vec![], Kept),
        (with_client(on("cookieless", "granted")), vec![], Kept),
        (on("cookieless", "not-required"), vec![], consent("consent")),
        (on("free", "not-required"), vec![], Kept),
        (with_client(on("free", "not-required")), vec![], Kept),
        (on("free", "granted"), vec![], Kept),
        (on("free", "unknown"), vec![], Kept),
        (with_client(on("free", "unknown")), vec![], consent("client")),
        // Global Privacy Control.
        (on("cookieless", "unknown"), vec![GPC], Dropped(DropReason::GlobalPrivacyControl)),
        (on("free", "not-required"), vec![GPC], Dropped(DropReason::GlobalPrivacyControl)),
        (on("required", "unknown"), vec![GPC], Dropped(DropReason::GlobalPrivacyControl)),
        (on("required", "granted"), vec![GPC], Kept),
        (on("cookieless", "unknown"), vec![("sec-gpc", "0")], Kept),
        // Robots by their own word.
        (on("cookieless", "unknown"), vec![("user-agent", "")], Dropped(DropReason::Crawler)),
        (on("cookieless", "unknown"), vec![("user-agent", "curl/8.5.0")], Dropped(DropReason::Crawler)),
        // Networks.
        (on("own", "unknown"), vec![("peer", "192.0.2.9")], Dropped(DropReason::OwnNetwork)),
        (on("own", "unknown"), vec![("peer", "::ffff:192.0.2.9")], Dropped(DropReason::OwnNetwork)),
        (on("cookieless", "unknown"), vec![("peer", "192.0.2.9")], Kept),
        (on("cookieless", "unknown"), vec![("peer", "127.0.0.1")], Dropped(DropReason::Reserved)),
        (on("cookieless", "unknown"), vec![("peer", "10.1.2.3")], Dropped(DropReason::Reserved)),
        (on("cookieless", "unknown"), vec![("peer", "198.51.100.1")], Dropped(DropReason::Crawler)),
        (on("cookieless", "unknown"), vec![("peer", "198.51.100.65")], Dropped(DropReason::Anonymizer)),
        (on("cookieless", "unknown"), vec![("peer", "198.51.100.129")], Kept),
        (on("cookieless", "unknown"), vec![("peer", "198.51.100.193")], Kept),
    ];
    for (beacon, headers, expected) in table {
        let setup = Setup::new();
        let answer = setup.send(post(&beacon, &headers)).await;
        let case = format!("{beacon} {headers:?} {expected:?}: {}", answer.text());
        match expected {
            Kept => {
                assert_eq!(answer.status, StatusCode::NO_CONTENT, "{case}");
                assert_eq!(setup.balance().in_flight, 1, "{case}");
            }
            Dropped(reason) => {
                assert_eq!(answer.status, StatusCode::NO_CONTENT, "{case}");
                assert_eq!(setup.dropped(reason), 1, "{case}");
                assert!(answer.cookies().is_empty(), "{case}");
            }
            Rejected(status, rule, field) => {
                assert_eq!(answer.status.as_u16(), status, "{case}");
                assert_eq!(setup.rejected(rule), 1, "{case}");
                let problem = answer.problem();
                assert_eq!((problem["rule"].as_str(), problem["field"].as_str()), (Some(rule.as_str()), Some(field)));
            }
        }
    }
}

#[tokio::test]
async fn access_networks_are_dropped_at_the_door_when_the_owner_says_so() {
    let setup = Setup::with(Settings { access_networks: AccessNetworks::Drop, ..Settings::default() });
    let beacon = pageview("cookieless", "unknown");
    assert_eq!(setup.send(post(&beacon, &[("peer", "198.51.100.193")])).await.status, StatusCode::NO_CONTENT);
    assert_eq!(setup.dropped(DropReason::Residential), 1);
}

#[tokio::test]
async fn what_is_spooled_is_what_was_sent() {
    let setup = Setup::new();
    let beacon = with_client(pageview("required", "granted"));
    let headers = [("accept-language", "de-DE,de;q=0.9"), ("user-agent", FIREFOX)];
    assert_eq!(setup.send(post(&beacon, &headers)).await.status, StatusCode::NO_CONTENT);
    let spooled = setup.sink.beacons().remove(0);
    assert_eq!(spooled.address, ClientAddress::Ip("203.0.113.7".parse().unwrap()));
    assert_eq!(spooled.received.0, NOW);
    assert_eq!((spooled.site.as_str(), &*spooled.user_agent, &*spooled.language), ("required", FIREFOX, "de-DE"));
    assert_eq!(spooled.client.unwrap().to_string(), CLIENT);
    assert_eq!(spooled.sent.unwrap().0, NOW);
    let event = &spooled.events[0];
    assert_eq!((&*event.url, &*event.title), ("https://required.example.com/page", "Page"));
    assert_eq!(event.referrer, "https://search.example/");
}

#[tokio::test]
async fn a_bad_event_does_not_take_its_batch() {
    let setup = Setup::new();
    let mut beacon = with_client(pageview("required", "granted"));
    let event = |id: u32, more: Value| {
        let mut event = json!({ "id": format!("00000000-0000-4000-8000-00000000001{id}"), "at": NOW, "type": "custom", "name": "n" });
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    let deep = (0..9).fold(json!({}), |inner, _| json!({ "a": inner }));
    beacon["events"].as_array_mut().unwrap().extend([
        event(1, json!({ "props": deep })),
        event(2, json!({ "scroll": "far" })),
        event(3, json!({ "url": "https://canonical.example/" })),
        event(4, json!({})),
    ]);
    let answer = setup.send(post(&beacon, &[])).await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "application/json"));
    let refused: Value = serde_json::from_slice(&answer.body).unwrap();
    let rules: Vec<_> =
        refused["refused"].as_array().unwrap().iter().map(|one| (&one["field"], &one["rule"])).collect();
    assert_eq!(
        json!(rules),
        json!([
            ["events[1].props", "too-deep"],
            ["events[2].scroll", "type"],
            ["event 00000000-0000-4000-8000-000000000013 url", "host"],
        ])
    );
    assert_eq!(setup.sink.beacons()[0].events.len(), 2);
    let balance = setup.balance();
    assert_eq!((balance.received, balance.in_flight), (5, 2));
    assert_eq!(balance.rejected[RejectRule::Malformed as usize], 2);
    assert_eq!(balance.rejected[RejectRule::Host as usize], 1);
    assert!(balance.holds());
}

#[tokio::test]
async fn identify_needs_a_grant_and_the_sites_leave() {
    for (site, consent, kept) in [
        ("identify", "granted", 2),
        ("required", "granted", 1),
        ("cookieless", "unknown", 1),
        ("free", "not-required", 1),
    ] {
        let setup = Setup::new();
        let mut beacon = pageview(site, consent);
        beacon["events"].as_array_mut().unwrap().push(json!({
            "id": "00000000-0000-4000-8000-000000000002", "at": NOW, "type": "identify", "props": {"email": "a@b.example"},
        }));
        assert_eq!(setup.send(post(&beacon, &[])).await.status, StatusCode::NO_CONTENT);
        assert_eq!(setup.balance().in_flight, kept, "{site}");
        assert_eq!(setup.dropped(DropReason::IdentifyNotAllowed), 2 - kept, "{site}");
    }
}

#[tokio::test]
async fn a_withdrawal_arrives_from_any_browser_and_network() {
    let forget = json!({
        "v": 1, "site": "required", "consent": "unknown", "client": CLIENT, "events": [
            {"id": "00000000-0000-4000-8000-000000000009", "at": NOW, "type": "forget"},
        ],
    });
    for headers in [
        vec![],
        vec![("sec-gpc", "1")],
        vec![("user-agent", "curl/8.5.0")],
        vec![("peer", "127.0.0.1")],
        vec![("peer", "198.51.100.65")],
    ] {
        let setup = Setup::new();
        let answer = setup.send(post(&forget, &headers)).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{headers:?}");
        assert_eq!(setup.balance().in_flight, 1, "{headers:?}");
        assert!(answer.cookies().is_empty(), "a withdrawal renews nothing");
    }
    // What else the beacon holds is dropped as ever.
    let setup = Setup::new();
    let mut beacon = with_client(pageview("required", "granted"));
    beacon["events"].as_array_mut().unwrap().push(forget["events"][0].clone());
    setup.send(post(&beacon, &[("peer", "127.0.0.1")])).await;
    assert_eq!((setup.balance().in_flight, setup.dropped(DropReason::Reserved)), (1, 1));
}

#[tokio::test]
async fn a_network_may_withdraw_so_often_whatever_the_steps_say_of_it() {
    let setup = Setup::with(Settings { forgets_per_network_per_minute: 2, ..Settings::default() });
    let forget = json!({
        "v": 1, "site": "required", "consent": "unknown", "client": CLIENT, "events": [
            {"id": "00000000-0000-4000-8000-000000000009", "at": NOW, "type": "forget"},
        ],
    });
    let from = |peer: &'static str| post(&forget, &[("peer", peer), ("sec-gpc", "1")]);
    for (peer, expected) in [
        ("203.0.113.7", StatusCode::NO_CONTENT),
        ("203.0.113.8", StatusCode::NO_CONTENT),
        ("203.0.113.9", StatusCode::TOO_MANY_REQUESTS),
        ("203.0.114.9", StatusCode::NO_CONTENT),
    ] {
        assert_eq!(setup.send(from(peer)).await.status, expected, "{peer}");
    }
    assert_eq!((setup.balance().in_flight, setup.rejected(RejectRule::RateLimit)), (3, 1));
    assert_eq!(setup.send(post(&pageview("cookieless", "unknown"), &[])).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn refusals_before_decoding_are_counted_apart() {
    let beacon = pageview("cookieless", "unknown");
    let raw = |headers: &[(&str, &str)], body: &[u8]| {
        let mut all = vec![("user-agent", FIREFOX)];
        all.extend_from_slice(headers);
        request("POST", "/lfa", &all, body.to_vec())
    };
    const PLAIN: (&str, &str) = ("content-type", "text/plain");
    let body = beacon.to_string();
    let body = body.as_bytes();
    let huge = vec![b' '; 10 << 20];
    #[rustfmt::skip]
    let table = vec![
        (raw(&[], body), 415, RejectRule::MediaType, "Content-Type", "media-type"),
        (raw(&[("content-type", "application/x-www-form-urlencoded")], body), 415, RejectRule::MediaType, "Content-Type", "media-type"),
        (raw(&[("content-type", "text/plain; charset=iso-8859-1")], body), 415, RejectRule::MediaType, "Content-Type", "media-type"),
        (raw(&[PLAIN, ("content-encoding", "gzip")], body), 415, RejectRule::MediaType, "Content-Encoding", "media-type"),
        (raw(&[PLAIN], &huge), 413, RejectRule::TooLarge, "", "too-large"),
        (raw(&[PLAIN, ("content-length", "10485760")], body), 413, RejectRule::TooLarge, "", "too-large"),
        (raw(&[PLAIN], b""), 400, RejectRule::Malformed, "", "json"),
        (raw(&[PLAIN], b"\0\0"), 400, RejectRule::Malformed, "", "json"),
        (raw(&[PLAIN], b"\xff"), 400, RejectRule::Malformed, "", "utf-8"),
        (raw(&[PLAIN], "[".repeat(60_000).as_bytes()), 400, RejectRule::Malformed, "", "type"),
        (raw(&[PLAIN], br#"{"v":1,"site":5}"#), 400, RejectRule::Malformed, "site", "type"),
        (raw(&[PLAIN], br#"{"v":1,"site":"a","consent":"granted","events":[{"id":true}]}"#), 400, RejectRule::Malformed, "events[0].id", "type"),
    ];
    for (request, status, rule, field, name) in table {
        let setup = Setup::new();
        let answer = setup.send(request).await;
        let problem = answer.problem();
        assert_eq!(
            (answer.status.as_u16(), &problem["field"], &problem["rule"]),
            (status, &json!(field), &json!(name))
        );
        assert_eq!((setup.balance().received, setup.undecodable(rule)), (0, 1), "{problem}");
    }
    for content_type in
        ["text/plain", "Text/Plain; Charset=\"UTF-8\"", "application/json", "application/json;charset=utf-8"]
    {
        let setup = Setup::new();
        let answer = setup.send(raw(&[("content-type", content_type)], body)).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{content_type}");
    }
}

/// A POST whose body arrives in these pieces, and then either ends or never does.
fn slow_post(pieces: Vec<Vec<u8>>, ends: bool) -> Request<impl http_body::Body<Data = Bytes, Error = Infallible>> {
    struct Pieces(Vec<Bytes>, bool, bool);
    impl http_body::Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            context: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            use std::task::Poll;
            // Each piece keeps the reader waiting once.
            self.2 = !self.2;
            if self.2 {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            match self.0.pop() {
                Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece)))),
                None if self.1 => Poll::Ready(None),
                None => Poll::Pending,
            }
        }
    }
    let pieces = pieces.into_iter().rev().map(Bytes::from).collect();
    let mut request = Request::post("/lfa").header("content-type", "text/plain").header("user-agent", FIREFOX);
    request = request.extension(Peer(COMPANY.parse().unwrap()));
    request.body(Pieces(pieces, ends, false)).unwrap()
}

#[tokio::test]
async fn a_body_may_come_in_pieces() {
    let setup = Setup::new();
    let body = pageview("cookieless", "unknown").to_string().into_bytes();
    let pieces = body.chunks(7).map(<[u8]>::to_vec).collect();
    assert_eq!(setup.send(slow_post(pieces, true)).await.status, StatusCode::NO_CONTENT);
    assert_eq!(setup.balance().in_flight, 1);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_is_given_up() {
    let setup = Setup::with(Settings { body_timeout: Duration::from_secs(3), ..Settings::default() });
    let answer = setup.send(slow_post(vec![b"{".to_vec()], false)).await;
    assert_eq!((answer.status, answer.problem()["rule"].as_str()), (StatusCode::REQUEST_TIMEOUT, Some("timeout")));
    assert_eq!(setup.undecodable(RejectRule::Timeout), 1);
}

#[tokio::test]
async fn a_body_that_grows_without_an_announcement_is_cut_off() {
    let setup = Setup::new();
    let answer = setup.send(slow_post(vec![vec![b' '; 40_000]; 1000], true)).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(setup.undecodable(RejectRule::TooLarge), 1);
}

#[tokio::test]
async fn only_so_many_slow_bodies_are_awaited() {
    let setup = Setup::with(Settings { max_bodies_in_flight: 1, ..Settings::default() });
    let mut waiting = Box::pin(setup.send(slow_post(vec![b"{".to_vec()], false)));
    assert!(futures_poll(&mut waiting).await.is_none());
    let answer = setup.send(slow_post(vec![b"{".to_vec()], false)).await;
    assert_eq!((answer.status, answer.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "1"));
    assert_eq!(setup.undecodable(RejectRule::Overloaded), 1);
    // A browser's body, which arrives at once, doesn't wait behind the slow ones.
    assert_eq!(setup.send(post(&pageview("cookieless", "unknown"), &[])).await.status, StatusCode::NO_CONTENT);
}

/// Polls a future a few times; its output when it ended.
async fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    for _ in 0..5 {
        let polled =
            std::future::poll_fn(|context| std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(context)));
        if let std::task::Poll::Ready(output) = polled.await {
            return Some(output);
        }
        tokio::task::yield_now().await;
    }
    None
}

#[tokio::test]
async fn too_many_beacons_of_one_address_are_refused() {
    let setup = Setup::with(Settings { beacons_per_address_per_minute: 3, ..Settings::default() });
    let beacon = pageview("cookieless", "unknown");
    for _ in 0..3 {
        assert_eq!(setup.send(post(&beacon, &[])).await.status, StatusCode::NO_CONTENT);
    }
    let answer = setup.send(post(&beacon, &[])).await;
    assert_eq!((answer.status, answer.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "20"));
    assert_eq!(setup.rejected(RejectRule::RateLimit), 1);
    assert_eq!(setup.send(post(&beacon, &[("peer", "203.0.113.8")])).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_full_spool_is_said_and_nothing_of_the_beacon_is_kept() {
    let setup = Setup::new();
    *setup.sink.refusal.lock().unwrap() = Some(AppendError::Full);
    let answer = setup.send(post(&pageview("cookieless", "unknown"), &[])).await;
    assert_eq!((answer.status, answer.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "10"));
    assert_eq!(setup.rejected(RejectRule::SpoolUnavailable), 1);
}

#[tokio::test]
async fn before_the_sites_are_known_browsers_are_asked_to_come_back() {
    let setup = Setup::new();
    setup.snapshot.store(Arc::new(Snapshot::default()));
    let answer = setup.send(post(&pageview("cookieless", "unknown"), &[])).await;
    assert_eq!((answer.status, answer.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "10"));
    assert_eq!(setup.rejected(RejectRule::SpoolUnavailable), 1);
}

#[tokio::test]
async fn without_a_peer_the_mistake_is_named() {
    let setup = Setup::new();
    let mut beacon = post(&pageview("cookieless", "unknown"), &[]);
    beacon.extensions_mut().clear();
    let answer = setup.send(beacon).await;
    assert_eq!(
        (answer.status, answer.problem()["rule"].as_str()),
        (StatusCode::INTERNAL_SERVER_ERROR, Some("no-peer"))
    );
    let mut beacon = post(&pageview("cookieless", "unknown"), &[]);
    beacon.extensions_mut().clear();
    beacon.extensions_mut().insert(axum::extract::ConnectInfo::<std::net::SocketAddr>(COMPANY.parse().unwrap()));
    assert_eq!(setup.send(beacon).await.status, StatusCode::NO_CONTENT);
}

fn behind_a_proxy() -> Settings {
    Settings { trusted_proxies: vec!["127.0.0.1/32".parse().unwrap()], ..Settings::default() }
}

#[tokio::test]
async fn a_trusted_proxy_speaks_for_its_clients_and_others_do_not() {
    let beacon = pageview("cookieless", "unknown");
    let setup = Setup::with(behind_a_proxy());
    setup.send(post(&beacon, &[("peer", "127.0.0.1"), ("x-forwarded-for", "1.1.1.1, 203.0.113.80")])).await;
    assert_eq!(setup.sink.beacons()[0].address, ClientAddress::Ip("203.0.113.80".parse().unwrap()));
    assert_eq!(setup.service.untrusted_proxy_requests(), 0);

    let setup = Setup::new();
    for _ in 0..2 {
        setup.send(post(&beacon, &[("peer", "127.0.0.1"), ("x-forwarded-for", "203.0.113.80")])).await;
    }
    assert_eq!((setup.dropped(DropReason::Reserved), setup.service.untrusted_proxy_requests()), (2, 2));
}

#[tokio::test]
async fn the_client_id_is_renewed_where_page_and_collector_share_a_domain() {
    const WHOLE: &str =
        "_lfa=LF1.1.0123456789abcdef.1700000000000; SameSite=Lax; Secure; Path=/; Domain=example.com; Max-Age=34560000";
    let shown = |cookie: &str| {
        let mut parts: Vec<String> = cookie.split("; ").map(str::to_owned).collect();
        parts[1..].sort();
        parts
    };
    let granted = || with_client(pageview("required", "granted"));
    let local = || {
        let mut beacon = with_client(pageview("addresses", "granted"));
        beacon["events"][0]["url"] = json!("http://localhost:3000/");
        beacon
    };
    const HTTPS: (&str, &str) = ("x-forwarded-proto", "https");
    const PROXY: (&str, &str) = ("peer", "127.0.0.1");
    const FROM: (&str, &str) = ("x-forwarded-for", "203.0.113.80");
    let plain = WHOLE.replace(" Secure;", "");
    let host_only = plain.replace(" Domain=example.com;", "");
    let table: Vec<(Value, Headers<'_>, Option<&str>)> = vec![
        (granted(), vec![PROXY, FROM, HTTPS], Some(WHOLE)),
        (
            granted(),
            vec![PROXY, FROM, HTTPS, ("host", "10.0.0.5"), ("x-forwarded-host", "stats.example.com")],
            Some(WHOLE),
        ),
        // Nobody but a trusted proxy says what the browser used.
        (granted(), vec![HTTPS], Some(&plain)),
        (granted(), vec![("x-forwarded-host", "evil.test")], Some(&plain)),
        (with_client(pageview("free", "not-required")), vec![], Some(&plain)),
        (pageview("required", "granted"), vec![], None),
        (pageview("cookieless", "unknown"), vec![], None),
        // No shared domain.
        (granted(), vec![("host", "stats.other.test")], None),
        (granted(), vec![("host", "127.0.0.1:8080")], None),
        (local(), vec![("host", "localhost:8080")], Some(&host_only)),
        (local(), vec![("host", "127.0.0.1:8080")], None),
    ];
    for (beacon, headers, expected) in table {
        let setup = Setup::with(behind_a_proxy());
        let answer = setup.send(post(&beacon, &headers)).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{headers:?} {}", answer.text());
        assert_eq!(answer.cookies().first().map(|cookie| shown(cookie)), expected.map(shown), "{beacon} {headers:?}");
    }

    let setup = Setup::new();
    let mut snapshot = sites();
    let mut site = site("required", ConsentMode::Required, "required.example.com");
    site.client_id_life = "30d".parse().unwrap();
    snapshot.sites.insert(site.id.clone(), Arc::new(site));
    setup.snapshot.store(Arc::new(snapshot));
    let answer = setup.send(post(&granted(), &[])).await;
    assert_eq!(answer.cookies().len(), 1);
    assert!(answer.cookies()[0].contains("Max-Age=2592000"), "the site's own life: {:?}", answer.cookies());
}

#[tokio::test]
async fn pages_of_known_sites_may_read_answers() {
    let setup = Setup::new();
    let origin = ("origin", "https://cookieless.example.com");
    let preflight = setup.send(request("OPTIONS", "/lfa", &[origin], Vec::new())).await;
    assert_eq!(preflight.status, StatusCode::NO_CONTENT);
    assert_eq!(preflight.header("access-control-allow-methods"), "POST");
    assert_eq!(preflight.header("access-control-allow-headers"), "Content-Type");
    let sent = setup.send(post(&pageview("cookieless", "unknown"), &[origin])).await;
    let refused = setup.send(post(&pageview("nobody", "unknown"), &[origin])).await;
    for answer in [&preflight, &sent, &refused] {
        assert_eq!(answer.header("access-control-allow-origin"), origin.1);
        assert_eq!(answer.header("access-control-allow-credentials"), "true");
        assert_eq!(answer.header("vary"), "Origin");
    }
    let stranger = setup.send(request("OPTIONS", "/lfa", &[("origin", "https://evil.test")], Vec::new())).await;
    assert_eq!((stranger.status, stranger.header("access-control-allow-origin")), (StatusCode::NO_CONTENT, ""));
}

#[tokio::test]
async fn the_pixel_counts_one_pageview_where_no_consent_is_asked() {
    let page = "url=https%3A%2F%2Fcookieless.example.com%2Fp%3Fa%3Db&referrer=https%3A%2F%2Fsearch.example%2F";
    const BROWSER: &[(&str, &str)] = &[("user-agent", FIREFOX)];
    let setup = Setup::new();
    let answer = setup.get(&format!("/lfa.gif?site=cookieless&{page}"), BROWSER).await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "image/gif"));
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(answer.body.starts_with(b"GIF89a"));
    let spooled = setup.sink.beacons().remove(0);
    let event = &spooled.events[0];
    assert_eq!((&*event.url, &*event.referrer), ("https://cookieless.example.com/p?a=b", "https://search.example/"));
    assert_eq!((event.at.0, event.id.get_version_num(), spooled.client), (NOW, 4, None));

    let free = [BROWSER[0], ("referer", "https://free.example.com/")];
    assert_eq!(setup.get("/lfa.gif?site=free", &free).await.status, StatusCode::OK);
    assert_eq!(setup.sink.beacons()[1].events[0].url, "https://free.example.com/");

    for (path, status, field, rule) in [
        ("/lfa.gif?site=required&url=https://required.example.com/", 403, "consent", "consent"),
        ("/lfa.gif?site=nobody&url=https://a.test/", 403, "site", "unknown-site"),
        ("/lfa.gif?site=free&url=https://a.test/", 403, "events[0].url", "host"),
        ("/lfa.gif?site=free&url=ftp://free.example.com/", 400, "url", "url-scheme"),
        ("/lfa.gif?site=free", 400, "url", "required"),
        ("/lfa.gif", 400, "site", "site-id"),
    ] {
        let answer = setup.get(path, BROWSER).await;
        let problem = answer.problem();
        assert_eq!(
            (answer.status.as_u16(), &problem["field"], &problem["rule"]),
            (status, &json!(field), &json!(rule))
        );
    }
    assert_eq!(setup.balance().in_flight, 2);
    let gpc = setup.get("/lfa.gif?site=free&url=https://free.example.com/", &[BROWSER[0], ("sec-gpc", "1")]).await;
    assert_eq!((gpc.status, setup.dropped(DropReason::GlobalPrivacyControl)), (StatusCode::OK, 1));
}

#[tokio::test]
async fn problem_bodies_are_as_they_were() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/problems");
    let setup = Setup::with(Settings { beacons_per_address_per_minute: 1, ..Settings::default() });
    let mut bad_url = pageview("cookieless", "unknown");
    bad_url["events"][0]["url"] = json!("javascript:alert(1)");
    let limited = post(&pageview("cookieless", "unknown"), &[]);
    assert_eq!(setup.send(limited.clone()).await.status, StatusCode::NO_CONTENT);
    let full = Setup::new();
    *full.sink.refusal.lock().unwrap() = Some(AppendError::Full);
    let gzip = post(&pageview("cookieless", "unknown"), &[("content-encoding", "gzip")]);
    let large = request("POST", "/lfa", &[("content-type", "text/plain")], vec![b' '; 65_537]);
    for (name, answer) in [
        ("400_url_scheme", setup.send(post(&bad_url, &[])).await),
        ("403_consent", setup.send(post(&pageview("required", "unknown"), &[])).await),
        ("403_unknown_site", setup.send(post(&pageview("nobody", "unknown"), &[])).await),
        ("404_no_such_path", setup.get("/nothing", &[]).await),
        ("405_method", setup.get("/lfa", &[]).await),
        ("413_too_large", setup.send(large).await),
        ("415_content_encoding", setup.send(gzip).await),
        ("429_rate_limit", setup.send(limited).await),
        ("503_spool_unavailable", full.send(post(&pageview("cookieless", "unknown"), &[])).await),
    ] {
        let found = format!("{:#}\n", answer.problem());
        let path = folder.join(format!("{name}.json"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &found).unwrap();
        }
        assert_eq!(found, std::fs::read_to_string(&path).unwrap(), "{name} (UPDATE_GOLDEN=1 rewrites it)");
        assert!(name.starts_with(answer.status.as_str()));
    }
}

#[tokio::test]
async fn a_browser_that_goes_away_leaves_no_event_without_an_end() {
    let setup = Setup::new();
    for _ in 0..20 {
        let mut sending = Box::pin(setup.send(post(&pageview("cookieless", "unknown"), &[])));
        let polled = std::future::poll_fn(|context| std::task::Poll::Ready(sending.as_mut().poll(context)));
        assert!(polled.await.is_pending());
        drop(sending);
    }
    // The appends run on by themselves.
    while setup.sink.beacons().len() < 20 {
        tokio::task::yield_now().await;
    }
    assert_eq!(setup.balance().in_flight, 20);
}

#[derive(Clone, Debug)]
struct Shot {
    site: &'static str,
    consent: &'static str,
    client: bool,
    gpc: bool,
    peer: &'static str,
    identify: bool,
    broken: bool,
}

fn shots() -> impl Strategy<Value = Vec<Shot>> {
    let site = prop::sample::select(vec!["required", "cookieless", "free", "identify", "own", "nobody"]);
    let consent = prop::sample::select(vec!["granted", "unknown", "not-required"]);
    let peer = prop::sample::select(vec!["203.0.113.7", "127.0.0.1", "198.51.100.1", "192.0.2.1"]);
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), prop::bool::weighted(0.1));
    let shot = (site, consent, peer, flags).prop_map(|(site, consent, peer, (client, gpc, identify, broken))| Shot {
        site,
        consent,
        client,
        gpc,
        peer,
        identify,
        broken,
    });
    prop::collection::vec(shot, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_comes_the_counters_balance(shots in shots()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let setup = Setup::with(Settings { beacons_per_address_per_minute: 10, ..Settings::default() });
            let mut sent = 0;
            let mut broken = 0;
            for shot in shots {
                let mut beacon = pageview(shot.site, shot.consent);
                if shot.client {
                    beacon = with_client(beacon);
                }
                if shot.identify {
                    beacon["events"].as_array_mut().unwrap().push(json!({
                        "id": "00000000-0000-4000-8000-000000000002", "at": NOW, "type": "identify",
                    }));
                }
                if shot.broken {
                    beacon["v"] = json!(9);
                    broken += 1;
                } else {
                    sent += beacon["events"].as_array().unwrap().len() as u64;
                }
                let gpc = if shot.gpc { "1" } else { "" };
                setup.send(post(&beacon, &[("peer", shot.peer), ("sec-gpc", gpc)])).await;
            }
            let balance = setup.balance();
            prop_assert_eq!((balance.received, balance.undecodable_beacons), (sent, broken));
            Ok(())
        })?;
    }
}
