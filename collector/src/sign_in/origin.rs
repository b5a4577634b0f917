//! Whether a request is meant for us and comes from our own pages.
//!
//! # DNS rebinding
//! A page from `evil.example` may give its own name our loopback address; the browser then lets it read what it asks, because
//! for the browser both are one origin. Its requests still say `Host: evil.example`. So a host must be ours: the base URL's,
//! an address (which no name server can point elsewhere), or a loopback name. A request with an API key is let through with
//! any host: a rebinding page has no key, and keys are used inside container networks under names that nobody configured.

use http::{HeaderMap, Uri, header};
use std::net::IpAddr;

/// The hosts and the origin that are ours.
#[derive(Clone, Debug)]
pub struct OwnOrigin {
    /// `scheme://host[:port]`, lower case.
    origin: String,
    host: String,
}

impl OwnOrigin {
    /// Of a base URL such as `https://stats.example.com`.
    #[must_use]
    pub fn of(base_url: &str) -> Self {
        let uri: Uri = base_url.parse().unwrap_or_default();
        let scheme = uri.scheme_str().unwrap_or("http");
        let authority = uri.authority().map(|authority| authority.as_str().to_ascii_lowercase()).unwrap_or_default();
        Self { origin: format!("{scheme}://{authority}"), host: uri.host().unwrap_or_default().to_ascii_lowercase() }
    }

    /// Whether cookies may be marked `Secure`.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.origin.starts_with("https://")
    }

    /// Whether a request's Host, or its URI's authority, is ours.
    #[must_use]
    pub fn admits_host(&self, headers: &HeaderMap, uri: &Uri) -> bool {
        let Some(authority) = authority(headers, uri) else { return false };
        let Ok(authority) = authority.parse::<http::uri::Authority>() else { return false };
        let host = authority.host().to_ascii_lowercase();
        let literal = host.trim_start_matches('[').trim_end_matches(']');
        host == self.host || host == "localhost" || host.ends_with(".localhost") || literal.parse::<IpAddr>().is_ok()
    }

    /// Whether a request that changes something comes from one of our own pages: by Origin, or, where a browser sends none,
    /// by Sec-Fetch-Site.
    #[must_use]
    pub fn is_from_own_page(&self, headers: &HeaderMap, uri: &Uri) -> bool {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let Some(origin) = text(header::ORIGIN) else {
            return text(header::HeaderName::from_static("sec-fetch-site")) == Some("same-origin");
        };
        let origin = origin.to_ascii_lowercase();
        let asked = authority(headers, uri).map(str::to_ascii_lowercase);
        let of_asked = origin.split_once("://").zip(asked).is_some_and(|((_, from), asked)| from == asked);
        origin == self.origin || of_asked
    }
}

fn authority<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<&'a str> {
    // HTTP/2 has the authority in the URI.
    uri.authority().map(http::uri::Authority::as_str).or_else(|| headers.get(header::HOST)?.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (header::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn only_own_names_loopback_names_and_addresses_are_admitted() {
        let own = OwnOrigin::of("https://Stats.example.com/");
        let path = Uri::from_static("/");
        for (host, expected) in [
            ("stats.example.com", true),
            ("STATS.example.com:443", true),
            ("localhost:8081", true),
            ("firmsight.localhost", true),
            ("127.0.0.1:8081", true),
            ("[::1]:8081", true),
            ("10.0.0.7", true),
            ("evil.example", false),
            ("stats.example.com.evil.example", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("", false),
        ] {
            assert_eq!(own.admits_host(&headers(&[("host", host)]), &path), expected, "{host}");
        }
        assert!(!own.admits_host(&HeaderMap::new(), &path));
        assert!(!own.admits_host(&headers(&[("host", "localhost")]), &Uri::from_static("http://evil.example/")));
    }

    #[test]
    fn only_own_pages_may_post() {
        let own = OwnOrigin::of("https://stats.example.com");
        let path = Uri::from_static("/sign-in");
        for (pairs, expected) in [
            (&[("origin", "https://stats.example.com"), ("host", "inner:8081")][..], true),
            (&[("origin", "http://127.0.0.1:8081"), ("host", "127.0.0.1:8081")], true),
            (&[("origin", "https://evil.example"), ("host", "stats.example.com")], false),
            (&[("origin", "http://127.0.0.1:9999"), ("host", "127.0.0.1:8081")], false),
            (&[("origin", "null"), ("host", "stats.example.com")], false),
            (&[("sec-fetch-site", "same-origin"), ("host", "stats.example.com")], true),
            (&[("sec-fetch-site", "same-site"), ("host", "stats.example.com")], false),
            (&[("host", "stats.example.com")], false),
        ] {
            assert_eq!(own.is_from_own_page(&headers(pairs), &path), expected, "{pairs:?}");
        }
    }
}
