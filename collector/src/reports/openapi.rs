//! The OpenAPI 3.1 document: what the routes say of themselves, and what holds for all of them.
//!
//! Routes and descriptions come from the same lines of code (`utoipa-axum`), so none can be missing here. The document is
//! served at `/openapi.json` with the server's own address and checked in as docs/openapi.json.

use super::{Shared, router_and_document};
use axum::{Json, extract::State};
use std::sync::Arc;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        Server,
        security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};

/// What holds for all endpoints.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Firmsight reports API",
        description = "Which companies visit your websites. The paths outside of /v1 answer the requests of the Leadfeeder API.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    tags(
        (name = "leadfeeder", description = "The requests of the Leadfeeder API, as JSON:API documents"),
        (name = "reports", description = "Counts, from visits of companies"),
        (name = "companies", description = "Which company is behind an address, a domain or an e-mail address"),
        (name = "feeds", description = "Saved filters, and what people note about companies"),
        (name = "administration", description = "Sites, keys, users, usage and the audit log"),
    ),
    // What the derives don't find by themselves, because it stands inside a generic type or in a shared list of refusals.
    components(schemas(
        super::accounts::AccountAttributes,
        super::custom_feeds::FeedAttributes,
        super::documents::LocationAttributes,
        super::error::ErrorDocument,
        super::exports::ExportAttributes,
        super::leads::LeadAttributes,
        super::tracking_script::ScriptAttributes,
        super::visits::VisitAttributes,
    )),
    modifiers(&Keys),
)]
pub(super) struct Base;

/// How a key is presented.
struct Keys;

impl Modify for Keys {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
        let header = |name: &str, description: &str| {
            SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(name, description)))
        };
        components.add_security_scheme("x_api_key", header("X-Api-Key", "The key alone"));
        components.add_security_scheme("token", header("Authorization", "Token token=KEY"));
        let none: [String; 0] = [];
        document.security =
            Some(["bearer", "x_api_key", "token"].map(|name| SecurityRequirement::new(name, none.clone())).to_vec());
    }
}

/// The document as it is checked in: for the default address.
#[must_use]
pub fn document() -> utoipa::openapi::OpenApi {
    let (_, mut document) = router_and_document().split_for_parts();
    document.servers = Some(vec![Server::new("http://127.0.0.1:8081")]);
    document
}

/// `GET /openapi.json`: holds nothing secret and asks for no key, so that tools can read it.
pub(super) async fn show(State(shared): State<Arc<Shared>>) -> Json<utoipa::openapi::OpenApi> {
    let mut document = document();
    document.servers = Some(vec![Server::new(shared.base_url())]);
    Json(document)
}
