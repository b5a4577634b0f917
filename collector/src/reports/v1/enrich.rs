//! The company that a domain or an e-mail address belongs to.
//!
//! Of an e-mail address only the part after the @ is looked at. Mailboxes of private persons say nothing about a company:
//! they are told by a list of providers ([`FREE_MAIL`]) and, as access providers, by the resolver.

use super::parameters::Refusals;
use super::resolve::ResolvedCompany;
use crate::reports::{Shared, authentication::Caller, error::ReportError, parameters::Parameters};
use axum::{
    Extension, Json,
    extract::{RawQuery, State},
};
use serde::Serialize;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

const FREE_MAIL: &str = include_str!("free_mail_domains.txt");

/// What is known of a domain's owner.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Enriched {
    /// The registrable domain that was looked up.
    #[schema(example = "acme.example")]
    domain: String,
    /// Whether private persons have mailboxes there.
    is_free_mail: bool,
    /// The company; null where none is known or the domain is a provider's.
    company: Option<ResolvedCompany>,
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

/// The company of a domain
///
/// By a domain, a host name or an e-mail address. Free-mail domains are answered without a company.
#[utoipa::path(
    get, path = "/v1/enrich", tag = "companies", operation_id = "enrich",
    params(EnrichParameters),
    responses((status = 200, description = "What is known", body = Enriched), Refusals),
)]
pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Json<Enriched>, ReportError> {
    let parameters = Parameters::read(query.as_deref());
    let wrong = |name: &'static str, detail: &str| ReportError::Parameter { name, detail: detail.to_owned() };
    let domain = match (parameters.optional("domain")?, parameters.optional("email")?) {
        (Some(domain), None) => {
            registrable(domain).ok_or_else(|| wrong("domain", "domain must be a name such as www.example.com"))?
        }
        (None, Some(email)) => {
            let host = email.rsplit_once('@').filter(|(local, _)| !local.is_empty()).map(|(_, host)| host);
            host.and_then(registrable).ok_or_else(|| wrong("email", "email must be an e-mail address"))?
        }
        _ => return Err(wrong("domain", "give either domain or email")),
    };
    caller.audit(None)?;
    let is_free_mail = is_free_mail(&domain);
    let company = if is_free_mail { None } else { shared.state.resolver.verdict_on_name(&domain).company };
    Ok(Json(Enriched { domain, is_free_mail, company: company.as_ref().map(ResolvedCompany::of) }))
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
