//! A line to a [`Hit`]: each by its own form.

mod apache;
mod clf;
mod columns;
mod json;
mod layout;
mod layouts;
mod ltsv;
mod nginx;
mod times;
mod values;
mod w3c;

pub use columns::Reading;
pub use layout::{Layout, LayoutError};
pub use w3c::Directives;

use super::{Hit, prefix};
use columns::Columns;
use json::Members;
use std::{borrow::Cow, fmt};

/// How deep one log may be wrapped in another's JSON.
const MAX_ENVELOPES: usize = 2;

/// A log format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Apache's and nginx's `combined`, with or without a virtual host.
    Combined,
    /// NCSA `common`: no referrer, no user agent.
    Common,
    /// JSON with nginx's variable names or their usual variations, Matomo's, Cloudflare's, Google's.
    Json,
    /// Caddy's JSON.
    Caddy,
    /// Traefik's JSON.
    Traefik,
    /// The Elastic Common Schema.
    Ecs,
    /// W3C extended: IIS, CloudFront, and whatever has a `#Fields` line.
    W3c,
    /// Labelled tab-separated values.
    Ltsv,
    /// AWS application load balancers.
    Alb,
    /// AWS classic load balancers.
    Elb,
    /// AWS S3 server access logs.
    S3,
    /// HAProxy's HTTP log.
    Haproxy,
    /// Envoy's and Istio's default.
    Envoy,
}

impl Format {
    /// Every format, its word on the command line and what it is.
    pub const ALL: [(Self, &'static str, &'static str); 13] = [
        (Self::Combined, "combined", "Apache, nginx, Traefik; with or without a virtual host"),
        (Self::Common, "common", "NCSA: no referrer, no user agent"),
        (Self::Json, "json", "nginx, Apache, Matomo's log_format, Cloudflare, Google Cloud"),
        (Self::Caddy, "caddy", "Caddy's JSON, times in all its forms"),
        (Self::Traefik, "traefik", "Traefik's JSON"),
        (Self::Ecs, "ecs", "Elastic Common Schema"),
        (Self::W3c, "w3c", "IIS, CloudFront, every log with a #Fields line"),
        (Self::Ltsv, "ltsv", "labelled tab-separated values"),
        (Self::Alb, "alb", "AWS application load balancer"),
        (Self::Elb, "elb", "AWS classic load balancer"),
        (Self::S3, "s3", "AWS S3 server access log"),
        (Self::Haproxy, "haproxy", "HAProxy's HTTP log"),
        (Self::Envoy, "envoy", "Envoy, Istio"),
    ];

    /// The word on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(format, ..)| *format == self).map_or("", |(_, word, _)| *word)
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
    /// The client is neither an address nor a host name with a dot.
    #[error("no client: neither an address nor a host name with a dot")]
    Client,
    /// Two columns could be the client.
    #[error("two columns could be the client: say with --log-format which is")]
    TwoClients,
    /// Client, ident and user, or a host and these, are not before the time.
    #[error("not client, ident and user before the time: describe the line with --log-format")]
    Front,
    /// The time is missing or not in a known form.
    #[error("no time in a known form")]
    Time,
    /// The request is missing.
    #[error("no request")]
    Request,
    /// The status is missing or no number from 100 to 599.
    #[error("no status")]
    Status,
    /// Referrer and user agent are not where the combined format has them.
    #[error("no referrer and user agent where the combined format has them: describe the line with --log-format")]
    Columns,
    /// It doesn't look as the given log format says.
    #[error("not as --log-format says")]
    Layout,
    /// Not a JSON object.
    #[error("not a JSON object")]
    Json,
    /// A JSON object that is not about a request.
    #[error("not an access log entry")]
    NotAccess,
    /// No `#Fields` line came before it.
    #[error("no #Fields line before it")]
    NoFields,
    /// It has fewer or more values than `#Fields` names.
    #[error("not as many values as the #Fields line names")]
    Fields,
    /// Of no known format.
    #[error("of no known format")]
    Unknown,
    /// The file's last line has no line break and may be cut inside a column that counts.
    #[error("cut off at the end of the file: it is read when it is complete")]
    Cut,
    /// Longer than [`super::input::MAX_LINE_BYTES`].
    #[error("the line is too long")]
    TooLong,
}

/// How lines look.
#[derive(Clone, Debug, Default)]
pub enum Forms {
    /// Each line as it shows itself.
    #[default]
    Any,
    /// All of one format.
    Only(Format),
    /// As a `--log-format` says.
    Layout(Layout),
}

/// Compiles a log format in nginx's or Apache's syntax. `header` is the one in which trusted proxies name clients.
///
/// # Errors
/// [`LayoutError`].
pub fn compile(text: &str, header: &str) -> Result<Layout, LayoutError> {
    if text.trim_start().starts_with("LogFormat") || (text.contains('%') && !text.contains('$')) {
        apache::compile(text, header)
    } else if text.contains('$') {
        nginx::compile(text, header)
    } else {
        Err(LayoutError::NoColumns)
    }
}

/// A hit, and the text that makes it this hit and no other: the line without prefix and without what follows the last column
/// that counts, so that a line that was cut there and completed later is one.
#[derive(Debug, PartialEq, Eq)]
pub struct Recognised<'a> {
    /// What happened.
    pub hit: Hit<'a>,
    /// What it is told by.
    pub identity: Cow<'a, str>,
}

/// Reads lines.
#[derive(Clone, Debug, Default)]
pub struct Recogniser {
    forms: Forms,
    reading: Reading,
}

impl Recogniser {
    /// Reads lines of these forms.
    #[must_use]
    pub const fn new(forms: Forms, reading: Reading) -> Self {
        Self { forms, reading }
    }

    /// Reads one line, without its line break; `is_ended` says whether it had one.
    ///
    /// # Errors
    /// [`LineError`], of what is left when all known prefixes are taken off.
    pub fn read<'a>(
        &'a self,
        line: &'a str,
        directives: &Directives,
        is_ended: bool,
    ) -> Result<Recognised<'a>, LineError> {
        self.read_prefixed(line.trim_start(), directives, is_ended, MAX_ENVELOPES)
    }

    /// Reads a line that may have prefixes.
    fn read_prefixed<'a>(
        &'a self,
        line: &'a str,
        directives: &Directives,
        is_ended: bool,
        envelopes: usize,
    ) -> Result<Recognised<'a>, LineError> {
        let mut text = line;
        for _ in 0..prefix::MAX_PREFIXES {
            let outcome = self.read_plain(text, directives, is_ended, envelopes);
            if outcome.is_ok() {
                return outcome;
            }
            let Some(rest) = prefix::stripped(text) else { return outcome };
            text = rest;
        }
        self.read_plain(text, directives, is_ended, envelopes)
    }

    /// Reads a line that has no prefix.
    fn read_plain<'a>(
        &'a self,
        line: &'a str,
        directives: &Directives,
        is_ended: bool,
        envelopes: usize,
    ) -> Result<Recognised<'a>, LineError> {
        let is_object = line.starts_with('{');
        let columns = match &self.forms {
            Forms::Layout(layout) => match layout.read(line) {
                Err(_) if is_object => return self.read_json(line, envelopes),
                outcome => outcome,
            },
            _ if is_object => return self.read_json(line, envelopes),
            Forms::Only(format) => read_only(*format, line, directives),
            Forms::Any => read_any(line, directives),
        }?;
        let end = columns.end();
        // Without a closing quote the last column may go on.
        let may_go_on = !is_ended && (columns.is_open() || (end == line.len() && !line.ends_with('"')));
        let hit = columns.into_hit(&self.reading)?;
        if may_go_on { Err(LineError::Cut) } else { Ok(Recognised { hit, identity: Cow::Borrowed(&line[..end]) }) }
    }

    fn read_json<'a>(&'a self, line: &'a str, envelopes: usize) -> Result<Recognised<'a>, LineError> {
        let members = match Members::of(line) {
            Ok(members) => members,
            Err(error) => {
                let repaired = json::with_json_escapes(line).ok_or(error)?;
                let hit = self.columns_of(Members::of(&repaired)?)?.into_hit(&self.reading)?.into_owned();
                return Ok(Recognised { hit, identity: Cow::Borrowed(line) });
            }
        };
        let wrapped = members.wrapped().filter(|_| envelopes > 0).map(str::to_owned);
        match (self.columns_of(members).and_then(|columns| columns.into_hit(&self.reading)), wrapped) {
            (Ok(hit), _) => Ok(Recognised { hit, identity: Cow::Borrowed(line) }),
            (Err(error), None) => Err(error),
            (Err(_), Some(wrapped)) => {
                let inner = self.read_prefixed(&wrapped, &Directives::default(), true, envelopes - 1)?;
                Ok(Recognised { hit: inner.hit.into_owned(), identity: Cow::Owned(inner.identity.into_owned()) })
            }
        }
    }

    fn columns_of<'a>(&self, members: Members<'a>) -> Result<Columns<'a>, LineError> {
        let only = match &self.forms {
            Forms::Only(format @ (Format::Json | Format::Caddy | Format::Traefik | Format::Ecs)) => Some(*format),
            Forms::Only(_) | Forms::Layout(_) => return Err(LineError::NotAccess),
            Forms::Any => None,
        };
        members.into_columns(only).map(|(_, columns)| columns)
    }
}

fn read_only<'a>(format: Format, line: &'a str, directives: &Directives) -> Result<Columns<'a>, LineError> {
    match format {
        Format::Combined | Format::Common => clf::read(line, Some(format)),
        Format::W3c => w3c::read(line, directives),
        Format::Ltsv => ltsv::read(line),
        Format::Json | Format::Caddy | Format::Traefik | Format::Ecs => Err(LineError::Json),
        Format::Alb | Format::Elb | Format::S3 | Format::Haproxy | Format::Envoy => {
            let mut candidates = layouts::candidates(line).filter(|(own, _)| *own == format);
            candidates.find_map(|(_, layout)| of_layout(layout, line)).ok_or(LineError::Unknown)
        }
    }
}

fn of_layout<'a>(layout: &'static Layout, line: &'a str) -> Option<Columns<'a>> {
    layout.read(line).ok().filter(Columns::has_plausible_client)
}

/// By the line's own form: a `#Fields` line before it settles it, else labels do, else the grammars in their order.
fn read_any<'a>(line: &'a str, directives: &Directives) -> Result<Columns<'a>, LineError> {
    if directives.has_fields()
        && let Ok(columns) = w3c::read(line, directives)
    {
        return Ok(columns);
    }
    if ltsv::is_likely(line) {
        return ltsv::read(line);
    }
    clf::read(line, None).or_else(|error| {
        layouts::candidates(line).find_map(|(_, layout)| of_layout(layout, line)).ok_or(match error {
            LineError::Time if directives.has_fields() => LineError::Fields,
            error => error,
        })
    })
}

#[cfg(test)]
mod tests;
