//! What is read out of requests, and answers that need nothing but themselves.

use crate::ingest::{Answer, problem::Problem};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header, request::Parts};
use http_body_util::Full;

pub(super) fn may_read(answer: &mut Answer, origin: &HeaderValue) {
    answer.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    answer.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
}

pub(super) fn sends_gpc(headers: &HeaderMap) -> bool {
    headers.get("sec-gpc").is_some_and(|value| value == "1")
}

/// Sec-Fetch-Site (Fetch Metadata): the browser's word that the request comes from a page of the same site.
pub(super) fn is_same_site(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|value| value == "same-origin" || value == "same-site")
}

pub(super) fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

pub(super) fn query(parts: &Parts, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(parts.uri.query()?.as_bytes());
    pairs.find(|(own, _)| own == name).map(|(_, value)| value.into_owned())
}

pub(super) fn preflight() -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    let headers = answer.headers_mut();
    headers.insert(header::ALLOW, HeaderValue::from_static("POST, OPTIONS"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("Content-Type"));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200"));
    answer
}

pub(super) fn plain_text(text: &'static str) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

pub(super) fn no_such_path() -> Answer {
    Problem::new(StatusCode::NOT_FOUND, "", "no-such-path", "nothing is served under this path").answer()
}

pub(super) fn wrong_method(allowed: &'static str) -> Answer {
    let detail = format!("this path answers {allowed}");
    let mut answer = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "", "method", detail).answer();
    answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    answer
}

pub(super) fn no_peer() -> Answer {
    tracing::error!("the public service was mounted without the peer's address (ingest::Peer or ConnectInfo)");
    let detail = "the program that mounts this service does not say who is connected";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "", "no-peer", detail).answer()
}
