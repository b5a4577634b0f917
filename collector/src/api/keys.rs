//! Keys: listed, made, changed, revoked.
//!
//! A key can't hand on more than it has: a new key's sites are among its maker's, and a key that belongs to a user makes
//! keys of that user only. What a key may not manage does not exist for it.

use super::{
    cursor,
    format::{List, Listing, Row},
    parameters::{Formats, Pages},
    refusals::{BodyRefusals, Refusals},
    text::{instant, read_instant},
};
use crate::{
    admin::{
        Action, Shared,
        authentication::{Caller, recorded},
        problem::{Problem, ProblemDetails},
        usage,
        wire::{
            FromPath, Parameters,
            body::{JsonBody, given, present},
        },
    },
    control::{KeyChange, NewKey},
    site::SiteId,
    snapshot::{ApiKey, Role},
    time::UnixMillis,
};
use axum::{
    Extension, Json,
    extract::{RawQuery, State},
    http::StatusCode,
    response::Response,
};
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, sync::Arc};
use utoipa::ToSchema;
use uuid::Uuid;

/// What a key may do; each role includes those before it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Role)]
pub(super) enum RoleName {
    /// Read reports.
    Read,
    /// Change feeds, tags and the like.
    Write,
    /// Manage sites, keys and users.
    Admin,
}

impl From<Role> for RoleName {
    fn from(role: Role) -> Self {
        match role {
            Role::Read => Self::Read,
            Role::Write => Self::Write,
            Role::Admin => Self::Admin,
        }
    }
}

impl From<RoleName> for Role {
    fn from(role: RoleName) -> Self {
        match role {
            RoleName::Read => Self::Read,
            RoleName::Write => Self::Write,
            RoleName::Admin => Self::Admin,
        }
    }
}

/// A key, without its token.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Key)]
pub(super) struct KeyRow {
    id: Uuid,
    /// For people.
    #[schema(example = "reports")]
    name: String,
    role: RoleName,
    /// Ids of the sites it may see; null means all, later ones too.
    sites: Option<Vec<String>>,
    /// The user it belongs to.
    user: Option<Uuid>,
    #[schema(format = DateTime)]
    created_at: String,
    /// From when on it is refused; null means never.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// Requests in a clock minute; null means the configured number, 0 any number.
    requests_per_minute: Option<u32>,
    /// Answered requests in a UTC month; null means any number, 0 that its plan has no API.
    requests_per_month: Option<u32>,
    /// Some seconds behind at most; null means never.
    #[schema(format = DateTime)]
    last_used_at: Option<String>,
}

impl Row for KeyRow {
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "name",
        "role",
        "sites",
        "user",
        "created_at",
        "expires_at",
        "requests_per_minute",
        "requests_per_month",
        "last_used_at",
    ];
}

/// A key that was just made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MadeKey {
    #[serde(flatten)]
    key: KeyRow,
    /// The token, shown this one time.
    #[schema(example = "fs_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG")]
    token: String,
}

/// A key to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyToMake {
    /// For people, 1 to 100 characters, unlike any other key's.
    #[schema(example = "reports", min_length = 1, max_length = 100)]
    name: String,
    /// `read` when absent.
    #[serde(default)]
    role: Option<RoleName>,
    /// Ids of the sites it may see; absent or null means all that the maker may see, later ones too.
    #[serde(default)]
    #[schema(min_items = 1)]
    sites: Option<Vec<String>>,
    /// The user it belongs to.
    #[serde(default)]
    user: Option<Uuid>,
    /// From when on it is refused, an instant in the future; absent or null means never.
    #[serde(default)]
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// Requests in a clock minute; absent or null means the configured number, 0 any number.
    #[serde(default)]
    requests_per_minute: Option<u32>,
    /// Answered requests in a UTC month; absent or null means any number, 0 that its plan has no API.
    #[serde(default)]
    requests_per_month: Option<u32>,
}

/// What of a key changes; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeOfKey {
    #[serde(default, deserialize_with = "given")]
    #[schema(min_length = 1, max_length = 100, nullable = false)]
    name: Option<String>,
    /// Null means never.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Option<String>>,
    /// Null means the configured number, 0 any number.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u32>)]
    requests_per_minute: Option<Option<u32>>,
    /// Null means any number, 0 that its plan has no API.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<u32>)]
    requests_per_month: Option<Option<u32>>,
}

impl KeyRow {
    fn of(key: &ApiKey, last_used: Option<UnixMillis>) -> Self {
        Self {
            id: key.id,
            name: key.name.clone(),
            role: key.role.into(),
            sites: key.sites.as_ref().map(|sites| sites.iter().map(SiteId::to_string).collect()),
            user: key.user,
            created_at: instant(key.created_at),
            expires_at: key.expires_at.map(instant),
            requests_per_minute: key.requests_per_minute,
            requests_per_month: key.requests_per_month,
            last_used_at: last_used.map(instant),
        }
    }
}

/// Site ids of a body, each seen by the caller.
pub(super) fn site_ids(caller: &Caller, texts: &[String]) -> Result<Vec<SiteId>, Problem> {
    let read = |text: &String| {
        caller.account(text).map(|site| site.id.clone()).map_err(|_| Problem::Body {
            field: "sites".to_owned(),
            detail: format!(
                "there is no site {:?}, or the API key may not see it",
                text.chars().take(80).collect::<String>()
            ),
        })
    };
    texts.iter().map(read).collect()
}

/// The key of the path, where the caller may manage it.
fn managed(shared: &Shared, caller: &Caller, id: &str) -> Result<Arc<ApiKey>, Problem> {
    caller.require(Role::Admin)?;
    let id = Uuid::parse_str(id).ok();
    let key = shared.services.control.list_keys().into_iter().find(|key| Some(key.id) == id);
    key.filter(|key| caller.may_manage(key)).ok_or(Problem::NotFound("key"))
}

/// Keys
///
/// Those that the key may manage, oldest first, without their tokens. For admin keys.
#[utoipa::path(
    get, path = "/v1/keys", tag = "administration", operation_id = "list_keys",
    params(Pages, Formats),
    responses((status = 200, description = "Keys", body = List<KeyRow>), Refusals),
)]
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    listing: Listing,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    caller.require(Role::Admin)?;
    let parameters = Parameters::read(query.as_deref());
    let limit = cursor::limit(&parameters)?;
    let after: Option<(i64, Uuid)> = cursor::read(&parameters)?;
    let last_used = last_used(&shared).await?;
    let keys = shared.services.control.list_keys();
    let order = |key: &ApiKey| (key.created_at.0, key.id);
    let keys = keys.iter().filter(|key| caller.may_manage(key) && after.is_none_or(|after| order(key) > after));
    let (keys, next) = cursor::cut(keys.take(limit + 1).collect(), limit, |key| order(key));
    let rows = keys.iter().map(|key| KeyRow::of(key, last_used.get(&key.id).copied()));
    Ok(listing.answer(rows.collect(), next))
}

async fn last_used(shared: &Shared) -> Result<HashMap<Uuid, UnixMillis>, Problem> {
    shared.services.usage.write(&shared.services.store).await?;
    Ok(usage::last_used(&shared.services.store).await?)
}

/// Make a key
///
/// In force when this is answered, and the only time that its token is shown. For admin keys.
#[utoipa::path(
    post, path = "/v1/keys", tag = "administration", operation_id = "create_key",
    request_body = KeyToMake,
    responses(
        (status = 201, description = "The key with its token", body = MadeKey),
        (status = 409, description = "The name is taken", body = ProblemDetails, content_type = "application/problem+json"),
        Refusals, BodyRefusals,
    ),
)]
pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    JsonBody(new): JsonBody<KeyToMake>,
) -> Result<(StatusCode, Json<MadeKey>), Problem> {
    caller.require(Role::Admin)?;
    let sites = match new.sites {
        Some(texts) => Some(site_ids(&caller, &texts)?),
        None => caller.key.sites.clone(),
    };
    let user = match (caller.key.user, new.user) {
        (Some(own), Some(other)) if own != other => {
            return Err(Problem::Forbidden("a key that belongs to a user makes keys of that user only".to_owned()));
        }
        (own, other) => own.or(other),
    };
    let key = NewKey {
        name: new.name,
        sites,
        role: new.role.map_or(Role::Read, Into::into),
        expires_at: new.expires_at.as_deref().map(|text| read_instant("expires_at", text)).transpose()?,
        requests_per_minute: new.requests_per_minute,
        requests_per_month: new.requests_per_month,
        user,
    };
    let change = caller.begin_change()?;
    let outcome = shared.services.control.create_key(key, caller.now()).await;
    let id = |made: Option<&(Arc<ApiKey>, _)>| made.map_or_else(String::new, |made| made.0.id.to_string());
    let (key, token) = recorded(change, outcome, Action::Create, None, id)?;
    let token = token.as_str().to_owned();
    Ok((StatusCode::CREATED, Json(MadeKey { key: KeyRow::of(&key, None), token })))
}

/// Change a key
///
/// Its name, its end and its limits; sites and role never change. For admin keys.
#[utoipa::path(
    patch, path = "/v1/keys/{key}", tag = "administration", operation_id = "change_key",
    params(("key" = Uuid, Path, description = "The key's id")),
    request_body = ChangeOfKey,
    responses(
        (status = 200, description = "The key as it is now", body = KeyRow),
        (status = 409, description = "The name is taken", body = ProblemDetails, content_type = "application/problem+json"),
        Refusals, BodyRefusals,
    ),
)]
pub(super) async fn change(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    FromPath(key): FromPath<String>,
    JsonBody(new): JsonBody<ChangeOfKey>,
) -> Result<Json<KeyRow>, Problem> {
    let key = managed(&shared, &caller, &key)?;
    let expires_at = match new.expires_at {
        Some(Some(text)) => Some(Some(read_instant("expires_at", &text)?)),
        Some(None) => Some(None),
        None => None,
    };
    let change = caller.begin_change()?;
    let new = KeyChange {
        name: new.name,
        expires_at,
        requests_per_minute: new.requests_per_minute,
        requests_per_month: new.requests_per_month,
    };
    let outcome = shared.services.control.set_key(key.id, new, caller.now()).await;
    let key = recorded(change, outcome, Action::Change, None, |_| key.id.to_string())?;
    let last_used = last_used(&shared).await?;
    Ok(Json(KeyRow::of(&key, last_used.get(&key.id).copied())))
}

/// Revoke a key
///
/// It is refused from now on: at once by the process that answers this, within 5 seconds by others. For admin keys.
#[utoipa::path(
    delete, path = "/v1/keys/{key}", tag = "administration", operation_id = "revoke_key",
    params(("key" = Uuid, Path, description = "The key's id")),
    responses((status = 204, description = "It is revoked"), Refusals),
)]
pub(super) async fn revoke(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    FromPath(key): FromPath<String>,
) -> Result<StatusCode, Problem> {
    let key = managed(&shared, &caller, &key)?;
    let change = caller.begin_change()?;
    let outcome = shared.services.control.revoke_key(&key.id.to_string(), caller.now()).await;
    recorded(change, outcome, Action::Remove, None, |_| key.id.to_string())?;
    Ok(StatusCode::NO_CONTENT)
}
