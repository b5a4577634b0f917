//! Every refusal of the admin listener, and the one place that gives it a status.
//!
//! Code that refuses need not know how the refusal is written: [`Problem`] answers with its status and leaves
//! [`ProblemDetails`] in the response's extensions. Around everything, [`write()`] lets the sibling whose path the request is
//! under write them in its own form: `api` as `application/problem+json` (RFC 9457), `leadfeeder` as JSON:API.

use super::audit::AuditFull;
use crate::{
    control::ControlError,
    reports::{self, dates::WindowError},
    snapshot::Role,
    store::StoreError,
};
use axum::{
    extract::{Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// Seconds after which a client should ask again when the store was away.
const STORE_RETRY_AFTER: u32 = 5;

/// Why a request got no data.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
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

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if error.is_retryable() { Self::StoreAway(error) } else { Self::StoreRefused(error) }
    }
}

impl From<ControlError> for Problem {
    fn from(error: ControlError) -> Self {
        let error = match error {
            ControlError::Store(error) => return error.into(),
            other => other,
        };
        let field = match &error {
            ControlError::NoSuchKey(_) => return Self::NotFound("key"),
            ControlError::NoSuchObject(kind, _) | ControlError::NoSuchObjection(kind) => return Self::NotFound(kind),
            ControlError::ObjectRule(rule) => rule.field(),
            ControlError::NoSuchPerson(_) | ControlError::LinkIsOver => return Self::NotFound("person"),
            ControlError::SiteExists(_)
            | ControlError::SiteWasRemoved(_)
            | ControlError::NotRemoved(_)
            | ControlError::KeyExists(_)
            | ControlError::UserExists(_)
            | ControlError::NameTaken(..)
            | ControlError::PersonExists(_)
            | ControlError::LastAdmin(_)
            | ControlError::NotTheFirst
            | ControlError::TooMany(..) => return Self::Conflict(error.to_string()),
            ControlError::BeyondUser(_) => return Self::Forbidden(error.to_string()),
            ControlError::Store(_)
            | ControlError::Sealing(_)
            | ControlError::OtherMasterKey
            | ControlError::Document(_) => {
                return Self::Internal(error.to_string());
            }
            ControlError::SiteRule(rule) => rule.field(),
            ControlError::KeyName | ControlError::UserName | ControlError::PersonName => "name",
            ControlError::KeyWithoutSites | ControlError::NoSuchSite(_) => "sites",
            ControlError::KeyExpired => "expires_at",
            ControlError::NoSuchUser(_) => "user",
        };
        Self::Body { field: field.to_owned(), detail: error.to_string() }
    }
}

impl From<reports::Error> for Problem {
    fn from(error: reports::Error) -> Self {
        match error {
            reports::Error::Store(error) => error.into(),
            reports::Error::TooManyPeriods(_) => Self::Parameter { name: "interval", detail: error.to_string() },
            reports::Error::NoRow(_) => Self::Internal(error.to_string()),
        }
    }
}

impl From<WindowError> for Problem {
    fn from(error: WindowError) -> Self {
        Self::Parameter { name: error.field, detail: error.to_string() }
    }
}

/// A refusal under `/v1`: problem details as RFC 9457 has them. `type` and `rule` are stable, texts may change.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemDetails {
    /// `urn:firmsight:problem:` and the rule.
    #[schema(example = "urn:firmsight:problem:invalid-parameter")]
    pub(crate) r#type: String,
    /// What the rule is about, for people.
    #[schema(example = "Invalid parameter")]
    pub(crate) title: &'static str,
    /// The HTTP status.
    #[schema(example = 400)]
    pub(crate) status: u16,
    /// What was wrong with this request and what to do about it.
    #[schema(example = "start_date is missing")]
    pub(crate) detail: String,
    /// The parameter or the body's field that broke the rule; empty where it is the whole request.
    #[schema(example = "start_date")]
    pub(crate) field: String,
    /// Stable name of the rule.
    #[schema(example = "invalid-parameter")]
    pub(crate) rule: &'static str,
}

impl Problem {
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

    fn details(&self) -> ProblemDetails {
        let (status, rule, title) = self.kind();
        let r#type = format!("urn:firmsight:problem:{rule}");
        ProblemDetails { r#type, title, status: status.as_u16(), detail: self.detail(), field: self.field(), rule }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        if let Self::StoreAway(error) | Self::StoreRefused(error) = &self {
            tracing::warn!(%error, "A report could not be read from the store");
        }
        if let Self::Internal(problem) = &self {
            tracing::error!(problem, "A request failed in an unforeseen way");
        }
        let mut response = self.kind().0.into_response();
        if let Some((name, value)) = self.header() {
            response.headers_mut().insert(name, value);
        }
        response.extensions_mut().insert(self.details());
        response
    }
}

/// How a sibling writes refusals.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    /// The first part of the paths that it is for, such as `/v1`; empty for whatever no other sibling's path begins with.
    pub(crate) path: &'static str,
    /// Makes the body and its headers.
    pub(crate) write: fn(&ProblemDetails) -> Response,
}

/// The siblings' forms, the longest path first.
#[derive(Clone, Debug)]
pub(super) struct Forms(Arc<[Form]>);

impl Forms {
    pub(super) fn of(forms: impl Iterator<Item = Form>) -> Self {
        let mut forms: Vec<Form> = forms.collect();
        forms.sort_by_key(|form| std::cmp::Reverse(form.path.len()));
        Self(forms.into())
    }

    fn at(&self, path: &str) -> Option<Form> {
        let is_under = |form: &&Form| {
            let rest = path.strip_prefix(form.path);
            rest.is_some_and(|rest| form.path.is_empty() || rest.is_empty() || rest.starts_with('/'))
        };
        self.0.iter().find(is_under).copied()
    }
}

/// Writes refusals in the form that the request's path asks for.
pub(super) async fn write(State(forms): State<Forms>, request: Request, next: Next) -> Response {
    let form = forms.at(request.uri().path());
    let mut response = next.run(request).await;
    if let Some(details) = response.extensions_mut().remove::<ProblemDetails>()
        && let Some(form) = form
    {
        let (parts, body) = (form.write)(&details).into_parts();
        *response.body_mut() = body;
        response.headers_mut().remove(header::CONTENT_LENGTH);
        response.headers_mut().extend(parts.headers);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_the_longest_path_counts_and_whole_parts_of_it() {
        let form = |path| Form { path, write: |_| StatusCode::OK.into_response() };
        let forms = Forms::of([form(""), form("/v1"), form("/v1/beta")].into_iter());
        for (path, expected) in [
            ("/", ""),
            ("/accounts/shop", ""),
            ("/v1", "/v1"),
            ("/v1/", "/v1"),
            ("/v1/sites", "/v1"),
            ("/v10/sites", ""),
            ("/v1/beta/sites", "/v1/beta"),
        ] {
            assert_eq!(forms.at(path).map(|form| form.path), Some(expected), "{path}");
        }
        assert!(Forms::of([form("/v1")].into_iter()).at("/other").is_none());
    }
}
