//! The audit log, for admins.

use super::{
    cursor,
    format::{List, Listing, Row},
    parameters::{Formats, Pages},
    refusals::Refusals,
    text::instant,
};
use crate::{
    admin::{
        Shared,
        audit::records::{self, AuditFilter},
        authentication::Caller,
        problem::Problem,
        wire::{Parameters, dates::Dates},
    },
    snapshot::Role,
};
use axum::{
    Extension,
    extract::{RawQuery, State},
    response::Response,
};
use jiff::tz::TimeZone;
use serde::Serialize;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// What was done, by whom.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditRecord)]
pub(super) struct AuditRecord {
    #[schema(format = DateTime)]
    at: String,
    id: Uuid,
    /// The key's id; all zeros for the command line.
    key: Uuid,
    /// The key's name then.
    #[schema(example = "reports")]
    key_name: String,
    /// `read`, `create`, `change` or `remove`.
    #[schema(example = "read")]
    action: String,
    /// The path's pattern, or the command.
    #[schema(example = "/accounts/{account}/leads")]
    endpoint: String,
    /// The site; empty where it is no single one.
    #[schema(example = "shop")]
    site: String,
    /// What was changed, such as a key's id.
    object: String,
}

impl Row for AuditRecord {
    const COLUMNS: &'static [&'static str] = &["at", "id", "key", "key_name", "action", "endpoint", "site", "object"];
}

/// What was done.
#[derive(Clone, Copy, Debug, ToSchema)]
#[schema(rename_all = "lowercase")]
#[allow(dead_code, reason = "describes what is read below")]
pub(super) enum ActionName {
    Read,
    Create,
    Change,
    Remove,
}

/// Which records.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "describes what is read below")]
pub(super) struct AuditParameters {
    /// One site's id.
    #[param(required = false, nullable = false)]
    site: Option<String>,
    /// One key's id.
    #[param(required = false, nullable = false)]
    key: Option<Uuid>,
    /// One kind of action.
    #[param(inline, required = false, nullable = false)]
    action: Option<ActionName>,
}

/// The audit log
///
/// Every read of company data and every change, latest first; dates are UTC. A key of some sites sees the records of these.
/// For admin keys.
#[utoipa::path(
    get, path = "/v1/audit", tag = "administration", operation_id = "audit_log",
    params(Dates, AuditParameters, Pages, Formats),
    responses((status = 200, description = "Records", body = List<AuditRecord>), Refusals),
)]
pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    listing: Listing,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    caller.require(Role::Admin)?;
    let parameters = Parameters::read(query.as_deref());
    let window = Dates::read(&parameters)?.window(&TimeZone::UTC)?;
    let wrong = |name: &'static str, detail: &str| Problem::Parameter { name, detail: detail.to_owned() };
    let action = match parameters.optional("action")? {
        None => None,
        Some("read") => Some("read"),
        Some("create") => Some("create"),
        Some("change") => Some("change"),
        Some("remove") => Some("remove"),
        Some(_) => return Err(wrong("action", "action must be read, create, change or remove")),
    };
    let key = match parameters.optional("key")? {
        None => None,
        Some(text) => Some(Uuid::parse_str(text).map_err(|_| wrong("key", "key must be a key's id"))?),
    };
    let asked = parameters.optional("site")?;
    let sites = match (&caller.key.sites, asked) {
        (None, None) => Vec::new(),
        // A site that was removed still has its records.
        (None, Some(site)) => vec![site.to_owned()],
        (Some(_), Some(site)) => vec![caller.account(site)?.id.to_string()],
        (Some(own), None) if own.is_empty() => return Ok(listing.answer(Vec::<AuditRecord>::new(), None)),
        (Some(own), None) => own.iter().map(ToString::to_string).collect(),
    };
    let limit = cursor::limit(&parameters)?;
    let before = cursor::read(&parameters)?;
    let filter = AuditFilter { from: window.from.0, until: window.until.0, sites, key, action, before };
    let more = u64::try_from(limit + 1).unwrap_or(u64::MAX);
    let rows = records::matching(&shared.services.store, &filter, more).await?;
    let (rows, next) = cursor::cut(rows, limit, |row| (row.at.0, row.id));
    let records = rows.into_iter().map(|row| AuditRecord {
        at: instant(row.at),
        id: row.id,
        key: row.actor,
        key_name: row.actor_name,
        action: row.action,
        endpoint: row.endpoint,
        site: row.site,
        object: row.object,
    });
    Ok(listing.answer(records.collect(), next))
}
