//! The W3C's extended log format: `#Fields: date time c-ip cs-method …` says what the lines after it hold. IIS and
//! CloudFront write it, and many proxies.

use super::{
    LineError,
    columns::{Column, Columns},
    times::TimeForm,
    values::present,
};
use percent_encoding::percent_decode_str;
use std::{borrow::Cow, sync::Arc};

/// Fields and what they hold, lower case. Of two of a kind the first listed counts: behind CloudFront `cs(Host)` is CloudFront's.
const FIELDS: &[(&str, Column)] = &[
    ("date", Column::Date),
    ("time", Column::Time),
    ("date-local", Column::Date),
    ("time-local", Column::Time),
    ("c-ip", Column::Client),
    ("c-dns", Column::Client),
    ("x-forwarded-for", Column::Forwarded),
    ("cs(x-forwarded-for)", Column::Forwarded),
    ("cs-method", Column::Method),
    ("cs-uri", Column::Target),
    ("cs-uri-stem", Column::Path),
    ("cs-uri-query", Column::Query),
    ("x-host-header", Column::Host),
    ("cs-host", Column::Host),
    ("cs(host)", Column::Host),
    ("sc-status", Column::Status),
    ("cs(referer)", Column::Referrer),
    ("cs(referrer)", Column::Referrer),
    ("cs(user-agent)", Column::UserAgent),
    ("cs(accept-language)", Column::Language),
];

/// What directives said so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directives {
    fields: Option<Arc<[Option<Column>]>>,
    /// Of `#Date`, for logs whose lines have the time of day alone.
    date: Option<String>,
}

impl Directives {
    /// Takes a line that begins with `#`.
    pub fn take(&mut self, line: &str) {
        if let Some(names) = line.strip_prefix("#Fields:") {
            self.fields = Some(fields(names));
        } else if let Some(date) = line.strip_prefix("#Date:") {
            self.date = date.split_whitespace().next().map(str::to_owned);
        }
    }

    /// Takes all directives among whole lines, in order.
    pub fn take_all(&mut self, lines: &[u8]) {
        let starts = memchr::memchr_iter(b'#', lines).filter(|at| *at == 0 || lines[*at - 1] == b'\n');
        for start in starts {
            let line = &lines[start..];
            let line = &line[..memchr::memchr(b'\n', line).unwrap_or(line.len())];
            self.take(String::from_utf8_lossy(line).trim_end());
        }
    }

    /// Whether lines can be read at all.
    pub(super) const fn has_fields(&self) -> bool {
        self.fields.is_some()
    }
}

fn fields(names: &str) -> Arc<[Option<Column>]> {
    let names: Vec<_> = names.split_whitespace().map(str::to_ascii_lowercase).collect();
    let rank = |name: &str| FIELDS.iter().position(|(known, _)| *known == name);
    let best = |column: Column| names.iter().filter_map(|name| rank(name)).filter(|at| FIELDS[*at].1 == column).min();
    names
        .iter()
        .map(|name| {
            let at = rank(name)?;
            let column = FIELDS[at].1;
            (best(column) == Some(at)).then_some(column)
        })
        .collect()
}

/// Reads a line by the fields that were named before it.
pub(super) fn read<'a>(line: &'a str, directives: &Directives) -> Result<Columns<'a>, LineError> {
    let fields = directives.fields.as_deref().ok_or(LineError::NoFields)?;
    let mut columns = Columns::plain(TimeForm::ISO);
    let is_tabbed = line.contains('\t');
    let mut rest = Some(line);
    for field in fields {
        let (value, after) = next_value(rest.ok_or(LineError::Fields)?, is_tabbed);
        rest = after;
        if let (Some(column), Some(raw)) = (field, present(value)) {
            columns.set_part(*column, line, raw);
            columns.set(*column, decoded(*column, raw, is_tabbed));
        } else if *field == Some(Column::UserAgent) {
            columns.set(Column::UserAgent, Cow::Borrowed(""));
        }
    }
    if rest.is_some_and(|rest| !rest.trim().is_empty()) {
        return Err(LineError::Fields);
    }
    if !columns.has(Column::Date)
        && let Some(date) = &directives.date
    {
        columns.set(Column::Date, Cow::Owned(date.clone()));
    }
    if columns.has(Column::Client) || columns.has(Column::Forwarded) { Ok(columns) } else { Err(LineError::Client) }
}

/// The next value, without quotes, and what follows it; `None` at the line's end.
fn next_value(text: &str, is_tabbed: bool) -> (&str, Option<&str>) {
    let text = if is_tabbed { text } else { text.trim_start_matches(' ') };
    if let Some(inside) = text.strip_prefix('"')
        && let Some(end) = inside.find("\" ").or_else(|| inside.ends_with('"').then(|| inside.len() - 1))
    {
        return (&inside[..end], inside.get(end + 2..));
    }
    match text.split_once(if is_tabbed { '\t' } else { ' ' }) {
        Some((value, rest)) => (value, Some(rest)),
        None => (text, None),
    }
}

/// IIS writes `+` for a space, CloudFront percent-encodes, older files of its twice.
fn decoded(column: Column, raw: &str, is_tabbed: bool) -> Cow<'_, str> {
    let is_text = matches!(column, Column::UserAgent | Column::Referrer | Column::Forwarded | Column::Language);
    if !is_text {
        return Cow::Borrowed(raw);
    }
    if is_tabbed {
        let once = percent_decode_str(raw).decode_utf8_lossy();
        return match column {
            Column::UserAgent if once.contains("%20") => {
                Cow::Owned(percent_decode_str(&once).decode_utf8_lossy().into_owned())
            }
            _ => once,
        };
    }
    if column != Column::Referrer && raw.contains('+') && !raw.contains(' ') {
        return Cow::Owned(raw.replace('+', " "));
    }
    Cow::Borrowed(raw)
}
