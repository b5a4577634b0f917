//! Apache's `LogFormat` (`mod_log_config`): `"%h %l %u %t \"%r\" %>s %b"`, with or without the directive around it.

use super::{
    columns::Column,
    layout::{Builder, Layout, LayoutError},
    times::TimeForm,
};

/// Compiles a format. `header` is the one in which trusted proxies name clients.
pub(super) fn compile(text: &str, header: &str) -> Result<Layout, LayoutError> {
    let format = match text.trim_start().strip_prefix("LogFormat") {
        Some(directive) => first_string(directive)?,
        None => unescaped(text),
    };
    let mut builder = Builder::default();
    let mut rest = format.as_str();
    while let Some((literal, after)) = rest.split_once('%') {
        builder.literal(literal);
        if let Some(after) = after.strip_prefix('%') {
            builder.literal("%");
            rest = after;
            continue;
        }
        // Statuses for which it is written, `%!200,304{Referer}i`, and which of two requests is meant, `%>s`.
        let rest_of =
            after.trim_start_matches(|character: char| character.is_ascii_digit() || "!,<>".contains(character));
        let is_conditional =
            after[..after.len() - rest_of.len()].contains(|character: char| character.is_ascii_digit());
        let after = rest_of;
        let (argument, after) = match after.strip_prefix('{') {
            Some(braced) => braced.split_once('}').ok_or(LayoutError::Unclosed)?,
            None => ("", after),
        };
        let after = after.trim_start_matches(['<', '>']);
        let mut characters = after.chars();
        let directive = characters.next().ok_or(LayoutError::Unclosed)?;
        // `%^ti` and `%^to` are the only ones of two letters.
        let skipped =
            if directive == '^' { after.chars().take(3).map(char::len_utf8).sum() } else { directive.len_utf8() };
        rest = &after[skipped..];
        if is_conditional {
            // It is empty where it isn't written, which says nothing.
            builder.column(None, format_args!("%{directive}"))?;
        } else {
            directive_of(&mut builder, directive, argument, header)?;
        }
    }
    builder.literal(rest);
    builder.build()
}

fn directive_of(builder: &mut Builder, directive: char, argument: &str, header: &str) -> Result<(), LayoutError> {
    let column = match (directive, argument) {
        ('t', "") => {
            builder.literal("[");
            builder.time(TimeForm::Common, "%t")?;
            builder.literal("]");
            return Ok(());
        }
        ('t', argument) => return time(builder, argument),
        // `%{c}h` and `%{c}a` are the peer of the connection where mod_remoteip has named another.
        ('h' | 'a', "") => Some(Column::Client),
        ('i', name) if name.eq_ignore_ascii_case("x-forwarded-for") || name.eq_ignore_ascii_case(header) => {
            Some(Column::Forwarded)
        }
        ('i', name) if name.eq_ignore_ascii_case("referer") => Some(Column::Referrer),
        ('i', name) if name.eq_ignore_ascii_case("user-agent") => Some(Column::UserAgent),
        ('i', name) if name.eq_ignore_ascii_case("accept-language") => Some(Column::Language),
        ('i', name) if name.eq_ignore_ascii_case("host") => Some(Column::Host),
        ('r', _) => Some(Column::Request),
        ('m', _) => Some(Column::Method),
        ('U', _) => Some(Column::Path),
        ('q', _) => return builder.query("%q"),
        ('v' | 'V', _) => Some(Column::Host),
        ('s', _) => Some(Column::Status),
        (directive, _) if directive.is_ascii_alphabetic() || directive == '^' => None,
        (other, _) => return Err(LayoutError::Directive(format!("%{other}"))),
    };
    let name = if argument.is_empty() { format!("%{directive}") } else { format!("%{{{argument}}}{directive}") };
    builder.column(column, name)
}

/// `%{…}t`: strftime's directives, or a count since 1970.
fn time(builder: &mut Builder, argument: &str) -> Result<(), LayoutError> {
    let form = argument.trim_start_matches("begin:");
    let name = format!("%{{{argument}}}t");
    match form {
        "sec" | "msec" | "usec" => builder.time(TimeForm::Unix, name),
        "msec_frac" | "usec_frac" => builder.column(None, name),
        form if form.starts_with("end:") => builder.column(None, name),
        form => builder.time(TimeForm::Strftime(form.to_owned()), name),
    }
}

/// The first string of a directive: `LogFormat "…" nickname`.
fn first_string(directive: &str) -> Result<String, LayoutError> {
    let inside = directive.trim_start().strip_prefix('"').ok_or(LayoutError::Unclosed)?;
    let end = super::clf::quoted_end(inside).ok_or(LayoutError::Unclosed)?;
    Ok(unescaped(&inside[..end]))
}

/// `\"`, `\\`, `\t` as the configuration has them; a shell has undone them before.
fn unescaped(text: &str) -> String {
    text.replace("\\\"", "\"").replace("\\t", "\t").replace("\\\\", "\\")
}
