//! The NCSA common log format and what Apache and nginx made of it.
//!
//! `[vhost[:port] ]client ident user [time] "request" status bytes[ "referrer" "user agent"[ …]]`

use super::{Hit, LineError, absent_is_empty, common_time, host, request_line, status};
use std::borrow::Cow;

/// With referrer and user agent; columns after them are ignored.
pub(super) fn combined(line: &[u8]) -> Result<Hit, LineError> {
    let (mut hit, rest) = front(line)?;
    let (referrer, rest) = quoted(rest.trim_start()).ok_or(LineError::Columns)?;
    let (user_agent, _) = quoted(rest.trim_start()).ok_or(LineError::Columns)?;
    absent_is_empty(&referrer).clone_into(&mut hit.referrer);
    hit.user_agent = Some(absent_is_empty(&user_agent).to_owned());
    Ok(hit)
}

/// Up to the bytes; whatever follows is ignored.
pub(super) fn common(line: &[u8]) -> Result<Hit, LineError> {
    front(line).map(|(hit, _)| hit)
}

/// The columns both formats share, and what follows them.
fn front(line: &[u8]) -> Result<(Hit, String), LineError> {
    let line = String::from_utf8_lossy(line);
    // A user name may hold spaces, so the bracket is looked for, not counted to.
    let (names, rest) = line.split_once(" [").ok_or(LineError::Time)?;
    let (time, rest) = rest.split_once(']').ok_or(LineError::Time)?;
    let mut columns = names.split_whitespace();
    let first = columns.next().ok_or(LineError::Client)?;
    // With a virtual host in front the second column is the client and not the ident, which is "-"
    // on practically every server.
    let (host, client) = match columns.next() {
        Some(second) if names.split_whitespace().count() >= 4 && second != "-" => match super::client(second) {
            Ok(client) => (host(first), client),
            Err(_) => (None, super::client(first)?),
        },
        _ => (None, super::client(first)?),
    };
    let (request, rest) = quoted(rest.trim_start()).ok_or(LineError::Request)?;
    let mut columns = rest.trim_start().splitn(3, ' ');
    let status = status(columns.next().and_then(|column| column.parse().ok()))?;
    let _bytes = columns.next();
    let rest = columns.next().unwrap_or_default().to_owned();
    let at = common_time(time)?;
    // A request that is no HTTP (a TLS hello, a port scan) is a hit that is no page, not a damaged line.
    let (method, target) = request_line(&request).unwrap_or_default();
    let hit = Hit {
        client,
        at,
        method,
        target,
        status,
        host,
        referrer: String::new(),
        user_agent: None,
        language: String::new(),
    };
    Ok((hit, rest))
}

/// A quoted column, with `\"`, `\\` and `\xHH` undone, and what follows it.
fn quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let text = text.strip_prefix('"')?;
    let mut escaped = false;
    let end = text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })?;
    let (inside, rest) = (&text[..end], &text[end + 1..]);
    if !inside.contains('\\') {
        return Some((Cow::Borrowed(inside), rest));
    }
    let mut bytes = Vec::with_capacity(inside.len());
    let mut left = inside.as_bytes();
    while let Some((&first, after)) = left.split_first() {
        let (byte, next) = match (first, after) {
            (b'\\', [b'x', high, low, rest @ ..]) => match hexadecimal(*high, *low) {
                Some(byte) => (byte, rest),
                None => (first, after),
            },
            (b'\\', [escaped @ (b'"' | b'\\'), rest @ ..]) => (*escaped, rest),
            _ => (first, after),
        };
        bytes.push(byte);
        left = next;
    }
    Some((Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()), rest))
}

fn hexadecimal(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{spool::record::ClientAddress, time::UnixMillis};

    const TIME: &str = "[10/Oct/2000:13:55:36 -0700]";

    fn hit() -> Hit {
        Hit {
            client: ClientAddress::Ip("192.0.2.7".parse().unwrap()),
            at: UnixMillis(971_211_336_000),
            method: "GET".into(),
            target: "/page?q=1".into(),
            status: 200,
            host: None,
            referrer: "https://example.org/".into(),
            user_agent: Some("Mozilla/5.0".into()),
            language: String::new(),
        }
    }

    #[test]
    fn combined_lines_are_read_with_all_that_servers_add() {
        let rest = "\"GET /page?q=1 HTTP/1.1\" 200 2326 \"https://example.org/\" \"Mozilla/5.0\"";
        for (line, expected) in [
            (format!("192.0.2.7 - - {TIME} {rest}"), hit()),
            (format!("192.0.2.7 - frank {TIME} {rest}"), hit()),
            (format!("192.0.2.7 - a user {TIME} {rest}"), hit()),
            (format!("192.0.2.7 - - {TIME} {rest} \"203.0.113.9\" 0.005"), hit()),
            (
                format!("www.example.com:443 192.0.2.7 - - {TIME} {rest}"),
                Hit { host: Some("www.example.com".into()), ..hit() },
            ),
            (
                format!("192.0.2.7 - - {TIME} \"GET /page?q=1 HTTP/1.1\" 200 - \"-\" \"-\""),
                Hit { referrer: String::new(), user_agent: Some(String::new()), ..hit() },
            ),
            (
                format!("192.0.2.7 - - {TIME} \"GET /\\\"\\\\ HTTP/1.1\" 200 1 \"\" \"a \\xc3\\xa4 \\q\""),
                Hit { target: "/\"\\".into(), referrer: String::new(), user_agent: Some("a ä \\q".into()), ..hit() },
            ),
            (
                format!("192.0.2.7 - - {TIME} \"\\x16\\x03\" 400 1 \"\" \"x\""),
                Hit {
                    method: String::new(),
                    target: String::new(),
                    status: 400,
                    referrer: String::new(),
                    user_agent: Some("x".into()),
                    ..hit()
                },
            ),
        ] {
            assert_eq!(combined(line.as_bytes()), Ok(expected), "{line}");
        }
    }

    #[test]
    fn common_lines_have_no_user_agent() {
        let line = format!("host.example.com - - {TIME} \"GET /page?q=1 HTTP/1.0\" 304 -");
        let expected = Hit {
            client: ClientAddress::HostName("host.example.com".into()),
            status: 304,
            referrer: String::new(),
            user_agent: None,
            ..hit()
        };
        assert_eq!(common(line.as_bytes()), Ok(expected));
        assert_eq!(combined(line.as_bytes()), Err(LineError::Columns));
    }

    #[test]
    fn damaged_lines_say_what_is_missing() {
        for (line, expected) in [
            (String::new(), LineError::Time),
            ("192.0.2.7 - -".to_owned(), LineError::Time),
            (format!("- - - {TIME} \"GET / HTTP/1.1\" 200 1"), LineError::Client),
            (format!("192.0.2.7 - - {TIME} GET /"), LineError::Request),
            (format!("192.0.2.7 - - {TIME} \"GET /"), LineError::Request),
            (format!("192.0.2.7 - - {TIME} \"GET / HTTP/1.1\""), LineError::Status),
            (format!("192.0.2.7 - - {TIME} \"GET / HTTP/1.1\" 20 1"), LineError::Status),
            ("192.0.2.7 - - [yesterday] \"GET / HTTP/1.1\" 200 1".to_owned(), LineError::Time),
        ] {
            assert_eq!(common(line.as_bytes()), Err(expected), "{line}");
        }
    }
}
