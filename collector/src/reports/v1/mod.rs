//! What is ours, under `/v1`.
//!
//! # Conventions
//! - A site is named in the path: `/v1/sites/{site}/…`. What a key may not see does not exist for it (404).
//! - Lists answer `{"data": […], "next_cursor": …}`, or the rows alone as CSV or NDJSON, by `Accept` or `format=`
//!   ([`mod@format`]). Where a list goes on, `next_cursor` and a `Link` header with `rel="next"` say how ([`cursor`]).
//! - Dates are `start_date` and `end_date`, as in the other half of the API ([`super::dates`]).
//! - Refusals are problem details with a stable type ([`super::error`]).
//! - What an endpoint takes and answers is described where it is written; [`super::openapi`] gathers it.

mod audit_log;
pub(super) mod body;
mod breakdowns;
mod companies;
pub(super) mod cursor;
mod drops;
mod enrich;
mod feeds;
pub(super) mod format;
mod goals;
mod keys;
pub(super) mod parameters;
mod queries;
mod resolve;
mod sites;
mod text;
mod time_series;
mod usage;
mod users;

pub(super) use resolve::ResolvedLocation;

use super::Shared;
use std::sync::Arc;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Every route under `/v1`, with its description.
pub(super) fn router() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::new()
        .routes(routes!(time_series::show))
        .routes(routes!(breakdowns::by_feed))
        .routes(routes!(breakdowns::show))
        .routes(routes!(drops::by_day))
        .routes(routes!(resolve::one, resolve::many))
        .routes(routes!(enrich::one, enrich::many))
        .routes(routes!(sites::list, sites::create))
        .routes(routes!(sites::one, sites::change, sites::remove))
        .routes(routes!(keys::list, keys::create))
        .routes(routes!(keys::change, keys::revoke))
        .routes(routes!(users::list, users::create))
        .routes(routes!(users::one, users::change, users::remove))
        .routes(routes!(feeds::list_feeds, feeds::create_feed))
        .routes(routes!(feeds::one_feed, feeds::replace_feed, feeds::remove_feed))
        .routes(routes!(feeds::list_lists, feeds::create_list))
        .routes(routes!(feeds::replace_list, feeds::remove_list))
        .routes(routes!(goals::list_goals, goals::create_goal))
        .routes(routes!(goals::replace_goal, goals::remove_goal))
        .routes(routes!(companies::show, companies::change))
        .routes(routes!(companies::add_note))
        .routes(routes!(companies::remove_note))
        .routes(routes!(companies::score))
        .routes(routes!(usage::show))
        .routes(routes!(audit_log::show))
}
