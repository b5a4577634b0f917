//! Exports: a feed's leads as one file, made after the request was answered.
//!
//! # Design
//! The store is the queue: a request is written down as pending, [`ExportWorker`] finds it there, and after a restart still
//! does. What it finds is written in parts of a bounded size, which a download joins. A worker that breaks off begins
//! again and overwrites the parts; two collectors that do the same write the same. The file's name has 256 random bits and
//! is all that a download needs, because clients hand the URL to programs that send no headers; so it is given only to the
//! key that asked, and expires with its file after [`KEPT`].
//!
//! Bounds: [`MAX_LEADS`] leads in a file, [`MAX_OF_A_SITE`] exports of a site at a time.

use super::{
    Shared,
    audit::{Action, AuditRow},
    authentication::Caller,
    custom_feeds,
    dates::{LocalTime, Window, zone},
    documents::{Document, Resource, included},
    error::{ErrorDocument, ReportError},
    leads::{LeadResource, Leads},
    parameters::{FromPath, Parameters},
    queries::Visited,
    selection::{Selection, WindowStats},
    v1::parameters::LegacyRefusals,
};
use crate::{
    control::{Control, ControlError, ExportRequest, ExportStatus, random_name},
    site::Site,
    snapshot::{SharedSnapshot, Snapshot},
    store::Store,
    time::UnixMillis,
};
use axum::{
    Extension, Json,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use firmsight_resolver::CompanyId;
use futures_util::stream;
use serde::Serialize;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;
use uuid::Uuid;

/// How long a file is kept: a day, in milliseconds.
const KEPT: i64 = 86_400_000;
/// Most leads in a file.
const MAX_LEADS: u64 = 100_000;
/// Most exports of a site that have not expired.
const MAX_OF_A_SITE: usize = 100;
/// Largest body of a request.
const MAX_BODY: usize = 64 * 1024;
/// Leads in one part.
const PART: u64 = 500;
/// Parts from this number on hold `included`.
const FIRST_INCLUDED: u32 = 1_000_000;
/// How often the worker looks for what other collectors left.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Wakes the worker of this process.
#[derive(Clone, Debug, Default)]
pub struct ExportQueue(Arc<Notify>);

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
async fn fields(request: Request) -> Result<Parameters, ReportError> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_form = kind.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded");
    let body = to_bytes(request.into_body(), MAX_BODY).await.map_err(|_| ReportError::BodyTooLarge(MAX_BODY))?;
    if is_form {
        return Ok(Parameters::read(std::str::from_utf8(&body).ok()));
    }
    let wrong = |detail: String| ReportError::Body { field: String::new(), detail };
    let json: serde_json::Value =
        serde_json::from_slice(&body).map_err(|error| wrong(format!("the body is no JSON: {error}")))?;
    if json.pointer("/data/type").is_some_and(|kind| !kind.is_string()) {
        return Err(ReportError::Body { field: "type".to_owned(), detail: "type must be a text".to_owned() });
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
    #[schema(example = "export_requests")]
    r#type: String,
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
        LegacyRefusals,
    ),
)]
pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<Document<Resource<ExportAttributes>>>, ReportError> {
    let fields = fields(request).await?;
    let site = caller.account(fields.required("account_id")?)?;
    let feed = fields.required("custom_feed_id")?.to_owned();
    custom_feeds::find(&caller.snapshot, &site.id, &feed)?;
    let window = Window::read(&fields, &zone(&site.timezone))?;
    let control = &shared.state.control;
    let now = caller.now();
    let stored = control.exports(now).await?;
    if stored.iter().filter(|export| export.site == site.id).count() >= MAX_OF_A_SITE {
        return Err(ReportError::Conflict(format!(
            "the account has {MAX_OF_A_SITE} exports; each goes a day after it was asked for"
        )));
    }
    caller.audit(Some(&site.id))?;
    let export = ExportRequest {
        id: Uuid::new_v4(),
        site: site.id.clone(),
        key: caller.key.id,
        feed,
        start_date: window.start_text,
        end_date: window.end_text,
        file_name: format!("{}.json", random_name().map_err(ControlError::from)?),
        status: ExportStatus::Pending,
        problem: String::new(),
        created_at: now,
        expires_at: UnixMillis(now.0.saturating_add(KEPT)),
    };
    control.write_export(&export, now).await?;
    shared.state.exports.0.notify_one();
    Ok(Json(Document::plain(resource(&export, &site, shared.base_url()))))
}

/// An export
///
/// For the key that asked for it.
#[utoipa::path(
    get, path = "/export-requests/{id}", tag = "leadfeeder", operation_id = "export",
    params(("id" = Uuid, Path, description = "The export's id")),
    responses((status = 200, description = "The export", body = Document<Resource<ExportAttributes>>), LegacyRefusals),
)]
pub(super) async fn one(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    FromPath(id): FromPath<String>,
) -> Result<Json<Document<Resource<ExportAttributes>>>, ReportError> {
    let missing = ReportError::NotFound("export request");
    let Ok(id) = Uuid::parse_str(&id) else { return Err(missing) };
    // Its address leads to a file of company data, so another key does not learn it.
    let export = shared.state.control.export(id, caller.now()).await?;
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
) -> Result<Response, ReportError> {
    let control = shared.state.control.clone();
    let now = (shared.state.clock)();
    let export = control.export_of_file(&name, now).await?;
    let export = export.filter(|export| export.status == ExportStatus::Processed);
    let export = export.ok_or(ReportError::NotFound("file; an export may still be pending or have expired"))?;
    // Nobody says who fetches it: the record names the key that asked for the file, which alone was told its address.
    let snapshot = shared.state.snapshot.load();
    let key = snapshot.keys.values().find(|key| key.id == export.key);
    let actor = (export.key, key.map_or("", |key| key.name.as_str()));
    let object = format!("export {}", export.id);
    let row = AuditRow::new(actor, Action::Read, "/download/{unique_filename}", Some(&export.site), &object, now);
    shared.state.audit.reserve()?.record(row);
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

/// What is in the file.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes what the worker writes in parts")]
struct ExportFile {
    data: Vec<Row>,
    /// Leads and places.
    included: Vec<serde_json::Value>,
}

#[derive(Debug, Serialize, ToSchema)]
struct RowAttributes {
    keywords: Vec<String>,
    quality: u8,
    stats: Stats,
}

#[derive(Debug, Serialize, ToSchema)]
struct Stats {
    bounces: u64,
    last_visit: String,
    pageviews: u64,
    visits: u64,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExportRow)]
struct Row {
    id: String,
    r#type: &'static str,
    attributes: RowAttributes,
    relationships: RowRelationships,
}

#[derive(Debug, Serialize, ToSchema)]
struct RowRelationships {
    lead: LeadLink,
}

#[derive(Debug, Serialize, ToSchema)]
struct LeadLink {
    data: LeadIdentifier,
}

#[derive(Debug, Serialize, ToSchema)]
struct LeadIdentifier {
    id: String,
    r#type: &'static str,
}

/// Why an export can't be made.
#[derive(Debug, thiserror::Error)]
enum ExportFailure {
    /// The store is away: it is tried again.
    #[error("{0}")]
    Later(String),
    /// It can't be made.
    #[error("{0}")]
    Never(String),
}

impl From<ReportError> for ExportFailure {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::StoreAway(error) => Self::Later(error.to_string()),
            other => Self::Never(other.to_string()),
        }
    }
}

impl From<ControlError> for ExportFailure {
    fn from(error: ControlError) -> Self {
        Self::from(ReportError::from(error))
    }
}

/// Makes the files of pending exports.
#[derive(Debug)]
pub struct ExportWorker {
    /// Companies.
    pub store: Store,
    /// Export requests and files.
    pub control: Control,
    /// Sites and feeds.
    pub snapshot: SharedSnapshot,
    /// Where links lead.
    pub base_url: String,
    /// What wakes it.
    pub queue: ExportQueue,
    /// The clock.
    pub clock: fn() -> UnixMillis,
}

impl ExportWorker {
    /// Works until it is told to stop. What is pending then is taken up by the next start.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                result = self.work() => if let Err(error) = result {
                    tracing::warn!(%error, "exports cannot be made now and are tried again");
                },
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.queue.0.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Makes every pending export.
    ///
    /// # Errors
    /// [`ControlError`] when the store is away.
    pub async fn work(&self) -> Result<(), ControlError> {
        let exports = self.control.exports((self.clock)()).await?;
        for mut export in exports.into_iter().filter(|export| export.status == ExportStatus::Pending) {
            let snapshot = self.snapshot.load_full();
            (export.status, export.problem) = match self.make(&export, &snapshot).await {
                Ok(()) => (ExportStatus::Processed, String::new()),
                Err(ExportFailure::Later(problem)) => {
                    tracing::warn!(export = %export.id, problem, "an export waits for the store");
                    continue;
                }
                Err(ExportFailure::Never(problem)) => {
                    tracing::warn!(export = %export.id, problem, "an export cannot be made");
                    (ExportStatus::Failed, problem)
                }
            };
            self.control.write_export(&export, (self.clock)()).await?;
        }
        Ok(())
    }

    async fn make(&self, export: &ExportRequest, snapshot: &Snapshot) -> Result<(), ExportFailure> {
        let site =
            snapshot.sites.get(&export.site).ok_or_else(|| ExportFailure::Never("the site is gone".to_owned()))?;
        let zone = zone(&site.timezone);
        let feed = custom_feeds::find(snapshot, &site.id, &export.feed)?;
        let dates = [("start_date", &export.start_date), ("end_date", &export.end_date)];
        let dates = form_urlencoded::Serializer::new(String::new()).extend_pairs(dates).finish();
        let window = Window::read(&Parameters::read(Some(&dates)), &zone)?;
        let selection = Selection::of(&site.id, &window, feed.filter.as_deref(), &zone);
        let mut offset = 0;
        // Clients join on a place's id: each comes once in the whole file.
        let mut seen: HashSet<String> = HashSet::new();
        for number in 0.. {
            let (visited, total) = selection.page(&self.store, PART, offset).await?;
            if total > MAX_LEADS {
                let problem = format!("{total} leads are more than the {MAX_LEADS} of one file: ask for fewer days");
                return Err(ExportFailure::Never(problem));
            }
            offset += visited.len() as u64;
            let is_last = visited.is_empty() || offset >= total;
            let stats = selection.stats(&self.store, &visited).await?;
            let leads = Leads::read(&self.store, &site.id, &visited).await?;
            let rows: Vec<Row> = leads.companies().map(|found| row(found, &stats, &zone)).collect();
            let companies: Vec<LeadResource> =
                leads.resources(site, &zone, self.base_url.trim_end_matches('/')).collect();
            let rows = list(&rows, number == 0)?;
            let mut places = included(leads.places());
            places.retain(|place| seen.insert(place.id.clone()));
            let places = list(&places, true)?;
            let companies = list(&companies, number == 0)?;
            let joint = if companies.is_empty() || places.is_empty() { "" } else { "," };
            let (before, after) =
                (if number == 0 { "{\"data\":[" } else { "" }, if is_last { "],\"included\":[" } else { "" });
            let end = if is_last { "]}" } else { "" };
            let now = (self.clock)();
            self.control.write_export_part(export, number, format!("{before}{rows}{after}"), now).await?;
            let second = format!("{companies}{joint}{places}{end}");
            self.control.write_export_part(export, FIRST_INCLUDED + number, second, now).await?;
            if is_last {
                break;
            }
        }
        Ok(())
    }
}

fn row(
    (visited, company): &(Visited, super::queries::Company),
    stats: &HashMap<u64, WindowStats>,
    zone: &jiff::tz::TimeZone,
) -> Row {
    let lead = CompanyId(company.company_id).to_string();
    let of_window = stats.get(&company.company_id);
    let last_visit = of_window.map_or(company.last_visit, |stats| stats.last_visit);
    Row {
        id: lead.clone(),
        r#type: "export_rows",
        attributes: RowAttributes {
            keywords: of_window.map(|stats| stats.keywords.clone()).unwrap_or_default(),
            quality: company.quality(*visited),
            stats: Stats {
                bounces: of_window.map_or(0, |stats| stats.bounces),
                last_visit: LocalTime::of(UnixMillis(last_visit), zone).date,
                pageviews: visited.pageviews,
                visits: visited.visits,
            },
        },
        relationships: RowRelationships { lead: LeadLink { data: LeadIdentifier { id: lead, r#type: "leads" } } },
    }
}

/// The items of a JSON list without its brackets; with a comma in front where others stand before them.
fn list<T: Serialize>(items: &[T], is_first: bool) -> Result<String, ExportFailure> {
    let text = serde_json::to_string(items).map_err(|error| ExportFailure::Never(error.to_string()))?;
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or_default();
    Ok(if is_first || inner.is_empty() { inner.to_owned() } else { format!(",{inner}") })
}
