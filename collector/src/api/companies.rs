//! What people noted about a company.

use super::{
    parameters::company_id,
    refusals::{BodyRefusals, Refusals},
    text::instant,
};
use crate::{
    admin::{
        Action, Shared,
        authentication::{Caller, recorded},
        problem::Problem,
        wire::{
            FromPath,
            body::{JsonBody, given},
        },
    },
    feed::{CompanyMarks, Note},
    reports::companies,
    site::{Site, SiteId},
    snapshot::Role,
};
use axum::{Extension, Json, extract::State};
use firmsight_resolver::CompanyId;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use uuid::Uuid;

/// What people noted about a company.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Marks {
    /// By name.
    tags: Vec<String>,
    /// Ids of the lists it is on.
    lists: Vec<Uuid>,
    /// Who takes care of it: an e-mail address or a name; empty for nobody.
    assignee: String,
    /// Left out of leads, visits and feeds.
    hidden: bool,
    /// In the feed of followed companies.
    followed: bool,
    /// Oldest first.
    notes: Vec<NoteRow>,
}

/// A note on a company.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Note)]
struct NoteRow {
    id: Uuid,
    #[schema(example = "Asked for an offer by phone")]
    text: String,
    /// The name of the key that wrote it.
    #[schema(example = "crm")]
    author: String,
    #[schema(format = DateTime)]
    created_at: String,
}

impl From<Note> for NoteRow {
    fn from(note: Note) -> Self {
        let Note { id, text, author, created_at } = note;
        Self { id, text, author, created_at: instant(created_at) }
    }
}

/// What of it changes; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeOfMarks {
    /// In place of the old ones.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, max_items = 100)]
    tags: Option<Vec<String>>,
    /// In place of the old ones; those that are no lists of the site are left out.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, max_items = 100)]
    lists: Option<Vec<Uuid>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, max_length = 254)]
    assignee: Option<String>,
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    hidden: Option<bool>,
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    followed: Option<bool>,
}

/// A note to be added.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewNote {
    #[schema(min_length = 1, max_length = 10_000, example = "Asked for an offer by phone")]
    text: String,
}

impl From<CompanyMarks> for Marks {
    fn from(marks: CompanyMarks) -> Self {
        let CompanyMarks { tags, lists, assignee, is_hidden, is_followed, notes } = marks;
        let notes = notes.into_iter().map(NoteRow::from).collect();
        Self { tags, lists, assignee, hidden: is_hidden, followed: is_followed, notes }
    }
}

/// A company that visited the site at some time.
pub(super) async fn known(
    shared: &Shared,
    caller: &Caller,
    site: &str,
    company: &str,
) -> Result<(Arc<Site>, CompanyId), Problem> {
    let site = caller.account(site)?;
    let company = company_id(company)?;
    let is_known = companies::is_known(&shared.services.store, &site.id, company).await?;
    if is_known { Ok((site, company)) } else { Err(Problem::NotFound("company")) }
}

async fn changed(
    shared: &Shared,
    caller: &Caller,
    (site, company): (&SiteId, CompanyId),
    change: impl FnOnce(&mut CompanyMarks) + Send,
) -> Result<Json<Marks>, Problem> {
    let record = caller.begin_change()?;
    let outcome = shared.services.control.change_marks(site, company, change, caller.now()).await;
    let marks = recorded(record, outcome, Action::Change, Some(site), |_| format!("company {company}"))?;
    Ok(Json(Marks::from(marks)))
}

/// Marks of a company
///
/// Tags, lists, assignee and notes.
#[utoipa::path(
    get, path = "/v1/sites/{site}/companies/{company}/marks", tag = "feeds", operation_id = "get_marks",
    params(("site" = String, Path, description = "The site's id", example = "shop"), ("company" = String, Path, description = "The company's id, 16 hexadecimal digits")),
    responses((status = 200, description = "What is noted", body = Marks), Refusals),
)]
pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    FromPath((site, company)): FromPath<(String, String)>,
) -> Result<Json<Marks>, Problem> {
    let (site, company) = known(&shared, &caller, &site, &company).await?;
    caller.audit(Some(&site.id))?;
    Ok(Json(Marks::from(shared.services.control.marks(&site.id, company).await?)))
}

/// Change a company's marks
///
/// In force when this is answered. For keys that may write.
#[utoipa::path(
    patch, path = "/v1/sites/{site}/companies/{company}/marks", tag = "feeds", operation_id = "change_marks",
    params(("site" = String, Path, description = "The site's id", example = "shop"), ("company" = String, Path, description = "The company's id, 16 hexadecimal digits")),
    request_body = ChangeOfMarks,
    responses((status = 200, description = "What is noted now", body = Marks), Refusals, BodyRefusals),
)]
pub(super) async fn change(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    FromPath((site, company)): FromPath<(String, String)>,
    JsonBody(new): JsonBody<ChangeOfMarks>,
) -> Result<Json<Marks>, Problem> {
    caller.require(Role::Write)?;
    let (site, company) = known(&shared, &caller, &site, &company).await?;
    changed(&shared, &caller, (&site.id, company), |marks| {
        marks.tags = new.tags.unwrap_or_else(|| std::mem::take(&mut marks.tags));
        marks.lists = new.lists.unwrap_or_else(|| std::mem::take(&mut marks.lists));
        marks.assignee = new.assignee.unwrap_or_else(|| std::mem::take(&mut marks.assignee));
        marks.is_hidden = new.hidden.unwrap_or(marks.is_hidden);
        marks.is_followed = new.followed.unwrap_or(marks.is_followed);
    })
    .await
}

/// Add a note to a company
///
/// For keys that may write; the key's name is the note's author.
#[utoipa::path(
    post, path = "/v1/sites/{site}/companies/{company}/notes", tag = "feeds", operation_id = "add_note",
    params(("site" = String, Path, description = "The site's id", example = "shop"), ("company" = String, Path, description = "The company's id, 16 hexadecimal digits")),
    request_body = NewNote,
    responses((status = 200, description = "What is noted now", body = Marks), Refusals, BodyRefusals),
)]
pub(super) async fn add_note(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    FromPath((site, company)): FromPath<(String, String)>,
    JsonBody(new): JsonBody<NewNote>,
) -> Result<Json<Marks>, Problem> {
    caller.require(Role::Write)?;
    let (site, company) = known(&shared, &caller, &site, &company).await?;
    let author = caller.key.name.clone();
    let note = Note { id: Uuid::new_v4(), text: new.text, author, created_at: caller.now() };
    changed(&shared, &caller, (&site.id, company), |marks| marks.notes.push(note)).await
}

/// Remove a note from a company
///
/// For keys that may write.
#[utoipa::path(
    delete, path = "/v1/sites/{site}/companies/{company}/notes/{note}", tag = "feeds", operation_id = "remove_note",
    params(
        ("site" = String, Path, description = "The site's id", example = "shop"),
        ("company" = String, Path, description = "The company's id, 16 hexadecimal digits"),
        ("note" = Uuid, Path, description = "The note's id"),
    ),
    responses((status = 200, description = "What is noted now", body = Marks), Refusals),
)]
pub(super) async fn remove_note(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    FromPath((site, company, note)): FromPath<(String, String, String)>,
) -> Result<Json<Marks>, Problem> {
    caller.require(Role::Write)?;
    let note = Uuid::parse_str(&note).map_err(|_| Problem::NotFound("note"))?;
    let (site, company) = known(&shared, &caller, &site, &company).await?;
    let marks = shared.services.control.marks(&site.id, company).await?;
    if !marks.notes.iter().any(|own| own.id == note) {
        return Err(Problem::NotFound("note"));
    }
    changed(&shared, &caller, (&site.id, company), |marks| marks.notes.retain(|own| own.id != note)).await
}
