//! Exports, feeds made through the API, marks and scores, on the real engine.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's finding")]

mod reports_support;
mod support;

use axum::body::Body;
use collector::{
    control::Control,
    leadfeeder::ExportWorker,
    site::Site,
    snapshot::{Role, Snapshot},
    store::{Store, VisitRow},
    time::UnixMillis,
};
use firmsight_resolver::CompanyId;
use http::{Method, StatusCode};
use jiff::Timestamp;
use reports_support::{
    Answer, Api, BASE_URL, TOKEN,
    rows::{WithPages, insert, millis, plain_visit},
    site_id,
};
use serde_json::{Value, json};
use std::sync::Arc;

/// An API whose key may write, and what works behind it.
struct World {
    api: Api,
    worker: ExportWorker,
    store: Store,
}

async fn world() -> World {
    let store = support::store().await;
    let visit = |number: u64, domain: &str, at: &str| VisitRow {
        company_name: domain.to_uppercase().into(),
        company_industry: "Retail".into(),
        country_code: "DE".into(),
        city: "Kiel".into(),
        term: "machines".into(),
        ..plain_visit("shop", number, domain, millis(at))
    };
    let pages = [(0, "/", "Home"), (60_000, "/pricing", "Prices"), (90_000, "/demo", "Demo")];
    let visits = [
        visit(1, "acme.example", "2026-03-02T10:00:00Z").with_pages(&pages),
        visit(2, "acme.example", "2026-03-03T10:00:00Z"),
        visit(3, "globex.example", "2026-03-03T11:00:00Z"),
    ];
    insert(&store, &visits, "Europe/Berlin").await;
    let mut parts = None;
    let api = Api::with(store.clone(), |state| {
        let mut snapshot = Snapshot::clone(&state.snapshot.load());
        for key in snapshot.keys.values_mut() {
            *key = Arc::new(collector::snapshot::ApiKey { role: Role::Write, ..(**key).clone() });
        }
        state.snapshot.store(Arc::new(snapshot));
        // The store removes what has expired by its own clock.
        state.clock = UnixMillis::now;
        parts = Some((state.control.clone(), state.snapshot.clone()));
    });
    let (control, snapshot) = parts.unwrap();
    let worker =
        ExportWorker { store: store.clone(), control, snapshot, base_url: BASE_URL.to_owned(), clock: UnixMillis::now };
    World { api, worker, store }
}

impl World {
    async fn delete(&self, path: &str) -> Answer {
        self.api.request(Method::DELETE, path, &[("x-api-key", TOKEN)]).await
    }

    async fn post(&self, path: &str, kind: &str, body: String) -> Answer {
        let headers = [("x-api-key", TOKEN), ("content-type", kind)];
        self.api.send(Method::POST, path, &headers, Body::from(body)).await
    }
}

fn path_of(url: &Value) -> String {
    url.as_str().unwrap().strip_prefix(BASE_URL).unwrap().to_owned()
}

#[tokio::test]
async fn an_export_is_asked_for_in_any_form_and_fetched_when_it_is_made() {
    let world = world().await;
    let fields = json!({"account_id": "shop", "custom_feed_id": "all_leads", "start_date": "2026-03-01", "end_date": "2026-03-31"});
    let document = json!({"data": {"type": "export_requests", "attributes": fields}}).to_string();
    let form = "account_id=shop&custom_feed_id=all_leads&start_date=2026-03-01&end_date=2026-03-31".to_owned();
    let mut files = Vec::new();
    for (kind, body) in [
        ("application/vnd.api+json", document),
        ("application/json", fields.to_string()),
        ("application/x-www-form-urlencoded", form),
    ] {
        let answer = world.post("/export-requests", kind, body).await;
        assert_eq!(answer.status, StatusCode::OK, "{kind}: {}", answer.text());
        let export = answer.json();
        assert_eq!(export["data"]["type"], "export_requests");
        let attributes = &export["data"]["attributes"];
        assert_eq!(attributes["status"], "pending");
        let created: Timestamp = attributes["created_at"].as_str().unwrap().parse().unwrap();
        assert!(Timestamp::now().duration_since(created).as_secs() < 300);
        files.push((path_of(&attributes["status_url"]), path_of(&attributes["download_url"])));
        assert_eq!(world.api.get(&files[0].1).await.status, StatusCode::NOT_FOUND, "not made yet");
    }
    // Another worker, as after a restart: all it knows is in the store.
    world.worker.work().await.unwrap();
    let mut bodies = Vec::new();
    for (status, download) in &files {
        let answer = world.api.get(status).await;
        assert_eq!(answer.json()["data"]["attributes"]["status"], "processed", "{status}: {}", answer.text());
        let name = download.rsplit('/').next().unwrap();
        assert_eq!(name.len(), 43 + ".json".len(), "256 random bits");
        let file = world.api.request(Method::GET, download, &[]).await;
        assert_eq!(file.status, StatusCode::OK, "a download needs its address alone");
        bodies.push(file.json());
        let other = world.api.request(Method::GET, status, &[("x-api-key", reports_support::SHOP_TOKEN)]).await;
        assert_eq!(other.status, StatusCode::NOT_FOUND, "its address is told to the key that asked");
    }
    assert_eq!(bodies[0], bodies[1]);
    let acme = CompanyId::of_domain("acme.example").to_string();
    assert_eq!(
        bodies[0]["data"][0],
        json!({
            "id": acme, "type": "export_rows",
            "attributes": {
                "keywords": ["machines"], "quality": 7,
                "stats": {"bounces": 1, "last_visit": "2026-03-03", "pageviews": 4, "visits": 2},
            },
            "relationships": {"lead": {"data": {"id": acme, "type": "leads"}}},
        })
    );
    assert_eq!(bodies[0]["data"].as_array().unwrap().len(), 2);
    let kinds: Vec<&str> =
        bodies[0]["included"].as_array().unwrap().iter().map(|one| one["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["leads", "leads", "locations"]);
}

#[tokio::test]
async fn an_export_that_cannot_be_is_refused_by_name_and_expires() {
    let world = world().await;
    let fields = |feed: &str, start: &str| {
        json!({"account_id": "shop", "custom_feed_id": feed, "start_date": start, "end_date": "2026-03-31"}).to_string()
    };
    for (body, status) in [
        (fields("no-feed", "2026-03-01"), StatusCode::NOT_FOUND),
        (fields("all_leads", "2026-04-01"), StatusCode::BAD_REQUEST),
        (fields("all_leads", "' OR 1=1"), StatusCode::BAD_REQUEST),
        ("{}".to_owned(), StatusCode::BAD_REQUEST),
        ("[".to_owned(), StatusCode::BAD_REQUEST),
        ("[]".to_owned(), StatusCode::BAD_REQUEST),
    ] {
        let answer = world.post("/export-requests", "application/json", body.clone()).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
    }
    let large = world.post("/export-requests", "application/json", " ".repeat(100_000)).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);

    let export = world.post("/export-requests", "application/json", fields("all_leads", "2026-03-01")).await.json();
    let id = export["data"]["id"].as_str().unwrap().parse().unwrap();
    let (control, now): (&Control, _) = (&world.worker.control, UnixMillis::now());
    assert!(control.export(id, now).await.unwrap().is_some());
    assert!(control.export(id, UnixMillis(now.0 + 86_400_000)).await.unwrap().is_none(), "it expires after a day");
    assert_eq!(world.api.get("/download/..%2f..%2fetc%2fpasswd").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn feeds_marks_and_scores_are_made_and_read_through_the_api() {
    let world = world().await;
    // Changes check the site against the store.
    let site = Site::clone(&world.worker.snapshot.load().sites[&site_id("shop")]);
    let keys = world.worker.snapshot.load().keys.clone();
    world.worker.control.add_site(site, UnixMillis::now()).await.unwrap();
    let with_keys = || {
        let snapshot = Snapshot { keys: keys.clone(), ..Snapshot::clone(&world.worker.snapshot.load()) };
        world.worker.snapshot.store(Arc::new(snapshot));
    };
    with_keys();
    let filter = json!({"all": [{"page": {"starts_with": ["/pricing"]}}, {"visits": {"min": 2}}]});
    let feed = json!({"name": "Warm", "filter": filter});
    let made = world.api.send_json(Method::POST, "/v1/sites/shop/feeds", TOKEN, &feed).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    with_keys();
    let again = world.api.send_json(Method::POST, "/v1/sites/shop/feeds", TOKEN, &feed).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let dates = "start_date=2026-03-01&end_date=2026-03-31";
    let found = world.api.get(&format!("/accounts/shop/custom-feeds/{id}/leads?{dates}")).await.json();
    let acme = CompanyId::of_domain("acme.example");
    let leads = found["data"].as_array().unwrap();
    assert_eq!((leads.len(), leads[0]["id"].as_str()), (1, Some(acme.to_string().as_str())));
    let feeds = world.api.get("/accounts/shop/custom-feeds").await.json();
    let names: Vec<&str> =
        feeds["data"].as_array().unwrap().iter().map(|feed| feed["attributes"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["All leads", "New leads", "Top leads", "Followed companies", "Warm"]);

    let path = format!("/v1/sites/shop/feeds/{id}");
    let cold = json!({"name": "Cold", "folder": "Old", "filter": {"visits": {"max": 1}}});
    let replaced = world.api.send_json(Method::PUT, &path, TOKEN, &cold).await;
    assert_eq!(replaced.status, StatusCode::OK, "{}", replaced.text());
    with_keys();
    let read = world.api.get(&path).await.json();
    assert_eq!((&read["name"], &read["folder"], &read["filter"]), (&cold["name"], &cold["folder"], &cold["filter"]));
    assert_eq!(read["created_at"], made.json()["created_at"]);
    let found = world.api.get(&format!("/accounts/shop/custom-feeds/{id}/leads?{dates}")).await.json();
    let globex = CompanyId::of_domain("globex.example").to_string();
    assert_eq!((found["data"].as_array().unwrap().len(), &found["data"][0]["id"]), (1, &json!(globex)));
    let deep = json!({"name": "Deep", "filter": {"visits": {"min": 2, "max": 1}}});
    let refused = world.api.send_json(Method::PUT, &path, TOKEN, &deep).await;
    assert_eq!((refused.status, &refused.json()["field"]), (StatusCode::BAD_REQUEST, &json!("filter")));
    assert_eq!(world.delete(&path).await.status, StatusCode::NO_CONTENT);
    with_keys();
    for (method, path) in [
        (Method::GET, path.clone()),
        (Method::DELETE, path.clone()),
        (Method::GET, format!("/accounts/shop/custom-feeds/{id}")),
        (Method::GET, format!("/accounts/shop/custom-feeds/{id}/leads?{dates}")),
    ] {
        let gone = world.api.request(method, &path, &[("x-api-key", TOKEN)]).await;
        assert_eq!(gone.status, StatusCode::NOT_FOUND, "{path}");
    }

    let list = world.api.send_json(Method::POST, "/v1/sites/shop/lists", TOKEN, &json!({"name": "Customers"})).await;
    with_keys();
    let list = list.json()["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/sites/shop/lists/{list}");
    let renamed = world.api.send_json(Method::PUT, &path, TOKEN, &json!({"name": "Clients"})).await.json();
    assert_eq!(renamed["name"], "Clients");
    with_keys();
    let marks = format!("/v1/sites/shop/companies/{acme}/marks");
    let other = uuid::Uuid::nil();
    let on = world.api.send_json(Method::PATCH, &marks, TOKEN, &json!({"lists": [list, other]})).await.json();
    assert_eq!(on["lists"], json!([list]), "what is no list of the site is left out");
    let feed = json!({"name": "Clients", "filter": {"list": [list]}});
    let feed = world.api.send_json(Method::POST, "/v1/sites/shop/feeds", TOKEN, &feed).await.json();
    with_keys();
    let feed = feed["id"].as_str().unwrap().to_owned();
    let found = world.api.get(&format!("/accounts/shop/custom-feeds/{feed}/leads?{dates}")).await.json();
    assert_eq!(found["data"].as_array().unwrap().len(), 1);
    assert_eq!(world.delete(&path).await.status, StatusCode::NO_CONTENT);
    with_keys();
    assert_eq!(world.delete(&path).await.status, StatusCode::NOT_FOUND);
    let lists = world.api.get("/v1/sites/shop/lists").await.json();
    assert_eq!(lists["data"], json!([]));

    let goal = json!({"name": "Demo", "reached_by": {"page": {"is": ["/demo"]}}});
    let made = world.api.send_json(Method::POST, "/v1/sites/shop/goals", TOKEN, &goal).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    with_keys();
    let path = format!("/v1/sites/shop/goals/{}", made.json()["id"].as_str().unwrap());
    let other = json!({"name": "Prices", "reached_by": {"page": {"is": ["/nowhere"]}}});
    assert_eq!(world.api.send_json(Method::PUT, &path, TOKEN, &other).await.json()["name"], "Prices");
    with_keys();
    assert_eq!(world.delete(&path).await.status, StatusCode::NO_CONTENT);
    with_keys();
    assert_eq!(world.api.get("/v1/sites/shop/goals").await.json()["data"], json!([]));
    assert_eq!(
        world.api.send_json(Method::POST, "/v1/sites/shop/goals", TOKEN, &goal).await.status,
        StatusCode::CREATED
    );
    with_keys();
    let score = world.api.get(&format!("/v1/sites/shop/companies/{acme}/score?{dates}")).await;
    assert_eq!(score.status, StatusCode::OK, "{}", score.text());
    let score = score.json();
    let points = |of: &str| -> Vec<(String, u64)> {
        let parts = score[of]["parts"].as_array().unwrap();
        parts.iter().map(|part| (part["name"].as_str().unwrap().to_owned(), part["points"].as_u64().unwrap())).collect()
    };
    let named =
        |parts: &[(&str, u64)]| parts.iter().map(|(name, points)| ((*name).to_owned(), *points)).collect::<Vec<_>>();
    assert_eq!(
        points("quality"),
        named(&[("engagement", 3), ("name", 1), ("domain", 1), ("industry", 1), ("country", 1), ("size", 0)])
    );
    assert_eq!(
        points("intent"),
        named(&[("goals", 1), ("active_days", 1), ("visitors", 1), ("recency", 1), ("depth", 0)])
    );
    assert_eq!((score["quality"]["score"].as_u64(), score["intent"]["score"].as_u64()), (Some(7), Some(4)));

    let marks = format!("/v1/sites/shop/companies/{acme}/marks");
    let change = json!({"tags": ["hot", "'; --"], "assignee": "erika@shop.example", "followed": true});
    let changed = world.api.send_json(Method::PATCH, &marks, TOKEN, &change).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.text());
    let lead = world.api.get(&format!("/accounts/shop/leads/{acme}")).await.json();
    assert_eq!(lead["data"]["attributes"]["tags"], json!(["'; --", "hot"]));
    assert_eq!(lead["data"]["attributes"]["assignee"], "erika@shop.example");
    let followed = world.api.get(&format!("/accounts/shop/custom-feeds/followed_companies/leads?{dates}")).await.json();
    assert_eq!(followed["data"].as_array().unwrap().len(), 1);
    let notes = format!("/v1/sites/shop/companies/{acme}/notes");
    let noted = world.api.send_json(Method::POST, &notes, TOKEN, &json!({"text": "Called"})).await.json();
    assert_eq!(noted["notes"][0]["text"], "Called");
    assert!(noted["notes"][0]["created_at"].as_str().unwrap().parse::<Timestamp>().is_ok());
    let hidden = world.api.send_json(Method::PATCH, &marks, TOKEN, &json!({"hidden": true})).await;
    assert_eq!(hidden.status, StatusCode::OK);
    for list in ["leads", "visits"] {
        let left = world.api.get(&format!("/accounts/shop/{list}?{dates}")).await.json();
        assert_eq!(left["data"].as_array().unwrap().len(), 1, "{list}");
    }
    assert_eq!(world.api.get(&format!("/accounts/shop/leads/{acme}")).await.status, StatusCode::NOT_FOUND);
    drop(world.store);
}

#[tokio::test]
async fn built_in_feeds_and_the_tracking_script_have_their_attributes() {
    let world = world().await;
    let feed = world.api.get("/accounts/shop/custom-feeds/all_leads").await.json();
    assert_eq!(
        feed["data"],
        json!({"id": "all_leads", "type": "custom_feeds", "attributes": {"name": "All leads", "criteria": []}})
    );
    let feed = world.api.get("/accounts/shop/custom-feeds/top_leads").await.json();
    let criterion =
        json!({"criterionType": "quality", "searchValue": "7-", "displayValue": "at least 7", "excluded": false});
    assert_eq!(feed["data"]["attributes"]["criteria"], json!([criterion]));
    for (feed, expected) in [("all_leads", 2), ("new_leads", 2), ("top_leads", 1), ("followed_companies", 0)] {
        let path = format!("/accounts/shop/custom-feeds/{feed}/leads?start_date=2026-03-01&end_date=2026-03-31");
        assert_eq!(world.api.get(&path).await.json()["data"].as_array().unwrap().len(), expected, "{feed}");
    }
    assert_eq!(world.api.get("/accounts/shop/custom-feeds/other").await.status, StatusCode::NOT_FOUND);
    let script = world.api.get("/accounts/shop/website-tracking-script").await.json();
    assert_eq!(
        script["data"]["attributes"],
        json!({
            "script_hash": "shop",
            "script_html": "<script async src=\"https://shop.example/lfa.js\" data-site=\"shop\"></script>",
            "timezone": "Europe/Berlin",
        })
    );
}
