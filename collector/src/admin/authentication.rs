//! Who asks: the key in the request's headers, its allowance, and the audit record of what it read.

use super::{
    Shared,
    audit::{Action, Audit, AuditPlace, AuditRow},
    problem::Problem,
    rate_limit::Allowance,
    usage::Usage,
};
use crate::{
    control::ControlError,
    site::{Site, SiteId},
    snapshot::{ApiKey, Role, Snapshot},
    time::UnixMillis,
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
use uuid::Uuid;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const RATE_REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RATE_RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// A request's key and the snapshot it was found in, which serves the whole request.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) key: Arc<ApiKey>,
    pub(crate) snapshot: Arc<Snapshot>,
    endpoint: Arc<str>,
    audit: Audit,
    now: UnixMillis,
}

/// A change that is about to be made: its place in the audit log is taken.
#[derive(Debug)]
pub(crate) struct Change {
    place: AuditPlace,
    caller: Caller,
}

impl Change {
    /// Records a change that was made, or that may have been made although the store did not answer.
    pub(crate) fn record(self, action: Action, site: Option<&SiteId>, object: &str) {
        self.place.record(self.caller.row(action, site, object));
    }
}

impl Caller {
    /// The site that an account id names, where this key may see it. What it may not see does not exist for it.
    pub(crate) fn account(&self, id: &str) -> Result<Arc<Site>, Problem> {
        let site: Option<SiteId> = id.parse().ok().filter(|site| self.key.may_see(site));
        site.and_then(|site| self.snapshot.sites.get(&site).cloned()).ok_or(Problem::NotFound("account"))
    }

    /// Every site this key may see, by id.
    pub(crate) fn accounts(&self) -> Vec<Arc<Site>> {
        let mut sites: Vec<_> =
            self.snapshot.sites.values().filter(|site| self.key.may_see(&site.id)).cloned().collect();
        sites.sort_by(|one, other| one.id.cmp(&other.id));
        sites
    }

    /// Refuses a key whose role does not include this one.
    pub(crate) fn require(&self, role: Role) -> Result<(), Problem> {
        if self.key.role >= role { Ok(()) } else { Err(Problem::Role(role)) }
    }

    /// Refuses all but admin keys of all sites that belong to no user.
    pub(crate) fn require_admin_of_all(&self) -> Result<(), Problem> {
        self.require(Role::Admin)?;
        if self.key.sites.is_none() && self.key.user.is_none() {
            return Ok(());
        }
        Err(Problem::Forbidden("this needs an admin key of all sites that belongs to no user".to_owned()))
    }

    /// Whether an admin key with this reach manages another key: one of no more sites, and of its own user where it has
    /// one.
    pub(crate) fn may_manage(&self, other: &ApiKey) -> bool {
        let of_user = self.key.user.is_none() || self.key.user == other.user;
        let within = match (&self.key.sites, &other.sites) {
            (None, _) => true,
            // A key of a user says nothing of sites where the user's own are meant.
            (Some(_), None) => self.key.user.is_some() && self.key.user == other.user,
            (Some(own), Some(sites)) => sites.iter().all(|site| own.contains(site)),
        };
        of_user && within
    }

    /// Records that company data is read: by which key, through which endpoint, of which site. Call it before the
    /// reading; what can't be recorded is not read.
    pub(crate) fn audit(&self, site: Option<&SiteId>) -> Result<(), Problem> {
        self.audit.reserve()?.record(self.row(Action::Read, site, ""));
        Ok(())
    }

    /// Takes the audit record's place of a change. Call it before the change; what can't be recorded is not done.
    pub(crate) fn begin_change(&self) -> Result<Change, Problem> {
        Ok(Change { place: self.audit.reserve()?, caller: self.clone() })
    }

    /// When the request came.
    pub(crate) const fn now(&self) -> UnixMillis {
        self.now
    }

    fn row(&self, action: Action, site: Option<&SiteId>, object: &str) -> AuditRow {
        AuditRow::new((self.key.id, &self.key.name), action, &self.endpoint, site, object, self.now)
    }
}

/// Records what was done, also where nobody knows whether it was done.
pub(crate) fn recorded<T>(
    change: Change,
    outcome: Result<T, ControlError>,
    action: Action,
    site: Option<&SiteId>,
    object: impl Fn(Option<&T>) -> String,
) -> Result<T, Problem> {
    match outcome {
        Ok(done) => {
            change.record(action, site, &object(Some(&done)));
            Ok(done)
        }
        Err(error) => {
            if let ControlError::Store(_) = error {
                change.record(action, site, &object(None));
            }
            Err(error.into())
        }
    }
}

/// Lets a request through with its [`Caller`], or answers 401 or 429.
pub(super) async fn authenticate(State(shared): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    let snapshot = shared.services.snapshot.load_full();
    let now = (shared.services.clock)();
    let key = match find_key(request.headers(), &snapshot, now) {
        Ok(key) => key,
        Err(error) => return error.into_response(),
    };
    let (of, limit) = limit_of(&key, &snapshot, shared.services.settings.requests_per_minute);
    let allowance = shared.rate_limit.count(of, limit, now);
    let refusal = match allowance {
        Some(Allowance { is_exceeded: true, limit, reset, .. }) => {
            Some(Problem::RateLimited { limit, retry_after: reset })
        }
        _ => used_up(&key, &snapshot, &shared.services.usage, now).map(Problem::Quota),
    };
    shared.services.usage.count(key.id, now, refusal.is_some());
    let mut response = match refusal {
        Some(refusal) => refusal.into_response(),
        None => {
            let endpoint = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str).into();
            request.extensions_mut().insert(Caller {
                key,
                snapshot,
                endpoint,
                audit: shared.services.audit.clone(),
                now,
            });
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

/// The key that a request presents, with no more rights than its user has.
fn find_key(headers: &HeaderMap, snapshot: &Snapshot, now: UnixMillis) -> Result<Arc<ApiKey>, Problem> {
    let token = presented_token(headers).ok_or(Problem::NoKey)?;
    let digest: [u8; 32] = Sha256::digest(token).into();
    // The map compares a digest, of which a caller learns nothing by timing; the full comparison takes constant time.
    let key = snapshot.keys.get(&digest).filter(|key| bool::from(key.token_sha256.ct_eq(&digest)));
    let key = key.filter(|key| !key.has_expired(now)).ok_or(Problem::WrongKey)?;
    match key.user {
        None => Ok(Arc::clone(key)),
        Some(user) => {
            let user = snapshot.users.get(&user).filter(|user| !user.is_disabled).ok_or(Problem::WrongKey)?;
            Ok(Arc::new(key.limited_by(user)))
        }
    }
}

/// Whose allowance a request of this key counts against, and how large it is: that of its user where there is one for
/// all the user's keys, else its own, else the configured one.
fn limit_of(key: &ApiKey, snapshot: &Snapshot, configured: u32) -> (Uuid, u32) {
    let of_user = key.user.and_then(|user| snapshot.users.get(&user)?.requests_per_minute.map(|limit| (user, limit)));
    of_user.unwrap_or((key.id, key.requests_per_minute.unwrap_or(configured)))
}

/// The requests a month of the key or of its user, where they are used up.
fn used_up(key: &ApiKey, snapshot: &Snapshot, usage: &Usage, now: UnixMillis) -> Option<u32> {
    let exceeded = |limit: u32, used: u64| (used >= u64::from(limit)).then_some(limit);
    let own = key.requests_per_month.and_then(|limit| exceeded(limit, usage.answered_this_month(key.id, now)));
    own.or_else(|| {
        let user = key.user.and_then(|user| snapshot.users.get(&user))?;
        let keys = snapshot.keys.values().filter(|key| key.user == Some(user.id));
        exceeded(user.requests_per_month?, keys.map(|key| usage.answered_this_month(key.id, now)).sum())
    })
}

/// The token in `Authorization: Token token=X`, `Token token="X"`, `Bearer X` or `X-Api-Key: X`.
pub(crate) fn presented_token(headers: &HeaderMap) -> Option<&[u8]> {
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
