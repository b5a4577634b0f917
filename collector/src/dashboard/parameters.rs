//! What an address asks for, and addresses that ask for something else besides.

/// The query of an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Any text has a reading.
    pub(super) fn read(query: Option<&str>) -> Self {
        Self(form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect())
    }

    /// The parameter's text; empty where there is none.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(own, _)| own == name).map_or("", |(_, text)| text.as_str())
    }

    /// The parameter's text, where it is given and not blank.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        Some(self.text(name).trim()).filter(|text| !text.is_empty())
    }

    /// The parameter's number, where it is one.
    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.text(name).parse().ok()
    }

    /// The same query with one parameter set to another text, or without it. Whoever goes elsewhere starts at the first page.
    pub(super) fn with(&self, name: &str, text: Option<&str>) -> String {
        let mut out = form_urlencoded::Serializer::for_suffix(String::from("?"), 1);
        for (own, value) in self.0.iter().filter(|(own, value)| own != name && own != "page" && !value.is_empty()) {
            out.append_pair(own, value);
        }
        if let Some(text) = text {
            out.append_pair(name, text);
        }
        out.finish()
    }

    /// As it is, for an address of the same view in another form.
    pub(super) fn as_is(&self) -> String {
        self.with("page", None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_set_and_dropped_and_leads_to_the_first_page() {
        let query = Query::read(Some("quality=6&country=DE&page=3&q="));
        assert_eq!(query.with("country", Some("US & more")), "?quality=6&country=US+%26+more");
        assert_eq!(query.with("quality", None), "?country=DE");
        assert_eq!(query.as_is(), "?quality=6&country=DE");
        assert_eq!(query.number::<u64>("page"), Some(3));
        assert_eq!(query.given("q"), None);
    }

    #[test]
    fn no_text_is_too_odd_to_read() {
        for text in ["", "&&&", "=", "a", "%zz=%", "\u{0}=\u{202e}"] {
            assert!(Query::read(Some(text)).as_is().starts_with('?'), "{text:?}");
        }
    }
}
