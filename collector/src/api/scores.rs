//! How a company's scores come about.

use super::{companies::known, refusals::Refusals};
use crate::{
    admin::{
        Shared,
        authentication::Caller,
        problem::Problem,
        wire::{FromPath, Parameters, dates::Dates},
    },
    reports::{dates::zone, scores},
};
use axum::{
    Extension, Json,
    extract::{RawQuery, State},
};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// A company's scores within some dates.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Score {
    quality: Points,
    intent: Points,
}

/// A score and what it is made of.
#[derive(Debug, Serialize, ToSchema)]
struct Points {
    /// 0 to 10: the sum of the parts.
    #[schema(minimum = 0, maximum = 10)]
    score: u8,
    parts: Vec<Part>,
}

/// A part of a score.
#[derive(Debug, Serialize, ToSchema)]
struct Part {
    /// Such as `engagement` or `recency`.
    name: &'static str,
    /// What it rests on: how many, how much, or days since.
    value: f64,
    /// What it contributes.
    points: u8,
    /// What it may contribute.
    of: u8,
}

impl From<scores::Points> for Points {
    fn from(points: scores::Points) -> Self {
        let scores::Points { score, parts } = points;
        let part = |scores::Part { name, value, points, of }| Part { name, value, points, of };
        Self { score, parts: parts.into_iter().map(part).collect() }
    }
}

/// Scores of a company
///
/// Quality and intent within the dates, 0 to 10, with what contributed to each.
#[utoipa::path(
    get, path = "/v1/sites/{site}/companies/{company}/score", tag = "reports", operation_id = "score",
    params(("site" = String, Path, description = "The site's id", example = "shop"), ("company" = String, Path, description = "The company's id, 16 hexadecimal digits"), Dates),
    responses((status = 200, description = "The scores", body = Score), Refusals),
)]
pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    FromPath((site, company)): FromPath<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Json<Score>, Problem> {
    let account = caller.account(&site)?;
    let window = Dates::read(&Parameters::read(query.as_deref()))?.window(&zone(&account.timezone))?;
    let (site, company) = known(&shared, &caller, &site, &company).await?;
    caller.audit(Some(&site.id))?;
    let scores::Score { quality, intent } =
        scores::of(&shared.services.store, &caller.snapshot, &site, company, &window).await?;
    Ok(Json(Score { quality: quality.into(), intent: intent.into() }))
}
