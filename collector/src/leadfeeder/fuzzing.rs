//! The readers of requests, for `fuzz/`: no part of the library's interface.

use super::{
    leads::company_id,
    paging::{Links, Page},
};
use crate::{
    admin::{
        authentication,
        wire::{
            Parameters,
            dates::{Dates, Days},
        },
    },
    reports::dates::zone,
};
use axum::http::HeaderMap;

/// What a list request asks for, as numbers.
#[derive(Debug, PartialEq, Eq)]
pub struct ListRequest {
    /// First millisecond of the window.
    pub from: i64,
    /// First millisecond after it.
    pub until: i64,
    /// Entries before the page.
    pub offset: u64,
    /// Entries on the page.
    pub limit: u64,
    /// The list's own link.
    pub link: String,
}

/// Reads the query of a list.
///
/// # Errors
/// What is wrong with it, as the client reads it.
pub fn list_request(query: &str, zone_name: &str) -> Result<ListRequest, String> {
    let parameters = Parameters::read(Some(query));
    // Company-day lists read the same two dates; either reader may refuse what the other one takes.
    drop(Days::read(&parameters).and_then(|days| days.days()));
    let dates = Dates::read(&parameters).map_err(|error| error.to_string())?;
    let window = dates.window(&zone(zone_name)).map_err(|error| error.to_string())?;
    let page = Page::read(&parameters).map_err(|error| error.to_string())?;
    let links = Links::of("https://stats.example.com/leads", &dates, page, u64::MAX);
    Ok(ListRequest {
        from: window.from.0,
        until: window.until.0,
        offset: page.offset(),
        limit: page.size,
        link: links.this,
    })
}

/// The token that a request's headers present.
#[must_use]
pub fn presented_token(headers: &HeaderMap) -> Option<&[u8]> {
    authentication::presented_token(headers)
}

/// The company that a lead id names.
#[must_use]
pub fn lead_id(text: &str) -> Option<u64> {
    company_id(text).ok().map(|company| company.0)
}
