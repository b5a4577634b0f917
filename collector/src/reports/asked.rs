//! What every list of one account asks for: the account, dates in its time zone, a page.

use super::{
    authentication::Caller,
    dates::{Window, zone},
    error::ReportError,
    paging::{Links, Page},
    parameters::Parameters,
};
use crate::site::Site;
use jiff::tz::TimeZone;
use std::sync::Arc;

/// A list that is asked for, and recorded as read.
pub(super) struct Asked {
    pub(super) site: Arc<Site>,
    pub(super) zone: TimeZone,
    pub(super) window: Window,
    pub(super) page: Page,
}

impl Asked {
    pub(super) fn read(caller: &Caller, account: &str, query: Option<&str>) -> Result<Self, ReportError> {
        let site = caller.account(account)?;
        let zone = zone(&site.timezone);
        let parameters = Parameters::read(query);
        let window = Window::read(&parameters, &zone)?;
        let page = Page::read(&parameters)?;
        caller.audit(Some(&site.id))?;
        Ok(Self { site, zone, window, page })
    }

    /// Links of the list at this path below the account.
    pub(super) fn links(&self, base_url: &str, path: &str, total: u64) -> Links {
        Links::of(&format!("{base_url}/accounts/{}/{path}", self.site.id), &self.window, self.page, total)
    }
}
