//! Who publishes which file, and how it is asked for, as the publishers document it.

use super::Credentials;
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::{ToSpan, civil::Date};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Cloudflare's published ranges, one network a line, among the data files.
pub(crate) const CLOUDFLARE_LIST: &str = "cloudflare_ranges.txt";

/// A publisher's file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Source {
    /// DB-IP's monthly free city database.
    DbipCityLite,
    /// IPinfo's free network database, by token.
    IpinfoLite,
    /// The addresses through which iCloud Private Relay leaves.
    IcloudPrivateRelay,
    /// The addresses of Tor's exits.
    TorExits,
    /// The networks from which Cloudflare's proxies come, for `[public].trusted_proxies`.
    CloudflareRanges,
    /// An edition of MaxMind's, by account and licence key, such as `GeoLite2-City` or `GeoIP2-ISP`.
    MaxMind(String),
}

/// Why a source can't be asked.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// No such source.
    #[error(
        "{0:?} is no source: allowed are dbip-city-lite, ipinfo-lite, icloud-private-relay, tor-exits, cloudflare-ranges \
         and MaxMind's editions such as GeoLite2-City"
    )]
    Unknown(String),
    /// What the publisher asks for is not set.
    #[error("{source_name} needs {keys}: get them at {page}")]
    NoCredentials {
        /// The source.
        source_name: String,
        /// The configuration keys.
        keys: &'static str,
        /// Where one gets them.
        page: &'static str,
    },
    /// The publisher has no file.
    #[error("{0}: its publisher has neither this month's nor last month's file")]
    NoFile(String),
}

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let is_edition = ["GeoLite2-", "GeoIP2-", "GeoIP-"].iter().any(|prefix| text.starts_with(prefix))
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        match text {
            "dbip-city-lite" => Ok(Self::DbipCityLite),
            "ipinfo-lite" => Ok(Self::IpinfoLite),
            "icloud-private-relay" => Ok(Self::IcloudPrivateRelay),
            "tor-exits" => Ok(Self::TorExits),
            "cloudflare-ranges" => Ok(Self::CloudflareRanges),
            edition if is_edition => Ok(Self::MaxMind(edition.to_owned())),
            _ => Err(SourceError::Unknown(text.chars().take(80).collect())),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DbipCityLite => "dbip-city-lite",
            Self::IpinfoLite => "ipinfo-lite",
            Self::IcloudPrivateRelay => "icloud-private-relay",
            Self::TorExits => "tor-exits",
            Self::CloudflareRanges => "cloudflare-ranges",
            Self::MaxMind(edition) => edition,
        })
    }
}

impl TryFrom<String> for Source {
    type Error = SourceError;

    fn try_from(text: String) -> Result<Self, SourceError> {
        text.parse()
    }
}

impl From<Source> for String {
    fn from(source: Source) -> Self {
        source.to_string()
    }
}

/// Where publishers' servers are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BaseUrls {
    /// DB-IP.
    pub dbip: String,
    /// IPinfo.
    pub ipinfo: String,
    /// MaxMind.
    pub maxmind: String,
    /// Apple's list of relay exits.
    pub icloud: String,
    /// The Tor project's list of exits.
    pub tor: String,
    /// Cloudflare's API.
    pub cloudflare: String,
}

impl Default for BaseUrls {
    fn default() -> Self {
        Self {
            dbip: "https://download.db-ip.com".to_owned(),
            ipinfo: "https://ipinfo.io".to_owned(),
            maxmind: "https://download.maxmind.com".to_owned(),
            icloud: "https://mask-api.icloud.com".to_owned(),
            tor: "https://check.torproject.org".to_owned(),
            cloudflare: "https://api.cloudflare.com".to_owned(),
        }
    }
}

/// How a file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Container {
    Plain,
    Gzip,
    /// One `.mmdb` file among others.
    TarGzip,
    /// Cloudflare's JSON, written as one network a line.
    CloudflareJson,
}

/// One question to a publisher's server.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// May hold a token: never shown.
    url: String,
    /// Value of `Authorization`.
    pub(super) authorization: Option<String>,
    pub(super) container: Container,
    /// Where the archive's SHA-256 is.
    pub(super) checksum: Option<Box<Self>>,
}

impl Request {
    fn plain(url: String) -> Self {
        Self { url, authorization: None, container: Container::Plain, checksum: None }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// For messages and for remembering: without the query, where tokens are.
    pub(super) fn shown_url(&self) -> String {
        self.url.split('?').next().unwrap_or_default().to_owned()
    }
}

impl Source {
    /// The name that its file has among the data files.
    #[must_use]
    pub fn file_name(&self) -> String {
        match self {
            Self::DbipCityLite => "dbip-city-lite.mmdb".to_owned(),
            Self::IpinfoLite => "ipinfo_lite.mmdb".to_owned(),
            Self::IcloudPrivateRelay => "icloud_private_relay.csv".to_owned(),
            Self::TorExits => "tor_exits.txt".to_owned(),
            Self::CloudflareRanges => CLOUDFLARE_LIST.to_owned(),
            Self::MaxMind(edition) => format!("{edition}.mmdb"),
        }
    }

    /// The files of the default set that it takes the place of.
    #[must_use]
    pub fn replaces(&self) -> &'static [&'static str] {
        match self {
            Self::DbipCityLite => &["dbip-city-ipv4.mmdb", "dbip-city-ipv6.mmdb"],
            Self::IpinfoLite => &["ipinfo_lite.mmdb"],
            Self::IcloudPrivateRelay | Self::TorExits | Self::CloudflareRanges | Self::MaxMind(_) => &[],
        }
    }

    /// Whether the resolver judges by it; else it is a list for another purpose.
    #[must_use]
    pub const fn is_for_resolver(&self) -> bool {
        !matches!(self, Self::CloudflareRanges)
    }

    /// Its licence, and what that asks to show; empty where it asks for nothing.
    #[must_use]
    pub fn licence(&self) -> (&'static str, &'static str) {
        match self {
            Self::DbipCityLite => ("CC-BY-4.0", "IP Geolocation by DB-IP (https://db-ip.com)"),
            Self::IpinfoLite => ("CC-BY-SA-4.0", "IP address data powered by IPinfo (https://ipinfo.io)"),
            Self::IcloudPrivateRelay => ("published by Apple for website owners", ""),
            Self::TorExits => ("published by the Tor project (CC-BY-3.0 US)", "Tor exits: https://www.torproject.org"),
            Self::CloudflareRanges => ("published by Cloudflare for website owners", ""),
            Self::MaxMind(edition) if edition.starts_with("GeoLite2-") => (
                "GeoLite2 end user licence",
                "This product includes GeoLite2 data created by MaxMind, available from https://www.maxmind.com",
            ),
            Self::MaxMind(_) => ("your licence from MaxMind", ""),
        }
    }

    /// What to ask for, best first.
    pub(super) fn requests(
        &self,
        urls: &BaseUrls,
        credentials: &Credentials,
        today: Date,
    ) -> Result<Vec<Request>, SourceError> {
        let base = |url: &str| url.trim_end_matches('/').to_owned();
        let missing = |keys, page| SourceError::NoCredentials { source_name: self.to_string(), keys, page };
        Ok(match self {
            Self::DbipCityLite => {
                let months = [today, today.first_of_month().saturating_sub(1.day())];
                let request = |month: Date| Request {
                    container: Container::Gzip,
                    ..Request::plain(format!(
                        "{}/free/dbip-city-lite-{:04}-{:02}.mmdb.gz",
                        base(&urls.dbip),
                        month.year(),
                        month.month()
                    ))
                };
                months.map(request).to_vec()
            }
            Self::IpinfoLite => {
                if credentials.ipinfo_token.is_empty() {
                    return Err(missing("[geoip].ipinfo_token", "https://ipinfo.io/signup (free)"));
                }
                let token: String = form_urlencoded::byte_serialize(credentials.ipinfo_token.as_bytes()).collect();
                vec![Request::plain(format!("{}/data/ipinfo_lite.mmdb?token={token}", base(&urls.ipinfo)))]
            }
            Self::IcloudPrivateRelay => vec![Request::plain(format!("{}/egress-ip-ranges.csv", base(&urls.icloud)))],
            Self::TorExits => vec![Request::plain(format!("{}/exit-addresses", base(&urls.tor)))],
            Self::CloudflareRanges => vec![Request {
                container: Container::CloudflareJson,
                ..Request::plain(format!("{}/client/v4/ips", base(&urls.cloudflare)))
            }],
            Self::MaxMind(edition) => {
                let Credentials { maxmind_account_id: account, maxmind_license_key: key, .. } = credentials;
                if account.is_empty() || key.is_empty() {
                    return Err(missing(
                        "[geoip].maxmind_account_id and maxmind_license_key",
                        "https://www.maxmind.com/en/geolite2/signup",
                    ));
                }
                let authorization = Some(format!("Basic {}", STANDARD.encode(format!("{account}:{key}"))));
                let request = |suffix: &str| Request {
                    authorization: authorization.clone(),
                    ..Request::plain(format!(
                        "{}/geoip/databases/{edition}/download?suffix={suffix}",
                        base(&urls.maxmind)
                    ))
                };
                let checksum = Some(Box::new(request("tar.gz.sha256")));
                vec![Request { container: Container::TarGzip, checksum, ..request("tar.gz") }]
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_known_by_name() {
        for name in
            ["dbip-city-lite", "ipinfo-lite", "icloud-private-relay", "tor-exits", "cloudflare-ranges", "GeoLite2-City"]
        {
            assert_eq!(name.parse::<Source>().unwrap().to_string(), name);
        }
        for name in ["", "maxmind", "GeoLite2-../../etc/passwd", "GeoIP2-ISP?x"] {
            assert!(name.parse::<Source>().is_err(), "{name}");
        }
    }

    #[test]
    fn urls_are_the_documented_ones_and_none_that_is_shown_holds_a_secret() {
        let credentials = Credentials {
            ipinfo_token: "t0k&n".to_owned(),
            maxmind_account_id: "123".to_owned(),
            maxmind_license_key: "s3cret".to_owned(),
        };
        let today = jiff::civil::date(2026, 1, 31);
        for (source, expected) in [
            (
                "dbip-city-lite",
                &[
                    "https://download.db-ip.com/free/dbip-city-lite-2026-01.mmdb.gz",
                    "https://download.db-ip.com/free/dbip-city-lite-2025-12.mmdb.gz",
                ][..],
            ),
            ("ipinfo-lite", &["https://ipinfo.io/data/ipinfo_lite.mmdb?token=t0k%26n"]),
            ("icloud-private-relay", &["https://mask-api.icloud.com/egress-ip-ranges.csv"]),
            ("tor-exits", &["https://check.torproject.org/exit-addresses"]),
            ("cloudflare-ranges", &["https://api.cloudflare.com/client/v4/ips"]),
            ("GeoIP2-ISP", &["https://download.maxmind.com/geoip/databases/GeoIP2-ISP/download?suffix=tar.gz"]),
        ] {
            let requests =
                source.parse::<Source>().unwrap().requests(&BaseUrls::default(), &credentials, today).unwrap();
            assert_eq!(requests.iter().map(Request::url).collect::<Vec<_>>(), expected);
            assert!(requests.iter().all(|request| !request.shown_url().contains("t0k")));
        }
        let refusal = Source::MaxMind("GeoLite2-ASN".to_owned())
            .requests(&BaseUrls::default(), &Credentials::default(), today)
            .unwrap_err();
        assert!(refusal.to_string().contains("maxmind_license_key"), "{refusal}");
    }
}
