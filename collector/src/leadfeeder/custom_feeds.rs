//! Custom feeds: the built-in ones and those that the site's people made under `/v1`.

use super::{
    documents::{Document, Resource},
    leads::{self, LeadAttributes, LeadResource},
    paging::PageParameters,
    refusals::Refusals,
    walks::Walks,
};
use crate::{
    admin::{
        Shared,
        authentication::Caller,
        problem::Problem,
        wire::{FromPath, dates::Dates},
    },
    feed::{Filter, NumberRange, TextMatch, VisitorKind},
    reports::feeds::{self, NamedFeed},
    site::SiteId,
    snapshot::Snapshot,
};
use axum::{
    Extension, Json,
    extract::{RawQuery, State},
};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FeedAttributes {
    name: String,
    criteria: Vec<Criterion>,
}

/// Spelled as in the one client that names these.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Criterion {
    criterion_type: &'static str,
    search_value: String,
    display_value: String,
    excluded: bool,
}

/// The site's feed with this id, built-in or its own.
pub(super) fn find<'a>(snapshot: &'a Snapshot, site: &SiteId, id: &str) -> Result<NamedFeed<'a>, Problem> {
    feeds::find(snapshot, site, id).ok_or(Problem::NotFound("custom feed"))
}

fn resource(feed: NamedFeed<'_>) -> Resource<FeedAttributes> {
    let mut criteria = Vec::new();
    if let Some(filter) = &feed.filter {
        list_criteria(filter, false, &mut criteria);
    }
    let attributes = FeedAttributes { name: feed.name.into_owned(), criteria };
    Resource { id: feed.id.into_owned(), kind: "custom_feeds", attributes, relationships: None }
}

/// One criterion for each condition. The grouping is lost: it has no form here, and `/v1` shows it.
fn list_criteria(filter: &Filter, excluded: bool, criteria: &mut Vec<Criterion>) {
    let mut add = |criterion_type, search_value: String, display_value: String| {
        criteria.push(Criterion { criterion_type, search_value, display_value, excluded });
    };
    let texts = |matched: &TextMatch| {
        let joined = matched.texts().join(", ");
        let word = match matched {
            TextMatch::Is(_) => "is",
            TextMatch::Contains(_) => "contains",
            TextMatch::StartsWith(_) => "starts with",
        };
        (joined.clone(), format!("{word} {joined}"))
    };
    let range = |range: &NumberRange| match (range.min, range.max) {
        (Some(min), Some(max)) => (format!("{min}-{max}"), format!("{min} to {max}")),
        (Some(min), None) => (format!("{min}-"), format!("at least {min}")),
        (None, max) => {
            let max = max.unwrap_or_default();
            (format!("-{max}"), format!("at most {max}"))
        }
    };
    let (kind, (search, display)) = match filter {
        Filter::All(filters) | Filter::Any(filters) => {
            filters.iter().for_each(|filter| list_criteria(filter, excluded, criteria));
            return;
        }
        Filter::Not(filter) => return list_criteria(filter, !excluded, criteria),
        Filter::Company(matched) => ("company", texts(matched)),
        Filter::Domain(matched) => ("domain", texts(matched)),
        Filter::Industry(matched) => ("industry", texts(matched)),
        Filter::Country(matched) => ("country", texts(matched)),
        Filter::Region(matched) => ("region", texts(matched)),
        Filter::City(matched) => ("city", texts(matched)),
        Filter::Page(matched) => ("page", texts(matched)),
        Filter::Source(matched) => ("source", texts(matched)),
        Filter::Medium(matched) => ("medium", texts(matched)),
        Filter::Campaign(matched) => ("campaign", texts(matched)),
        Filter::Event(matched) => ("event", texts(matched)),
        Filter::Tag(matched) => ("tag", texts(matched)),
        Filter::Assignee(matched) => ("assignee", texts(matched)),
        Filter::List(lists) => {
            let ids = lists.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            ("list", (ids.clone(), ids))
        }
        Filter::Followed(is) => ("followed", (is.to_string(), is.to_string())),
        Filter::Visits(numbers) => ("visits", range(numbers)),
        Filter::Pageviews(numbers) => ("pageviews", range(numbers)),
        Filter::Duration(numbers) => ("duration", range(numbers)),
        Filter::Quality(numbers) => ("quality", range(numbers)),
        Filter::Employees(numbers) => ("employees", range(numbers)),
        Filter::FirstSeen(days) => {
            let day = |day: Option<jiff::civil::Date>| day.map(|day| day.to_string()).unwrap_or_default();
            let text = format!("{}/{}", day(days.from), day(days.to));
            ("first_seen", (text.clone(), text))
        }
        Filter::Visitor(kind) => {
            let word = match kind {
                VisitorKind::New => "new",
                VisitorKind::Returning => "returning",
            };
            ("visitor", (word.to_owned(), word.to_owned()))
        }
    };
    add(kind, search, display);
}

/// Custom feeds
///
/// The built-in ones, then the site's own by name.
#[utoipa::path(
    get, path = "/accounts/{account}/custom-feeds", tag = "leadfeeder", operation_id = "custom_feeds",
    params(
        ("account" = String, Path, description = "The site's id", example = "shop"),
    ),
    responses((status = 200, description = "Feeds", body = Document<Vec<Resource<FeedAttributes>>>), Refusals),
)]
pub(super) async fn list(
    Extension(caller): Extension<Caller>,
    FromPath(account): FromPath<String>,
) -> Result<Json<Document<Vec<Resource<FeedAttributes>>>>, Problem> {
    let site = caller.account(&account)?;
    Ok(Json(Document::plain(feeds::of_site(&caller.snapshot, &site.id).map(resource).collect())))
}

/// One custom feed
///
/// A built-in feed or one of the site's own.
#[utoipa::path(
    get, path = "/accounts/{account}/custom-feeds/{feed}", tag = "leadfeeder", operation_id = "custom_feed",
    params(
        ("account" = String, Path, description = "The site's id", example = "shop"),
        ("feed" = String, Path, description = "The feed's id", example = "all_leads"),
    ),
    responses((status = 200, description = "The feed", body = Document<Resource<FeedAttributes>>), Refusals),
)]
pub(super) async fn one(
    Extension(caller): Extension<Caller>,
    FromPath((account, feed)): FromPath<(String, String)>,
) -> Result<Json<Document<Resource<FeedAttributes>>>, Problem> {
    let site = caller.account(&account)?;
    Ok(Json(Document::plain(resource(find(&caller.snapshot, &site.id, &feed)?))))
}

/// Leads of a custom feed
///
/// Companies that visited between the dates and fit the feed, by their first visit in them, newest first; at most 10,000.
#[utoipa::path(
    get, path = "/accounts/{account}/custom-feeds/{feed}/leads", tag = "leadfeeder", operation_id = "custom_feed_leads",
    params(
        ("account" = String, Path, description = "The site's id", example = "shop"),
        ("feed" = String, Path, description = "The feed's id", example = "all_leads"),
        Dates, PageParameters,
    ),
    responses((status = 200, description = "Leads", body = Document<Vec<Resource<LeadAttributes>>>), Refusals),
)]
pub(super) async fn leads_of(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Extension(walks): Extension<Arc<Walks>>,
    FromPath((account, feed)): FromPath<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Json<Document<Vec<LeadResource>>>, Problem> {
    leads::of_feed(&shared, &caller, &walks, (&account, &feed), query.as_deref()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn criteria_name_each_condition_and_whether_it_is_excluded() {
        let filter: Filter = serde_json::from_str(
            r#"{"all":[{"country":{"is":["DE","AT"]}},{"not":{"page":{"starts_with":["/jobs"]}}},{"visits":{"min":3}}]}"#,
        )
        .unwrap();
        let mut criteria = Vec::new();
        list_criteria(&filter, false, &mut criteria);
        assert_eq!(
            serde_json::to_value(&criteria).unwrap(),
            serde_json::json!([
                {"criterionType": "country", "searchValue": "DE, AT", "displayValue": "is DE, AT", "excluded": false},
                {"criterionType": "page", "searchValue": "/jobs", "displayValue": "starts with /jobs", "excluded": true},
                {"criterionType": "visits", "searchValue": "3-", "displayValue": "at least 3", "excluded": false},
            ])
        );
    }
}
