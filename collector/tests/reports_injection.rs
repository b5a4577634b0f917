//! Tricks of SQL, JSON and paths in every place of the API that takes a text: refused by name or taken as the text they are,
//! and nothing else changes. Filters of feeds are in reports_feeds.rs, against a computation without SQL.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's finding")]

mod reports_support;
mod support;

use axum::body::Body;
use collector::{
    control::{Control, NewKey},
    sealing::MasterKey,
    serve::admin_listener,
    site::Site,
    snapshot::Role,
    store::{Store, VisitRow},
    time::UnixMillis,
};
use firmsight_resolver::CompanyId;
use http::{Method, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reports_support::{
    Api,
    rows::{WithPages, insert, millis, plain_visit},
    site_id,
};
use serde_json::{Value, json};

/// None of them is a number, a date, an id or a word that the API knows.
const TRICKS: &[&str] = &[
    "'",
    "''",
    "\"",
    "\\",
    "\\'",
    "' OR '1'='1",
    "shop' OR 1=1 --",
    "shop' UNION ALL SELECT * FROM api_keys --",
    "'; DROP TABLE visits; --",
    "1); DROP TABLE visits; --",
    "{site:String}",
    "{p0:Array(String)}",
    "{limit:UInt64}",
    "`visits`",
    "/* */ OR 1=1",
    "started_at DESC, visit_id",
    "visits FINAL SETTINGS readonly=0",
    "\0",
    "shop\0",
    "a\r\nX-Injected: 1",
    "\n",
    "\t",
    "[]",
    "{}",
    "[\"shop\"]",
    "{\"$ne\":null}",
    "\"}],\"x\":[{\"",
    "null",
    "NULL",
    "\\N",
    "NaN",
    "1e309",
    "-1e9",
    "%27",
    "%00",
    "..",
    "../../metrics",
    "..%2f..%2fetc%2fpasswd",
    "${jndi:ldap://x}",
    "{{7*7}}",
    "<script>alert(1)</script>",
    "=HYPERLINK(1)",
    "\u{202e}",
    "？",
    "٣",
    "İ",
];

const DATES: &str = "start_date=2026-03-01&end_date=2026-03-31";

struct World {
    api: Api,
    store: Store,
    key: String,
    _folder: tempfile::TempDir,
}

async fn world() -> World {
    let store = support::store().await;
    let folder = tempfile::tempdir().unwrap();
    let control = Control::open(store.clone(), MasterKey::from_bytes([7; 32]), folder.path().join("mirror"));
    let now = UnixMillis::now();
    for id in ["shop", "blog"] {
        let site =
            Site { timezone: "Europe/Berlin".to_owned(), ..Site::new(site_id(id), id, [format!("{id}.example")]) };
        control.add_site(site, now).await.unwrap();
    }
    let (_, token) = control.create_key(NewKey { role: Role::Admin, ..NewKey::named("root") }, now).await.unwrap();
    let visit = |site: &str, number: u64, domain: &str| VisitRow {
        source: "Google".into(),
        country_code: "DE".into(),
        ..plain_visit(site, number, domain, millis("2026-03-29T10:00:00Z")).with_pages(&[(0, "/", "Home")])
    };
    let visits =
        [visit("shop", 1, "acme.example"), visit("shop", 2, "globex.example"), visit("blog", 3, "secret.example")];
    insert(&store, &visits, "Europe/Berlin").await;
    let api = Api::with(store.clone(), |state| {
        state.snapshot = control.snapshot();
        state.control = control;
    });
    World { api, store, key: token.as_str().to_owned(), _folder: folder }
}

impl World {
    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> reports_support::Answer {
        let headers = [("x-api-key", self.key.as_str()), ("content-type", "application/json")];
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        self.api.send(method, path, &headers, body).await
    }

    /// Rows of every table that no request of this test may change.
    async fn rows(&self) -> Vec<(String, u64)> {
        let sql = "SELECT name, ifNull(total_rows, 0) FROM system.tables WHERE database = currentDatabase() \
            AND name NOT IN ('audit', 'api_usage') ORDER BY name";
        self.store.client().query(sql).fetch_all().await.unwrap()
    }

    /// What the lists of the site hold.
    async fn lists(&self) -> Vec<Value> {
        let mut found = Vec::new();
        for list in [
            "accounts/shop/leads",
            "accounts/shop/visits",
            "v1/sites/shop/breakdowns/page",
            "v1/sites/shop/time-series",
        ] {
            found.push(self.send(Method::GET, &format!("/{list}?{DATES}"), None).await.json());
        }
        found
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// A value that leads to data, so that the tricked place alone decides.
fn usual(name: &str) -> String {
    match name {
        "account" | "site" => "shop".to_owned(),
        "lead" | "company" => CompanyId::of_domain("acme.example").to_string(),
        "feed" => "all_leads".to_owned(),
        "dimension" => "source".to_owned(),
        "start_date" => "2026-03-01".to_owned(),
        "end_date" => "2026-03-31".to_owned(),
        "ip" => "192.0.2.1".to_owned(),
        "domain" => "acme.example".to_owned(),
        other => format!("no-{other}"),
    }
}

#[tokio::test]
async fn every_parameter_of_every_reading_operation_takes_tricks_as_text() {
    let world = world().await;
    let (rows, lists) = (world.rows().await, world.lists().await);
    let document = serde_json::to_value(admin_listener::openapi_document()).unwrap();
    let mut asked = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        let Some(operation) = operations.get("get") else { continue };
        let parameters: Vec<(&str, bool, bool)> = operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|one| (one["name"].as_str().unwrap(), one["in"] == "path", one["required"] == true))
            .collect();
        for (tricked, is_in_path, _) in &parameters {
            for trick in TRICKS {
                let value = |name: &str| encoded(&if name == *tricked { (*trick).to_owned() } else { usual(name) });
                let mut address = path.clone();
                let mut query = Vec::new();
                for (name, in_path, required) in &parameters {
                    if *in_path {
                        address = address.replace(&format!("{{{name}}}"), &value(name));
                    } else if *required || name == tricked {
                        query.push(format!("{}={}", encoded(name), value(name)));
                    }
                }
                let address = format!("{address}?{}", query.join("&"));
                let answer = world.send(Method::GET, &address, None).await;
                let expected = match (*is_in_path, *tricked) {
                    (true, _) | (false, "custom_feed_id") => StatusCode::NOT_FOUND,
                    // A site that was removed still has records, so any text may name one; this names none.
                    (false, "site") => StatusCode::OK,
                    (false, _) => StatusCode::BAD_REQUEST,
                };
                assert_eq!(answer.status, expected, "{address}: {}", answer.text());
                if expected == StatusCode::OK {
                    assert_eq!(answer.json()["data"], json!([]), "{address}");
                }
                assert!(answer.headers.get("x-injected").is_none(), "{address}");
                asked += 1;
            }
        }
    }
    assert!(asked > 60 * TRICKS.len(), "{asked}");
    assert_eq!(world.rows().await, rows);
    assert_eq!(world.lists().await, lists);
}

#[tokio::test]
async fn ids_of_changing_operations_that_are_tricks_change_nothing() {
    let world = world().await;
    let (rows, lists) = (world.rows().await, world.lists().await);
    let document = serde_json::to_value(admin_listener::openapi_document()).unwrap();
    let mut asked = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let Ok(method) = method.to_uppercase().parse::<Method>() else { continue };
            if method == Method::GET || !path.contains('{') {
                continue;
            }
            let names: Vec<&str> = operation["parameters"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|one| one["in"] == "path")
                .map(|one| one["name"].as_str().unwrap())
                .collect();
            let body = match path.rsplit('/').next().unwrap() {
                "feeds" | "{feed}" => json!({"name": "x", "filter": {"followed": true}}),
                "goals" | "{goal}" => json!({"name": "x", "reached_by": {"page": {"is": ["/"]}}}),
                "notes" => json!({"text": "x"}),
                "marks" => json!({"tags": ["x"]}),
                _ => json!({"name": "x"}),
            };
            for tricked in &names {
                for trick in TRICKS {
                    let address = names.iter().fold(path.clone(), |address, name| {
                        let value = if name == tricked { (*trick).to_owned() } else { usual(name) };
                        address.replace(&format!("{{{name}}}"), &encoded(&value))
                    });
                    let answer = world.send(method.clone(), &address, Some(&body)).await;
                    assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {address}: {}", answer.text());
                    asked += 1;
                }
            }
        }
    }
    assert!(asked > 20 * TRICKS.len(), "{asked}");
    assert_eq!(world.rows().await, rows);
    assert_eq!(world.lists().await, lists);
}

#[tokio::test]
async fn texts_in_bodies_come_back_as_they_were_sent() {
    let world = world().await;
    let lists = world.lists().await;
    let acme = CompanyId::of_domain("acme.example");
    for (number, trick) in TRICKS.iter().enumerate() {
        // A name is one line without blanks around it.
        let is_name = trick.trim() == *trick && !trick.is_empty() && !trick.chars().any(char::is_control);
        let filter = json!({"any": [
            {"company": {"contains": [trick]}}, {"page": {"is": [trick]}}, {"tag": {"starts_with": [trick]}},
        ]});
        let name = if is_name { (*trick).to_owned() } else { format!("feed {number}") };
        let feed = json!({"name": name, "folder": if is_name { trick } else { "" }, "filter": filter});
        let made = world.send(Method::POST, "/v1/sites/shop/feeds", Some(&feed)).await;
        assert_eq!(made.status, StatusCode::CREATED, "{trick:?}: {}", made.text());
        let id = made.json()["id"].as_str().unwrap().to_owned();
        let read = world.send(Method::GET, &format!("/v1/sites/shop/feeds/{id}"), None).await.json();
        for field in ["name", "folder", "filter"] {
            assert_eq!(read[field], feed[field], "{trick:?}");
        }
        let leads = format!("/accounts/shop/custom-feeds/{id}/leads?{DATES}");
        assert_eq!(world.send(Method::GET, &leads, None).await.json()["data"], json!([]), "{trick:?}");

        let marks = format!("/v1/sites/shop/companies/{acme}/marks");
        let change = json!({"tags": [trick], "assignee": trick});
        let changed = world.send(Method::PATCH, &marks, Some(&change)).await;
        if is_name {
            assert_eq!(changed.status, StatusCode::OK, "{trick:?}: {}", changed.text());
            assert_eq!((&changed.json()["tags"], &changed.json()["assignee"]), (&change["tags"], &change["assignee"]));
            let found = world.send(Method::GET, &leads, None).await.json();
            assert_eq!(found["data"][0]["id"], json!(acme.to_string()), "by its tag {trick:?}");
            assert_eq!(found["data"][0]["attributes"]["tags"], change["tags"]);
        } else {
            assert_eq!(changed.status, StatusCode::BAD_REQUEST, "{trick:?}");
        }
        let clean = json!({"tags": [], "assignee": ""});
        assert_eq!(world.send(Method::PATCH, &marks, Some(&clean)).await.status, StatusCode::OK);

        let export = json!({"account_id": "shop", "custom_feed_id": "all_leads", "start_date": "2026-03-01", "end_date": "2026-03-31"});
        for (field, expected) in [
            ("account_id", StatusCode::NOT_FOUND),
            ("custom_feed_id", StatusCode::NOT_FOUND),
            ("start_date", StatusCode::BAD_REQUEST),
            ("end_date", StatusCode::BAD_REQUEST),
        ] {
            let mut export = export.clone();
            export[field] = json!(trick);
            let answer = world.send(Method::POST, "/export-requests", Some(&export)).await;
            assert_eq!(answer.status, expected, "{field} {trick:?}: {}", answer.text());
        }
    }
    assert_eq!(world.lists().await, lists);
}
