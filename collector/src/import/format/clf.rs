//! The NCSA common log format and what Apache, nginx and others made of it.
//!
//! ```text
//! line    = front " [" time "]" SP quoted-request SP status SP bytes [ SP further ]
//! front   = client SP ident SP user | host SP client SP ident SP user | client SP host SP user
//! further = quoted-referrer SP quoted-agent [ SP quoted-list ] [ SP whatever ] | columns-without-quotes
//! ```
//!
//! The client is told by the grammar alone: an ident is neither an address nor a host name with a dot, so that of two words
//! one is the host and the other the client. Two addresses, or two host names, can be either way round; such a line is refused,
//! and `--log-format` says which is which. A user name may hold spaces.

use super::{
    Format, LineError,
    columns::{Column, Columns},
    times::TimeForm,
    values::{address, dotted_host, present},
};
use std::borrow::Cow;

/// Reads a line; `format` is [`Format::Common`], [`Format::Combined`], or another for whichever of the two fits.
pub(super) fn read(line: &str, format: Option<Format>) -> Result<Columns<'_>, LineError> {
    let mut columns = Columns::escaped(TimeForm::COMMON);
    let bracket = memchr::memchr_iter(b'[', line.as_bytes())
        .find(|at| at.checked_sub(1).is_some_and(|before| line.as_bytes()[before] == b' '));
    let bracket = bracket.ok_or(LineError::Time)?;
    front(&mut columns, line, &line[..bracket - 1])?;

    let rest = &line[bracket + 1..];
    let end = memchr::memchr(b']', rest.as_bytes()).ok_or(LineError::Time)?;
    columns.set_part(Column::Time, line, &rest[..end]);
    let (request, rest) = quoted(rest[end + 1..].trim_start()).ok_or(LineError::Request)?;
    columns.set_part(Column::Request, line, request);
    let (status, rest) = word(rest);
    if status.is_empty() {
        return Err(LineError::Status);
    }
    columns.set_part(Column::Status, line, status);
    let (_bytes, rest) = word(rest);
    let further = rest.trim_start();

    if format == Some(Format::Common) {
        return Ok(columns);
    }
    if !further.starts_with('"') && format != Some(Format::Combined) {
        columns.leave_open();
        // Times and sizes behind the common columns are none of ours; a quoted one could be anything.
        return if further.contains('"') { Err(LineError::Columns) } else { Ok(columns) };
    }
    let (referrer, rest) = quoted(further).ok_or(LineError::Columns)?;
    let (user_agent, rest) = quoted(rest.trim_start()).ok_or(LineError::Columns)?;
    columns.set_part(Column::Referrer, line, referrer);
    columns.set_part(Column::UserAgent, line, user_agent);
    // nginx's packages come with "$http_x_forwarded_for" here.
    if let Some((list, _)) = quoted(rest.trim_start()).filter(|(list, _)| is_list_of_addresses(list)) {
        // Not part of what the line is told by: a line that was cut before it is the same line.
        columns.set(Column::Forwarded, Cow::Borrowed(list));
    }
    Ok(columns)
}

/// The names before the time.
fn front<'a>(columns: &mut Columns<'a>, line: &str, names: &'a str) -> Result<(), LineError> {
    let (first, rest) = client_or_list(names);
    let (second, after) = client_or_list(rest);
    let (third, _) = word(after);
    let (first_word, second_word) = (Word::of(first), Word::of(second));
    let (host, client) = match (first_word, second_word) {
        (Word::Other, _) => return Err(LineError::Client),
        // Two of a kind: nothing in the line tells the client.
        (Word::Address, Word::Address) | (Word::Host, Word::Host) => return Err(LineError::TwoClients),
        (Word::Host | Word::Absent, Word::Address) => (Some(first), second),
        (Word::Address, Word::Host) => (Some(second), first),
        // Three words are client, host and user; four are host, client, ident and user.
        (Word::Absent, Word::Host) if after.trim().contains(' ') => (None, second),
        (Word::Absent, Word::Host) => (Some(second), first),
        _ => (None, first),
    };
    if second.is_empty() || third.is_empty() {
        return Err(LineError::Front);
    }
    columns.set_part(Column::Client, line, client);
    if let Some(host) = host.and_then(present) {
        columns.set_part(Column::Host, line, host);
    }
    Ok(())
}

/// What a word of the front can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    /// An address or a list of them.
    Address,
    /// A host name with a dot.
    Host,
    /// `-`.
    Absent,
    /// An ident, a user.
    Other,
}

impl Word {
    fn of(word: &str) -> Self {
        if word == "-" {
            Self::Absent
        } else if address(word).is_some() || (word.contains(',') && is_list_of_addresses(word)) {
            Self::Address
        } else if dotted_host(without_port(word)).is_some() {
            Self::Host
        } else {
            Self::Other
        }
    }
}

fn without_port(word: &str) -> &str {
    match word.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => word,
    }
}

/// Addresses as X-Forwarded-For has them; at least one of them is known.
fn is_list_of_addresses(text: &str) -> bool {
    let mut parts = text.split(',').map(str::trim);
    parts.clone().all(|part| part == "unknown" || address(part).is_some()) && parts.any(|part| part != "unknown")
}

/// The next word, to which a list's further parts belong, and what follows it.
fn client_or_list(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let ends = memchr::memchr_iter(b' ', text.as_bytes());
    let end = ends.into_iter().find(|end| !text[..*end].ends_with(',')).unwrap_or(text.len());
    text.split_at(end)
}

fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    text.split_at(memchr::memchr(b' ', text.as_bytes()).unwrap_or(text.len()))
}

/// A quoted column as it is written, and what follows it.
pub(super) fn quoted(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix('"')?;
    let end = quoted_end(inside)?;
    Some((&inside[..end], &inside[end + 1..]))
}

/// Where the quote is that no backslash escapes.
pub(super) fn quoted_end(inside: &str) -> Option<usize> {
    let bytes = inside.as_bytes();
    memchr::memchr_iter(b'"', bytes).find(|end| {
        let backslashes = bytes[..*end].iter().rev().take_while(|byte| **byte == b'\\').count();
        backslashes.is_multiple_of(2)
    })
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Hit, columns::Reading},
        *,
    };
    use crate::{spool::record::ClientAddress, time::UnixMillis};

    const TIME: &str = "[10/Oct/2000:13:55:36 -0700]";

    fn common(line: &str) -> Result<Hit<'_>, LineError> {
        read(line, Some(Format::Common))?.into_hit(&Reading::default())
    }

    fn either(line: &str) -> Result<Hit<'_>, LineError> {
        read(line, None)?.into_hit(&Reading::default())
    }

    fn hit() -> Hit<'static> {
        Hit {
            client: Some(ClientAddress::Ip("192.0.2.7".parse().unwrap())),
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
        let with_host = || Hit { host: Some("www.example.com".into()), ..hit() };
        for (line, expected) in [
            (format!("192.0.2.7 - - {TIME} {rest}"), hit()),
            (format!("192.0.2.7 - frank {TIME} {rest}"), hit()),
            (format!("192.0.2.7 - a user {TIME} {rest}"), hit()),
            (format!("192.0.2.7 - - {TIME} {rest} \"203.0.113.9\" 0.005"), hit()),
            (format!("192.0.2.7 - - {TIME} {rest} 17 \"router@docker\" \"http://10.0.0.3:80\" 1ms"), hit()),
            (format!("www.example.com:443 192.0.2.7 - - {TIME} {rest}"), with_host()),
            (format!("192.0.2.7 www.example.com - {TIME} {rest}"), with_host()),
            (format!("192.0.2.7 www.example.com frank {TIME} {rest}"), with_host()),
            (format!("- 192.0.2.7 - - {TIME} {rest}"), hit()),
            (format!("- - - {TIME} {rest}"), Hit { client: None, ..hit() }),
            (format!("203.0.113.5, 192.0.2.7 - - {TIME} {rest}"), hit()),
            (format!("www.example.com 203.0.113.5, 192.0.2.7 - - {TIME} {rest}"), with_host()),
            (
                format!("192.0.2.7 - - {TIME} \"GET /page?q=1 HTTP/1.1\" 200 - \"-\" \"-\""),
                Hit { referrer: "".into(), user_agent: Some("".into()), ..hit() },
            ),
            (
                format!("192.0.2.7 - - {TIME} \"GET /\\\"\\\\ HTTP/1.1\" 200 1 \"\" \"a \\xc3\\xa4 \\q\""),
                Hit { target: "/\"\\".into(), referrer: "".into(), user_agent: Some("a ä \\q".into()), ..hit() },
            ),
            (
                format!("192.0.2.7 - - {TIME} \"\\x16\\x03\" 400 1 \"\" \"x\""),
                Hit {
                    method: "".into(),
                    target: "".into(),
                    status: 400,
                    referrer: "".into(),
                    user_agent: Some("x".into()),
                    ..hit()
                },
            ),
        ] {
            assert_eq!(either(&line), Ok(expected), "{line}");
        }
    }

    #[test]
    fn the_list_behind_the_user_agent_counts_when_the_client_is_a_trusted_proxy() {
        let line = format!(
            "10.0.0.1 - - {TIME} \"GET / HTTP/1.1\" 200 5 \"-\" \"Mozilla/5.0\" \"1.1.1.1, 203.0.113.9, 10.0.0.2\""
        );
        let mut reading = Reading::default();
        let client = |reading: &Reading| read(&line, None).unwrap().into_hit(reading).unwrap().client;
        let ip = |text: &str| Some(ClientAddress::Ip(text.parse().unwrap()));
        assert_eq!(client(&reading), ip("10.0.0.1"));
        reading.trust.networks.push("10.0.0.0/8".parse().unwrap());
        assert_eq!(client(&reading), ip("203.0.113.9"));
    }

    #[test]
    fn common_lines_have_no_user_agent() {
        let line = format!("host.example.com - - {TIME} \"GET /page?q=1 HTTP/1.0\" 304 -");
        let expected = Hit {
            client: Some(ClientAddress::HostName("host.example.com".into())),
            status: 304,
            referrer: "".into(),
            user_agent: None,
            ..hit()
        };
        assert_eq!(either(&line), Ok(expected.clone()));
        assert_eq!(either(&format!("{line} 0.005 17")), Ok(expected.clone()));
        assert_eq!(common(&format!("{line} \"Mozilla\"")), Ok(expected));
        assert_eq!(read(&line, Some(Format::Combined)).err(), Some(LineError::Columns));
    }

    #[test]
    fn whatever_leaves_the_client_or_a_column_open_is_refused_and_not_guessed() {
        let request = "\"GET / HTTP/1.1\" 200 1";
        for (line, expected) in [
            (String::new(), LineError::Time),
            ("192.0.2.7 - -".to_owned(), LineError::Time),
            (format!("web-1 - - {TIME} {request}"), LineError::Client),
            (format!("web-1 192.0.2.7 - - {TIME} {request}"), LineError::Client),
            (format!("1714557600 192.0.2.7 - {TIME} {request}"), LineError::Client),
            (format!("10.0.0.1 192.0.2.7 - - {TIME} {request}"), LineError::TwoClients),
            (format!("www.example.com host.example.org - - {TIME} {request}"), LineError::TwoClients),
            (format!("192.0.2.7 {TIME} {request}"), LineError::Front),
            (format!("192.0.2.7 - {TIME} {request}"), LineError::Front),
            (format!("192.0.2.7 - - {TIME} {request} \"Mozilla/5.0\""), LineError::Columns),
            (format!("192.0.2.7 - - {TIME} {request} 0.5 \"-\" \"Mozilla/5.0\""), LineError::Columns),
            (format!("192.0.2.7 - - {TIME} GET /"), LineError::Request),
            (format!("192.0.2.7 - - {TIME} \"GET /"), LineError::Request),
            (format!("192.0.2.7 - - {TIME} \"GET / HTTP/1.1\""), LineError::Status),
            (format!("192.0.2.7 - - {TIME} \"GET / HTTP/1.1\" 20 1"), LineError::Status),
            (format!("192.0.2.7 - - [yesterday] {request}"), LineError::Time),
        ] {
            assert_eq!(either(&line), Err(expected), "{line}");
        }
    }
}
