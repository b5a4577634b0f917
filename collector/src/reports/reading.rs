//! How a report's query is asked: it only reads, not for ever, and every value is a server-side parameter.

use super::{Error, dates::Window, formulas::HIDDEN};
use crate::{site::SiteId, store::Store};
use clickhouse::{Row, RowOwned, RowRead, query::Query};
use firmsight_resolver::CompanyId;
use serde::Deserialize;

/// Visits of companies in a window; [`with_instants`] gives its values.
pub(super) const VISITS_IN_WINDOW: &str = "\
    WHERE site = {site:String} AND company_id != 0 \
        AND started_at >= fromUnixTimestamp64Milli({from:Int64}) AND started_at < fromUnixTimestamp64Milli({until:Int64})";

#[derive(Row, Deserialize)]
struct Count {
    total: u64,
}

/// A query about one site.
pub(super) fn read(store: &Store, sql: &str, site: &SiteId) -> Query {
    store
        .reading(sql)
        // A version of a row never moves to another year: the sort key holds the time that the partition is made of.
        .with_setting("do_not_merge_across_partitions_select_final", "1")
        .param("site", site.as_str())
}

pub(super) async fn all<T: RowOwned + RowRead>(store: &Store, query: Query) -> Result<Vec<T>, Error> {
    Ok(store.in_time(query.fetch_all()).await?)
}

pub(super) async fn count(store: &Store, query: Query) -> Result<u64, Error> {
    Ok(all::<Count>(store, query).await?.first().map_or(0, |count| count.total))
}

pub(super) fn with_window(query: Query, window: &Window) -> Query {
    match window.days {
        Some((first, last)) => query.param("first_day", first.to_string()).param("last_day", last.to_string()),
        None => with_instants(query, window),
    }
}

pub(super) fn with_instants(query: Query, window: &Window) -> Query {
    query.param("from", window.from.0).param("until", window.until.0)
}

/// The condition that a row is of this company, or of any, hidden ones left out; [`with_company`] gives its value.
pub(super) fn of_company(company: Option<CompanyId>) -> String {
    let of = if company.is_some() { "company_id = {company:UInt64}" } else { "company_id != 0" };
    format!("{of} AND company_id NOT IN {HIDDEN}")
}

pub(super) fn with_company(query: Query, company: Option<CompanyId>) -> Query {
    match company {
        None => query,
        Some(company) => query.param("company", company.0),
    }
}
