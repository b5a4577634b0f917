//! Visits of companies, and the pages they saw.
//!
//! Visits are ordered by their start, each with its id to break ties, and read from the newest on ([`super::newest`]).

use super::{
    Error,
    dates::Window,
    newest::Newest,
    reading::{all, count, of_company, read, with_company, with_instants},
    visit_pages,
};
use crate::{site::SiteId, store::Store};
use clickhouse::Row;
use firmsight_resolver::CompanyId;
use serde::Deserialize;

/// A visit as the reports need it.
#[derive(Clone, Debug, Row, Deserialize)]
pub(crate) struct Visit {
    pub(crate) visit_id: u64,
    /// Milliseconds since 1970.
    pub(crate) started_millis: i64,
    pub(crate) visitor: u64,
    pub(crate) has_client: bool,
    pub(crate) company_id: u64,
    pub(crate) country_code: String,
    pub(crate) region: String,
    pub(crate) city: String,
    pub(crate) source: String,
    pub(crate) medium: String,
    pub(crate) campaign: String,
    pub(crate) term: String,
    pub(crate) referrer: String,
    pub(crate) device: String,
    pub(crate) email: String,
    pub(crate) first_name: String,
    pub(crate) last_name: String,
    /// Milliseconds since 1970, one for each page view.
    pub(crate) route_millis: Vec<i64>,
    pub(crate) route_scheme: Vec<String>,
    pub(crate) route_host: Vec<String>,
    pub(crate) route_path: Vec<String>,
    pub(crate) route_query: Vec<String>,
    pub(crate) route_title: Vec<String>,
}

/// A page that a visit saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageView<'a> {
    pub(crate) scheme: &'a str,
    pub(crate) host: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) title: &'a str,
    /// Whole seconds to the visit's next page view; 0 on the last.
    pub(crate) seconds: i64,
}

impl PageView<'_> {
    /// The page's address.
    pub(crate) fn url(&self) -> String {
        let Self { scheme, host, path, query, .. } = self;
        let question = if query.is_empty() { "" } else { "?" };
        format!("{scheme}://{host}{path}{question}{query}")
    }
}

impl Visit {
    /// The pages that the visit saw, in order.
    pub(crate) fn route(&self) -> impl Iterator<Item = PageView<'_>> {
        // The store keeps all route arrays at the same length; `zip` would cut a broken row short rather than fail.
        let pages = self.route_scheme.iter().zip(&self.route_host).zip(&self.route_path).zip(&self.route_query);
        let pages = pages.zip(&self.route_title).zip(&self.route_millis).enumerate();
        pages.map(|(index, (((((scheme, host), path), query), title), at))| PageView {
            scheme,
            host,
            path,
            query,
            title,
            seconds: self.route_millis.get(index + 1).map_or(0, |next| (next - at).max(0) / 1000),
        })
    }
}

const VISIT_COLUMNS: &str = "\
    SELECT visit_id, toUnixTimestamp64Milli(started_at) AS started_millis, visitor, has_client, company_id, \
        country_code, region, city, source, medium, campaign, term, referrer, device, email, first_name, last_name, \
        arrayMap(at -> toUnixTimestamp64Milli(at), route_at) AS route_millis, \
        route_scheme, route_host, route_path, route_query, route_title";

/// The visits of companies that are not hidden, or of one company.
fn visits_in_window(company: Option<CompanyId>) -> String {
    format!(
        "FROM visits FINAL WHERE site = {{site:String}} AND {} \
        AND started_at >= fromUnixTimestamp64Milli({{from:Int64}}) \
        AND started_at < fromUnixTimestamp64Milli({{until:Int64}})",
        of_company(company)
    )
}

/// Visits from the newest on, and how many the walk is among.
pub(crate) async fn newest(
    store: &Store,
    site: &SiteId,
    company: Option<CompanyId>,
    window: &Window,
    newest: Newest,
) -> Result<(Vec<Visit>, u64), Error> {
    let days = visit_pages::days(store, site, company, window).await?;
    let total = match (newest.among, visit_pages::place(&days, window, 0, 0)) {
        (Some(total), _) => total,
        (None, Some(place)) => place.total,
        (None, None) => count_visits(store, site, company, window).await?,
    };
    let (offset, limit) = newest.counted_from_oldest(total);
    let counted = visit_pages::place(&days, window, offset, limit);
    let (from, until, skip) =
        counted.map_or((window.from.0, window.until.0, offset), |place| (place.from, place.until, place.skip));
    let sql = format!(
        "{VISIT_COLUMNS} {} ORDER BY started_at, visit_id LIMIT {{limit:UInt64}} OFFSET {{offset:UInt64}}",
        visits_in_window(company)
    );
    let query = with_company(read(store, &sql, site).param("from", from).param("until", until), company);
    let mut visits: Vec<Visit> = all(store, query.param("limit", limit).param("offset", skip)).await?;
    visits.reverse();
    Ok((visits, total))
}

async fn count_visits(store: &Store, site: &SiteId, company: Option<CompanyId>, window: &Window) -> Result<u64, Error> {
    let sql = format!("SELECT count() AS total {}", visits_in_window(company));
    count(store, with_company(with_instants(read(store, &sql, site), window), company)).await
}
