//! Counts by source, page, country and so on, and by feed.

use super::{
    Error,
    dates::Window,
    feeds::NamedFeed,
    reading::{VISITS_IN_WINDOW, all, read, with_instants},
    selection::{Counts, Selection},
};
use crate::{site::SiteId, store::Store};
use clickhouse::Row;
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::tz::TimeZone;
use serde::Deserialize;
use utoipa::ToSchema;

/// Feeds that are counted at the same time: each is a query of its own.
const FEEDS_AT_ONCE: usize = 4;

/// By what visits are broken down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Dimension {
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

/// Counts of one value of a dimension.
#[derive(Clone, Debug, Row, Deserialize)]
pub(crate) struct ValueCounts {
    /// Empty where there is none or it is unknown.
    pub(crate) value: String,
    pub(crate) visits: u64,
    /// For pages, views of this page.
    pub(crate) pageviews: u64,
    pub(crate) companies: u64,
    pub(crate) visitors: u64,
}

/// Counts by value, most visits first.
pub(crate) async fn by_value(
    store: &Store,
    site: &SiteId,
    window: &Window,
    dimension: Dimension,
    limit: u64,
) -> Result<Vec<ValueCounts>, Error> {
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
        FROM (SELECT * FROM visits FINAL {VISITS_IN_WINDOW}) AS entry {join} \
        GROUP BY value ORDER BY visits DESC, value LIMIT {{limit:UInt64}}",
        dimension.expression()
    );
    all(store, with_instants(read(store, &sql, site), window).param("limit", limit)).await
}

/// Counts of the companies that visited in the window and fit each feed, in the order of the feeds.
pub(crate) async fn by_feed(
    store: &Store,
    site: &SiteId,
    window: &Window,
    zone: &TimeZone,
    feeds: &[NamedFeed<'_>],
) -> Result<Vec<Counts>, Error> {
    let selections: Vec<_> =
        feeds.iter().map(|feed| Selection::of(site, window, feed.filter.as_deref(), zone)).collect();
    let counted: Vec<_> = selections.iter().map(|selection| selection.counts(store)).collect();
    stream::iter(counted).buffered(FEEDS_AT_ONCE).try_collect().await
}
