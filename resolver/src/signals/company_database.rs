//! Databases that name organisations: the owner's own lists, and commercial databases where the owner holds them.
//!
//! What their words mean is the table `company_database_values.csv`. Here is what a table can't say: when the organisation
//! that a record names is the visitor. It is in the owner's list, always. In IPinfo's files the record's type says so. In
//! MaxMind's the user type says so; where there is none, an organisation with another name than its provider's is taken for
//! a customer with a network of its own, unless its name is that of one more provider.

use super::domain_map::{DomainMap, knowledge};
use crate::{
    DatabaseKind, Evidence, NetworkKind, Source, Statement,
    company_record::CompanyRecord,
    decision::{Candidate, Case, Scores},
    names::{display_name, registrable_domain},
    rules::{RangeSays, Rules},
};
use std::sync::Arc;

/// A row of the owner's list outweighs everything but a rule of the owner's.
const IN_OWN_LIST: f32 = 15.0;
/// A customer's name in a database that knows nothing else of it: a little more than a mapped provider.
const NAMED_CUSTOMER: f32 = 4.0;
/// How much more the words of a name must speak for a provider than for an organisation.
const PROVIDER_BY_NAME: f32 = 0.5;
/// How much of what is known of a domain counts where it comes from addresses' unconfirmed names.
const DOMAIN_SHARE: f32 = 0.5;

/// Where weights and candidates go: to a verdict, or to the sums at the door.
pub(crate) trait Listener {
    /// A statement and what it speaks for.
    fn hear(&mut self, source: Source, statement: &Arc<str>, meaning: RangeSays);
    /// An organisation that may be the visitor.
    fn propose(&mut self, candidate: impl FnOnce() -> Candidate);
}

impl Listener for Case {
    fn hear(&mut self, source: Source, statement: &Arc<str>, meaning: RangeSays) {
        let statement = Statement::shared(Arc::clone(statement));
        let evidence = Evidence { source, statement, kind: Some(meaning.kind), weight: meaning.weight };
        if meaning.is_final { self.add_final(evidence) } else { self.add(evidence) }
    }

    fn propose(&mut self, candidate: impl FnOnce() -> Candidate) {
        Self::propose(self, candidate());
    }
}

/// Kind and finality alone.
pub(crate) struct Door<'a> {
    pub(crate) scores: &'a mut Scores,
    pub(crate) is_final: &'a mut bool,
}

impl Listener for Door<'_> {
    fn hear(&mut self, _: Source, _: &Arc<str>, meaning: RangeSays) {
        self.scores.add(meaning.kind, meaning.weight);
        *self.is_final |= meaning.is_final;
    }

    fn propose(&mut self, _: impl FnOnce() -> Candidate) {}
}

/// Tells what a record says.
pub(crate) fn judge(
    database: DatabaseKind,
    record: &CompanyRecord<'_>,
    map: &DomainMap,
    rules: &Rules,
    listener: &mut impl Listener,
) {
    if database == DatabaseKind::OwnList {
        return own_list(record, map, listener);
    }
    // The type of network that the record's most telling field gives, with its weight.
    let mut told: Option<RangeSays> = None;
    // The operator is judged by itself: its type counts where nothing is said of the network.
    let has_own_type = !record.user_type.is_empty() || !record.company_type.is_empty();
    let fields = [
        ("user_type", record.user_type),
        ("type", record.company_type),
        ("connection_type", record.connection_type),
        ("as_type", if has_own_type { "" } else { record.as_type }),
    ];
    let flags = record.flags().iter().map(|flag| ("flag", *flag));
    for (field, value) in fields.into_iter().filter(|(_, value)| !value.is_empty()).chain(flags) {
        if let Some((meaning, statement)) = rules.database_values.get(field, value) {
            listener.hear(Source::CommercialDatabase, statement, *meaning);
            if told.is_none() && matches!(field, "user_type" | "type") {
                told = Some(*meaning);
            }
        }
    }
    let is_ipinfo = !record.company_type.is_empty();
    let domain = registrable_domain(record.domain);
    match told {
        // A provider that has business customers is not one of them.
        Some(meaning) if meaning.kind == NetworkKind::Business && !record.isp.is_empty() && !is_customer(record) => {}
        Some(meaning) if meaning.kind.is_organisation() && !record.organization.is_empty() => {
            let domain = domain.filter(|domain| is_ipinfo || is_named_after(domain, record.organization, map, rules));
            listener
                .propose(|| candidate(record.organization, domain, Source::CommercialDatabase, meaning.weight, map));
        }
        Some(_) => {}
        None if is_customer(record) => customer(record, map, rules, listener),
        None => {
            // GeoIP2 Domain, or a record that names nobody: whose addresses' names these are.
            let Some(domain) = domain.filter(|_| record.organization.is_empty()) else { return };
            let known = knowledge(&domain, map, rules);
            let Some((kind, _)) = known.kind else { return };
            let meaning = RangeSays { kind: kind.kind, weight: kind.weight * DOMAIN_SHARE, is_final: false };
            let statement: Arc<str> =
                format!("a commercial database names the domain {domain}: {}", known.statement).into();
            listener.hear(Source::CommercialDatabase, &statement, meaning);
            if kind.kind.is_organisation() && !known.is_carrier {
                let name = known.owner.map_or(&*domain, |owner| &*owner.name);
                listener.propose(|| {
                    candidate(name, Some(Arc::clone(&domain)), Source::CommercialDatabase, meaning.weight, map)
                });
            }
        }
    }
}

fn own_list(record: &CompanyRecord<'_>, map: &DomainMap, listener: &mut impl Listener) {
    let kind = NetworkKind::ALL.into_iter().find(|kind| kind.as_str() == record.kind).unwrap_or(NetworkKind::Business);
    let meaning = RangeSays { kind, weight: IN_OWN_LIST, is_final: false };
    let domain = registrable_domain(record.domain);
    let name = if record.organization.is_empty() { domain.as_deref().unwrap_or_default() } else { record.organization };
    listener.hear(Source::OwnRule, &format!("a list of yours gives the network to {name}").into(), meaning);
    if kind.is_organisation() {
        listener.propose(|| candidate(name, domain.clone(), Source::OwnRule, IN_OWN_LIST, map));
    }
}

/// Whether a record names somebody who is not the provider.
fn is_customer(record: &CompanyRecord<'_>) -> bool {
    let first_word = |name: &str| {
        let words = name.split(|letter: char| !letter.is_alphanumeric());
        words.filter(|word| word.len() > 2).map(str::to_lowercase).next().unwrap_or_default()
    };
    let organization = first_word(record.organization);
    !organization.is_empty()
        && !record.isp.is_empty()
        && organization != first_word(record.isp)
        && organization != first_word(record.as_name)
}

fn customer(record: &CompanyRecord<'_>, map: &DomainMap, rules: &Rules, listener: &mut impl Listener) {
    let (_, weights) = rules.organisation_words.operator(record.organization);
    let best = |of_organisations: bool| {
        let of_them = weights.iter().filter(|(kind, _)| kind.is_organisation() == of_organisations);
        of_them.copied().max_by(|(_, a), (_, b)| a.total_cmp(b)).unwrap_or((NetworkKind::Business, 0.0))
    };
    let (provider, organisation) = (best(false), best(true));
    let is_provider = provider.1 > organisation.1 + PROVIDER_BY_NAME;
    let statement =
        |what: &str| -> Arc<str> { format!("a commercial database names {}, {what}", record.organization).into() };
    if is_provider {
        let meaning = RangeSays { kind: provider.0, weight: 1.0, is_final: false };
        listener.hear(Source::CommercialDatabase, &statement("by its name a provider"), meaning);
    } else {
        let kind = if organisation.1 > 0.0 { organisation.0 } else { NetworkKind::Business };
        let meaning = RangeSays { kind, weight: NAMED_CUSTOMER, is_final: false };
        listener.hear(Source::CommercialDatabase, &statement("who is not its provider"), meaning);
        let domain =
            registrable_domain(record.domain).filter(|domain| is_named_after(domain, record.organization, map, rules));
        listener.propose(|| candidate(record.organization, domain, Source::CommercialDatabase, NAMED_CUSTOMER, map));
    }
}

/// Whether a domain is the organisation's own rather than its provider's: no carrier's, and one begins like the other.
fn is_named_after(domain: &str, organization: &str, map: &DomainMap, rules: &Rules) -> bool {
    let known = knowledge(domain, map, rules);
    if known.is_carrier || known.kind.is_some_and(|(kind, _)| !kind.kind.is_organisation()) {
        return false;
    }
    let letters =
        |text: &str| text.chars().filter(|letter| letter.is_alphanumeric()).collect::<String>().to_lowercase();
    let (label, name) = (letters(domain.split('.').next().unwrap_or_default()), letters(organization));
    let initials: String = organization.split_whitespace().filter_map(|word| word.chars().next()).collect();
    label.len() >= 2 && (name.contains(&label) || initials.to_lowercase() == label)
        || organization.split_whitespace().map(letters).any(|word| word.len() >= 4 && label.contains(&word))
}

fn candidate(name: &str, domain: Option<Arc<str>>, source: Source, weight: f32, map: &DomainMap) -> Candidate {
    let owner = domain.as_deref().and_then(|domain| map.owner(domain));
    Candidate {
        // The map's names were made for people; a registry's are in capitals and have remarks.
        name: match owner {
            Some(owner) if source != Source::OwnRule => Arc::clone(&owner.name),
            _ => display_name(name).into(),
        },
        found_by: None,
        industry: owner.map(|owner| Arc::clone(&owner.owner_type)),
        domain,
        id: None,
        source,
        weight,
    }
}
