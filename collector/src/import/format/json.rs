//! One JSON object a line: dialects by the names of their members.
//!
//! An object is flattened to paths (`request.headers.User-Agent`); the first value of an array stands for it. Names are compared
//! without letter case, `_` and `-`, so that `remote_addr`, `remoteAddr` and `Remote-Addr` are one.

use super::{
    Format, LineError,
    columns::{Column, Columns},
    times::TimeForm,
};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::{borrow::Cow, fmt};

/// Deepest nesting that is looked into.
const MAX_DEPTH: usize = 5;
/// Most members that are kept of one object.
const MAX_MEMBERS: usize = 512;

/// Who writes which names.
struct Dialect {
    format: Format,
    /// Members that show the dialect: all of these.
    marks: &'static [&'static str],
    /// Names of each column, the first present counts.
    columns: &'static [(Column, &'static [&'static str])],
}

const DIALECTS: &[Dialect] = &[
    Dialect {
        format: Format::Caddy,
        marks: &["request.uri", "request.method"],
        columns: &[
            (Column::Client, &["request.clientip", "request.remoteip", "request.remoteaddr"]),
            (Column::Time, &["ts", "time", "timestamp", "@timestamp"]),
            (Column::Method, &["request.method"]),
            (Column::Target, &["request.uri"]),
            (Column::Host, &["request.host"]),
            (Column::Status, &["status"]),
            (Column::Referrer, &["request.headers.referer"]),
            (Column::UserAgent, &["request.headers.useragent"]),
            (Column::Language, &["request.headers.acceptlanguage"]),
        ],
    },
    Dialect {
        format: Format::Traefik,
        marks: &["requestmethod", "requestpath", "clienthost"],
        columns: &[
            (Column::Client, &["clienthost"]),
            (Column::Forwarded, &["requestxforwardedfor"]),
            (Column::Time, &["startutc", "startlocal", "time"]),
            (Column::Method, &["requestmethod"]),
            (Column::Target, &["requestpath"]),
            (Column::Host, &["requesthost", "requestaddr"]),
            (Column::Status, &["downstreamstatus", "originstatus"]),
            (Column::Referrer, &["requestreferer"]),
            (Column::UserAgent, &["requestuseragent"]),
            (Column::Language, &["requestacceptlanguage"]),
        ],
    },
    // elastic.co/docs/reference/ecs
    Dialect {
        format: Format::Ecs,
        marks: &["@timestamp", "http.request.method"],
        columns: &[
            (Column::Client, &["client.ip", "source.ip", "client.address", "source.address"]),
            (Column::Time, &["@timestamp"]),
            (Column::Method, &["http.request.method"]),
            (Column::Target, &["url.original"]),
            (Column::Path, &["url.path"]),
            (Column::Query, &["url.query"]),
            (Column::Host, &["url.domain", "destination.domain"]),
            (Column::Status, &["http.response.statuscode"]),
            (Column::Referrer, &["http.request.referrer"]),
            (Column::UserAgent, &["useragent.original"]),
        ],
    },
    // developers.cloudflare.com/logs, "HTTP requests"
    Dialect {
        format: Format::Json,
        marks: &["clientip", "clientrequesturi", "clientrequestmethod"],
        columns: &[
            (Column::Client, &["clientip"]),
            (Column::Time, &["edgestarttimestamp"]),
            (Column::Method, &["clientrequestmethod"]),
            (Column::Target, &["clientrequesturi"]),
            (Column::Host, &["clientrequesthost"]),
            (Column::Status, &["edgeresponsestatus"]),
            (Column::Referrer, &["clientrequestreferer"]),
            (Column::UserAgent, &["clientrequestuseragent"]),
        ],
    },
    // cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry
    Dialect {
        format: Format::Json,
        marks: &["httprequest.requesturl", "httprequest.requestmethod"],
        columns: &[
            (Column::Client, &["httprequest.remoteip"]),
            (Column::Time, &["timestamp"]),
            (Column::Method, &["httprequest.requestmethod"]),
            (Column::Target, &["httprequest.requesturl"]),
            (Column::Status, &["httprequest.status"]),
            (Column::Referrer, &["httprequest.referer"]),
            (Column::UserAgent, &["httprequest.useragent"]),
        ],
    },
    // What people call nginx's variables and Apache's directives, Matomo's documented `log_format` among them.
    Dialect {
        format: Format::Json,
        marks: &[],
        columns: &[
            (Column::Client, &["remoteaddr", "clientip", "remoteip", "remotehost", "client", "ip", "clientaddr"]),
            (Column::Forwarded, &["httpxforwardedfor", "xforwardedfor", "forwardedfor"]),
            (
                Column::Time,
                &["timeiso8601", "timelocal", "@timestamp", "timestamp", "time", "msec", "ts", "date", "datetime"],
            ),
            (Column::Request, &["request", "requestline"]),
            (Column::Method, &["requestmethod", "method", "verb", "httpmethod"]),
            (Column::Target, &["requesturi", "uri", "url", "target"]),
            (Column::Path, &["path", "requestpath"]),
            (Column::Query, &["query", "querystring", "args"]),
            (Column::Host, &["host", "httphost", "servername", "vhost", "virtualhost", "serverhost"]),
            (Column::Status, &["status", "statuscode", "response", "responsecode"]),
            (Column::Referrer, &["httpreferer", "httpreferrer", "referer", "referrer"]),
            (Column::UserAgent, &["httpuseragent", "useragent", "agent", "ua"]),
            (Column::Language, &["httpacceptlanguage", "acceptlanguage", "lang"]),
        ],
    },
];

/// Members in which others wrap a line: Docker's json-file, journald's JSON, Elastic's agents, Google's and Loki's.
const ENVELOPES: &[&str] = &["log", "message", "event.original", "textpayload", "line"];

/// An object's members by path.
#[derive(Debug, Default)]
pub(super) struct Members<'a> {
    paths: Vec<(String, Cow<'a, str>)>,
    /// Where each path ends that is being read.
    path: String,
}

impl<'a> Members<'a> {
    /// # Errors
    /// [`LineError::Json`].
    pub(super) fn of(line: &'a str) -> Result<Self, LineError> {
        let mut members = Self::default();
        let mut json = serde_json::Deserializer::from_str(line);
        Value { members: &mut members, depth: 0 }.deserialize(&mut json).map_err(|_| LineError::Json)?;
        json.end().map_err(|_| LineError::Json)?;
        if line.starts_with('{') { Ok(members) } else { Err(LineError::Json) }
    }

    fn position(&self, path: &str) -> Option<usize> {
        self.paths.iter().position(|(own, _)| own == path)
    }

    /// The line that the object wraps.
    pub(super) fn wrapped(&self) -> Option<&str> {
        let text = |path: &&str| self.position(path).map(|at| &*self.paths[at].1);
        ENVELOPES.iter().find_map(text).map(|line| line.trim_end_matches(['\r', '\n']))
    }

    /// The columns of the first dialect whose marks are there.
    ///
    /// # Errors
    /// [`LineError`] of what is missing.
    pub(super) fn into_columns(mut self, only: Option<Format>) -> Result<(Format, Columns<'a>), LineError> {
        let fits = |dialect: &&Dialect| {
            only.is_none_or(|format| format == dialect.format)
                && dialect.marks.iter().all(|mark| self.position(mark).is_some())
        };
        let dialect = DIALECTS.iter().find(fits).ok_or(LineError::NotAccess)?;
        let mut columns = Columns::plain(TimeForm::ANY);
        for (column, names) in dialect.columns {
            if let Some(at) = names.iter().find_map(|name| self.position(name)) {
                columns.set(*column, std::mem::take(&mut self.paths[at].1));
            }
        }
        // Headers that nobody sent, or that are left out of the log, are not written: which of the two, the whole file says.
        if dialect.format == Format::Caddy && !columns.has(Column::UserAgent) {
            columns.set(Column::UserAgent, Cow::Borrowed(""));
        }
        if !columns.has(Column::Client) && !columns.has(Column::Forwarded) {
            return Err(LineError::Client);
        }
        Ok((dialect.format, columns))
    }
}

/// nginx without `escape=json` writes `\xHH` into its strings, a byte each, which is no JSON.
pub(super) fn with_json_escapes(line: &str) -> Option<String> {
    let mut repaired = String::with_capacity(line.len() + 16);
    let mut rest = line;
    let mut is_repaired = false;
    while let Some(at) = rest.find('\\') {
        repaired.push_str(&rest[..at]);
        rest = &rest[at..];
        let (bytes, after) = hexadecimal_escapes(rest);
        if bytes.is_empty() {
            let escaped = rest[1..].chars().next()?;
            repaired.push('\\');
            repaired.push(escaped);
            rest = &rest[1 + escaped.len_utf8()..];
            continue;
        }
        is_repaired = true;
        rest = after;
        for character in String::from_utf8_lossy(&bytes).chars() {
            if character.is_ascii() {
                repaired.push_str(&format!("\\u{:04x}", u32::from(character)));
            } else {
                repaired.push(character);
            }
        }
    }
    repaired.push_str(rest);
    is_repaired.then_some(repaired)
}

/// The bytes that the text begins with, each written `\xHH`, and what follows them.
fn hexadecimal_escapes(text: &str) -> (Vec<u8>, &str) {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(digits) = rest.strip_prefix("\\x").and_then(|rest| rest.get(..2))
        && let Ok(byte) = u8::from_str_radix(digits, 16)
    {
        bytes.push(byte);
        rest = &rest[4..];
    }
    (bytes, rest)
}

/// Reads any JSON value into [`Members`].
struct Value<'m, 'a> {
    members: &'m mut Members<'a>,
    depth: usize,
}

impl<'a> Value<'_, 'a> {
    fn keep(self, text: Cow<'a, str>) {
        if self.members.paths.len() < MAX_MEMBERS && !self.members.path.is_empty() {
            self.members.paths.push((self.members.path.clone(), text));
        }
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<(), E> {
        self.keep(Cow::Borrowed(text));
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.keep(Cow::Owned(text.to_owned()));
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.keep(Cow::Owned(number.to_string()));
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.keep(Cow::Owned(number.to_string()));
        Ok(())
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        self.keep(Cow::Owned(number.to_string()));
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        if self.depth >= MAX_DEPTH {
            while values.next_element::<serde::de::IgnoredAny>()?.is_some() {}
            return Ok(());
        }
        let first = Value { members: &mut *self.members, depth: self.depth + 1 };
        if values.next_element_seed(first)?.is_some() {
            while values.next_element::<serde::de::IgnoredAny>()?.is_some() {}
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        if self.depth >= MAX_DEPTH {
            while map.next_entry::<serde::de::IgnoredAny, serde::de::IgnoredAny>()?.is_some() {}
            return Ok(());
        }
        let start = self.members.path.len();
        while let Some(name) = map.next_key::<Cow<'_, str>>()? {
            if start > 0 {
                self.members.path.push('.');
            }
            let plain = name.chars().filter(|character| !matches!(character, '_' | '-'));
            self.members.path.extend(plain.flat_map(char::to_lowercase));
            map.next_value_seed(Value { members: &mut *self.members, depth: self.depth + 1 })?;
            self.members.path.truncate(start);
        }
        Ok(())
    }
}
