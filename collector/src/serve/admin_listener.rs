//! The admin listener as it is served: what every request passes through, and the siblings that answer.

use crate::{
    admin::{self, AdminServices, Routes},
    api, leadfeeder,
};

/// Who answers on the admin listener. A new sibling is a line here.
fn siblings() -> Vec<Routes> {
    vec![leadfeeder::routes(), api::routes()]
}

/// The listener as a router that any axum program can nest or serve.
pub fn router(services: AdminServices) -> axum::Router {
    admin::router(services, siblings())
}

/// The OpenAPI document as it is checked in: for the default address.
#[must_use]
pub fn openapi_document() -> utoipa::openapi::OpenApi {
    admin::openapi::document(&siblings())
}
