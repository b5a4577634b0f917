//! Labelled tab-separated values (ltsv.org): `host:192.0.2.7<tab>time:[…]<tab>req:GET / HTTP/1.1<tab>…`.

use super::{
    LineError,
    columns::{Column, Columns},
    times::TimeForm,
};

/// The recommended labels, and nginx's variables, which many use instead.
const LABELS: &[(&str, Column)] = &[
    ("host", Column::Client),
    ("remote_addr", Column::Client),
    ("forwardedfor", Column::Forwarded),
    ("http_x_forwarded_for", Column::Forwarded),
    ("time", Column::Time),
    ("time_local", Column::Time),
    ("time_iso8601", Column::Time),
    ("msec", Column::Time),
    ("req", Column::Request),
    ("request", Column::Request),
    ("method", Column::Method),
    ("request_method", Column::Method),
    ("uri", Column::Target),
    ("request_uri", Column::Target),
    ("status", Column::Status),
    ("referer", Column::Referrer),
    ("http_referer", Column::Referrer),
    ("ua", Column::UserAgent),
    ("http_user_agent", Column::UserAgent),
    ("vhost", Column::Host),
];

/// Whether a line begins with a label and has a second one.
pub(super) fn is_likely(line: &str) -> bool {
    line.split_once('\t').is_some_and(|(first, second)| is_labelled(first) && is_labelled(second))
}

fn is_labelled(field: &str) -> bool {
    let label = field.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(byte)).count();
    label > 0 && field.as_bytes().get(label) == Some(&b':')
}

pub(super) fn read(line: &str) -> Result<Columns<'_>, LineError> {
    let mut columns = Columns::escaped(TimeForm::ANY);
    for (label, value) in line.split('\t').filter_map(|field| field.split_once(':')) {
        if let Some((_, column)) = LABELS.iter().find(|(known, _)| *known == label)
            && !columns.has(*column)
        {
            columns.set_part(*column, line, value);
        }
    }
    if columns.has(Column::Client) || columns.has(Column::Forwarded) { Ok(columns) } else { Err(LineError::Client) }
}
