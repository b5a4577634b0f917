//! Accounts: the sites that a key may see.

use super::{
    documents::{Document, Resource},
    refusals::Refusals,
};
use crate::{
    admin::{authentication::Caller, problem::Problem, wire::FromPath},
    site::Site,
};
use axum::{Extension, Json};
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AccountAttributes {
    name: String,
    subscription: &'static str,
    timezone: String,
    on_trial: bool,
    subscription_addons: [String; 0],
    website_tracking_status: &'static str,
}

fn resource(site: &Site) -> Resource<AccountAttributes> {
    Resource {
        id: site.id.to_string(),
        kind: "accounts",
        attributes: AccountAttributes {
            name: site.name.clone(),
            subscription: "self-hosted",
            timezone: site.timezone.clone(),
            on_trial: false,
            subscription_addons: [],
            website_tracking_status: "ok",
        },
        relationships: None,
    }
}

/// Accounts
///
/// The sites that the key may see, by id.
#[utoipa::path(
    get, path = "/accounts", tag = "leadfeeder", operation_id = "accounts",
    responses((status = 200, description = "Accounts", body = Document<Vec<Resource<AccountAttributes>>>), Refusals),
)]
pub(super) async fn list(Extension(caller): Extension<Caller>) -> Json<Document<Vec<Resource<AccountAttributes>>>> {
    Json(Document::plain(caller.accounts().iter().map(|site| resource(site)).collect()))
}

/// One account
///
/// A site that the key may see.
#[utoipa::path(
    get, path = "/accounts/{account}", tag = "leadfeeder", operation_id = "account",
    params(
        ("account" = String, Path, description = "The site's id", example = "shop"),
    ),
    responses((status = 200, description = "The account", body = Document<Resource<AccountAttributes>>), Refusals),
)]
pub(super) async fn one(
    Extension(caller): Extension<Caller>,
    FromPath(account): FromPath<String>,
) -> Result<Json<Document<Resource<AccountAttributes>>>, Problem> {
    Ok(Json(Document::plain(resource(&*caller.account(&account)?))))
}
