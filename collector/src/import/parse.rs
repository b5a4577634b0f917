//! One line to one [`Hit`], and which format a file has.

mod clf;
mod json;

use super::Hit;
use crate::{spool::record::ClientAddress, time::UnixMillis};
use std::{fmt, net::IpAddr};

/// A log format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Apache's and nginx's `combined`, with or without a virtual host in front.
    Combined,
    /// NCSA `common`: no referrer, no user agent.
    Common,
    /// One JSON object a line with nginx's usual variable names.
    Json,
    /// Caddy's JSON access log.
    Caddy,
}

impl Format {
    /// Every format; where lines fit several, the first wins.
    pub const ALL: [Self; 4] = [Self::Combined, Self::Caddy, Self::Json, Self::Common];

    /// The word on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Combined => "combined",
            Self::Common => "common",
            Self::Json => "json",
            Self::Caddy => "caddy",
        }
    }

    /// The format that reads most of these lines; `None` when no format reads any.
    pub fn detect<'a>(lines: impl Iterator<Item = &'a [u8]> + Clone) -> Option<Self> {
        let fits = |format: Self| lines.clone().filter(|line| format.parse(line).is_ok()).count();
        let mut best = None;
        for format in Self::ALL {
            let count = fits(format);
            if count > best.map_or(0, |(most, _)| most) {
                best = Some((count, format));
            }
        }
        best.map(|(_, format)| format)
    }

    /// Reads one line, without its line break.
    ///
    /// # Errors
    /// When the line is not of this format; says what is missing.
    pub fn parse(self, line: &[u8]) -> Result<Hit, LineError> {
        match self {
            Self::Combined => clf::combined(line),
            Self::Common => clf::common(line),
            Self::Json => json::nginx(line),
            Self::Caddy => json::caddy(line),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a line is no hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// The client is neither an address nor a host name.
    #[error("no client address or host name")]
    Client,
    /// The time is missing or not in a known form.
    #[error("no time in a known form")]
    Time,
    /// The request line is missing.
    #[error("no request")]
    Request,
    /// The status is missing or no number from 100 to 599.
    #[error("no status")]
    Status,
    /// The columns of the combined format are missing.
    #[error("no referrer and user agent")]
    Columns,
    /// Not a JSON object.
    #[error("not a JSON object")]
    Json,
    /// A line of Caddy's that is not about a request.
    #[error("not an access log entry")]
    NotAccess,
    /// Longer than [`super::input::MAX_LINE_BYTES`].
    #[error("the line is too long")]
    TooLong,
}

/// Reads a client column: an address (with or without brackets and port) or a host name.
fn client(text: &str) -> Result<ClientAddress, LineError> {
    if let Ok(ip) = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        return Ok(ClientAddress::Ip(ip));
    }
    if let Ok(socket) = text.parse::<std::net::SocketAddr>() {
        return Ok(ClientAddress::Ip(socket.ip()));
    }
    let name = text.trim_end_matches('.').to_ascii_lowercase();
    let fits = (1..=253).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        && name.bytes().any(|byte| byte.is_ascii_alphanumeric())
        && name != "unknown"
        && name.bytes().any(|byte| byte.is_ascii_alphabetic());
    if fits { Ok(ClientAddress::HostName(name)) } else { Err(LineError::Client) }
}

fn status(number: Option<u64>) -> Result<u16, LineError> {
    number
        .and_then(|number| u16::try_from(number).ok())
        .filter(|status| (100..600).contains(status))
        .ok_or(LineError::Status)
}

/// `METHOD target HTTP/version`; HTTP/0.9 has no version.
fn request_line(text: &str) -> Result<(String, String), LineError> {
    let (method, rest) = text.split_once(' ').ok_or(LineError::Request)?;
    let target = match rest.rsplit_once(' ') {
        Some((target, version)) if version.starts_with("HTTP/") => target,
        _ => rest,
    };
    let target = target.trim();
    if method.is_empty() || target.is_empty() || !method.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return Err(LineError::Request);
    }
    Ok((method.to_owned(), target.to_owned()))
}

/// `10/Oct/2000:13:55:36 -0700`, the time of the common log format.
fn common_time(text: &str) -> Result<UnixMillis, LineError> {
    jiff::fmt::strtime::parse("%d/%b/%Y:%H:%M:%S %z", text)
        .and_then(|broken_down| broken_down.to_timestamp())
        .map(|time| UnixMillis(time.as_millisecond()))
        .map_err(|_| LineError::Time)
}

/// RFC 3339 / ISO 8601 with an offset.
fn iso_time(text: &str) -> Result<UnixMillis, LineError> {
    text.parse::<jiff::Timestamp>().map(|time| UnixMillis(time.as_millisecond())).map_err(|_| LineError::Time)
}

/// Unix time in seconds (with fraction) or, where it is too large for that, milliseconds.
fn unix_time(number: f64) -> Result<UnixMillis, LineError> {
    let milliseconds = if number < 1e11 { number * 1000.0 } else { number };
    if (0.0..4.2e12).contains(&milliseconds) {
        Ok(UnixMillis(milliseconds.round() as i64))
    } else {
        Err(LineError::Time)
    }
}

/// A host without its port, lower case; `None` where there is none.
fn host(text: &str) -> Option<String> {
    let text = text.trim();
    let bare = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(ip, _)| ip),
        None if text.matches(':').count() == 1 => text.split_once(':').map_or(text, |(name, _)| name),
        None => text,
    };
    (!bare.is_empty() && bare != "-" && bare != "_").then(|| bare.to_ascii_lowercase())
}

fn language(accept_language: &str) -> String {
    accept_language.split([',', ';']).next().unwrap_or_default().trim().chars().take(35).collect()
}

/// `-` is how logs write "absent".
fn absent_is_empty(text: &str) -> &str {
    if text == "-" { "" } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_addresses_or_host_names() {
        let ip = |text: &str| Ok(ClientAddress::Ip(text.parse().unwrap()));
        let name = |text: &str| Ok(ClientAddress::HostName(text.to_owned()));
        for (text, expected) in [
            ("192.0.2.1", ip("192.0.2.1")),
            ("2001:db8::1", ip("2001:db8::1")),
            ("[2001:db8::1]", ip("2001:db8::1")),
            ("[2001:db8::1]:443", ip("2001:db8::1")),
            ("192.0.2.1:5000", ip("192.0.2.1")),
            ("Proxy.Example.COM.", name("proxy.example.com")),
            ("piweba3y.prodigy.com", name("piweba3y.prodigy.com")),
            ("-", Err(LineError::Client)),
            ("unknown", Err(LineError::Client)),
            ("", Err(LineError::Client)),
            ("999.1.1.1", Err(LineError::Client)),
            ("infiniti/128", Err(LineError::Client)),
            ("ex ample", Err(LineError::Client)),
        ] {
            assert_eq!(client(text), expected, "{text:?}");
        }
    }

    #[test]
    fn request_lines_with_spaces_and_without_version_are_read() {
        for (text, expected) in [
            ("GET / HTTP/1.1", Some(("GET", "/"))),
            ("GET /a b HTTP/1.0", Some(("GET", "/a b"))),
            ("GET /old", Some(("GET", "/old"))),
            ("GET  HTTP/1.0", None),
            ("-", None),
            ("", None),
            ("\u{16}\u{3}\u{1} x", None),
        ] {
            let found = request_line(text).ok();
            assert_eq!(found.as_ref().map(|(method, target)| (method.as_str(), target.as_str())), expected, "{text:?}");
        }
    }

    #[test]
    fn times_are_read_in_all_their_forms() {
        assert_eq!(common_time("10/Oct/2000:13:55:36 -0700"), Ok(UnixMillis(971_211_336_000)));
        assert_eq!(iso_time("2024-05-01T12:00:00+02:00"), Ok(UnixMillis(1_714_557_600_000)));
        assert_eq!(unix_time(1_646_861_401.524), Ok(UnixMillis(1_646_861_401_524)));
        assert_eq!(unix_time(1_646_861_401_524.0), Ok(UnixMillis(1_646_861_401_524)));
        for text in ["", "32/Oct/2000:13:55:36 -0700", "10/Oct/2000 13:55:36", "now"] {
            assert_eq!(common_time(text), Err(LineError::Time), "{text:?}");
        }
        assert_eq!(unix_time(f64::NAN), Err(LineError::Time));
    }

    #[test]
    fn hosts_lose_port_and_letter_case() {
        for (text, expected) in [
            ("Example.com:8443", Some("example.com")),
            ("[2001:db8::1]:80", Some("2001:db8::1")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("-", None),
            ("_", None),
            ("", None),
        ] {
            assert_eq!(host(text).as_deref(), expected, "{text:?}");
        }
    }

    const COMBINED: &[u8] = br#"192.0.2.1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 5 "-" "Mozilla/5.0""#;
    const COMMON: &[u8] = br#"192.0.2.1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 5"#;
    const JSON: &[u8] = br#"{"remote_addr":"192.0.2.1","time_iso8601":"2024-05-01T12:00:00+02:00","request":"GET / HTTP/1.1","status":"200"}"#;
    const CADDY: &[u8] = br#"{"level":"info","ts":1646861401.5,"logger":"http.log.access","msg":"handled request","request":{"remote_ip":"192.0.2.1","method":"GET","host":"example.com","uri":"/","headers":{}},"status":200}"#;

    #[test]
    fn the_format_is_the_one_that_reads_most_lines() {
        for (lines, expected) in [
            (&[COMBINED, COMBINED, b"garbage"][..], Some(Format::Combined)),
            (&[COMMON], Some(Format::Common)),
            (&[JSON], Some(Format::Json)),
            (&[CADDY, b"{\"msg\":\"serving initial configuration\"}"], Some(Format::Caddy)),
            (&[COMMON, COMMON, COMBINED], Some(Format::Common)),
            (&[b"\x7fELF", b"hello"], None),
            (&[], None),
        ] {
            assert_eq!(Format::detect(lines.iter().copied()), expected);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_line_makes_a_parser_panic(line in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            for format in Format::ALL {
                drop(format.parse(&line));
            }
        }

        #[test]
        fn no_damaged_line_makes_a_parser_panic(position in 0usize..400, byte in proptest::num::u8::ANY) {
            for line in [COMBINED, COMMON, JSON, CADDY] {
                let mut line = line.to_vec();
                let position = position % line.len();
                line[position] = byte;
                for format in Format::ALL {
                    drop(format.parse(&line));
                }
            }
        }
    }
}
