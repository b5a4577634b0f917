//! The feeds of a site: those that every site has, and those that its people made.

use crate::{
    feed::{Feed, Filter, NumberRange, VisitorKind},
    site::SiteId,
    snapshot::Snapshot,
};
use std::{borrow::Cow, sync::Arc};
use uuid::Uuid;

/// The least quality of a company in the feed of top leads.
const TOP_QUALITY: u64 = 7;

/// A feed by the id that the API shows.
pub(crate) struct NamedFeed<'a> {
    pub(crate) id: Cow<'a, str>,
    pub(crate) name: Cow<'a, str>,
    /// `None` selects every company.
    pub(crate) filter: Option<Cow<'a, Filter>>,
}

/// The feeds that every site has.
fn built_in() -> [NamedFeed<'static>; 4] {
    let feed = |id: &'static str, name: &'static str, filter: Option<Filter>| NamedFeed {
        id: Cow::Borrowed(id),
        name: Cow::Borrowed(name),
        filter: filter.map(Cow::Owned),
    };
    [
        feed("all_leads", "All leads", None),
        feed("new_leads", "New leads", Some(Filter::Visitor(VisitorKind::New))),
        feed("top_leads", "Top leads", Some(Filter::Quality(NumberRange { min: Some(TOP_QUALITY), max: None }))),
        feed("followed_companies", "Followed companies", Some(Filter::Followed(true))),
    ]
}

impl<'a> From<&'a Feed> for NamedFeed<'a> {
    fn from(feed: &'a Feed) -> Self {
        Self {
            id: Cow::Owned(feed.id.to_string()),
            name: Cow::Borrowed(&feed.name),
            filter: Some(Cow::Borrowed(&feed.filter)),
        }
    }
}

/// The site's feed with this id, built-in or its own.
pub(crate) fn find<'a>(snapshot: &'a Snapshot, site: &SiteId, id: &str) -> Option<NamedFeed<'a>> {
    if let Some(feed) = built_in().into_iter().find(|feed| feed.id == id) {
        return Some(feed);
    }
    let own = Uuid::parse_str(id).ok().and_then(|id| snapshot.feeds.get(&id)).filter(|feed| feed.site == *site);
    own.map(|feed| NamedFeed::from(&**feed))
}

/// The built-in feeds, then the site's own by name.
pub(crate) fn of_site<'a>(snapshot: &'a Snapshot, site: &SiteId) -> impl Iterator<Item = NamedFeed<'a>> {
    let mut own: Vec<&Arc<Feed>> = snapshot.feeds.values().filter(|feed| feed.site == *site).collect();
    own.sort_by(|one, other| (&one.name, one.id).cmp(&(&other.name, other.id)));
    built_in().into_iter().chain(own.into_iter().map(|feed| NamedFeed::from(&**feed)))
}
