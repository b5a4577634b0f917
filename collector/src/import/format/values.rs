//! Values of columns: clients, requests, hosts, and what logs write for bytes that would break a line.

use super::LineError;
use crate::spool::record::ClientAddress;
use std::{
    borrow::Cow,
    net::{IpAddr, SocketAddr},
};

/// `-` is how logs write "absent".
pub(super) fn present(text: &str) -> Option<&str> {
    let text = text.trim();
    (!text.is_empty() && text != "-").then_some(text)
}

/// An address, with or without brackets and port.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(ip);
    }
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    bracketed().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
}

/// A host name with a dot in it, lower case, without its last dot; an address is none.
pub(super) fn dotted_host(text: &str) -> Option<String> {
    let name = text.strip_suffix('.').unwrap_or(text);
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let fits = name.len() <= 253
        && name.contains('.')
        && name.split('.').all(is_label)
        && name.bytes().any(|byte| byte.is_ascii_alphabetic())
        && address(name).is_none();
    fits.then(|| name.to_ascii_lowercase())
}

/// Whoever asked: an address, or a host name with a dot from a log with look-ups on.
pub(super) fn client(text: &str) -> Option<ClientAddress> {
    address(text).map(ClientAddress::Ip).or_else(|| dotted_host(text).map(ClientAddress::HostName))
}

/// A host without its port, lower case; `None` where there is none.
pub(super) fn host(text: &str) -> Option<String> {
    let text = present(text)?;
    let bare = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(ip, _)| ip),
        None if text.bytes().filter(|byte| *byte == b':').count() == 1 => {
            text.split_once(':').map_or(text, |(name, _)| name)
        }
        None => text,
    };
    (!bare.is_empty() && bare != "_").then(|| bare.to_ascii_lowercase())
}

/// A status from 100 to 599.
pub(super) fn status(text: &str) -> Result<u16, LineError> {
    text.trim().parse().ok().filter(|status| (100..600).contains(status)).ok_or(LineError::Status)
}

/// The first language of an Accept-Language header.
pub(super) fn language(accept_language: &str) -> String {
    accept_language.split([',', ';']).next().unwrap_or_default().trim().chars().take(35).collect()
}

/// `METHOD target HTTP/version`; HTTP/0.9 has no version. `None` for what is no HTTP: a TLS hello, a port scan.
pub(super) fn request_line(text: &str) -> Option<(&str, &str)> {
    let (method, rest) = text.split_once(' ')?;
    let target = match rest.rsplit_once(' ') {
        Some((target, version)) if version.starts_with("HTTP/") => target,
        _ => rest,
    };
    let target = target.trim();
    let is_http = !method.is_empty() && !target.is_empty() && method.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_http.then_some((method, target))
}

/// Undoes `\"`, `\\`, `\/`, `\xHH` and `\uHHHH`; whatever else follows a backslash stays.
pub(super) fn unescaped(text: Cow<'_, str>) -> Cow<'_, str> {
    if memchr::memchr(b'\\', text.as_bytes()).is_none() {
        return text;
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut left = text.as_bytes();
    while let Some((&first, after)) = left.split_first() {
        left = after;
        if first != b'\\' {
            bytes.push(first);
            continue;
        }
        let code = |digits| after.get(1..).and_then(|text| hexadecimal(text.get(..digits)?));
        let (used, character) = match after.first() {
            Some(b'x') => (3, code(2).map(Unescaped::Byte)),
            Some(b'u') => (5, code(4).map(Unescaped::Character)),
            Some(escaped @ (b'"' | b'\\' | b'/')) => (1, Some(Unescaped::Byte(u32::from(*escaped)))),
            _ => (0, None),
        };
        match character {
            Some(Unescaped::Byte(byte)) => bytes.push(byte as u8),
            Some(Unescaped::Character(code)) => {
                let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                bytes.extend(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            None => {
                bytes.push(first);
                continue;
            }
        }
        left = &after[used..];
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

/// What an escape stands for.
enum Unescaped {
    Byte(u32),
    Character(u32),
}

/// The number that hexadecimal digits spell.
fn hexadecimal(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, byte| Some(number << 4 | char::from(*byte).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_addresses_or_host_names_with_a_dot() {
        let ip = |text: &str| Some(ClientAddress::Ip(text.parse().unwrap()));
        let name = |text: &str| Some(ClientAddress::HostName(text.to_owned()));
        for (text, expected) in [
            ("192.0.2.1", ip("192.0.2.1")),
            ("2001:db8::1", ip("2001:db8::1")),
            ("[2001:db8::1]", ip("2001:db8::1")),
            ("[2001:db8::1]:443", ip("2001:db8::1")),
            ("192.0.2.1:5000", ip("192.0.2.1")),
            ("Proxy.Example.COM.", name("proxy.example.com")),
            ("piweba3y.prodigy.com", name("piweba3y.prodigy.com")),
            ("-", None),
            ("unknown", None),
            ("web-1", None),
            ("", None),
            ("999.1.1.1", None),
            ("a..b", None),
            ("infiniti/128.x", None),
            ("ex ample.com", None),
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
            assert_eq!(request_line(text), expected, "{text:?}");
        }
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

    #[test]
    fn escapes_of_all_servers_are_undone_and_half_ones_stay() {
        for (text, expected) in [
            ("plain", "plain"),
            (r#"\"quoted\" \\ \/"#, r#""quoted" \ /"#),
            (r"a \x22b\x22 \xc3\xa4", "a \"b\" ä"),
            (r"a \u0022b\u0022 \u00e4", "a \"b\" ä"),
            (r"\ud800", "\u{FFFD}"),
            (r"\q \x2 \xzz \u12 \", r"\q \x2 \xzz \u12 \"),
            (r"\xff", "\u{FFFD}"),
        ] {
            assert_eq!(unescaped(Cow::Borrowed(text)), expected, "{text:?}");
        }
    }
}
