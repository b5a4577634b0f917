//! Companies of a window, the ones most worth a call first: what the brief, the list of companies and its feeds ask.
//!
//! One query aggregates the window's visits and joins what is known of each company over all time. The order is total
//! (the id breaks ties), so that pages of a list neither repeat nor miss a company.

use super::{
    Error,
    dates::{Window, zone},
    formulas::{ENGAGEMENT, completeness},
    intent::{self, BACK_AFTER_DAYS},
    reading::{all, read, with_instants},
    selection::{Selection, any_of, goal_conditions},
};
use crate::{
    feed::{Filter, Goal},
    site::Site,
    snapshot::Snapshot,
    store::Store,
    time::UnixMillis,
};
use clickhouse::Row;
use firmsight_resolver::CompanyId;
use serde::Deserialize;
use std::{collections::HashMap, sync::Arc};

const DAY: i64 = 86_400_000;
/// Pages named for each company.
const TOP_PAGES: u64 = 3;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    /// Whose companies.
    pub(crate) site: &'a Site,
    /// Control data, for the site's goals.
    pub(crate) snapshot: &'a Snapshot,
    /// First millisecond.
    pub(crate) from: UnixMillis,
    /// First millisecond after it.
    pub(crate) until: UnixMillis,
    /// Which companies; `None` means all.
    pub(crate) filter: Option<&'a Filter>,
    /// One company alone.
    pub(crate) company: Option<CompanyId>,
    /// What comes first.
    pub(crate) order: Order,
    /// How many at most.
    pub(crate) limit: u64,
    /// How many are passed over.
    pub(crate) offset: u64,
}

/// What comes first in a list of companies; each order is broken by the next best, at last by the id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Order {
    /// Reasons to call, then intent, quality, and the latest visit.
    #[default]
    Worth,
    /// Intent.
    Intent,
    /// Quality.
    Quality,
    /// Most visits.
    Visits,
    /// Most people.
    People,
    /// The latest visit.
    LastSeen,
    /// By name.
    Name,
}

impl Order {
    /// The word in an address.
    pub(crate) const ALL: [(&'static str, Self); 7] = [
        ("worth", Self::Worth),
        ("intent", Self::Intent),
        ("quality", Self::Quality),
        ("visits", Self::Visits),
        ("people", Self::People),
        ("last", Self::LastSeen),
        ("name", Self::Name),
    ];

    const fn sql(self) -> &'static str {
        match self {
            Self::Worth => "reasons DESC, ",
            Self::Intent => "intent DESC, ",
            Self::Quality => "quality DESC, ",
            Self::Visits => "visits DESC, ",
            Self::People => "people DESC, ",
            Self::LastSeen => "last_at DESC, ",
            Self::Name => "lower(name), ",
        }
    }
}

/// How a company stands to the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Its first visit ever is in the window.
    New,
    /// It was away for so many days, at least [`BACK_AFTER_DAYS`].
    Back(i64),
    /// It comes again.
    Returning,
}

/// Why a company is worth a look: the strongest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// It reached these goals.
    Goals(Vec<String>),
    /// It came back after so many days.
    Back(i64),
    /// It read pages that mean interest in buying so many times.
    KeyPages(u64),
    /// So many people came.
    People(u64),
    /// It came for the first time.
    New,
}

/// A company in the window.
#[derive(Clone, Debug)]
pub(crate) struct Ranked {
    /// What the query found.
    pub(crate) facts: Facts,
    /// The pages that were read longest: title or path, and milliseconds.
    pub(crate) pages: Vec<(String, u64)>,
    /// Why, the strongest first.
    pub(crate) reasons: Vec<Reason>,
}

impl Ranked {
    /// How it stands to the site.
    pub(crate) const fn kind(&self) -> Kind {
        if self.facts.is_new {
            Kind::New
        } else if self.facts.silent_days >= BACK_AFTER_DAYS {
            Kind::Back(self.facts.silent_days)
        } else {
            Kind::Returning
        }
    }

    /// Whether it is worth a call: a reason that is more than being here.
    pub(crate) const fn is_worth_a_call(&self) -> bool {
        self.facts.reasons >= 4
    }
}

/// Companies, and how many there are in all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ranking {
    /// In the asked order.
    pub(crate) companies: Vec<Ranked>,
    /// All, new and back ones that fit, also beyond this page; 0 beyond the last page.
    pub(crate) total: u64,
    /// Of them, those that are new.
    pub(crate) new: u64,
    /// Of them, those that are back.
    pub(crate) back: u64,
    /// Goals, and by how many visits each was reached on this page, most first.
    pub(crate) goals: Vec<(String, u64)>,
}

/// A company as the query finds it. Times are milliseconds since 1970.
#[derive(Clone, Debug, Row, Deserialize)]
pub(crate) struct Facts {
    pub(crate) company_id: u64,
    pub(crate) name: String,
    pub(crate) domain: String,
    pub(crate) industry: String,
    pub(crate) country_code: String,
    pub(crate) visits: u64,
    pub(crate) pageviews: u64,
    pub(crate) people: u64,
    pub(crate) seconds: u64,
    pub(crate) last_at: i64,
    pub(crate) is_new: bool,
    /// Between its visit before the window and the first one in it; 0 for new ones.
    pub(crate) silent_days: i64,
    pub(crate) key_reads: u64,
    /// Visits that reached each of the site's goals, in the order of their names.
    pub(crate) goals: Vec<u64>,
    pub(crate) intent: u8,
    pub(crate) quality: u8,
    pub(crate) reasons: u8,
    pub(crate) tags: Vec<String>,
    pub(crate) assignee: String,
    pub(crate) is_followed: bool,
    total: u64,
    total_new: u64,
    total_back: u64,
}

#[derive(Row, Deserialize)]
struct Page {
    company_id: u64,
    title: String,
    millis: u64,
}

/// Answers a question.
pub(crate) async fn ask(store: &Store, question: Question<'_>) -> Result<Ranking, Error> {
    let Question { site, snapshot, order, limit, offset, .. } = question;
    let window = Window::of_instants(question.from, question.until);
    let zone = zone(&site.timezone);
    let goals = goals_of(snapshot, site);
    let selection = Selection::of(&site.id, &window, question.filter, &zone);
    let (conditions, values) = goal_conditions(goals.iter().map(|goal| &goal.reached_by));
    let sql = sql(&conditions, &selection, order);
    let query = with_instants(read(store, &sql, &site.id), &window)
        .param("zone", &site.timezone)
        .param("limit", limit)
        .param("offset", offset);
    let query = selection.bind_to(values.bind(query)).param("company", question.company.map_or(0, |company| company.0));
    let found: Vec<Facts> = all(store, query).await?;
    let pages = pages(store, site, &window, &found).await?;
    Ok(ranking(found, pages, &goals))
}

/// The site's goals, by name.
fn goals_of(snapshot: &Snapshot, site: &Site) -> Vec<Arc<Goal>> {
    let mut goals: Vec<_> = snapshot.goals.values().filter(|goal| goal.site == site.id).cloned().collect();
    goals.sort_by(|one, other| one.name.cmp(&other.name).then(one.id.cmp(&other.id)));
    goals
}

fn sql(goals: &[String], selection: &Selection<'_>, order: Order) -> String {
    let reached: Vec<String> = goals.iter().map(|condition| format!("toUInt64(countIf({condition}))")).collect();
    // An array of none has no type of its own.
    let reached =
        if reached.is_empty() { "CAST([], 'Array(UInt64)')".to_owned() } else { format!("[{}]", reached.join(", ")) };
    let back = format!("silent_days >= {BACK_AFTER_DAYS} AND NOT is_new");
    format!(
        "SELECT company_id, name, domain, industry, country_code, visits, pageviews, people, seconds, last_at, is_new, \
            silent_days, key_reads, goals, {intent} AS intent, toUInt8({engagement} + completeness) AS quality, \
            {reasons} AS reasons, tags, assignee, is_followed, toUInt64(count() OVER ()) AS total, \
            toUInt64(countIf(is_new) OVER ()) AS total_new, toUInt64(countIf({back}) OVER ()) AS total_back \
        FROM (SELECT w.* EXCEPT company_id, w.company_id AS company_id, c.name AS name, c.domain AS domain, c.industry AS industry, c.country_code AS country_code, \
                c.completeness AS completeness, \
                toBool(c.first_ms >= {{from:Int64}}) AS is_new, \
                if(is_new OR b.before_ms = 0, toInt64(0), intDiv(w.first_at - b.before_ms, {DAY})) AS silent_days, \
                m.tags AS tags, m.assignee AS assignee, m.is_followed AS is_followed \
            FROM (SELECT company_id, toUInt64(count()) AS visits, toUInt64(sum(visit.pageviews)) AS pageviews, \
                    toUInt64(uniqExact(visit.visitor)) AS people, toUInt64(sum(visit.visit_length)) AS seconds, \
                    toUnixTimestamp64Milli(min(visit.started_at)) AS first_at, toUnixTimestamp64Milli(max(visit.started_at)) AS last_at, \
                    {reached} AS goals, {numbers} \
                FROM visits AS visit FINAL WHERE site = {{site:String}} AND company_id != 0 \
                    AND {{company:UInt64}} IN (0, company_id) \
                    AND started_at >= fromUnixTimestamp64Milli({{from:Int64}}) \
                    AND started_at < fromUnixTimestamp64Milli({{until:Int64}}) \
                    AND company_id IN ({ids}) \
                GROUP BY company_id) AS w \
            ANY LEFT JOIN (SELECT company_id, name, domain, industry, country_code, \
                    toUnixTimestamp64Milli(first_visit_at) AS first_ms, {completeness} AS completeness \
                FROM companies AS company FINAL WHERE site = {{site:String}}) AS c ON c.company_id = w.company_id \
            ANY LEFT JOIN (SELECT company_id, toUnixTimestamp64Milli(max(if(last_visit_at < fromUnixTimestamp64Milli({{from:Int64}}), \
                    last_visit_at, first_visit_at))) AS before_ms \
                FROM company_activity FINAL WHERE site = {{site:String}} \
                    AND first_visit_at < fromUnixTimestamp64Milli({{from:Int64}}) \
                GROUP BY company_id) AS b ON b.company_id = w.company_id \
            ANY LEFT JOIN (SELECT company_id, tags, assignee, is_followed FROM company_marks FINAL \
                WHERE site = {{site:String}}) AS m ON m.company_id = w.company_id) \
        ORDER BY {first}reasons DESC, intent DESC, quality DESC, last_at DESC, company_id \
        LIMIT {{limit:UInt64}} OFFSET {{offset:UInt64}}",
        intent = intent::intent(),
        engagement = ENGAGEMENT,
        reasons = intent::reasons(),
        numbers = intent::numbers(&any_of(goals)),
        ids = selection.ids(),
        completeness = completeness("company"),
        first = order.sql(),
    )
}

/// The pages that these companies read longest in the window.
async fn pages(store: &Store, site: &Site, window: &Window, found: &[Facts]) -> Result<Vec<Page>, Error> {
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT company_id, any(if(page_title = '', path, page_title)) AS title, toUInt64(sum(visible)) AS millis \
        FROM visits FINAL \
        ARRAY JOIN route_title AS page_title, route_path AS path, route_visible_ms AS visible \
        WHERE site = {{site:String}} AND company_id IN {{companies:Array(UInt64)}} \
            AND started_at >= fromUnixTimestamp64Milli({{from:Int64}}) \
            AND started_at < fromUnixTimestamp64Milli({{until:Int64}}) \
        GROUP BY company_id, path ORDER BY company_id, millis DESC, path LIMIT {TOP_PAGES} BY company_id"
    );
    let ids: Vec<u64> = found.iter().map(|facts| facts.company_id).collect();
    let query = with_instants(read(store, &sql, &site.id), window).param("companies", ids);
    all(store, query).await
}

fn ranking(found: Vec<Facts>, pages: Vec<Page>, goals: &[Arc<Goal>]) -> Ranking {
    let (total, new, back) = found.first().map_or((0, 0, 0), |first| (first.total, first.total_new, first.total_back));
    let mut of_company: HashMap<u64, Vec<(String, u64)>> = HashMap::new();
    for Page { company_id, title, millis } in pages {
        of_company.entry(company_id).or_default().push((title, millis));
    }
    let mut reached: Vec<(String, u64)> = goals
        .iter()
        .enumerate()
        .map(|(at, goal)| {
            let visits = found.iter().filter_map(|facts| facts.goals.get(at)).sum();
            (goal.name.clone(), visits)
        })
        .filter(|(_, visits)| *visits > 0)
        .collect();
    reached.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    let companies = found
        .into_iter()
        .map(|facts| {
            let pages = of_company.remove(&facts.company_id).unwrap_or_default();
            Ranked { reasons: reasons(&facts, goals), facts, pages }
        })
        .collect();
    Ranking { companies, total, new, back, goals: reached }
}

/// Why, in the order of their weight in [`intent::reasons`].
fn reasons(facts: &Facts, goals: &[Arc<Goal>]) -> Vec<Reason> {
    let reached: Vec<String> =
        goals.iter().zip(&facts.goals).filter(|(_, visits)| **visits > 0).map(|(goal, _)| goal.name.clone()).collect();
    let goals = (!reached.is_empty()).then_some(Reason::Goals(reached));
    let back = (facts.silent_days >= BACK_AFTER_DAYS).then_some(Reason::Back(facts.silent_days));
    let key_pages = (facts.key_reads >= 2).then_some(Reason::KeyPages(facts.key_reads));
    let people = (facts.people >= 2).then_some(Reason::People(facts.people));
    let new = facts.is_new.then_some(Reason::New);
    [goals, back, key_pages, people, new].into_iter().flatten().collect()
}
