//! Parameters and refusals that many endpoints share, for the OpenAPI document.

use crate::reports::error::{ErrorDocument, Problem};
use utoipa::{IntoParams, IntoResponses, ToSchema};

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

/// Dates or datetimes, both inclusive.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "describes what dates.rs reads")]
pub(in crate::reports) struct Dates {
    /// A day of the site's time zone, or an instant.
    #[param(example = "2026-11-01")]
    start_date: String,
    /// A day of the site's time zone, or an instant; inclusive.
    #[param(example = "2026-11-30")]
    end_date: String,
}

/// Plain days, both inclusive.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "describes what dates.rs reads")]
pub(super) struct Days {
    /// First UTC day.
    #[param(format = Date, example = "2026-11-01")]
    start_date: String,
    /// Last UTC day.
    #[param(format = Date, example = "2026-11-30")]
    end_date: String,
}

/// What any endpoint under `/v1` may refuse with.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "describes what error.rs writes")]
pub(in crate::reports) enum Refusals {
    /// A parameter is missing, given twice or wrong.
    #[response(status = 400, content_type = "application/problem+json")]
    BadRequest(Problem),
    /// No key, or one that is unknown, revoked or expired.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthorized(Problem),
    /// The requests a month of the key's plan are used up.
    #[response(status = 402, content_type = "application/problem+json")]
    PaymentRequired(Problem),
    /// The key's role or rights don't reach that far.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(Problem),
    /// There is no such thing, or the key may not see it.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(Problem),
    /// No format that the client accepts.
    #[response(status = 406, content_type = "application/problem+json")]
    NotAcceptable(Problem),
    /// Over the key's limit; `Retry-After` says how long.
    #[response(status = 429, content_type = "application/problem+json")]
    TooManyRequests(Problem),
    /// The store does not answer; `Retry-After` says how long.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(Problem),
}

/// What endpoints with a body may refuse with besides.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "describes what body.rs refuses")]
pub(in crate::reports) enum BodyRefusals {
    /// The body is too large.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(Problem),
    /// The body is not sent as `application/json`.
    #[response(status = 415, content_type = "application/problem+json")]
    MediaType(Problem),
}

/// What endpoints of the Leadfeeder-shaped half may refuse with.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "describes what error.rs writes")]
pub(in crate::reports) enum LegacyRefusals {
    /// A parameter is missing, given twice or wrong.
    #[response(status = 400)]
    BadRequest(ErrorDocument),
    /// No key, or one that is unknown, revoked or expired.
    #[response(status = 401)]
    Unauthorized(ErrorDocument),
    /// The requests a month of the key's plan are used up.
    #[response(status = 402)]
    PaymentRequired(ErrorDocument),
    /// There is no such thing, or the key may not see it.
    #[response(status = 404)]
    NotFound(ErrorDocument),
    /// Over the key's limit; `Retry-After` says how long.
    #[response(status = 429)]
    TooManyRequests(ErrorDocument),
    /// The store does not answer; `Retry-After` says how long.
    #[response(status = 503)]
    Unavailable(ErrorDocument),
}

/// Which page of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "describes what paging.rs reads")]
pub(in crate::reports) struct PageParameters {
    /// From 1; 1 when absent.
    #[param(rename = "page[number]", minimum = 1, required = false, nullable = false)]
    number: Option<u64>,
    /// 10 when absent; more than 100 counts as 100.
    #[param(rename = "page[size]", minimum = 1, required = false, nullable = false)]
    size: Option<u64>,
}

/// Which address.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "describes what resolve.rs and companies.rs read")]
pub(in crate::reports) struct AddressParameter {
    /// IPv4 or IPv6.
    #[param(example = "198.51.100.7")]
    ip: String,
}
