//! Refusals as problem details (RFC 9457).

use crate::admin::problem::{Form, ProblemDetails};
use axum::{
    Json,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use utoipa::IntoResponses;

/// Refusals under `/v1`.
pub(super) const FORM: Form = Form { path: "/v1", write };

fn write(problem: &ProblemDetails) -> Response {
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))];
    (kind, Json(problem)).into_response()
}

/// What any endpoint under `/v1` may refuse with.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "describes what `write` makes")]
pub(super) enum Refusals {
    /// A parameter is missing, given twice or wrong.
    #[response(status = 400, content_type = "application/problem+json")]
    BadRequest(ProblemDetails),
    /// No key, or one that is unknown, revoked or expired.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthorized(ProblemDetails),
    /// The requests a month of the key's plan are used up.
    #[response(status = 402, content_type = "application/problem+json")]
    PaymentRequired(ProblemDetails),
    /// The key's role or rights don't reach that far.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(ProblemDetails),
    /// There is no such thing, or the key may not see it.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(ProblemDetails),
    /// No format that the client accepts.
    #[response(status = 406, content_type = "application/problem+json")]
    NotAcceptable(ProblemDetails),
    /// Over the key's limit; `Retry-After` says how long.
    #[response(status = 429, content_type = "application/problem+json")]
    TooManyRequests(ProblemDetails),
    /// The store does not answer; `Retry-After` says how long.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(ProblemDetails),
}

/// What endpoints with a body may refuse with besides.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "describes what body.rs refuses")]
pub(super) enum BodyRefusals {
    /// The body is too large.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(ProblemDetails),
    /// The body is not sent as `application/json`.
    #[response(status = 415, content_type = "application/problem+json")]
    MediaType(ProblemDetails),
}
