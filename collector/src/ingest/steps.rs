//! What a decoded beacon goes through at the door: a table of named steps, run in order until one
//! doesn't say keep.
//!
//! Each step is a pure function of the [`Arrival`] (only the rate limit remembers). A drop or a
//! refusal ends every event of the beacon, with one exception: a `forget` is never dropped, because a
//! person's withdrawal must arrive from whatever network or browser it comes.

use super::{AccessNetworks, LocalJudge, crawler::is_crawler, page_host::Host, rate_limit::RateLimit};
use crate::{
    counters::{DropReason, RejectRule},
    site::{ConsentMode, Site},
    time::UnixMillis,
};
use beacon::{Beacon, Consent, Event, EventKind};
use firmsight_resolver::NetworkKind;
use std::net::IpAddr;

/// A decoded beacon and all that the steps may know of its request.
pub struct Arrival<'a> {
    /// The beacon.
    pub beacon: &'a Beacon<'a>,
    /// Its site.
    pub site: &'a Site,
    /// The client's address.
    pub address: IpAddr,
    /// The Origin header.
    pub origin: Option<&'a str>,
    /// By Sec-Fetch-Site, which no page can write, the page is of the collector's own site.
    pub is_same_site: bool,
    /// `Sec-GPC: 1` was sent.
    pub global_privacy_control: bool,
    /// The objection that the opt-out page left in the browser came along, or the owner noted one.
    pub objects: bool,
    /// The User-Agent header; empty when absent.
    pub user_agent: &'a str,
    /// When the collector received it.
    pub now: UnixMillis,
    /// The limit per address, if any.
    pub rate_limit: Option<&'a RateLimit>,
    /// What is known of networks without DNS.
    pub judge: &'a dyn LocalJudge,
    /// What happens to access networks.
    pub access_networks: AccessNetworks,
}

/// What a step says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Go on.
    Keep,
    /// Accept, count and forget.
    Drop(DropReason),
    /// Refuse.
    Reject(Rejection),
}

/// A refusal by a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The rule.
    pub rule: RejectRule,
    /// The field, header or parameter that broke it.
    pub field: String,
    /// One sentence for a developer.
    pub detail: String,
    /// Seconds until trying again makes sense.
    pub retry_after: Option<u64>,
}

fn reject(rule: RejectRule, field: impl Into<String>, detail: impl Into<String>) -> Outcome {
    Outcome::Reject(Rejection { rule, field: field.into(), detail: detail.into(), retry_after: None })
}

/// One step: its name for logs and tests, and what it does.
pub struct Step {
    /// Stable name.
    pub name: &'static str,
    /// The rule.
    pub run: fn(&Arrival<'_>) -> Outcome,
}

/// The steps in their order: refusals that tell an owner what is set up wrong come first, then what a
/// person said, then who is asking.
pub const STEPS: &[Step] = &[
    Step { name: "page-host", run: page_host },
    Step { name: "origin", run: origin },
    Step { name: "global-privacy-control", run: global_privacy_control },
    Step { name: "objection", run: objection },
    Step { name: "consent", run: consent },
    Step { name: "crawler", run: crawler },
    Step { name: "own-network", run: own_network },
    Step { name: "rate-limit", run: rate_limit },
    Step { name: "local-verdict", run: local_verdict },
];

/// Runs the table; the first step that doesn't say keep decides.
#[must_use]
pub fn judge(arrival: &Arrival<'_>) -> Outcome {
    for step in STEPS {
        let outcome = (step.run)(arrival);
        if outcome != Outcome::Keep {
            tracing::debug!(step = step.name, site = %arrival.site.id, ?outcome, "not kept");
            return outcome;
        }
    }
    Outcome::Keep
}

/// What applies to one event of a beacon that was kept.
#[must_use]
pub fn judge_event(site: &Site, consent: Consent, event: &Event<'_>) -> Outcome {
    let identifies = event.kind == EventKind::Identify;
    if identifies && !(site.identify && consent == Consent::Granted) {
        return Outcome::Drop(DropReason::IdentifyNotAllowed);
    }
    Outcome::Keep
}

/// What is wrong with the host of an event's page.
#[must_use]
pub fn page_host_of(site: &Site, event: &Event<'_>) -> Option<&'static str> {
    match Host::of_url(event.url.as_deref()?) {
        None => Some("the URL has no host that a browser could visit"),
        Some(host) if host.belongs_to(&site.hosts) => None,
        Some(_) => Some("the page's host is not one of the site's hosts: add it with `firmsight site set --host`"),
    }
}

fn page_host(arrival: &Arrival<'_>) -> Outcome {
    let events = arrival.beacon.events.iter().enumerate();
    let stray = events.filter_map(|(index, event)| Some((index, page_host_of(arrival.site, event)?))).next();
    match stray {
        Some((index, detail)) => reject(RejectRule::Host, format!("events[{index}].url"), detail),
        None => Outcome::Keep,
    }
}

/// A page whose referrer policy hides it has "null" for an origin in what isn't CORS, `sendBeacon` in Firefox for one, and so
/// has anybody's sandboxed frame. The browser itself tells them apart where page and collector share a site.
fn origin(arrival: &Arrival<'_>) -> Outcome {
    match arrival.origin {
        Some("null") if arrival.is_same_site => Outcome::Keep,
        Some(origin) if !Host::of_url(origin).is_some_and(|host| host.belongs_to(&arrival.site.hosts)) => {
            reject(RejectRule::Origin, "Origin", "the Origin header's host is not one of the site's hosts")
        }
        _ => Outcome::Keep,
    }
}

fn global_privacy_control(arrival: &Arrival<'_>) -> Outcome {
    if arrival.global_privacy_control && arrival.beacon.consent != Consent::Granted {
        return Outcome::Drop(DropReason::GlobalPrivacyControl);
    }
    Outcome::Keep
}

/// Whatever a consent manager says again on each page, an objection holds until the person takes it back; a grant on the
/// page itself replaces the cookie before it sends.
fn objection(arrival: &Arrival<'_>) -> Outcome {
    if arrival.objects { Outcome::Drop(DropReason::Objection) } else { Outcome::Keep }
}

/// The table of the contract: site mode × what the person said.
fn consent(arrival: &Arrival<'_>) -> Outcome {
    let beacon = arrival.beacon;
    if beacon.events.iter().all(|event| event.kind == EventKind::Forget) {
        return Outcome::Keep;
    }
    match (arrival.site.consent, beacon.consent) {
        (_, Consent::Granted) | (ConsentMode::NotRequired, Consent::NotRequired) => Outcome::Keep,
        (ConsentMode::Required, Consent::Unknown) => {
            reject(RejectRule::Consent, "consent", "this site asks for consent, and the person has not said yes")
        }
        (ConsentMode::Required | ConsentMode::Cookieless, Consent::NotRequired) => {
            reject(RejectRule::Consent, "consent", "not-required is a word for sites whose consent mode it is")
        }
        (ConsentMode::Cookieless | ConsentMode::NotRequired, Consent::Unknown) => {
            if beacon.client.is_some() {
                return reject(RejectRule::Consent, "client", "a client id needs consent");
            }
            Outcome::Keep
        }
    }
}

fn crawler(arrival: &Arrival<'_>) -> Outcome {
    if is_crawler(arrival.user_agent) { Outcome::Drop(DropReason::Crawler) } else { Outcome::Keep }
}

fn own_network(arrival: &Arrival<'_>) -> Outcome {
    if arrival.site.own_networks.iter().any(|network| network.contains(&arrival.address)) {
        return Outcome::Drop(DropReason::OwnNetwork);
    }
    Outcome::Keep
}

fn rate_limit(arrival: &Arrival<'_>) -> Outcome {
    let Some(Err(wait_ms)) = arrival.rate_limit.map(|limit| limit.take(arrival.address, arrival.now)) else {
        return Outcome::Keep;
    };
    Outcome::Reject(Rejection {
        rule: RejectRule::RateLimit,
        field: String::new(),
        detail: "too many beacons from one address ([limits] beacons_per_address_per_minute)".to_owned(),
        retry_after: Some(wait_ms.div_ceil(1000).max(1)),
    })
}

fn local_verdict(arrival: &Arrival<'_>) -> Outcome {
    let judgement = arrival.judge.judge(arrival.address);
    let at_the_door = arrival.access_networks == AccessNetworks::Drop;
    if let Some(left_out) = judgement.left_out {
        return Outcome::Drop(left_out.into());
    }
    match judgement.kind {
        NetworkKind::Crawler if judgement.is_final => Outcome::Drop(DropReason::Crawler),
        NetworkKind::Reserved if judgement.is_final => Outcome::Drop(DropReason::Reserved),
        NetworkKind::Anonymizer if judgement.is_final => Outcome::Drop(DropReason::Anonymizer),
        NetworkKind::Residential if at_the_door => Outcome::Drop(DropReason::Residential),
        NetworkKind::Mobile if at_the_door => Outcome::Drop(DropReason::Mobile),
        _ => Outcome::Keep,
    }
}
