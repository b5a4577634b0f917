//! The admin listener: what every request passes through, whichever room answers it.
//!
//! The rooms that translate (`leadfeeder`, `api`, …) are siblings. None knows another, and this room knows none of them:
//! each describes itself as `Routes`, and `serve::admin_listener`, which lists them, hands them to `router`. A request
//! passes through these parts:
//!
//! 1. `allow_list` refuses peers that the owner did not name.
//! 2. `authentication` finds out who asks, counts the request against the allowance and hands a
//!    `Caller` on, which knows the sites it may see and writes the audit record.
//! 3. The sibling's handler reads the request with `wire`, asks `reports` or `control`, and writes the answer.
//! 4. Every refusal is one `Problem`; the sibling whose path it is under writes it in its own form.
//!
//! SQL stands here in `audit` and `usage` alone, for their own tables.

#![allow(unused_qualifications, reason = "utoipa's macros write paths in full")]

mod allow_list;
pub(crate) mod audit;
pub(crate) mod authentication;
mod health;
mod metrics;
pub(crate) mod openapi;
mod paths;
pub(crate) mod problem;
mod rate_limit;
pub(crate) mod usage;
pub(crate) mod wire;

pub use audit::{Action, Audit, AuditFull, AuditPlace, AuditRow, AuditWriter};
pub use usage::Usage;

use crate::{
    control::Control,
    counters::Counters,
    metrics::{MetricsSource, ReadinessCheck},
    reports::ResolveForReports,
    snapshot::SharedSnapshot,
    store::Store,
    time::UnixMillis,
};
use axum::{
    Router,
    extract::{MatchedPath, Request},
    middleware::{self, Next},
    response::Response,
    routing::get,
};
use ipnet::IpNet;
use problem::{Form, Forms, Problem};
use rate_limit::RateLimit;
use std::sync::Arc;
use tower::util::MapRequest;
use tracing::Instrument;
use utoipa_axum::router::OpenApiRouter;

/// What the owner can set.
#[derive(Clone, Debug)]
pub struct AdminSettings {
    /// Where clients reach the listener, without a slash at the end; all links begin with it.
    pub base_url: String,
    /// Path of the tracker's script on the site's own hosts, such as `/lfa.js`.
    pub script_path: String,
    /// Where browsers reach the public listener; `None` stands for the site's own host.
    pub public_url: Option<String>,
    /// Requests a key may make in a clock minute; 0 means any number.
    pub requests_per_minute: u32,
    /// Whether `/metrics` asks for a key: so where the listener isn't loopback.
    pub metrics_needs_key: bool,
    /// The key under which client ids are replaced by pseudonyms.
    pub pseudonym_key: [u8; 32],
    /// Peers that are answered; empty means all. The router must then be served with `ConnectInfo<SocketAddr>`.
    pub allowed_networks: Vec<IpNet>,
}

/// What the listener and its siblings work with.
pub struct AdminServices {
    /// Visits and companies.
    pub store: Store,
    /// Sites, keys and users, as [`Control::snapshot`] gives them.
    pub snapshot: SharedSnapshot,
    /// What changes them.
    pub control: Control,
    /// Where reads of company data and changes are recorded; its [`AuditWriter`] must run.
    pub audit: Audit,
    /// Counts the requests of keys; [`Usage::run`] must run for them to be kept.
    pub usage: Arc<Usage>,
    /// For `/metrics`.
    pub counters: Arc<Counters>,
    /// Tells the company behind an address or a name.
    pub resolver: Arc<dyn ResolveForReports>,
    /// Other rooms' values for `/metrics`.
    pub metrics: Vec<Arc<dyn MetricsSource>>,
    /// What `/readyz` asks besides whether the sites are loaded.
    pub readiness: Vec<Arc<dyn ReadinessCheck>>,
    /// What the owner can set.
    pub settings: AdminSettings,
    /// The clock of the rate limit, [`UnixMillis::now`] but for tests.
    pub clock: fn() -> UnixMillis,
}

/// The services and what was made of them once: the state of every handler.
pub(crate) struct Shared {
    pub(crate) services: AdminServices,
    rate_limit: RateLimit,
}

impl Shared {
    /// Where clients reach the listener, without a slash at the end.
    pub(crate) fn base_url(&self) -> &str {
        self.services.settings.base_url.trim_end_matches('/')
    }
}

/// What a sibling adds to the listener.
pub(crate) struct Routes {
    /// Endpoints that ask who is there.
    pub(crate) authenticated: OpenApiRouter<Arc<Shared>>,
    /// Endpoints that ask nobody, such as what is in an address that nobody can guess.
    pub(crate) open: OpenApiRouter<Arc<Shared>>,
    /// How its refusals are written.
    pub(crate) problems: Form,
}

/// The listener with its siblings, as a router that any axum program can nest or serve.
pub(crate) fn router(services: AdminServices, siblings: Vec<Routes>) -> Router {
    let document = openapi::document(&siblings);
    let shared = Arc::new(Shared { services, rate_limit: RateLimit::default() });
    let with_key = || middleware::from_fn_with_state(Arc::clone(&shared), authentication::authenticate);

    let forms = Forms::of(siblings.iter().map(|sibling| sibling.problems));
    let (mut authenticated, mut open) = (Router::new(), Router::new());
    for sibling in siblings {
        authenticated = authenticated.merge(Router::from(sibling.authenticated));
        open = open.merge(Router::from(sibling.open));
    }
    let authenticated = authenticated.route_layer(with_key()).route_layer(middleware::from_fn(traced));

    let mut metrics = Router::new().route("/metrics", get(metrics::show));
    if shared.services.settings.metrics_needs_key {
        metrics = metrics.route_layer(with_key());
    }

    let listener = Router::new()
        .route("/healthz", get(health::healthy))
        .route("/readyz", get(health::ready))
        .route("/openapi.json", openapi::route(document))
        .merge(open)
        .merge(authenticated)
        .merge(metrics)
        .fallback(|| async { Problem::NotFound("path") })
        .method_not_allowed_fallback(|| async { Problem::MethodNotAllowed })
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), allow_list::admit))
        .layer(middleware::from_fn_with_state(forms, problem::write))
        .with_state(shared);
    // A router's own layers come after its routing.
    Router::new().fallback_service(MapRequest::new(listener, paths::normalized))
}

/// A span of each request: its method, the route's pattern and the status, nothing of what was asked about whom.
async fn traced(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let span = tracing::info_span!(
        target: "firmsight", "reports.request", http.request.method = %request.method(), http.route = route,
        http.response.status_code = tracing::field::Empty
    );
    let answer = next.run(request).instrument(span.clone()).await;
    span.record("http.response.status_code", answer.status().as_u16());
    answer
}
