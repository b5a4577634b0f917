//! Exports: a feed's leads as one file, made after the request was answered.
//!
//! # Design
//! The store is the queue: a request is written down as pending, [`super::ExportWorker`] finds it there, and after a restart still
//! does. What it finds is written in parts of a bounded size, which a download joins. A worker that breaks off begins
//! again and overwrites the parts; two collectors that do the same write the same. The file's name has 256 random bits and
//! is all that a download needs, because clients hand the URL to programs that send no headers; so it is given only to the
//! key that asked, and expires with its file after [`KEPT`].
//!
//! Bounds: 100,000 leads in a file, [`MAX_OF_A_SITE`] exports of a site at a time.

use super::{
    custom_feeds,
    documents::{Document, Resource},
    export_worker::ExportFile,
    refusals::{ErrorDocument, Refusals},
};
use crate::{
    admin::{
        Action, AuditRow, Shared,
        authentication::Caller,
        problem::Problem,
        wire::{FromPath, Parameters, dates::Dates},
    },
    control::{ControlError, ExportRequest, ExportStatus, random_name},
    reports::dates::{LocalTime, zone},
    site::Site,
    time::UnixMillis,
};
use axum::{
    Extension, Json,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;
use uuid::Uuid;

/// How long a file is kept: a day, in milliseconds.
const KEPT: i64 = 86_400_000;
/// Most exports of a site that have not expired.
const MAX_OF_A_SITE: usize = 100;
/// Largest body of a request.
const MAX_BODY: usize = 64 * 1024;

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ExportAttributes {
    status: &'static str,
    created_at: String,
    status_url: String,
    download_url: String,
}

fn resource(export: &ExportRequest, site: &Site, base_url: &str) -> Resource<ExportAttributes> {
    Resource {
        id: export.id.to_string(),
        kind: "export_requests",
        attributes: ExportAttributes {
            status: export.status.as_str(),
            created_at: LocalTime::of(export.created_at, &zone(&site.timezone)).instant,
            status_url: format!("{base_url}/export-requests/{}", export.id),
            download_url: format!("{base_url}/download/{}", export.file_name),
        },
        relationships: None,
    }
}

/// Reads a request's fields from any form that clients send: a JSON:API document, a flat JSON object, a form.
async fn fields(request: Request) -> Result<Parameters, Problem> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_form = kind.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded");
    let body = to_bytes(request.into_body(), MAX_BODY).await.map_err(|_| Problem::BodyTooLarge(MAX_BODY))?;
    if is_form {
        return Ok(Parameters::read(std::str::from_utf8(&body).ok()));
    }
    let wrong = |detail: String| Problem::Body { field: String::new(), detail };
    let json: serde_json::Value =
        serde_json::from_slice(&body).map_err(|error| wrong(format!("the body is no JSON: {error}")))?;
    if json.pointer("/data/type").is_some_and(|kind| !kind.is_string()) {
        return Err(Problem::Body { field: "type".to_owned(), detail: "type must be a text".to_owned() });
    }
    let attributes = json.pointer("/data/attributes").unwrap_or(&json);
    let attributes = attributes.as_object().ok_or_else(|| wrong("the body must be a JSON object".to_owned()))?;
    let mut pairs = form_urlencoded::Serializer::new(String::new());
    for (name, value) in attributes {
        match value {
            serde_json::Value::String(text) => pairs.append_pair(name, text),
            serde_json::Value::Number(number) => pairs.append_pair(name, &number.to_string()),
            _ => &mut pairs,
        };
    }
    Ok(Parameters::read(Some(&pairs.finish())))
}

/// What is exported.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes what `fields` reads")]
struct ExportToMake {
    /// The account's id.
    #[schema(example = "shop")]
    account_id: String,
    /// A feed's id; `all_leads` for every company.
    #[schema(example = "all_leads")]
    custom_feed_id: String,
    #[schema(example = "2026-11-01")]
    start_date: String,
    #[schema(example = "2026-11-30")]
    end_date: String,
}

/// The same as a JSON:API document.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes what `fields` reads")]
struct ExportDocument {
    data: ExportResource,
}

#[derive(ToSchema)]
#[allow(dead_code, reason = "describes what `fields` reads")]
struct ExportResource {
    #[schema(example = "export_requests", nullable = false)]
    r#type: Option<String>,
    attributes: ExportToMake,
}

/// Ask for an export
///
/// Of a feed's leads within the dates, as one file. Ask at `status_url` until the status is `processed`.
#[utoipa::path(
    post, path = "/export-requests", tag = "leadfeeder", operation_id = "create_export",
    request_body(content(
        (ExportToMake = "application/json"),
        (ExportDocument = "application/vnd.api+json"),
        (ExportToMake = "application/x-www-form-urlencoded"),
    )),
    responses(
        (status = 200, description = "The export", body = Document<Resource<ExportAttributes>>),
        (status = 409, description = "The account has 100 exports already", body = ErrorDocument),
        (status = 413, description = "The body is too large", body = ErrorDocument),
        Refusals,
    ),
)]
pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<Document<Resource<ExportAttributes>>>, Problem> {
    let fields = fields(request).await?;
    let site = caller.account(fields.required("account_id")?)?;
    let feed = fields.required("custom_feed_id")?.to_owned();
    custom_feeds::find(&caller.snapshot, &site.id, &feed)?;
    let dates = Dates::read(&fields)?;
    dates.whole_days(&zone(&site.timezone))?;
    let control = &shared.services.control;
    let now = caller.now();
    let stored = control.exports(now).await?;
    if stored.iter().filter(|export| export.site == site.id).count() >= MAX_OF_A_SITE {
        return Err(Problem::Conflict(format!(
            "the account has {MAX_OF_A_SITE} exports; each goes a day after it was asked for"
        )));
    }
    caller.audit(Some(&site.id))?;
    let export = ExportRequest {
        id: Uuid::new_v4(),
        site: site.id.clone(),
        key: caller.key.id,
        feed,
        start_date: dates.start_date,
        end_date: dates.end_date,
        file_name: format!("{}.json", random_name().map_err(ControlError::from)?),
        status: ExportStatus::Pending,
        problem: String::new(),
        created_at: now,
        expires_at: UnixMillis(now.0.saturating_add(KEPT)),
    };
    control.write_export(&export, now).await?;
    Ok(Json(Document::plain(resource(&export, &site, shared.base_url()))))
}

/// An export
///
/// For the key that asked for it.
#[utoipa::path(
    get, path = "/export-requests/{id}", tag = "leadfeeder", operation_id = "export",
    params(("id" = Uuid, Path, description = "The export's id")),
    responses((status = 200, description = "The export", body = Document<Resource<ExportAttributes>>), Refusals),
)]
pub(super) async fn one(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    FromPath(id): FromPath<String>,
) -> Result<Json<Document<Resource<ExportAttributes>>>, Problem> {
    let missing = Problem::NotFound("export request");
    let Ok(id) = Uuid::parse_str(&id) else { return Err(missing) };
    // Its address leads to a file of company data, so another key does not learn it.
    let export = shared.services.control.export(id, caller.now()).await?;
    let export = export.filter(|export| export.key == caller.key.id).ok_or(missing)?;
    let site = caller.account(export.site.as_str())?;
    Ok(Json(Document::plain(resource(&export, &site, shared.base_url()))))
}

/// The file of an export
///
/// A JSON:API document of rows and, in `included`, their leads and places. Whoever knows the name may have the file, for a
/// day; it asks for no key.
#[utoipa::path(
    get, path = "/download/{unique_filename}", tag = "leadfeeder", operation_id = "download",
    params(("unique_filename" = String, Path, description = "The last part of the export's `download_url`")),
    security(()),
    responses(
        (status = 200, description = "The file", body = ExportFile),
        (status = 404, description = "There is no such file, or not yet, or no more", body = ErrorDocument),
        (status = 503, description = "The store does not answer; `Retry-After` says how long", body = ErrorDocument),
    ),
)]
pub(super) async fn download(
    State(shared): State<Arc<Shared>>,
    FromPath(name): FromPath<String>,
) -> Result<Response, Problem> {
    let control = shared.services.control.clone();
    let now = (shared.services.clock)();
    let export = control.export_of_file(&name, now).await?;
    let export = export.filter(|export| export.status == ExportStatus::Processed);
    let export = export.ok_or(Problem::NotFound("file; an export may still be pending or have expired"))?;
    // Nobody says who fetches it: the record names the key that asked for the file, which alone was told its address.
    let snapshot = shared.services.snapshot.load();
    let key = snapshot.keys.values().find(|key| key.id == export.key);
    let actor = (export.key, key.map_or("", |key| key.name.as_str()));
    let object = format!("export {}", export.id);
    let row = AuditRow::new(actor, Action::Read, "/download/{unique_filename}", Some(&export.site), &object, now);
    shared.services.audit.reserve()?.record(row);
    let parts = stream::try_unfold(0, move |from| {
        let (control, id) = (control.clone(), export.id);
        async move {
            let part = control.export_part(id, from).await?;
            Ok::<_, ControlError>(part.map(|(number, body)| (body, number + 1)))
        }
    });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"leads.json\"")),
    ];
    Ok((headers, Body::from_stream(parts)).into_response())
}
