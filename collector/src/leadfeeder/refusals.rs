//! Refusals as JSON:API error documents, which the clients of the product that we stand in for expect.

use crate::admin::problem::{Form, ProblemDetails};
use axum::{
    Json,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::{IntoResponses, ToSchema};

/// Refusals of every path that no other sibling claims.
pub(super) const FORM: Form = Form { path: "", write };

/// A JSON:API 1.0 error document with one error.
#[derive(Serialize, ToSchema)]
pub(super) struct ErrorDocument {
    errors: [ErrorObject; 1],
}

#[derive(Default, Serialize, ToSchema)]
struct ErrorObject {
    /// The HTTP status as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    status: Option<String>,
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    source: Option<ErrorSource>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    links: Option<ErrorLinks>,
}

#[derive(Serialize, ToSchema)]
struct ErrorSource {
    /// The parameter that is wrong.
    parameter: String,
}

#[derive(Serialize, ToSchema)]
struct ErrorLinks {
    about: &'static str,
}

impl ErrorObject {
    fn of(problem: &ProblemDetails) -> Self {
        // Clients compare this body whole, so it has exactly the members of the product it stands in for.
        if problem.rule == "rate-limit" {
            let links = Some(ErrorLinks { about: "http://docs.leadfeeder.com/api/#rate-limiting" });
            return Self { title: problem.detail.clone(), links, ..Self::default() };
        }
        let parameter = problem.field.clone();
        Self {
            status: Some(problem.status.to_string()),
            title: problem.title.to_owned(),
            detail: Some(problem.detail.clone()),
            source: (!parameter.is_empty()).then_some(ErrorSource { parameter }),
            links: None,
        }
    }
}

fn write(problem: &ProblemDetails) -> Response {
    Json(ErrorDocument { errors: [ErrorObject::of(problem)] }).into_response()
}

/// What endpoints of the Leadfeeder-shaped half may refuse with.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "describes what `write` makes")]
pub(super) enum Refusals {
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
