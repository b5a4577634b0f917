//! Refusals as `application/problem+json` (RFC 9457).

use super::Answer;
use crate::counters::RejectRule;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde::Serialize;

/// A refusal on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// HTTP status.
    pub(super) status: StatusCode,
    /// The field, header or parameter that broke the rule; empty for the whole request.
    pub(super) field: String,
    /// Stable name of the rule.
    pub(super) rule: &'static str,
    /// One sentence saying what to do about it.
    pub(super) detail: String,
    /// Seconds until trying again makes sense.
    pub(super) retry_after: Option<u64>,
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    field: &'a str,
    rule: &'a str,
}

impl Problem {
    /// A problem without a Retry-After.
    #[must_use]
    pub(super) fn new(
        status: StatusCode,
        field: impl Into<String>,
        rule: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self { status, field: field.into(), rule, detail: detail.into(), retry_after: None }
    }

    /// A problem for a rule that has a counter.
    #[must_use]
    pub(super) fn of_rule(rule: RejectRule, field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::new(status_of(rule), field, rule.as_str(), detail)
    }

    /// The response.
    #[must_use]
    pub(super) fn answer(&self) -> Answer {
        let body = Body {
            r#type: format!("urn:firmsight:problem:{}", self.rule),
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            field: &self.field,
            rule: self.rule,
        };
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let mut answer = Response::new(Full::new(Bytes::from(body)));
        *answer.status_mut() = self.status;
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        answer
    }
}

/// The status of a refusal.
#[must_use]
pub(super) const fn status_of(rule: RejectRule) -> StatusCode {
    match rule {
        RejectRule::Malformed => StatusCode::BAD_REQUEST,
        RejectRule::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        RejectRule::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        RejectRule::UnknownSite | RejectRule::Host | RejectRule::Origin | RejectRule::Consent => StatusCode::FORBIDDEN,
        RejectRule::RateLimit => StatusCode::TOO_MANY_REQUESTS,
        RejectRule::SpoolUnavailable | RejectRule::SiteShare | RejectRule::Overloaded => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        RejectRule::Timeout => StatusCode::REQUEST_TIMEOUT,
    }
}
