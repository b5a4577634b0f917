//! What a line says, as named texts, and what they mean: every format ends here.

use super::{
    LineError,
    times::{self, TimeForm},
    values,
};
use crate::{import::Hit, ingest::client_address::ProxyTrust, spool::record::ClientAddress};
use jiff::tz::TimeZone;
use std::borrow::Cow;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    /// The client's address or host name, or a list of addresses as X-Forwarded-For has it.
    Client,
    /// The client's address, a colon and its port, also after an IPv6 address without brackets.
    ClientAndPort,
    /// Addresses as X-Forwarded-For lists them, which count when the client is a trusted proxy or the log has no other client.
    Forwarded,
    /// The day alone, `2024-05-01`, where [`Column::Time`] has the time of day.
    Date,
    /// When.
    Time,
    /// Method, target and version.
    Request,
    /// The method alone.
    Method,
    /// Path and query, or an absolute URL.
    Target,
    /// The path alone.
    Path,
    /// The query alone, with or without its question mark.
    Query,
    /// The host that was asked for.
    Host,
    /// The answer's status.
    Status,
    /// The Referer header.
    Referrer,
    /// The User-Agent header.
    UserAgent,
    /// The Accept-Language header.
    Language,
}

const COLUMNS: usize = Column::Language as usize + 1;

/// What a log doesn't say of itself and its reader must know.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Which addresses are proxies whose word counts, and in which header.
    pub trust: ProxyTrust,
    /// The zone of times that don't say theirs.
    pub zone: TimeZone,
}

impl Default for Reading {
    /// No proxies, UTC.
    fn default() -> Self {
        let trust = ProxyTrust { networks: Vec::new(), header: http::HeaderName::from_static("x-forwarded-for") };
        Self { trust, zone: TimeZone::UTC }
    }
}

/// The texts of one line.
#[derive(Debug)]
pub(super) struct Columns<'a> {
    texts: [Option<Cow<'a, str>>; COLUMNS],
    time_form: &'a TimeForm,
    /// Where the last of them ends in the line.
    end: usize,
    /// Backslashes in them escape something.
    are_escaped: bool,
    /// Columns that count may follow in a line that is not complete.
    is_open: bool,
}

impl<'a> Columns<'a> {
    /// None yet, of a line in which backslashes escape.
    pub(super) fn escaped(time_form: &'a TimeForm) -> Self {
        Self { texts: [const { None }; COLUMNS], time_form, end: 0, are_escaped: true, is_open: false }
    }

    /// None yet, of a line in which backslashes are backslashes.
    pub(super) fn plain(time_form: &'a TimeForm) -> Self {
        Self { are_escaped: false, ..Self::escaped(time_form) }
    }

    /// Sets a column that is part of the line.
    pub(super) fn set_part(&mut self, column: Column, line: &str, text: &'a str) {
        let end = text.as_ptr().addr() + text.len() - line.as_ptr().addr();
        let closing = usize::from(line.as_bytes().get(end) == Some(&b'"'));
        self.end = self.end.max(end + closing);
        self.set(column, Cow::Borrowed(text));
    }

    pub(super) fn set(&mut self, column: Column, text: Cow<'a, str>) {
        self.texts[column as usize] = Some(text);
    }

    /// Where the last column that counts ends; whatever follows says nothing.
    pub(super) const fn end(&self) -> usize {
        self.end
    }

    pub(super) const fn leave_open(&mut self) {
        self.is_open = true;
    }

    pub(super) const fn is_open(&self) -> bool {
        self.is_open
    }

    /// Whether what stands where a client should be is one: layouts without fixed words fit lines of others.
    pub(super) fn has_plausible_client(&self) -> bool {
        let text = |column: Column| self.texts[column as usize].as_deref();
        let with_port =
            text(Column::ClientAndPort).map(|text| text.rsplit_once(':').map_or(text, |(client, _)| client));
        with_port.or(text(Column::Client)).is_none_or(|client| values::client(client).is_some() || client == "-")
    }

    pub(super) fn has(&self, column: Column) -> bool {
        self.texts[column as usize].is_some()
    }

    fn take(&mut self, column: Column) -> Option<Cow<'a, str>> {
        let text = self.texts[column as usize].take()?;
        Some(if self.are_escaped { values::unescaped(text) } else { text })
    }

    /// A header's text, empty when it was absent.
    fn header(&mut self, column: Column) -> Option<Cow<'a, str>> {
        self.take(column).map(|text| if values::present(&text).is_some() { text } else { Cow::Borrowed("") })
    }

    /// What the line means.
    ///
    /// # Errors
    /// [`LineError`] when something that a hit must have is missing or unreadable.
    pub(super) fn into_hit(mut self, reading: &Reading) -> Result<Hit<'a>, LineError> {
        let client = self.client(reading)?;
        let time = self.take(Column::Time).ok_or(LineError::Time)?;
        let time = match self.take(Column::Date) {
            Some(date) => Cow::Owned(format!("{date} {time}")),
            None => time,
        };
        let at = times::read(&time, self.time_form, &reading.zone)?;
        let (method, target) = self.request()?;
        // A log without the column is of pages that were served.
        let status = self.take(Column::Status).map_or(Ok(200), |status| values::status(&status))?;
        Ok(Hit {
            client,
            at,
            method,
            target,
            status,
            host: self.take(Column::Host).and_then(|host| values::host(&host)),
            referrer: self.header(Column::Referrer).unwrap_or_default(),
            user_agent: self.header(Column::UserAgent),
            language: self.header(Column::Language).map(|header| values::language(&header)).unwrap_or_default(),
        })
    }

    /// Whoever asked; `Ok(None)` where the log says that it doesn't know.
    fn client(&mut self, reading: &Reading) -> Result<Option<ClientAddress>, LineError> {
        let with_port = self.take(Column::ClientAndPort);
        if with_port.as_deref().is_some_and(|text| values::present(text).is_none()) {
            return Err(LineError::Client);
        }
        let text = match &with_port {
            Some(text) => Some(Cow::Borrowed(text.rsplit_once(':').map_or(&**text, |(address, _)| address))),
            None => self.take(Column::Client),
        };
        let forwarded = self.take(Column::Forwarded);
        let forwarded = forwarded.as_deref().and_then(values::present);
        let Some(text) = text.as_deref().and_then(values::present) else {
            return Ok(forwarded.and_then(|list| reading.trust.client_in_list(None, list)).map(ClientAddress::Ip));
        };
        if text.contains(',') {
            return Ok(reading.trust.client_in_list(None, text).map(ClientAddress::Ip));
        }
        match (values::client(text), forwarded) {
            (Some(ClientAddress::Ip(peer)), Some(list)) => {
                Ok(reading.trust.client_in_list(Some(peer.to_canonical()), list).map(ClientAddress::Ip))
            }
            (Some(client), _) => Ok(Some(client)),
            (None, _) => Err(LineError::Client),
        }
    }

    fn request(&mut self) -> Result<(Cow<'a, str>, Cow<'a, str>), LineError> {
        let method = self.take(Column::Method);
        let mut path = self.take(Column::Path);
        if let Some(request) = self.take(Column::Request) {
            match split_request(request) {
                Ok(request) => return Ok(request),
                // Apache's `%U` often goes by the name of "request", beside a method.
                Err(target) if method.is_some() && target.starts_with('/') => path = Some(target),
                // A request that is no HTTP is a hit that is no page, not a damaged line.
                Err(_) => return Ok(Default::default()),
            }
        }
        let query = self.take(Column::Query);
        let target = match (self.take(Column::Target), path, query.as_deref().and_then(values::present)) {
            (Some(target), _, _) => target,
            (None, Some(path), None | Some("?")) => path,
            (None, Some(path), Some(query)) => Cow::Owned(format!("{path}?{}", query.trim_start_matches('?'))),
            (None, None, _) => return Err(LineError::Request),
        };
        // A log without the column is of pages, as Matomo's.
        Ok((method.unwrap_or(Cow::Borrowed("GET")), target))
    }
}

fn split_request(request: Cow<'_, str>) -> Result<(Cow<'_, str>, Cow<'_, str>), Cow<'_, str>> {
    match request {
        Cow::Borrowed(text) => match values::request_line(text) {
            Some((method, target)) => Ok((Cow::Borrowed(method), Cow::Borrowed(target))),
            None => Err(Cow::Borrowed(text)),
        },
        Cow::Owned(text) => match values::request_line(&text) {
            Some((method, target)) => Ok((Cow::Owned(method.to_owned()), Cow::Owned(target.to_owned()))),
            None => Err(Cow::Owned(text)),
        },
    }
}
