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
    let refusal = cookie(CONSENT, "false".to_owned(), scope, secure).max_age(time::Duration::days(730));
    let mut all = vec![header_value(refusal)];
    all.extend(removal(scope, secure).into_iter().map(Some));
    all.into_iter().flatten().collect()
}

/// `_lfa` removed, set with the domain or without.
#[must_use]
pub(super) fn removal(scope: &Scope, secure: bool) -> Vec<HeaderValue> {
    let scopes = if *scope == Scope::HostOnly { vec![scope] } else { vec![scope, &Scope::HostOnly] };
    let removals = scopes.into_iter().map(|scope| cookie(CLIENT_ID, String::new(), scope, secure).removal());
    removals.filter_map(header_value).collect()
}

/// The client id that the browser sent, when it has the right form.
#[must_use]
pub(super) fn client_id(headers: &HeaderMap) -> Option<ClientId> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut cookies = lines.flat_map(Cookie::split_parse).filter_map(Result::ok);
    cookies.find(|cookie| cookie.name() == CLIENT_ID).and_then(|cookie| ClientId::parse(cookie.value().as_bytes()).ok())
}
