//! Companies: what is known of them over all time, and what people noted about them.
//!
//! Names and places are those of the latest day. The table is a replacing one, read with `FINAL`, which also leaves out rows
//! marked as deleted. No report reads `events`.
//!
//! # Order
//! A list first finds the companies of its page ([`super::selection`]) and then reads here what is known of those. They are
//! ordered by their first visit in the window, each with its id to break ties: a company that visits again keeps its place,
//! and a new one comes in at the newest end ([`super::newest`]).

use super::{
    Error,
    formulas::completeness,
    reading::{all, read},
};
use crate::{site::SiteId, store::Store};
use clickhouse::Row;
use firmsight_resolver::CompanyId;
use serde::Deserialize;
use std::collections::HashMap;

/// How much a company visited in a window of time.
#[derive(Clone, Copy, Debug, Row, Deserialize)]
pub(crate) struct Visited {
    pub(crate) company_id: u64,
    pub(crate) visits: u64,
    pub(crate) pageviews: u64,
}

/// A company over all time.
#[derive(Clone, Debug, Default, Row, Deserialize)]
pub(crate) struct Company {
    pub(crate) company_id: u64,
    pub(crate) name: String,
    pub(crate) domain: String,
    pub(crate) industry: String,
    pub(crate) country_code: String,
    pub(crate) region: String,
    pub(crate) city: String,
    pub(crate) visits: u64,
    pub(crate) pageviews: u64,
    /// Milliseconds since 1970.
    pub(crate) first_visit: i64,
    /// Milliseconds since 1970.
    pub(crate) last_visit: i64,
    /// Half of its quality, 0 to 5.
    pub(crate) completeness: u8,
    pub(crate) employees_min: Option<u32>,
    pub(crate) employees_max: Option<u32>,
    pub(crate) revenue_amount: Option<u64>,
    pub(crate) revenue_currency: Option<String>,
    pub(crate) phone: Option<String>,
    pub(crate) website_url: Option<String>,
    pub(crate) linkedin_url: Option<String>,
    pub(crate) twitter_url: Option<String>,
    pub(crate) facebook_url: Option<String>,
    pub(crate) logo_url: Option<String>,
    pub(crate) legal_entity_identifier: Option<String>,
}

/// What people noted about a company, as far as lists show it.
#[derive(Clone, Debug, Default, Row, Deserialize)]
pub(crate) struct Marks {
    pub(crate) company_id: u64,
    pub(crate) tags: Vec<String>,
    pub(crate) assignee: String,
    pub(crate) is_hidden: bool,
}

/// A company with how much it visited, over all time or within a window, and what people noted about it.
#[derive(Clone, Debug)]
pub(crate) struct CompanyWithVisits {
    pub(crate) company: Company,
    pub(crate) visited: Visited,
    pub(crate) marks: Marks,
}

/// One point each from 1, 2, 4, 8 and 16 page views: `formulas::ENGAGEMENT` for a number in hand.
fn engagement(pageviews: u64) -> u8 {
    pageviews.checked_ilog2().map_or(0, |log| log.min(4) as u8 + 1)
}

impl CompanyWithVisits {
    /// 0 to 10: engagement and completeness.
    pub(crate) fn quality(&self) -> u8 {
        engagement(self.visited.pageviews) + self.company.completeness
    }
}

/// Whether a company visited the site at some time.
pub(crate) async fn is_known(store: &Store, site: &SiteId, company: CompanyId) -> Result<bool, Error> {
    Ok(!over_all_time(store, site, &[company.0]).await?.is_empty())
}

/// One company over all time; none where it never visited or somebody hid it.
pub(crate) async fn one(store: &Store, site: &SiteId, company: CompanyId) -> Result<Option<CompanyWithVisits>, Error> {
    let ids = [company.0];
    let (found, mut marks) = tokio::try_join!(over_all_time(store, site, &ids), marks(store, site, &ids))?;
    let marks = marks.remove(&company.0).unwrap_or_default();
    let company = found.into_iter().next().filter(|_| !marks.is_hidden);
    Ok(company.map(|company| {
        let Company { company_id, visits, pageviews, .. } = company;
        CompanyWithVisits { company, visited: Visited { company_id, visits, pageviews }, marks }
    }))
}

/// What is known of the companies of a selection, in its order.
pub(crate) async fn of_selection(
    store: &Store,
    site: &SiteId,
    selected: &[Visited],
) -> Result<Vec<CompanyWithVisits>, Error> {
    let ids: Vec<u64> = selected.iter().map(|company| company.company_id).collect();
    let (companies, mut marks) = tokio::try_join!(over_all_time(store, site, &ids), marks(store, site, &ids))?;
    let mut companies: HashMap<u64, Company> = companies.into_iter().map(|found| (found.company_id, found)).collect();
    // Absent is only what a pipeline is writing at this moment: the day is stored, the company not yet.
    let known = selected.iter().filter_map(|visited| {
        let company = companies.remove(&visited.company_id)?;
        let marks = marks.remove(&visited.company_id).unwrap_or_default();
        Some(CompanyWithVisits { company, visited: *visited, marks })
    });
    Ok(known.collect())
}

/// Some companies over all time, in no order; names and places are those of the latest day.
async fn over_all_time(store: &Store, site: &SiteId, ids: &[u64]) -> Result<Vec<Company>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    // PREWHERE comes before FINAL picks the latest version, which is right for columns of the sort key alone.
    let sql = format!(
        "SELECT company_id, name, domain, industry, country_code, region, city, visits, pageviews, \
            toUnixTimestamp64Milli(first_visit_at) AS first_visit, toUnixTimestamp64Milli(last_visit_at) AS last_visit, \
            toUInt8({completeness}) AS completeness, employees_min, employees_max, revenue_amount, \
            revenue_currency, phone, website_url, linkedin_url, twitter_url, facebook_url, logo_url, legal_entity_identifier \
        FROM companies AS company FINAL \
        PREWHERE site = {{site:String}} AND company_id IN {{companies:Array(UInt64)}}",
        completeness = completeness("company"),
    );
    all(store, read(store, &sql, site).param("companies", ids)).await
}

/// What people noted about some companies; those of whom nothing is noted are left out.
async fn marks(store: &Store, site: &SiteId, ids: &[u64]) -> Result<HashMap<u64, Marks>, Error> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = "SELECT company_id, tags, assignee, is_hidden FROM company_marks FINAL \
        PREWHERE site = {site:String} AND company_id IN {companies:Array(UInt64)}";
    let found: Vec<Marks> = all(store, read(store, sql, site).param("companies", ids)).await?;
    Ok(found.into_iter().map(|marks| (marks.company_id, marks)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engagement_grows_with_each_doubling_of_page_views() {
        for (pageviews, expected) in
            [(0, 0), (1, 1), (2, 2), (3, 2), (4, 3), (7, 3), (8, 4), (15, 4), (16, 5), (u64::MAX, 5)]
        {
            assert_eq!(engagement(pageviews), expected, "{pageviews} page views");
        }
    }
}
