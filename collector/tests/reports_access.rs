//! The reports API's doors: keys, limits, methods, paths, and what needs no store.

mod reports_support;
mod support;

use collector::{
    counters::{Counters, DropReason},
    metrics::{Metric, MetricsSource, ReadinessCheck, Sample},
};
use http::{Method, StatusCode};
use reports_support::{Api, COMPANY_ADDRESS, SHOP_TOKEN, TOKEN, assert_golden};
use std::sync::Arc;
use support::store_away;

#[tokio::test]
async fn every_form_of_a_key_opens_and_nothing_else_does() {
    let api = Api::new(store_away());
    let cases: &[(&str, String, StatusCode)] = &[
        ("authorization", format!("Token token={TOKEN}"), StatusCode::OK),
        ("authorization", format!("Token token=\"{TOKEN}\""), StatusCode::OK),
        ("authorization", format!("Bearer {TOKEN}"), StatusCode::OK),
        ("x-api-key", TOKEN.to_owned(), StatusCode::OK),
        ("X-API-KEY", TOKEN.to_owned(), StatusCode::OK),
        ("authorization", "Token token=wrong".to_owned(), StatusCode::UNAUTHORIZED),
        ("authorization", format!("Bearer {TOKEN}x"), StatusCode::UNAUTHORIZED),
        ("authorization", format!("Basic {TOKEN}"), StatusCode::UNAUTHORIZED),
        ("x-api-key", "' OR 1=1 --".to_owned(), StatusCode::UNAUTHORIZED),
        ("x-other", TOKEN.to_owned(), StatusCode::UNAUTHORIZED),
    ];
    for (name, value, expected) in cases {
        let answer = api.request(Method::GET, "/accounts", &[(name, value)]).await;
        assert_eq!(answer.status, *expected, "{name}: {value}");
        assert_eq!(answer.header("content-type"), "application/json");
    }
    let answer = api.request(Method::GET, &format!("/accounts?token={TOKEN}&api_key={TOKEN}"), &[]).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "keys travel in headers only");
    assert_golden("unauthorized", &answer.json());
}

#[tokio::test]
async fn every_report_asks_for_a_key() {
    let api = Api::new(store_away());
    for path in [
        "/accounts",
        "/accounts/shop",
        "/accounts/shop/leads",
        "/accounts/shop/leads/0000000000000001",
        "/accounts/shop/leads/0000000000000001/visits",
        "/accounts/shop/visits",
        "/companies?ip=198.51.100.7",
        "/v1/sites/shop/drops",
    ] {
        assert_eq!(api.request(Method::GET, path, &[]).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test]
async fn a_key_sees_its_own_sites_and_others_do_not_exist_for_it() {
    let api = Api::new(store_away());
    assert_golden("accounts", &api.get("/accounts").await.json());
    assert_golden("account", &api.get("/accounts/shop").await.json());

    let header = [("authorization", format!("Token token={SHOP_TOKEN}"))];
    let header = [(header[0].0, header[0].1.as_str())];
    let answer = api.request(Method::GET, "/accounts", &header).await.json();
    let ids: Vec<_> =
        answer["data"].as_array().unwrap().iter().map(|account| account["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["shop"]);
    let dates = "start_date=2026-01-01&end_date=2026-01-31";
    let paths = [
        "/accounts/blog".to_owned(),
        format!("/accounts/blog/leads?{dates}"),
        "/accounts/blog/leads/0000000000000001".to_owned(),
        format!("/accounts/blog/leads/0000000000000001/visits?{dates}"),
        format!("/accounts/blog/visits?{dates}"),
        format!("/v1/sites/blog/drops?{dates}"),
    ];
    for path in paths {
        let hidden = api.request(Method::GET, &path, &header).await;
        let missing = api.request(Method::GET, &path.replace("blog", "nowhere"), &header).await;
        assert_eq!((hidden.status, missing.status), (StatusCode::NOT_FOUND, StatusCode::NOT_FOUND), "{path}");
        assert_eq!(hidden.body, missing.body, "{path}: what may not be seen can't be told from what is not there");
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_get_json_api_errors() {
    let api = Api::new(store_away());
    for path in [
        "/",
        "/account",
        "/accounts/shop/custom",
        "/v2/accounts",
        "/accounts/shop/leads/1",
        "/accounts/%ff",
        "/accounts/shop/leads/%ff",
    ] {
        let answer = api.get(path).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(answer.json()["errors"][0]["status"], "404", "{path}");
    }
    let key = [("x-api-key", TOKEN)];
    for path in ["/accounts", "/accounts/shop/leads", "/companies", "/metrics", "/healthz"] {
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            let answer = api.request(method.clone(), path, &key).await;
            assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            assert_eq!(answer.header("allow"), "GET,HEAD", "{method} {path}");
            assert_eq!(answer.json()["errors"][0]["title"], "Method not allowed");
        }
    }
    let answer = api.request(Method::HEAD, "/accounts", &key).await;
    assert_eq!((answer.status, answer.body.len()), (StatusCode::OK, 0));
}

#[tokio::test]
async fn beyond_the_limit_comes_the_body_that_clients_know() {
    let api = Api::with(store_away(), |state| state.settings.requests_per_minute = 2);
    for remaining in ["1", "0"] {
        let answer = api.get("/accounts").await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.header("ratelimit-limit"), "2");
        assert_eq!(answer.header("ratelimit-remaining"), remaining);
        assert_eq!(answer.header("ratelimit-reset"), "10");
    }
    let answer = api.get("/accounts").await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(
        answer.text(),
        r#"{"errors":[{"title":"Exceeded the API rate limit of 2 requests per minute. Try again later.","links":{"about":"http://docs.leadfeeder.com/api/#rate-limiting"}}]}"#
    );
    assert_eq!(answer.header("retry-after"), "10");
    let other = api.request(Method::GET, "/accounts", &[("x-api-key", SHOP_TOKEN)]).await;
    assert_eq!(other.status, StatusCode::OK, "another key has its own allowance");
}

#[tokio::test]
async fn a_store_that_is_away_is_503_and_what_needs_none_still_answers() {
    let api = Api::new(store_away());
    let dates = "start_date=2026-01-01&end_date=2026-01-31";
    for path in [
        format!("/accounts/shop/leads?{dates}"),
        "/accounts/shop/leads/0000000000000001".to_owned(),
        format!("/accounts/shop/leads/0000000000000001/visits?{dates}"),
        format!("/accounts/shop/visits?{dates}"),
        format!("/v1/sites/shop/drops?{dates}"),
    ] {
        let answer = api.get(&path).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(answer.header("retry-after"), "5");
        let golden = if path.starts_with("/v1/") { "store_away_v1" } else { "store_away" };
        assert_golden(golden, &answer.json());
    }
    assert_eq!(api.get("/accounts/shop").await.status, StatusCode::OK);
}

#[tokio::test]
async fn wrong_parameters_are_named() {
    let api = Api::new(store_away());
    let good = "start_date=2026-01-01&end_date=2026-01-31";
    let cases = [
        ("/accounts/shop/leads".to_owned(), "start_date"),
        ("/accounts/shop/visits?start_date=2026-01-01".to_owned(), "end_date"),
        ("/accounts/shop/leads?start_date=2026-13-01&end_date=2026-01-31".to_owned(), "start_date"),
        ("/accounts/shop/leads?start_date=2026-02-01&end_date=2026-01-31".to_owned(), "end_date"),
        (format!("/accounts/shop/leads?{good}&start_date=2026-01-01"), "start_date"),
        (format!("/accounts/shop/leads?{good}&page[number]=0"), "page[number]"),
        (format!("/accounts/shop/leads?{good}&page%5Bnumber%5D=x"), "page[number]"),
        (format!("/accounts/shop/visits?{good}&page[size]=-1"), "page[size]"),
        ("/v1/sites/shop/drops?start_date=2026-01-01T00:00:00Z&end_date=2026-01-31".to_owned(), "start_date"),
        ("/companies".to_owned(), "ip"),
        ("/companies?ip=".to_owned(), "ip"),
        ("/companies?ip=acme.example".to_owned(), "ip"),
        ("/companies?ip=198.51.100.7/32".to_owned(), "ip"),
    ];
    for (path, parameter) in cases {
        let answer = api.get(&path).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
        let named = if path.starts_with("/v1/") { "/field" } else { "/errors/0/source/parameter" };
        assert_eq!(answer.json().pointer(named).unwrap(), parameter, "{path}");
    }
}

#[tokio::test]
async fn the_company_behind_an_address_has_the_shape_of_ip_enrich() {
    let api = Api::new(store_away());
    let answer = api.get(&format!("/companies?ip={COMPANY_ADDRESS}")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_golden("company", &answer.json());
    for address in ["198.51.100.8", "2001:db8::1"] {
        let answer = api.get(&format!("/companies?ip={address}")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{address}");
        assert!(!answer.text().contains(address));
    }
}

struct Spool;

impl MetricsSource for Spool {
    fn samples(&self) -> Vec<Sample> {
        vec![Sample::new(Metric::SpoolBytes, 4096)]
    }
}

#[tokio::test]
async fn metrics_show_the_counters_and_what_other_rooms_add() {
    let counters = Arc::new(Counters::default());
    counters.receive(7);
    counters.drop_events(DropReason::Crawler, 3);
    let api = Api::with(store_away(), |state| {
        state.counters = Arc::clone(&counters);
        state.metrics = vec![Arc::new(Spool)];
    });
    let answer = api.request(Method::GET, "/metrics", &[]).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let value = |name: &str| {
        let line = answer.text().lines().find(|line| line.starts_with(&format!("{name} ")));
        line.and_then(|line| line.rsplit(' ').next()).and_then(|value| value.parse::<u64>().ok())
    };
    assert_eq!(value("firmsight_events_received_total"), Some(7));
    assert_eq!(value("firmsight_events_dropped_total{reason=\"crawler\"}"), Some(3));
    assert_eq!(value("firmsight_events_in_flight"), Some(4));
    assert_eq!(value("firmsight_spool_bytes"), Some(4096));

    let closed = Api::with(store_away(), |state| state.settings.metrics_needs_key = true);
    assert_eq!(closed.request(Method::GET, "/metrics", &[]).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(closed.get("/metrics").await.status, StatusCode::OK);
}

struct FullDisk;

impl ReadinessCheck for FullDisk {
    fn problem(&self) -> Option<String> {
        Some("the spool can't be written: no space left on device".to_owned())
    }
}

#[tokio::test]
async fn ready_means_sites_loaded_and_nothing_wrong_elsewhere() {
    let ready = async |api: Api| {
        let answer = api.request(Method::GET, "/readyz", &[]).await;
        (answer.status.as_u16(), answer.text().to_owned())
    };
    assert_eq!(ready(Api::new(store_away())).await, (200, "ready\n".to_owned()));
    let not_loaded = Api::with(store_away(), |state| state.snapshot.store(Arc::default()));
    assert_eq!(ready(not_loaded).await, (503, "the site settings are not loaded yet\n".to_owned()));
    let full = Api::with(store_away(), |state| state.readiness = vec![Arc::new(FullDisk)]);
    assert_eq!(ready(full).await, (503, "the spool can't be written: no space left on device\n".to_owned()));
    let answer = Api::new(store_away()).request(Method::GET, "/healthz", &[]).await;
    assert_eq!((answer.status.as_u16(), answer.text()), (200, "ok\n"));
}
