//! The host of an http(s) URL as a browser would understand it, without parsing the rest.
//!
//! Rules of the WHATWG URL standard for special schemes, as far as they move the host: user
//! information ends at the last `@`, a backslash ends the authority like a slash, the port is cut.
//! What a browser would rewrite (percent-encoding, numbers as IPv4) is not rewritten: such a host
//! equals no site's host and is refused, which is the safe side. Browsers send the rewritten form.

use std::net::Ipv6Addr;

/// A host borrowed from a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host<'a> {
    /// A name or an IPv4 address, in the URL's own letter case, without a trailing dot.
    Name(&'a str),
    /// An IPv6 address.
    Ipv6(Ipv6Addr),
}

impl<'a> Host<'a> {
    /// The host of an http(s) URL, or of an Origin header; `None` when there is none.
    #[must_use]
    pub fn of_url(url: &'a str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
            return None;
        }
        let end = rest.bytes().position(|byte| matches!(byte, b'/' | b'\\' | b'?' | b'#')).unwrap_or(rest.len());
        let authority = &rest[..end];
        Self::of_authority(authority.rsplit_once('@').map_or(authority, |(_, after)| after))
    }

    /// The host of `host[:port]`, as in a Host header or a site's settings.
    #[must_use]
    pub fn of_authority(authority: &'a str) -> Option<Self> {
        if let Some(bracketed) = authority.strip_prefix('[') {
            let (address, port) = bracketed.split_once(']')?;
            return is_port(port).then(|| address.parse().ok().map(Self::Ipv6)).flatten();
        }
        if let Ok(address) = authority.parse() {
            return Some(Self::Ipv6(address));
        }
        let colon = authority.find(':').unwrap_or(authority.len());
        let (name, port) = authority.split_at(colon);
        let name = name.strip_suffix('.').unwrap_or(name);
        let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
        (is_name && is_port(port)).then_some(Self::Name(name))
    }

    /// Whether both are the same host; letter case does not count.
    #[must_use]
    pub fn is(&self, other: &Host<'_>) -> bool {
        match (self, other) {
            (Self::Name(own), Host::Name(other)) => own.eq_ignore_ascii_case(other),
            (Self::Ipv6(own), Host::Ipv6(other)) => own == other,
            _ => false,
        }
    }

    /// Whether it is one of the site's hosts.
    #[must_use]
    pub fn belongs_to(&self, hosts: &[String]) -> bool {
        hosts.iter().any(|own| Host::of_authority(own).is_some_and(|own| own.is(self)))
    }

    /// The registrable domain (public suffix list), lower case; `None` for addresses, `localhost` and
    /// other single labels.
    #[must_use]
    pub fn registrable_domain(&self) -> Option<String> {
        let Self::Name(name) = self else { return None };
        let ends_in_number =
            name.rsplit('.').next().is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
        if ends_in_number {
            return None;
        }
        let name = name.to_ascii_lowercase();
        psl::domain_str(&name).map(str::to_owned)
    }
}

/// Empty, `:` or `:` and digits.
fn is_port(text: &str) -> bool {
    text.is_empty() || text.strip_prefix(':').is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_host_is_the_one_a_browser_would_visit() {
        for (url, expected) in [
            ("https://example.com/a?b#c", Some("example.com")),
            ("HTTPS://EXAMPLE.com", Some("EXAMPLE.com")),
            ("http://example.com.:8080/", Some("example.com")),
            ("http://user:pass@example.com/", Some("example.com")),
            ("http://example.com@evil.test/", Some("evil.test")),
            ("http://a@b@evil.test/", Some("evil.test")),
            ("http://evil.test\\@example.com/", Some("evil.test")),
            ("http://evil.test?@example.com/", Some("evil.test")),
            ("http://evil.test#@example.com/", Some("evil.test")),
            ("http://evil.test/@example.com/", Some("evil.test")),
            ("http://127.0.0.1:3000/", Some("127.0.0.1")),
            ("http://localhost:3000/", Some("localhost")),
            ("http://:80/", None),
            ("http:///example.com", None),
            ("http://example.com:80a/", None),
            ("http://exam ple.com/", None),
            ("http://[::1/", None),
            ("http://[::1]x/", None),
            ("http://[nonsense]/", None),
            ("//example.com/", None),
            ("ftp://example.com/", None),
            ("null", None),
        ] {
            assert_eq!(Host::of_url(url), expected.map(Host::Name), "{url}");
        }
        let one = Host::Ipv6(Ipv6Addr::LOCALHOST);
        assert_eq!(Host::of_url("http://[::1]:8080/"), Some(one));
        assert_eq!(Host::of_url("http://[0:0:0:0:0:0:0:1]"), Some(one));
        assert!(one.belongs_to(&["[::1]".to_owned()]));
        assert!(one.belongs_to(&["::1".to_owned()]));
    }

    #[test]
    fn registrable_domains_follow_the_public_suffix_list() {
        for (host, expected) in [
            ("www.example.co.uk", Some("example.co.uk")),
            ("Stats.Example.com", Some("example.com")),
            ("example.com", Some("example.com")),
            ("someone.github.io", Some("someone.github.io")),
            ("github.io", None),
            ("localhost", None),
            ("127.0.0.1", None),
            ("[::1]:80", None),
        ] {
            let host = Host::of_authority(host).unwrap();
            assert_eq!(host.registrable_domain().as_deref(), expected, "{host:?}");
        }
    }

    proptest! {
        #[test]
        fn where_both_find_a_name_it_is_the_one_the_url_crate_finds(text in "https?://[a-zA-Z0-9@:./\\\\?#\\[\\]%-]{0,40}") {
            if let (Some(Host::Name(own)), Ok(parsed)) = (Host::of_url(&text), url::Url::parse(&text)) {
                let rewritten = own.contains('%') || own.ends_with('.')
                    || parsed.host().is_some_and(|host| matches!(host, url::Host::Ipv4(_)));
                let parsed = parsed.host_str().unwrap().trim_end_matches('.');
                prop_assert!(rewritten || own.trim_end_matches('.').eq_ignore_ascii_case(parsed), "{} {}", own, parsed);
            }
        }

        #[test]
        fn no_text_panics(text: String) {
            drop(Host::of_url(&text).map(|host| host.registrable_domain()));
        }
    }
}
