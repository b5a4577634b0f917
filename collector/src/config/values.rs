//! The kinds of values a key can have; each reads itself from text and says what it allows.

use bytesize::ByteSize;
use firmsight_resolver::{NetworkKind, OwnerRule};
use ipnet::IpNet;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
    time::Duration,
};

/// A value that a key does not allow, in words for the person who wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not allowed; {allowed}")]
pub struct ValueError {
    found: String,
    allowed: &'static str,
}

impl ValueError {
    fn new(found: &str, allowed: &'static str) -> Self {
        Self { found: found.chars().take(80).collect(), allowed }
    }
}

const SECONDS_A_DAY: u64 = 24 * 60 * 60;

/// Gives a type its serde form: the text it is written as.
macro_rules! written_as_text {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = ValueError;

            fn try_from(text: String) -> Result<Self, ValueError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    };
}

/// A length of time, written `"2s"`, `"30m"` or `"1h 30m"`; never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(Duration);

impl Span {
    const LONGEST: Self = Self::days(400);

    /// So many seconds.
    #[must_use]
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// So many days of 24 hours.
    #[must_use]
    pub const fn days(days: u64) -> Self {
        Self(Duration::from_secs(days * SECONDS_A_DAY))
    }

    /// So many milliseconds.
    #[must_use]
    pub const fn milliseconds(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }

    /// The same as the standard library's type.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl FromStr for Span {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let days = text.strip_suffix('d').and_then(|days| days.parse::<u64>().ok());
        let span = match days {
            Some(days) => days.checked_mul(SECONDS_A_DAY).map(Duration::from_secs),
            None => text.parse::<SignedDuration>().ok().and_then(|span| Duration::try_from(span).ok()),
        };
        span.filter(|span| span.as_millis() > 0 && *span <= Self::LONGEST.0).map(Self).ok_or_else(|| {
            ValueError::new(
                text,
                "write a time with its unit, such as \"200ms\", \"2s\", \"30m\", \"1h\" or \"7d\", of at most \"400d\"",
            )
        })
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match SignedDuration::try_from(self.0) {
            Ok(_) if self.0.subsec_nanos() == 0 && seconds > 0 && seconds.is_multiple_of(SECONDS_A_DAY) => {
                write!(f, "{}d", seconds / SECONDS_A_DAY)
            }
            Ok(span) => write!(f, "{span:#}"),
            Err(_) => write!(f, "{}s", self.0.as_secs()),
        }
    }
}

written_as_text!(Span);

/// A size, written `"64KiB"`, `"8MiB"` or `"1GiB"`; never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Bytes(ByteSize);

impl Bytes {
    /// So many times 2^20 bytes.
    #[must_use]
    pub const fn mebibytes(count: u64) -> Self {
        Self(ByteSize::mib(count))
    }

    /// So many times 2^30 bytes.
    #[must_use]
    pub const fn gibibytes(count: u64) -> Self {
        Self(ByteSize::gib(count))
    }

    /// Bytes.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.0
    }
}

impl FromStr for Bytes {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let sized = text.bytes().any(|byte| byte.is_ascii_alphabetic());
        text.parse::<ByteSize>()
            .ok()
            .filter(|size| sized && size.0 > 0)
            .map(Self)
            .ok_or_else(|| ValueError::new(text, "write a size with its unit, such as \"64KiB\", \"8MiB\" or \"1GiB\""))
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.get();
        match [(30, "GiB"), (20, "MiB"), (10, "KiB")].into_iter().find(|(bits, _)| bytes.is_multiple_of(1 << bits)) {
            Some((bits, unit)) => write!(f, "{}{unit}", bytes >> bits),
            None => write!(f, "{bytes}B"),
        }
    }
}

written_as_text!(Bytes);

/// A network whose forwarding header is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum TrustedProxy {
    /// 127.0.0.0/8 and ::1.
    Loopback,
    /// RFC 1918, RFC 4193 and link-local addresses.
    Private,
    /// The ranges that Cloudflare publishes, from a data file.
    Cloudflare,
    /// One network, CIDR, or a single address.
    Network(IpNet),
}

impl FromStr for TrustedProxy {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "loopback" => Ok(Self::Loopback),
            "private" => Ok(Self::Private),
            "cloudflare" => Ok(Self::Cloudflare),
            _ => text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map(Self::Network).map_err(|_| {
                ValueError::new(
                    text,
                    "write a network such as \"10.0.0.0/8\", an address, or one of \"loopback\", \"private\", \"cloudflare\"",
                )
            }),
        }
    }
}

impl fmt::Display for TrustedProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loopback => f.write_str("loopback"),
            Self::Private => f.write_str("private"),
            Self::Cloudflare => f.write_str("cloudflare"),
            Self::Network(network) => write!(f, "{network}"),
        }
    }
}

written_as_text!(TrustedProxy);

/// A header field's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HeaderName(String);

impl HeaderName {
    pub(super) fn x_forwarded_for() -> Self {
        Self("X-Forwarded-For".to_owned())
    }

    /// As `http` knows it; names compare without letter case.
    #[must_use]
    pub fn get(&self) -> http::HeaderName {
        http::HeaderName::from_bytes(self.0.as_bytes()).unwrap_or(http::HeaderName::from_static("x-forwarded-for"))
    }
}

impl FromStr for HeaderName {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        http::HeaderName::from_bytes(text.as_bytes()).map(|_| Self(text.to_owned())).map_err(|_| {
            ValueError::new(
                text,
                "write a header's name, such as \"X-Forwarded-For\", \"Forwarded\" or \"CF-Connecting-IP\"",
            )
        })
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

written_as_text!(HeaderName);

/// An absolute http(s) URL without a trailing slash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ListenUrl(String);

impl ListenUrl {
    pub(super) fn local_admin() -> Self {
        Self("http://127.0.0.1:8081".to_owned())
    }

    /// The URL's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_web_url(text: &str) -> bool {
    text.parse::<url::Url>().is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

impl FromStr for ListenUrl {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let bare = text.trim_end_matches('/');
        if is_web_url(bare) && !bare.contains(['?', '#']) {
            Ok(Self(bare.to_owned()))
        } else {
            Err(ValueError::new(text, "write an http or https URL, such as \"https://reports.example.com\""))
        }
    }
}

impl fmt::Display for ListenUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

written_as_text!(ListenUrl);

/// An http(s) URL that may be left empty, with the sentence that refuses anything else.
macro_rules! optional_url {
    ($(#[$about:meta])* $name:ident, $refusal:literal) => {
        $(#[$about])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The URL, where one is configured.
            #[must_use]
            pub fn get(&self) -> Option<&str> {
                (!self.0.is_empty()).then_some(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = ValueError;

            fn from_str(text: &str) -> Result<Self, ValueError> {
                if text.is_empty() || is_web_url(text) {
                    Ok(Self(text.trim_end_matches('/').to_owned()))
                } else {
                    Err(ValueError::new(text, $refusal))
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        written_as_text!($name);
    };
}

optional_url! {
    /// A ClickHouse server's HTTP interface; empty means the embedded one.
    StoreUrl,
    "write the URL of ClickHouse's HTTP interface, such as \"http://clickhouse:8123\", or \"\" for the embedded one"
}

optional_url! {
    /// Where visitors' browsers reach the public listener; empty where nobody has said.
    PublicUrl,
    "write the URL by which visitors' browsers reach Firmsight, such as \"https://stats.example.com\", or \"\" while there is none"
}

optional_url! {
    /// A collector of OpenTelemetry traces; empty means that there are none.
    TracesUrl,
    "write the URL of a collector of OpenTelemetry traces, such as \"http://127.0.0.1:4318\", or \"\" for none"
}

/// A database's name that needs no quoting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DatabaseName(String);

impl DatabaseName {
    pub(super) fn firmsight() -> Self {
        Self("firmsight".to_owned())
    }

    /// The name's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DatabaseName {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let fits = (1..=64).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && !text.starts_with(|first: char| first.is_ascii_digit());
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(ValueError::new(text, "write a name of letters, digits and underscores, such as \"firmsight\""))
        }
    }
}

impl fmt::Display for DatabaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

written_as_text!(DatabaseName);

/// The path of a URL on the public listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UrlPath(String);

impl UrlPath {
    pub(super) fn of_script() -> Self {
        Self("/lfa.js".to_owned())
    }

    pub(super) fn of_endpoint() -> Self {
        Self("/lfa".to_owned())
    }

    /// The path, with its leading slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UrlPath {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let fits = (2..=128).contains(&text.len())
            && text.starts_with('/')
            && !text.ends_with('/')
            && !text.contains("//")
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte));
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(ValueError::new(text, "write a path such as \"/lfa\": a slash, then letters, digits and - _ . ~ /"))
        }
    }
}

impl fmt::Display for UrlPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

written_as_text!(UrlPath);

/// A name server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NameServer(SocketAddr);

impl NameServer {
    /// Address and port, 53 where none was written.
    #[must_use]
    pub const fn get(self) -> SocketAddr {
        self.0
    }
}

impl FromStr for NameServer {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        text.parse::<SocketAddr>()
            .or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::from((ip, 53))))
            .map(Self)
            .map_err(|_| {
                ValueError::new(
                    text,
                    "write an address with or without a port, such as \"9.9.9.9\" or \"127.0.0.1:5353\"",
                )
            })
    }
}

impl fmt::Display for NameServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

written_as_text!(NameServer);

/// A password, token or key: never shown, not even to somebody who debugs.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The secret itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "not set" } else { "set" })
    }
}

/// One of the owner's rules; says what is wrong with it in the words of the rules themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RuleText(OwnerRule);

impl RuleText {
    /// The rule.
    #[must_use]
    pub const fn get(&self) -> &OwnerRule {
        &self.0
    }
}

impl TryFrom<String> for RuleText {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let shown: String = text.chars().take(120).collect();
        text.parse().map(Self).map_err(|error| format!("the rule {shown:?}: {error}"))
    }
}

impl From<RuleText> for String {
    fn from(rule: RuleText) -> Self {
        rule.0.to_string()
    }
}

/// What is logged: a level, or levels by room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LogLevel(String);

impl LogLevel {
    pub(super) fn info() -> Self {
        Self("info".to_owned())
    }

    /// As `tracing-subscriber` wants it.
    #[must_use]
    pub fn filter(&self) -> tracing_subscriber::EnvFilter {
        tracing_subscriber::EnvFilter::new(&self.0)
    }
}

impl FromStr for LogLevel {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        // The library takes any single word for a room's name.
        let levels = ["off", "error", "warn", "info", "debug", "trace"];
        let parts_fit = text.split(',').all(|part| part.contains('=') || levels.contains(&part.trim()));
        if parts_fit && tracing_subscriber::EnvFilter::try_new(text).is_ok() {
            Ok(Self(text.to_owned()))
        } else {
            Err(ValueError::new(
                text,
                "write off, error, warn, info, debug or trace, or levels by room such as \"collector::pipeline=debug,info\"",
            ))
        }
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

written_as_text!(LogLevel);

/// What happens to visits from access providers before DNS was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccessNetworks {
    /// They wait for DNS: companies sit behind providers under their own names.
    AskDns,
    /// They are dropped at the door.
    Drop,
}

/// When a beacon is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpoolSync {
    /// After fsync.
    Always,
    /// After the write; a power cut may lose up to `sync_interval`.
    Interval,
}

/// Kinds of network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NetworkKindSet(Vec<NetworkKind>);

impl NetworkKindSet {
    pub(super) fn companies() -> Self {
        Self(vec![NetworkKind::Business, NetworkKind::Education, NetworkKind::Government])
    }

    /// The kinds, in the order written.
    #[must_use]
    pub fn as_slice(&self) -> &[NetworkKind] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_read_what_they_write() {
        for text in ["200ms", "2s", "30m", "1h", "1h 30m", "25h", "7d", "400d"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
        for text in ["1B", "64KiB", "8MiB", "1GiB", "1536MiB"] {
            assert_eq!(text.parse::<Bytes>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn times_and_sizes_without_unit_zero_or_negative_are_refused() {
        for text in ["", "30", "0s", "-2s", "soon", "9999999h", "0d", "401d", "d", "99999999999999999999d"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
        for text in ["", "1024", "0B", "-1GiB", "much"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
    }

    #[test]
    fn trusted_proxies_are_networks_addresses_or_presets() {
        assert_eq!("loopback".parse(), Ok(TrustedProxy::Loopback));
        assert_eq!("10.1.2.3".parse::<TrustedProxy>().unwrap().to_string(), "10.1.2.3/32");
        assert_eq!("2001:db8::/32".parse::<TrustedProxy>().unwrap().to_string(), "2001:db8::/32");
        let refusal = "cloudfare".parse::<TrustedProxy>().unwrap_err().to_string();
        assert!(refusal.contains("cloudfare") && refusal.contains("\"cloudflare\""), "{refusal}");
    }

    #[test]
    fn paths_that_are_no_plain_url_path_are_refused() {
        for text in ["", "/", "lfa", "/lfa/", "/a//b", "/lfa?x", "/ü", "/a b"] {
            assert!(text.parse::<UrlPath>().is_err(), "{text}");
        }
        assert!("/stats/t.js".parse::<UrlPath>().is_ok());
    }
}
