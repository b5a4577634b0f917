//! Users: to whom keys are given, and what all keys of one together may do. For those who run many sites for others.

use super::{
    cursor,
    format::{List, Listing, Row},
    keys::{RoleName, site_ids},
    parameters::{Formats, Pages},
    refusals::{BodyRefusals, Refusals},
    text::instant,
};
use crate::{
    admin::{
        Action, Shared,
        authentication::{Caller, recorded},
        problem::{Problem, ProblemDetails},
        wire::{
            FromPath, Parameters,
            body::{JsonBody, given, present},
        },
    },
    control::{NewUser, UserChange},
    site::SiteId,
    snapshot::{Role, User},
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

/// Keys that a user may have when nothing else is said.
const DEFAULT_MAX_KEYS: u32 = 10;

/// Somebody to whom keys are given.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub(super) struct UserRow {
    id: Uuid,
    #[schema(example = "Acme GmbH")]
    name: String,
    /// What its keys may do at most.
    role: RoleName,
    /// Ids of the sites that its keys may see at most; null means all, later ones too.
    sites: Option<Vec<String>>,
    /// How many keys it may have.
    max_keys: u32,
    /// Requests of all its keys together in a clock minute; null means each key's own limit, 0 any number.
    requests_per_minute: Option<u32>,
    /// Answered requests of all its keys together in a UTC month; null means any number, 0 that its plan has no API.
    requests_per_month: Option<u32>,
    /// Whether its keys are refused.
    is_disabled: bool,
    #[schema(format = DateTime)]
    created_at: String,
}

impl Row for UserRow {
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "name",
        "role",
        "sites",
        "max_keys",
        "requests_per_minute",
        "requests_per_month",
        "is_disabled",
        "created_at",
    ];
}

impl From<&User> for UserRow {
    fn from(user: &User) -> Self {
        Self {
            id: user.id,
            name: user.name.clone(),
            role: user.role.into(),
            sites: user.sites.as_ref().map(|sites| sites.iter().map(SiteId::to_string).collect()),
            max_keys: user.max_keys,
            requests_per_minute: user.requests_per_minute,
            requests_per_month: user.requests_per_month,
            is_disabled: user.is_disabled,
            created_at: instant(user.created_at),
        }
    }
}

/// A user to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UserToMake {
    /// 1 to 100 characters, unlike any other user's.
    #[schema(example = "Acme GmbH", min_length = 1, max_length = 100)]
    name: String,
    /// `read` when absent.
    #[serde(default)]
    role: Option<RoleName>,
    /// Absent or null means all sites, later ones too.
    #[serde(default)]
    sites: Option<Vec<String>>,
    /// 10 when absent.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    max_keys: Option<u32>,
    #[serde(default)]
    requests_per_minute: Option<u32>,
    /// Answered requests of all its keys together in a UTC month; absent or null means any number, 0 that its plan has no API.
    #[serde(default)]
    requests_per_month: Option<u32>,
}

/// What of a user changes; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeOfUser {
    #[serde(default, deserialize_with = "given")]
    #[schema(min_length = 1, max_length = 100, nullable = false)]
    name: Option<String>,
    #[serde(default)]
    role: Option<RoleName>,
    /// Null means all sites.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Vec<String>>)]
    sites: Option<Option<Vec<String>>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    max_keys: Option<u32>,
    /// Null means each key's own limit, 0 any number.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u32>)]
    requests_per_minute: Option<Option<u32>>,
    /// Null means any number, 0 that its plan has no API.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u32>)]
    requests_per_month: Option<Option<u32>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    is_disabled: Option<bool>,
}

fn user_id(text: &str) -> Result<Uuid, Problem> {
    Uuid::parse_str(text).map_err(|_| Problem::NotFound("user"))
}

/// Users
///
/// Oldest first. For admin keys of all sites.
#[utoipa::path(
    get, path = "/v1/users", tag = "administration", operation_id = "list_users",
    params(Pages, Formats),
    responses((status = 200, description = "Users", body = List<UserRow>), Refusals),
)]
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    listing: Listing,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    caller.require_admin_of_all()?;
    let parameters = Parameters::read(query.as_deref());
    let limit = cursor::limit(&parameters)?;
    let after: Option<(i64, Uuid)> = cursor::read(&parameters)?;
    let order = |user: &User| (user.created_at.0, user.id);
    let snapshot = shared.services.snapshot.load();
    let mut users: Vec<_> =
        snapshot.users.values().filter(|user| after.is_none_or(|after| order(user) > after)).collect();
    users.sort_by_key(|user| order(user));
    users.truncate(limit + 1);
    let (users, next) = cursor::cut(users, limit, |user| order(user));
    Ok(listing.answer(users.iter().map(|user| UserRow::from(&***user)).collect(), next))
}

/// One user
#[utoipa::path(
    get, path = "/v1/users/{user}", tag = "administration", operation_id = "get_user",
    params(("user" = Uuid, Path, description = "The user's id")),
    responses((status = 200, description = "The user", body = UserRow), Refusals),
)]
pub(super) async fn one(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    FromPath(user): FromPath<String>,
) -> Result<Json<UserRow>, Problem> {
    caller.require_admin_of_all()?;
    let snapshot = shared.services.snapshot.load();
    let user = snapshot.users.get(&user_id(&user)?).ok_or(Problem::NotFound("user"))?;
    Ok(Json(UserRow::from(&**user)))
}

/// Make a user
///
/// For admin keys of all sites.
#[utoipa::path(
    post, path = "/v1/users", tag = "administration", operation_id = "create_user",
    request_body = UserToMake,
    responses(
        (status = 201, description = "The user", body = UserRow),
        (status = 409, description = "The name is taken", body = ProblemDetails, content_type = "application/problem+json"),
        Refusals, BodyRefusals,
    ),
)]
pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    JsonBody(new): JsonBody<UserToMake>,
) -> Result<(StatusCode, Json<UserRow>), Problem> {
    caller.require_admin_of_all()?;
    let user = NewUser {
        name: new.name,
        sites: new.sites.map(|texts| site_ids(&caller, &texts)).transpose()?,
        role: new.role.map_or(Role::Read, Into::into),
        max_keys: new.max_keys.unwrap_or(DEFAULT_MAX_KEYS),
        requests_per_minute: new.requests_per_minute,
        requests_per_month: new.requests_per_month,
    };
    let change = caller.begin_change()?;
    let outcome = shared.services.control.add_user(user, caller.now()).await;
    let id = |user: Option<&Arc<User>>| user.map_or_else(String::new, |user| user.id.to_string());
    let user = recorded(change, outcome, Action::Create, None, id)?;
    Ok((StatusCode::CREATED, Json(UserRow::from(&*user))))
}

/// Change a user
///
/// Its keys follow at once. For admin keys of all sites.
#[utoipa::path(
    patch, path = "/v1/users/{user}", tag = "administration", operation_id = "change_user",
    params(("user" = Uuid, Path, description = "The user's id")),
    request_body = ChangeOfUser,
    responses(
        (status = 200, description = "The user as it is now", body = UserRow),
        (status = 409, description = "The name is taken", body = ProblemDetails, content_type = "application/problem+json"),
        Refusals, BodyRefusals,
    ),
)]
pub(super) async fn change(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    FromPath(user): FromPath<String>,
    JsonBody(new): JsonBody<ChangeOfUser>,
) -> Result<Json<UserRow>, Problem> {
    caller.require_admin_of_all()?;
    let id = user_id(&user)?;
    if !shared.services.snapshot.load().users.contains_key(&id) {
        return Err(Problem::NotFound("user"));
    }
    let sites = match new.sites {
        Some(Some(texts)) => Some(Some(site_ids(&caller, &texts)?)),
        Some(None) => Some(None),
        None => None,
    };
    let new = UserChange {
        name: new.name,
        sites,
        role: new.role.map(Into::into),
        max_keys: new.max_keys,
        requests_per_minute: new.requests_per_minute,
        requests_per_month: new.requests_per_month,
        is_disabled: new.is_disabled,
    };
    let change = caller.begin_change()?;
    let outcome = shared.services.control.set_user(id, new, caller.now()).await;
    let user = recorded(change, outcome, Action::Change, None, |_| id.to_string())?;
    Ok(Json(UserRow::from(&*user)))
}

/// Remove a user
///
/// Its keys are revoked. For admin keys of all sites.
#[utoipa::path(
    delete, path = "/v1/users/{user}", tag = "administration", operation_id = "remove_user",
    params(("user" = Uuid, Path, description = "The user's id")),
    responses((status = 204, description = "It is removed"), Refusals),
)]
pub(super) async fn remove(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    FromPath(user): FromPath<String>,
) -> Result<StatusCode, Problem> {
    caller.require_admin_of_all()?;
    let id = user_id(&user)?;
    if !shared.services.snapshot.load().users.contains_key(&id) {
        return Err(Problem::NotFound("user"));
    }
    let change = caller.begin_change()?;
    let outcome = shared.services.control.remove_user(id, caller.now()).await;
    recorded(change, outcome, Action::Remove, None, |_| id.to_string())?;
    Ok(StatusCode::NO_CONTENT)
}
