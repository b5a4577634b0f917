//! Leads: the companies that visited an account.

use super::{
    asked::Asked,
    custom_feeds,
    documents::{Document, Place, Resource, included, known},
    paging::PageParameters,
    refusals::Refusals,
    walks::Walks,
};
use crate::{
    admin::{
        Shared,
        authentication::Caller,
        problem::Problem,
        wire::{FromPath, Parameters, dates::Dates},
    },
    feed::Filter,
    reports::{
        companies::{self, Company, CompanyWithVisits},
        dates::{LocalTime, zone},
        selection::Selection,
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
    employees_range: EmployeesRange,
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
    /// Null where nobody knows; clients read it without looking.
    min: Option<u32>,
    /// Null where the range is open or nobody knows.
    max: Option<u32>,
}

/// Where a company is.
pub(super) fn place(company: &Company) -> Place<'_> {
    Place { country_code: &company.country_code, region: &company.region, city: &company.city }
}

/// A company as a lead.
pub(super) fn resource(found: &CompanyWithVisits, site: &Site, zone: &TimeZone, base_url: &str) -> LeadResource {
    let CompanyWithVisits { company, visited, marks } = found;
    let id = CompanyId(company.company_id).to_string();
    let date = |millis| LocalTime::of(UnixMillis(millis), zone).date;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let website = if company.domain.is_empty() { String::new() } else { format!("https://{}", company.domain) };
    let exactly = company.employees_min.filter(|_| company.employees_min == company.employees_max);
    let attributes = LeadAttributes {
        name: company.name.clone(),
        industry: if company.industry.is_empty() { "N/A".to_owned() } else { company.industry.clone() },
        industries: known(&company.industry).map(|name| Industry { name }).into_iter().collect(),
        first_visit_date: date(company.first_visit),
        last_visit_date: date(company.last_visit),
        status: "new",
        website_url: company.website_url.clone().unwrap_or(website),
        phone: text(&company.phone),
        linkedin_url: text(&company.linkedin_url),
        twitter_handle: company.twitter_url.as_deref().map(handle).unwrap_or_default().to_owned(),
        facebook_url: text(&company.facebook_url),
        logo_url: text(&company.logo_url),
        employee_count: exactly.unwrap_or_default(),
        employees_range: EmployeesRange { min: company.employees_min, max: company.employees_max },
        crm_lead_id: "",
        crm_organization_id: "",
        tags: marks.tags.clone(),
        assignee: marks.assignee.clone(),
        business_id: text(&company.legal_entity_identifier),
        revenue: revenue(company),
        emailed_to: "",
        view_in_leadfeeder: format!("{base_url}/sites/{}/companies/{id}", site.id),
        visits: visited.visits,
        quality: found.quality(),
    };
    Resource { id, kind: "leads", attributes, relationships: Some(place(company).relationships()) }
}

/// Amount and currency, such as `1200000 EUR`.
fn revenue(company: &Company) -> String {
    let amount = company.revenue_amount.map(|amount| amount.to_string()).unwrap_or_default();
    match company.revenue_currency.as_deref() {
        Some(currency) if !amount.is_empty() => format!("{amount} {currency}"),
        _ => amount,
    }
}

/// The account's name in a link to it.
fn handle(url: &str) -> &str {
    url.trim_end_matches('/').rsplit('/').next().unwrap_or_default().trim_start_matches('@')
}

/// The company that a lead id names. The store writes 0 for "no company", which is no lead.
pub(super) fn company_id(lead: &str) -> Result<CompanyId, Problem> {
    CompanyId::parse(lead).filter(|company| company.0 != 0).ok_or(Problem::NotFound("lead"))
}

/// Leads
///
/// Companies that visited between the dates, by their first visit in them, newest first; at most 10,000.
#[utoipa::path(
    get, path = "/accounts/{account}/leads", tag = "leadfeeder", operation_id = "leads",
    params(
        ("account" = String, Path, description = "The site's id", example = "shop"),
        ("custom_feed_id" = Option<String>, Query, description = "The leads of this feed alone", example = "all_leads"),
        Dates, PageParameters,
    ),
    responses((status = 200, description = "Leads", body = Document<Vec<Resource<LeadAttributes>>>), Refusals),
)]
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Extension(walks): Extension<Arc<Walks>>,
    FromPath(account): FromPath<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Document<Vec<LeadResource>>>, Problem> {
    let parameters = Parameters::read(query.as_deref());
    if let Some(feed) = parameters.optional("custom_feed_id")? {
        return of_feed(&shared, &caller, &walks, (&account, feed), query.as_deref()).await;
    }
    let asked = Asked::read(&caller, &account, "leads", query.as_deref())?;
    selected(&shared, &walks, &asked, None).await
}

/// A page of the leads of an account's feed; its links lead to the feed's own list.
pub(super) async fn of_feed(
    shared: &Shared,
    caller: &Caller,
    walks: &Walks,
    (account, feed): (&str, &str),
    query: Option<&str>,
) -> Result<Json<Document<Vec<LeadResource>>>, Problem> {
    let site = caller.account(account)?;
    let feed = custom_feeds::find(&caller.snapshot, &site.id, feed)?;
    let asked = Asked::read(caller, account, &format!("custom-feeds/{}/leads", feed.id), query)?;
    selected(shared, walks, &asked, feed.filter.as_deref()).await
}

/// A page of the leads that fit a filter.
async fn selected(
    shared: &Shared,
    walks: &Walks,
    asked: &Asked,
    filter: Option<&Filter>,
) -> Result<Json<Document<Vec<LeadResource>>>, Problem> {
    let Asked { site, zone, window, .. } = asked;
    let store = &shared.services.store;
    let selection = Selection::of(&site.id, window, filter, zone);
    let newest = asked.newest(walks, MAX_LEADS);
    let (visited, total) = selection.newest(store, newest).await?;
    asked.remember(walks, newest, total);
    let found = companies::of_selection(store, &site.id, &visited).await?;
    let base_url = shared.base_url();
    Ok(Json(Document {
        data: found.iter().map(|company| resource(company, site, zone, base_url)).collect(),
        included: Some(included(found.iter().map(|found| place(&found.company)))),
        links: Some(asked.links(base_url, total.min(MAX_LEADS))),
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
    responses((status = 200, description = "The lead", body = Document<Resource<LeadAttributes>>), Refusals),
)]
pub(super) async fn one(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    FromPath((account, lead)): FromPath<(String, String)>,
) -> Result<Json<Document<LeadResource>>, Problem> {
    let site = caller.account(&account)?;
    let company = company_id(&lead)?;
    caller.audit(Some(&site.id))?;
    let found = companies::one(&shared.services.store, &site.id, company).await?;
    let found = found.ok_or(Problem::NotFound("lead"))?;
    let data = resource(&found, &site, &zone(&site.timezone), shared.base_url());
    Ok(Json(Document { data, included: Some(included(std::iter::once(place(&found.company)))), links: None }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_the_last_part_of_the_accounts_address() {
        for (url, expected) in
            [("https://x.com/acme", "acme"), ("https://twitter.com/@acme/", "acme"), ("acme", "acme"), ("", "")]
        {
            assert_eq!(handle(url), expected, "{url}");
        }
    }
}
