//! The screens in a test: two sites, a person of each role, asked without a socket.
#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failure here is the test's finding")]

use axum::{Router, body::Body};
use bytes::Bytes;
use collector::{
    admin::Audit,
    control::{Control, NewPerson, token_sha256},
    dashboard::{self, State},
    ingest::{Peer, client_address::ProxyTrust},
    sealing::MasterKey,
    sign_in::password,
    site::{Site, SiteId},
    snapshot::Role,
    store::Store,
    time::UnixMillis,
};
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use std::sync::atomic::{AtomicI64, Ordering};
use tower::ServiceExt;

/// The clock of these tests.
pub(crate) static NOW: AtomicI64 = AtomicI64::new(1_790_000_000_000);
pub(crate) const PASSWORD: &str = "correct horse battery";
pub(crate) const FIRST_RUN: &str = "the-first-run-link";
pub(crate) const HOST: &str = "stats.example";
const ORIGIN: &str = "http://stats.example";

pub(crate) fn now() -> UnixMillis {
    UnixMillis(NOW.load(Ordering::Relaxed))
}

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

    pub(crate) fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// `NAME=VALUE` of the cookie that it sets.
    pub(crate) fn cookie(&self) -> String {
        self.header(header::SET_COOKIE).split(';').next().unwrap().to_owned()
    }
}

/// The screens.
#[derive(Clone)]
pub(crate) struct Screens {
    router: Router,
    pub(crate) control: Control,
    pub(crate) store: Store,
}

impl Screens {
    pub(crate) async fn new(store: Store) -> Self {
        let control = Control::open(store.clone(), MasterKey::from_bytes([7; 32]), "/nonexistent/mirror".into());
        for id in ["shop", "blog"] {
            control.add_site(site(id), now()).await.unwrap();
        }
        Self { router: router(&store, &control), control, store }
    }

    /// The same people and sites, with visits in a store that doesn't answer.
    pub(crate) fn with_store_away(&self) -> Self {
        let store = crate::support::store_away();
        Self { router: router(&store, &self.control), control: self.control.clone(), store }
    }

    /// Somebody with a password who sees the shop alone, or all sites; returns their session's cookie.
    pub(crate) async fn signed_in(&self, email: &str, role: Role, all_sites: bool) -> String {
        self.add(email, role, all_sites).await;
        let answer = self.sign_in(email, PASSWORD).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
        answer.cookie()
    }

    pub(crate) async fn add(&self, email: &str, role: Role, all_sites: bool) {
        let sites = (!all_sites).then(|| vec![site_id("shop")]);
        let person = NewPerson { email: email.parse().unwrap(), name: email.to_owned(), role, sites };
        let (_, token) = self.control.invite_person(person, now()).await.unwrap();
        let hash = password::hash(PASSWORD, email, [1; password::SALT_BYTES]).unwrap();
        self.control.accept_invitation(&token, hash, now()).await.unwrap();
    }

    pub(crate) async fn sign_in(&self, email: &str, password: &str) -> Answer {
        self.post("/sign-in", "", &[("email", email), ("password", password)]).await
    }

    pub(crate) async fn get(&self, path: &str, cookie: &str) -> Answer {
        self.send(Method::GET, path, &[("host", HOST), ("cookie", cookie)], Body::empty()).await
    }

    /// Posts a form as our own page would, without the session's token.
    pub(crate) async fn post(&self, path: &str, cookie: &str, fields: &[(&str, &str)]) -> Answer {
        let headers = [("host", HOST), ("cookie", cookie), ("origin", ORIGIN)];
        self.post_with(path, &headers, fields).await
    }

    /// Posts a form as our own page does.
    pub(crate) async fn submit(&self, path: &str, cookie: &str, fields: &[(&str, &str)]) -> Answer {
        let token = self.form_token(cookie).await;
        let fields: Vec<_> = fields.iter().copied().chain([("form_token", token.as_str())]).collect();
        self.post(path, cookie, &fields).await
    }

    pub(crate) async fn post_with(&self, path: &str, headers: &[(&str, &str)], fields: &[(&str, &str)]) -> Answer {
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(fields);
        self.send(Method::POST, path, headers, Body::from(body.finish())).await
    }

    /// The token of a session's forms, from a page.
    pub(crate) async fn form_token(&self, cookie: &str) -> String {
        let page = self.get("/sign-out", cookie).await;
        let (_, rest) = page.text().split_once("name=\"form_token\" value=\"").expect("a form with a token");
        rest.split('"').next().unwrap().to_owned()
    }

    pub(crate) async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Body) -> Answer {
        let mut request =
            Request::builder().method(method).uri(path).extension(Peer("192.0.2.1:4711".parse().unwrap()));
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            request = request.header(*name, *value);
        }
        let response = self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        Answer { status: parts.status, headers: parts.headers, body: body.collect().await.unwrap().to_bytes() }
    }
}

/// The screens over a store.
fn router(store: &Store, control: &Control) -> Router {
    // Nobody writes the records: they wait in the queue, which has room for more than any test makes.
    let (audit, writer) = Audit::new(store.clone());
    std::mem::forget(writer);
    dashboard::router(State {
        store: store.clone(),
        snapshot: control.snapshot(),
        control: control.clone(),
        audit,
        base_url: format!("{ORIGIN}/"),
        script_path: "/lfa.js".to_owned(),
        session_key: [8; 32],
        first_run: token_sha256(FIRST_RUN),
        proxies: ProxyTrust { networks: Vec::new(), header: header::HeaderName::from_static("x-forwarded-for") },
        allowed_networks: Vec::new(),
        clock: now,
    })
}

pub(crate) fn site_id(id: &str) -> SiteId {
    id.parse().unwrap()
}

fn site(id: &str) -> Site {
    Site {
        id: site_id(id),
        name: format!("The {id}"),
        hosts: vec![format!("{id}.example")],
        timezone: "Europe/Berlin".to_owned(),
        consent: collector::site::ConsentMode::Required,
        identify: false,
        own_networks: Vec::new(),
        client_id_life: collector::site::ClientIdLife::LONGEST,
    }
}
