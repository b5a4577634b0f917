//! What is ours, under `/v1`.
//!
//! # Conventions
//! - A site is named in the path: `/v1/sites/{site}/…`. What a key may not see does not exist for it (404).
//! - Lists answer `{"data": […], "next_cursor": …}`, or the rows alone as CSV or NDJSON, by `Accept` or `format=`
//!   (`format`). Where a list goes on, `next_cursor` and a `Link` header with `rel="next"` say how (`cursor`).
//! - Dates are `start_date` and `end_date`, as in the Leadfeeder-shaped half.
//! - Refusals are problem details with a stable type (`refusals`).
//! - What an endpoint takes and answers is described where it is written; `admin::openapi` gathers it.

#![allow(unused_qualifications, reason = "utoipa's macros write paths in full")]

mod audit_log;
mod breakdowns;
mod companies;
mod cursor;
mod drops;
mod enrich;
mod feeds;
mod format;
mod goals;
mod keys;
mod parameters;
mod refusals;
mod resolve;
mod scores;
mod sites;
mod text;
mod time_series;
mod usage;
mod users;

use crate::admin::{Routes, Shared};
use std::sync::Arc;
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

/// What the derives don't find by themselves: it stands within the one type that contains itself.
#[derive(OpenApi)]
#[openapi(
    tags(
        (name = "reports", description = "Counts, from visits of companies"),
        (name = "companies", description = "Which company is behind an address, a domain or an e-mail address"),
        (name = "feeds", description = "Saved filters, and what people note about companies"),
        (name = "administration", description = "Sites, keys, users, usage and the audit log"),
    ),
    components(schemas(
        crate::feed::DateRange,
        crate::feed::NumberRange,
        crate::feed::TextMatch,
        crate::feed::VisitorKind,
    )),
)]
struct Description;

/// Every route under `/v1`, with its description.
pub(crate) fn routes() -> Routes {
    let authenticated: OpenApiRouter<Arc<Shared>> = OpenApiRouter::with_openapi(Description::openapi())
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
        .routes(routes!(scores::show))
        .routes(routes!(usage::show))
        .routes(routes!(audit_log::show));
    Routes { authenticated, open: OpenApiRouter::new(), problems: refusals::FORM }
}
