//! Every refusal of the reports API and the one place that turns it into a status and a document.
//!
//! A refusal is written in two ways: as a JSON:API error document, which clients of the product that we stand in for
//! expect, and under `/v1` as `application/problem+json` (RFC 9457) with a stable type. Code that refuses need not know
//! which: [`ReportError`] answers with the first form and leaves a [`Problem`] in the response's extensions, out of which
//! [`as_problem`] makes the second form for paths under `/v1`.

use super::audit::AuditFull;
use crate::{control::ControlError, snapshot::Role, store::StoreError};
use axum::{
    Json,
    extract::Request,
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

/// Seconds after which a client should ask again when the store was away.
const STORE_RETRY_AFTER: u32 = 5;

/// Why a request got no data.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReportError {
    #[error("{detail}")]
    Parameter { name: &'static str, detail: String },
    #[error("{detail}")]
    Body { field: String, detail: String },
    #[error("the body has more than {0} bytes")]
    BodyTooLarge(usize),
    #[error("send the body as application/json")]
    BodyType,
    #[error(
        "send an API key as \"Authorization: Token token=KEY\", \"Authorization: Bearer KEY\" or \"X-Api-Key: KEY\""
    )]
    NoKey,
    #[error("the API key is not known; it may have been revoked or have expired")]
    WrongKey,
    #[error("this needs a key with the role {}", .0.as_str())]
    Role(Role),
    #[error("{0}")]
    Forbidden(String),
    #[error("there is no such {0}, or the API key may not see it")]
    NotFound(&'static str),
    #[error("this path does not answer that method; the header Allow names those that it does")]
    MethodNotAllowed,
    #[error("this is answered as application/json, text/csv or application/x-ndjson")]
    NotAcceptable,
    #[error("{0}")]
    Conflict(String),
    #[error(
        "the plan of this API key has {0} requests a month, and they are used up; the next month begins in UTC. Its admin can \
        change requests_per_month"
    )]
    Quota(u32),
    #[error("Exceeded the API rate limit of {limit} requests per minute. Try again later.")]
    RateLimited { limit: u32, retry_after: u32 },
    #[error(transparent)]
    Audit(#[from] AuditFull),
    #[error(transparent)]
    StoreAway(StoreError),
    #[error(transparent)]
    StoreRefused(StoreError),
    #[error("{0}")]
    Internal(String),
}

impl From<StoreError> for ReportError {
    fn from(error: StoreError) -> Self {
        if error.is_retryable() { Self::StoreAway(error) } else { Self::StoreRefused(error) }
    }
}

impl From<ControlError> for ReportError {
    fn from(error: ControlError) -> Self {
        let error = match error {
            ControlError::Store(error) => return error.into(),
            other => other,
        };
        let field = match &error {
            ControlError::NoSuchKey(_) => return Self::NotFound("key"),
            ControlError::NoSuchObject(kind, _) | ControlError::NoSuchObjection(kind) => return Self::NotFound(kind),
            ControlError::ObjectRule(rule) => rule.field(),
            ControlError::SiteExists(_)
            | ControlError::KeyExists(_)
            | ControlError::UserExists(_)
            | ControlError::NameTaken(..)
            | ControlError::TooMany(..) => return Self::Conflict(error.to_string()),
            ControlError::BeyondUser(_) => return Self::Forbidden(error.to_string()),
            ControlError::Store(_) | ControlError::Sealing(_) | ControlError::Document(_) => {
                return Self::Internal(error.to_string());
            }
            ControlError::SiteRule(rule) => rule.field(),
            ControlError::KeyName | ControlError::UserName => "name",
            ControlError::KeyWithoutSites | ControlError::NoSuchSite(_) => "sites",
            ControlError::KeyExpired => "expires_at",
            ControlError::NoSuchUser(_) => "user",
        };
        Self::Body { field: field.to_owned(), detail: error.to_string() }
    }
}

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

/// A refusal under `/v1`: problem details as RFC 9457 has them. `type` and `rule` are stable, texts may change.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Problem {
    /// `urn:firmsight:problem:` and the rule.
    #[schema(example = "urn:firmsight:problem:invalid-parameter")]
    r#type: String,
    /// What the rule is about, for people.
    #[schema(example = "Invalid parameter")]
    title: &'static str,
    /// The HTTP status.
    #[schema(example = 400)]
    status: u16,
    /// What was wrong with this request and what to do about it.
    #[schema(example = "start_date is missing")]
    detail: String,
    /// The parameter or the body's field that broke the rule; empty where it is the whole request.
    #[schema(example = "start_date")]
    field: String,
    /// Stable name of the rule.
    #[schema(example = "invalid-parameter")]
    rule: &'static str,
}

impl ReportError {
    /// Status, rule and title: one line for each kind of refusal. docs/reports-api.md lists them.
    const fn kind(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Parameter { .. } => (StatusCode::BAD_REQUEST, "invalid-parameter", "Invalid parameter"),
            Self::Body { .. } => (StatusCode::BAD_REQUEST, "invalid-body", "Invalid body"),
            Self::NoKey => (StatusCode::UNAUTHORIZED, "missing-key", "Unauthorized"),
            Self::WrongKey => (StatusCode::UNAUTHORIZED, "unknown-key", "Unauthorized"),
            Self::Quota(_) => (StatusCode::PAYMENT_REQUIRED, "quota", "Payment required"),
            Self::Role(_) => (StatusCode::FORBIDDEN, "role", "Forbidden"),
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden", "Forbidden"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "not-found", "Not found"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method", "Method not allowed"),
            Self::NotAcceptable => (StatusCode::NOT_ACCEPTABLE, "format", "Not acceptable"),
            Self::Conflict(_) => (StatusCode::CONFLICT, "conflict", "Conflict"),
            Self::BodyTooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "Body too large"),
            Self::BodyType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "content-type", "Unsupported media type"),
            Self::RateLimited { .. } => (StatusCode::TOO_MANY_REQUESTS, "rate-limit", "Too many requests"),
            Self::Audit(_) => (StatusCode::SERVICE_UNAVAILABLE, "audit-unavailable", "Temporarily unavailable"),
            Self::StoreAway(_) => (StatusCode::SERVICE_UNAVAILABLE, "store-unavailable", "Temporarily unavailable"),
            Self::StoreRefused(_) | Self::Internal(_) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error")
            }
        }
    }

    fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        match self {
            Self::NoKey | Self::WrongKey => Some((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
            Self::RateLimited { retry_after, .. } => Some((header::RETRY_AFTER, (*retry_after).into())),
            Self::StoreAway(_) | Self::Audit(_) => Some((header::RETRY_AFTER, STORE_RETRY_AFTER.into())),
            _ => None,
        }
    }

    /// What the store said is for the log: it may quote the query.
    fn detail(&self) -> String {
        match self {
            Self::StoreAway(_) => "the store does not answer; ask again in a few seconds".to_owned(),
            Self::StoreRefused(_) => "the store refused the query; the collector's log says why".to_owned(),
            Self::Internal(_) => "this failed in an unforeseen way; the collector's log says more".to_owned(),
            other => other.to_string(),
        }
    }

    fn field(&self) -> String {
        match self {
            Self::Parameter { name, .. } => (*name).to_owned(),
            Self::Body { field, .. } => field.clone(),
            _ => String::new(),
        }
    }

    fn object(&self) -> ErrorObject {
        // Clients compare this body whole, so it has exactly the members of the product it stands in for.
        if let Self::RateLimited { .. } = self {
            let links = Some(ErrorLinks { about: "http://docs.leadfeeder.com/api/#rate-limiting" });
            return ErrorObject { title: self.to_string(), links, ..ErrorObject::default() };
        }
        let (status, _, title) = self.kind();
        let parameter = self.field();
        ErrorObject {
            status: Some(status.as_u16().to_string()),
            title: title.to_owned(),
            detail: Some(self.detail()),
            source: (!parameter.is_empty()).then_some(ErrorSource { parameter }),
            links: None,
        }
    }

    fn problem(&self) -> Problem {
        let (status, rule, title) = self.kind();
        let r#type = format!("urn:firmsight:problem:{rule}");
        Problem { r#type, title, status: status.as_u16(), detail: self.detail(), field: self.field(), rule }
    }
}

impl IntoResponse for ReportError {
    fn into_response(self) -> Response {
        if let Self::StoreAway(error) | Self::StoreRefused(error) = &self {
            tracing::warn!(%error, "A report could not be read from the store");
        }
        if let Self::Internal(problem) = &self {
            tracing::error!(problem, "A request failed in an unforeseen way");
        }
        let mut response = (self.kind().0, Json(ErrorDocument { errors: [self.object()] })).into_response();
        if let Some((name, value)) = self.header() {
            response.headers_mut().insert(name, value);
        }
        response.extensions_mut().insert(self.problem());
        response
    }
}

/// Writes refusals of paths under `/v1` as problem details.
pub(super) async fn as_problem(request: Request, next: Next) -> Response {
    let is_ours = request.uri().path().strip_prefix("/v1").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let mut response = next.run(request).await;
    if is_ours && let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let (mut parts, body) = Json(problem).into_response().into_parts();
        parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        *response.body_mut() = body;
        response.headers_mut().remove(header::CONTENT_LENGTH);
        response.headers_mut().extend(parts.headers);
    }
    response
}
