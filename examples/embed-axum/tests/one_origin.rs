//! The example by itself: page, tracker and beacons on one origin, the beacon in a real spool.
#![allow(clippy::unwrap_used, reason = "a failure here is the finding of a test")]

use arc_swap::ArcSwap;
use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{Request, StatusCode},
};
use collector::{
    counters::Counters,
    ingest::{LocalJudge, LocalJudgement, PublicService, Settings},
    sealing::MasterKey,
    site::{ConsentMode, Site},
    snapshot::Snapshot,
    spool::{self, Spool},
    time::UnixMillis,
};
use embed_axum::{SITE, website};
use firmsight_resolver::NetworkKind;
use http_body_util::BodyExt;
use serde_json::json;
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use tower::ServiceExt;

struct Anywhere;

impl LocalJudge for Anywhere {
    fn judge(&self, _: IpAddr) -> LocalJudgement {
        LocalJudgement { kind: NetworkKind::Business, is_final: false, left_out: None }
    }
}

fn snapshot() -> Snapshot {
    let site = Site {
        timezone: "Europe/Berlin".to_owned(),
        consent: ConsentMode::Cookieless,
        ..Site::new(SITE.parse().unwrap(), "My website", ["www.example.com"])
    };
    Snapshot { sites: [(site.id.clone(), Arc::new(site))].into(), loaded: true, ..Snapshot::default() }
}

async fn ask(router: &Router, method: &str, path: &str, body: String) -> (StatusCode, String) {
    let visitor: SocketAddr = "203.0.113.7:50000".parse().unwrap();
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "www.example.com")
        .header("content-type", "text/plain")
        .header("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
        .extension(ConnectInfo(visitor))
        .body(Body::from(body))
        .unwrap();
    let (parts, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn page_tracker_and_beacons_share_one_origin() {
    let folder = tempfile::tempdir().unwrap();
    let key = MasterKey::load_or_create(&folder.path().join("key")).unwrap();
    let (spool, _) = Spool::open(spool::Settings::new(folder.path().join("spool")), &key).unwrap();
    let counters = Arc::new(Counters::default());
    const TRACKER: &[(&str, &[u8])] = &[("lfa.js", b"start(\"%FIRMSIGHT%\")")];
    let firmsight = PublicService::with_tracker(
        Settings::default(),
        TRACKER,
        Arc::new(ArcSwap::from_pointee(snapshot())),
        Arc::clone(&counters),
        spool.clone(),
        Arc::new(Anywhere),
        Arc::new(UnixMillis::now),
    );
    let router = website(firmsight);

    let (status, page) = ask(&router, "GET", "/", String::new()).await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("src=\"/lfa.js\"") && page.contains(SITE));
    let (status, script) = ask(&router, "GET", "/lfa.js", String::new()).await;
    assert_eq!(status, StatusCode::OK);
    let settings = json!({
        "days": 400, "domain": "example.com", "endpoint": "lfa", "sites": {"my-website": {"consent": "cookieless"}},
        "source": "//www.example.com/lfa.js",
    });
    assert_eq!(script, format!("start({settings})"));

    let beacon = json!({
        "v": 1, "site": SITE, "consent": "unknown", "events": [{
            "id": "00000000-0000-4000-8000-000000000001", "at": UnixMillis::now().0, "type": "pageview",
            "url": "https://www.example.com/",
        }],
    });
    let (status, answer) = ask(&router, "POST", "/lfa", beacon.to_string()).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{answer}");
    assert_eq!((spool.status().events_waiting, counters.balance().in_flight), (1, 1));

    let (status, _) = ask(&router, "GET", "/nothing", String::new()).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    spool.close().await.unwrap();
}
