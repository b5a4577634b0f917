//! Sites, made and changed through the API.

use super::{
    cursor,
    format::{List, Listing, Row},
    parameters::{Formats, Pages},
    refusals::{BodyRefusals, Refusals},
};
use crate::{
    admin::{
        Action, Shared,
        authentication::{Caller, recorded},
        problem::{Problem, ProblemDetails},
        wire::{
            FromPath, Parameters,
            body::{JsonBody, given},
        },
    },
    site::{ClientIdLife, ClientIdLifeError, ConsentMode, Site, SiteId},
    snapshot::Role,
};
use axum::{
    Extension, Json,
    extract::{RawQuery, State},
    http::StatusCode,
    response::Response,
};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{net::IpAddr, sync::Arc};
use utoipa::ToSchema;

/// What a site asks of a person before anything is stored or sent.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Consent {
    Required,
    Cookieless,
    NotRequired,
}

impl From<ConsentMode> for Consent {
    fn from(mode: ConsentMode) -> Self {
        match mode {
            ConsentMode::Required => Self::Required,
            ConsentMode::Cookieless => Self::Cookieless,
            ConsentMode::NotRequired => Self::NotRequired,
        }
    }
}

impl From<Consent> for ConsentMode {
    fn from(mode: Consent) -> Self {
        match mode {
            Consent::Required => Self::Required,
            Consent::Cookieless => Self::Cookieless,
            Consent::NotRequired => Self::NotRequired,
        }
    }
}

/// A tracked website.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Site)]
pub(super) struct SiteRow {
    #[schema(example = "shop")]
    id: String,
    /// For people.
    #[schema(example = "The shop")]
    name: String,
    /// Hosts of its pages, lower case, without port.
    #[schema(example = json!(["www.shop.example"]))]
    hosts: Vec<String>,
    /// IANA time zone in which its days are counted.
    #[schema(example = "Europe/Berlin")]
    timezone: String,
    consent: Consent,
    /// Whether `identify` events are accepted.
    identify: bool,
    /// The owner's own networks, whose visits are dropped.
    #[schema(example = json!(["192.0.2.0/24"]))]
    own_networks: Vec<String>,
    /// How long its visitors' ids are kept, in days, where the server's own setting is not shorter.
    #[schema(example = "400d")]
    client_id_life: String,
}

impl Row for SiteRow {
    const COLUMNS: &'static [&'static str] =
        &["id", "name", "hosts", "timezone", "consent", "identify", "own_networks", "client_id_life"];
}

impl From<&Site> for SiteRow {
    fn from(site: &Site) -> Self {
        Self {
            id: site.id.to_string(),
            name: site.name.clone(),
            hosts: site.hosts.clone(),
            timezone: site.timezone.clone(),
            consent: site.consent.into(),
            identify: site.identify,
            own_networks: site.own_networks.iter().map(ToString::to_string).collect(),
            client_id_life: site.client_id_life.to_string(),
        }
    }
}

/// A site to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSite {
    /// 1 to 64 characters of `A-Z a-z 0-9 _ -`; it can't be changed.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$", example = "shop")]
    id: String,
    /// For people, 1 to 100 characters.
    #[schema(example = "The shop", min_length = 1, max_length = 100)]
    name: String,
    /// Hosts of its pages, each exactly as in the address bar.
    #[schema(example = json!(["www.shop.example"]), min_items = 1, max_items = 1000)]
    hosts: Vec<String>,
    /// IANA time zone; `UTC` when absent.
    #[serde(default = "utc")]
    #[schema(example = "Europe/Berlin")]
    timezone: String,
    /// `required` when absent.
    #[serde(default = "required")]
    #[schema(inline, default = "required")]
    consent: Consent,
    #[serde(default)]
    identify: bool,
    /// Networks in CIDR form, or addresses.
    #[serde(default)]
    #[schema(example = json!(["192.0.2.0/24"]))]
    own_networks: Vec<String>,
    /// Whole days, `1d` to `400d`; `400d` when absent.
    #[serde(default = "longest_life")]
    #[schema(example = "90d")]
    client_id_life: String,
}

fn longest_life() -> String {
    ClientIdLife::LONGEST.to_string()
}

fn utc() -> String {
    "UTC".to_owned()
}

const fn required() -> Consent {
    Consent::Required
}

/// What of a site changes; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SiteChange {
    #[serde(default, deserialize_with = "given")]
    #[schema(example = "The new shop", min_length = 1, max_length = 100, nullable = false)]
    name: Option<String>,
    /// In place of the old ones.
    #[serde(default, deserialize_with = "given")]
    #[schema(min_items = 1, max_items = 1000, nullable = false)]
    hosts: Option<Vec<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, example = "Europe/Berlin")]
    timezone: Option<String>,
    #[serde(default)]
    consent: Option<Consent>,
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    identify: Option<bool>,
    /// In place of the old ones.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    own_networks: Option<Vec<String>>,
    /// Whole days, `1d` to `400d`.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, example = "90d")]
    client_id_life: Option<String>,
}

fn life(text: &str) -> Result<ClientIdLife, Problem> {
    text.parse().map_err(|error: ClientIdLifeError| Problem::Body {
        field: "client_id_life".to_owned(),
        detail: error.to_string(),
    })
}

fn networks(texts: &[String]) -> Result<Vec<IpNet>, Problem> {
    let read = |text: &String| text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok();
    texts.iter().map(read).collect::<Option<_>>().ok_or_else(|| Problem::Body {
        field: "own_networks".to_owned(),
        detail: "write networks such as 192.0.2.0/24, or addresses".to_owned(),
    })
}

/// Sites
///
/// Those that the key may see, by id.
#[utoipa::path(
    get, path = "/v1/sites", tag = "administration", operation_id = "list_sites",
    params(Pages, Formats),
    responses((status = 200, description = "Sites", body = List<SiteRow>), Refusals),
)]
pub(super) async fn list(
    Extension(caller): Extension<Caller>,
    listing: Listing,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let parameters = Parameters::read(query.as_deref());
    let limit = cursor::limit(&parameters)?;
    let after: Option<String> = cursor::read(&parameters)?;
    let sites = caller.accounts();
    let sites = sites.iter().filter(|site| after.as_deref().is_none_or(|after| site.id.as_str() > after));
    let (rows, next) =
        cursor::cut(sites.take(limit + 1).map(|site| SiteRow::from(&**site)).collect(), limit, |row| row.id.clone());
    Ok(listing.answer(rows, next))
}

/// One site
#[utoipa::path(
    get, path = "/v1/sites/{site}", tag = "administration", operation_id = "get_site",
    params(("site" = String, Path, description = "The site's id", example = "shop")),
    responses((status = 200, description = "The site", body = SiteRow), Refusals),
)]
pub(super) async fn one(
    Extension(caller): Extension<Caller>,
    FromPath(site): FromPath<String>,
) -> Result<Json<SiteRow>, Problem> {
    Ok(Json(SiteRow::from(&*caller.account(&site)?)))
}

/// Make a site
///
/// It is in force when this is answered. For admin keys of all sites.
#[utoipa::path(
    post, path = "/v1/sites", tag = "administration", operation_id = "create_site",
    request_body = NewSite,
    responses(
        (status = 201, description = "The site as it was stored", body = SiteRow),
        (status = 409, description = "The id is taken", body = ProblemDetails, content_type = "application/problem+json"),
        Refusals, BodyRefusals,
    ),
)]
pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    JsonBody(site): JsonBody<NewSite>,
) -> Result<(StatusCode, Json<SiteRow>), Problem> {
    caller.require_admin_of_all()?;
    let id: SiteId = site.id.parse().map_err(|error: crate::site::SiteIdError| Problem::Body {
        field: "id".to_owned(),
        detail: error.to_string(),
    })?;
    let own_networks = networks(&site.own_networks)?;
    let client_id_life = life(&site.client_id_life)?;
    let consent = site.consent.into();
    let NewSite { name, hosts, timezone, identify, .. } = site;
    let site = Site { id: id.clone(), name, hosts, timezone, consent, identify, own_networks, client_id_life };
    let change = caller.begin_change()?;
    let outcome = shared.services.control.add_site(site, caller.now()).await;
    let site = recorded(change, outcome, Action::Create, Some(&id), |_| id.to_string())?;
    Ok((StatusCode::CREATED, Json(SiteRow::from(&*site))))
}

/// Change a site
///
/// In force when this is answered. For admin keys.
#[utoipa::path(
    patch, path = "/v1/sites/{site}", tag = "administration", operation_id = "change_site",
    params(("site" = String, Path, description = "The site's id", example = "shop")),
    request_body = SiteChange,
    responses(
        (status = 200, description = "The site as it is now", body = SiteRow),
        Refusals, BodyRefusals,
    ),
)]
pub(super) async fn change(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    FromPath(site): FromPath<String>,
    JsonBody(new): JsonBody<SiteChange>,
) -> Result<Json<SiteRow>, Problem> {
    caller.require(Role::Admin)?;
    let site = caller.account(&site)?;
    let own_networks = new.own_networks.as_deref().map(networks).transpose()?;
    let client_id_life = new.client_id_life.as_deref().map(life).transpose()?;
    let id = site.id.clone();
    let mut site = Site::clone(&site);
    site.name = new.name.unwrap_or(site.name);
    site.hosts = new.hosts.unwrap_or(site.hosts);
    site.timezone = new.timezone.unwrap_or(site.timezone);
    site.consent = new.consent.map_or(site.consent, Into::into);
    site.identify = new.identify.unwrap_or(site.identify);
    site.own_networks = own_networks.unwrap_or(site.own_networks);
    site.client_id_life = client_id_life.unwrap_or(site.client_id_life);
    let change = caller.begin_change()?;
    let outcome = shared.services.control.set_site(site, caller.now()).await;
    let site = recorded(change, outcome, Action::Change, Some(&id), |_| id.to_string())?;
    Ok(Json(SiteRow::from(&*site)))
}

/// Remove a site
///
/// Its beacons are refused from now on; its visits stay stored. Keys that were limited to it are revoked. For admin keys of all sites.
#[utoipa::path(
    delete, path = "/v1/sites/{site}", tag = "administration", operation_id = "remove_site",
    params(("site" = String, Path, description = "The site's id")),
    responses((status = 204, description = "It is removed"), Refusals),
)]
pub(super) async fn remove(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    FromPath(site): FromPath<String>,
) -> Result<StatusCode, Problem> {
    caller.require_admin_of_all()?;
    let site = caller.account(&site)?;
    let change = caller.begin_change()?;
    let outcome = shared.services.control.remove_site(&site.id, caller.now()).await;
    recorded(change, outcome, Action::Remove, Some(&site.id), |_| site.id.to_string())?;
    Ok(StatusCode::NO_CONTENT)
}
