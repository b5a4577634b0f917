//! The Leadfeeder-shaped reports API, `/metrics` and the health checks.
//!
//! Existing clients of that product work against it with only the base URL changed; docs/reports-api.md describes it
//! for its users. A request passes through these parts:
//!
//! 1. `authentication` finds the key in the snapshot, counts the request against the key's allowance and hands a
//!    `Caller` on, which knows the sites the key may see and writes the audit record.
//! 2. The endpoint's own file (`accounts`, `leads`, `visits`, `companies`, or one under `v1`) reads `parameters`,
//!    `dates` and `paging`, asks `queries`, and shapes `documents`.
//! 3. Every refusal is one `error::ReportError`, which alone knows statuses and error documents.
//!
//! Only `queries`, `selection` and `scores` hold SQL, of parts in `formulas`, asked through `reading`; only the files of
//! endpoints know attributes.

#![allow(unused_qualifications, reason = "utoipa's macros write paths in full")]

mod accounts;
mod allow_list;
mod asked;
pub(crate) mod audit;
mod authentication;
mod companies;
mod custom_feeds;
mod dates;
mod documents;
mod error;
mod export_worker;
mod exports;
mod formulas;
#[doc(hidden)]
pub mod fuzzing;
mod health;
mod leads;
mod metrics;
pub mod openapi;
mod paging;
mod parameters;
mod pseudonym;
mod queries;
mod rate_limit;
mod reading;
mod scores;
mod selection;
mod tracking_script;
pub(crate) mod usage;
mod v1;
mod visit_pages;
mod visits;

pub use audit::{Action, Audit, AuditFull, AuditPlace, AuditRow, AuditWriter};
pub use companies::ResolveForReports;
pub use export_worker::{ExportQueue, ExportWorker};
pub use health::ReadinessCheck;
pub use metrics::{Metric, MetricsSource, Sample};
pub use usage::Usage;

use crate::{control::Control, counters::Counters, snapshot::SharedSnapshot, store::Store, time::UnixMillis};
use axum::{
    Router,
    extract::{MatchedPath, Request},
    middleware::{self, Next},
    response::Response,
    routing::get,
};
use error::ReportError;
use ipnet::IpNet;
use pseudonym::Pseudonyms;
use rate_limit::RateLimit;
use std::sync::Arc;
use tracing::Instrument;
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

/// What the owner can set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where clients reach the API, without a slash at the end; all links begin with it.
    pub base_url: String,
    /// Path of the tracker's script on the site's own hosts, such as `/lfa.js`.
    pub script_path: String,
    /// Requests a key may make in a clock minute; 0 means any number.
    pub requests_per_minute: u32,
    /// Whether `/metrics` asks for a key: so where the listener isn't loopback.
    pub metrics_needs_key: bool,
    /// The key under which client ids are replaced by pseudonyms.
    pub pseudonym_key: [u8; 32],
    /// Peers that are answered; empty means all. The router must then be served with `ConnectInfo<SocketAddr>`.
    pub allowed_networks: Vec<IpNet>,
}

/// What the API reads from.
pub struct State {
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
    /// Wakes the [`ExportWorker`], which must run for exports to be made.
    pub exports: ExportQueue,
    /// For `/metrics`.
    pub counters: Arc<Counters>,
    /// For `/companies?ip=`.
    pub resolver: Arc<dyn ResolveForReports>,
    /// Other rooms' values for `/metrics`.
    pub metrics: Vec<Arc<dyn MetricsSource>>,
    /// What `/readyz` asks besides whether the sites are loaded.
    pub readiness: Vec<Arc<dyn ReadinessCheck>>,
    /// What the owner can set.
    pub settings: Settings,
    /// The clock of the rate limit, [`UnixMillis::now`] but for tests.
    pub clock: fn() -> UnixMillis,
}

/// The state and what was made of it once.
struct Shared {
    state: State,
    rate_limit: RateLimit,
    pseudonyms: Pseudonyms,
}

impl Shared {
    fn base_url(&self) -> &str {
        self.state.settings.base_url.trim_end_matches('/')
    }
}

/// The endpoints without a key that are described: what is in an address that nobody can guess.
fn open_router() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::new().routes(routes!(exports::download))
}

/// Every endpoint that asks for a key, with its description.
fn keyed_router() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::with_openapi(openapi::Base::openapi())
        .routes(routes!(accounts::list))
        .routes(routes!(accounts::one))
        .routes(routes!(leads::list))
        .routes(routes!(leads::one))
        .routes(routes!(visits::of_lead))
        .routes(routes!(visits::of_account))
        .routes(routes!(custom_feeds::list))
        .routes(routes!(custom_feeds::one))
        .routes(routes!(custom_feeds::leads_of))
        .routes(routes!(tracking_script::one))
        .routes(routes!(exports::create))
        .routes(routes!(exports::one))
        .routes(routes!(companies::by_address))
        .merge(v1::router())
}

/// The whole admin side of this room as a router that any axum program can nest or serve.
pub fn router(state: State) -> Router {
    let shared = Arc::new(Shared {
        rate_limit: RateLimit::default(),
        pseudonyms: Pseudonyms::new(&state.settings.pseudonym_key),
        state,
    });
    let with_key = || middleware::from_fn_with_state(Arc::clone(&shared), authentication::authenticate);

    let (reports, _) = keyed_router().split_for_parts();
    let reports = reports.route_layer(with_key()).route_layer(middleware::from_fn(traced));
    let (open, _) = open_router().split_for_parts();

    let mut metrics = Router::new().route("/metrics", get(metrics::show));
    if shared.state.settings.metrics_needs_key {
        metrics = metrics.route_layer(with_key());
    }

    Router::new()
        .route("/healthz", get(health::healthy))
        .route("/readyz", get(health::ready))
        .route("/openapi.json", get(openapi::show))
        .merge(open)
        .merge(reports)
        .merge(metrics)
        .fallback(|| async { ReportError::NotFound("path") })
        .method_not_allowed_fallback(|| async { ReportError::MethodNotAllowed })
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), allow_list::admit))
        .layer(middleware::from_fn(error::as_problem))
        .with_state(shared)
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
