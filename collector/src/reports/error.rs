//! Every refusal of the reports API and the one place that turns it into a status and a JSON:API error document.

use crate::store::StoreError;
use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

/// Seconds after which a client should ask again when the store was away.
const STORE_RETRY_AFTER: u32 = 5;

/// Why a request got no data.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReportError {
    #[error("{detail}")]
    Parameter { name: &'static str, detail: String },
    #[error(
        "send an API key as \"Authorization: Token token=KEY\", \"Authorization: Bearer KEY\" or \"X-Api-Key: KEY\""
    )]
    NoKey,
    #[error("the API key is not known; it may have been revoked")]
    WrongKey,
    #[error("there is no such {0}, or the API key may not see it")]
    NotFound(&'static str),
    #[error("this path only answers GET")]
    MethodNotAllowed,
    #[error("Exceeded the API rate limit of {limit} requests per minute. Try again later.")]
    RateLimited { limit: u32, retry_after: u32 },
    #[error(transparent)]
    StoreAway(StoreError),
    #[error(transparent)]
    StoreRefused(StoreError),
}

impl From<StoreError> for ReportError {
    fn from(error: StoreError) -> Self {
        if error.is_retryable() { Self::StoreAway(error) } else { Self::StoreRefused(error) }
    }
}

/// A JSON:API 1.0 error document with one error.
#[derive(Serialize)]
struct ErrorDocument {
    errors: [ErrorObject; 1],
}

#[derive(Default, Serialize)]
struct ErrorObject {
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<ErrorSource>,
    #[serde(skip_serializing_if = "Option::is_none")]
    links: Option<ErrorLinks>,
}

#[derive(Serialize)]
struct ErrorSource {
    parameter: &'static str,
}

#[derive(Serialize)]
struct ErrorLinks {
    about: &'static str,
}

impl ReportError {
    const fn status(&self) -> StatusCode {
        match self {
            Self::Parameter { .. } => StatusCode::BAD_REQUEST,
            Self::NoKey | Self::WrongKey => StatusCode::UNAUTHORIZED,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::StoreAway(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::StoreRefused(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        match self {
            Self::NoKey | Self::WrongKey => Some((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
            Self::RateLimited { retry_after, .. } => Some((header::RETRY_AFTER, (*retry_after).into())),
            Self::StoreAway(_) => Some((header::RETRY_AFTER, STORE_RETRY_AFTER.into())),
            Self::MethodNotAllowed => Some((header::ALLOW, HeaderValue::from_static("GET, HEAD"))),
            Self::Parameter { .. } | Self::NotFound(_) | Self::StoreRefused(_) => None,
        }
    }

    fn object(&self) -> ErrorObject {
        // Clients compare this body whole, so it has exactly the members of the product it stands in for.
        if let Self::RateLimited { .. } = self {
            let links = Some(ErrorLinks { about: "http://docs.leadfeeder.com/api/#rate-limiting" });
            return ErrorObject { title: self.to_string(), links, ..ErrorObject::default() };
        }
        let (title, detail) = match self {
            Self::Parameter { .. } => ("Invalid parameter", self.to_string()),
            Self::NoKey | Self::WrongKey => ("Unauthorized", self.to_string()),
            Self::NotFound(_) => ("Not found", self.to_string()),
            Self::MethodNotAllowed => ("Method not allowed", self.to_string()),
            // What the store said is for the log: it may quote the query.
            Self::StoreAway(_) => {
                ("Temporarily unavailable", "the store does not answer; ask again in a few seconds".to_owned())
            }
            _ => ("Internal error", "the store refused the query; the collector's log says why".to_owned()),
        };
        let source = match self {
            Self::Parameter { name, .. } => Some(ErrorSource { parameter: name }),
            _ => None,
        };
        let status = Some(self.status().as_u16().to_string());
        ErrorObject { status, title: title.to_owned(), detail: Some(detail), source, links: None }
    }
}

impl IntoResponse for ReportError {
    fn into_response(self) -> Response {
        if let Self::StoreAway(error) | Self::StoreRefused(error) = &self {
            tracing::warn!(%error, "A report could not be read from the store");
        }
        let mut response = (self.status(), Json(ErrorDocument { errors: [self.object()] })).into_response();
        if let Some((name, value)) = self.header() {
            response.headers_mut().insert(name, value);
        }
        response
    }
}
