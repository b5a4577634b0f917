//! The cookies that the server sets: `_lfa` renewed with the value it has, and what an objection
//! leaves behind. Values are never made here: the tracker mints them.

use super::page_host::Host;
use beacon::ClientId;
use cookie::{Cookie, CookieBuilder, SameSite, time};
use http::{HeaderMap, HeaderValue, header};
use std::time::Duration;

/// Name of the client id's cookie.
pub(super) const CLIENT_ID: &str = "_lfa";
/// Name of the choice's cookie.
pub(super) const CONSENT: &str = "_lfa_consent";
/// Days that a choice is asked to be kept.
pub(super) const CONSENT_DAYS: u64 = 730;
/// Values of ours are at most this long; longer ones are not shown.
const MAX_SHOWN_BYTES: usize = 200;

/// What `_lfa_consent` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StoredChoice {
    /// There is none.
    None,
    /// `true`
    Granted,
    /// `false`; it wins where there are several, of different domains.
    Denied,
}

/// Where a cookie may be set for a page, as seen from the collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Both hosts are subdomains of this registrable domain.
    Domain(String),
    /// Both are the same host, and it has no registrable domain (an address, `localhost`).
    HostOnly,
}

impl Scope {
    /// What page and collector share; `None` when a cookie set by one is nothing to the other.
    #[must_use]
    pub(super) fn shared(page: Host<'_>, collector: Host<'_>) -> Option<Self> {
        match (page.registrable_domain(), collector.registrable_domain()) {
            (Some(own), Some(other)) => (own == other).then_some(Self::Domain(own)),
            (None, None) => page.is(&collector).then_some(Self::HostOnly),
            _ => None,
        }
    }

    /// The widest scope for pages of the collector's own host.
    #[must_use]
    pub(super) fn of(collector: Host<'_>) -> Self {
        collector.registrable_domain().map_or(Self::HostOnly, Self::Domain)
    }
}

fn cookie<'a>(name: &'a str, value: String, scope: &Scope, secure: bool) -> CookieBuilder<'a> {
    let builder = Cookie::build((name, value)).path("/").same_site(SameSite::Lax).secure(secure);
    match scope {
        Scope::Domain(domain) => builder.domain(domain.clone()),
        Scope::HostOnly => builder,
    }
}

fn header_value(cookie: CookieBuilder<'_>) -> Option<HeaderValue> {
    HeaderValue::try_from(cookie.build().to_string()).ok()
}

/// `_lfa` again, with the value it has.
#[must_use]
pub(super) fn renew_client_id(client: ClientId, scope: &Scope, secure: bool, life: Duration) -> Option<HeaderValue> {
    let seconds = i64::try_from(life.as_secs()).unwrap_or(i64::MAX);
    header_value(cookie(CLIENT_ID, client.into(), scope, secure).max_age(time::Duration::seconds(seconds)))
}

/// `_lfa_consent=false` for two years, and `_lfa` removed wherever it may stand.
#[must_use]
pub(super) fn objection(scope: &Scope, secure: bool) -> Vec<HeaderValue> {
    let life = time::Duration::days(i64::try_from(CONSENT_DAYS).unwrap_or(i64::MAX));
    let refusal = cookie(CONSENT, "false".to_owned(), scope, secure).max_age(life);
    let mut all = vec![header_value(refusal)];
    all.extend(removal(CLIENT_ID, scope, secure).into_iter().map(Some));
    all.into_iter().flatten().collect()
}

/// A cookie removed, set with the domain or without.
#[must_use]
pub(super) fn removal(name: &str, scope: &Scope, secure: bool) -> Vec<HeaderValue> {
    let scopes = if *scope == Scope::HostOnly { vec![scope] } else { vec![scope, &Scope::HostOnly] };
    let removals = scopes.into_iter().map(|scope| cookie(name, String::new(), scope, secure).removal());
    removals.filter_map(header_value).collect()
}

fn sent(headers: &HeaderMap) -> impl Iterator<Item = Cookie<'_>> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(Cookie::split_parse).filter_map(Result::ok)
}

/// The client id that the browser sent, when it has the right form.
#[must_use]
pub(super) fn client_id(headers: &HeaderMap) -> Option<ClientId> {
    sent(headers)
        .filter(|cookie| cookie.name() == CLIENT_ID)
        .find_map(|cookie| ClientId::parse(cookie.value().as_bytes()).ok())
}

/// The choice that the browser sent.
#[must_use]
pub(super) fn choice(headers: &HeaderMap) -> StoredChoice {
    let mut found = StoredChoice::None;
    for cookie in sent(headers).filter(|cookie| cookie.name() == CONSENT) {
        match cookie.value() {
            "true" => found = StoredChoice::Granted,
            "false" => return StoredChoice::Denied,
            _ => {}
        }
    }
    found
}

/// Those of these cookies that the browser sent, with their values.
#[must_use]
pub(super) fn shown(headers: &HeaderMap, names: impl Iterator<Item = &'static str>) -> Vec<(&'static str, String)> {
    let find = |name| sent(headers).find(|cookie| cookie.name() == name && cookie.value().len() <= MAX_SHOWN_BYTES);
    names.filter_map(|name| Some((name, find(name)?.value().to_owned()))).collect()
}
