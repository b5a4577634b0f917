//! What is ours, under `/v1`, on the real engine: keys, sites and users, audit and usage, counts, companies, formats.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's finding")]

mod reports_support;
mod support;

use axum::{body::Body, extract::ConnectInfo};
use collector::{
    admin::{AdminServices, AdminSettings, Audit},
    control::{Control, NewKey},
    sealing::MasterKey,
    serve::admin_listener,
    site::Site,
    snapshot::Role,
    store::{Store, VisitRow},
    time::UnixMillis,
};
use compact_str::{CompactString, format_compact};
use firmsight_resolver::CompanyId;
use http::{Method, Request, StatusCode};
use jiff::{Timestamp, tz::TimeZone};
use reports_support::{Answer, Api, COMPANY_ADDRESS, TOKEN, site_id};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
};
use support::store_away;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

const YEAR: &str = "start_date=2026-01-01&end_date=2026-12-31";

/// The API over sites and keys that are really stored, and a writer of audit records.
struct Ours {
    api: Api,
    store: Store,
    admin: String,
    _folder: tempfile::TempDir,
}

impl Ours {
    async fn new() -> Self {
        let store = support::store().await;
        let folder = tempfile::tempdir().unwrap();
        let control = Control::open(store.clone(), MasterKey::from_bytes([7; 32]), folder.path().join("mirror"));
        let now = UnixMillis(1_790_000_000_000);
        for (id, timezone) in [("shop", "Europe/Berlin"), ("blog", "UTC")] {
            let site = Site { timezone: timezone.to_owned(), ..Site::new(site_id(id), id, [format!("{id}.example")]) };
            control.add_site(site, now).await.unwrap();
        }
        let (_, token) = control.create_key(NewKey { role: Role::Admin, ..NewKey::named("root") }, now).await.unwrap();
        let (audit, mut writer) = Audit::new(store.clone());
        tokio::spawn(async move { writer.run(CancellationToken::new()).await });
        let api = Api::with(store.clone(), |state| {
            state.snapshot = control.snapshot();
            state.control = control;
            state.audit = audit;
        });
        Self { api, store, admin: token.as_str().to_owned(), _folder: folder }
    }

    /// What another process on the same store knows.
    async fn another_control(&self) -> Control {
        let mirror = self._folder.path().join("another");
        let control = Control::open(self.store.clone(), MasterKey::from_bytes([7; 32]), mirror);
        control.refresh(UnixMillis::now()).await.unwrap();
        control
    }

    async fn get(&self, path: &str, key: &str) -> Answer {
        self.api.request(Method::GET, path, &[("x-api-key", key)]).await
    }

    async fn delete(&self, path: &str, key: &str) -> Answer {
        self.api.request(Method::DELETE, path, &[("x-api-key", key)]).await
    }

    async fn post(&self, path: &str, key: &str, body: Value) -> Answer {
        self.api.send_json(Method::POST, path, key, &body).await
    }

    async fn patch(&self, path: &str, key: &str, body: Value) -> Answer {
        self.api.send_json(Method::PATCH, path, key, &body).await
    }

    /// Makes a key; its id and its token.
    async fn key(&self, maker: &str, body: Value) -> (String, String) {
        let answer = self.post("/v1/keys", maker, body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        let text = |field: &str| answer.json()[field].as_str().unwrap().to_owned();
        (text("id"), text("token"))
    }
}

/// The API of another process.
fn another_api(store: &Store, control: &Control) -> Api {
    Api::with(store.clone(), |state| {
        state.snapshot = control.snapshot();
        state.control = control.clone();
    })
}

#[track_caller]
fn assert_problem(answer: &Answer, status: u16, rule: &str, field: &str) {
    assert_eq!(answer.header("content-type"), "application/problem+json", "{}", answer.text());
    let problem = answer.json();
    assert_eq!(answer.status.as_u16(), status, "{problem}");
    assert_eq!(problem["type"], format!("urn:firmsight:problem:{rule}"), "{problem}");
    assert_eq!(
        (&problem["rule"], &problem["field"], &problem["status"]),
        (&json!(rule), &json!(field), &json!(status))
    );
}

#[tokio::test]
async fn a_key_is_shown_once_works_at_once_and_is_refused_once_revoked() {
    let ours = Ours::new().await;
    let (id, token) = ours.key(&ours.admin, json!({"name": "reports", "sites": ["shop"]})).await;
    let sites = ours.get("/v1/sites", &token).await.json();
    assert_eq!(sites["data"][0]["id"], "shop");
    assert_eq!(sites["data"].as_array().unwrap().len(), 1);

    let listed = ours.get("/v1/keys", &ours.admin).await;
    assert!(!listed.text().contains(&token), "a token is shown once");
    let row = listed.json()["data"].as_array().unwrap().iter().find(|key| key["id"] == id.as_str()).unwrap().clone();
    assert_eq!((&row["role"], &row["sites"]), (&json!("read"), &json!(["shop"])));
    assert!(row["last_used_at"].is_string(), "{row}");

    assert_eq!(ours.delete(&format!("/v1/keys/{id}"), &ours.admin).await.status, StatusCode::NO_CONTENT);
    assert_problem(&ours.get("/v1/sites", &token).await, 401, "unknown-key", "");
    assert_problem(&ours.delete(&format!("/v1/keys/{id}"), &ours.admin).await, 404, "not-found", "");
    assert_problem(&ours.api.request(Method::GET, "/v1/sites", &[]).await, 401, "missing-key", "");
}

#[tokio::test]
async fn a_key_ends_and_its_own_limit_counts() {
    let ours = Ours::new().await;
    let past = json!({"name": "past", "expires_at": "2020-01-01T00:00:00Z"});
    assert_problem(&ours.post("/v1/keys", &ours.admin, past).await, 400, "invalid-body", "expires_at");
    // The clock of these tests stands at 2026-09-21T14:13:50Z.
    let (id, token) = ours.key(&ours.admin, json!({"name": "k", "expires_at": "2027-01-01T00:00:00Z"})).await;
    assert_eq!(ours.get("/v1/sites", &token).await.status, StatusCode::OK);
    let path = format!("/v1/keys/{id}");
    let changed = ours.patch(&path, &ours.admin, json!({"requests_per_minute": 2, "expires_at": null})).await.json();
    assert_eq!((&changed["requests_per_minute"], &changed["expires_at"]), (&json!(2), &json!(null)));
    let statuses =
        [ours.get("/v1/sites", &token).await, ours.get("/v1/sites", &token).await, ours.get("/v1/sites", &token).await];
    assert_eq!(statuses[0].header("ratelimit-limit"), "2");
    assert_eq!(statuses[1].status, StatusCode::OK);
    assert_problem(&statuses[2], 429, "rate-limit", "");
    assert_eq!(statuses[2].header("retry-after"), "10");
}

#[tokio::test]
async fn a_month_that_is_used_up_is_402_in_both_halves_and_on_every_process() {
    let ours = Ours::new().await;
    let (id, token) = ours.key(&ours.admin, json!({"name": "small plan", "requests_per_month": 2})).await;
    for _ in 0..2 {
        assert_eq!(ours.get("/accounts", &token).await.status, StatusCode::OK);
    }
    assert_problem(&ours.get("/v1/sites", &token).await, 402, "quota", "");
    let legacy = ours.get("/accounts/shop/leads?start_date=2026-01-01&end_date=2026-01-31", &token).await;
    assert_eq!((legacy.status, legacy.header("content-type")), (StatusCode::PAYMENT_REQUIRED, "application/json"));
    let error = &legacy.json()["errors"][0];
    assert_eq!((&error["status"], &error["title"]), (&json!("402"), &json!("Payment required")));

    // Listing keys writes what was counted; another process reads it with its own next write.
    assert_eq!(ours.get("/v1/keys", &ours.admin).await.status, StatusCode::OK);
    assert_problem(&ours.get("/v1/sites", &token).await, 402, "quota", "");
    let other = another_api(&ours.store, &ours.another_control().await);
    let headers = [("x-api-key", token.as_str())];
    other.request(Method::GET, "/v1/keys", &[("x-api-key", &ours.admin)]).await;
    assert_problem(&other.request(Method::GET, "/v1/sites", &headers).await, 402, "quota", "");

    let path = format!("/v1/keys/{id}");
    let more = ours.patch(&path, &ours.admin, json!({"requests_per_month": 3})).await.json();
    assert_eq!(more["requests_per_month"], 3);
    assert_eq!(ours.get("/v1/sites", &token).await.status, StatusCode::OK, "refused requests used nothing up");
    assert_problem(&ours.get("/v1/sites", &token).await, 402, "quota", "");
    ours.patch(&path, &ours.admin, json!({"requests_per_month": null})).await;
    assert_eq!(ours.get("/v1/sites", &token).await.status, StatusCode::OK);

    // A user's plan without the API.
    let made = ours.post("/v1/users", &ours.admin, json!({"name": "Free plan", "requests_per_month": 0})).await;
    let user = made.json()["id"].as_str().unwrap().to_owned();
    let (_, of_user) = ours.key(&ours.admin, json!({"name": "free", "user": user})).await;
    assert_problem(&ours.get("/v1/sites", &of_user).await, 402, "quota", "");
    let path = format!("/v1/users/{user}");
    assert_eq!(ours.patch(&path, &ours.admin, json!({"requests_per_month": 1})).await.status, StatusCode::OK);
    assert_eq!(ours.get("/v1/sites", &of_user).await.status, StatusCode::OK);
    assert_problem(&ours.get("/v1/sites", &of_user).await, 402, "quota", "");
}

#[tokio::test]
async fn a_revoked_key_is_refused_by_other_processes_with_their_next_refresh() {
    let ours = Ours::new().await;
    let (id, token) = ours.key(&ours.admin, json!({"name": "shared"})).await;
    let control = ours.another_control().await;
    let other = another_api(&ours.store, &control);
    let headers = [("x-api-key", token.as_str())];
    assert_eq!(other.request(Method::GET, "/v1/sites", &headers).await.status, StatusCode::OK);
    assert_eq!(ours.delete(&format!("/v1/keys/{id}"), &ours.admin).await.status, StatusCode::NO_CONTENT);
    assert_problem(&ours.get("/v1/sites", &token).await, 401, "unknown-key", "");
    // What `serve` does every five seconds.
    control.refresh(UnixMillis::now()).await.unwrap();
    assert_problem(&other.request(Method::GET, "/v1/sites", &headers).await, 401, "unknown-key", "");
}

#[tokio::test]
async fn a_table_without_rows_has_its_heading() {
    let ours = Ours::new().await;
    let dates = "start_date=2020-01-01&end_date=2020-01-02";
    for (path, heading) in [
        ("/v1/sites/shop/breakdowns/source", "value,visits,pageviews,companies,visitors"),
        ("/v1/sites/shop/drops", "day,reason,events"),
        ("/v1/sites/shop/lists", "id,name,created_at"),
        ("/v1/users", "id,name,role,sites,max_keys,requests_per_minute,requests_per_month,is_disabled,created_at"),
        ("/v1/usage", "period,key,key_name,requests,refused"),
        ("/v1/audit", "at,id,key,key_name,action,endpoint,site,object"),
    ] {
        let answer = ours.get(&format!("{path}?{dates}&format=csv"), &ours.admin).await;
        assert_eq!(answer.text(), format!("{heading}\r\n"), "{path}");
    }
}

#[tokio::test]
async fn roles_and_sites_bound_what_a_key_may_do_and_hand_on() {
    let ours = Ours::new().await;
    let (_, reader) = ours.key(&ours.admin, json!({"name": "reader"})).await;
    let (_, writer) = ours.key(&ours.admin, json!({"name": "writer", "role": "write"})).await;
    let (_, shop_admin) = ours.key(&ours.admin, json!({"name": "shop", "role": "admin", "sites": ["shop"]})).await;
    let site = json!({"id": "new", "name": "New", "hosts": ["new.example"]});
    for key in [&reader, &writer] {
        for path in ["/v1/keys", "/v1/users", &format!("/v1/audit?{YEAR}")] {
            assert_problem(&ours.get(path, key).await, 403, "role", "");
        }
        assert_problem(&ours.post("/v1/sites", key, site.clone()).await, 403, "role", "");
        assert_problem(&ours.patch("/v1/sites/shop", key, json!({"name": "x"})).await, 403, "role", "");
        assert_problem(&ours.delete("/v1/sites/shop", key).await, 403, "role", "");
        assert_problem(&ours.post("/v1/keys", key, json!({"name": "more"})).await, 403, "role", "");
    }
    assert_problem(&ours.post("/v1/sites", &shop_admin, site).await, 403, "forbidden", "");
    assert_problem(&ours.get("/v1/users", &shop_admin).await, 403, "forbidden", "");
    assert_problem(&ours.patch("/v1/sites/blog", &shop_admin, json!({"name": "x"})).await, 404, "not-found", "");
    assert_eq!(ours.patch("/v1/sites/shop", &shop_admin, json!({"name": "x"})).await.status, StatusCode::OK);
    let beyond = ours.post("/v1/keys", &shop_admin, json!({"name": "y", "sites": ["blog"]})).await;
    assert_problem(&beyond, 400, "invalid-body", "sites");
    // Without a list a key gets its maker's sites, not all.
    let (id, _) = ours.key(&shop_admin, json!({"name": "child"})).await;
    let listed = ours.get("/v1/keys", &shop_admin).await.json();
    let names: BTreeSet<_> =
        listed["data"].as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap()).collect();
    assert_eq!(names, BTreeSet::from(["child", "shop"]), "those of all sites are not its to see");
    let (all, _) = ours.key(&ours.admin, json!({"name": "all"})).await;
    assert_problem(&ours.delete(&format!("/v1/keys/{all}"), &shop_admin).await, 404, "not-found", "");
    assert_eq!(ours.delete(&format!("/v1/keys/{id}"), &shop_admin).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn sites_are_made_changed_listed_in_pages_and_removed() {
    let ours = Ours::new().await;
    let site = json!({
        "id": "new", "name": " New ", "hosts": ["NEW.example"], "timezone": "Europe/Paris", "consent": "cookieless",
        "own_networks": ["192.0.2.1"], "client_id_life": "90d",
    });
    let made = ours.post("/v1/sites", &ours.admin, site.clone()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let expected = json!({
        "id": "new", "name": "New", "hosts": ["new.example"], "timezone": "Europe/Paris", "consent": "cookieless",
        "identify": false, "own_networks": ["192.0.2.1/32"], "client_id_life": "90d",
    });
    assert_eq!(made.json(), expected);
    assert_eq!(ours.get("/v1/sites/new", &ours.admin).await.json(), expected);
    assert_problem(&ours.post("/v1/sites", &ours.admin, site).await, 409, "conflict", "");
    for (body, field) in [
        (json!({"id": "a b", "name": "x", "hosts": ["x.example"]}), "id"),
        (json!({"id": "x", "name": "", "hosts": ["x.example"]}), "name"),
        (json!({"id": "x", "name": "x", "hosts": []}), "hosts"),
        (json!({"id": "x", "name": "x", "hosts": ["https://x"]}), "hosts"),
        (json!({"id": "x", "name": "x", "hosts": ["x.example"], "timezone": "Mars"}), "timezone"),
        (json!({"id": "x", "name": "x", "hosts": ["x.example"], "consent": "maybe"}), "consent"),
        (json!({"id": "x", "name": "x", "hosts": ["x.example"], "own_networks": ["x"]}), "own_networks"),
        (json!({"id": "x", "name": "x", "hosts": ["x.example"], "client_id_life": "12h"}), "client_id_life"),
        (json!({"id": "x", "name": "x", "hosts": ["x.example", 7]}), "hosts[1]"),
        (json!({"id": "x", "name": "x"}), ""),
        (json!(["x", "x", ["x.example"]]), ""),
        (json!({"id": "x", "name": "x", "hosts": ["x.example"], "colour": "red"}), "colour"),
    ] {
        assert_problem(&ours.post("/v1/sites", &ours.admin, body).await, 400, "invalid-body", field);
    }
    for (body, field) in [(json!({"hosts": null}), "hosts"), (json!({"name": null}), "name")] {
        assert_problem(&ours.patch("/v1/sites/new", &ours.admin, body).await, 400, "invalid-body", field);
    }
    let mut seen = Vec::new();
    let mut path = "/v1/sites?limit=1".to_owned();
    loop {
        let page = ours.get(&path, &ours.admin).await.json();
        seen.extend(page["data"].as_array().unwrap().iter().map(|site| site["id"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/v1/sites?limit=1&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, ["blog", "new", "shop"]);
    let (_, of_new) = ours.key(&ours.admin, json!({"name": "new", "sites": ["new"]})).await;
    assert_eq!(ours.delete("/v1/sites/new", &ours.admin).await.status, StatusCode::NO_CONTENT);
    assert_problem(&ours.get("/v1/sites/new", &ours.admin).await, 404, "not-found", "");
    assert_problem(&ours.get("/v1/sites", &of_new).await, 401, "unknown-key", "");
}

#[tokio::test]
async fn a_users_limits_hold_for_all_its_keys_together_at_once() {
    let ours = Ours::new().await;
    let made = ours.post("/v1/users", &ours.admin, json!({"name": "Acme", "sites": ["shop"], "role": "admin"})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let (_, one) = ours.key(&ours.admin, json!({"name": "one", "user": id, "role": "admin"})).await;
    // What a user's key makes belongs to the user.
    let (_, two) = ours.key(&one, json!({"name": "two"})).await;
    for key in [&one, &two] {
        let sites = ours.get("/v1/sites", key).await.json();
        assert_eq!(sites["data"].as_array().unwrap().len(), 1, "{sites}");
    }
    let path = format!("/v1/users/{id}");
    let change = json!({"requests_per_minute": 8, "sites": ["blog"], "role": "read", "max_keys": 2});
    assert_eq!(ours.patch(&path, &ours.admin, change).await.status, StatusCode::OK);
    let sites = ours.get("/v1/sites", &one).await;
    assert_eq!((sites.header("ratelimit-limit"), &sites.json()["data"][0]["id"]), ("8", &json!("blog")));
    assert_eq!(ours.get("/v1/sites", &two).await.header("ratelimit-remaining"), "6", "one allowance for both");
    assert_problem(&ours.get("/v1/keys", &one).await, 403, "role", "");
    let third = ours.post("/v1/keys", &ours.admin, json!({"name": "three", "user": id})).await;
    assert_problem(&third, 403, "forbidden", "");
    assert_eq!(ours.patch(&path, &ours.admin, json!({"is_disabled": true})).await.status, StatusCode::OK);
    assert_problem(&ours.get("/v1/sites", &one).await, 401, "unknown-key", "");
    assert_eq!(ours.get(&path, &ours.admin).await.json()["is_disabled"], true);
    assert_eq!(ours.delete(&path, &ours.admin).await.status, StatusCode::NO_CONTENT);
    let keys = ours.get("/v1/keys", &ours.admin).await.json();
    assert_eq!(keys["data"].as_array().unwrap().len(), 1, "{keys}");
    assert_problem(&ours.get(&path, &ours.admin).await, 404, "not-found", "");
}

#[tokio::test]
async fn reads_of_company_data_and_changes_are_in_the_audit_log() {
    let ours = Ours::new().await;
    let (shop_id, shop) = ours.key(&ours.admin, json!({"name": "shop", "sites": ["shop"], "role": "admin"})).await;
    ours.get("/accounts/shop/leads?start_date=2026-01-01&end_date=2026-01-31", &shop).await;
    ours.get(&format!("/v1/resolve?ip={COMPANY_ADDRESS}"), &ours.admin).await;
    ours.get("/v1/enrich?email=erika@acme.example", &ours.admin).await;
    ours.get("/accounts/blog/visits?start_date=2026-01-01&end_date=2026-01-31", &ours.admin).await;
    ours.patch("/v1/sites/shop", &ours.admin, json!({"name": "The shop"})).await;
    let expected = [
        ("root", "create", "/v1/keys", "", shop_id.as_str()),
        ("shop", "read", "/accounts/{account}/leads", "shop", ""),
        ("root", "read", "/v1/resolve", "", ""),
        ("root", "read", "/v1/enrich", "", ""),
        ("root", "read", "/accounts/{account}/visits", "blog", ""),
        ("root", "change", "/v1/sites/{site}", "shop", "shop"),
    ];
    // Written within a moment.
    let records = async |path: &str, key: &str, count: usize| {
        for _ in 0..100 {
            let answer = ours.get(path, key).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
            let records = answer.json()["data"].as_array().unwrap().clone();
            if records.len() >= count {
                return records;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("the records don't come");
    };
    let found = records(&format!("/v1/audit?{YEAR}"), &ours.admin, expected.len()).await;
    let text = |record: &Value, field: &str| record[field].as_str().unwrap().to_owned();
    let fields = ["key_name", "action", "endpoint", "site", "object"];
    let found: BTreeSet<Vec<String>> =
        found.iter().map(|record| fields.iter().map(|field| text(record, field)).collect()).collect();
    let expected: BTreeSet<Vec<String>> = expected
        .iter()
        .map(|(name, action, endpoint, site, object)| {
            [name, action, endpoint, site, object].iter().map(|part| (**part).to_owned()).collect()
        })
        .collect();
    assert_eq!(found, expected);
    for (filter, count) in
        [("action=change", 1), ("site=shop", 2), ("site=blog", 1), (&*format!("key={shop_id}"), 1), ("limit=4", 4)]
    {
        let found = records(&format!("/v1/audit?{YEAR}&{filter}"), &ours.admin, count).await;
        assert_eq!(found.len(), count, "{filter}");
    }
    let own = records(&format!("/v1/audit?{YEAR}"), &shop, 2).await;
    assert!(own.iter().all(|record| record["site"] == "shop"), "{own:?}");
    assert_problem(&ours.get(&format!("/v1/audit?{YEAR}&site=blog"), &shop).await, 404, "not-found", "");
    // In pages, each record once.
    let mut ids = BTreeSet::new();
    let mut path = format!("/v1/audit?{YEAR}&limit=2");
    loop {
        let page = ours.get(&path, &ours.admin).await.json();
        assert!(page["data"].as_array().unwrap().iter().all(|record| ids.insert(text(record, "id"))), "twice: {page}");
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/audit?{YEAR}&limit=2&cursor={cursor}");
    }
    assert_eq!(ids.len(), expected.len());
    let dump = ours.get(&format!("/v1/audit?{YEAR}&format=ndjson"), &ours.admin).await;
    for secret in [COMPANY_ADDRESS, "erika", "2026-01-01", ours.admin.as_str()] {
        assert!(!dump.text().contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn what_cannot_be_recorded_is_neither_read_nor_done() {
    let (audit, writer) = Audit::new(store_away());
    drop(writer);
    let api = Api::with(store_away(), |state| state.audit = audit);
    for path in ["/v1/resolve?ip=192.0.2.1", "/v1/enrich?domain=acme.example"] {
        let answer = api.get(path).await;
        assert_problem(&answer, 503, "audit-unavailable", "");
        assert_eq!(answer.header("retry-after"), "5");
    }
    let answer = api.get("/accounts/shop/leads?start_date=2026-01-01&end_date=2026-01-31").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.json()["errors"][0]["status"], "503");
    assert_eq!(api.get("/accounts").await.status, StatusCode::OK, "holds no company data");
}

#[tokio::test]
async fn usage_counts_requests_by_key_and_day() {
    let ours = Ours::new().await;
    let (id, token) = ours.key(&ours.admin, json!({"name": "k", "requests_per_minute": 2})).await;
    for _ in 0..3 {
        ours.get("/v1/sites", &token).await;
    }
    let usage = ours.get(&format!("/v1/usage?{YEAR}&key={id}"), &ours.admin).await.json();
    let expected = json!([{"period": "2026-09-21", "key": id, "key_name": "k", "requests": 3, "refused": 1}]);
    assert_eq!(usage["data"], expected);
    let by_month = ours.get(&format!("/v1/usage?{YEAR}&interval=month"), &ours.admin).await.json();
    let months: BTreeSet<_> =
        by_month["data"].as_array().unwrap().iter().map(|row| row["period"].clone().to_string()).collect();
    assert_eq!(months, BTreeSet::from(["\"2026-09\"".to_owned()]));
    assert_eq!(by_month["data"].as_array().unwrap().len(), 2, "an admin sees others' too: {by_month}");
    let (_, reader) = ours.key(&ours.admin, json!({"name": "reader"})).await;
    let own = ours.get(&format!("/v1/usage?{YEAR}"), &reader).await.json();
    assert_eq!(own["data"][0]["key_name"], "reader");
    assert_eq!(own["data"].as_array().unwrap().len(), 1);
}

/// Visits all over a year, of companies and of nobody, some of them deleted.
fn visits() -> Vec<VisitRow> {
    let start = "2026-01-01T00:10:00Z".parse::<Timestamp>().unwrap().as_millisecond();
    (0..400_u64)
        .map(|number| {
            let company = number * 7 % 11;
            let pages = 1 + number % 4;
            let started = UnixMillis(start + i64::try_from(number).unwrap() * 77_777_777);
            let text =
                |options: &[&str]| CompactString::from(options[usize::try_from(number).unwrap() % options.len()]);
            VisitRow {
                site: if number % 10 == 9 { "blog" } else { "shop" }.into(),
                started_at: started,
                ended_at: started,
                visit_id: number + 1,
                visitor: number % 37,
                company_id: if company == 0 { 0 } else { CompanyId::of_domain(&format!("c{company}.example")).0 },
                company_industry: text(&["Manufacturing", "", "Retail"]),
                country_code: text(&["DE", "FR", "", "US", "AT"]),
                source: text(&["Google", "", "=HYPERLINK(1)"]),
                medium: text(&["organic", ""]),
                campaign: text(&["", "spring", "autumn"]),
                referrer: text(&["https://www.google.com/x", "", "not a url"]),
                device: text(&["desktop", "mobile"]),
                pageviews: u32::try_from(pages).unwrap(),
                route_at: (0..pages).map(|_| started).collect(),
                route_scheme: (0..pages).map(|_| "https".into()).collect(),
                route_host: (0..pages).map(|_| "shop.example".into()).collect(),
                route_path: (0..pages).map(|page| format_compact!("/{}", (number + page) % 5)).collect(),
                route_query: (0..pages).map(|_| CompactString::default()).collect(),
                route_title: (0..pages).map(|_| CompactString::default()).collect(),
                route_visible_ms: (0..pages).map(|_| 0).collect(),
                route_scroll: (0..pages).map(|_| 0).collect(),
                version: 1,
                is_deleted: u8::from(number % 13 == 12),
                ..VisitRow::default()
            }
        })
        .collect()
}

#[derive(Default)]
struct Counted {
    visits: BTreeSet<u64>,
    pageviews: u64,
    companies: BTreeSet<u64>,
    visitors: BTreeSet<u64>,
}

impl Counted {
    fn add(&mut self, visit: &VisitRow, pageviews: u64) {
        self.visits.insert(visit.visit_id);
        self.pageviews += pageviews;
        self.companies.insert(visit.company_id);
        self.visitors.insert(visit.visitor);
    }

    fn row(&self, name: &str, value: &str) -> Value {
        json!({
            name: value, "visits": self.visits.len(), "pageviews": self.pageviews, "companies": self.companies.len(),
            "visitors": self.visitors.len(),
        })
    }
}

fn that_count(visits: &[VisitRow]) -> impl Iterator<Item = &VisitRow> {
    visits.iter().filter(|visit| visit.site == "shop" && visit.company_id != 0 && visit.is_deleted == 0)
}

#[tokio::test]
async fn time_series_equal_an_independent_count_and_have_no_gaps() {
    let ours = Ours::new().await;
    let visits = visits();
    ours.store.insert_visits(&visits).await.unwrap();
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    for (interval, format, rows) in
        [("day", "%Y-%m-%d", 365), ("month", "%Y-%m-01", 12), ("hour", "%Y-%m-%dT%H:00:00%:z", 0)]
    {
        let dates = if interval == "hour" { "start_date=2026-03-20&end_date=2026-04-05" } else { YEAR };
        let path = format!("/v1/sites/shop/time-series?{dates}&interval={interval}");
        let answer = ours.get(&path, &ours.admin).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let found = answer.json()["data"].as_array().unwrap().clone();
        assert!(rows == 0 || found.len() == rows, "{interval}: {}", found.len());
        let mut expected: BTreeMap<String, Counted> = BTreeMap::new();
        for visit in that_count(&visits) {
            let at = Timestamp::from_millisecond(visit.started_at.0).unwrap().to_zoned(zone.clone());
            let start = at.strftime(format).to_string();
            expected.entry(start).or_default().add(visit, u64::from(visit.pageviews));
        }
        let mut total = 0;
        for row in &found {
            let start = row["start"].as_str().unwrap();
            let counted =
                expected.get(start).map_or_else(|| Counted::default().row("start", start), |c| c.row("start", start));
            assert_eq!(*row, counted, "{interval}");
            total += row["visits"].as_u64().unwrap();
        }
        assert!(total > 10, "{interval} counted {total}");
        if interval != "hour" {
            assert_eq!(total, that_count(&visits).count() as u64);
        }
    }
    // An instant in the middle of a day cuts the day.
    let path = "/v1/sites/shop/time-series?start_date=2026-02-01T12:00:00Z&end_date=2026-02-28&interval=week";
    let weeks = ours.get(path, &ours.admin).await.json();
    let total: u64 = weeks["data"].as_array().unwrap().iter().map(|row| row["visits"].as_u64().unwrap()).sum();
    let from = "2026-02-01T12:00:00Z".parse::<Timestamp>().unwrap().as_millisecond();
    let until = "2026-02-28T23:00:00Z".parse::<Timestamp>().unwrap().as_millisecond();
    let expected = that_count(&visits).filter(|visit| (from..until).contains(&visit.started_at.0)).count();
    assert_eq!((total, &weeks["data"][0]["start"]), (expected as u64, &json!("2026-01-26")));
    let many = format!("/v1/sites/shop/time-series?{YEAR}&interval=hour");
    assert_problem(&ours.get(&many, &ours.admin).await, 400, "invalid-parameter", "interval");
}

#[tokio::test]
async fn breakdowns_equal_an_independent_count() {
    let ours = Ours::new().await;
    let visits = visits();
    ours.store.insert_visits(&visits).await.unwrap();
    let or = |text: &str, other: &str| if text.is_empty() { other.to_owned() } else { text.to_owned() };
    type Values<'a> = Box<dyn Fn(&VisitRow) -> Vec<String> + 'a>;
    let dimensions: Vec<(&str, Values<'_>)> = vec![
        ("source", Box::new(|visit| vec![or(&visit.source, "(direct)")])),
        ("medium", Box::new(|visit| vec![or(&visit.medium, "(none)")])),
        ("campaign", Box::new(|visit| vec![visit.campaign.to_string()])),
        ("country", Box::new(|visit| vec![visit.country_code.to_string()])),
        ("region", Box::new(|visit| vec![visit.region.to_string()])),
        ("city", Box::new(|visit| vec![visit.city.to_string()])),
        ("industry", Box::new(|visit| vec![visit.company_industry.to_string()])),
        ("device", Box::new(|visit| vec![visit.device.to_string()])),
        (
            "referrer",
            Box::new(|visit| {
                vec![if visit.referrer.starts_with("https") { "www.google.com".into() } else { String::new() }]
            }),
        ),
        (
            "page",
            Box::new(|visit| {
                visit.route_host.iter().zip(&visit.route_path).map(|(host, path)| format!("{host}{path}")).collect()
            }),
        ),
    ];
    for (dimension, values) in &dimensions {
        let mut counted: BTreeMap<String, Counted> = BTreeMap::new();
        for visit in that_count(&visits) {
            let values = values(visit);
            for value in &values {
                let pageviews = if *dimension == "page" { 1 } else { u64::from(visit.pageviews) };
                counted.entry(value.clone()).or_default().add(visit, pageviews);
            }
        }
        let mut expected: Vec<_> = counted.into_iter().collect();
        expected.sort_by_key(|(value, counted)| (std::cmp::Reverse(counted.visits.len()), value.clone()));
        let expected: Vec<Value> = expected.iter().map(|(value, counted)| counted.row("value", value)).collect();
        let answer = ours.get(&format!("/v1/sites/shop/breakdowns/{dimension}?{YEAR}"), &ours.admin).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        assert_eq!(answer.json()["data"], json!(expected), "{dimension}");
    }
    let top = ours.get(&format!("/v1/sites/shop/breakdowns/page?{YEAR}&limit=2"), &ours.admin).await.json();
    assert_eq!(top["data"].as_array().unwrap().len(), 2);
    assert_problem(
        &ours.get(&format!("/v1/sites/shop/breakdowns/colour?{YEAR}"), &ours.admin).await,
        404,
        "not-found",
        "",
    );
    let csv = ours.get(&format!("/v1/sites/shop/breakdowns/source?{YEAR}&format=csv"), &ours.admin).await;
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8; header=present");
    assert!(csv.text().starts_with("value,visits,pageviews,companies,visitors\r\n"), "{}", csv.text());
    assert!(csv.text().contains("\r\n'=HYPERLINK(1),"), "formulas are defused: {}", csv.text());
    let headers = [("x-api-key", ours.admin.as_str()), ("accept", "application/x-ndjson")];
    let ndjson = ours.api.request(Method::GET, &format!("/v1/sites/shop/breakdowns/source?{YEAR}"), &headers).await;
    let lines: Vec<Value> = ndjson.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    let headers = [("x-api-key", ours.admin.as_str()), ("accept", "image/png")];
    let refused = ours.api.request(Method::GET, &format!("/v1/sites/shop/breakdowns/source?{YEAR}"), &headers).await;
    assert_problem(&refused, 406, "format", "");
}

#[tokio::test]
async fn addresses_domains_and_mailboxes_lead_to_companies() {
    let api = Api::new(store_away());
    let found = api.get(&format!("/v1/resolve?ip={COMPANY_ADDRESS}")).await.json();
    assert_eq!((&found["company"]["name"], &found["kind"]), (&json!("Acme GmbH"), &json!("business")));
    assert_problem(&api.get("/v1/resolve?ip=x").await, 400, "invalid-parameter", "ip");
    let body = json!({"ips": ["192.0.2.1", COMPANY_ADDRESS, "2001:db8::1"]});
    let many = api.send_json(Method::POST, "/v1/resolve", TOKEN, &body).await.json();
    let companies: Vec<_> =
        many["data"].as_array().unwrap().iter().map(|row| row["company"]["domain"].clone()).collect();
    assert_eq!(companies, [json!(null), json!("acme.example"), json!(null)]);
    let csv = api.send_json(Method::POST, "/v1/resolve?format=csv", TOKEN, &body).await;
    assert_eq!(csv.text().lines().count(), 4, "{}", csv.text());
    for (body, field) in [
        (json!({"ips": []}), "ips"),
        (json!({"ips": vec!["192.0.2.1"; 1001]}), "ips"),
        (json!({"ips": ["192.0.2.1", "x"]}), "ips[1]"),
    ] {
        let refused = api.send_json(Method::POST, "/v1/resolve", TOKEN, &body).await;
        assert_problem(&refused, 400, "invalid-body", field);
    }
    let plain = [("x-api-key", TOKEN), ("content-type", "text/plain")];
    assert_problem(&api.send(Method::POST, "/v1/resolve", &plain, Body::from("{}")).await, 415, "content-type", "");
    let json_type = [("x-api-key", TOKEN), ("content-type", "application/json")];
    let large = api.send(Method::POST, "/v1/resolve", &json_type, Body::from(vec![b' '; 600_000])).await;
    assert_problem(&large, 413, "body-too-large", "");

    for (query, domain, is_free_mail, company) in [
        ("domain=www.acme.example", "acme.example", false, json!("Acme GmbH")),
        ("email=erika@acme.example", "acme.example", false, json!("Acme GmbH")),
        ("email=erika@gmail.com", "gmail.com", true, json!(null)),
        ("domain=nobody.example", "nobody.example", false, json!(null)),
    ] {
        let found = api.get(&format!("/v1/enrich?{query}")).await.json();
        let expected = (&json!(domain), &json!(is_free_mail), &company);
        assert_eq!((&found["domain"], &found["is_free_mail"], &found["company"]["name"]), expected, "{query}");
    }
    let inputs = ["www.acme.example", "erika@acme.example", "erika@gmail.com", "NOBODY.example"];
    let many = api.send_json(Method::POST, "/v1/enrich", TOKEN, &json!({"inputs": inputs})).await.json();
    let rows: Vec<_> = many["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| json!([row["input"], row["domain"], row["is_free_mail"], row["company"]["name"]]))
        .collect();
    let expected = json!([
        ["www.acme.example", "acme.example", false, "Acme GmbH"],
        ["erika@acme.example", "acme.example", false, "Acme GmbH"],
        ["erika@gmail.com", "gmail.com", true, null],
        ["NOBODY.example", "nobody.example", false, null],
    ]);
    assert_eq!(json!(rows), expected);
    assert_eq!(many["data"][0]["profile"]["employees_min"], 120);
    for (body, field) in [
        (json!({"inputs": []}), "inputs"),
        (json!({"inputs": vec!["acme.example"; 1001]}), "inputs"),
        (json!({"inputs": ["acme.example", "@acme.example"]}), "inputs[1]"),
        (json!({"inputs": ["192.0.2.1"]}), "inputs[0]"),
    ] {
        let refused = api.send_json(Method::POST, "/v1/enrich", TOKEN, &body).await;
        assert_problem(&refused, 400, "invalid-body", field);
    }
    for (query, field) in [
        ("", "domain"),
        ("domain=a.example&email=a@a.example", "domain"),
        ("email=x", "email"),
        ("domain=192.0.2.1", "domain"),
    ] {
        assert_problem(&api.get(&format!("/v1/enrich?{query}")).await, 400, "invalid-parameter", field);
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_under_v1_are_problems_too() {
    let api = Api::new(store_away());
    for path in ["/v1", "/v1/", "/v1/nothing", "/v1/sites/shop/leads"] {
        assert_problem(&api.get(path).await, 404, "not-found", "");
    }
    let refused = api.request(Method::PUT, "/v1/sites", &[("x-api-key", TOKEN)]).await;
    assert_problem(&refused, 405, "method", "");
    assert_eq!(refused.header("allow"), "GET,HEAD,POST");
    assert_eq!(api.get("/v10").await.header("content-type"), "application/json");
}

#[tokio::test]
async fn only_named_peers_are_answered_where_there_is_a_list() {
    let control = Control::open(store_away(), MasterKey::from_bytes([7; 32]), "/nonexistent/mirror".into());
    let (audit, _writer) = Audit::new(store_away());
    let router = admin_listener::router(AdminServices {
        store: store_away(),
        snapshot: control.snapshot(),
        control,
        audit,
        usage: Arc::default(),
        counters: Arc::default(),
        resolver: reports_support::resolver(),
        metrics: Vec::new(),
        readiness: Vec::new(),
        settings: AdminSettings {
            base_url: String::new(),
            script_path: "/lfa.js".to_owned(),
            public_url: None,
            requests_per_minute: 0,
            metrics_needs_key: false,
            pseudonym_key: [7; 32],
            allowed_networks: vec!["192.0.2.0/24".parse().unwrap()],
        },
        clock: UnixMillis::now,
    });
    let status = async |peer: Option<&str>| {
        let mut request = Request::builder().uri("/healthz").header("x-forwarded-for", "192.0.2.1");
        if let Some(peer) = peer {
            request = request.extension(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
        }
        router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap().status()
    };
    assert_eq!(status(Some("192.0.2.9:1234")).await, StatusCode::OK);
    assert_eq!(status(Some("[::ffff:192.0.2.9]:1234")).await, StatusCode::OK);
    for peer in [Some("198.51.100.1:1234"), Some("[2001:db8::1]:1234"), None] {
        assert_eq!(status(peer).await, StatusCode::FORBIDDEN, "{peer:?}: a forwarding header counts for nothing");
    }
}

/// `UPDATE_GOLDEN=1` writes the file.
#[test]
fn the_checked_in_openapi_document_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
    let document = serde_json::to_string_pretty(&admin_listener::openapi_document()).unwrap() + "\n";
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &document).unwrap();
    }
    let checked_in = std::fs::read_to_string(path).unwrap_or_default();
    assert!(checked_in == document, "docs/openapi.json is not current: run this test with UPDATE_GOLDEN=1");
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
}

#[test]
fn every_reference_of_the_openapi_document_leads_somewhere() {
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
                members.values().for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let document = serde_json::to_value(admin_listener::openapi_document()).unwrap();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let named: BTreeSet<String> = schemas.keys().map(|name| format!("#/components/schemas/{name}")).collect();
    assert_eq!(found.difference(&named).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[tokio::test]
async fn nothing_that_the_openapi_document_names_answers_without_a_key() {
    let document = serde_json::to_value(admin_listener::openapi_document()).unwrap();
    let api = Api::new(store_away());
    let mut asked = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let Ok(method) = method.to_uppercase().parse::<Method>() else { continue };
            if operation["security"] == json!([{}]) {
                assert_eq!(path, "/download/{unique_filename}", "nothing else is open");
                continue;
            }
            let path = path.replace(['{', '}'], "");
            for headers in [&[][..], &[("authorization", "Bearer wrong")], &[("x-api-key", "wrong")]] {
                let answer = api.request(method.clone(), &path, headers).await;
                assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}");
                asked += 1;
            }
        }
    }
    assert!(asked > 60, "{asked}");
}

#[tokio::test]
async fn the_openapi_document_is_served_with_the_servers_own_address() {
    let answer = Api::new(store_away()).request(Method::GET, "/openapi.json", &[]).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json()["servers"][0]["url"], reports_support::BASE_URL);
}
