//! `GET /healthz`: the process answers. `GET /readyz`: it can do its work.

use super::Shared;
use axum::{extract::State, http::StatusCode};
use std::sync::Arc;

/// `GET /healthz`
pub(super) async fn healthy() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: 200, or 503 with one line for each problem.
pub(super) async fn ready(State(shared): State<Arc<Shared>>) -> (StatusCode, String) {
    let not_loaded =
        (!shared.services.snapshot.load().loaded).then(|| "the site settings are not loaded yet".to_owned());
    let problems = shared.services.readiness.iter().filter_map(|check| check.problem());
    let problems: Vec<String> = not_loaded.into_iter().chain(problems).collect();
    if problems.is_empty() {
        (StatusCode::OK, "ready\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, problems.join("\n") + "\n")
    }
}
