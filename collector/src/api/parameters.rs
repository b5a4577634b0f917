//! Parameters that many endpoints share, for the OpenAPI document.

use crate::admin::problem::Problem;
use firmsight_resolver::CompanyId;
use utoipa::{IntoParams, ToSchema};

/// How a list is written.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code, reason = "describes what format.rs reads")]
pub(super) enum FormatName {
    Json,
    Csv,
    Ndjson,
}

/// How a list is written.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "describes what format.rs reads")]
pub(super) struct Formats {
    /// In place of the header `Accept`.
    #[param(inline, required = false, nullable = false)]
    format: Option<FormatName>,
}

/// How a list of nested rows is written, which no table shows.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code, reason = "describes what format.rs reads")]
pub(super) enum NestedFormatName {
    Json,
    Ndjson,
}

/// How a list is written.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "describes what format.rs reads")]
pub(super) struct NestedFormats {
    /// In place of the header `Accept`.
    #[param(inline, required = false, nullable = false)]
    format: Option<NestedFormatName>,
}

/// Which part of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "describes what cursor.rs reads")]
pub(super) struct Pages {
    /// How many rows; 100 when absent.
    #[param(minimum = 1, maximum = 1000, required = false, nullable = false)]
    limit: Option<u16>,
    /// The `next_cursor` of an earlier answer.
    #[param(required = false, nullable = false)]
    cursor: Option<String>,
}

/// Which part of a list of feeds.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "describes what cursor.rs reads")]
pub(super) struct FeedPages {
    /// How many feeds; 100 when absent.
    #[param(minimum = 1, maximum = 100, required = false, nullable = false)]
    limit: Option<u16>,
    /// The `next_cursor` of an earlier answer.
    #[param(required = false, nullable = false)]
    cursor: Option<String>,
}

/// How many rows.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "describes what cursor.rs reads")]
pub(super) struct Limit {
    /// How many rows; 100 when absent.
    #[param(minimum = 1, maximum = 1000, required = false, nullable = false)]
    limit: Option<u16>,
}

/// The company that an id in the path names. The store writes 0 for "no company".
pub(super) fn company_id(text: &str) -> Result<CompanyId, Problem> {
    CompanyId::parse(text).filter(|company| company.0 != 0).ok_or(Problem::NotFound("company"))
}
