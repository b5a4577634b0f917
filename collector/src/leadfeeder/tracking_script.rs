//! `GET /accounts/{account}/website-tracking-script`: the tag that goes into the site's pages.

use super::{
    documents::{Document, Resource},
    refusals::Refusals,
};
use crate::admin::{Shared, authentication::Caller, problem::Problem, wire::FromPath};
use axum::{Extension, Json, extract::State};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ScriptAttributes {
    /// What tells the site apart in the tag.
    script_hash: String,
    script_html: String,
    timezone: String,
}

/// Website tracking script
///
/// The tag that goes into the site's pages.
#[utoipa::path(
    get, path = "/accounts/{account}/website-tracking-script", tag = "leadfeeder", operation_id = "website_tracking_script",
    params(
        ("account" = String, Path, description = "The site's id", example = "shop"),
    ),
    responses((status = 200, description = "The tag", body = Document<Resource<ScriptAttributes>>), Refusals),
)]
// Without a URL in the configuration the tag comes from the site's own first host, because the collector stands behind it. None of
// these has a character that HTML would read otherwise: they are checked when a site is made, and in the configuration.
pub(super) async fn one(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    FromPath(account): FromPath<String>,
) -> Result<Json<Document<Resource<ScriptAttributes>>>, Problem> {
    let site = caller.account(&account)?;
    let host = site.hosts.first().map(String::as_str).unwrap_or_default();
    // An IPv6 address is stored without brackets, no other host has a colon.
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let settings = &shared.services.settings;
    let base = settings.public_url.clone().unwrap_or_else(|| format!("https://{host}"));
    let path = &settings.script_path;
    let attributes = ScriptAttributes {
        script_hash: site.id.to_string(),
        script_html: format!(r#"<script async src="{base}{path}" data-site="{}"></script>"#, site.id),
        timezone: site.timezone.clone(),
    };
    let id = site.id.to_string();
    Ok(Json(Document::plain(Resource { id, kind: "website_tracking_scripts", attributes, relationships: None })))
}
