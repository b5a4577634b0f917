//! Day by day: companies by kind, and one company's visits.

use super::{
    Error,
    intent::BACK_AFTER_DAYS,
    reading::{all, read},
};
use crate::{site::Site, store::Store};
use clickhouse::Row;
use firmsight_resolver::CompanyId;
use jiff::{ToSpan, civil::Date};
use serde::Deserialize;

/// Companies of one local day, by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Row, Deserialize)]
pub(crate) struct CompanyDay {
    /// `YYYY-MM-DD`.
    #[serde(rename = "day_text")]
    pub(crate) day: String,
    pub(crate) new: u64,
    pub(crate) back: u64,
    pub(crate) returning: u64,
}

/// Visits of one company on one local day.
#[derive(Clone, Debug, PartialEq, Eq, Row, Deserialize)]
pub(crate) struct VisitDay {
    /// `YYYY-MM-DD`.
    #[serde(rename = "day_text")]
    pub(crate) day: String,
    #[serde(rename = "visit_count")]
    pub(crate) visits: u64,
}

/// Companies a day from the first to the last day, days without any left out.
pub(crate) async fn companies(
    store: &Store,
    site: &Site,
    (first, last): (Date, Date),
) -> Result<Vec<CompanyDay>, Error> {
    // Who was away for longer than this looks as if they had never been here; `companies` tells the two apart.
    let earliest = first.saturating_sub(BACK_AFTER_DAYS.days());
    let sql = format!(
        "SELECT toString(day) AS day_text, toUInt64(countIf(is_new)) AS new, toUInt64(countIf(is_back AND NOT is_new)) AS back, \
            toUInt64(countIf(NOT is_back AND NOT is_new)) AS returning \
        FROM (SELECT a.day AS day, toDate(c.first_visit_at, {{zone:String}}) = a.day AS is_new, \
                a.before = toDate(0) OR a.day - a.before >= {BACK_AFTER_DAYS} AS is_back \
            FROM (SELECT company_id, day, lagInFrame(day) OVER (PARTITION BY company_id ORDER BY day \
                    ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS before \
                FROM company_activity FINAL WHERE site = {{site:String}} AND company_id != 0 \
                    AND day BETWEEN {{earliest:Date}} AND {{last:Date}}) AS a \
            ANY LEFT JOIN (SELECT company_id, first_visit_at FROM companies FINAL WHERE site = {{site:String}}) AS c \
                ON c.company_id = a.company_id \
            WHERE a.day >= {{first:Date}}) \
        GROUP BY day ORDER BY day"
    );
    let query = read(store, &sql, &site.id)
        .param("zone", &site.timezone)
        .param("earliest", earliest.to_string())
        .param("first", first.to_string())
        .param("last", last.to_string());
    all(store, query).await
}

/// A company's visits a day, days without any left out.
pub(crate) async fn visits(
    store: &Store,
    site: &Site,
    company: CompanyId,
    (first, last): (Date, Date),
) -> Result<Vec<VisitDay>, Error> {
    let sql = "SELECT toString(day) AS day_text, toUInt64(visits) AS visit_count FROM company_activity FINAL \
        WHERE site = {site:String} AND company_id = {company:UInt64} AND day BETWEEN {first:Date} AND {last:Date} ORDER BY day";
    let query = read(store, sql, &site.id)
        .param("company", company.0)
        .param("first", first.to_string())
        .param("last", last.to_string());
    all(store, query).await
}
