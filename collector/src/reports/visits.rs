//! Visits of an account, or of one of its leads.

use super::{
    Shared,
    asked::Asked,
    authentication::Caller,
    dates::LocalTime,
    documents::{Document, Place, Resource, included, known},
    error::ReportError,
    leads::company_id,
    parameters::FromPath,
    pseudonym::Pseudonyms,
    queries::{self, Visit},
    v1::parameters::{Dates, LegacyRefusals, PageParameters},
};
use crate::{site::Site, time::UnixMillis};
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

impl Visit {
    fn place(&self) -> Place<'_> {
        Place { country_code: &self.country_code, region: &self.region, city: &self.city }
    }

    fn route(&self) -> Vec<Step> {
        // The store keeps all route arrays at the same length; `zip` would cut a broken row short rather than fail.
        let pages = self.route_scheme.iter().zip(&self.route_host).zip(&self.route_path).zip(&self.route_query);
        let mut previous = ENTRANCE;
        let steps = pages.zip(&self.route_title).zip(&self.route_millis).enumerate();
        steps
            .map(|(index, (((((scheme, host), path), query), title), at))| {
                let question = if query.is_empty() { "" } else { "?" };
                let page_url = format!("{scheme}://{host}{path}{question}{query}");
                let step = Step {
                    hostname: host.clone(),
                    page_path: path.clone(),
                    previous_page_path: previous.to_owned(),
                    time_on_page: self.route_millis.get(index + 1).map_or(0, |next| (next - at).max(0) / 1000),
                    page_title: title.clone(),
                    display_page_name: page_url.clone(),
                    page_url,
                };
                previous = path;
                step
            })
            .collect()
    }

    fn resource(&self, site: &Site, zone: &TimeZone, pseudonyms: &Pseudonyms) -> VisitResource {
        let route = self.route();
        let started = LocalTime::of(UnixMillis(self.started_millis), zone);
        let or = |text: &str, fallback: &str| if text.is_empty() { fallback.to_owned() } else { text.to_owned() };
        let attributes = VisitAttributes {
            source: or(&self.source, "(direct)"),
            medium: or(&self.medium, "(none)"),
            campaign: known(&self.campaign),
            keyword: known(&self.term),
            query_term: known(&self.term).filter(|_| self.medium == "organic"),
            referring_url: known(&self.referrer),
            page_depth: route.len(),
            landing_page_path: route.first().map(|step| step.page_path.clone()).unwrap_or_default(),
            visit_length: route.iter().map(|step| step.time_on_page).sum(),
            visit_route: route,
            started_at: started.instant,
            date: started.date,
            hour: started.hour,
            lead_id: CompanyId(self.company_id).to_string(),
            lf_client_id: if self.has_client { pseudonyms.client_id(&site.id, self.visitor) } else { String::new() },
            ga_client_ids: [],
            adobe_cookies: [],
            visitor_email: known(&self.email),
            visitor_first_name: known(&self.first_name),
            visitor_last_name: known(&self.last_name),
            country_code: self.country_code.clone(),
            device_type: self.device.clone(),
        };
        let id = format!("{:016x}", self.visit_id);
        Resource { id, kind: "visits", attributes, relationships: Some(self.place().relationships()) }
    }
}

/// Visits
///
/// All companies' visits between the dates, oldest first.
#[utoipa::path(
    get, path = "/accounts/{account}/visits", tag = "leadfeeder", operation_id = "visits",
    params(
        ("account" = String, Path, description = "The site's id", example = "shop"),
        Dates, PageParameters,
    ),
    responses((status = 200, description = "Visits", body = Document<Vec<Resource<VisitAttributes>>>), LegacyRefusals),
)]
pub(super) async fn of_account(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    FromPath(account): FromPath<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Document<Vec<VisitResource>>>, ReportError> {
    let asked = Asked::read(&caller, &account, query.as_deref())?;
    list(&shared, &asked, None, "visits").await
}

/// Visits of a lead
///
/// One company's visits between the dates, oldest first.
#[utoipa::path(
    get, path = "/accounts/{account}/leads/{lead}/visits", tag = "leadfeeder", operation_id = "lead_visits",
    params(
        ("account" = String, Path, description = "The site's id", example = "shop"),
        ("lead" = String, Path, description = "The company's id, 16 hexadecimal digits", example = "0123456789abcdef"),
        Dates, PageParameters,
    ),
    responses((status = 200, description = "Visits", body = Document<Vec<Resource<VisitAttributes>>>), LegacyRefusals),
)]
pub(super) async fn of_lead(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    FromPath((account, lead)): FromPath<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Json<Document<Vec<VisitResource>>>, ReportError> {
    caller.account(&account)?;
    let company = company_id(&lead)?;
    let asked = Asked::read(&caller, &account, query.as_deref())?;
    list(&shared, &asked, Some(company), &format!("leads/{company}/visits")).await
}

async fn list(
    shared: &Shared,
    asked: &Asked,
    company: Option<CompanyId>,
    path: &str,
) -> Result<Json<Document<Vec<VisitResource>>>, ReportError> {
    let Asked { site, zone, window, page } = asked;
    let store = &shared.state.store;
    let (visits, total) = queries::visits(store, &site.id, company, window, page.size, page.offset()).await?;
    if total == 0
        && let Some(company) = company
    {
        let ids = [company.0];
        let (known, marks) =
            tokio::try_join!(queries::companies(store, &site.id, &ids), queries::marks(store, &site.id, &ids))?;
        if known.is_empty() || marks.values().any(|marks| marks.is_hidden) {
            return Err(ReportError::NotFound("lead"));
        }
    }
    Ok(Json(Document {
        data: visits.iter().map(|visit| visit.resource(site, zone, &shared.pseudonyms)).collect(),
        included: Some(included(visits.iter().map(Visit::place))),
        links: Some(asked.links(shared.base_url(), path, total)),
    }))
}
