//! Accounts: the sites that a key may see.

use super::{
    authentication::Caller,
    documents::{Document, Resource},
    error::ReportError,
    parameters::FromPath,
};
use crate::site::Site;
use axum::{Extension, Json};
use serde::Serialize;

#[derive(Debug, Serialize)]
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
            website_tracking_status: "active",
        },
        relationships: None,
    }
}

/// `GET /accounts`
pub(super) async fn list(Extension(caller): Extension<Caller>) -> Json<Document<Vec<Resource<AccountAttributes>>>> {
    Json(Document::plain(caller.accounts().iter().map(|site| resource(site)).collect()))
}

/// `GET /accounts/{account}`
pub(super) async fn one(
    Extension(caller): Extension<Caller>,
    FromPath(account): FromPath<String>,
) -> Result<Json<Document<Resource<AccountAttributes>>>, ReportError> {
    Ok(Json(Document::plain(resource(&*caller.account(&account)?))))
}
