//! Today: whom to call first, and why now.

use super::{
    Shared,
    admission::Viewer,
    answer::{self, PageError},
    chart::{self, Chart, Day, Row, days_between},
    frame::Frame,
    texts::{ENGLISH, Texts},
    words::{self, KindWords, Time},
};
use crate::{
    reports::{
        days::{self, CompanyDay},
        drops::{self, DroppedEvents},
        ranking::{self, Order, Question, Ranked},
    },
    site::Site,
    snapshot::Role,
    time::UnixMillis,
};
use askama::Template;
use axum::{
    Extension,
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use jiff::{ToSpan, civil::Date, tz::TimeZone};
use std::{collections::HashMap, sync::Arc};

const DAY: i64 = 86_400_000;
/// Companies that the page names; the list has the others.
const NAMED: u64 = 60;
/// Companies that are told of at length.
const CALLS: usize = 5;
/// Days of the chart.
const CHART_DAYS: i64 = 14;
/// Reasons to drop that are named; the rest is one row.
const REASONS: usize = 4;

#[derive(Template)]
#[template(path = "today.html")]
struct TodayPage {
    frame: Frame,
    when: String,
    until: Time,
    headline: String,
    lead: String,
    calls: Vec<Call>,
    others: Vec<Other>,
    chart: Chart,
    changes: Vec<Change>,
    filtered: Vec<Row>,
    filtered_total: u64,
    goals: Vec<(String, u64)>,
    /// What there is instead of companies; empty where there are some.
    nothing: Option<Nothing>,
    may_write: bool,
}

/// A company to call.
struct Call {
    id: String,
    initial: String,
    name: String,
    kind: KindWords,
    intent: u8,
    why: String,
    facts: Vec<String>,
    pages: Vec<(String, String)>,
    assignee: String,
    is_followed: bool,
}

/// A company that was here as well.
struct Other {
    id: String,
    initial: String,
    name: String,
    sign: String,
    kind: KindWords,
    visits: u64,
    intent: u8,
    seen: Time,
}

/// A number against the one before.
struct Change {
    kind: KindWords,
    count: u64,
    change: String,
    is_more: bool,
}

/// Why there is nothing, and what to do.
pub(super) struct Nothing {
    pub(super) heading: String,
    pub(super) text: String,
    pub(super) code: Option<String>,
    pub(super) hint: Option<(&'static str, String)>,
    pub(super) leads_to_filtered: bool,
}

/// Leads to the first site that the person sees.
pub(super) async fn first_site(
    Extension(viewer): Extension<Viewer>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    match viewer.sites().first() {
        Some(site) => Ok(answer::see_other(&format!("/sites/{}/today", site.id))),
        None => super::settings::no_site(&viewer, &headers),
    }
}

pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Extension(viewer): Extension<Viewer>,
    Path(site): Path<String>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let texts = &ENGLISH;
    let site = viewer.site(&site)?;
    viewer.reads(&site.id)?;
    let store = &shared.state.store;
    let zone = TimeZone::get(&site.timezone).unwrap_or(TimeZone::UTC);
    let now = words::zoned(viewer.now.0, &zone);
    let asked = |until: i64, limit| Question {
        site: &site,
        snapshot: &viewer.snapshot,
        from: UnixMillis(until.saturating_sub(DAY)),
        until: UnixMillis(until),
        filter: None,
        company: None,
        order: Order::Worth,
        limit,
        offset: 0,
    };
    let last = now.date();
    let first = last.saturating_sub((CHART_DAYS - 1).days());
    // The window ends with the moment after this one, so that a visit of this very millisecond is in it.
    let end = viewer.now.0.saturating_add(1);
    let (ranking, before, per_day, drops) = tokio::try_join!(
        ranking::ask(store, asked(end, NAMED)),
        ranking::ask(store, asked(end.saturating_sub(DAY), 1)),
        days::companies(store, &site, (first, last)),
        drops::by_day(store, &site.id, (last.yesterday().unwrap_or(last), last)),
    )?;
    let filtered_total = drops.iter().map(|drop| drop.dropped).sum();
    let nothing = match ranking.total {
        0 => Some(nothing(&site, &shared.state.script_path, per_day.is_empty(), &by_reason(&drops), texts)),
        _ => None,
    };
    let worth = ranking.companies.iter().take_while(|company| company.is_worth_a_call()).count();
    let told = worth.min(CALLS);
    let page = TodayPage {
        frame: Frame::of(&viewer, &headers, Some(&site), "today", texts.today),
        when: words::long_day(now.date(), texts),
        until: Time { machine: now.timestamp().to_string(), human: (texts.these_hours)(&words::time_of_day(&now)) },
        headline: headline(ranking.companies.first(), ranking.total, texts),
        lead: if ranking.total > 0 { (texts.came_by)(ranking.total, before.total, worth) } else { String::new() },
        calls: ranking.companies.iter().take(told).map(|company| call(company, texts)).collect(),
        others: ranking.companies.iter().skip(told).map(|company| other(company, viewer.now, &zone, texts)).collect(),
        chart: chart_of(&per_day, (first, last), texts),
        changes: changes(&ranking, &before, texts),
        filtered: filtered_rows(by_reason(&drops), texts),
        filtered_total,
        goals: ranking.goals,
        nothing,
        may_write: viewer.may(Role::Write),
    };
    answer::page(&page)
}

fn headline(first: Option<&Ranked>, total: u64, texts: &Texts) -> String {
    match first {
        _ if total == 0 => texts.nobody_came.to_owned(),
        Some(company) if company.is_worth_a_call() => {
            let name = words::company_name(&company.facts.name, &company.facts.domain, texts);
            // The first two reasons are enough for a headline.
            let reasons = &company.reasons[..company.reasons.len().min(2)];
            let why = words::sentence(reasons, texts);
            (texts.headline)(&name, &lower_first(&why))
        }
        _ => texts.nobody_to_call.to_owned(),
    }
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().collect::<String>() + letters.as_str())
}

fn call(company: &Ranked, texts: &Texts) -> Call {
    let facts = &company.facts;
    let name = words::company_name(&facts.name, &facts.domain, texts);
    Call {
        id: format!("{:016x}", facts.company_id),
        initial: words::initial(&name),
        name,
        kind: words::kind(company.kind(), texts),
        intent: facts.intent,
        why: words::sentence(&company.reasons, texts),
        facts: vec![
            (texts.count_people)(facts.people),
            (texts.count_visits)(facts.visits),
            (texts.count_pages)(facts.pageviews),
            words::clock(facts.seconds),
        ],
        pages: company.pages.iter().map(|(title, millis)| (title.clone(), words::clock(millis / 1000))).collect(),
        assignee: facts.assignee.clone(),
        is_followed: facts.is_followed,
    }
}

fn other(company: &Ranked, now: UnixMillis, zone: &TimeZone, texts: &Texts) -> Other {
    let facts = &company.facts;
    let name = words::company_name(&facts.name, &facts.domain, texts);
    Other {
        id: format!("{:016x}", facts.company_id),
        initial: words::initial(&name),
        name,
        sign: words::sign(company, texts),
        kind: words::kind(company.kind(), texts),
        visits: facts.visits,
        intent: facts.intent,
        seen: words::ago(facts.last_at, now, zone, texts),
    }
}

fn changes(now: &ranking::Ranking, before: &ranking::Ranking, texts: &Texts) -> Vec<Change> {
    let returning = |ranking: &ranking::Ranking| ranking.total.saturating_sub(ranking.new + ranking.back);
    [
        (ranking::Kind::New, now.new, before.new),
        (ranking::Kind::Back(0), now.back, before.back),
        (ranking::Kind::Returning, returning(now), returning(before)),
    ]
    .map(|(kind, count, before)| {
        let change = match count.cmp(&before) {
            std::cmp::Ordering::Greater => format!("+{}", count - before),
            std::cmp::Ordering::Less => format!("−{}", before - count),
            std::cmp::Ordering::Equal => "±0".to_owned(),
        };
        Change { kind: words::kind(kind, texts), count, change, is_more: count > before }
    })
    .into()
}

fn chart_of(days: &[CompanyDay], (first, last): (Date, Date), texts: &Texts) -> Chart {
    let found: HashMap<&str, &CompanyDay> = days.iter().map(|day| (day.day.as_str(), day)).collect();
    let none = CompanyDay::default();
    let bars = days_between(first, last)
        .map(|date| {
            let CompanyDay { new, back, returning, .. } =
                found.get(date.to_string().as_str()).copied().unwrap_or(&none);
            let told = match new + back + returning {
                0 => texts.no_companies.to_owned(),
                _ => (texts.day_of_companies)(*new, *returning, *back),
            };
            Day {
                title: format!("{}: {told}", words::day(date, texts)),
                parts: vec![("back", *returning), ("again", *back), ("new", *new)],
            }
        })
        .collect();
    let (first, last) = (words::day(first, texts), words::day(last, texts));
    Chart::of(format!("{}, {first} – {last}", texts.companies_a_day), (first, last), bars)
}

/// Sums over days, most first.
pub(super) fn by_reason(drops: &[DroppedEvents]) -> Vec<(String, u64)> {
    let mut sums: HashMap<&str, u64> = HashMap::new();
    for drop in drops {
        *sums.entry(&drop.reason).or_default() += drop.dropped;
    }
    let mut sums: Vec<(String, u64)> = sums.into_iter().map(|(reason, events)| (reason.to_owned(), events)).collect();
    sums.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    sums
}

fn filtered_rows(mut reasons: Vec<(String, u64)>, texts: &Texts) -> Vec<Row> {
    let rest: u64 = reasons.drain(reasons.len().min(REASONS)..).map(|(_, events)| events).sum();
    let named = reasons.into_iter().map(|(reason, events)| ((texts.drop_reason)(&reason).0.to_owned(), events));
    let rest = (rest > 0).then(|| ((texts.drop_reason)("").0.to_owned(), rest));
    chart::rows(named.chain(rest))
}

/// Why nobody is here, as far as the numbers tell.
pub(super) fn nothing(site: &Site, script_path: &str, is_new: bool, drops: &[(String, u64)], texts: &Texts) -> Nothing {
    let dropped: u64 = drops.iter().map(|(_, events)| events).sum();
    let local: u64 = drops.iter().filter(|(reason, _)| reason == "reserved").map(|(_, events)| events).sum();
    if local > 0 && local * 2 >= dropped {
        return Nothing {
            heading: texts.all_local.to_owned(),
            text: (texts.all_local_text)(local),
            code: Some("[public]\ntrusted_proxies = [\"loopback\"]".to_owned()),
            hint: Some((texts.all_local_hint, String::new())),
            leads_to_filtered: true,
        };
    }
    if dropped > 0 {
        return Nothing {
            heading: (texts.only_filtered)(dropped),
            text: texts.only_filtered_text.to_owned(),
            code: None,
            hint: None,
            leads_to_filtered: true,
        };
    }
    if is_new {
        return Nothing {
            heading: texts.nothing_yet.to_owned(),
            text: texts.nothing_yet_text.to_owned(),
            code: Some(snippet(site, script_path)),
            hint: Some((texts.have_logs, format!("firmsight import --site {} access.log.gz", site.id))),
            leads_to_filtered: false,
        };
    }
    Nothing {
        heading: texts.quiet.to_owned(),
        text: texts.quiet_text.to_owned(),
        code: None,
        hint: None,
        leads_to_filtered: false,
    }
}

/// The line that goes on every page of a site.
pub(super) fn snippet(site: &Site, script_path: &str) -> String {
    let host = site.hosts.first().map_or("www.example.com", String::as_str);
    format!("<script async src=\"https://{host}{script_path}\" data-site=\"{}\"></script>", site.id)
}
