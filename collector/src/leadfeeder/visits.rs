//! Visits of an account, or of one of its leads.

use super::{
    asked::Asked,
    documents::{Document, Place, Resource, included, known},
    leads::company_id,
    paging::PageParameters,
    pseudonym::Pseudonyms,
    refusals::Refusals,
    walks::Walks,
};
use crate::{
    admin::{
        Shared,
        authentication::Caller,
        problem::Problem,
        wire::{FromPath, dates::Dates},
    },
    reports::{
        companies,
        dates::LocalTime,
        visits::{self, PageView, Visit},
    },
    site::Site,
    time::UnixMillis,
};
use axum::{
    Extension, Json,
    extract::{RawQuery, State},
};
use firmsight_resolver::CompanyId;
use jiff::tz::TimeZone;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// What stands for the page before the first one.
const ENTRANCE: &str = "(entrance)";

type VisitResource = Resource<VisitAttributes>;

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VisitAttributes {
    source: String,
    medium: String,
    campaign: Option<String>,
    keyword: Option<String>,
    query_term: Option<String>,
    referring_url: Option<String>,
    page_depth: usize,
    landing_page_path: String,
    visit_route: Vec<Step>,
    visit_length: i64,
    started_at: String,
    date: String,
    hour: i8,
    lead_id: String,
    lf_client_id: String,
    ga_client_ids: [String; 0],
    adobe_cookies: [String; 0],
    visitor_email: Option<String>,
    visitor_first_name: Option<String>,
    visitor_last_name: Option<String>,
    country_code: String,
    device_type: String,
}

/// One page of a visit.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
struct Step {
    hostname: String,
    page_path: String,
    previous_page_path: String,
    /// Whole seconds to the visit's next page view; 0 on the last.
    time_on_page: i64,
    page_title: String,
    page_url: String,
    display_page_name: String,
}

fn place(visit: &Visit) -> Place<'_> {
    Place { country_code: &visit.country_code, region: &visit.region, city: &visit.city }
}

fn steps(visit: &Visit) -> Vec<Step> {
    let route: Vec<PageView<'_>> = visit.route().collect();
    let before = std::iter::once(ENTRANCE).chain(route.iter().map(|page| page.path));
    let step = |(page, before): (&PageView<'_>, &str)| Step {
        hostname: page.host.to_owned(),
        page_path: page.path.to_owned(),
        previous_page_path: before.to_owned(),
        time_on_page: page.seconds,
        page_title: page.title.to_owned(),
        page_url: page.url(),
        display_page_name: page.url(),
    };
    route.iter().zip(before).map(step).collect()
}

fn resource(visit: &Visit, site: &Site, zone: &TimeZone, pseudonyms: &Pseudonyms) -> VisitResource {
    let route = steps(visit);
    let started = LocalTime::of(UnixMillis(visit.started_millis), zone);
    let or = |text: &str, fallback: &str| if text.is_empty() { fallback.to_owned() } else { text.to_owned() };
    let attributes = VisitAttributes {
        source: or(&visit.source, "(direct)"),
        medium: or(&visit.medium, "(none)"),
        campaign: known(&visit.campaign),
        keyword: known(&visit.term),
        query_term: known(&visit.term).filter(|_| visit.medium == "organic"),
        referring_url: known(&visit.referrer),
        page_depth: route.len(),
        landing_page_path: route.first().map(|step| step.page_path.clone()).unwrap_or_default(),
        visit_length: route.iter().map(|step| step.time_on_page).sum(),
        visit_route: route,
        started_at: started.instant,
        date: started.date,
        hour: started.hour,
        lead_id: CompanyId(visit.company_id).to_string(),
        lf_client_id: if visit.has_client { pseudonyms.client_id(&site.id, visit.visitor) } else { String::new() },
        ga_client_ids: [],
        adobe_cookies: [],
        visitor_email: known(&visit.email),
        visitor_first_name: known(&visit.first_name),
        visitor_last_name: known(&visit.last_name),
        country_code: visit.country_code.clone(),
        device_type: visit.device.clone(),
    };
    let id = format!("{:016x}", visit.visit_id);
    Resource { id, kind: "visits", attributes, relationships: Some(place(visit).relationships()) }
}

/// Visits
///
/// All companies' visits between the dates, newest first.
#[utoipa::path(
    get, path = "/accounts/{account}/visits", tag = "leadfeeder", operation_id = "visits",
    params(
        ("account" = String, Path, description = "The site's id", example = "shop"),
        Dates, PageParameters,
    ),
    responses((status = 200, description = "Visits", body = Document<Vec<Resource<VisitAttributes>>>), Refusals),
)]
pub(super) async fn of_account(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Extension(walks): Extension<Arc<Walks>>,
    FromPath(account): FromPath<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Document<Vec<VisitResource>>>, Problem> {
    let asked = Asked::read(&caller, &account, "visits", query.as_deref())?;
    list(&shared, &walks, &asked, None).await
}

/// Visits of a lead
///
/// One company's visits between the dates, newest first.
#[utoipa::path(
    get, path = "/accounts/{account}/leads/{lead}/visits", tag = "leadfeeder", operation_id = "lead_visits",
    params(
        ("account" = String, Path, description = "The site's id", example = "shop"),
        ("lead" = String, Path, description = "The company's id, 16 hexadecimal digits", example = "0123456789abcdef"),
        Dates, PageParameters,
    ),
    responses((status = 200, description = "Visits", body = Document<Vec<Resource<VisitAttributes>>>), Refusals),
)]
pub(super) async fn of_lead(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Extension(walks): Extension<Arc<Walks>>,
    FromPath((account, lead)): FromPath<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Json<Document<Vec<VisitResource>>>, Problem> {
    caller.account(&account)?;
    let company = company_id(&lead)?;
    let asked = Asked::read(&caller, &account, &format!("leads/{company}/visits"), query.as_deref())?;
    list(&shared, &walks, &asked, Some(company)).await
}

async fn list(
    shared: &Shared,
    walks: &Walks,
    asked: &Asked,
    company: Option<CompanyId>,
) -> Result<Json<Document<Vec<VisitResource>>>, Problem> {
    let Asked { site, zone, window, .. } = asked;
    let store = &shared.services.store;
    let newest = asked.newest(walks, u64::MAX);
    let (visits, total) = visits::newest(store, &site.id, company, window, newest).await?;
    asked.remember(walks, newest, total);
    if total == 0
        && let Some(company) = company
    {
        companies::one(store, &site.id, company).await?.ok_or(Problem::NotFound("lead"))?;
    }
    let pseudonyms = Pseudonyms::new(&shared.services.settings.pseudonym_key);
    Ok(Json(Document {
        data: visits.iter().map(|visit| resource(visit, site, zone, &pseudonyms)).collect(),
        included: Some(included(visits.iter().map(place))),
        links: Some(asked.links(shared.base_url(), total)),
    }))
}
