//! The SQL of what is ours. Values travel as server-side parameters; where a query's text varies, its parts come from
//! tables in this file.
//!
//! Counts come from `visits`, of which there is one row per visit and never one per page view. Unique visitors of a week
//! can't be had from sums by day, and a site's hours and months are cut in its own time zone, so sums by day would serve
//! only some of the questions.

use crate::{
    reports::{
        audit::AuditRow,
        dates::Window,
        error::ReportError,
        reading::{all, read},
    },
    site::SiteId,
    store::Store,
};
use clickhouse::{Row, query::Query};
use jiff::civil::Date;
use serde::Deserialize;
use uuid::Uuid;

#[derive(Clone, Copy, Debug, Row, Deserialize)]
pub(super) struct BucketSums {
    /// First millisecond of the bucket.
    pub(super) bucket: i64,
    pub(super) visits: u64,
    pub(super) pageviews: u64,
    pub(super) companies: u64,
    pub(super) visitors: u64,
}

#[derive(Clone, Debug, Row, Deserialize)]
pub(super) struct ValueSums {
    pub(super) value: String,
    pub(super) visits: u64,
    pub(super) pageviews: u64,
    pub(super) companies: u64,
    pub(super) visitors: u64,
}

#[derive(Clone, Debug, Row, Deserialize)]
pub(super) struct KeyDay {
    pub(super) key: String,
    pub(super) period: String,
    pub(super) requests: u64,
    pub(super) refused: u64,
}

/// Visits of companies in a window.
const IN_WINDOW: &str = "\
    WHERE site = {site:String} AND company_id != 0 \
        AND started_at >= fromUnixTimestamp64Milli({from:Int64}) AND started_at < fromUnixTimestamp64Milli({until:Int64})";

fn in_window(query: Query, window: &Window) -> Query {
    query.param("from", window.from.0).param("until", window.until.0)
}

/// Sums by bucket; `starts` are the buckets' first milliseconds, ascending, the first not after the window's begin.
/// Buckets without visits are missing.
pub(super) async fn time_series(
    store: &Store,
    site: &SiteId,
    window: &Window,
    starts: &[i64],
) -> Result<Vec<BucketSums>, ReportError> {
    let sql = format!(
        "SELECT toInt64(roundDown(toUnixTimestamp64Milli(started_at), {{starts:Array(Int64)}})) AS bucket, \
            count() AS visits, sum(entry.pageviews) AS pageviews, uniqExact(company_id) AS companies, \
            uniqExact(visitor) AS visitors \
        FROM visits AS entry FINAL {IN_WINDOW} GROUP BY bucket"
    );
    all(store, in_window(read(store, &sql, site), window).param("starts", starts)).await
}

/// By what visits can be broken down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dimension {
    Source,
    Medium,
    Campaign,
    Page,
    Country,
    Region,
    City,
    Industry,
    Device,
    Referrer,
}

impl Dimension {
    const fn expression(self) -> &'static str {
        match self {
            Self::Source => "if(entry.source = '', '(direct)', entry.source)",
            Self::Medium => "if(entry.medium = '', '(none)', entry.medium)",
            Self::Campaign => "entry.campaign",
            Self::Page => "concat(page.1, page.2)",
            Self::Country => "entry.country_code",
            Self::Region => "entry.region",
            Self::City => "entry.city",
            Self::Industry => "entry.company_industry",
            Self::Device => "entry.device",
            Self::Referrer => "domain(entry.referrer)",
        }
    }
}

/// Sums by value, most visits first.
pub(super) async fn breakdown(
    store: &Store,
    site: &SiteId,
    window: &Window,
    dimension: Dimension,
    limit: u64,
) -> Result<Vec<ValueSums>, ReportError> {
    // A page is counted once for each time it was viewed, a visit once for each page that it saw.
    let (join, visits, pageviews) = match dimension {
        Dimension::Page => {
            ("ARRAY JOIN arrayZip(entry.route_host, entry.route_path) AS page", "uniqExact(visit_id)", "count()")
        }
        _ => ("", "count()", "sum(entry.pageviews)"),
    };
    let sql = format!(
        "SELECT toString({}) AS value, {visits} AS visits, {pageviews} AS pageviews, uniqExact(company_id) AS companies, \
            uniqExact(visitor) AS visitors \
        FROM (SELECT * FROM visits FINAL {IN_WINDOW}) AS entry {join} \
        GROUP BY value ORDER BY visits DESC, value LIMIT {{limit:UInt64}}",
        dimension.expression()
    );
    all(store, in_window(read(store, &sql, site), window).param("limit", limit)).await
}

/// Requests of keys, by key and UTC day or month.
pub(super) async fn usage(
    store: &Store,
    keys: &[Uuid],
    by_month: bool,
    (first, last): (Date, Date),
) -> Result<Vec<KeyDay>, ReportError> {
    let period = if by_month { "formatDateTime(day, '%Y-%m')" } else { "toString(day)" };
    let sql = format!(
        "SELECT toString(key_id) AS key, {period} AS period, sum(entry.requests) AS requests, sum(entry.refused) AS refused \
        FROM api_usage AS entry FINAL \
        WHERE key_id IN {{keys:Array(UUID)}} AND day BETWEEN {{first_day:Date}} AND {{last_day:Date}} \
        GROUP BY key, period ORDER BY period, key"
    );
    let keys: Vec<String> = keys.iter().map(Uuid::to_string).collect();
    let query = bounded(store, &sql).param("keys", keys);
    all(store, query.param("first_day", first.to_string()).param("last_day", last.to_string())).await
}

/// Which audit records.
#[derive(Debug, Default)]
pub(super) struct AuditFilter {
    pub(super) from: i64,
    pub(super) until: i64,
    /// Empty means all.
    pub(super) sites: Vec<String>,
    pub(super) key: Option<Uuid>,
    pub(super) action: Option<&'static str>,
    /// Records before this one, in time and id.
    pub(super) before: Option<(i64, Uuid)>,
}

/// Audit records, latest first.
pub(super) async fn audit(store: &Store, filter: &AuditFilter, limit: u64) -> Result<Vec<AuditRow>, ReportError> {
    let mut sql = "SELECT ?fields FROM audit FINAL \
        WHERE at >= fromUnixTimestamp64Milli({from:Int64}) AND at < fromUnixTimestamp64Milli({until:Int64})"
        .to_owned();
    if !filter.sites.is_empty() {
        sql += " AND site IN {sites:Array(String)}";
    }
    if filter.key.is_some() {
        sql += " AND actor = {key:UUID}";
    }
    if filter.action.is_some() {
        sql += " AND action = {action:String}";
    }
    if filter.before.is_some() {
        sql += " AND (at, id) < (fromUnixTimestamp64Milli({before_at:Int64}), {before_id:UUID})";
    }
    sql += " ORDER BY at DESC, id DESC LIMIT {limit:UInt64}";
    let mut query = bounded(store, &sql).param("from", filter.from).param("until", filter.until).param("limit", limit);
    if !filter.sites.is_empty() {
        query = query.param("sites", &filter.sites);
    }
    if let Some(key) = filter.key {
        query = query.param("key", key.to_string());
    }
    if let Some(action) = filter.action {
        query = query.param("action", action);
    }
    if let Some((at, id)) = filter.before {
        query = query.param("before_at", at).param("before_id", id.to_string());
    }
    all(store, query).await
}

/// A query that only reads, of no single site.
fn bounded(store: &Store, sql: &str) -> Query {
    store.client().query(sql).with_setting("readonly", "2").with_setting("max_execution_time", "30")
}
