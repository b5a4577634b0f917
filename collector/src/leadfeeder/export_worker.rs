//! Makes the files of exports: what [`super::exports`] wrote down, in parts of a bounded size.

use super::{
    custom_feeds,
    documents::included,
    leads::{self, LeadResource},
};
use crate::{
    control::{Control, ControlError, ExportRequest, ExportStatus},
    reports::{
        self,
        companies::{self, CompanyWithVisits},
        dates::{LocalTime, WindowError, parse_whole_days, zone},
        selection::{Selection, WindowStats},
    },
    snapshot::{SharedSnapshot, Snapshot},
    store::Store,
    time::UnixMillis,
};
use firmsight_resolver::CompanyId;
use serde::Serialize;
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

/// Most leads in a file.
const MAX_LEADS: u64 = 100_000;
/// Leads in one part.
const PART: u64 = 500;
/// Parts from this number on hold `included`.
const FIRST_INCLUDED: u32 = 1_000_000;
/// How often the worker looks for what other collectors left.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What is in the file.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes what the worker writes in parts")]
pub(super) struct ExportFile {
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

impl From<reports::Error> for ExportFailure {
    fn from(error: reports::Error) -> Self {
        match error {
            reports::Error::Store(error) if error.is_retryable() => Self::Later(error.to_string()),
            other => Self::Never(other.to_string()),
        }
    }
}

impl From<ControlError> for ExportFailure {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::Store(error) if error.is_retryable() => Self::Later(error.to_string()),
            other => Self::Never(other.to_string()),
        }
    }
}

impl From<WindowError> for ExportFailure {
    fn from(error: WindowError) -> Self {
        Self::Never(error.to_string())
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
    /// The clock.
    pub clock: fn() -> UnixMillis,
}

impl ExportWorker {
    /// Works until it is told to stop. What is pending then is taken up by the next start.
    pub async fn run(&self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                result = self.work() => if let Err(error) = result {
                    tracing::warn!(%error, "exports cannot be made now and are tried again");
                },
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.control.export_was_asked_for() => {}
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
        let feed = custom_feeds::find(snapshot, &site.id, &export.feed)
            .map_err(|problem| ExportFailure::Never(problem.to_string()))?;
        let window = parse_whole_days(&export.start_date, &export.end_date, &zone)?;
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
            let found = companies::of_selection(&self.store, &site.id, &visited).await?;
            let rows: Vec<Row> = found.iter().map(|found| row(found, &stats, &zone)).collect();
            let base_url = self.base_url.trim_end_matches('/');
            let companies: Vec<LeadResource> =
                found.iter().map(|found| leads::resource(found, site, &zone, base_url)).collect();
            let rows = list(&rows, number == 0)?;
            let mut places = included(found.iter().map(|found| leads::place(&found.company)));
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

fn row(found: &CompanyWithVisits, stats: &HashMap<u64, WindowStats>, zone: &jiff::tz::TimeZone) -> Row {
    let CompanyWithVisits { company, visited, .. } = found;
    let lead = CompanyId(company.company_id).to_string();
    let of_window = stats.get(&company.company_id);
    let last_visit = of_window.map_or(company.last_visit, |stats| stats.last_visit);
    Row {
        id: lead.clone(),
        r#type: "export_rows",
        attributes: RowAttributes {
            keywords: of_window.map(|stats| stats.keywords.clone()).unwrap_or_default(),
            quality: found.quality(),
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
