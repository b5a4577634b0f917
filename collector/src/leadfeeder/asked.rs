//! What every list of the API is asked: of which account, for which dates, which page.

use super::{
    paging::{Links, Page},
    walks::{WalkId, Walks},
};
use crate::{
    admin::{
        authentication::Caller,
        problem::Problem,
        wire::{Parameters, dates::Dates},
    },
    reports::{
        dates::{Window, zone},
        newest::Newest,
    },
    site::Site,
    time::UnixMillis,
};
use jiff::tz::TimeZone;
use std::sync::Arc;
use uuid::Uuid;

/// A list that is asked for, and recorded as read.
pub(super) struct Asked {
    pub(super) site: Arc<Site>,
    pub(super) zone: TimeZone,
    pub(super) window: Window,
    page: Page,
    dates: Dates,
    /// The list's path below the account.
    path: String,
    asker: Uuid,
    now: UnixMillis,
}

impl Asked {
    /// Reads the request for the list at this path below the account.
    pub(super) fn read(caller: &Caller, account: &str, path: &str, query: Option<&str>) -> Result<Self, Problem> {
        let site = caller.account(account)?;
        let zone = zone(&site.timezone);
        let parameters = Parameters::read(query);
        let dates = Dates::read(&parameters)?;
        let window = dates.whole_days(&zone)?;
        let page = Page::read(&parameters)?;
        caller.audit(Some(&site.id))?;
        let (asker, now) = (caller.key.id, caller.now());
        Ok(Self { site, zone, window, page, dates, path: path.to_owned(), asker, now })
    }

    /// Which entries are asked for, in a list that shows at most `cap` of them.
    pub(super) fn newest(&self, walks: &Walks, cap: u64) -> Newest {
        let among = walks.among(&self.walk(), self.page, self.now);
        Newest { skip: self.page.offset(), take: self.page.limit_under(cap), among }
    }

    /// Remembers how long the list was, where this page began the walk through it.
    pub(super) fn remember(&self, walks: &Walks, newest: Newest, total: u64) {
        if newest.among.is_none() {
            walks.begin(self.walk(), self.page, total, self.now);
        }
    }

    /// Links of the list.
    pub(super) fn links(&self, base_url: &str, total: u64) -> Links {
        let address = format!("{base_url}/accounts/{}/{}", self.site.id, self.path);
        Links::of(&address, &self.dates, self.page, total)
    }

    fn walk(&self) -> WalkId {
        WalkId {
            asker: self.asker,
            account: self.site.id.to_string(),
            path: self.path.clone(),
            start_date: self.dates.start_date.clone(),
            end_date: self.dates.end_date.clone(),
            page_size: self.page.size,
        }
    }
}
