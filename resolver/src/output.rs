//! Verdicts for people and for programs.

use crate::{LeftOut, NameAnswer, Verdict};
use serde_json::json;
use std::fmt::Write as _;

/// The verdict as a person reads it: what was decided, about whom, and every piece of evidence with its weight.
#[must_use]
pub fn explain(verdict: &Verdict) -> String {
    let mut text = String::new();
    let subject = verdict.ip.map_or_else(|| "this input".to_owned(), |ip| ip.to_string());
    match &verdict.company {
        Some(company) => {
            let domain = company.domain.as_deref().map(|domain| format!(" ({domain})")).unwrap_or_default();
            let industry = company.industry.as_deref().map(|industry| format!(", {industry}")).unwrap_or_default();
            let percent = company.confidence.get() * 100.0;
            line(&mut text, format_args!("{subject}: {}{domain}{industry}, {percent:.0} % sure", company.name));
            line(&mut text, format_args!("  network kind: {}", verdict.kind));
        }
        None => {
            line(&mut text, format_args!("{subject}: no company; the network is {}", article(verdict.kind.as_str())))
        }
    }
    if let Some(asn) = &verdict.asn {
        let domain = if asn.domain.is_empty() { String::new() } else { format!(", {}", asn.domain) };
        line(&mut text, format_args!("  announced by AS{} {}{domain}", asn.number, asn.name));
    }
    let place = &verdict.location;
    let place: Vec<&str> = [&place.city, &place.region, &place.country_code]
        .into_iter()
        .map(String::as_str)
        .filter(|part| !part.is_empty())
        .collect();
    if !place.is_empty() {
        line(&mut text, format_args!("  location: {}", place.join(", ")));
    }
    match &verdict.ptr {
        NameAnswer::NotAsked => {}
        NameAnswer::None => line(&mut text, format_args!("  reverse DNS: no name")),
        NameAnswer::Confirmed(name) => line(&mut text, format_args!("  reverse DNS: {name}, confirmed")),
        NameAnswer::Unconfirmed(name) => {
            line(&mut text, format_args!("  reverse DNS: {name}, which does not lead back to the address"));
        }
        NameAnswer::Failed => line(&mut text, format_args!("  reverse DNS: no answer in time")),
        NameAnswer::Skipped => line(&mut text, format_args!("  reverse DNS: not asked, it is down")),
    }
    let evidence = verdict.evidence.strongest_first();
    if !evidence.is_empty() {
        line(&mut text, format_args!("  because:"));
    }
    for evidence in evidence {
        let kind = evidence.kind.map_or("", |kind| kind.as_str());
        line(&mut text, format_args!("  {:+5.1} {kind:<12} {}", evidence.weight, evidence.statement));
    }
    match verdict.left_out {
        Some(LeftOut::OwnOffice) => {
            line(&mut text, format_args!("  left out: a rule of yours says that this is your own office"))
        }
        Some(LeftOut::Ignored) => line(&mut text, format_args!("  left out: a rule of yours says to ignore it")),
        None => {}
    }
    if verdict.is_final {
        line(&mut text, format_args!("  nothing else can change this"));
    }
    text
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String can't fail.
    let written = text.write_fmt(arguments);
    debug_assert!(written.is_ok());
    text.push('\n');
}

fn article(kind: &str) -> String {
    let article = if kind.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" };
    match kind {
        "unknown" => "unknown".to_owned(),
        "mobile" => "a mobile carrier's".to_owned(),
        "reserved" => "reserved, not on the public Internet".to_owned(),
        _ => format!("{article} {kind} one"),
    }
}

/// The verdict as one object of `firmsight resolve --json`. `ptr` is the name, confirmed or not, or null; the field
/// `ptr_state` says which.
#[must_use]
pub fn to_json(input: &str, verdict: &Verdict) -> serde_json::Value {
    let (name, state) = match &verdict.ptr {
        NameAnswer::NotAsked => (None, "not-asked"),
        NameAnswer::None => (None, "none"),
        NameAnswer::Confirmed(name) => (Some(name), "confirmed"),
        NameAnswer::Unconfirmed(name) => (Some(name), "unconfirmed"),
        NameAnswer::Failed => (None, "failed"),
        NameAnswer::Skipped => (None, "skipped"),
    };
    json!({
        "input": input,
        "ip": verdict.ip,
        "kind": verdict.kind,
        "company": verdict.company.as_ref().map(|company| json!({
            "id": company.id,
            "name": company.name,
            "domain": company.domain,
            "industry": company.industry,
            "source": company.source,
            "confidence": company.confidence,
        })),
        "location": verdict.location,
        "asn": verdict.asn,
        "ptr": name,
        "ptr_state": state,
        "is_final": verdict.is_final,
        "left_out": verdict.left_out,
        "evidence": verdict.evidence,
    })
}
