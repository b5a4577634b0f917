//! Our pages of HTML: one style, at most one script, and a Content-Security-Policy under which nothing else runs or loads.

use super::Answer;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderValue, Response, header};
use http_body_util::Full;
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("html_page.css");

/// A page that can't be framed.
#[derive(Clone, Copy, Debug)]
pub(super) struct HtmlPage<'a> {
    /// Tag of its language (BCP 47).
    pub(super) language: &'a str,
    /// Plain text.
    pub(super) title: &'a str,
    /// HTML.
    pub(super) body: &'a str,
    /// Runs at the end.
    pub(super) script: Option<&'static str>,
}

impl HtmlPage<'_> {
    /// The page as an answer.
    #[must_use]
    pub(super) fn answer(&self, cache_control: &'static str) -> Answer {
        let mut answer = Response::new(Full::new(Bytes::from(self.document())));
        let headers = answer.headers_mut();
        for (name, value) in [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CACHE_CONTROL, cache_control),
            (header::VARY, "Accept-Language"),
            (header::X_FRAME_OPTIONS, "DENY"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "same-origin"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers.insert(header::CONTENT_SECURITY_POLICY, self.policy());
        answer
    }

    fn document(&self) -> String {
        let Self { language, title, body, script } = self;
        let script = script.map_or_else(String::new, |script| format!("<script>{script}</script>\n"));
        format!(
            "<!doctype html>\n<html lang=\"{language}\">\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n<meta name=\"robots\" content=\"noindex\">\n\
             <title>{title}</title>\n<style>{STYLE}</style>\n{body}{script}</html>\n"
        )
    }

    /// Names style and script by their hashes.
    fn policy(&self) -> HeaderValue {
        let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
        let policy = format!(
            "default-src 'none'; style-src {}; script-src {}; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
            hash(STYLE),
            self.script.map_or_else(|| "'none'".to_owned(), hash)
        );
        HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"))
    }
}
