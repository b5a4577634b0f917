//! The opt-out page: what this collector does, and two buttons. A GET changes nothing and shows
//! nothing that identifies anybody; a POST counts only from the page itself.

use super::Answer;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, header};
use http_body_util::Full;

/// What a person asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Record nothing more in this browser.
    Object,
    /// The same, and erase what was recorded of it.
    Erase,
}

/// The fields of the page's form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Form {
    /// The button.
    pub(super) action: Action,
    /// The site whose records are erased; absent means those that share the collector's domain.
    pub(super) site: Option<String>,
}

impl Form {
    /// Reads `application/x-www-form-urlencoded`; `None` without a known action.
    #[must_use]
    pub(super) fn decode(body: &[u8]) -> Option<Self> {
        let mut action = None;
        let mut site = None;
        for (name, value) in form_urlencoded::parse(body) {
            match (&*name, &*value) {
                ("action", "object") => action = Some(Action::Object),
                ("action", "erase") => action = Some(Action::Erase),
                ("site", value) if !value.is_empty() => site = Some(value.to_owned()),
                _ => {}
            }
        }
        Some(Self { action: action?, site })
    }
}

/// Whether the page itself sent this form, as the browser says: `Sec-Fetch-Site` where it exists, else
/// an Origin that names the collector's own host.
#[must_use]
pub(super) fn is_same_origin(headers: &HeaderMap, collector: Option<&str>) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin";
    }
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    let authority = origin.and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
    authority.is_some() && authority == collector
}

/// The page.
#[must_use]
pub(super) fn page(endpoint_path: &str, site: Option<&str>) -> Answer {
    let hidden = site.map_or_else(String::new, |id| format!("<input type=\"hidden\" name=\"site\" value=\"{id}\">\n"));
    let path = escaped(endpoint_path);
    html(&format!(
        "<p>This website records which companies visit it. It looks at the network a visit comes from to find the \
         company, and keeps the company, the pages and the time; it keeps no IP address. Homes and phones are left out.</p>\n\
         <form method=\"post\" action=\"{path}/privacy\">\n{hidden}\
         <p><button name=\"action\" value=\"object\">Record nothing more from this browser</button></p>\n\
         <p><button name=\"action\" value=\"erase\">Record nothing more, and erase what was recorded of this browser</button></p>\n\
         </form>\n\
         <p>Your choice is kept in a cookie named _lfa_consent. Browsers that send Global Privacy Control are left out \
         without a choice here.</p>"
    ))
}

/// What is shown after a button was pressed.
#[must_use]
pub(super) fn done(action: Action) -> Answer {
    html(match action {
        Action::Object => "<p>Done. Nothing more is recorded from this browser.</p>",
        Action::Erase => {
            "<p>Done. Nothing more is recorded from this browser, and what was recorded of it is being erased.</p>"
        }
    })
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;")
}

fn html(body: &str) -> Answer {
    let text = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<meta name=\"robots\" content=\"noindex\">\n\
         <title>Privacy</title>\n<h1>Privacy</h1>\n{body}\n</html>\n"
    );
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    let headers = answer.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}
