//! Answers: pages, ways onward, refusals, and the headers that go with all of them.

use super::{
    frame::Frame,
    texts::{ENGLISH, Texts},
};
use crate::{admin::AuditFull, control::ControlError, person::role_of_person, reports, snapshot::Role};
use askama::Template;
use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use cookie::Cookie;

/// Only our own style and script run; nothing is loaded from elsewhere; nobody frames a page or takes its forms.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; \
    form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Why a page isn't shown.
#[derive(Debug, thiserror::Error)]
pub(super) enum PageError {
    /// There is no such page, or it is not for this person.
    #[error("not found")]
    NotFound,
    /// The person's role doesn't include it.
    #[error("needs the role {}", role_of_person(*.0))]
    Role(Role),
    /// The session is over and what was asked can't be repeated by itself.
    #[error("signed out")]
    SignedOut,
    /// A form that isn't ours, or that an older session made.
    #[error("a form of another page")]
    ForeignForm,
    /// A form longer than any of ours.
    #[error("the form is too long")]
    LongForm,
    /// The peer is not among those that the owner named.
    #[error("another network")]
    OtherNetwork,
    /// The host is not ours.
    #[error("another host")]
    OtherHost,
    /// What was entered can't be taken.
    #[error("{0}")]
    Refused(String),
    /// ClickHouse failed.
    #[error(transparent)]
    Store(#[from] reports::Error),
    /// The audit log can't take a record.
    #[error(transparent)]
    Audit(#[from] AuditFull),
    /// A page can't be made.
    #[error("a page can't be made: {0}")]
    Template(#[from] askama::Error),
}

impl From<ControlError> for PageError {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::Store(error) => Self::Store(error.into()),
            other => Self::Refused(other.to_string()),
        }
    }
}

#[derive(Template)]
#[template(path = "message.html")]
struct Message<'a> {
    frame: Frame,
    heading: &'a str,
    text: &'a str,
    link: Option<(&'a str, &'a str)>,
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let texts: &Texts = &ENGLISH;
        let detail = self.to_string();
        let back = Some(("/", texts.to_start));
        let (status, heading, text, link) = match &self {
            Self::NotFound => (StatusCode::NOT_FOUND, texts.not_found, texts.not_found_text, back),
            Self::Role(_) => (StatusCode::FORBIDDEN, texts.not_allowed, texts.needs_role, back),
            Self::SignedOut => {
                (StatusCode::UNAUTHORIZED, texts.signed_out, texts.signed_out_text, Some(("/sign-in", texts.sign_in)))
            }
            Self::ForeignForm => (StatusCode::FORBIDDEN, texts.foreign_form, texts.foreign_form_text, back),
            Self::LongForm => (StatusCode::PAYLOAD_TOO_LARGE, texts.long_form, texts.long_form_text, back),
            Self::OtherNetwork => (StatusCode::FORBIDDEN, texts.not_allowed, texts.other_network_text, None),
            Self::OtherHost => (StatusCode::MISDIRECTED_REQUEST, texts.other_host, texts.other_host_text, None),
            Self::Refused(_) => (StatusCode::UNPROCESSABLE_ENTITY, texts.refused, detail.as_str(), back),
            Self::Store(error) => {
                tracing::warn!(%error, "a page can't be answered from the store");
                (StatusCode::SERVICE_UNAVAILABLE, texts.store_away, texts.store_away_text, back)
            }
            Self::Audit(_) => (StatusCode::SERVICE_UNAVAILABLE, texts.store_away, detail.as_str(), back),
            Self::Template(_) => {
                tracing::error!(error = detail, "a page can't be made");
                (StatusCode::INTERNAL_SERVER_ERROR, texts.fault, texts.fault_text, back)
            }
        };
        let message = Message { frame: Frame::bare(heading), heading, text, link };
        let mut response = match message.render() {
            Ok(body) => (status, Html(body)).into_response(),
            Err(error) => (status, error.to_string()).into_response(),
        };
        secure(response.headers_mut());
        response
    }
}

/// A page.
pub(super) fn page(template: &impl Template) -> Result<Response, PageError> {
    Ok(Html(template.render()?).into_response())
}

/// A page with another status than 200.
pub(super) fn page_with(status: StatusCode, template: &impl Template) -> Result<Response, PageError> {
    Ok((status, Html(template.render()?)).into_response())
}

/// Goes on to another page after a form (RFC 9110, section 15.4.4).
pub(super) fn see_other(path: &str) -> Response {
    match HeaderValue::try_from(path) {
        Ok(path) => (StatusCode::SEE_OTHER, [(header::LOCATION, path)]).into_response(),
        Err(_) => PageError::NotFound.into_response(),
    }
}

/// Where to go after signing in: a path of our own, whatever was asked for.
pub(super) fn own_path(asked: &str) -> &str {
    let is_own = asked.starts_with('/')
        && !asked.starts_with("//")
        && !asked.contains('\\')
        && !asked.chars().any(char::is_control);
    if is_own { asked } else { "/" }
}

pub(super) fn set_cookie(cookie: Cookie<'static>, headers: &mut HeaderMap) {
    if let Ok(value) = HeaderValue::try_from(cookie.to_string()) {
        headers.append(header::SET_COOKIE, value);
    }
}

/// The headers of every answer. What is cacheable says so itself.
pub(super) fn secure(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_in_leads_to_own_paths_alone() {
        for (asked, expected) in [
            ("/sites/shop/companies?q=a", "/sites/shop/companies?q=a"),
            ("", "/"),
            ("sites", "/"),
            ("//evil.example", "/"),
            ("/\\evil.example", "/"),
            ("\\/evil.example", "/"),
            ("https://evil.example/", "/"),
            ("javascript:alert(1)", "/"),
            ("/\t/evil.example", "/"),
            ("/\r\nSet-Cookie: a=b", "/"),
        ] {
            assert_eq!(own_path(asked), expected, "{asked:?}");
        }
    }
}
