//! Leads: the companies that visited an account.

use super::{
    Shared,
    authentication::Caller,
    dates::{LocalTime, Window, zone},
    documents::{Document, Place, Resource, included, known},
    error::ReportError,
    paging::{Links, Page},
    parameters::{FromPath, Parameters},
    queries::{self, Company, Visited},
};
use crate::{site::Site, time::UnixMillis};
use axum::{
    Extension, Json,
    extract::{RawQuery, State},
};
use firmsight_resolver::CompanyId;
use jiff::tz::TimeZone;
use serde::Serialize;
use std::{collections::HashMap, sync::Arc};

/// A list of leads ends here, as in the product whose clients we serve; narrower dates reach the rest.
const MAX_LEADS: u64 = 10_000;

type LeadResource = Resource<LeadAttributes>;

/// What nobody knows is `""`, `0`, `[]` or null, by what existing clients decode the attribute into.
#[derive(Debug, Serialize)]
pub(super) struct LeadAttributes {
    name: String,
    industry: String,
    industries: Vec<Industry>,
    first_visit_date: String,
    last_visit_date: String,
    status: &'static str,
    website_url: String,
    phone: &'static str,
    linkedin_url: &'static str,
    twitter_handle: &'static str,
    facebook_url: &'static str,
    logo_url: &'static str,
    employee_count: u32,
    employees_range: Option<EmployeesRange>,
    crm_lead_id: &'static str,
    crm_organization_id: &'static str,
    tags: [String; 0],
    assignee: &'static str,
    business_id: &'static str,
    revenue: &'static str,
    emailed_to: &'static str,
    view_in_leadfeeder: String,
    visits: u64,
    quality: u8,
}

#[derive(Debug, Serialize)]
struct Industry {
    name: String,
}

#[derive(Debug, Serialize)]
struct EmployeesRange {
    min: u32,
    max: u32,
}

/// 0 to 10. One half is engagement: 1 for one page view, 2 from 2, 3 from 4, 4 from 8, 5 from 16. The other half is
/// completeness: 1 each for name, domain, industry, country, city.
fn quality(company: &Company, pageviews: u64) -> u8 {
    let engagement = pageviews.checked_ilog2().map_or(0, |log| log.min(4) as u8 + 1);
    let facts = [&company.name, &company.domain, &company.industry, &company.country_code, &company.city];
    let completeness = facts.into_iter().filter(|fact| !fact.is_empty()).count() as u8;
    engagement + completeness
}

impl Company {
    fn place(&self) -> Place<'_> {
        Place { country_code: &self.country_code, region: &self.region, city: &self.city }
    }

    /// All its visits.
    const fn visited(&self) -> Visited {
        Visited { company_id: self.company_id, visits: self.visits, pageviews: self.pageviews }
    }

    fn resource(&self, visited: Visited, site: &Site, zone: &TimeZone, base_url: &str) -> LeadResource {
        let id = CompanyId(self.company_id).to_string();
        let date = |millis| LocalTime::of(UnixMillis(millis), zone).date;
        let attributes = LeadAttributes {
            name: self.name.clone(),
            industry: if self.industry.is_empty() { "N/A".to_owned() } else { self.industry.clone() },
            industries: known(&self.industry).map(|name| Industry { name }).into_iter().collect(),
            first_visit_date: date(self.first_visit),
            last_visit_date: date(self.last_visit),
            status: "new",
            website_url: if self.domain.is_empty() { String::new() } else { format!("https://{}", self.domain) },
            phone: "",
            linkedin_url: "",
            twitter_handle: "",
            facebook_url: "",
            logo_url: "",
            employee_count: 0,
            employees_range: None,
            crm_lead_id: "",
            crm_organization_id: "",
            tags: [],
            assignee: "",
            business_id: "",
            revenue: "",
            emailed_to: "",
            view_in_leadfeeder: format!("{base_url}/accounts/{}/leads/{id}", site.id),
            visits: visited.visits,
            quality: quality(self, visited.pageviews),
        };
        Resource { id, kind: "leads", attributes, relationships: Some(self.place().relationships()) }
    }
}

/// The company that a lead id names. The store writes 0 for "no company", which is no lead.
pub(super) fn company_id(lead: &str) -> Result<CompanyId, ReportError> {
    CompanyId::parse(lead).filter(|company| company.0 != 0).ok_or(ReportError::NotFound("lead"))
}

/// `GET /accounts/{account}/leads`
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    FromPath(account): FromPath<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Document<Vec<LeadResource>>>, ReportError> {
    let site = caller.account(&account)?;
    let zone = zone(&site.timezone);
    let parameters = Parameters::read(query.as_deref());
    let window = Window::read(&parameters, &zone)?;
    let page = Page::read(&parameters)?;
    caller.audit(Some(&site.id));

    let store = &shared.state.store;
    let limit = page.limit_under(MAX_LEADS);
    let (visited, total) = tokio::try_join!(
        queries::visited(store, &site.id, &window, limit, page.offset()),
        queries::count_visited(store, &site.id, &window),
    )?;
    let ids: Vec<u64> = visited.iter().map(|company| company.company_id).collect();
    let companies = queries::companies(store, &site.id, &ids).await?;
    let companies: HashMap<u64, Company> = companies.into_iter().map(|found| (found.company_id, found)).collect();
    // Absent is only what a pipeline is writing at this moment: the visit is stored, the day not yet.
    let leads: Vec<(Visited, &Company)> =
        visited.iter().filter_map(|visited| Some((*visited, companies.get(&visited.company_id)?))).collect();

    let base_url = shared.base_url();
    let data = leads.iter().map(|(visited, company)| company.resource(*visited, &site, &zone, base_url));
    let address = format!("{base_url}/accounts/{}/leads", site.id);
    Ok(Json(Document {
        data: data.collect(),
        included: Some(included(leads.iter().map(|(_, company)| company.place()))),
        links: Some(Links::of(&address, &window, page, total.min(MAX_LEADS))),
    }))
}

/// `GET /accounts/{account}/leads/{lead}`: numbers over all time, since no window is asked for.
pub(super) async fn one(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    FromPath((account, lead)): FromPath<(String, String)>,
) -> Result<Json<Document<LeadResource>>, ReportError> {
    let site = caller.account(&account)?;
    let company = company_id(&lead)?;
    caller.audit(Some(&site.id));
    let found = queries::companies(&shared.state.store, &site.id, &[company.0]).await?;
    let company = found.first().ok_or(ReportError::NotFound("lead"))?;
    let data = company.resource(company.visited(), &site, &zone(&site.timezone), shared.base_url());
    Ok(Json(Document { data, included: Some(included([company.place()].into_iter())), links: None }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quality_is_half_engagement_and_half_completeness() {
        let company = |facts: [&str; 5]| Company {
            company_id: 1,
            name: facts[0].to_owned(),
            domain: facts[1].to_owned(),
            industry: facts[2].to_owned(),
            country_code: facts[3].to_owned(),
            region: String::new(),
            city: facts[4].to_owned(),
            visits: 0,
            pageviews: 0,
            first_visit: 0,
            last_visit: 0,
        };
        let engagement = [(0, 0), (1, 1), (2, 2), (3, 2), (4, 3), (7, 3), (8, 4), (15, 4), (16, 5), (u64::MAX, 5)];
        for (pageviews, expected) in engagement {
            assert_eq!(quality(&company([""; 5]), pageviews), expected, "{pageviews} page views");
        }
        assert_eq!(quality(&company(["Acme", "acme.example", "", "DE", ""]), 1), 4);
        assert_eq!(quality(&company(["Acme", "acme.example", "Retail", "DE", "Köln"]), 99), 10);
    }
}
