//! A company: who it is, why now, what it read, and what is noted about it.

use super::{
    Shared,
    admission::Viewer,
    answer::{self, PageError},
    chart::{self, Chart, Day, Row, days_between},
    form::Form,
    frame::Frame,
    texts::{ENGLISH, Texts},
    visits::{VisitsOfDay, by_day},
    words::{self, KindWords},
};
use crate::{
    admin::Action,
    control::ControlError,
    feed::{CompanyMarks, Note},
    reports::{
        company::{self, Profile},
        days::{self, VisitDay},
        ranking::{self, Order, Question, Ranked},
        visit_stream,
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
use firmsight_resolver::CompanyId;
use jiff::{ToSpan, civil::Date, tz::TimeZone};
use std::{collections::HashMap, sync::Arc};
use uuid::Uuid;

const DAY: i64 = 86_400_000;
/// Days of the reasons and scores.
const SCORED_DAYS: i64 = 30;
/// Days of the chart.
const CHART_DAYS: i64 = 60;
/// Visits that are shown.
const VISITS: u64 = 20;

#[derive(Template)]
#[template(path = "company.html")]
struct CompanyPage {
    frame: Frame,
    id: String,
    initial: String,
    name: String,
    domain: String,
    facts: Vec<String>,
    kind: Option<KindWords>,
    why: String,
    intent: u8,
    quality: u8,
    engagement: String,
    known_points: String,
    known: Vec<&'static str>,
    chart: Chart,
    days: Vec<VisitsOfDay>,
    /// Which letter stands for whom: the order in which people appear.
    letters: HashMap<u64, String>,
    sources: Vec<Row>,
    question: String,
    sureness: &'static str,
    confidence: String,
    found_by: &'static str,
    marks: CompanyMarks,
    lists: Vec<String>,
    notes: Vec<NoteView>,
    people: Vec<String>,
    may_write: bool,
}

struct NoteView {
    text: String,
    author: String,
    at: words::Time,
}

impl CompanyPage {
    /// `Person A`.
    fn person(&self, visitor: &u64) -> String {
        let letter = self.letters.get(visitor).map_or("?", String::as_str);
        (self.frame.texts.person)(letter)
    }
}

pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Extension(viewer): Extension<Viewer>,
    Path((site, company)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let texts = &ENGLISH;
    let site = viewer.site(&site)?;
    let company = company_id(&company)?;
    viewer.reads(&site.id)?;
    let store = &shared.state.store;
    let zone = TimeZone::get(&site.timezone).unwrap_or(TimeZone::UTC);
    let last = words::zoned(viewer.now.0, &zone).date();
    let first = last.saturating_sub((CHART_DAYS - 1).days());
    let stream = visit_stream::Question {
        site: &site,
        snapshot: &viewer.snapshot,
        company: Some(company),
        from: UnixMillis(0),
        before: (viewer.now.0.saturating_add(1), 0),
        limit: VISITS,
    };
    let (profile, ranking, visit_days, visits, marks) = tokio::try_join!(
        async { company::profile(store, &site, company).await.map_err(PageError::from) },
        async { ranking::ask(store, scores_of(&viewer, &site, company)).await.map_err(PageError::from) },
        async { days::visits(store, &site, company, (first, last)).await.map_err(PageError::from) },
        async { visit_stream::ask(store, stream).await.map_err(PageError::from) },
        async { shared.state.control.marks(&site.id, company).await.map_err(PageError::from) },
    )?;
    let profile = profile.ok_or(PageError::NotFound)?;
    let ranked = ranking.companies.first();
    let name = words::company_name(&profile.name, &profile.domain, texts);
    let list_name = |id: &Uuid| viewer.snapshot.lists.get(id).map(|list| list.name.clone());
    let known = company::fact_names().zip(&profile.facts).filter(|(_, known)| **known != 0).map(|(name, _)| name);
    let known: Vec<&'static str> = known.collect();
    let known_points = u8::try_from(known.len()).unwrap_or(u8::MAX);
    let quality = ranked.map_or(0, |ranked| ranked.facts.quality);
    answer::page(&CompanyPage {
        frame: Frame::of(&viewer, &headers, Some(&site), "companies", &name),
        id: company.to_string(),
        initial: words::initial(&name),
        domain: profile.domain.clone(),
        facts: facts(&profile, texts),
        kind: ranked.map(|ranked| words::kind(ranked.kind(), texts)),
        why: ranked.map(|ranked: &Ranked| words::sentence(&ranked.reasons, texts)).unwrap_or_default(),
        intent: ranked.map_or(0, |ranked| ranked.facts.intent),
        engagement: (texts.points_of)(quality.saturating_sub(known_points), 5),
        known_points: (texts.points_of)(known_points, 5),
        quality,
        known,
        chart: chart_of(&visit_days, (first, last), texts),
        letters: letters(&visits),
        days: by_day(&visits, &zone, texts),
        sources: chart::rows(profile.sources.iter().map(|(source, visits)| (words::source(source, texts), *visits))),
        question: (texts.is_it_really)(&name),
        sureness: (texts.sureness)(profile.confidence),
        confidence: format!("{:.1}", profile.confidence * 100.0),
        found_by: (texts.found_by)(&profile.found_by),
        lists: marks.lists.iter().filter_map(list_name).collect(),
        notes: notes(&marks, viewer.now, &zone, texts),
        people: people(&viewer, &site),
        may_write: viewer.may(Role::Write),
        marks,
        name,
    })
}

/// Changes tags, owner, following, hiding. Each button of the page sends one field.
pub(super) async fn mark(
    State(shared): State<Arc<Shared>>,
    Extension(viewer): Extension<Viewer>,
    Path((site, company)): Path<(String, String)>,
    Extension(form): Extension<Form>,
) -> Result<Response, PageError> {
    let (site, company) = known(&shared, &viewer, &site, &company).await?;
    let change = viewer.begin_change()?;
    let outcome = shared.state.control.change_marks(&site.id, company, |marks| apply(marks, &form), viewer.now).await;
    record(change, &outcome, &site, company);
    outcome?;
    // Only two places send here; what another one would ask for is not followed.
    let back = if form.text("back") == "today" { "today".to_owned() } else { format!("companies/{company}") };
    Ok(answer::see_other(&format!("/sites/{}/{back}", site.id)))
}

/// Adds a note.
pub(super) async fn note(
    State(shared): State<Arc<Shared>>,
    Extension(viewer): Extension<Viewer>,
    Path((site, company)): Path<(String, String)>,
    Extension(form): Extension<Form>,
) -> Result<Response, PageError> {
    let (site, company) = known(&shared, &viewer, &site, &company).await?;
    let author = viewer.person.email.to_string();
    let note = Note { id: Uuid::new_v4(), text: form.text("text").trim().to_owned(), author, created_at: viewer.now };
    let change = viewer.begin_change()?;
    let add = |marks: &mut CompanyMarks| marks.notes.push(note);
    let outcome = shared.state.control.change_marks(&site.id, company, add, viewer.now).await;
    record(change, &outcome, &site, company);
    outcome?;
    Ok(answer::see_other(&format!("/sites/{}/companies/{company}#notes", site.id)))
}

fn apply(marks: &mut CompanyMarks, form: &Form) {
    if let Some(assignee) = form.given("assignee") {
        assignee.clone_into(&mut marks.assignee);
    }
    if let Some(followed) = form.given("followed") {
        marks.is_followed = followed == "true";
    }
    if let Some(hidden) = form.given("hidden") {
        marks.is_hidden = hidden == "true";
    }
    if let Some(tag) = form.given("tag").map(str::trim).filter(|tag| !tag.is_empty()) {
        marks.tags.push(tag.to_owned());
    }
    if let Some(tag) = form.given("untag") {
        marks.tags.retain(|own| own != tag);
    }
}

/// Records what was done, or what may have been done although the store did not answer.
fn record<T>(change: super::admission::Change, outcome: &Result<T, ControlError>, site: &Site, company: CompanyId) {
    if matches!(outcome, Ok(_) | Err(ControlError::Store(_))) {
        change.record(Action::Change, Some(&site.id), &format!("company {company}"));
    }
}

/// A company that visited a site which the person sees.
async fn known(
    shared: &Shared,
    viewer: &Viewer,
    site: &str,
    company: &str,
) -> Result<(Arc<Site>, CompanyId), PageError> {
    let site = viewer.site(site)?;
    let company = company_id(company)?;
    let profile = company::profile(&shared.state.store, &site, company).await?;
    profile.map(|_| (site, company)).ok_or(PageError::NotFound)
}

fn company_id(text: &str) -> Result<CompanyId, PageError> {
    let is_id = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    is_id.then(|| u64::from_str_radix(text, 16).ok()).flatten().map(CompanyId).ok_or(PageError::NotFound)
}

fn scores_of<'a>(viewer: &'a Viewer, site: &'a Site, company: CompanyId) -> Question<'a> {
    let end = viewer.now.0.saturating_add(1);
    Question {
        site,
        snapshot: &viewer.snapshot,
        from: UnixMillis(end.saturating_sub(SCORED_DAYS * DAY)),
        until: UnixMillis(end),
        filter: None,
        company: Some(company),
        order: Order::Worth,
        limit: 1,
        offset: 0,
    }
}

fn facts(profile: &Profile, texts: &Texts) -> Vec<String> {
    let employees = profile.employees_min.map(|min| match profile.employees_max {
        Some(max) if max == min => min.to_string(),
        Some(max) => format!("{min}–{max}"),
        None => format!("{min}+"),
    });
    let place = [profile.city.as_str(), profile.country_code.as_str()].into_iter().filter(|part| !part.is_empty());
    let place = place.collect::<Vec<_>>().join(", ");
    let all = [
        Some(profile.industry.clone()),
        employees.map(|range| (texts.employees)(&range)),
        Some(place),
        profile.founded.map(texts.founded),
        profile.phone.clone(),
        Some((texts.count_visits)(profile.visits)),
    ];
    all.into_iter().flatten().filter(|fact| !fact.is_empty()).collect()
}

fn chart_of(days: &[VisitDay], (first, last): (Date, Date), texts: &Texts) -> Chart {
    let found: HashMap<&str, u64> = days.iter().map(|day| (day.day.as_str(), day.visits)).collect();
    let bars = days_between(first, last)
        .map(|date| {
            let visits = found.get(date.to_string().as_str()).copied().unwrap_or(0);
            let told = if visits == 0 { texts.no_visits.to_owned() } else { (texts.count_visits)(visits) };
            Day { title: format!("{}: {told}", words::day(date, texts)), parts: vec![("on", visits)] }
        })
        .collect();
    let (first, last) = (words::day(first, texts), words::day(last, texts));
    Chart::of(format!("{}, {first} – {last}", texts.visits_a_day), (first, last), bars)
}

/// Letters for people, from the oldest of these visits on, so that they stay as new visits come.
fn letters(visits: &[visit_stream::Visit]) -> HashMap<u64, String> {
    let mut letters = HashMap::new();
    for visit in visits.iter().rev() {
        let next = letters.len();
        letters.entry(visit.visitor).or_insert_with(|| letter(next));
    }
    letters
}

/// `A` to `Z`, then `AA`.
fn letter(number: usize) -> String {
    let last = char::from(b'A' + u8::try_from(number % 26).unwrap_or(0));
    match number / 26 {
        0 => last.to_string(),
        more => format!("{}{last}", letter(more - 1)),
    }
}

fn notes(marks: &CompanyMarks, now: UnixMillis, zone: &TimeZone, texts: &Texts) -> Vec<NoteView> {
    let note = |note: &Note| NoteView {
        text: note.text.clone(),
        author: note.author.clone(),
        at: words::ago(note.created_at.0, now, zone, texts),
    };
    marks.notes.iter().rev().map(note).collect()
}

/// Who may take care of a company of this site, by address.
fn people(viewer: &Viewer, site: &Site) -> Vec<String> {
    let mut people: Vec<String> = viewer
        .snapshot
        .people
        .values()
        .filter(|person| person.may_see(&site.id) && person.role >= Role::Write)
        .map(|person| person.email.to_string())
        .collect();
    people.sort();
    people
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_letters() {
        assert_eq!([0, 25, 26, 51, 52].map(letter), ["A", "Z", "AA", "AZ", "BA"]);
    }

    #[test]
    fn a_company_goes_by_its_id_alone() {
        assert!(company_id("00000000000000ff").is_ok_and(|id| id == CompanyId(255)));
        for text in ["", "ff", "00000000000000FF", "00000000000000fg", "000000000000000ff"] {
            assert!(company_id(text).is_err(), "{text}");
        }
    }
}
