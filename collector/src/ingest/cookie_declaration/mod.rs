//! The cookie declaration: what the tracker stores in a browser for a site, by the site's real settings, as JSON and as
//! HTML for a cookie banner or a privacy policy.
//!
//! One table, `ITEMS`, says what there is; the opt-out page shows the same items with the values that a browser has.
//! Whatever the tracker stores must stand here: a browser test compares.

mod texts;

use super::{
    Answer,
    cookies::{CLIENT_ID, CONSENT},
    html_page::HtmlPage,
    language::{Language, escaped},
};
use crate::site::{ClientIdLife, ConsentMode, Site};
use serde::Serialize;
use std::fmt::Write;
use texts::Texts;

/// No browser keeps a cookie for longer (RFC 6265bis, 5.5).
const MOST_DAYS_OF_A_COOKIE: u64 = 400;

/// Where an item is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Storage {
    /// A cookie.
    Cookie,
    /// The local storage of the page's origin.
    LocalStorage,
}

/// Why consent may be asked for an item, in the words that cookie banners use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Category {
    /// Needed to honour the person's choice.
    Necessary,
    /// Statistics.
    Statistics,
}

/// How long an item is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// As the cookie of the client id.
    AsClientId,
    /// The choice.
    Days(u64),
    /// Removed in the moment it was made.
    Moment,
}

/// When an item is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begin {
    /// With the first event that has an id.
    WithClientId,
    /// With the person's choice.
    WithChoice,
}

/// Something of ours in a browser.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) name: &'static str,
    pub(super) storage: Storage,
    category: Category,
    life: Life,
    begin: Begin,
    purpose: fn(&Texts) -> &'static str,
}

/// The tracker drops what is older, since the collector would not believe it.
const QUEUE_DAYS: u64 = beacon::MAX_EVENT_AGE_MS / (24 * 60 * 60 * 1000);

/// Everything that the tracker may store.
pub(super) const ITEMS: &[Item] = &[
    Item {
        name: CLIENT_ID,
        storage: Storage::Cookie,
        category: Category::Statistics,
        life: Life::AsClientId,
        begin: Begin::WithClientId,
        purpose: |texts| texts.client_id,
    },
    Item {
        name: "_lfa_expiry",
        storage: Storage::LocalStorage,
        category: Category::Statistics,
        life: Life::AsClientId,
        begin: Begin::WithClientId,
        purpose: |texts| texts.expiry,
    },
    Item {
        name: "_lfa_queue",
        storage: Storage::LocalStorage,
        category: Category::Statistics,
        life: Life::Days(QUEUE_DAYS),
        begin: Begin::WithClientId,
        purpose: |texts| texts.queue,
    },
    Item {
        name: "_lfa_test_cookie_stored",
        storage: Storage::Cookie,
        category: Category::Statistics,
        life: Life::Moment,
        begin: Begin::WithClientId,
        purpose: |texts| texts.probe,
    },
    Item {
        name: CONSENT,
        storage: Storage::Cookie,
        category: Category::Necessary,
        life: Life::Days(super::cookies::CONSENT_DAYS),
        begin: Begin::WithChoice,
        purpose: |texts| texts.choice,
    },
];

impl Item {
    /// What it is for, in words.
    pub(super) fn purpose(&self, language: Language) -> &'static str {
        (self.purpose)(Texts::of(language))
    }

    /// How long it is kept, in words.
    pub(super) fn life(&self, language: Language, client_id_life: ClientIdLife) -> String {
        Texts::of(language).life(self.days(client_id_life))
    }

    /// Days that it is kept; 0 is a moment.
    fn days(&self, client_id_life: ClientIdLife) -> u64 {
        match self.life {
            Life::AsClientId => client_id_life.days().into(),
            Life::Days(days) => days.min(MOST_DAYS_OF_A_COOKIE),
            Life::Moment => 0,
        }
    }
}

/// What a site's visitors are to be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CookieDeclaration {
    /// The site's id.
    pub site: String,
    /// The site's name for people.
    pub site_name: String,
    /// The language of the texts, `en`, `de` or `fr`.
    pub language: &'static str,
    /// What the site asks before anything is stored.
    pub consent_mode: ConsentMode,
    /// What it is about, one or two sentences.
    pub summary: String,
    /// Where a person sees what is stored and objects, a path on the collector's host.
    pub opt_out_path: String,
    /// The items.
    pub cookies: Vec<DeclaredItem>,
}

/// One line of the declaration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeclaredItem {
    /// Its name in the browser.
    pub name: &'static str,
    /// Where it is kept.
    pub storage: Storage,
    /// Which category of a cookie banner it belongs to.
    pub category: Category,
    /// What it is for.
    pub purpose: &'static str,
    /// When it is stored.
    pub stored: &'static str,
    /// Most days that it is kept after the last visit that may store it; 0: removed at once.
    pub life_days: u64,
    /// The same in words.
    pub life: String,
    /// Whether it belongs to the website's own domain; nothing of ours belongs to another.
    pub first_party: bool,
    /// Who can read it.
    pub readers: &'static str,
}

impl CookieDeclaration {
    /// The declaration of a site. `client_id_life` is `[tracker].client_id_life`.
    #[must_use]
    pub fn of(site: &Site, endpoint_path: &str, client_id_life: ClientIdLife, language: Language) -> Self {
        let texts = Texts::of(language);
        let client_id_life = site.client_id_life.min(client_id_life);
        let cookies = ITEMS.iter().map(|item| DeclaredItem {
            name: item.name,
            storage: item.storage,
            category: item.category,
            purpose: item.purpose(language),
            stored: match (item.begin, site.consent) {
                (Begin::WithChoice, _) => texts.with_choice,
                (Begin::WithClientId, ConsentMode::NotRequired) => texts.without_consent,
                (Begin::WithClientId, ConsentMode::Required | ConsentMode::Cookieless) => texts.after_consent,
            },
            life_days: item.days(client_id_life),
            life: item.life(language, client_id_life),
            first_party: true,
            readers: texts.readers,
        });
        let mut summary = texts.summary.to_owned();
        if site.consent == ConsentMode::Cookieless {
            summary.push(' ');
            summary.push_str(texts.cookieless);
        }
        Self {
            site: site.id.to_string(),
            site_name: site.name.clone(),
            language: language.tag(),
            consent_mode: site.consent,
            summary,
            opt_out_path: format!("{endpoint_path}/privacy?site={}&lang={}", site.id, language.tag()),
            cookies: cookies.collect(),
        }
    }

    /// A section with a table, to be put into a page; it brings no style and no script.
    #[must_use]
    pub fn to_html(&self) -> String {
        let texts = Texts::of(Language::of_tag(self.language).unwrap_or_default());
        let mut out = format!(
            "<section lang=\"{}\" class=\"firmsight-cookies\">\n<h2>{}</h2>\n<p>{}</p>\n<table>\n<thead><tr>",
            self.language,
            texts.heading,
            escaped(&self.summary)
        );
        for column in texts.columns {
            out.push_str(&format!("<th scope=\"col\">{column}</th>"));
        }
        out.push_str("</tr></thead>\n<tbody>\n");
        for item in &self.cookies {
            let storage = texts.storage(item.storage);
            // Writing to a text does not fail.
            let _written = writeln!(
                out,
                "<tr><th scope=\"row\"><code>{}</code></th><td>{storage}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                item.name, item.purpose, item.stored, item.life, item.readers
            );
        }
        let link = escaped(&self.opt_out_path);
        let _written = write!(out, "</tbody>\n</table>\n<p><a href=\"{link}\">{}</a></p>\n</section>\n", texts.opt_out);
        out
    }
}

/// A whole page around the section.
#[must_use]
pub(super) fn page(declaration: &CookieDeclaration, cache_control: &'static str) -> Answer {
    let title = Texts::of(Language::of_tag(declaration.language).unwrap_or_default()).heading;
    let body = format!("<main>\n{}</main>\n", declaration.to_html());
    HtmlPage { language: declaration.language, title, body: &body, script: None }.answer(cache_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(consent: ConsentMode) -> Site {
        let document = serde_json::json!({
            "id": "shop", "name": "Bolts & <Nuts>", "hosts": ["www.example.com"], "timezone": "UTC", "consent": consent,
        });
        serde_json::from_value(document).unwrap()
    }

    fn declared(consent: ConsentMode, language: Language) -> CookieDeclaration {
        CookieDeclaration::of(&site(consent), "/lfa", ClientIdLife::LONGEST, language)
    }

    #[test]
    fn lives_are_the_shorter_of_the_sites_and_the_servers() {
        for (own, servers, expected) in
            [("400d", "390d", 390), ("30d", "400d", 30), ("400d", "400d", 400), ("90d", "60d", 60)]
        {
            let site = Site { client_id_life: own.parse().unwrap(), ..site(ConsentMode::Required) };
            let declaration = CookieDeclaration::of(&site, "/lfa", servers.parse().unwrap(), Language::English);
            let life = |name| declaration.cookies.iter().find(|item| item.name == name).unwrap();
            assert_eq!(life("_lfa").life_days, expected);
            assert_eq!(life("_lfa_expiry").life_days, expected);
            assert!(life("_lfa").life.contains(&expected.to_string()), "{}", life("_lfa").life);
            assert_eq!((life("_lfa_test_cookie_stored").life_days, life("_lfa_consent").life_days), (0, 400));
        }
    }

    #[test]
    fn what_is_said_of_the_beginning_follows_the_sites_mode() {
        for (mode, words, anonymous) in [
            (ConsentMode::Required, "agreed", false),
            (ConsentMode::Cookieless, "agreed", true),
            (ConsentMode::NotRequired, "first visit", false),
        ] {
            let declaration = declared(mode, Language::English);
            assert!(declaration.cookies[0].stored.contains(words), "{mode:?}: {}", declaration.cookies[0].stored);
            assert_eq!(declaration.summary.contains("without"), anonymous, "{mode:?}: {}", declaration.summary);
        }
    }

    #[test]
    fn every_language_says_everything() {
        for language in Language::ALL {
            let declaration = declared(ConsentMode::Cookieless, language);
            let html = declaration.to_html();
            for item in &declaration.cookies {
                assert!(html.contains(item.name) && !item.purpose.is_empty() && !item.life.is_empty());
            }
            assert!(html.starts_with(&format!("<section lang=\"{}\"", language.tag())));
            assert_eq!(html.matches("<tr>").count(), ITEMS.len() + 1);
            assert!(!html.contains("<Nuts>"));
        }
    }
}
