//! Counts by source, page, country and so on, and by feed.

use super::{
    cursor,
    format::{List, Listing, Row},
    parameters::{FeedPages, Formats, Limit},
    refusals::Refusals,
};
use crate::{
    admin::{
        Shared,
        authentication::Caller,
        problem::Problem,
        wire::{FromPath, Parameters, dates::Dates},
    },
    reports::{
        breakdowns::{self, Dimension},
        dates::zone,
        feeds,
    },
};
use axum::{
    Extension,
    extract::{RawQuery, State},
    response::Response,
};
use serde::{
    Deserialize, Serialize,
    de::{IntoDeserializer, value::Error as ValueError},
};
use std::sync::Arc;
use utoipa::ToSchema;

/// Feeds in one answer.
const MAX_FEEDS: usize = 100;

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

/// Counts by value
///
/// Visits of companies between the dates, by source, medium, campaign, page (host and path), country, region, city,
/// industry, device or the referrer's host; most visits first. A page's visits are those that saw it.
#[utoipa::path(
    get, path = "/v1/sites/{site}/breakdowns/{dimension}", tag = "reports", operation_id = "breakdown",
    params(
        ("site" = String, Path, description = "The site's id", example = "shop"),
        ("dimension" = inline(Dimension), Path, description = "By what", example = "source"),
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
) -> Result<Response, Problem> {
    let site = caller.account(&site)?;
    let dimension = Dimension::deserialize(by.as_str().into_deserializer());
    let dimension = dimension.map_err(|_: ValueError| Problem::NotFound("dimension"))?;
    let parameters = Parameters::read(query.as_deref());
    let window = Dates::read(&parameters)?.window(&zone(&site.timezone))?;
    let limit = u64::try_from(cursor::limit(&parameters)?).unwrap_or(u64::MAX);
    let found = breakdowns::by_value(&shared.services.store, &site.id, &window, dimension, limit).await?;
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
) -> Result<Response, Problem> {
    let site = caller.account(&site)?;
    let zone = zone(&site.timezone);
    let parameters = Parameters::read(query.as_deref());
    let window = Dates::read(&parameters)?.window(&zone)?;
    // Each feed is a query of its own.
    let limit = cursor::limit_up_to(&parameters, MAX_FEEDS)?;
    let from: usize = cursor::read(&parameters)?.unwrap_or_default();
    let mut feeds: Vec<_> = feeds::of_site(&caller.snapshot, &site.id).skip(from).take(limit + 1).collect();
    let next = if feeds.len() > limit { cursor::after(&(from + limit)) } else { None };
    feeds.truncate(limit);
    let counted = breakdowns::by_feed(&shared.services.store, &site.id, &window, &zone, &feeds).await?;
    let rows = feeds.into_iter().zip(counted).map(|(feed, counts)| FeedCountsRow {
        feed: feed.id.into_owned(),
        name: feed.name.into_owned(),
        visits: counts.visits,
        pageviews: counts.pageviews,
        companies: counts.companies,
        visitors: counts.visitors,
    });
    Ok(listing.answer(rows.collect(), next))
}
