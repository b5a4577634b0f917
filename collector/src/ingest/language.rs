//! The languages of what people read: the opt-out page and the cookie declaration.

/// A language with texts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Language {
    /// English, where nothing else is asked for.
    #[default]
    English,
    /// German.
    German,
    /// French.
    French,
}

impl Language {
    /// All of them, in the order in which they are offered.
    pub const ALL: [Self; 3] = [Self::English, Self::German, Self::French];

    /// The language tag (RFC 5646).
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
            Self::French => "fr",
        }
    }

    /// What the language calls itself.
    #[must_use]
    pub const fn own_name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::German => "Deutsch",
            Self::French => "Français",
        }
    }

    /// The language of a tag such as `de-AT`.
    #[must_use]
    pub fn of_tag(tag: &str) -> Option<Self> {
        let primary = tag.split('-').next()?.trim();
        Self::ALL.into_iter().find(|language| primary.eq_ignore_ascii_case(language.tag()))
    }

    /// The best of an Accept-Language header (RFC 9110, 12.5.4): the highest quality above 0, the first among equals.
    #[must_use]
    pub fn preferred(accept_language: &str) -> Self {
        let mut best = (Self::default(), 0.0);
        for element in accept_language.split(',') {
            let (tag, parameter) = element.split_once(';').unwrap_or((element, ""));
            let quality = parameter.trim().strip_prefix("q=").map_or(Ok(1.0), |q| q.trim().parse::<f32>());
            if let (Some(language), Ok(quality)) = (Self::of_tag(tag.trim()), quality)
                && quality > best.1
            {
                best = (language, quality);
            }
        }
        best.0
    }
}

/// Text as it stands in HTML, in content and in quoted attributes.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_wanted_language_with_texts_is_taken() {
        for (header, expected) in [
            ("", Language::English),
            ("de-AT,de;q=0.9,en;q=0.8", Language::German),
            ("nl, fr-CA;q=0.4, de;q=0.3", Language::French),
            ("fr;q=0, en;q=0.1", Language::English),
            ("DE", Language::German),
            ("den, frr, *", Language::English),
            ("de;q=x, fr;q=0.2", Language::French),
            ("en, de", Language::English),
        ] {
            assert_eq!(Language::preferred(header), expected, "{header}");
        }
    }

    #[test]
    fn nothing_of_a_text_is_markup() {
        assert_eq!(escaped("<a href=\"x\">&'"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
    }
}
