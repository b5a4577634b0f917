//! What stands around every page.

use super::{
    admission::{Viewer, cookie_value},
    assets::{SCRIPT_PATH, STYLE_PATH},
    texts::{ENGLISH, Texts},
};
use crate::site::Site;
use axum::http::HeaderMap;
use jiff::Timestamp;
use std::collections::BTreeMap;
use uuid::Uuid;

/// A site in the menu.
pub(super) struct SiteLink {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) host: String,
    pub(super) is_this: bool,
}

/// Feeds that stand together.
pub(super) struct Folder {
    pub(super) name: String,
    pub(super) feeds: Vec<(Uuid, String)>,
}

/// See the module.
pub(super) struct Frame {
    pub(super) texts: &'static Texts,
    pub(super) title: String,
    pub(super) theme: &'static str,
    /// The server's time (RFC 3339), for times that count.
    pub(super) now: String,
    pub(super) style_path: &'static str,
    pub(super) script_path: &'static str,
    pub(super) form_token: String,
    pub(super) email: String,
    /// `/sites/ID`; empty where a page is of no site.
    pub(super) base: String,
    pub(super) site_name: String,
    pub(super) sites: Vec<SiteLink>,
    pub(super) folders: Vec<Folder>,
    /// The last part of the page's path.
    pub(super) page: &'static str,
}

impl Frame {
    /// Of a page for nobody in particular.
    pub(super) fn bare(title: &str) -> Self {
        Self {
            texts: &ENGLISH,
            title: title.to_owned(),
            theme: "auto",
            now: Timestamp::UNIX_EPOCH.to_string(),
            style_path: &STYLE_PATH,
            script_path: &SCRIPT_PATH,
            form_token: String::new(),
            email: String::new(),
            base: String::new(),
            site_name: "Firmsight".to_owned(),
            sites: Vec::new(),
            folders: Vec::new(),
            page: "",
        }
    }

    /// Of a page of a site, or of none.
    pub(super) fn of(
        viewer: &Viewer,
        headers: &HeaderMap,
        site: Option<&Site>,
        page: &'static str,
        title: &str,
    ) -> Self {
        let sites = viewer.sites();
        let link = |own: &Site| SiteLink {
            id: own.id.to_string(),
            name: own.name.clone(),
            host: own.hosts.first().cloned().unwrap_or_default(),
            is_this: site.is_some_and(|site| site.id == own.id),
        };
        Self {
            title: site.map_or_else(|| title.to_owned(), |site| format!("{title} · {}", site.name)),
            theme: theme(headers),
            now: Timestamp::from_millisecond(viewer.now.0).unwrap_or_default().to_string(),
            form_token: viewer.session.form_token_text(),
            email: viewer.person.email.to_string(),
            base: site.map(|site| format!("/sites/{}", site.id)).unwrap_or_default(),
            site_name: site.map_or_else(|| "Firmsight".to_owned(), |site| site.name.clone()),
            sites: sites.iter().map(|site| link(site)).collect(),
            folders: site.map(|site| folders(viewer, site)).unwrap_or_default(),
            page,
            ..Self::bare(title)
        }
    }

    /// The last part of each page's path, which is its icon's name as well, and the page's name.
    pub(super) fn pages(&self) -> [(&'static str, &'static str); 4] {
        let texts = self.texts;
        [("today", texts.today), ("companies", texts.companies), ("visits", texts.visits), ("filtered", texts.filtered)]
    }
}

fn folders(viewer: &Viewer, site: &Site) -> Vec<Folder> {
    let mut folders: BTreeMap<&str, Vec<(Uuid, String)>> = BTreeMap::new();
    for feed in viewer.snapshot.feeds.values().filter(|feed| feed.site == site.id) {
        folders.entry(&feed.folder).or_default().push((feed.id, feed.name.clone()));
    }
    folders
        .into_iter()
        .map(|(name, mut feeds)| {
            feeds.sort_by(|one, other| one.1.cmp(&other.1));
            Folder { name: name.to_owned(), feeds }
        })
        .collect()
}

/// The colours that a browser was told to keep.
fn theme(headers: &HeaderMap) -> &'static str {
    let kept = cookie_value(headers, "theme");
    ["light", "dark"].into_iter().find(|theme| kept.as_deref() == Some(theme)).unwrap_or("auto")
}
