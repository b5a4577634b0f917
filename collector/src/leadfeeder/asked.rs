//! What every list of one account asks for: the account, dates in its time zone, a page.

use super::paging::{Links, Page};
use crate::{
    admin::{
        authentication::Caller,
        problem::Problem,
        wire::{Parameters, dates::Dates},
    },
    reports::dates::{Window, zone},
    site::Site,
};
use jiff::tz::TimeZone;
use std::sync::Arc;

/// A list that is asked for, and recorded as read.
pub(super) struct Asked {
    pub(super) site: Arc<Site>,
    pub(super) zone: TimeZone,
    pub(super) window: Window,
    pub(super) page: Page,
    dates: Dates,
}

impl Asked {
    pub(super) fn read(caller: &Caller, account: &str, query: Option<&str>) -> Result<Self, Problem> {
        let site = caller.account(account)?;
        let zone = zone(&site.timezone);
        let parameters = Parameters::read(query);
        let dates = Dates::read(&parameters)?;
        let window = dates.window(&zone)?;
        let page = Page::read(&parameters)?;
        caller.audit(Some(&site.id))?;
        Ok(Self { site, zone, window, page, dates })
    }

    /// Links of the list at this path below the account.
    pub(super) fn links(&self, base_url: &str, path: &str, total: u64) -> Links {
        Links::of(&format!("{base_url}/accounts/{}/{path}", self.site.id), &self.dates, self.page, total)
    }
}
