//! Goals of a site: what counts for the intent of its companies.

use super::{
    feeds::{listed, made, removed, replaced},
    format::{List, Listing, Row},
    parameters::{NestedFormats, Pages},
    refusals::{BodyRefusals, Refusals},
    text::instant,
};
use crate::{
    admin::{
        Shared,
        authentication::Caller,
        problem::{Problem, ProblemDetails},
        wire::{FromPath, body::JsonBody},
    },
    feed::{Goal, GoalRule},
    snapshot::Role,
};
use axum::{
    Extension, Json,
    extract::{RawQuery, State},
    http::StatusCode,
    response::Response,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use uuid::Uuid;

/// A goal: what a visitor should do.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Goal)]
pub(super) struct GoalRow {
    id: Uuid,
    name: String,
    reached_by: GoalRule,
    #[schema(format = DateTime)]
    created_at: String,
}

impl Row for GoalRow {
    const COLUMNS: &'static [&'static str] = &["id", "name", "reached_by", "created_at"];
}

/// A goal to be made or put in the place of another.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewGoal {
    /// For people, unlike any other goal's of the site.
    #[schema(example = "Asked for a demo", min_length = 1, max_length = 100)]
    name: String,
    reached_by: GoalRule,
}

impl From<&Goal> for GoalRow {
    fn from(goal: &Goal) -> Self {
        let (name, reached_by) = (goal.name.clone(), goal.reached_by.clone());
        Self { id: goal.id, name, reached_by, created_at: instant(goal.created_at) }
    }
}

/// Goals
///
/// What counts for the intent of the site's companies, by name.
#[utoipa::path(
    get, path = "/v1/sites/{site}/goals", tag = "feeds", operation_id = "list_goals",
    params(("site" = String, Path, description = "The site's id", example = "shop"), Pages, NestedFormats),
    responses((status = 200, description = "Goals", body = List<GoalRow>), Refusals),
)]
pub(super) async fn list_goals(
    Extension(caller): Extension<Caller>,
    FromPath(site): FromPath<String>,
    listing: Listing,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    if listing.is_csv() {
        return Err(Problem::NotAcceptable);
    }
    listed::<Goal, GoalRow>(&caller, &site, &listing, query.as_deref())
}

/// Make a goal
///
/// For keys that may write.
#[utoipa::path(
    post, path = "/v1/sites/{site}/goals", tag = "feeds", operation_id = "create_goal",
    params(("site" = String, Path, description = "The site's id", example = "shop")),
    request_body = NewGoal,
    responses(
        (status = 201, description = "The goal as it was stored", body = GoalRow),
        (status = 409, description = "The name is taken, or there are too many", body = ProblemDetails, content_type = "application/problem+json"),
        Refusals, BodyRefusals,
    ),
)]
pub(super) async fn create_goal(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    FromPath(site): FromPath<String>,
    JsonBody(new): JsonBody<NewGoal>,
) -> Result<(StatusCode, Json<GoalRow>), Problem> {
    caller.require(Role::Write)?;
    let site = caller.account(&site)?.id.clone();
    let NewGoal { name, reached_by } = new;
    made(&shared, &caller, Goal { id: Uuid::new_v4(), site, name, reached_by, created_at: caller.now() }).await
}

/// Replace a goal
///
/// For keys that may write.
#[utoipa::path(
    put, path = "/v1/sites/{site}/goals/{goal}", tag = "feeds", operation_id = "replace_goal",
    params(("site" = String, Path, description = "The site's id", example = "shop"), ("goal" = Uuid, Path, description = "The goal's id")),
    request_body = NewGoal,
    responses(
        (status = 200, description = "The goal as it is now", body = GoalRow),
        (status = 409, description = "The name is taken", body = ProblemDetails, content_type = "application/problem+json"),
        Refusals, BodyRefusals,
    ),
)]
pub(super) async fn replace_goal(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    FromPath((site, goal)): FromPath<(String, String)>,
    JsonBody(new): JsonBody<NewGoal>,
) -> Result<Json<GoalRow>, Problem> {
    let NewGoal { name, reached_by } = new;
    replaced(&shared, &caller, (&site, &goal), |old: &Goal| Goal { name, reached_by, ..old.clone() }).await
}

/// Remove a goal
///
/// For keys that may write.
#[utoipa::path(
    delete, path = "/v1/sites/{site}/goals/{goal}", tag = "feeds", operation_id = "remove_goal",
    params(("site" = String, Path, description = "The site's id", example = "shop"), ("goal" = Uuid, Path, description = "The goal's id")),
    responses((status = 204, description = "It is removed"), Refusals),
)]
pub(super) async fn remove_goal(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    FromPath((site, goal)): FromPath<(String, String)>,
) -> Result<StatusCode, Problem> {
    removed::<Goal>(&shared, &caller, (&site, &goal)).await
}
