//! What was dropped, by UTC day and reason, for "why do I see nothing?".

use super::format::{List, Listing, Row};
use super::parameters::{Days, Formats, Refusals};
use crate::reports::{
    Shared,
    authentication::Caller,
    dates,
    error::ReportError,
    parameters::{FromPath, Parameters},
    queries,
};
use axum::{
    Extension,
    extract::{RawQuery, State},
    response::Response,
};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// Events dropped on one day for one reason.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Drop {
    /// UTC day.
    #[schema(format = Date, example = "2026-11-22")]
    day: String,
    /// Why.
    #[schema(example = "residential")]
    reason: String,
    /// How many.
    events: u64,
}

impl Row for Drop {
    const COLUMNS: &'static [&'static str] = &["day", "reason", "events"];
}

/// Dropped events
///
/// By plain UTC day and reason, each with its count; days without drops are left out.
#[utoipa::path(
    get, path = "/v1/sites/{site}/drops", tag = "reports", operation_id = "drops",
    params(
        ("site" = String, Path, description = "The site's id"),
        Days, Formats,
    ),
    responses(
        (status = 200, description = "Drops, oldest first", body = List<Drop>),
        Refusals,
    ),
)]
pub(super) async fn by_day(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    FromPath(site): FromPath<String>,
    listing: Listing,
    RawQuery(query): RawQuery,
) -> Result<Response, ReportError> {
    let site = caller.account(&site)?;
    let parameters = Parameters::read(query.as_deref());
    let (first, last) = dates::read_days(&parameters)?;
    let found = queries::drops(&shared.state.store, &site.id, first, last).await?;
    let drops = found.into_iter().map(|row| Drop { day: row.day_text, reason: row.reason, events: row.dropped });
    Ok(listing.answer(drops.collect(), None))
}
