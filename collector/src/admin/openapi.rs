//! The OpenAPI 3.1 document: what the routes say of themselves, and what holds for all of them.
//!
//! Routes and descriptions come from the same lines of code (`utoipa-axum`), so none can be missing here. The document is
//! served at `/openapi.json` with the server's own address and checked in as docs/openapi.json.

use super::{Routes, Shared};
use crate::feed::MAX_TEXTS;
use axum::{
    Json,
    extract::State,
    routing::{MethodRouter, get},
};
use std::sync::Arc;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        Content, KnownFormat, RefOr, SchemaFormat, Server,
        schema::{AdditionalProperties, Schema},
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
    modifiers(&Keys),
)]
struct Base;

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

/// Alternatives that are told apart by the name of their one member, as serde writes enums: none has a second member. The
/// derive leaves that out, and a document that left it open would describe bodies that are refused.
fn close_alternatives(document: &mut utoipa::openapi::OpenApi) {
    let schemas = document.components.iter_mut().flat_map(|components| components.schemas.values_mut());
    for schema in schemas {
        let RefOr::T(Schema::OneOf(alternatives)) = schema else { continue };
        for alternative in &mut alternatives.items {
            if let RefOr::T(Schema::Object(object)) = alternative
                && object.properties.len() == 1
            {
                object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
            }
        }
    }
}

/// Numbers of 32 bits without a sign: `int32`, as the derive calls them, ends half-way.
fn widen_numbers(document: &mut utoipa::openapi::OpenApi) {
    let schemas = document.components.iter_mut().flat_map(|components| components.schemas.values_mut());
    let objects = schemas.filter_map(|schema| match schema {
        RefOr::T(Schema::Object(object)) => Some(object),
        _ => None,
    });
    for property in objects.flat_map(|object| object.properties.values_mut()) {
        if let RefOr::T(Schema::Object(number)) = property
            && number.format == Some(SchemaFormat::KnownFormat(KnownFormat::Int32))
            && number.minimum.is_some()
        {
            number.format = None;
            number.maximum.get_or_insert(u32::MAX.into());
        }
    }
}

/// Lists are answered in each format that their parameter `format` names.
fn name_formats(document: &mut utoipa::openapi::OpenApi) {
    for path in document.paths.paths.values_mut() {
        for operation in [&mut path.get, &mut path.post].into_iter().flatten() {
            let parameters = operation.parameters.iter().flatten();
            let format = parameters.filter_map(|parameter| match parameter {
                RefOr::T(parameter) if parameter.name == "format" => parameter.schema.as_ref(),
                _ => None,
            });
            let names: Vec<_> = format.filter_map(values_of).flatten().cloned().collect();
            let Some(RefOr::T(response)) = operation.responses.responses.get_mut("200") else { continue };
            for (name, media_type) in [("csv", "text/csv"), ("ndjson", "application/x-ndjson")] {
                if names.iter().any(|value| value == name) {
                    response.content.insert(media_type.to_owned(), RefOr::T(Content::default()));
                }
            }
        }
    }
}

fn values_of(schema: &RefOr<Schema>) -> Option<&Vec<serde_json::Value>> {
    match schema {
        RefOr::T(Schema::Object(object)) => object.enum_values.as_ref(),
        _ => None,
    }
}

/// The bounds of a text condition, which stand on a variant, where the derive takes none.
fn bound_texts(document: &mut utoipa::openapi::OpenApi) {
    let schema = document.components.as_mut().and_then(|components| components.schemas.get_mut("TextMatch"));
    let Some(RefOr::T(Schema::OneOf(alternatives))) = schema else { return };
    for alternative in &mut alternatives.items {
        let RefOr::T(Schema::Object(object)) = alternative else { continue };
        for texts in object.properties.values_mut() {
            if let RefOr::T(Schema::Array(texts)) = texts {
                (texts.min_items, texts.max_items) = (Some(1), Some(MAX_TEXTS));
            }
        }
    }
}

/// The document of a listener with these siblings, at the default address.
pub(crate) fn document(siblings: &[Routes]) -> utoipa::openapi::OpenApi {
    let mut document = Base::openapi();
    for sibling in siblings {
        document.merge(sibling.authenticated.get_openapi().clone());
        document.merge(sibling.open.get_openapi().clone());
    }
    close_alternatives(&mut document);
    bound_texts(&mut document);
    widen_numbers(&mut document);
    name_formats(&mut document);
    document.servers = Some(vec![Server::new("http://127.0.0.1:8081")]);
    document
}

/// `GET /openapi.json`: holds nothing secret and asks for no key, so that tools can read it.
pub(super) fn route(document: utoipa::openapi::OpenApi) -> MethodRouter<Arc<Shared>> {
    get(move |State(shared): State<Arc<Shared>>| async move {
        let mut document = document;
        document.servers = Some(vec![Server::new(shared.base_url())]);
        Json(document)
    })
}
