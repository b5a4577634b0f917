//! Visits as they came, the newest first.

use super::{
    Shared,
    admission::Viewer,
    answer::{self, PageError},
    companies::{Link, asked_days, spans},
    frame::Frame,
    parameters::Query,
    texts::{ENGLISH, Texts},
    words,
};
use crate::{
    reports::visit_stream::{self, Question, Visit},
    time::UnixMillis,
};
use askama::Template;
use axum::{
    Extension,
    extract::{Path, RawQuery, State},
    http::HeaderMap,
    response::Response,
};
use jiff::tz::TimeZone;
use std::sync::Arc;

const DAY: i64 = 86_400_000;
const ROWS: u64 = 60;
/// Pages of a visit that are shown; somebody who reads more doesn't read that.
const ROUTE: usize = 40;

#[derive(Template)]
#[template(path = "visits.html")]
struct VisitsPage {
    frame: Frame,
    spans: Vec<Link>,
    days: Vec<VisitsOfDay>,
    older: Option<String>,
}

/// A day's visits.
pub(super) struct VisitsOfDay {
    pub(super) day: String,
    pub(super) visits: Vec<VisitView>,
}

/// A visit as it is shown.
pub(super) struct VisitView {
    pub(super) id: String,
    pub(super) at: words::Time,
    pub(super) company_id: String,
    pub(super) company: String,
    pub(super) initial: String,
    /// `Pricing → Ask for a quote`.
    pub(super) way: String,
    pub(super) source: String,
    pub(super) place: String,
    pub(super) device: String,
    pub(super) pages: usize,
    pub(super) stayed: String,
    pub(super) goals: Vec<String>,
    pub(super) route: Vec<Step>,
    pub(super) visitor: u64,
}

/// A page of a visit.
pub(super) struct Step {
    pub(super) title: String,
    pub(super) path: String,
    pub(super) stayed: String,
}

pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Extension(viewer): Extension<Viewer>,
    Path(site): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let texts = &ENGLISH;
    let site = viewer.site(&site)?;
    viewer.reads(&site.id)?;
    let query = Query::read(query.as_deref());
    let days = asked_days(&query, texts);
    let zone = TimeZone::get(&site.timezone).unwrap_or(TimeZone::UTC);
    let question = Question {
        site: &site,
        snapshot: &viewer.snapshot,
        company: None,
        from: UnixMillis(viewer.now.0.saturating_sub(i64::from(days) * DAY)),
        before: cursor(query.text("before")).unwrap_or((viewer.now.0.saturating_add(1), 0)),
        limit: ROWS,
    };
    let visits = visit_stream::ask(&shared.state.store, question).await?;
    let older = visits.last().filter(|_| visits.len() as u64 == ROWS);
    let older = older.map(|last| query.with("before", Some(&format!("{}-{}", last.started, last.visit_id))));
    answer::page(&VisitsPage {
        frame: Frame::of(&viewer, &headers, Some(&site), "visits", texts.visits),
        spans: spans(&query, days, texts),
        days: by_day(&visits, &zone, texts),
        older,
    })
}

/// `MILLIS-ID` of the last visit that was seen.
fn cursor(text: &str) -> Option<(i64, u64)> {
    let (at, id) = text.split_once('-')?;
    Some((at.parse().ok().filter(|at| *at >= 0)?, id.parse().ok()?))
}

/// Visits under the local days on which they began.
pub(super) fn by_day(visits: &[Visit], zone: &TimeZone, texts: &Texts) -> Vec<VisitsOfDay> {
    let mut days: Vec<VisitsOfDay> = Vec::new();
    for visit in visits {
        let day = words::long_day(words::zoned(visit.started, zone).date(), texts);
        if days.last().is_none_or(|last| last.day != day) {
            days.push(VisitsOfDay { day, visits: Vec::new() });
        }
        if let Some(last) = days.last_mut() {
            last.visits.push(view(visit, zone, texts));
        }
    }
    days
}

fn view(visit: &Visit, zone: &TimeZone, texts: &Texts) -> VisitView {
    let at = words::zoned(visit.started, zone);
    let titles = visit.title.iter().zip(&visit.path).map(|(title, path)| if title.is_empty() { path } else { title });
    let titles: Vec<&str> = titles.map(String::as_str).collect();
    let way = match titles.as_slice() {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first, .., last] => format!("{first} → {last}"),
    };
    let company = words::company_name(&visit.company_name, "", texts);
    let steps = titles.iter().zip(&visit.path).zip(&visit.visible_ms);
    VisitView {
        id: format!("v{:016x}", visit.visit_id),
        at: words::Time { machine: at.timestamp().to_string(), human: words::time_of_day(&at) },
        company_id: format!("{:016x}", visit.company_id),
        initial: words::initial(&company),
        company,
        way,
        source: match visit.campaign.as_str() {
            "" => words::source(&visit.source, texts),
            campaign => format!("{}: {campaign}", words::source(&visit.source, texts)),
        },
        place: [visit.city.as_str(), visit.country_code.as_str()]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(", "),
        device: visit.device.clone(),
        pages: visit.path.len(),
        stayed: words::clock(visit.seconds.into()),
        goals: visit.goals.clone(),
        route: steps
            .take(ROUTE)
            .map(|((title, path), millis)| Step {
                title: (*title).to_owned(),
                path: path.clone(),
                stayed: words::clock(u64::from(*millis) / 1000),
            })
            .collect(),
        visitor: visit.visitor,
    }
}
