//! Which company is behind an address, with the evidence.
//!
//! Addresses come in, are judged in memory and leave with the answer; they are neither stored nor logged.

use super::{
    format::{List, Listing, Row},
    parameters::Formats,
    refusals::{BodyRefusals, Refusals},
};
use crate::admin::{
    Shared,
    authentication::Caller,
    problem::Problem,
    wire::{
        Parameters,
        body::JsonBody,
        location::ResolvedLocation,
        parameters::{AddressParameter, address},
    },
};
use axum::{
    Extension, Json,
    extract::{RawQuery, State},
    response::Response,
};
use firmsight_resolver::{NameAnswer, Verdict};
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use std::{net::IpAddr, sync::Arc};
use utoipa::ToSchema;

/// Addresses in one request.
const MAX_ADDRESSES: usize = 1_000;
/// Of which so many are looked up at the same time.
const AT_ONCE: usize = 64;

/// What is known of an address, as `firmsight resolve --json` writes it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Resolved {
    /// As it was asked.
    #[schema(example = "198.51.100.7")]
    input: String,
    #[schema(value_type = String, example = "198.51.100.7")]
    ip: IpAddr,
    /// The kind of network: residential, mobile, business, hosting, education, government, gateway, anonymizer, crawler,
    /// reserved or unknown.
    #[schema(example = "business")]
    kind: String,
    /// The organisation behind the address, never its access provider; null where none is known.
    company: Option<ResolvedCompany>,
    location: ResolvedLocation,
    /// Who announces the address.
    asn: Option<ResolvedAsn>,
    /// Its reverse DNS name.
    ptr: Option<String>,
    /// What became of the question for it: not-asked, none, confirmed, unconfirmed, failed or skipped.
    #[schema(example = "confirmed")]
    ptr_state: String,
    /// Whether no later signal can overturn this.
    is_final: bool,
    /// Everything that was weighed, strongest first.
    evidence: Vec<ResolvedEvidence>,
}

impl Row for Resolved {
    const COLUMNS: &'static [&'static str] =
        &["input", "ip", "kind", "company", "location", "asn", "ptr", "ptr_state", "is_final", "evidence"];
}

/// An organisation.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ResolvedCompany {
    /// Stable: 16 hexadecimal digits, the id of the lead.
    #[schema(example = "0123456789abcdef")]
    id: String,
    #[schema(example = "Acme GmbH")]
    name: String,
    /// Registrable domain.
    #[schema(example = "acme.example")]
    domain: Option<String>,
    /// In the words of the data set.
    industry: Option<String>,
    /// The signal that decided.
    #[schema(example = "asn")]
    source: String,
    /// 0 to 1.
    #[schema(minimum = 0, maximum = 1)]
    confidence: f32,
}

/// An autonomous system.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ResolvedAsn {
    number: u32,
    name: String,
    domain: String,
}

/// One statement that spoke for or against.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ResolvedEvidence {
    /// The signal.
    source: String,
    statement: String,
    /// The kind of network it speaks for.
    kind: Option<String>,
    /// Log-odds; positive speaks for `kind`.
    weight: f32,
}

/// The stable word of one of the resolver's enums.
fn word(value: impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

impl ResolvedCompany {
    pub(super) fn of(company: &firmsight_resolver::Company) -> Self {
        Self {
            id: company.id.to_string(),
            name: company.name.to_string(),
            domain: company.domain.as_deref().map(str::to_owned),
            industry: company.industry.as_deref().map(str::to_owned),
            source: word(company.source),
            confidence: company.confidence.get(),
        }
    }
}

impl Resolved {
    fn of(input: String, ip: IpAddr, verdict: &Verdict) -> Self {
        let (ptr, state) = match &verdict.ptr {
            NameAnswer::NotAsked => (None, "not-asked"),
            NameAnswer::None => (None, "none"),
            NameAnswer::Confirmed(name) => (Some(name.to_string()), "confirmed"),
            NameAnswer::Unconfirmed(name) => (Some(name.to_string()), "unconfirmed"),
            NameAnswer::Failed => (None, "failed"),
            NameAnswer::Skipped => (None, "skipped"),
        };
        let evidence = verdict.evidence.strongest_first().into_iter().map(|evidence| ResolvedEvidence {
            source: word(evidence.source),
            statement: evidence.statement.to_string(),
            kind: evidence.kind.map(|kind| kind.to_string()),
            weight: evidence.weight,
        });
        Self {
            input,
            ip,
            kind: verdict.kind.to_string(),
            company: verdict.company.as_ref().map(ResolvedCompany::of),
            location: (&*verdict.location).into(),
            asn: verdict.asn.as_ref().map(|asn| ResolvedAsn {
                number: asn.number,
                name: asn.name.clone(),
                domain: asn.domain.clone(),
            }),
            ptr,
            ptr_state: state.to_owned(),
            is_final: verdict.is_final,
            evidence: evidence.collect(),
        }
    }
}

/// The company behind an address
///
/// With everything that was weighed. The address is neither stored nor logged.
#[utoipa::path(
    get, path = "/v1/resolve", tag = "companies", operation_id = "resolve",
    params(AddressParameter),
    responses((status = 200, description = "What is known", body = Resolved), Refusals),
)]
pub(super) async fn one(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Json<Resolved>, Problem> {
    let parameters = Parameters::read(query.as_deref());
    let (ip, input) = address(&parameters)?;
    caller.audit(None)?;
    Ok(Json(Resolved::of(input.to_owned(), ip, &*shared.services.resolver.verdict(ip).await)))
}

/// Addresses to resolve.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Addresses {
    /// IPv4 or IPv6, at most 1,000.
    #[schema(min_items = 1, max_items = 1000, example = json!(["198.51.100.7"]))]
    ips: Vec<String>,
}

/// The companies behind many addresses
///
/// In the order of the addresses. One wrong address refuses the request, and the answer names it.
#[utoipa::path(
    post, path = "/v1/resolve", tag = "companies", operation_id = "resolve_many",
    params(Formats),
    request_body = Addresses,
    responses(
        (status = 200, description = "What is known", body = List<Resolved>),
        Refusals, BodyRefusals,
    ),
)]
pub(super) async fn many(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    listing: Listing,
    JsonBody(addresses): JsonBody<Addresses>,
) -> Result<Response, Problem> {
    if !(1..=MAX_ADDRESSES).contains(&addresses.ips.len()) {
        let detail = format!("ips must hold 1 to {MAX_ADDRESSES} addresses");
        return Err(Problem::Body { field: "ips".to_owned(), detail });
    }
    let read = |(index, text): (usize, String)| match text.parse::<IpAddr>() {
        Ok(ip) => Ok((text, ip)),
        Err(_) => {
            Err(Problem::Body { field: format!("ips[{index}]"), detail: "this is no IPv4 or IPv6 address".to_owned() })
        }
    };
    let addresses = addresses.ips.into_iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
    caller.audit(None)?;
    let resolver = &shared.services.resolver;
    let judged = stream::iter(addresses)
        .map(|(text, ip)| async move { Resolved::of(text, ip, &*resolver.verdict(ip).await) })
        .buffered(AT_ONCE);
    Ok(listing.answer(judged.collect().await, None))
}
