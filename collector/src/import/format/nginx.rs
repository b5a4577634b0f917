//! nginx's `log_format`: `'$remote_addr - $remote_user [$time_local] "$request" …'`, with or without the directive around it.

use super::{
    columns::Column,
    layout::{Builder, Layout, LayoutError},
    times::TimeForm,
};

/// Variables and what they hold; whatever else stands in a log is passed over. The first of a column counts.
const VARIABLES: &[(&str, Column)] = &[
    ("remote_addr", Column::Client),
    ("http_x_forwarded_for", Column::Forwarded),
    ("proxy_add_x_forwarded_for", Column::Forwarded),
    ("date", Column::Date),
    ("request", Column::Request),
    ("request_method", Column::Method),
    ("request_uri", Column::Target),
    ("uri", Column::Path),
    ("document_uri", Column::Path),
    ("host", Column::Host),
    ("http_host", Column::Host),
    ("server_name", Column::Host),
    ("status", Column::Status),
    ("http_referer", Column::Referrer),
    ("http_user_agent", Column::UserAgent),
    ("http_accept_language", Column::Language),
    // Not nginx's: for the layouts of others, which are written in its syntax (see `layouts`).
    ("client_and_port", Column::ClientAndPort),
];

const QUERIES: &[&str] = &["is_args", "args", "query_string"];

const TIMES: &[(&str, TimeForm)] = &[
    ("time_local", TimeForm::Common),
    ("time_iso8601", TimeForm::Iso),
    ("msec", TimeForm::Unix),
    ("time_haproxy", TimeForm::CommonWithoutZone),
];

/// Compiles a format. `header` is the one in which trusted proxies name clients, such as `cf-connecting-ip`.
pub(super) fn compile(text: &str, header: &str) -> Result<Layout, LayoutError> {
    let format = if text.trim_start().starts_with("log_format") { strings_of(text)? } else { text.to_owned() };
    let forwarding = format!("http_{}", header.to_ascii_lowercase().replace('-', "_"));
    let mut builder = Builder::default();
    let mut rest = format.as_str();
    while let Some((literal, after)) = rest.split_once('$') {
        builder.literal(literal);
        let (name, after) = match after.strip_prefix('{') {
            Some(braced) => braced.split_once('}').ok_or(LayoutError::Unclosed)?,
            None => {
                let end = after.find(|character: char| !(character.is_ascii_alphanumeric() || character == '_'));
                after.split_at(end.unwrap_or(after.len()))
            }
        };
        rest = after;
        if name.is_empty() {
            builder.literal("$");
        } else if let Some((_, form)) = TIMES.iter().find(|(variable, _)| *variable == name) {
            builder.time(form.clone(), format_args!("${name}"))?;
        } else if QUERIES.contains(&name) {
            builder.query(format_args!("${name}"))?;
        } else {
            let column = VARIABLES.iter().find(|(variable, _)| *variable == name).map(|(_, column)| *column);
            let column = if name == forwarding { Some(Column::Forwarded) } else { column };
            builder.column(column, format_args!("${name}"))?;
        }
    }
    builder.literal(rest);
    builder.build()
}

/// The strings of a whole directive, joined as nginx joins them: `log_format NAME [escape=…] 'a' 'b';`.
fn strings_of(directive: &str) -> Result<String, LayoutError> {
    let mut joined = String::new();
    let mut characters = directive.chars();
    while let Some(quote) = characters.by_ref().find(|character| matches!(character, '\'' | '"')) {
        loop {
            match characters.next().ok_or(LayoutError::Unclosed)? {
                '\\' => match characters.next().ok_or(LayoutError::Unclosed)? {
                    't' => joined.push('\t'),
                    escaped @ ('\'' | '"' | '\\') => joined.push(escaped),
                    other => joined.extend(['\\', other]),
                },
                end if end == quote => break,
                character => joined.push(character),
            }
        }
    }
    Ok(joined)
}
