//! The SQL of the reports. Values travel as server-side parameters, never in the text.
//!
//! Leads come from `company_activity` where whole days were asked for, else from `visits`; both are replacing tables, read
//! with `FINAL`, which also leaves out rows marked as deleted. No query reads `events`. A list first finds the companies
//! of its page and then reads what is known of those.
//!
//! # Order
//! Leads are ordered by their first visit in the window, visits by their start, each with the id to break ties. New
//! visits therefore come last, and pages already read stay as they were. Newest first, or by company id, each arriving
//! visit would push entries onto pages that a client has read or has yet to read.

use super::{
    dates::Window,
    error::ReportError,
    formulas::completeness,
    reading::{all, count, of_company, read, with_company, with_instants},
    visit_pages,
};
use crate::{site::SiteId, store::Store};
use clickhouse::Row;
use firmsight_resolver::CompanyId;
use jiff::civil::Date;
use serde::Deserialize;
use std::collections::HashMap;

/// How much a company visited in a window of time.
#[derive(Clone, Copy, Debug, Row, Deserialize)]
pub(super) struct Visited {
    pub(super) company_id: u64,
    pub(super) visits: u64,
    pub(super) pageviews: u64,
}

/// A company over all time.
#[derive(Clone, Debug, Default, Row, Deserialize)]
pub(super) struct Company {
    pub(super) company_id: u64,
    pub(super) name: String,
    pub(super) domain: String,
    pub(super) industry: String,
    pub(super) country_code: String,
    pub(super) region: String,
    pub(super) city: String,
    pub(super) visits: u64,
    pub(super) pageviews: u64,
    /// Milliseconds since 1970.
    pub(super) first_visit: i64,
    /// Milliseconds since 1970.
    pub(super) last_visit: i64,
    /// Half of its quality, 0 to 5.
    pub(super) completeness: u8,
    pub(super) employees_min: Option<u32>,
    pub(super) employees_max: Option<u32>,
    pub(super) revenue_amount: Option<u64>,
    pub(super) revenue_currency: Option<String>,
    pub(super) phone: Option<String>,
    pub(super) website_url: Option<String>,
    pub(super) linkedin_url: Option<String>,
    pub(super) twitter_url: Option<String>,
    pub(super) facebook_url: Option<String>,
    pub(super) logo_url: Option<String>,
    pub(super) legal_entity_identifier: Option<String>,
}

/// What people noted about a company, as far as lists show it.
#[derive(Clone, Debug, Default, Row, Deserialize)]
pub(super) struct Marks {
    pub(super) company_id: u64,
    pub(super) tags: Vec<String>,
    pub(super) assignee: String,
    pub(super) is_hidden: bool,
}

/// A visit as the reports need it.
#[derive(Clone, Debug, Row, Deserialize)]
pub(super) struct Visit {
    pub(super) visit_id: u64,
    /// Milliseconds since 1970.
    pub(super) started_millis: i64,
    pub(super) visitor: u64,
    pub(super) has_client: bool,
    pub(super) company_id: u64,
    pub(super) country_code: String,
    pub(super) region: String,
    pub(super) city: String,
    pub(super) source: String,
    pub(super) medium: String,
    pub(super) campaign: String,
    pub(super) term: String,
    pub(super) referrer: String,
    pub(super) device: String,
    pub(super) email: String,
    pub(super) first_name: String,
    pub(super) last_name: String,
    /// Milliseconds since 1970, one for each page view.
    pub(super) route_millis: Vec<i64>,
    pub(super) route_scheme: Vec<String>,
    pub(super) route_host: Vec<String>,
    pub(super) route_path: Vec<String>,
    pub(super) route_query: Vec<String>,
    pub(super) route_title: Vec<String>,
}

/// Events dropped on one day for one reason.
#[derive(Clone, Debug, Row, Deserialize)]
pub(super) struct DropRow {
    pub(super) day_text: String,
    pub(super) reason: String,
    pub(super) dropped: u64,
}

const VISIT_COLUMNS: &str = "\
    SELECT visit_id, toUnixTimestamp64Milli(started_at) AS started_millis, visitor, has_client, company_id, \
        country_code, region, city, source, medium, campaign, term, referrer, device, email, first_name, last_name, \
        arrayMap(at -> toUnixTimestamp64Milli(at), route_at) AS route_millis, \
        route_scheme, route_host, route_path, route_query, route_title";

/// Some companies over all time, in no order; names and places are those of the latest day.
pub(super) async fn companies(store: &Store, site: &SiteId, ids: &[u64]) -> Result<Vec<Company>, ReportError> {
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
pub(super) async fn marks(store: &Store, site: &SiteId, ids: &[u64]) -> Result<HashMap<u64, Marks>, ReportError> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = "SELECT company_id, tags, assignee, is_hidden FROM company_marks FINAL \
        PREWHERE site = {site:String} AND company_id IN {companies:Array(UInt64)}";
    let found: Vec<Marks> = all(store, read(store, sql, site).param("companies", ids)).await?;
    Ok(found.into_iter().map(|marks| (marks.company_id, marks)).collect())
}

/// The visits of companies that are not hidden, or of one company.
fn visits_in_window(company: Option<CompanyId>) -> String {
    format!(
        "FROM visits FINAL WHERE site = {{site:String}} AND {} \
        AND started_at >= fromUnixTimestamp64Milli({{from:Int64}}) \
        AND started_at < fromUnixTimestamp64Milli({{until:Int64}})",
        of_company(company)
    )
}

/// One page of visits, and how many there are.
pub(super) async fn visits(
    store: &Store,
    site: &SiteId,
    company: Option<CompanyId>,
    window: &Window,
    limit: u64,
    offset: u64,
) -> Result<(Vec<Visit>, u64), ReportError> {
    let days = visit_pages::days(store, site, company, window).await?;
    let counted = visit_pages::place(&days, window, offset, limit);
    let (from, until, skip) =
        counted.map_or((window.from.0, window.until.0, offset), |place| (place.from, place.until, place.skip));
    let sql = format!(
        "{VISIT_COLUMNS} {} ORDER BY started_at, visit_id LIMIT {{limit:UInt64}} OFFSET {{offset:UInt64}}",
        visits_in_window(company)
    );
    let query = with_company(read(store, &sql, site).param("from", from).param("until", until), company);
    let page = all(store, query.param("limit", limit).param("offset", skip));
    match counted {
        Some(place) => Ok((page.await?, place.total)),
        None => tokio::try_join!(page, count_visits(store, site, company, window)),
    }
}

async fn count_visits(
    store: &Store,
    site: &SiteId,
    company: Option<CompanyId>,
    window: &Window,
) -> Result<u64, ReportError> {
    let sql = format!("SELECT count() AS total {}", visits_in_window(company));
    count(store, with_company(with_instants(read(store, &sql, site), window), company)).await
}

/// Dropped events by day and reason.
pub(super) async fn drops(store: &Store, site: &SiteId, first: Date, last: Date) -> Result<Vec<DropRow>, ReportError> {
    let sql = "\
        SELECT toString(day) AS day_text, reason, sum(events) AS dropped \
        FROM drops FINAL \
        WHERE site = {site:String} AND day BETWEEN {first_day:Date} AND {last_day:Date} \
        GROUP BY day, reason ORDER BY day, reason";
    all(store, read(store, sql, site).param("first_day", first.to_string()).param("last_day", last.to_string())).await
}
