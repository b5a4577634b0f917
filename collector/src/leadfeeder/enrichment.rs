//! `GET /companies?ip=`: the company behind one address, in the shape of IP-Enrich.

use super::refusals::Refusals;
use crate::admin::{
    Shared,
    authentication::Caller,
    problem::Problem,
    wire::{
        Parameters,
        location::ResolvedLocation,
        parameters::{AddressParameter, address},
    },
};
use axum::{
    Extension, Json,
    extract::{RawQuery, State},
};
use firmsight_resolver::{Company, Location, Profile};
use serde::Serialize;
use std::{net::IpAddr, sync::Arc};
use utoipa::ToSchema;

/// Objects are there even when nothing in them is known: clients read `company.revenue.amount` without looking.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Enrichment {
    id: String,
    #[schema(value_type = String)]
    ip_address: IpAddr,
    confidence_score: String,
    company: EnrichedCompany,
    business_ids: [String; 0],
    location: ResolvedLocation,
}

#[derive(Debug, Serialize, ToSchema)]
struct EnrichedCompany {
    name: String,
    domain: Option<String>,
    logo_url: Option<String>,
    revenue: Revenue,
    employees_range: EmployeesRange,
    industries: Industries,
    social: Social,
    business_ids: [String; 0],
}

#[derive(Debug, Default, Serialize, ToSchema)]
struct Revenue {
    year: Option<u16>,
    amount: Option<u64>,
}

#[derive(Debug, Default, Serialize, ToSchema)]
struct EmployeesRange {
    min: Option<u32>,
    max: Option<u32>,
}

/// An object here, where leads have a list.
#[derive(Debug, Serialize, ToSchema)]
struct Industries {
    name: Option<String>,
    sic: [String; 0],
    naics: [String; 0],
}

#[derive(Debug, Default, Serialize, ToSchema)]
struct Social {
    twitter: Option<String>,
    facebook: Option<String>,
    linkedin: Option<String>,
}

fn enrichment(address: IpAddr, company: &Company, profile: Option<Profile>, location: &Location) -> Enrichment {
    let profile = profile.unwrap_or_default();
    let employees = profile.employees;
    let revenue = profile.revenue;
    let some = |text: String| (!text.is_empty()).then_some(text);
    Enrichment {
        id: company.id.to_string(),
        ip_address: address,
        confidence_score: format!("{:.2}", company.confidence.get()),
        company: EnrichedCompany {
            name: company.name.to_string(),
            domain: company.domain.as_deref().map(str::to_owned),
            logo_url: some(profile.logo),
            revenue: Revenue {
                year: revenue.as_ref().and_then(|revenue| u16::try_from(revenue.year?).ok()),
                amount: revenue.map(|revenue| revenue.amount),
            },
            employees_range: EmployeesRange {
                min: employees.map(|employees| employees.min),
                max: employees.and_then(|employees| employees.max),
            },
            industries: Industries {
                name: profile.industries.into_iter().next().or_else(|| company.industry.as_deref().map(str::to_owned)),
                sic: [],
                naics: [],
            },
            social: Social {
                twitter: some(profile.links.twitter),
                facebook: some(profile.links.facebook),
                linkedin: some(profile.links.linkedin),
            },
            business_ids: [],
        },
        business_ids: [],
        location: location.into(),
    }
}

/// Company behind an address
///
/// In the shape of IP-Enrich; 404 where there is no company. The address is neither stored nor logged.
#[utoipa::path(
    get, path = "/companies", tag = "leadfeeder", operation_id = "company_by_address",
    params(AddressParameter),
    responses((status = 200, description = "The company", body = Enrichment), Refusals),
)]
pub(super) async fn by_address(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Json<Enrichment>, Problem> {
    let (address, _) = address(&Parameters::read(query.as_deref()))?;
    caller.audit(None)?;
    let verdict = shared.services.resolver.verdict(address).await;
    let company = verdict.company.as_ref().ok_or(Problem::NotFound("company"))?;
    let profile = company.domain.as_deref().and_then(|domain| shared.services.resolver.profile(domain));
    Ok(Json(enrichment(address, company, profile, &verdict.location)))
}
