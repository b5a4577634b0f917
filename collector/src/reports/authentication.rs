//! Who asks: the key in the request's headers, its allowance, and the audit record of what it read.

use super::{Shared, error::ReportError, rate_limit::Allowance};
use crate::{
    site::{Site, SiteId},
    snapshot::{ApiKey, Role, Snapshot},
};
use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use subtle::ConstantTimeEq;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const RATE_REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RATE_RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// A request's key and the snapshot it was found in, which serves the whole request.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) key: Arc<ApiKey>,
    pub(super) snapshot: Arc<Snapshot>,
    endpoint: Arc<str>,
}

impl Caller {
    /// The site that an account id names, where this key may see it. What it may not see does not exist for it.
    pub(super) fn account(&self, id: &str) -> Result<Arc<Site>, ReportError> {
        let site: Option<SiteId> = id.parse().ok().filter(|site| self.key.may_see(site));
        site.and_then(|site| self.snapshot.sites.get(&site).cloned()).ok_or(ReportError::NotFound("account"))
    }

    /// Every site this key may see, by id.
    pub(super) fn accounts(&self) -> Vec<Arc<Site>> {
        let mut sites: Vec<_> =
            self.snapshot.sites.values().filter(|site| self.key.may_see(&site.id)).cloned().collect();
        sites.sort_by(|one, other| one.id.cmp(&other.id));
        sites
    }

    /// Refuses a key whose role does not include this one.
    pub(super) fn require(&self, role: Role) -> Result<(), ReportError> {
        if self.key.role >= role { Ok(()) } else { Err(ReportError::Role(role)) }
    }

    /// Records that company data was read: by which key, through which endpoint, of which account. Never an
    /// address, a query string or what was found.
    pub(super) fn audit(&self, account: Option<&SiteId>) {
        let account = account.map_or("", SiteId::as_str);
        tracing::info!(target: "audit", key = %self.key.id, endpoint = &*self.endpoint, account, "Company data was read");
    }
}

/// Lets a request through with its [`Caller`], or answers 401 or 429.
pub(super) async fn authenticate(State(shared): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    let snapshot = shared.state.snapshot.load_full();
    let key = match find_key(request.headers(), &snapshot) {
        Ok(key) => key,
        Err(error) => return error.into_response(),
    };
    let allowance = shared.rate_limit.count(key.id, (shared.state.clock)());
    let mut response = match allowance {
        Some(Allowance { is_exceeded: true, limit, reset, .. }) => {
            ReportError::RateLimited { limit, retry_after: reset }.into_response()
        }
        _ => {
            let endpoint = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str).into();
            request.extensions_mut().insert(Caller { key, snapshot, endpoint });
            next.run(request).await
        }
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(Allowance { limit, remaining, reset, .. }) = allowance {
        headers.insert(RATE_LIMIT, limit.into());
        headers.insert(RATE_REMAINING, remaining.into());
        headers.insert(RATE_RESET, reset.into());
    }
    response
}

fn find_key(headers: &HeaderMap, snapshot: &Snapshot) -> Result<Arc<ApiKey>, ReportError> {
    let token = presented_token(headers).ok_or(ReportError::NoKey)?;
    let digest: [u8; 32] = Sha256::digest(token).into();
    // The map compares a digest, of which a caller learns nothing by timing; the full comparison takes constant time.
    let key = snapshot.keys.get(&digest).filter(|key| bool::from(key.token_sha256.ct_eq(&digest)));
    key.cloned().ok_or(ReportError::WrongKey)
}

/// The token in `Authorization: Token token=X`, `Token token="X"`, `Bearer X` or `X-Api-Key: X`.
pub(super) fn presented_token(headers: &HeaderMap) -> Option<&[u8]> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    // A proxy in front may have an Authorization of its own.
    let token = text(header::AUTHORIZATION).and_then(authorization_token).or_else(|| text(API_KEY))?;
    (!token.is_empty()).then_some(token.as_bytes())
}

fn authorization_token(value: &str) -> Option<&str> {
    let (scheme, rest) = value.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest);
    }
    if !scheme.eq_ignore_ascii_case("token") {
        return None;
    }
    let token = rest.strip_prefix("token=")?;
    match token.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next(),
        None => token.split([',', ';', ' ']).next(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_from_every_form_that_clients_use() {
        let cases: &[(&str, &str, Option<&str>)] = &[
            ("authorization", "Token token=abc", Some("abc")),
            ("authorization", "Token token=\"abc\"", Some("abc")),
            ("authorization", "Token token=\"abc\", nonce=\"1\"", Some("abc")),
            ("authorization", "token token=abc", Some("abc")),
            ("authorization", "Bearer abc", Some("abc")),
            ("authorization", "bearer  abc ", Some("abc")),
            ("x-api-key", "abc", Some("abc")),
            ("X-API-KEY", " abc ", Some("abc")),
            ("authorization", "Basic YWJj", None),
            ("authorization", "Token abc", None),
            ("authorization", "Token token=", None),
            ("authorization", "Token token=\"\"", None),
            ("authorization", "Bearer ", None),
            ("authorization", "abc", None),
            ("authorization", "", None),
            ("x-api-key", "", None),
            ("cookie", "token=abc", None),
        ];
        for (name, value, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
            assert_eq!(presented_token(&headers), expected.map(str::as_bytes), "{name}: {value}");
        }
    }

    #[test]
    fn a_proxys_own_authorization_leaves_room_for_the_key_header() {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Basic cHJveHk6cHJveHk="));
        headers.insert(API_KEY, HeaderValue::from_static("abc"));
        assert_eq!(presented_token(&headers), Some("abc".as_bytes()));
    }

    #[test]
    fn a_header_that_is_no_text_is_no_token() {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_bytes(b"Bearer \xff\xfe").unwrap());
        assert_eq!(presented_token(&headers), None);
    }
}
