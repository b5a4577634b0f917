//! Cutting a migration file into statements, because ClickHouse's HTTP interface takes one at a time.

/// The statements of a file, without the semicolons between them. A semicolon inside a comment, a string or a quoted name
/// separates nothing; what holds only comments is no statement.
pub(super) fn statements(file: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = file;
    while !rest.is_empty() {
        let end = end_of_statement(rest);
        let (statement, after) = rest.split_at(end.position);
        if end.has_content {
            found.push(statement.trim());
        }
        rest = after.strip_prefix(';').unwrap_or(after);
    }
    found
}

struct End {
    /// Bytes before the semicolon, or the whole text's length.
    position: usize,
    /// Whether there is more before it than comments and blanks.
    has_content: bool,
}

fn end_of_statement(text: &str) -> End {
    let mut has_content = false;
    let mut position = 0;
    while let Some(rest) = text.get(position..).filter(|rest| !rest.is_empty()) {
        let first = rest.chars().next().unwrap_or(';');
        let length = if rest.starts_with("--") || rest.starts_with("# ") || rest.starts_with("#!") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if matches!(first, '\'' | '"' | '`') {
            has_content = true;
            quoted_length(rest, first)
        } else if first == ';' {
            break;
        } else {
            has_content |= !first.is_whitespace();
            first.len_utf8()
        };
        position += length;
    }
    End { position, has_content }
}

/// Bytes of a quoted text with its quotes: a backslash escapes what follows, a doubled quote stands for itself (as two quoted
/// texts in a row, which is the same to us).
fn quoted_length(text: &str, quote: char) -> usize {
    let mut characters = text.char_indices().skip(1);
    while let Some((position, character)) = characters.next() {
        if character == '\\' {
            characters.next();
        } else if character == quote {
            return position + 1;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::statements;

    #[test]
    fn a_semicolon_separates_only_outside_of_comments_and_quotes() {
        for (file, expected) in [
            ("", &[][..]),
            (" ;; \n;", &[]),
            ("-- only; a comment", &[]),
            ("/* a; */ ; # b;\n", &[]),
            ("SELECT 1", &["SELECT 1"]),
            ("SELECT 1; SELECT 2;\n", &["SELECT 1", "SELECT 2"]),
            ("SELECT ';'; SELECT 'it''s; \\'; ' ;", &["SELECT ';'", "SELECT 'it''s; \\'; '"]),
            ("SELECT `a;b`, \"c;d\"", &["SELECT `a;b`, \"c;d\""]),
            ("SELECT 1 -- one; 'two\n, 2; SELECT 3", &["SELECT 1 -- one; 'two\n, 2", "SELECT 3"]),
            ("SELECT /* ' ; */ 1; SELECT '/*'; SELECT '*/'", &["SELECT /* ' ; */ 1", "SELECT '/*'", "SELECT '*/'"]),
            ("SELECT 'ü;\u{2028}'; SELECT '\\\\'; SELECT 1-1", &["SELECT 'ü;\u{2028}'", "SELECT '\\\\'", "SELECT 1-1"]),
            ("SELECT 'open; end", &["SELECT 'open; end"]),
        ] {
            assert_eq!(statements(file), expected, "{file:?}");
        }
    }
}
