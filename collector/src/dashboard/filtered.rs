//! What was filtered out, why, and which setting changes that.

use super::{
    Shared,
    admission::Viewer,
    answer::{self, PageError},
    chart::{Chart, Day, days_between},
    companies::{Link, asked_days, spans},
    frame::Frame,
    parameters::Query,
    texts::{ENGLISH, Texts},
    today::by_reason,
    words,
};
use crate::reports::drops::{self, DroppedEvents};
use askama::Template;
use axum::{
    Extension,
    extract::{Path, RawQuery, State},
    http::HeaderMap,
    response::Response,
};
use jiff::{ToSpan, civil::Date, tz::TimeZone};
use std::{collections::HashMap, sync::Arc};

#[derive(Template)]
#[template(path = "filtered.html")]
struct FilteredPage {
    frame: Frame,
    count: String,
    spans: Vec<Link>,
    chart: Chart,
    reasons: Vec<Reason>,
}

struct Reason {
    word: String,
    name: &'static str,
    events: u64,
    share: String,
    chart: Chart,
    meaning: &'static str,
    change: &'static str,
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
    let asked = asked_days(&query, texts);
    let zone = TimeZone::get(&site.timezone).unwrap_or(TimeZone::UTC);
    let last = words::zoned(viewer.now.0, &zone).date();
    let first = last.saturating_sub((i64::from(asked) - 1).days());
    let drops = drops::by_day(&shared.state.store, &site.id, (first, last)).await?;
    let reasons = by_reason(&drops);
    let total: u64 = reasons.iter().map(|(_, events)| events).sum();
    let chart = |reason: Option<&str>, label: &str| chart_of(&drops, reason, label, (first, last), texts);
    answer::page(&FilteredPage {
        frame: Frame::of(&viewer, &headers, Some(&site), "filtered", texts.filtered),
        count: (texts.filtered_count)(total, asked),
        spans: spans(&query, asked, texts),
        chart: chart(None, texts.events_a_day),
        reasons: reasons
            .into_iter()
            .map(|(word, events)| {
                let (name, meaning, change) = (texts.drop_reason)(&word);
                let chart = chart(Some(&word), name);
                Reason { name, events, share: share(events, total), chart, meaning, change, word }
            })
            .collect(),
    })
}

/// `< 1 %` rather than none of something.
fn share(events: u64, total: u64) -> String {
    match events.saturating_mul(100) / total.max(1) {
        0 => "< 1 %".to_owned(),
        percent => format!("{percent} %"),
    }
}

fn chart_of(
    drops: &[DroppedEvents],
    reason: Option<&str>,
    label: &str,
    (first, last): (Date, Date),
    texts: &Texts,
) -> Chart {
    let mut found: HashMap<&str, u64> = HashMap::new();
    for drop in drops.iter().filter(|drop| reason.is_none_or(|reason| drop.reason == reason)) {
        *found.entry(&drop.day_text).or_default() += drop.dropped;
    }
    let bars = days_between(first, last)
        .map(|date| {
            let events = found.get(date.to_string().as_str()).copied().unwrap_or(0);
            Day { title: format!("{}: {events}", words::day(date, texts)), parts: vec![("k1", events)] }
        })
        .collect();
    let (first, last) = (words::day(first, texts), words::day(last, texts));
    Chart::of(format!("{label}, {first} – {last}"), (first, last), bars)
}
