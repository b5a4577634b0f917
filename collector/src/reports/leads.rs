//! Leads: the companies that visited an account.

use super::{
    Shared,
    asked::Asked,
    authentication::Caller,
    dates::{LocalTime, zone},
    documents::{Document, Place, Resource, included, known},
    error::ReportError,
    parameters::FromPath,
    queries::{self, Company, Marks, Visited},
    selection::Selection,
    v1::parameters::{Dates, LegacyRefusals, PageParameters},
};
use crate::{
    feed::Filter,
    site::{Site, SiteId},
    store::Store,
    time::UnixMillis,
};
use axum::{
    Extension, Json,
    extract::{RawQuery, State},
};
use firmsight_resolver::CompanyId;
use jiff::tz::TimeZone;
use serde::Serialize;
use std::{collections::HashMap, sync::Arc};
use utoipa::ToSchema;

/// A list of leads ends here, as in the product whose clients we serve; narrower dates reach the rest.
const MAX_LEADS: u64 = 10_000;

pub(super) type LeadResource = Resource<LeadAttributes>;

/// What nobody knows is `""`, `0`, `[]` or null, by what existing clients decode the attribute into.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LeadAttributes {
    name: String,
    industry: String,
    industries: Vec<Industry>,
    first_visit_date: String,
    last_visit_date: String,
    status: &'static str,
    website_url: String,
    phone: String,
    linkedin_url: String,
    twitter_handle: String,
    facebook_url: String,
    logo_url: String,
    employee_count: u32,
    employees_range: Option<EmployeesRange>,
    crm_lead_id: &'static str,
    crm_organization_id: &'static str,
    tags: Vec<String>,
    assignee: String,
    business_id: String,
    revenue: String,
    emailed_to: &'static str,
    view_in_leadfeeder: String,
    visits: u64,
    quality: u8,
}

#[derive(Debug, Serialize, ToSchema)]
struct Industry {
    name: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct EmployeesRange {
    min: u32,
    /// Null where the range is open.
    max: Option<u32>,
}

/// One point each from 1, 2, 4, 8 and 16 page views: [`super::formulas::ENGAGEMENT`] for a number in hand.
pub(super) fn engagement(pageviews: u64) -> u8 {
    pageviews.checked_ilog2().map_or(0, |log| log.min(4) as u8 + 1)
}

impl Company {
    pub(super) fn place(&self) -> Place<'_> {
        Place { country_code: &self.country_code, region: &self.region, city: &self.city }
    }

    /// All its visits.
    const fn visited(&self) -> Visited {
        Visited { company_id: self.company_id, visits: self.visits, pageviews: self.pageviews }
    }

    pub(super) fn quality(&self, visited: Visited) -> u8 {
        engagement(visited.pageviews) + self.completeness
    }

    pub(super) fn resource(
        &self,
        visited: Visited,
        marks: Option<&Marks>,
        site: &Site,
        zone: &TimeZone,
        base_url: &str,
    ) -> LeadResource {
        let id = CompanyId(self.company_id).to_string();
        let date = |millis| LocalTime::of(UnixMillis(millis), zone).date;
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let website = if self.domain.is_empty() { String::new() } else { format!("https://{}", self.domain) };
        let exactly = self.employees_min.filter(|_| self.employees_min == self.employees_max);
        let attributes = LeadAttributes {
            name: self.name.clone(),
            industry: if self.industry.is_empty() { "N/A".to_owned() } else { self.industry.clone() },
            industries: known(&self.industry).map(|name| Industry { name }).into_iter().collect(),
            first_visit_date: date(self.first_visit),
            last_visit_date: date(self.last_visit),
            status: "new",
            website_url: self.website_url.clone().unwrap_or(website),
            phone: text(&self.phone),
            linkedin_url: text(&self.linkedin_url),
            twitter_handle: self.twitter_url.as_deref().map(handle).unwrap_or_default().to_owned(),
            facebook_url: text(&self.facebook_url),
            logo_url: text(&self.logo_url),
            employee_count: exactly.unwrap_or_default(),
            employees_range: self.employees_min.map(|min| EmployeesRange { min, max: self.employees_max }),
            crm_lead_id: "",
            crm_organization_id: "",
            tags: marks.map(|marks| marks.tags.clone()).unwrap_or_default(),
            assignee: marks.map(|marks| marks.assignee.clone()).unwrap_or_default(),
            business_id: text(&self.legal_entity_identifier),
            revenue: self.revenue(),
            emailed_to: "",
            view_in_leadfeeder: format!("{base_url}/accounts/{}/leads/{id}", site.id),
            visits: visited.visits,
            quality: self.quality(visited),
        };
        Resource { id, kind: "leads", attributes, relationships: Some(self.place().relationships()) }
    }

    /// Amount and currency, such as `1200000 EUR`.
    fn revenue(&self) -> String {
        let amount = self.revenue_amount.map(|amount| amount.to_string()).unwrap_or_default();
        match self.revenue_currency.as_deref() {
            Some(currency) if !amount.is_empty() => format!("{amount} {currency}"),
            _ => amount,
        }
    }
}

/// The account's name in a link to it.
fn handle(url: &str) -> &str {
    url.trim_end_matches('/').rsplit('/').next().unwrap_or_default().trim_start_matches('@')
}

/// The company that a lead id names. The store writes 0 for "no company", which is no lead.
pub(super) fn company_id(lead: &str) -> Result<CompanyId, ReportError> {
    CompanyId::parse(lead).filter(|company| company.0 != 0).ok_or(ReportError::NotFound("lead"))
}

/// The companies of a selection, as leads with everything that lists show of them.
pub(super) struct Leads {
    found: Vec<(Visited, Company)>,
    marks: HashMap<u64, Marks>,
}

impl Leads {
    /// Reads what is known of these companies.
    pub(super) async fn read(store: &Store, site: &SiteId, visited: &[Visited]) -> Result<Self, ReportError> {
        let ids: Vec<u64> = visited.iter().map(|company| company.company_id).collect();
        let (companies, marks) =
            tokio::try_join!(queries::companies(store, site, &ids), queries::marks(store, site, &ids))?;
        let mut companies: HashMap<u64, Company> =
            companies.into_iter().map(|found| (found.company_id, found)).collect();
        // Absent is only what a pipeline is writing at this moment: the day is stored, the company not yet.
        let found = visited.iter().filter_map(|visited| Some((*visited, companies.remove(&visited.company_id)?)));
        Ok(Self { found: found.collect(), marks })
    }

    pub(super) fn companies(&self) -> impl Iterator<Item = &(Visited, Company)> {
        self.found.iter()
    }

    pub(super) fn resources<'a>(
        &'a self,
        site: &'a Site,
        zone: &'a TimeZone,
        base_url: &'a str,
    ) -> impl Iterator<Item = LeadResource> + 'a {
        self.found.iter().map(move |(visited, company)| {
            company.resource(*visited, self.marks.get(&company.company_id), site, zone, base_url)
        })
    }

    pub(super) fn places(&self) -> impl Iterator<Item = Place<'_>> {
        self.found.iter().map(|(_, company)| company.place())
    }
}

/// Leads
///
/// Companies that visited between the dates, by their first visit in them; at most 10,000.
#[utoipa::path(
    get, path = "/accounts/{account}/leads", tag = "leadfeeder", operation_id = "leads",
    params(
        ("account" = String, Path, description = "The site's id", example = "shop"),
        Dates, PageParameters,
    ),
    responses((status = 200, description = "Leads", body = Document<Vec<Resource<LeadAttributes>>>), LegacyRefusals),
)]
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    FromPath(account): FromPath<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Document<Vec<LeadResource>>>, ReportError> {
    let asked = Asked::read(&caller, &account, query.as_deref())?;
    selected(&shared, &asked, None, "leads").await
}

/// A page of the leads that fit a filter, as the list at this path below the account.
pub(super) async fn selected(
    shared: &Shared,
    asked: &Asked,
    filter: Option<&Filter>,
    path: &str,
) -> Result<Json<Document<Vec<LeadResource>>>, ReportError> {
    let Asked { site, zone, window, page } = asked;
    let store = &shared.state.store;
    let selection = Selection::of(&site.id, window, filter, zone);
    let (visited, total) = selection.page(store, page.limit_under(MAX_LEADS), page.offset()).await?;
    let leads = Leads::read(store, &site.id, &visited).await?;
    let base_url = shared.base_url();
    Ok(Json(Document {
        data: leads.resources(site, zone, base_url).collect(),
        included: Some(included(leads.places())),
        links: Some(asked.links(base_url, path, total.min(MAX_LEADS))),
    }))
}

/// One lead
///
/// A company, its numbers over all time.
#[utoipa::path(
    get, path = "/accounts/{account}/leads/{lead}", tag = "leadfeeder", operation_id = "lead",
    params(
        ("account" = String, Path, description = "The site's id", example = "shop"),
        ("lead" = String, Path, description = "The company's id, 16 hexadecimal digits", example = "0123456789abcdef"),
    ),
    responses((status = 200, description = "The lead", body = Document<Resource<LeadAttributes>>), LegacyRefusals),
)]
pub(super) async fn one(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    FromPath((account, lead)): FromPath<(String, String)>,
) -> Result<Json<Document<LeadResource>>, ReportError> {
    let site = caller.account(&account)?;
    let company = company_id(&lead)?;
    caller.audit(Some(&site.id))?;
    let store = &shared.state.store;
    let ids = [company.0];
    let (found, marks) =
        tokio::try_join!(queries::companies(store, &site.id, &ids), queries::marks(store, &site.id, &ids))?;
    let marks = marks.get(&company.0);
    let company = found.first().filter(|_| marks.is_none_or(|marks| !marks.is_hidden));
    let company = company.ok_or(ReportError::NotFound("lead"))?;
    let data = company.resource(company.visited(), marks, &site, &zone(&site.timezone), shared.base_url());
    Ok(Json(Document { data, included: Some(included([company.place()].into_iter())), links: None }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engagement_grows_with_each_doubling_of_page_views() {
        for (pageviews, expected) in
            [(0, 0), (1, 1), (2, 2), (3, 2), (4, 3), (7, 3), (8, 4), (15, 4), (16, 5), (u64::MAX, 5)]
        {
            assert_eq!(engagement(pageviews), expected, "{pageviews} page views");
        }
    }

    #[test]
    fn a_handle_is_the_last_part_of_the_accounts_address() {
        for (url, expected) in
            [("https://x.com/acme", "acme"), ("https://twitter.com/@acme/", "acme"), ("acme", "acme"), ("", "")]
        {
            assert_eq!(handle(url), expected, "{url}");
        }
    }
}
