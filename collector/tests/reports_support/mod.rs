//! The reports API in a test: two sites, a few keys, a resolver that knows one address.
#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is the test's finding")]

pub(crate) mod rows;

use axum::{Router, body::Body};
use bytes::Bytes;
use collector::{
    admin::{AdminServices, AdminSettings, Audit},
    control::Control,
    counters::Counters,
    reports::ResolveForReports,
    sealing::MasterKey,
    serve::admin_listener,
    site::{Site, SiteId},
    snapshot::{ApiKey, Role, Snapshot},
    store::Store,
    time::UnixMillis,
};
use firmsight_resolver::{
    Company, CompanyId, Confidence, Employees, EvidenceList, Location, NameAnswer, NetworkKind, Profile, Source,
    Verdict,
};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use sha2::{Digest, Sha256};
use std::{collections::HashMap, future::Future, net::IpAddr, pin::Pin, sync::Arc};
use tower::ServiceExt;
use uuid::Uuid;

/// Sees all sites.
pub(crate) const TOKEN: &str = "token-of-all-sites";
/// Sees `shop` alone.
pub(crate) const SHOP_TOKEN: &str = "token-of-the-shop";
/// Where links lead.
pub(crate) const BASE_URL: &str = "https://api.example";
/// The one address behind which the resolver finds a company.
pub(crate) const COMPANY_ADDRESS: &str = "198.51.100.7";

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// The API, asked without a socket.
#[derive(Clone)]
pub(crate) struct Api(Router);

impl Api {
    /// No rate limit, `/metrics` open.
    pub(crate) fn new(store: Store) -> Self {
        Self::with(store, |_| {})
    }

    pub(crate) fn with(store: Store, change: impl FnOnce(&mut AdminServices)) -> Self {
        let control = Control::open(store.clone(), MasterKey::from_bytes([7; 32]), "/nonexistent/mirror".into());
        control.snapshot().store(Arc::new(snapshot()));
        // Nobody writes the records: they wait in the queue, which has room for more than any test makes.
        let (audit, writer) = Audit::new(store.clone());
        std::mem::forget(writer);
        let mut state = AdminServices {
            store,
            snapshot: control.snapshot(),
            control,
            audit,
            usage: Arc::default(),
            counters: Arc::new(Counters::default()),
            resolver: Arc::new(OneCompany),
            metrics: Vec::new(),
            readiness: Vec::new(),
            settings: AdminSettings {
                base_url: format!("{BASE_URL}/"),
                script_path: "/lfa.js".to_owned(),
                public_url: None,
                requests_per_minute: 0,
                metrics_needs_key: false,
                pseudonym_key: [7; 32],
                allowed_networks: Vec::new(),
            },
            clock: || UnixMillis(1_790_000_030_000),
        };
        change(&mut state);
        Self(admin_listener::router(state))
    }

    /// GET with the key that sees all.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path, &[("authorization", &format!("Token token={TOKEN}"))]).await
    }

    pub(crate) async fn request(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(method, path, headers, Body::empty()).await
    }

    /// With a body of JSON.
    pub(crate) async fn send_json(&self, method: Method, path: &str, key: &str, body: &serde_json::Value) -> Answer {
        let headers = [("x-api-key", key), ("content-type", "application/json")];
        self.send(method, path, &headers, Body::from(body.to_string())).await
    }

    pub(crate) async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Body) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.0.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        Answer { status: parts.status, headers: parts.headers, body: body.collect().await.unwrap().to_bytes() }
    }
}

pub(crate) fn site_id(id: &str) -> SiteId {
    id.parse().unwrap()
}

fn snapshot() -> Snapshot {
    let site = |id: &str, name: &str, timezone: &str| {
        let site = Site {
            timezone: timezone.to_owned(),
            identify: true,
            ..Site::new(site_id(id), name, [format!("{id}.example")])
        };
        (site.id.clone(), Arc::new(site))
    };
    let key = |number: u128, token: &str, sites: Option<Vec<SiteId>>| {
        let token_sha256: [u8; 32] = Sha256::digest(token).into();
        let key = ApiKey {
            id: Uuid::from_u128(number),
            name: format!("key {number}"),
            sites,
            role: Role::Read,
            token_sha256,
            created_at: UnixMillis(0),
            expires_at: None,
            requests_per_minute: None,
            requests_per_month: None,
            user: None,
        };
        (token_sha256, Arc::new(key))
    };
    Snapshot {
        sites: HashMap::from([
            site("shop", "The shop", "Europe/Berlin"),
            site("blog", "Blog \"one\"", "America/Los_Angeles"),
        ]),
        keys: HashMap::from([key(1, TOKEN, None), key(2, SHOP_TOKEN, Some(vec![site_id("shop")]))]),
        users: HashMap::new(),
        loaded: true,
        ..Snapshot::default()
    }
}

/// Knows one company.
pub(crate) fn resolver() -> Arc<dyn ResolveForReports> {
    Arc::new(OneCompany)
}

struct OneCompany;

fn acme() -> Company {
    Company {
        id: CompanyId::of_domain("acme.example"),
        name: "Acme GmbH".into(),
        domain: Some("acme.example".into()),
        found_by: None,
        industry: Some("Manufacturing".into()),
        source: Source::Asn,
        confidence: Confidence::new(0.87),
    }
}

impl ResolveForReports for OneCompany {
    fn verdict(&self, address: IpAddr) -> Pin<Box<dyn Future<Output = Arc<Verdict>> + Send + '_>> {
        let company = (address.to_string() == COMPANY_ADDRESS).then(acme);
        let verdict = Verdict {
            ip: Some(address),
            kind: if company.is_some() { NetworkKind::Business } else { NetworkKind::Residential },
            company,
            location: Arc::new(Location { country_code: "DE".into(), region: "Saxony".into(), city: "Dresden".into() }),
            asn: None,
            ptr: NameAnswer::NotAsked,
            is_final: false,
            evidence: EvidenceList::default(),
            left_out: None,
        };
        Box::pin(async { Arc::new(verdict) })
    }

    fn profile(&self, domain: &str) -> Option<Profile> {
        let employees = Some(Employees { min: 120, max: None });
        (domain == "acme.example").then(|| Profile { domain: domain.to_owned(), employees, ..Profile::default() })
    }

    fn verdict_on_name(&self, name: &str) -> Verdict {
        let company = (name == "acme.example").then(acme);
        Verdict {
            ip: None,
            kind: if company.is_some() { NetworkKind::Business } else { NetworkKind::Unknown },
            company,
            location: Arc::default(),
            asn: None,
            ptr: NameAnswer::Confirmed(name.into()),
            is_final: false,
            evidence: EvidenceList::default(),
            left_out: None,
        }
    }
}

/// Compares a document with `tests/golden/reports/NAME.json`; `UPDATE_GOLDEN=1` writes it instead.
pub(crate) fn assert_golden(name: &str, document: &serde_json::Value) {
    let path = format!("{}/tests/golden/reports/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let found = serde_json::to_string_pretty(document).unwrap() + "\n";
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    assert_eq!(found, expected, "{name}.json; UPDATE_GOLDEN=1 writes what is found");
}
