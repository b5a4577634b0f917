//! The lines for a reverse proxy: the examples that users copy, with their own names filled in.

use std::str::FromStr;

const NGINX: &str = include_str!("../../../../examples/proxies/nginx-stats-host.conf");
const CADDY: &str = include_str!("../../../../examples/proxies/Caddyfile-stats-host");
const APACHE: &str = include_str!("../../../../examples/proxies/apache-stats-host.conf");

/// What stands in front of Firmsight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Proxy {
    Nginx,
    Caddy,
    Apache,
    None,
}

impl FromStr for Proxy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "nginx" => Ok(Self::Nginx),
            "caddy" => Ok(Self::Caddy),
            "apache" => Ok(Self::Apache),
            "none" => Ok(Self::None),
            _ => Err("allowed are nginx, caddy, apache, none".to_owned()),
        }
    }
}

impl Proxy {
    /// What to add to the proxy's configuration; `public` and `reports` are the URLs of both listeners.
    pub(super) fn lines(self, public: &str, reports: &str) -> Option<String> {
        let (program, place, example) = match self {
            Self::Nginx => ("nginx", "/etc/nginx/conf.d/firmsight.conf", NGINX),
            Self::Caddy => ("Caddy", "/etc/caddy/Caddyfile", CADDY),
            Self::Apache => ("Apache", "/etc/apache2/sites-available/firmsight.conf", APACHE),
            Self::None => return None,
        };
        // What stands before the first empty line is about Firmsight's own configuration, which is written.
        let (_, lines) = example.split_once("\n\n").unwrap_or(("", example));
        let lines = lines.replace("stats.example.com", host(public)).replace("reports.example.com", host(reports));
        let own_reports = host(reports).parse::<std::net::IpAddr>().is_ok();
        let note = if own_reports {
            "# Leave out the part of the reports' host, or give it a name: firmsight init --reports-url https://reports.example.com\n"
        } else {
            ""
        };
        Some(format!(
            "For {program}, into {place} (the same collector on the website's own host: examples/proxies):\n\n{note}{lines}"
        ))
    }
}

/// A URL's host without its port.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or(rest);
    authority.rsplit_once(':').map_or(authority, |(host, _)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_proxy_gets_its_lines_with_the_owners_names() {
        for proxy in [Proxy::Nginx, Proxy::Caddy, Proxy::Apache] {
            let lines = proxy.lines("https://s.shop.example", "https://r.shop.example:8443/").unwrap();
            assert!(lines.contains("s.shop.example") && lines.contains("r.shop.example"), "{lines}");
            assert!(!lines.contains("example.com") || lines.contains("(the same"), "{lines}");
            assert!(!lines.contains("stats.example.com"), "{lines}");
        }
        assert_eq!(Proxy::None.lines("https://a.example", "https://b.example"), None);
        assert!(Proxy::Nginx.lines("https://a.example", "http://127.0.0.1:8081").unwrap().contains("--reports-url"));
    }
}
