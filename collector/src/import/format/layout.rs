//! A line as text between columns: what `log_format` of nginx and `LogFormat` of Apache describe, compiled.

use super::{
    LineError,
    clf::quoted_end,
    columns::{Column, Columns},
    times::TimeForm,
};
use std::fmt;

/// A compiled layout: literal texts and columns in turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    pieces: Vec<Piece>,
    time_form: TimeForm,
    /// Further text may follow the last piece.
    is_open_ended: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    /// A column, or what is none of ours.
    Column(Option<Column>),
}

/// A log format that can't be read by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// Two columns touch, so that nothing says where one ends.
    #[error("nothing stands between {0} and {1}, so that nothing says where one ends and the other begins")]
    NoSeparator(String, String),
    /// A column that every hit must have is missing.
    #[error("{0}")]
    Missing(&'static str),
    /// A directive that the syntax doesn't have.
    #[error("{0:?} is no directive of LogFormat")]
    Directive(String),
    /// A quote or bracket is not closed.
    #[error("a quote or a brace is not closed")]
    Unclosed,
    /// Neither syntax.
    #[error("it has neither a $variable of nginx's log_format nor a %directive of Apache's LogFormat")]
    NoColumns,
}

/// Pieces as a syntax gives them, one after the other.
#[derive(Debug, Default)]
pub(super) struct Builder {
    pieces: Vec<Piece>,
    /// The last column's name as written, where no literal followed it yet.
    open: Option<String>,
    time_form: Option<TimeForm>,
}

impl Builder {
    pub(super) fn literal(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.open = None;
        match self.pieces.last_mut() {
            Some(Piece::Literal(last)) => last.push_str(text),
            _ => self.pieces.push(Piece::Literal(text.to_owned())),
        }
    }

    pub(super) fn column(&mut self, column: Option<Column>, name: impl fmt::Display) -> Result<(), LayoutError> {
        let name = name.to_string();
        if let Some(before) = self.open.replace(name.clone()) {
            return Err(LayoutError::NoSeparator(before, name));
        }
        let is_there = column.is_some() && self.has(column);
        // A header that stands twice says the same twice.
        self.pieces.push(Piece::Column(column.filter(|_| !is_there)));
        Ok(())
    }

    /// A query, which often follows its path with nothing between them: `%U%q`, `$uri$is_args$args`.
    pub(super) fn query(&mut self, name: impl fmt::Display) -> Result<(), LayoutError> {
        match self.pieces.last_mut() {
            Some(Piece::Column(Some(column @ (Column::Path | Column::Target)))) => {
                *column = Column::Target;
                Ok(())
            }
            _ => self.column(Some(Column::Query), name),
        }
    }

    pub(super) fn time(&mut self, form: TimeForm, name: impl fmt::Display) -> Result<(), LayoutError> {
        // A time in parts, `%{%Y-%m-%d}t %{%T}t`, is read as one.
        if let (Some(TimeForm::Strftime(before)), TimeForm::Strftime(part)) = (&mut self.time_form, &form)
            && let [.., Piece::Column(Some(Column::Time)), Piece::Literal(between)] = self.pieces.as_slice()
        {
            before.push_str(between);
            before.push_str(part);
            self.pieces.pop();
            self.open = Some(name.to_string());
            return Ok(());
        }
        if self.time_form.is_some() {
            return self.column(None, name);
        }
        self.time_form = Some(form);
        self.column(Some(Column::Time), name)
    }

    fn has(&self, column: Option<Column>) -> bool {
        self.pieces.contains(&Piece::Column(column))
    }

    pub(super) fn build(self) -> Result<Layout, LayoutError> {
        let has = |any: &[Column]| any.iter().any(|column| self.has(Some(*column)));
        if !has(&[Column::Client, Column::ClientAndPort, Column::Forwarded]) {
            return Err(LayoutError::Missing(
                "it has no client: $remote_addr or $http_x_forwarded_for, %h, %a or %{X-Forwarded-For}i",
            ));
        }
        if !has(&[Column::Request, Column::Target, Column::Path]) {
            return Err(LayoutError::Missing("it has no request: $request, $request_uri or $uri, %r or %U"));
        }
        let time_form = self
            .time_form
            .ok_or(LayoutError::Missing("it has no time: $time_local, $time_iso8601 or $msec, %t or %{…}t"))?;
        Ok(Layout { pieces: self.pieces, time_form, is_open_ended: false })
    }
}

impl Layout {
    /// The same, where further text may follow.
    pub(super) fn open_ended(self) -> Self {
        Self { is_open_ended: true, ..self }
    }

    /// How often a text stands inside a time of this layout.
    fn inside_time(&self, text: &str) -> usize {
        match &self.time_form {
            TimeForm::Common => "10/Oct/2000:13:55:36 -0700".matches(text).count(),
            TimeForm::Strftime(directives) => directives.matches(text).count(),
            _ => 0,
        }
    }

    /// Reads a line that looks so from its first byte to its last.
    pub(super) fn read<'a>(&'a self, line: &'a str) -> Result<Columns<'a>, LineError> {
        let mut columns = Columns::escaped(&self.time_form);
        let mut rest = line;
        let mut is_quoted = false;
        let mut pieces = self.pieces.iter().peekable();
        while let Some(piece) = pieces.next() {
            match piece {
                Piece::Literal(literal) => {
                    rest = rest.strip_prefix(literal.as_str()).ok_or(LineError::Layout)?;
                    is_quoted = literal.ends_with('"');
                }
                Piece::Column(column) => {
                    let end = match pieces.peek() {
                        Some(Piece::Literal(next)) => {
                            let inside = if *column == Some(Column::Time) { self.inside_time(next) } else { 0 };
                            column_end(rest, next, is_quoted, inside).ok_or(LineError::Layout)?
                        }
                        _ if self.is_open_ended => memchr::memchr(b' ', rest.as_bytes()).unwrap_or(rest.len()),
                        _ => rest.len(),
                    };
                    if let Some(column) = column {
                        columns.set_part(*column, line, &rest[..end]);
                    }
                    rest = &rest[end..];
                }
            }
        }
        if rest.trim().is_empty() || self.is_open_ended { Ok(columns) } else { Err(LineError::Layout) }
    }
}

/// Where a column ends: at the literal that follows it, neither inside a quoted text nor after a list's comma, after as many
/// of the same as the column has inside.
fn column_end(text: &str, next: &str, is_quoted: bool, inside: usize) -> Option<usize> {
    if is_quoted && next.starts_with('"') {
        return quoted_end(text);
    }
    memchr::memmem::find_iter(text.as_bytes(), next.as_bytes())
        .filter(|end| !(next.starts_with(' ') && text[..*end].ends_with(',')))
        .nth(inside)
}

#[cfg(test)]
mod tests {
    use super::super::{Hit, columns::Reading, compile};
    use crate::{spool::record::ClientAddress, time::UnixMillis};

    const AGENT: &str = "Mozilla/5.0 (X11; \\\"x\\\")";

    fn hit() -> Hit<'static> {
        Hit {
            client: Some(ClientAddress::Ip("192.0.2.7".parse().unwrap())),
            at: UnixMillis(971_211_336_000),
            method: "GET".into(),
            target: "/page?q=1".into(),
            status: 200,
            host: None,
            referrer: "".into(),
            user_agent: None,
            language: String::new(),
        }
    }

    #[test]
    fn formats_of_nginx_and_apache_are_compiled_and_read() {
        let with_agent = || Hit { user_agent: Some("Mozilla/5.0 (X11; \"x\")".into()), ..hit() };
        let with_host = || Hit { host: Some("www.example.com".into()), ..with_agent() };
        for (format, line, expected) in [
            // nginx
            (
                "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \"$http_referer\" \"$http_user_agent\"",
                format!(
                    "192.0.2.7 - a user [10/Oct/2000:13:55:36 -0700] \"GET /page?q=1 HTTP/1.1\" 200 5 \"-\" \"{AGENT}\""
                ),
                with_agent(),
            ),
            (
                "log_format main '$http_x_forwarded_for $host ' \n  '[$time_iso8601] \"$request_method ${request_uri}\" $status '\n '\"$http_user_agent\"';",
                format!(
                    "203.0.113.5, 192.0.2.7 www.example.com [2000-10-10T13:55:36-07:00] \"GET /page?q=1\" 200 \"{AGENT}\""
                ),
                with_host(),
            ),
            (
                "{\"ip\":\"$remote_addr\",\"t\":$msec,\"u\":\"$uri$is_args$args\",\"ua\":\"$http_user_agent\",\"s\":\"$status\"}",
                format!(
                    "{{\"ip\":\"192.0.2.7\",\"t\":971211336.000,\"u\":\"/page?q=1\",\"ua\":\"{AGENT}\",\"s\":\"200\"}}"
                ),
                with_agent(),
            ),
            (
                "$time_local|$remote_addr|$request|$status|$request_time",
                "10/Oct/2000:13:55:36 -0700|192.0.2.7|GET /page?q=1 HTTP/1.1|200|0.001".to_owned(),
                hit(),
            ),
            (
                "$time_local $remote_addr $uri $args $request_time",
                "10/Oct/2000:13:55:36 -0700 192.0.2.7 /page q=1 0.001".to_owned(),
                hit(),
            ),
            // Apache
            (
                "%v:%p %h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\"",
                format!(
                    "www.example.com:443 192.0.2.7 - - [10/Oct/2000:13:55:36 -0700] \"GET /page?q=1 HTTP/1.1\" 200 5 \"-\" \"{AGENT}\""
                ),
                with_host(),
            ),
            (
                "LogFormat \"%{X-Forwarded-For}i %h %t \\\"%m %U%q %H\\\" %>s \\\"%{User-agent}i\\\" %{UNIQUE_ID}e\" mine",
                format!("192.0.2.7 10.0.0.1 [10/Oct/2000:13:55:36 -0700] \"GET /page?q=1 HTTP/2.0\" 200 \"{AGENT}\" x"),
                Hit { client: Some(ClientAddress::Ip("10.0.0.1".parse().unwrap())), ..with_agent() },
            ),
            (
                "%a %{%Y-%m-%d}t %{%H:%M:%S %z}t %!200,304{Referer}i %400,501s %>s %m %U %q",
                "192.0.2.7 2000-10-10 13:55:36 -0700 - - 200 GET /page ?q=1".to_owned(),
                hit(),
            ),
            (
                "%h %{sec}t.%{msec_frac}t %^ti \"%r\" 100%%",
                "192.0.2.7 971211336.000 - \"GET /page?q=1 HTTP/1.1\" 100%".to_owned(),
                hit(),
            ),
        ] {
            let layout = compile(format, "x-forwarded-for").unwrap_or_else(|error| panic!("{format}: {error}"));
            let read = layout.read(&line).and_then(|columns| columns.into_hit(&Reading::default()));
            assert_eq!(read, Ok(expected), "{format}: {line}");
            assert!(layout.read(&line[..line.len() / 2]).is_err(), "{format}");
        }
    }

    #[test]
    fn a_format_that_can_not_be_read_by_says_why() {
        for (format, part) in [
            ("$remote_addr$time_local $request", "nothing stands between"),
            ("$time_local $request", "no client"),
            ("$remote_addr $request", "no time"),
            ("$remote_addr $msec", "no request"),
            ("log_format main '$remote_addr", "not closed"),
            ("%h %t %", "not closed"),
            ("%h %t \"%r\" %?", "no directive"),
            ("%{User-Agent", "not closed"),
            ("combined", "neither"),
        ] {
            let error = compile(format, "x-forwarded-for").unwrap_err().to_string();
            assert!(error.contains(part), "{format}: {error}");
        }
    }

    #[test]
    fn the_configured_header_names_the_client_and_others_do_not() {
        let format = "$remote_addr [$time_local] \"$request\" $http_cf_connecting_ip";
        let line = "10.0.0.1 [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.1\" 192.0.2.7";
        let mut reading = Reading::default();
        reading.trust.networks.push("10.0.0.0/8".parse().unwrap());
        for (header, expected) in [("x-forwarded-for", "10.0.0.1"), ("CF-Connecting-IP", "192.0.2.7")] {
            let layout = compile(format, header).unwrap();
            let hit = layout.read(line).unwrap().into_hit(&reading).unwrap();
            assert_eq!(hit.client, Some(ClientAddress::Ip(expected.parse().unwrap())), "{header}");
        }
    }
}
