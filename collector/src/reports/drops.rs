//! `GET /v1/accounts/{account}/drops`: what was dropped, by UTC day and reason, for "why do I see nothing?".

use super::{
    Shared,
    authentication::Caller,
    dates,
    error::ReportError,
    parameters::{FromPath, Parameters},
    queries,
};
use axum::{
    Extension, Json,
    extract::{RawQuery, State},
};
use serde::Serialize;
use std::sync::Arc;

#[derive(Debug, Serialize)]
pub(super) struct Drops {
    data: Vec<DayAndReason>,
}

#[derive(Debug, Serialize)]
struct DayAndReason {
    day: String,
    reason: String,
    events: u64,
}

/// `GET /v1/accounts/{account}/drops`
pub(super) async fn by_day(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    FromPath(account): FromPath<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Drops>, ReportError> {
    let site = caller.account(&account)?;
    let parameters = Parameters::read(query.as_deref());
    let (first, last) = dates::read_days(&parameters)?;
    let found = queries::drops(&shared.state.store, &site.id, first, last).await?;
    let data = found
        .into_iter()
        .map(|row| DayAndReason { day: row.day_text, reason: row.reason, events: row.dropped })
        .collect();
    Ok(Json(Drops { data }))
}
