//! The requests of the Leadfeeder API, as JSON:API documents.
//!
//! Existing clients of that product work against it with only the base URL changed; docs/reports-api.md describes it for its
//! users. Each file is one resource: it reads the request, asks `reports`, and shapes `documents`.
//!
//! The only thing here that runs by itself is [`ExportWorker`], which makes the files that `exports` were asked for.

#![allow(unused_qualifications, reason = "utoipa's macros write paths in full")]

mod accounts;
mod asked;
mod custom_feeds;
mod documents;
mod enrichment;
mod export_worker;
mod exports;
#[doc(hidden)]
pub mod fuzzing;
mod leads;
mod paging;
mod pseudonym;
mod refusals;
mod tracking_script;
mod visits;
mod walks;

pub use export_worker::ExportWorker;

use crate::admin::{Routes, Shared};
use axum::Extension;
use std::sync::Arc;
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

/// What the derives don't find by themselves: it stands in a shared list of refusals.
#[derive(OpenApi)]
#[openapi(
    tags((name = "leadfeeder", description = "The requests of the Leadfeeder API, as JSON:API documents")),
    components(schemas(refusals::ErrorDocument)),
)]
struct Description;

/// Every endpoint, with its description.
pub(crate) fn routes() -> Routes {
    let authenticated: OpenApiRouter<Arc<Shared>> = OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(accounts::list))
        .routes(routes!(accounts::one))
        .routes(routes!(leads::list))
        .routes(routes!(leads::one))
        .routes(routes!(visits::of_lead))
        .routes(routes!(visits::of_account))
        .routes(routes!(custom_feeds::list))
        .routes(routes!(custom_feeds::one))
        .routes(routes!(custom_feeds::leads_of))
        .routes(routes!(tracking_script::one))
        .routes(routes!(exports::create))
        .routes(routes!(exports::one))
        .routes(routes!(enrichment::by_address))
        .layer(Extension(Arc::new(walks::Walks::default())));
    let open = OpenApiRouter::new().routes(routes!(exports::download));
    Routes { authenticated, open, problems: refusals::FORM }
}
