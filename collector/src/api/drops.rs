//! What was dropped, by UTC day and reason, for "why do I see nothing?".

use super::{
    format::{List, Listing, Row},
    parameters::Formats,
    refusals::Refusals,
};
use crate::{
    admin::{
        Shared,
        authentication::Caller,
        problem::Problem,
        wire::{FromPath, Parameters, dates::Days},
    },
    reports::drops,
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
) -> Result<Response, Problem> {
    let site = caller.account(&site)?;
    let days = Days::read(&Parameters::read(query.as_deref()))?.days()?;
    let found = drops::by_day(&shared.services.store, &site.id, days).await?;
    let rows = found.into_iter().map(|row| Drop { day: row.day_text, reason: row.reason, events: row.dropped });
    Ok(listing.answer(rows.collect(), None))
}
