//! Who walks through the pages of which list, and how long the list was when the walk began ([`reports::newest`]).
//!
//! Clients name pages by number alone, so the length is kept here, by who asks and for what. Page 1 begins a walk; a page
//! that comes before it, as from a client that asks for several at once, begins one that page 1 joins. Each collector keeps
//! its own walks: behind several, a client that is sent to another one in between begins anew there.
//!
//! [`reports::newest`]: crate::reports::newest

use super::paging::Page;
use crate::time::UnixMillis;
use quick_cache::sync::Cache;
use uuid::Uuid;

/// Most walks that are remembered; those unused for longest go first.
const MAX_WALKS: usize = 10_000;
/// How long a walk may take, in milliseconds: 10,000 leads in pages of ten at 100 requests a minute take ten minutes.
const LONGEST: i64 = 3_600_000;
/// How long after another page the first page of the same walk may come, in milliseconds.
const TOGETHER: i64 = 2_000;

/// One walk: who asks, for which list, in pages of which size.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct WalkId {
    pub(super) asker: Uuid,
    pub(super) account: String,
    /// The list's path below the account.
    pub(super) path: String,
    pub(super) start_date: String,
    pub(super) end_date: String,
    pub(super) page_size: u64,
}

#[derive(Clone, Copy, Debug)]
struct Walk {
    total: u64,
    begun: UnixMillis,
    is_from_first_page: bool,
}

/// All walks of this process.
#[derive(Debug)]
pub(super) struct Walks(Cache<WalkId, Walk>);

impl Default for Walks {
    fn default() -> Self {
        Self(Cache::new(MAX_WALKS))
    }
}

impl Walks {
    /// How long the list was when the walk that this page belongs to began; `None` where this page begins one.
    pub(super) fn among(&self, id: &WalkId, page: Page, now: UnixMillis) -> Option<u64> {
        let walk = self.0.get(id)?;
        let age = now.0.saturating_sub(walk.begun.0);
        let is_same = if page.number == 1 { !walk.is_from_first_page && age < TOGETHER } else { age < LONGEST };
        is_same.then_some(walk.total)
    }

    /// Begins a walk with this page.
    pub(super) fn begin(&self, id: WalkId, page: Page, total: u64, now: UnixMillis) {
        self.0.insert(id, Walk { total, begun: now, is_from_first_page: page.number == 1 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(asker: u128) -> WalkId {
        WalkId {
            asker: Uuid::from_u128(asker),
            account: "shop".to_owned(),
            path: "leads".to_owned(),
            start_date: "2026-01-01".to_owned(),
            end_date: "2026-12-31".to_owned(),
            page_size: 100,
        }
    }

    fn page(number: u64) -> Page {
        Page { number, size: 100 }
    }

    #[test]
    fn later_pages_belong_to_the_walk_of_page_one_and_page_one_begins_anew() {
        let walks = Walks::default();
        assert_eq!(walks.among(&id(1), page(1), UnixMillis(0)), None);
        walks.begin(id(1), page(1), 250, UnixMillis(0));
        assert_eq!(walks.among(&id(1), page(2), UnixMillis(1_000)), Some(250));
        assert_eq!(walks.among(&id(1), page(3), UnixMillis(LONGEST - 1)), Some(250));
        assert_eq!(walks.among(&id(1), page(3), UnixMillis(LONGEST)), None);
        assert_eq!(walks.among(&id(1), page(1), UnixMillis(1)), None);
        assert_eq!(walks.among(&id(2), page(2), UnixMillis(1_000)), None);
        let other_size = WalkId { page_size: 10, ..id(1) };
        assert_eq!(walks.among(&other_size, page(2), UnixMillis(1_000)), None);
    }

    #[test]
    fn page_one_joins_pages_that_came_together_with_it() {
        let walks = Walks::default();
        walks.begin(id(1), page(3), 250, UnixMillis(0));
        assert_eq!(walks.among(&id(1), page(1), UnixMillis(TOGETHER - 1)), Some(250));
        assert_eq!(walks.among(&id(1), page(1), UnixMillis(TOGETHER)), None);
    }
}
