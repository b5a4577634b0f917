//! Requests by key.

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
        usage,
        wire::{Parameters, dates::Days},
    },
    snapshot::Role,
};
use axum::{
    Extension,
    extract::{RawQuery, State},
    response::Response,
};
use serde::Serialize;
use std::{collections::HashMap, sync::Arc};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Requests of one key on one day or in one month.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Usage)]
pub(super) struct UsageRow {
    /// UTC day `YYYY-MM-DD`, or month `YYYY-MM`.
    #[schema(example = "2026-11-22")]
    period: String,
    key: Uuid,
    #[schema(example = "reports")]
    key_name: String,
    /// All requests, those over the limit included.
    requests: u64,
    /// Those that were answered 429.
    refused: u64,
}

impl Row for UsageRow {
    const COLUMNS: &'static [&'static str] = &["period", "key", "key_name", "requests", "refused"];
}

/// By what usage is added up.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code, reason = "describes what is read below")]
pub(super) enum UsageInterval {
    Day,
    Month,
}

/// Which usage.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "describes what is read below")]
pub(super) struct UsageParameters {
    /// `day` when absent.
    #[param(inline, required = false, nullable = false)]
    interval: Option<UsageInterval>,
    /// One key's id; all when absent.
    #[param(required = false, nullable = false)]
    key: Option<Uuid>,
}

/// Requests by key
///
/// By UTC day or month, for the last 12 months. A key sees its own; an admin key also those that it may manage. Days without
/// requests are left out.
#[utoipa::path(
    get, path = "/v1/usage", tag = "administration", operation_id = "usage",
    params(Days, UsageParameters, Formats),
    responses((status = 200, description = "Requests, oldest first", body = List<UsageRow>), Refusals),
)]
pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    listing: Listing,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let parameters = Parameters::read(query.as_deref());
    let days = Days::read(&parameters)?.days()?;
    let wrong = |name: &'static str, detail: &str| Problem::Parameter { name, detail: detail.to_owned() };
    let by_month = match parameters.optional("interval")? {
        None | Some("day") => false,
        Some("month") => true,
        Some(_) => return Err(wrong("interval", "interval must be day or month")),
    };
    let asked = match parameters.optional("key")? {
        None => None,
        Some(text) => Some(Uuid::parse_str(text).map_err(|_| wrong("key", "key must be a key's id"))?),
    };
    let is_admin = caller.require(Role::Admin).is_ok();
    let keys: HashMap<Uuid, String> = caller
        .snapshot
        .keys
        .values()
        .filter(|key| key.id == caller.key.id || is_admin && caller.may_manage(key))
        .filter(|key| asked.is_none_or(|asked| key.id == asked))
        .map(|key| (key.id, key.name.clone()))
        .collect();
    shared.services.usage.write(&shared.services.store).await?;
    let ids: Vec<Uuid> = keys.keys().copied().collect();
    let found = usage::by_key(&shared.services.store, &ids, by_month, days).await?;
    let rows = found.into_iter().filter_map(|row| {
        let key = row.key.parse().ok()?;
        let key_name = keys.get(&key)?.clone();
        Some(UsageRow { period: row.period, key, key_name, requests: row.requests, refused: row.refused })
    });
    Ok(listing.answer(rows.collect(), None))
}
