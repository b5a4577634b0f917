//! Counts over time.

use super::{
    format::{List, Listing, Row},
    parameters::Formats,
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
        dates::zone,
        time_series::{self, Interval},
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
use utoipa::{IntoParams, ToSchema};

/// Counts of one hour, day, week or month.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Period {
    /// When it begins: a day, or for hours an instant with the site's offset.
    #[schema(example = "2026-11-22")]
    start: String,
    /// Visits of companies that began in it.
    visits: u64,
    /// Their page views.
    pageviews: u64,
    /// Different companies.
    companies: u64,
    /// Different visitors.
    visitors: u64,
}

impl Row for Period {
    const COLUMNS: &'static [&'static str] = &["start", "visits", "pageviews", "companies", "visitors"];
}

/// Into what the time is cut.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "describes what is read below")]
pub(super) struct IntervalParameter {
    /// `day` when absent.
    #[param(inline, required = false, nullable = false)]
    interval: Option<Interval>,
}

fn interval(parameters: &Parameters) -> Result<Interval, Problem> {
    let Some(text) = parameters.optional("interval")? else { return Ok(Interval::Day) };
    Interval::deserialize(text.into_deserializer()).map_err(|_: ValueError| Problem::Parameter {
        name: "interval",
        detail: "interval must be hour, day, week or month".to_owned(),
    })
}

/// Counts over time
///
/// Visits of companies, cut into hours, days, weeks or months of the site's time zone, oldest first; what has no visits is
/// there with zeros. Only what lies between the two dates is counted, also where a week or month reaches beyond.
#[utoipa::path(
    get, path = "/v1/sites/{site}/time-series", tag = "reports", operation_id = "time_series",
    params(
        ("site" = String, Path, description = "The site's id", example = "shop"),
        Dates, IntervalParameter, Formats,
    ),
    responses((status = 200, description = "Counts, at most 5,000", body = List<Period>), Refusals),
)]
pub(super) async fn show(
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
    let interval = interval(&parameters)?;
    let found = time_series::counts(&shared.services.store, &site.id, &window, &zone, interval).await?;
    let rows = found.into_iter().map(|period| Period {
        start: period.start,
        visits: period.counts.visits,
        pageviews: period.counts.pageviews,
        companies: period.counts.companies,
        visitors: period.counts.visitors,
    });
    Ok(listing.answer(rows.collect(), None))
}
