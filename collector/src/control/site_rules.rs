//! What a site must look like before it is stored.

use crate::site::Site;
use jiff::tz::TimeZone;
use std::net::Ipv6Addr;

/// A rule that a site breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SiteRule {
    /// The name can't be shown in a list.
    #[error("a site's name has 1 to 100 characters, none of them a control character")]
    Name,
    /// No page can belong to it.
    #[error("a site needs at least one host, such as www.example.com")]
    NoHost,
    /// More hosts than anyone has.
    #[error("a site has at most {MAX_HOSTS} hosts")]
    TooManyHosts,
    /// The text is no host alone.
    #[error("{host:?} is no host: {why}")]
    Host {
        /// What was given.
        host: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A host is named twice.
    #[error("the host {0} is named twice")]
    DuplicateHost(String),
    /// The time zone is unknown.
    #[error("{0:?} is no IANA time zone; examples are Europe/Berlin, America/New_York and UTC")]
    TimeZone(String),
}

impl SiteRule {
    /// The site's field that breaks it.
    #[must_use]
    pub const fn field(&self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::NoHost | Self::TooManyHosts | Self::Host { .. } | Self::DuplicateHost(_) => "hosts",
            Self::TimeZone(_) => "timezone",
        }
    }
}

const MAX_HOSTS: usize = 1000;
/// RFC 1035 section 2.3.4, without the root's dot.
const MAX_HOST_BYTES: usize = 253;
/// RFC 1035 section 2.3.4.
const MAX_LABEL_BYTES: usize = 63;

/// Checks a site and brings it into the form in which it is stored and compared.
pub(super) fn check(site: Site) -> Result<Site, SiteRule> {
    let mut hosts: Vec<String> = Vec::with_capacity(site.hosts.len());
    if site.hosts.is_empty() {
        return Err(SiteRule::NoHost);
    }
    if site.hosts.len() > MAX_HOSTS {
        return Err(SiteRule::TooManyHosts);
    }
    for host in &site.hosts {
        let host = self::host(host)?;
        if hosts.contains(&host) {
            return Err(SiteRule::DuplicateHost(host));
        }
        hosts.push(host);
    }
    Ok(Site { name: name(&site.name).ok_or(SiteRule::Name)?, hosts, timezone: time_zone(&site.timezone)?, ..site })
}

/// A name for people: trimmed, not empty, one line.
pub(super) fn name(text: &str) -> Option<String> {
    let text = text.trim();
    let fits = (1..=100).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned())
}

/// A host as browsers send it: lower case, international names as `xn--` (IDNA), IPv6 addresses without brackets.
fn host(text: &str) -> Result<String, SiteRule> {
    let refuse = |why| Err(SiteRule::Host { host: text.chars().take(300).collect(), why });
    let bare = text.trim();
    if bare.contains("://") {
        return refuse("leave the scheme out");
    }
    if bare.contains(['/', '?', '#', '\\', '@', '%']) {
        return refuse("leave out what is not the host's name, such as a path");
    }
    if bare.contains('*') {
        return refuse("each host is named in full, without *");
    }
    let unbracketed = bare.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(bare);
    if let Ok(address) = unbracketed.parse::<Ipv6Addr>() {
        return Ok(address.to_string());
    }
    if bare.contains(':') {
        return refuse("leave the port out, pages on every port belong to the site");
    }
    let name = bare.strip_suffix('.').unwrap_or(bare);
    let Ok(host) = url::Host::parse(name) else {
        return refuse("a host is a domain name, an IP address or localhost");
    };
    let host = host.to_string();
    if host.len() > MAX_HOST_BYTES || host.split('.').any(|label| label.is_empty() || label.len() > MAX_LABEL_BYTES) {
        return refuse("a name has parts of 1 to 63 characters between its dots, 253 in all");
    }
    Ok(host)
}

fn time_zone(text: &str) -> Result<String, SiteRule> {
    let unknown = || SiteRule::TimeZone(text.chars().take(80).collect());
    let zone = TimeZone::get(text.trim()).map_err(|_| unknown())?;
    zone.iana_name().map(str::to_owned).ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(hosts: &[&str], timezone: &str) -> Site {
        Site { timezone: timezone.into(), ..Site::new("shop".parse().unwrap(), " Shop ", hosts.iter().copied()) }
    }

    #[test]
    fn hosts_are_stored_as_browsers_send_them() {
        for (given, stored) in [
            ("WWW.Example.COM", "www.example.com"),
            (" example.com. ", "example.com"),
            ("münchen.example", "xn--mnchen-3ya.example"),
            ("xn--mnchen-3ya.example", "xn--mnchen-3ya.example"),
            ("localhost", "localhost"),
            ("192.0.2.7", "192.0.2.7"),
            ("[2001:DB8::0:1]", "2001:db8::1"),
            ("::1", "::1"),
            ("my_host.example", "my_host.example"),
        ] {
            assert_eq!(host(given).as_deref(), Ok(stored));
        }
    }

    #[test]
    fn what_is_no_host_alone_is_refused_with_the_reason() {
        let long_label = format!("{}.example", "a".repeat(64));
        let long_name = ["a".repeat(63).as_str(); 5].join(".");
        for (given, why) in [
            ("https://example.com", "scheme"),
            ("example.com/shop", "path"),
            ("example.com:8080", "port"),
            ("user@example.com", "not the host's name"),
            ("*.example.com", "*"),
            ("", "domain name"),
            (" ", "domain name"),
            ("exa mple.com", "domain name"),
            ("example..com", "63"),
            ("a\0b", "domain name"),
            (&long_label, "63"),
            (&long_name, "253"),
        ] {
            let error = host(given).unwrap_err().to_string();
            assert!(error.contains(why), "{given:?}: {error}");
        }
    }

    #[test]
    fn a_site_is_checked_as_a_whole() {
        let stored = check(site(&["Example.com", "www.example.com"], "europe/berlin")).unwrap();
        assert_eq!((stored.name.as_str(), stored.timezone.as_str()), ("Shop", "Europe/Berlin"));
        assert_eq!(check(site(&[], "UTC")), Err(SiteRule::NoHost));
        assert_eq!(check(site(&["a", "A."], "UTC")), Err(SiteRule::DuplicateHost("a".into())));
        assert_eq!(check(site(&["a"], "Mars/Olympus")), Err(SiteRule::TimeZone("Mars/Olympus".into())));
        for name in ["", "  ", "a\nb", &"x".repeat(101)] {
            assert_eq!(check(Site { name: name.into(), ..site(&["a"], "UTC") }), Err(SiteRule::Name), "{name:?}");
        }
    }
}
