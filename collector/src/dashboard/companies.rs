//! The list of companies: filters as chips, search, order, pages, CSV. The address holds all of it, so that a view can be sent.

use super::{
    Shared,
    admission::Viewer,
    answer::{self, PageError},
    frame::Frame,
    parameters::Query,
    texts::{ENGLISH, Texts},
    today::{self, Nothing},
    words::{self, KindWords, Time},
};
use crate::{
    feed::{Filter, NumberRange, TextMatch, VisitorKind},
    plain_text::for_spreadsheet,
    reports::{
        drops,
        ranking::{self, Order, Question, Ranked, Ranking},
    },
    site::Site,
    time::UnixMillis,
};
use askama::Template;
use axum::{
    Extension,
    extract::{Path, RawQuery, State},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use jiff::tz::TimeZone;
use std::sync::Arc;
use uuid::Uuid;

const DAY: i64 = 86_400_000;
/// Rows of a page.
const ROWS: u64 = 50;
/// The last page that is counted to: nobody reads on for ever.
const LAST_PAGE: u64 = 1_000;
/// Rows of a CSV file.
const CSV_ROWS: u64 = 10_000;
/// Dates where none are asked for, in days.
const USUAL_DAYS: u32 = 7;

#[derive(Template)]
#[template(path = "companies.html")]
struct CompaniesPage {
    frame: Frame,
    total: String,
    spans: Vec<Link>,
    /// What the search form must keep: name and text of each other parameter.
    kept: Vec<(String, String)>,
    query: Query,
    chips: Vec<Chip>,
    columns: Vec<Column>,
    rows: Vec<Row>,
    shown: String,
    previous: Option<String>,
    next: Option<String>,
    csv: String,
    api_call: String,
    nothing: Option<Nothing>,
}

/// A choice in words.
pub(super) struct Link {
    pub(super) name: String,
    pub(super) href: String,
    pub(super) is_chosen: bool,
}

/// A filter in words, and the address without it.
struct Chip {
    name: String,
    text: String,
    without: String,
}

struct Column {
    name: &'static str,
    class: &'static str,
    href: String,
    is_order: bool,
}

struct Row {
    id: String,
    initial: String,
    name: String,
    country: String,
    sign: String,
    tags: Vec<String>,
    kind: KindWords,
    intent: u8,
    quality: u8,
    visits: u64,
    people: u64,
    owner: String,
    seen: Time,
}

/// What an address asks for.
struct View {
    query: Query,
    days: u32,
    order: (&'static str, Order),
    filter: Option<Filter>,
    chips: Vec<Chip>,
}

impl View {
    fn read(query: Query, viewer: &Viewer, site: &Site, texts: &Texts) -> Result<Self, PageError> {
        let asked = query.text("sort");
        let order = Order::ALL.into_iter().find(|(word, _)| *word == asked).unwrap_or(("worth", Order::Worth));
        let (filter, chips) = filters(&query, viewer, site, texts);
        if let Some(filter) = &filter {
            filter.check().map_err(|rule| PageError::Refused(rule.to_string()))?;
        }
        Ok(Self { days: asked_days(&query, texts), query, order, filter, chips })
    }

    fn question<'a>(&'a self, viewer: &'a Viewer, site: &'a Site, (limit, offset): (u64, u64)) -> Question<'a> {
        let end = viewer.now.0.saturating_add(1);
        Question {
            site,
            snapshot: &viewer.snapshot,
            from: UnixMillis(end.saturating_sub(i64::from(self.days) * DAY)),
            until: UnixMillis(end),
            filter: self.filter.as_ref(),
            company: None,
            order: self.order.1,
            limit,
            offset,
        }
    }
}

/// The days that an address asks for, of those that are offered.
pub(super) fn asked_days(query: &Query, texts: &Texts) -> u32 {
    let asked = query.number("days").filter(|asked| texts.day_spans.iter().any(|(days, _)| days == asked));
    asked.unwrap_or(USUAL_DAYS)
}

/// The days that are offered.
pub(super) fn spans(query: &Query, chosen: u32, texts: &Texts) -> Vec<Link> {
    let link = |(days, name): (u32, &str)| Link {
        name: name.to_owned(),
        href: query.with("days", Some(&days.to_string())),
        is_chosen: days == chosen,
    };
    texts.day_spans.into_iter().map(link).collect()
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
    let view = View::read(Query::read(query.as_deref()), &viewer, &site, texts)?;
    viewer.reads(&site.id)?;
    let store = &shared.state.store;
    let page = view.query.number::<u64>("page").unwrap_or(1).clamp(1, LAST_PAGE);
    let offset = (page - 1) * ROWS;
    let ranking = ranking::ask(store, view.question(&viewer, &site, (ROWS, offset))).await?;
    let nothing =
        if ranking.companies.is_empty() { Some(nothing(&shared, &viewer, &site, &view, texts).await?) } else { None };
    let zone = TimeZone::get(&site.timezone).unwrap_or(TimeZone::UTC);
    let to_page = |number: u64| view.query.with("page", Some(&number.to_string()));
    let last = offset + ranking.companies.len() as u64;
    let Ranking { companies, total, .. } = ranking;
    answer::page(&CompaniesPage {
        frame: Frame::of(&viewer, &headers, Some(&site), "companies", texts.companies),
        total: (texts.count_companies)(total),
        spans: spans(&view.query, view.days, texts),
        kept: kept(&view.query),
        columns: columns(&view, texts),
        rows: companies.iter().map(|company| row(company, viewer.now, &zone, texts)).collect(),
        shown: (texts.shown)((offset + 1).min(last), last, total),
        previous: (page > 1).then(|| to_page(page - 1)),
        next: (last < total && page < LAST_PAGE).then(|| to_page(page + 1)),
        csv: format!("/sites/{}/companies.csv{}", site.id, view.query.as_is()),
        api_call: api_call(&shared, &site, viewer.now, view.days, &zone),
        nothing,
        chips: view.chips,
        query: view.query,
    })
}

/// The same list as a file for a spreadsheet.
pub(super) async fn csv(
    State(shared): State<Arc<Shared>>,
    Extension(viewer): Extension<Viewer>,
    Path(site): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let texts = &ENGLISH;
    let site = viewer.site(&site)?;
    let view = View::read(Query::read(query.as_deref()), &viewer, &site, texts)?;
    viewer.reads(&site.id)?;
    let ranking = ranking::ask(&shared.state.store, view.question(&viewer, &site, (CSV_ROWS, 0))).await?;
    let body = csv_of(&ranking, texts).map_err(|error| PageError::Refused(error.to_string()))?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8; header=present")),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"companies.csv\"")),
    ];
    Ok((headers, body).into_response())
}

fn csv_of(ranking: &Ranking, texts: &Texts) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record([
        "id",
        "name",
        "domain",
        "industry",
        "country",
        "kind",
        "why",
        "intent",
        "quality",
        "visits",
        "people",
        "pageviews",
        "seconds",
        "last_visit",
        "tags",
        "owner",
    ])?;
    for company in &ranking.companies {
        let facts = &company.facts;
        let last = jiff::Timestamp::from_millisecond(facts.last_at).unwrap_or_default();
        let id = format!("{:016x}", facts.company_id);
        let numbers =
            [facts.intent.into(), facts.quality.into(), facts.visits, facts.people, facts.pageviews, facts.seconds];
        let texts_before = [
            id,
            facts.name.clone(),
            facts.domain.clone(),
            facts.industry.clone(),
            facts.country_code.clone(),
            words::kind(company.kind(), texts).text,
            words::sentence(&company.reasons, texts),
        ];
        let texts_after = [last.to_string(), facts.tags.join(", "), facts.assignee.clone()];
        let cell = |text: String| for_spreadsheet(&text).into_owned();
        let numbers = numbers.map(|number: u64| number.to_string());
        let cells = texts_before.into_iter().map(cell).chain(numbers).chain(texts_after.into_iter().map(cell));
        writer.write_record(cells)?;
    }
    writer.into_inner().map_err(|error| error.into_error().into())
}

/// The filters of an address, and what they are called.
fn filters(query: &Query, viewer: &Viewer, site: &Site, texts: &Texts) -> (Option<Filter>, Vec<Chip>) {
    let mut filters = Vec::new();
    let mut chips = Vec::new();
    let mut take = |parameter: &str, name: &str, text: String, filter: Filter| {
        filters.push(filter);
        chips.push(Chip { name: name.to_owned(), text, without: query.with(parameter, None) });
    };
    if let Some(text) = query.given("q") {
        let contains = || TextMatch::Contains(vec![text.to_owned()]);
        let filter =
            Filter::Any(vec![Filter::Company(contains()), Filter::Domain(contains()), Filter::Tag(contains())]);
        take("q", texts.search_hint, (texts.contains)(text), filter);
    }
    if let Some(min) = query.number::<u64>("quality") {
        let filter = Filter::Quality(NumberRange { min: Some(min), max: None });
        take("quality", texts.quality, (texts.or_more)(&min.to_string()), filter);
    }
    if let Some(min) = query.number::<u64>("visits") {
        let filter = Filter::Visits(NumberRange { min: Some(min), max: None });
        take("visits", texts.visits, (texts.or_more)(&min.to_string()), filter);
    }
    if let Some(text) = query.given("country") {
        let codes: Vec<String> =
            text.split([',', ' ']).filter(|code| !code.is_empty()).map(str::to_uppercase).collect();
        take("country", texts.country, codes.join(", "), Filter::Country(TextMatch::Is(codes)));
    }
    for (parameter, name, filter) in [
        ("page_path", texts.page, Filter::Page as fn(TextMatch) -> Filter),
        ("source", texts.source, Filter::Source),
        ("tag", texts.tag, Filter::Tag),
    ] {
        if let Some(text) = query.given(parameter) {
            take(parameter, name, (texts.contains)(text), filter(TextMatch::Contains(vec![text.to_owned()])));
        }
    }
    if let Some(text) = query.given("assignee") {
        take("assignee", texts.owner, text.to_owned(), Filter::Assignee(TextMatch::Is(vec![text.to_owned()])));
    }
    match query.text("kind") {
        "new" => take("kind", texts.kind, texts.kind_new.to_owned(), Filter::Visitor(VisitorKind::New)),
        "returning" => {
            take("kind", texts.kind, texts.kind_returning.to_owned(), Filter::Visitor(VisitorKind::Returning))
        }
        _ => {}
    }
    if query.text("followed") == "yes" {
        take("followed", texts.followed, String::new(), Filter::Followed(true));
    }
    if let Some(id) = query.given("feed") {
        let feed = Uuid::parse_str(id).ok().and_then(|id| viewer.snapshot.feeds.get(&id));
        match feed.filter(|feed| feed.site == site.id) {
            Some(feed) => take("feed", texts.feed, feed.name.clone(), feed.filter.clone()),
            // An old link shows that its feed is gone rather than another list in its place.
            None => take("feed", texts.feed, texts.removed_feed.to_owned(), Filter::Any(Vec::new())),
        }
    }
    let filter = (!filters.is_empty()).then_some(Filter::All(filters));
    (filter, chips)
}

/// What the search form doesn't ask for itself.
fn kept(query: &Query) -> Vec<(String, String)> {
    ["days", "sort", "kind", "followed", "feed", "assignee"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), query.given(name)?.to_owned())))
        .collect()
}

fn columns(view: &View, texts: &Texts) -> Vec<Column> {
    [
        ("name", texts.company, ""),
        ("worth", texts.strongest_sign, ""),
        ("", texts.kind, ""),
        ("intent", texts.intent, "n"),
        ("quality", texts.quality, "n q"),
        ("visits", texts.visits, "n opt"),
        ("people", texts.people, "n opt"),
        ("", texts.owner, "own"),
        ("last", texts.last_seen, "n"),
    ]
    .into_iter()
    .map(|(word, name, class)| Column {
        name,
        class,
        href: if word.is_empty() { String::new() } else { view.query.with("sort", Some(word)) },
        is_order: word == view.order.0,
    })
    .collect()
}

fn row(company: &Ranked, now: UnixMillis, zone: &TimeZone, texts: &Texts) -> Row {
    let facts = &company.facts;
    let name = words::company_name(&facts.name, &facts.domain, texts);
    Row {
        id: format!("{:016x}", facts.company_id),
        initial: words::initial(&name),
        name,
        country: facts.country_code.clone(),
        sign: words::sign(company, texts),
        tags: facts.tags.iter().take(3).cloned().collect(),
        kind: words::kind(company.kind(), texts),
        intent: facts.intent,
        quality: facts.quality,
        visits: facts.visits,
        people: facts.people,
        owner: facts.assignee.clone(),
        seen: words::ago(facts.last_at, now, zone, texts),
    }
}

/// Why no company is in the list.
async fn nothing(
    shared: &Shared,
    viewer: &Viewer,
    site: &Site,
    view: &View,
    texts: &Texts,
) -> Result<Nothing, PageError> {
    if view.filter.is_some() {
        return Ok(Nothing {
            heading: texts.nothing_fits.to_owned(),
            text: texts.nothing_fits_text.to_owned(),
            code: None,
            hint: None,
            leads_to_filtered: false,
        });
    }
    let zone = TimeZone::get(&site.timezone).unwrap_or(TimeZone::UTC);
    let last = words::zoned(viewer.now.0, &zone).date();
    let first = words::zoned(viewer.now.0.saturating_sub(i64::from(view.days) * DAY), &zone).date();
    let drops = drops::by_day(&shared.state.store, &site.id, (first, last)).await?;
    Ok(today::nothing(site, &shared.state.script_path, true, &today::by_reason(&drops), texts))
}

/// The same dates, asked by a program.
fn api_call(shared: &Shared, site: &Site, now: UnixMillis, days: u32, zone: &TimeZone) -> String {
    let last = words::zoned(now.0, zone).date();
    let first = words::zoned(now.0.saturating_sub(i64::from(days) * DAY), zone).date();
    let base = shared.state.base_url.trim_end_matches('/');
    format!(
        "curl -G -H \"X-Api-Key: $KEY\" \\\n  {base}/accounts/{}/leads \\\n  -d start_date={first} -d end_date={last}",
        site.id
    )
}
