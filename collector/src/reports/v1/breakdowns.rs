//! Counts by source, page, country and so on.

use super::{
    format::{List, Listing},
    parameters::{Dates, Formats, Limit, Refusals},
    queries::{self, Dimension},
};
use crate::reports::{
    Shared,
    authentication::Caller,
    dates::{Window, zone},
    error::ReportError,
    parameters::{FromPath, Parameters},
};
use axum::{
    Extension,
    extract::{RawQuery, State},
    response::Response,
};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

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
    let limit = u64::try_from(super::cursor::limit(&parameters)?).unwrap_or(u64::MAX);
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
