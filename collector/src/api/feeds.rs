//! Feeds and lists of a site: listed, made, replaced, removed, by functions that goals share. Reading them takes any key of
//! the site, changing them a key that may write.

use super::{
    cursor,
    format::{List, Listing, Row},
    parameters::{Formats, NestedFormats, Pages},
    refusals::{BodyRefusals, Refusals},
    text::instant,
};
use crate::{
    admin::{
        Action, Shared,
        authentication::{Caller, recorded},
        problem::{Problem, ProblemDetails},
        wire::{FromPath, Parameters, body::JsonBody},
    },
    control::SiteObject,
    feed::{CompanyList, Feed, Filter},
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

/// A feed: a saved filter over the companies that visited the site.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Feed)]
pub(super) struct FeedRow {
    id: Uuid,
    name: String,
    /// The folder it is shown in; empty for none.
    folder: String,
    filter: Filter,
    #[schema(format = DateTime)]
    created_at: String,
}

impl Row for FeedRow {
    const COLUMNS: &'static [&'static str] = &["id", "name", "folder", "filter", "created_at"];
}

/// A feed to be made or put in the place of another.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewFeed {
    /// For people, unlike any other feed's of the site.
    #[schema(example = "Hot in Germany", min_length = 1, max_length = 100)]
    name: String,
    #[serde(default)]
    #[schema(max_length = 100)]
    folder: String,
    filter: Filter,
}

/// A list that companies are put on by hand.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = CompanyList)]
pub(super) struct ListRow {
    id: Uuid,
    name: String,
    #[schema(format = DateTime)]
    created_at: String,
}

impl Row for ListRow {
    const COLUMNS: &'static [&'static str] = &["id", "name", "created_at"];
}

/// A list to be made or put in the place of another.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewList {
    /// For people, unlike any other list's of the site.
    #[schema(example = "Customers", min_length = 1, max_length = 100)]
    name: String,
}

impl From<&Feed> for FeedRow {
    fn from(feed: &Feed) -> Self {
        let (name, folder, filter) = (feed.name.clone(), feed.folder.clone(), feed.filter.clone());
        Self { id: feed.id, name, folder, filter, created_at: instant(feed.created_at) }
    }
}

impl From<&CompanyList> for ListRow {
    fn from(list: &CompanyList) -> Self {
        Self { id: list.id, name: list.name.clone(), created_at: instant(list.created_at) }
    }
}

/// The objects of one kind, by name.
pub(super) fn listed<T: SiteObject, R>(
    caller: &Caller,
    site: &str,
    listing: &Listing,
    query: Option<&str>,
) -> Result<Response, Problem>
where
    R: for<'a> From<&'a T> + Row,
{
    let site = caller.account(site)?;
    let parameters = Parameters::read(query);
    let limit = cursor::limit(&parameters)?;
    let after: Option<(String, Uuid)> = cursor::read(&parameters)?;
    let key = |object: &T| (object.name().to_owned(), object.id());
    let mut objects: Vec<&Arc<T>> =
        T::of(&caller.snapshot).values().filter(|object| *object.site() == site.id).collect();
    objects.retain(|object| after.as_ref().is_none_or(|after| key(object) > *after));
    objects.sort_by_key(|object| key(object));
    objects.truncate(limit + 1);
    let (objects, next) = cursor::cut(objects, limit, |object| key(object));
    Ok(listing.answer(objects.into_iter().map(|object| R::from(&**object)).collect(), next))
}

pub(super) fn found<T: SiteObject>(caller: &Caller, site: &str, id: &str) -> Result<Arc<T>, Problem> {
    let site = caller.account(site)?;
    let object = Uuid::parse_str(id).ok().and_then(|id| T::of(&caller.snapshot).get(&id).cloned());
    object.filter(|object| *object.site() == site.id).ok_or(Problem::NotFound(T::KIND))
}

pub(super) async fn made<T: SiteObject, R: for<'a> From<&'a T>>(
    shared: &Shared,
    caller: &Caller,
    object: T,
) -> Result<(StatusCode, Json<R>), Problem> {
    let site = object.site().clone();
    let change = caller.begin_change()?;
    let outcome = shared.services.control.add_object(object, caller.now()).await;
    let object = recorded(change, outcome, Action::Create, Some(&site), |made: Option<&Arc<T>>| {
        format!("{} {}", T::KIND, made.map(|made| made.id().to_string()).unwrap_or_default())
    })?;
    Ok((StatusCode::CREATED, Json(R::from(&object))))
}

pub(super) async fn replaced<T: SiteObject, R: for<'a> From<&'a T>>(
    shared: &Shared,
    caller: &Caller,
    (site, id): (&str, &str),
    new: impl FnOnce(&T) -> T + Send,
) -> Result<Json<R>, Problem> {
    caller.require(Role::Write)?;
    let object = found::<T>(caller, site, id)?;
    let (site, id) = (object.site().clone(), object.id());
    let change = caller.begin_change()?;
    let outcome = shared.services.control.change_object(&site, id, new, caller.now()).await;
    let object = recorded(change, outcome, Action::Change, Some(&site), |_| format!("{} {id}", T::KIND))?;
    Ok(Json(R::from(&object)))
}

pub(super) async fn removed<T: SiteObject>(
    shared: &Shared,
    caller: &Caller,
    (site, id): (&str, &str),
) -> Result<StatusCode, Problem> {
    caller.require(Role::Write)?;
    let object = found::<T>(caller, site, id)?;
    let (site, id) = (object.site().clone(), object.id());
    let change = caller.begin_change()?;
    let outcome = shared.services.control.remove_object::<T>(&site, id, caller.now()).await;
    recorded(change, outcome, Action::Remove, Some(&site), |_| format!("{} {id}", T::KIND))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Feeds
///
/// The site's own, by name.
#[utoipa::path(
    get, path = "/v1/sites/{site}/feeds", tag = "feeds", operation_id = "list_feeds",
    params(("site" = String, Path, description = "The site's id", example = "shop"), Pages, NestedFormats),
    responses((status = 200, description = "Feeds", body = List<FeedRow>), Refusals),
)]
pub(super) async fn list_feeds(
    Extension(caller): Extension<Caller>,
    FromPath(site): FromPath<String>,
    listing: Listing,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    // A filter is nested, which a table of cells can't show.
    if listing.is_csv() {
        return Err(Problem::NotAcceptable);
    }
    listed::<Feed, FeedRow>(&caller, &site, &listing, query.as_deref())
}

/// One feed
#[utoipa::path(
    get, path = "/v1/sites/{site}/feeds/{feed}", tag = "feeds", operation_id = "get_feed",
    params(("site" = String, Path, description = "The site's id", example = "shop"), ("feed" = Uuid, Path, description = "The feed's id")),
    responses((status = 200, description = "The feed", body = FeedRow), Refusals),
)]
pub(super) async fn one_feed(
    Extension(caller): Extension<Caller>,
    FromPath((site, feed)): FromPath<(String, String)>,
) -> Result<Json<FeedRow>, Problem> {
    Ok(Json(FeedRow::from(&*found::<Feed>(&caller, &site, &feed)?)))
}

/// Make a feed
///
/// For keys that may write.
#[utoipa::path(
    post, path = "/v1/sites/{site}/feeds", tag = "feeds", operation_id = "create_feed",
    params(("site" = String, Path, description = "The site's id", example = "shop")),
    request_body = NewFeed,
    responses(
        (status = 201, description = "The feed as it was stored", body = FeedRow),
        (status = 409, description = "The name is taken, or there are too many", body = ProblemDetails, content_type = "application/problem+json"),
        Refusals, BodyRefusals,
    ),
)]
pub(super) async fn create_feed(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    FromPath(site): FromPath<String>,
    JsonBody(new): JsonBody<NewFeed>,
) -> Result<(StatusCode, Json<FeedRow>), Problem> {
    caller.require(Role::Write)?;
    let site = caller.account(&site)?.id.clone();
    let NewFeed { name, folder, filter } = new;
    let feed = Feed { id: Uuid::new_v4(), site, name, folder, filter, created_at: caller.now() };
    made(&shared, &caller, feed).await
}

/// Replace a feed
///
/// In force when this is answered. For keys that may write.
#[utoipa::path(
    put, path = "/v1/sites/{site}/feeds/{feed}", tag = "feeds", operation_id = "replace_feed",
    params(("site" = String, Path, description = "The site's id", example = "shop"), ("feed" = Uuid, Path, description = "The feed's id")),
    request_body = NewFeed,
    responses(
        (status = 200, description = "The feed as it is now", body = FeedRow),
        (status = 409, description = "The name is taken", body = ProblemDetails, content_type = "application/problem+json"),
        Refusals, BodyRefusals,
    ),
)]
pub(super) async fn replace_feed(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    FromPath((site, feed)): FromPath<(String, String)>,
    JsonBody(new): JsonBody<NewFeed>,
) -> Result<Json<FeedRow>, Problem> {
    let NewFeed { name, folder, filter } = new;
    replaced(&shared, &caller, (&site, &feed), |old: &Feed| Feed { name, folder, filter, ..old.clone() }).await
}

/// Remove a feed
///
/// For keys that may write.
#[utoipa::path(
    delete, path = "/v1/sites/{site}/feeds/{feed}", tag = "feeds", operation_id = "remove_feed",
    params(("site" = String, Path, description = "The site's id", example = "shop"), ("feed" = Uuid, Path, description = "The feed's id")),
    responses((status = 204, description = "It is removed"), Refusals),
)]
pub(super) async fn remove_feed(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    FromPath((site, feed)): FromPath<(String, String)>,
) -> Result<StatusCode, Problem> {
    removed::<Feed>(&shared, &caller, (&site, &feed)).await
}

/// Lists
///
/// The site's lists of companies, by name.
#[utoipa::path(
    get, path = "/v1/sites/{site}/lists", tag = "feeds", operation_id = "list_lists",
    params(("site" = String, Path, description = "The site's id", example = "shop"), Pages, Formats),
    responses((status = 200, description = "Lists", body = List<ListRow>), Refusals),
)]
pub(super) async fn list_lists(
    Extension(caller): Extension<Caller>,
    FromPath(site): FromPath<String>,
    listing: Listing,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    listed::<CompanyList, ListRow>(&caller, &site, &listing, query.as_deref())
}

/// Make a list
///
/// For keys that may write.
#[utoipa::path(
    post, path = "/v1/sites/{site}/lists", tag = "feeds", operation_id = "create_list",
    params(("site" = String, Path, description = "The site's id", example = "shop")),
    request_body = NewList,
    responses(
        (status = 201, description = "The list as it was stored", body = ListRow),
        (status = 409, description = "The name is taken, or there are too many", body = ProblemDetails, content_type = "application/problem+json"),
        Refusals, BodyRefusals,
    ),
)]
pub(super) async fn create_list(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    FromPath(site): FromPath<String>,
    JsonBody(new): JsonBody<NewList>,
) -> Result<(StatusCode, Json<ListRow>), Problem> {
    caller.require(Role::Write)?;
    let site = caller.account(&site)?.id.clone();
    let list = CompanyList { id: Uuid::new_v4(), site, name: new.name, created_at: caller.now() };
    made(&shared, &caller, list).await
}

/// Rename a list
///
/// For keys that may write.
#[utoipa::path(
    put, path = "/v1/sites/{site}/lists/{list}", tag = "feeds", operation_id = "replace_list",
    params(("site" = String, Path, description = "The site's id", example = "shop"), ("list" = Uuid, Path, description = "The list's id")),
    request_body = NewList,
    responses(
        (status = 200, description = "The list as it is now", body = ListRow),
        (status = 409, description = "The name is taken", body = ProblemDetails, content_type = "application/problem+json"),
        Refusals, BodyRefusals,
    ),
)]
pub(super) async fn replace_list(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    FromPath((site, list)): FromPath<(String, String)>,
    JsonBody(new): JsonBody<NewList>,
) -> Result<Json<ListRow>, Problem> {
    let name = new.name;
    replaced(&shared, &caller, (&site, &list), |old: &CompanyList| CompanyList { name, ..old.clone() }).await
}

/// Remove a list
///
/// Its companies stay as they are. For keys that may write.
#[utoipa::path(
    delete, path = "/v1/sites/{site}/lists/{list}", tag = "feeds", operation_id = "remove_list",
    params(("site" = String, Path, description = "The site's id", example = "shop"), ("list" = Uuid, Path, description = "The list's id")),
    responses((status = 204, description = "It is removed"), Refusals),
)]
pub(super) async fn remove_list(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    FromPath((site, list)): FromPath<(String, String)>,
) -> Result<StatusCode, Problem> {
    removed::<CompanyList>(&shared, &caller, (&site, &list)).await
}
