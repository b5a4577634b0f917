//! What is ours, under `/v1`.
//!
//! # Conventions
//! - A site is named in the path: `/v1/sites/{site}/…`. What a key may not see does not exist for it (404).
//! - Lists answer `{"data": […], "next_cursor": …}`, or the rows alone as CSV or NDJSON, by `Accept` or `format=`
//!   ([`format`]). Where a list goes on, `next_cursor` and a `Link` header with `rel="next"` say how ([`cursor`]).
//! - Dates are `start_date` and `end_date`, as in the other half of the API ([`super::dates`]).
//! - Refusals are problem details with a stable type ([`super::error`]).
//! - What an endpoint takes and answers is described where it is written; [`super::openapi`] gathers it.

pub(super) mod cursor;
mod drops;
pub(super) mod format;

use super::Shared;
use std::sync::Arc;
use utoipa_axum::{router::OpenApiRouter, routes};

/// Every route under `/v1`, with its description.
pub(super) fn router() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::new().routes(routes!(drops::by_day))
}
