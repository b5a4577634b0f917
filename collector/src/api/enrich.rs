//! The company that a domain or an e-mail address belongs to, and its profile.
//!
//! Of an e-mail address only the part after the @ is looked at. Mailboxes of private persons say nothing about a company:
//! they are told by a list of providers ([`FREE_MAIL`]) and, as access providers, by the resolver.

use super::{
    format::{List, Listing, Row},
    parameters::Formats,
    refusals::{BodyRefusals, Refusals},
    resolve::ResolvedCompany,
};
use crate::admin::{
    Shared,
    authentication::Caller,
    problem::Problem,
    wire::{Parameters, body::JsonBody},
};
use axum::{
    Extension, Json,
    extract::{RawQuery, State},
    response::Response,
};
use firmsight_resolver::Profile;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

const FREE_MAIL: &str = include_str!("free_mail_domains.txt");

/// Domains and addresses in one request.
const MAX_INPUTS: usize = 1_000;

/// What is known of a domain's owner.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Enriched {
    /// The domain or e-mail address as it was asked.
    #[schema(example = "erika@acme.example")]
    input: String,
    /// The registrable domain that was looked up.
    #[schema(example = "acme.example")]
    domain: String,
    /// Whether private persons have mailboxes there.
    is_free_mail: bool,
    /// The company; null where none is known or the domain is a provider's.
    company: Option<ResolvedCompany>,
    /// What the company data files tell of it; null where they don't know it.
    profile: Option<CompanyProfile>,
}

impl Row for Enriched {
    const COLUMNS: &'static [&'static str] = &["input", "domain", "is_free_mail", "company", "profile"];
}

/// What company data files tell of an organisation: texts are empty, the rest is null, where they don't say.
#[derive(Debug, Serialize, ToSchema)]
struct CompanyProfile {
    legal_name: String,
    description: String,
    /// In English, the most important first.
    industries: Vec<String>,
    employees_min: Option<u32>,
    /// Null where the range is open.
    employees_max: Option<u32>,
    /// In whole units of the currency.
    revenue_amount: Option<u64>,
    /// ISO 4217.
    #[schema(example = "EUR")]
    revenue_currency: String,
    revenue_year: Option<i16>,
    founded: Option<i16>,
    city: String,
    /// ISO 3166-1 alpha-2.
    country_code: String,
    phone: String,
    website_url: String,
    linkedin_url: String,
    twitter_url: String,
    facebook_url: String,
    logo_url: String,
    /// ISO 17442.
    legal_entity_identifier: String,
}

impl From<Profile> for CompanyProfile {
    fn from(profile: Profile) -> Self {
        let Profile { employees, revenue, address, links, .. } = profile;
        Self {
            legal_name: profile.legal_name,
            description: profile.description,
            industries: profile.industries,
            employees_min: employees.map(|employees| employees.min),
            employees_max: employees.and_then(|employees| employees.max),
            revenue_amount: revenue.as_ref().map(|revenue| revenue.amount),
            revenue_year: revenue.as_ref().and_then(|revenue| revenue.year),
            revenue_currency: revenue.map(|revenue| revenue.currency).unwrap_or_default(),
            founded: profile.founded,
            city: address.city,
            country_code: address.country_code,
            phone: profile.phone,
            website_url: links.website,
            linkedin_url: links.linkedin,
            twitter_url: links.twitter,
            facebook_url: links.facebook,
            logo_url: profile.logo,
            legal_entity_identifier: profile.legal_entity_identifier,
        }
    }
}

/// Of whom.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "describes what is read below")]
pub(super) struct EnrichParameters {
    /// A domain or host name. Give this or `email`.
    #[param(required = false, nullable = false, example = "www.acme.example")]
    domain: Option<String>,
    /// An e-mail address; only what follows the @ is looked at.
    #[param(required = false, nullable = false)]
    email: Option<String>,
}

/// The registrable domain of a host name, lower case, in the form DNS has it.
fn registrable(host: &str) -> Option<String> {
    let host = host.trim().trim_end_matches('.');
    let url::Host::Domain(host) = url::Host::parse(host).ok()? else { return None };
    if host.len() > 253 {
        return None;
    }
    psl::domain_str(&host).map(str::to_owned)
}

fn is_free_mail(domain: &str) -> bool {
    let label = domain.split('.').next().unwrap_or_default();
    let lines = FREE_MAIL.lines().filter(|line| !line.starts_with('#'));
    lines.into_iter().any(|line| if line.contains('.') { line == domain } else { line == label })
}

/// The registrable domain of a host name or an e-mail address.
fn domain_of(input: &str) -> Option<String> {
    match input.rsplit_once('@') {
        None => registrable(input),
        Some((local, host)) => registrable(host).filter(|_| !local.is_empty()),
    }
}

fn enriched(shared: &Shared, input: String, domain: String) -> Enriched {
    let resolver = &shared.services.resolver;
    let is_free_mail = is_free_mail(&domain);
    let company = if is_free_mail { None } else { resolver.verdict_on_name(&domain).company };
    let profile = company.as_ref().and_then(|_| resolver.profile(&domain)).map(CompanyProfile::from);
    Enriched { input, domain, is_free_mail, company: company.as_ref().map(ResolvedCompany::of), profile }
}

/// The company of a domain
///
/// By a domain, a host name or an e-mail address. Free-mail domains are answered without a company.
#[utoipa::path(
    get, path = "/v1/enrich", tag = "companies", operation_id = "enrich",
    params(EnrichParameters),
    responses((status = 200, description = "What is known", body = Enriched), Refusals),
)]
pub(super) async fn one(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Json<Enriched>, Problem> {
    let parameters = Parameters::read(query.as_deref());
    let wrong = |name: &'static str, detail: &str| Problem::Parameter { name, detail: detail.to_owned() };
    let (input, domain) = match (parameters.optional("domain")?, parameters.optional("email")?) {
        (Some(domain), None) => (
            domain,
            registrable(domain).ok_or_else(|| wrong("domain", "domain must be a name such as www.example.com"))?,
        ),
        (None, Some(email)) => {
            let domain = Some(email).filter(|email| email.contains('@')).and_then(domain_of);
            (email, domain.ok_or_else(|| wrong("email", "email must be an e-mail address"))?)
        }
        _ => return Err(wrong("domain", "give either domain or email")),
    };
    caller.audit(None)?;
    Ok(Json(enriched(&shared, input.to_owned(), domain)))
}

/// Domains and e-mail addresses to look up.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Inputs {
    /// Domains, host names and e-mail addresses, at most 1,000; of an address only what follows the @ is looked at.
    #[schema(min_items = 1, max_items = 1000, example = json!(["www.acme.example", "erika@acme.example"]))]
    inputs: Vec<String>,
}

/// The companies of many domains
///
/// In the order of the inputs. One wrong input refuses the request, and the answer names it.
#[utoipa::path(
    post, path = "/v1/enrich", tag = "companies", operation_id = "enrich_many",
    params(Formats),
    request_body = Inputs,
    responses((status = 200, description = "What is known", body = List<Enriched>), Refusals, BodyRefusals),
)]
pub(super) async fn many(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    listing: Listing,
    JsonBody(asked): JsonBody<Inputs>,
) -> Result<Response, Problem> {
    if !(1..=MAX_INPUTS).contains(&asked.inputs.len()) {
        let detail = format!("inputs must hold 1 to {MAX_INPUTS} domains or e-mail addresses");
        return Err(Problem::Body { field: "inputs".to_owned(), detail });
    }
    let read = |(index, input): (usize, String)| match domain_of(&input) {
        Some(domain) => Ok((input, domain)),
        None => Err(Problem::Body {
            field: format!("inputs[{index}]"),
            detail: "this is neither a domain nor an e-mail address".to_owned(),
        }),
    };
    let asked = asked.inputs.into_iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
    caller.audit(None)?;
    let rows = asked.into_iter().map(|(input, domain)| enriched(&shared, input, domain));
    Ok(listing.answer(rows.collect(), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_become_registrable_domains() {
        for (host, expected) in [
            ("www.shop.example.co.uk", Some("example.co.uk")),
            ("EXAMPLE.com.", Some("example.com")),
            ("bücher.example", Some("xn--bcher-kva.example")),
            ("192.0.2.1", None),
            ("localhost", None),
            ("co.uk", None),
            ("", None),
            ("a b.example", None),
            ("example.com/path", None),
        ] {
            assert_eq!(registrable(host).as_deref(), expected, "{host}");
        }
    }

    #[test]
    fn free_mail_is_told_by_domain_or_by_name_under_any_suffix() {
        for domain in ["gmail.com", "yahoo.co.jp", "gmx.at", "web.de", "proton.me"] {
            assert!(is_free_mail(domain), "{domain}");
        }
        for domain in ["example.com", "webb.de", "mygmail.com", "de", ""] {
            assert!(!is_free_mail(domain), "{domain}");
        }
    }
}
