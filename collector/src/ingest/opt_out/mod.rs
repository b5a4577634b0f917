//! The opt-out page: what is stored in this browser, and buttons to object, to erase and to take an objection back.
//!
//! A GET changes nothing and shows nothing but what the browser itself has sent; a POST counts only from the page
//! itself. It is plain HTML; a script adds what the server can't see (local storage, the cookies' last days).

mod texts;

use super::{
    Answer,
    cookie_declaration::{ITEMS, Storage},
    cookies::StoredChoice,
    html_page::HtmlPage,
    language::{Language, escaped},
};
use crate::site::ClientIdLife;
use http::{HeaderMap, header};
use texts::Texts;

const SCRIPT: &str = include_str!("page.js");

/// What a person asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Record nothing more in this browser.
    Object,
    /// The same, and erase what was recorded of it.
    Erase,
    /// Take the objection back.
    Allow,
}

/// The fields of the page's form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Form {
    /// The button.
    pub(super) action: Action,
    /// The site whose records are erased; absent means those that share the collector's domain.
    pub(super) site: Option<String>,
    /// The language of the page that was sent.
    pub(super) language: Option<Language>,
}

impl Form {
    /// Reads `application/x-www-form-urlencoded`; `None` without a known action.
    #[must_use]
    pub(super) fn decode(body: &[u8]) -> Option<Self> {
        let mut action = None;
        let mut site = None;
        let mut language = None;
        for (name, value) in form_urlencoded::parse(body) {
            match (&*name, &*value) {
                ("action", "object") => action = Some(Action::Object),
                ("action", "erase") => action = Some(Action::Erase),
                ("action", "allow") => action = Some(Action::Allow),
                ("site", value) if !value.is_empty() => site = Some(value.to_owned()),
                ("lang", value) => language = Language::of_tag(value),
                _ => {}
            }
        }
        Some(Self { action: action?, site, language })
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

/// What the page shows.
pub(super) struct View<'a> {
    pub(super) language: Language,
    pub(super) endpoint_path: &'a str,
    /// The site that the address names, if there is one.
    pub(super) site: Option<&'a str>,
    /// Whether cookies that this page sets reach the site's pages.
    pub(super) is_in_reach: bool,
    /// Names and values of our cookies, as they are after what was done.
    pub(super) cookies: Vec<(&'static str, String)>,
    pub(super) choice: StoredChoice,
    pub(super) global_privacy_control: bool,
    pub(super) client_id_life: ClientIdLife,
    /// What was just done.
    pub(super) done: Option<Action>,
}

/// The page.
#[must_use]
pub(super) fn page(view: &View<'_>) -> Answer {
    let texts = Texts::of(view.language);
    let mut body = language_links(view, texts);
    body.push_str(&format!("<main>\n<h1>{}</h1>\n", texts.title));
    if let Some(action) = view.done {
        let text = match action {
            Action::Object => texts.done_objected,
            Action::Erase => texts.done_erased,
            Action::Allow => texts.done_allowed,
        };
        body.push_str(&format!("<p role=\"status\">{text}</p>\n"));
    }
    body.push_str(&format!("<p>{}</p>\n<h2 id=\"stored\">{}</h2>\n", texts.explanation, texts.stored_heading));
    body.push_str(&stored(view, texts));
    body.push_str(&format!("<h2>{}</h2>\n", texts.choice_heading));
    if view.is_in_reach {
        body.push_str(&choice(view, texts));
    } else {
        body.push_str(&format!("<p>{}</p>\n", texts.out_of_reach));
    }
    body.push_str("</main>\n");
    HtmlPage { language: view.language.tag(), title: texts.title, body: &body, script: Some(SCRIPT) }.answer("no-store")
}

fn language_links(view: &View<'_>, texts: &Texts) -> String {
    let site = view.site.map_or_else(String::new, |site| format!("&amp;site={site}"));
    let links = Language::ALL.into_iter().map(|language| {
        let (tag, name) = (language.tag(), language.own_name());
        let current = if language == view.language { " aria-current=\"true\"" } else { "" };
        format!("<a href=\"?lang={tag}{site}\" lang=\"{tag}\" hreflang=\"{tag}\"{current}>{name}</a>\n")
    });
    format!("<nav aria-label=\"{}\">\n{}</nav>\n", texts.languages, links.collect::<String>())
}

/// The table of what is stored; rows of the local storage wait in a template for the script.
fn stored(view: &View<'_>, texts: &Texts) -> String {
    let row = |name: &str, value: &str| {
        let item = ITEMS.iter().find(|item| item.name == name);
        let purpose = item.map_or("", |item| item.purpose(view.language));
        let life = item.map_or_else(String::new, |item| item.life(view.language, view.client_id_life));
        format!(
            "<tr data-name=\"{name}\"><th scope=\"row\"><code>{name}</code></th><td>{}</td><td>{purpose}</td>\
             <td>{life}</td></tr>\n",
            escaped(value)
        )
    };
    let rows: String = view.cookies.iter().map(|(name, value)| row(name, value)).collect();
    let waiting: String =
        ITEMS.iter().filter(|item| item.storage == Storage::LocalStorage).map(|item| row(item.name, "")).collect();
    let columns: String = texts.columns.iter().map(|column| format!("<th scope=\"col\">{column}</th>")).collect();
    let hidden = |hide: bool| if hide { " hidden" } else { "" };
    let clear = if matches!(view.done, Some(Action::Object | Action::Erase)) { " data-clear=\"1\"" } else { "" };
    format!(
        "<table aria-labelledby=\"stored\" data-until=\"{}\"{clear}{}>\n<thead><tr>{columns}</tr></thead>\n\
         <tbody>\n{rows}</tbody>\n</table>\n<p id=\"nothing\"{}>{}</p>\n<template>{waiting}</template>\n",
        texts.until,
        hidden(rows.is_empty()),
        hidden(!rows.is_empty()),
        texts.nothing_stored
    )
}

fn choice(view: &View<'_>, texts: &Texts) -> String {
    let (state, actions): (_, &[_]) = match view.choice {
        StoredChoice::Denied => (texts.objected, &[Action::Erase, Action::Allow]),
        StoredChoice::Granted => (texts.agreed, &[Action::Object, Action::Erase]),
        StoredChoice::None => (texts.no_choice, &[Action::Object, Action::Erase]),
    };
    let mut out = format!("<p>{state}</p>\n");
    if view.global_privacy_control {
        out.push_str(&format!("<p>{}</p>\n", texts.global_privacy_control));
    }
    out.push_str(&format!(
        "<form method=\"post\" action=\"{}/privacy\">\n<input type=\"hidden\" name=\"lang\" value=\"{}\">\n",
        escaped(view.endpoint_path),
        view.language.tag()
    ));
    if let Some(site) = view.site {
        out.push_str(&format!("<input type=\"hidden\" name=\"site\" value=\"{site}\">\n"));
    }
    for action in actions {
        let (value, label, effect) = match action {
            Action::Object => ("object", texts.object, texts.object_effect),
            Action::Erase => ("erase", texts.erase, texts.erase_effect),
            Action::Allow => ("allow", texts.allow, texts.allow_effect),
        };
        out.push_str(&format!(
            "<p><button name=\"action\" value=\"{value}\" aria-describedby=\"{value}\">{label}</button></p>\n\
             <p id=\"{value}\">{effect}</p>\n"
        ));
    }
    out.push_str("</form>\n");
    out
}
