//! Counts by source, page, country and so on, and by feed.

use super::{
    cursor,
    format::{List, Listing, Row},
    parameters::{Dates, FeedPages, Formats, Limit, Refusals},
    queries::{self, Dimension},
};
use crate::reports::{
    Shared,
    authentication::Caller,
    custom_feeds,
    dates::{Window, zone},
    error::ReportError,
    parameters::{FromPath, Parameters},
    selection::{Counts, Selection},
};
use axum::{
    Extension,
    extract::{RawQuery, State},
    response::Response,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// Feeds in one answer.
const MAX_FEEDS: usize = 100;
/// Of which so many are counted at the same time.
const FEEDS_AT_ONCE: usize = 4;

/// Counts of one value.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ValueCounts)]
pub(super) struct ValueRow {
    /// The value; empty where there is none or it is unknown.
    #[schema(example = "Google")]
    value: String,
    /// Visits of companies.
    visits: u64,
    /// Their page views; for pages, views of this page.
    pageviews: u64,
    /// Different companies.
    companies: u64,
    /// Different visitors.
    visitors: u64,
}

impl Row for ValueRow {
    const COLUMNS: &'static [&'static str] = &["value", "visits", "pageviews", "companies", "visitors"];
}

/// By what visits are broken down.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code, reason = "describes what is read below")]
pub(super) enum DimensionName {
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

fn dimension(name: &str) -> Option<Dimension> {
    Some(match name {
        "source" => Dimension::Source,
        "medium" => Dimension::Medium,
        "campaign" => Dimension::Campaign,
        "page" => Dimension::Page,
        "country" => Dimension::Country,
        "region" => Dimension::Region,
        "city" => Dimension::City,
        "industry" => Dimension::Industry,
        "device" => Dimension::Device,
        "referrer" => Dimension::Referrer,
        _ => return None,
    })
}

/// Counts by value
///
/// Visits of companies between the dates, by source, medium, campaign, page (host and path), country, region, city,
/// industry, device or the referrer's host; most visits first. A page's visits are those that saw it.
#[utoipa::path(
    get, path = "/v1/sites/{site}/breakdowns/{dimension}", tag = "reports", operation_id = "breakdown",
    params(
        ("site" = String, Path, description = "The site's id", example = "shop"),
        ("dimension" = inline(DimensionName), Path, description = "By what", example = "source"),
        Dates, Limit, Formats,
    ),
    responses((status = 200, description = "Counts", body = List<ValueRow>), Refusals),
)]
pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    FromPath((site, by)): FromPath<(String, String)>,
    listing: Listing,
    RawQuery(query): RawQuery,
) -> Result<Response, ReportError> {
    let site = caller.account(&site)?;
    let dimension = dimension(&by).ok_or(ReportError::NotFound("dimension"))?;
    let parameters = Parameters::read(query.as_deref());
    let window = Window::read(&parameters, &zone(&site.timezone))?;
    let limit = u64::try_from(cursor::limit(&parameters)?).unwrap_or(u64::MAX);
    let found = queries::breakdown(&shared.state.store, &site.id, &window, dimension, limit).await?;
    let rows = found.into_iter().map(|sums| ValueRow {
        value: sums.value,
        visits: sums.visits,
        pageviews: sums.pageviews,
        companies: sums.companies,
        visitors: sums.visitors,
    });
    Ok(listing.answer(rows.collect(), None))
}

/// Counts of one feed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FeedCounts)]
pub(super) struct FeedCountsRow {
    /// The feed's id.
    #[schema(example = "all_leads")]
    feed: String,
    #[schema(example = "All leads")]
    name: String,
    /// Visits of the feed's companies.
    visits: u64,
    /// Their page views.
    pageviews: u64,
    /// Different companies.
    companies: u64,
    /// Different visitors.
    visitors: u64,
}

impl Row for FeedCountsRow {
    const COLUMNS: &'static [&'static str] = &["feed", "name", "visits", "pageviews", "companies", "visitors"];
}

/// Counts by feed
///
/// Of the companies that visited between the dates and fit each feed: the built-in feeds, then the site's own by name. A
/// company counts in each feed that it fits; hidden ones in none.
#[utoipa::path(
    get, path = "/v1/sites/{site}/breakdowns/feed", tag = "reports", operation_id = "breakdown_by_feed",
    params(
        ("site" = String, Path, description = "The site's id", example = "shop"),
        Dates, FeedPages, Formats,
    ),
    responses((status = 200, description = "Counts", body = List<FeedCountsRow>), Refusals),
)]
pub(super) async fn by_feed(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    FromPath(site): FromPath<String>,
    listing: Listing,
    RawQuery(query): RawQuery,
) -> Result<Response, ReportError> {
    let site = caller.account(&site)?;
    let zone = zone(&site.timezone);
    let parameters = Parameters::read(query.as_deref());
    let window = Window::read(&parameters, &zone)?;
    // Each feed is a query of its own.
    let limit = cursor::limit_up_to(&parameters, MAX_FEEDS)?;
    let from: usize = cursor::read(&parameters)?.unwrap_or_default();
    let store = &shared.state.store;
    let feeds = custom_feeds::of_site(&caller.snapshot, &site.id).skip(from).take(limit + 1);
    let mut feeds: Vec<_> = feeds
        .map(|feed| {
            (
                Selection::of(&site.id, &window, feed.filter.as_deref(), &zone),
                feed.id.into_owned(),
                feed.name.into_owned(),
            )
        })
        .collect();
    let next = if feeds.len() > limit { cursor::after(&(from + limit)) } else { None };
    feeds.truncate(limit);
    let counted = feeds.into_iter().map(|(selection, feed, name)| async move {
        let Counts { visits, pageviews, companies, visitors } = selection.counts(store).await?;
        Ok::<_, ReportError>(FeedCountsRow { feed, name, visits, pageviews, companies, visitors })
    });
    let counted: Vec<_> = counted.collect();
    let rows: Vec<FeedCountsRow> = stream::iter(counted).buffered(FEEDS_AT_ONCE).try_collect().await?;
    Ok(listing.answer(rows, next))
}
