//! Texts from outside on their way to a program that does more with some characters than show them.

use std::borrow::Cow;

/// What a person reads at a terminal: control characters (but line breaks and tabs) and marks that turn the direction of text are
/// spelled `\u001b`, so that no text can move the cursor, change colours, answer for the person or hide what stands in it.
/// JSON stays the same JSON.
#[must_use]
pub fn for_terminal(text: &str) -> Cow<'_, str> {
    if !text.contains(acts_on_a_terminal) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if acts_on_a_terminal(character) {
            shown.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// C0 and C1 controls, and what the Unicode standard calls bidirectional and separator controls.
fn acts_on_a_terminal(character: char) -> bool {
    match character {
        '\n' | '\t' => false,
        '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        character => character.is_control(),
    }
}

/// A cell of a spreadsheet: what would be run as a formula gets an apostrophe in front, as OWASP's "CSV injection" page advises,
/// also where characters stand before it that spreadsheets drop or don't show.
#[must_use]
pub fn for_spreadsheet(text: &str) -> Cow<'_, str> {
    let visible = text.trim_start_matches(is_dropped);
    let is_formula = visible.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']);
    let begins_a_cell = text.starts_with(['\t', '\r', '\n']);
    if is_formula || begins_a_cell { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) }
}

/// Spaces, controls, and characters without width.
fn is_dropped(character: char) -> bool {
    let has_no_width = matches!(
        character,
        '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
    );
    character.is_control() || character.is_whitespace() || has_no_width
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_shows_what_would_steer_it() {
        for (text, expected) in [
            ("Müller & Söhne\t1\n", "Müller & Söhne\t1\n"),
            ("\u{1b}[31mred\u{7}", "\\u001b[31mred\\u0007"),
            ("\u{9b}2J", "\\u009b2J"),
            ("a\rb\0", "a\\u000db\\u0000"),
            ("\u{202e}gpj.exe\u{2069}", "\\u202egpj.exe\\u2069"),
            ("", ""),
        ] {
            assert_eq!(for_terminal(text), expected, "{text:?}");
        }
        let json = serde_json::json!({ "name": "\u{1b}[0m\u{9b}\u{202e}" }).to_string();
        let shown = for_terminal(&json);
        assert!(!shown.contains(acts_on_a_terminal));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap()["name"], "\u{1b}[0m\u{9b}\u{202e}");
    }

    #[test]
    fn a_spreadsheet_runs_no_cell() {
        for (text, expected) in [
            ("Acme", "Acme"),
            ("a=b", "a=b"),
            ("", ""),
            ("=1+1", "'=1+1"),
            ("+49 30", "'+49 30"),
            ("-", "'-"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("＝1", "'＝1"),
            ("\t=1", "'\t=1"),
            ("\nx", "'\nx"),
            ("\0=1", "'\0=1"),
            ("  =1", "'  =1"),
            ("\u{200b}=1", "'\u{200b}=1"),
            ("\u{feff}\u{2060}\u{ad}@x", "'\u{feff}\u{2060}\u{ad}@x"),
            ("\u{a0}-1", "'\u{a0}-1"),
            ("\u{200b}Acme", "\u{200b}Acme"),
        ] {
            assert_eq!(for_spreadsheet(text), expected, "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_keeps_a_control_character_or_becomes_a_formula(text in "\\PC{0,8}[\u{0}-\u{20}\u{7f}-\u{a0}\u{200b}-\u{206f}=@a]{0,8}") {
            proptest::prop_assert!(!for_terminal(&text).contains(acts_on_a_terminal));
            let cell = for_spreadsheet(&text).into_owned();
            let first = cell.chars().find(|character| !is_dropped(*character));
            proptest::prop_assert!(!matches!(first, Some('=' | '+' | '-' | '@')));
        }
    }
}
