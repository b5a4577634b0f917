//! Which companies a list of leads shows: those that visited within the window, are not hidden, and fit a feed's filter.
//!
//! # How a filter becomes SQL
//! One query reads the window's company days once. For each condition on what visits have, it keeps per company whether any
//! day has it (`leaf0`, `leaf1` …); sums and these flags, the company's row and its marks are then what the filter's
//! expression is made of. The expression's text consists of our own words alone: every value that a filter
//! holds travels as a server-side parameter (`p0`, `p1` …). An instant as an end of the window cuts through days; then the
//! same columns are made of the visits themselves.

use super::{
    Error,
    companies::Visited,
    dates::{Window, midnight},
    formulas::{ENGAGEMENT, HIDDEN, completeness},
    newest::Newest,
    reading::{all, count, read, with_instants, with_window},
};
use crate::{
    feed::{DateRange, Filter, GoalRule, NumberRange, TextMatch, VisitorKind},
    site::SiteId,
    store::Store,
};
use clickhouse::{Row, query::Query};
use jiff::{civil::Date, tz::TimeZone};
use serde::Deserialize;
use std::collections::{BTreeSet, HashMap};

/// One row per company and day of the window.
const DAYS: &str = "FROM company_activity FINAL \
    WHERE site = {site:String} AND company_id != 0 AND day BETWEEN {first_day:Date} AND {last_day:Date}";

/// One row per visit of the window.
const VISITS: &str = "FROM visits FINAL WHERE site = {site:String} AND company_id != 0 \
    AND started_at >= fromUnixTimestamp64Milli({from:Int64}) AND started_at < fromUnixTimestamp64Milli({until:Int64})";

const COMPANIES: &str = "(SELECT company_id, name, domain, industry, country_code, city, first_visit_at, employees_min, \
    employees_max, revenue_amount FROM companies FINAL WHERE site = {site:String})";

const MARKS: &str = "(SELECT company_id, tags, lists, assignee, is_followed FROM company_marks FINAL \
    WHERE site = {site:String})";

/// A set of texts that a company day has, and how the visits of that day have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Set {
    Sources,
    Mediums,
    Campaigns,
    Countries,
    Regions,
    Cities,
    Paths,
    EventNames,
}

impl Set {
    const fn column(self) -> &'static str {
        match self {
            Self::Sources => "sources",
            Self::Mediums => "mediums",
            Self::Campaigns => "campaigns",
            Self::Countries => "countries",
            Self::Regions => "regions",
            Self::Cities => "cities",
            Self::Paths => "paths",
            Self::EventNames => "event_names",
        }
    }

    const fn of_visit(self) -> &'static str {
        match self {
            Self::Sources => "[source] AS sources",
            Self::Mediums => "[medium] AS mediums",
            Self::Campaigns => "[campaign] AS campaigns",
            Self::Countries => "[country_code] AS countries",
            Self::Regions => "[region] AS regions",
            Self::Cities => "[city] AS cities",
            Self::Paths => "route_path AS paths",
            Self::EventNames => "event_names",
        }
    }

    /// What stands for none in the API.
    const fn none(self) -> &'static str {
        match self {
            Self::Sources => "(direct)",
            Self::Mediums => "(none)",
            _ => "",
        }
    }
}

/// A server-side parameter's value.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Texts(Vec<String>),
    Number(u64),
    Instant(i64),
}

/// A filter as SQL.
#[derive(Debug)]
struct Compiled {
    /// What its parameters' names begin with: two in one query need two.
    prefix: &'static str,
    values: Vec<Value>,
    leaves: Vec<String>,
    sets: BTreeSet<Set>,
    needs_company: bool,
    needs_marks: bool,
}

impl Compiled {
    const fn with_prefix(prefix: &'static str) -> Self {
        Self {
            prefix,
            values: Vec::new(),
            leaves: Vec::new(),
            sets: BTreeSet::new(),
            needs_company: false,
            needs_marks: false,
        }
    }

    /// Takes a value and returns its placeholder.
    fn value(&mut self, value: Value) -> String {
        let kind = match value {
            Value::Texts(_) => "Array(String)",
            Value::Number(_) => "UInt64",
            Value::Instant(_) => "Int64",
        };
        let placeholder = format!("{{{}{}:{kind}}}", self.prefix, self.values.len());
        self.values.push(value);
        placeholder
    }

    /// Whether a text, as an SQL expression, matches.
    fn text(&mut self, text: &str, matched: &TextMatch) -> String {
        match matched {
            TextMatch::Is(texts) => {
                let texts = self.value(Value::Texts(texts.clone()));
                format!("has({texts}, {text})")
            }
            TextMatch::Contains(texts) => {
                let parts = self.value(Value::Texts(lower(texts)));
                format!("multiSearchAnyCaseInsensitive({text}, {parts}) = 1")
            }
            TextMatch::StartsWith(texts) => {
                let parts = self.value(Value::Texts(lower(texts)));
                format!("arrayExists(part -> startsWith(lower({text}), part), {parts})")
            }
        }
    }

    /// Whether any text of a set matches, on any day.
    fn leaf(&mut self, set: Set, matched: &TextMatch) -> String {
        let column = set.column();
        let expression = if let TextMatch::Is(texts) = matched {
            // A visit from nowhere has an empty text, which the API shows by a word.
            let mut texts = texts.clone();
            if texts.iter().any(|text| text == set.none()) {
                texts.push(String::new());
            }
            let texts = self.value(Value::Texts(texts));
            format!("hasAny(entry.{column}, {texts})")
        } else {
            let shown = match set.none() {
                "" => "text".to_owned(),
                none => format!("if(text = '', '{none}', text)"),
            };
            format!("arrayExists(text -> {}, entry.{column})", self.text(&shown, matched))
        };
        let name = format!("leaf{}", self.leaves.len());
        self.sets.insert(set);
        self.leaves.push(format!("max({expression}) AS {name}"));
        format!("(w.{name} = 1)")
    }

    fn of_company(&mut self, column: &str, matched: &TextMatch) -> String {
        self.needs_company = true;
        self.text(&format!("c.{column}"), matched)
    }

    fn range(&mut self, number: &str, range: NumberRange) -> String {
        let least = range.min.map(|min| format!("{number} >= {}", self.value(Value::Number(min))));
        let most = range.max.map(|max| format!("{number} <= {}", self.value(Value::Number(max))));
        conjunction(least.into_iter().chain(most).collect())
    }

    fn days(&mut self, range: DateRange, zone: &TimeZone) -> String {
        self.needs_company = true;
        let start = |day: Option<Date>| day.and_then(|day| midnight(day, zone));
        let from = start(range.from).map(Value::Instant);
        let until = start(range.to.and_then(|day| day.tomorrow().ok())).map(Value::Instant);
        let first = "toUnixTimestamp64Milli(c.first_visit_at)";
        let from = from.map(|from| format!("{first} >= {}", self.value(from)));
        let until = until.map(|until| format!("{first} < {}", self.value(until)));
        conjunction(from.into_iter().chain(until).collect())
    }

    fn filter(&mut self, filter: &Filter, window: &Window, zone: &TimeZone) -> String {
        match filter {
            Filter::All(filters) => {
                conjunction(filters.iter().map(|filter| self.filter(filter, window, zone)).collect())
            }
            Filter::Any(filters) if filters.is_empty() => "0".to_owned(),
            Filter::Any(filters) => {
                let parts: Vec<_> = filters.iter().map(|filter| self.filter(filter, window, zone)).collect();
                format!("({})", parts.join(" OR "))
            }
            Filter::Not(filter) => format!("(NOT {})", self.filter(filter, window, zone)),
            Filter::Company(texts) => self.of_company("name", texts),
            Filter::Domain(texts) => self.of_company("domain", texts),
            Filter::Industry(texts) => self.of_company("industry", texts),
            Filter::Country(texts) => self.leaf(Set::Countries, texts),
            Filter::Region(texts) => self.leaf(Set::Regions, texts),
            Filter::City(texts) => self.leaf(Set::Cities, texts),
            Filter::Page(texts) => self.leaf(Set::Paths, texts),
            Filter::Source(texts) => self.leaf(Set::Sources, texts),
            Filter::Medium(texts) => self.leaf(Set::Mediums, texts),
            Filter::Campaign(texts) => self.leaf(Set::Campaigns, texts),
            Filter::Event(texts) => self.leaf(Set::EventNames, texts),
            Filter::Tag(texts) => {
                self.needs_marks = true;
                let matches = self.text("tag", texts);
                format!("arrayExists(tag -> {matches}, m.tags)")
            }
            Filter::Assignee(texts) => {
                self.needs_marks = true;
                self.text("m.assignee", texts)
            }
            Filter::List(lists) => {
                self.needs_marks = true;
                let lists = self.value(Value::Texts(lists.iter().map(ToString::to_string).collect()));
                format!("hasAny(m.lists, {lists})")
            }
            Filter::Followed(is_followed) => {
                self.needs_marks = true;
                if *is_followed { "m.is_followed".to_owned() } else { "(NOT m.is_followed)".to_owned() }
            }
            Filter::Visits(range) => self.range("w.visits", *range),
            Filter::Pageviews(range) => self.range("w.pageviews", *range),
            Filter::Duration(range) => self.range("w.seconds", *range),
            Filter::Quality(range) => {
                self.needs_company = true;
                let quality = format!("({} + {})", ENGAGEMENT.replace("pageviews", "w.pageviews"), completeness("c"));
                self.range(&quality, *range)
            }
            Filter::Employees(range) => self.employees(*range),
            Filter::FirstSeen(range) => self.days(*range, zone),
            Filter::Visitor(kind) => {
                self.needs_company = true;
                let from = self.value(Value::Instant(window.from.0));
                let operator = match kind {
                    VisitorKind::New => ">=",
                    VisitorKind::Returning => "<",
                };
                format!("(toUnixTimestamp64Milli(c.first_visit_at) {operator} {from})")
            }
        }
    }

    /// A range of employees fits when all of it lies in the asked one.
    fn employees(&mut self, range: NumberRange) -> String {
        self.needs_company = true;
        let least = range.min.map(|min| format!("c.employees_min >= {}", self.value(Value::Number(min))));
        let most = range.max.map(|max| format!("c.employees_max <= {}", self.value(Value::Number(max))));
        format!("ifNull({}, 0)", conjunction(least.into_iter().chain(most).collect()))
    }

    fn bind(&self, mut query: Query) -> Query {
        for (index, value) in self.values.iter().enumerate() {
            let name = format!("{}{index}", self.prefix);
            query = match value {
                Value::Texts(texts) => query.param(&name, texts),
                Value::Number(number) => query.param(&name, number),
                Value::Instant(instant) => query.param(&name, instant),
            };
        }
        query
    }
}

/// Whether a visit reached any of these goals, as an SQL expression over a row of `visits`, and its values.
pub(crate) fn goal_condition<'a>(goals: impl Iterator<Item = &'a GoalRule>) -> (String, GoalValues) {
    let (parts, values) = goal_conditions(goals);
    (any_of(&parts), values)
}

/// Whether any of these conditions holds.
pub(super) fn any_of(conditions: &[String]) -> String {
    if conditions.is_empty() { "0".to_owned() } else { conditions.join(" OR ") }
}

/// For each goal whether a visit reached it, as [`goal_condition`].
pub(super) fn goal_conditions<'a>(goals: impl Iterator<Item = &'a GoalRule>) -> (Vec<String>, GoalValues) {
    let mut compiled = Compiled::with_prefix("g");
    let parts: Vec<String> = goals
        .map(|goal| {
            let (column, texts) = match goal {
                GoalRule::Page(texts) => ("route_path", texts),
                GoalRule::Event(texts) => ("event_names", texts),
            };
            format!("arrayExists(text -> {}, {column})", compiled.text("text", texts))
        })
        .collect();
    (parts, GoalValues(compiled))
}

/// The values of a goal condition.
pub(crate) struct GoalValues(Compiled);

impl GoalValues {
    pub(crate) fn bind(&self, query: Query) -> Query {
        self.0.bind(query)
    }
}

fn lower(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| text.to_ascii_lowercase()).collect()
}

fn conjunction(parts: Vec<String>) -> String {
    if parts.is_empty() { "1".to_owned() } else { format!("({})", parts.join(" AND ")) }
}

/// Companies of a window.
#[derive(Debug)]
pub(crate) struct Selection<'a> {
    site: &'a SiteId,
    window: &'a Window,
    compiled: Compiled,
    /// `FROM …` and `WHERE …`: one row `w` for each company.
    from: String,
}

/// A company within the window, as exports tell of it.
#[derive(Debug, Row, Deserialize)]
pub(crate) struct WindowStats {
    pub(crate) company_id: u64,
    /// Visits of one page.
    pub(crate) bounces: u64,
    /// Milliseconds since 1970.
    pub(crate) last_visit: i64,
    /// Search terms, each once.
    pub(crate) keywords: Vec<String>,
}

/// Counts over visits of companies.
#[derive(Clone, Copy, Debug, Default, Row, Deserialize)]
pub(crate) struct Counts {
    pub(crate) visits: u64,
    pub(crate) pageviews: u64,
    pub(crate) companies: u64,
    pub(crate) visitors: u64,
}

#[derive(Row, Deserialize)]
struct Found {
    company_id: u64,
    visits: u64,
    pageviews: u64,
    total: u64,
}

/// By the first visit within the window; a company's id breaks ties.
#[derive(Clone, Copy)]
enum Order {
    OldestFirst,
    NewestFirst,
}

impl<'a> Selection<'a> {
    /// The companies that fit a filter, or all.
    pub(crate) fn of(site: &'a SiteId, window: &'a Window, filter: Option<&Filter>, zone: &TimeZone) -> Self {
        let mut compiled = Compiled::with_prefix("p");
        let condition = filter.map_or_else(|| "1".to_owned(), |filter| compiled.filter(filter, window, zone));
        let from = from(window, &compiled, &condition);
        Self { site, window, compiled, from }
    }

    /// A page in the order of the first visit within the window, and how many companies there are in all.
    pub(crate) async fn page(&self, store: &Store, limit: u64, offset: u64) -> Result<(Vec<Visited>, u64), Error> {
        self.ordered(store, Order::OldestFirst, limit, offset).await
    }

    async fn ordered(
        &self,
        store: &Store,
        order: Order,
        limit: u64,
        offset: u64,
    ) -> Result<(Vec<Visited>, u64), Error> {
        let order = match order {
            Order::OldestFirst => "w.first_at, w.company_id",
            Order::NewestFirst => "w.first_at DESC, w.company_id DESC",
        };
        let sql = format!(
            "SELECT w.company_id AS company_id, w.visits AS visits, w.pageviews AS pageviews, \
                toUInt64(count() OVER ()) AS total {} \
            ORDER BY {order} LIMIT {{limit:UInt64}} OFFSET {{offset:UInt64}}",
            self.from
        );
        let query = self.bind(store, &sql).param("limit", limit).param("offset", offset);
        let found = all::<Found>(store, query).await?;
        let total = match found.first() {
            Some(first) => first.total,
            None if offset == 0 && limit > 0 => 0,
            None => count(store, self.bind(store, &format!("SELECT toUInt64(count()) AS total {}", self.from))).await?,
        };
        let visited =
            |found: Found| Visited { company_id: found.company_id, visits: found.visits, pageviews: found.pageviews };
        Ok((found.into_iter().map(visited).collect(), total))
    }

    /// Companies in the order of their first visit within the window, the newest first, and how many the walk is among.
    pub(crate) async fn newest(&self, store: &Store, newest: Newest) -> Result<(Vec<Visited>, u64), Error> {
        let Newest { skip, take, among } = newest;
        let Some(total) = among else { return self.ordered(store, Order::NewestFirst, take, skip).await };
        let (offset, limit) = newest.counted_from_oldest(total);
        let (mut visited, _) = self.ordered(store, Order::OldestFirst, limit, offset).await?;
        visited.reverse();
        Ok((visited, total))
    }

    /// Counts over the visits of all these companies within the window.
    pub(crate) async fn counts(&self, store: &Store) -> Result<Counts, Error> {
        let sql = format!(
            "SELECT count() AS visits, sum(entry.pageviews) AS pageviews, uniqExact(entry.company_id) AS companies, \
                uniqExact(entry.visitor) AS visitors \
            FROM (SELECT company_id, pageviews, visitor {VISITS}) AS entry \
            WHERE entry.company_id IN (SELECT w.company_id {})",
            self.from
        );
        let query = self.bind(store, &sql);
        // Days bind the company days; the visits go by instants.
        let query = if self.window.days.is_some() { with_instants(query, self.window) } else { query };
        all::<Counts>(store, query).await?.pop().ok_or(Error::NoRow("counts"))
    }

    /// What exports tell of some companies besides.
    pub(crate) async fn stats(&self, store: &Store, companies: &[Visited]) -> Result<HashMap<u64, WindowStats>, Error> {
        if companies.is_empty() {
            return Ok(HashMap::new());
        }
        let rows = if self.window.days.is_some() {
            format!("SELECT company_id, toUInt64(bounces) AS bounced, last_visit_at, terms {DAYS}")
        } else {
            format!(
                "SELECT company_id, toUInt64(pageviews <= 1) AS bounced, started_at AS last_visit_at, [term] AS terms {VISITS}"
            )
        };
        let sql = format!(
            "SELECT company_id, sum(entry.bounced) AS bounces, \
                toUnixTimestamp64Milli(max(entry.last_visit_at)) AS last_visit, \
                arraySort(arrayFilter(term -> term != '', groupUniqArrayArray(1000)(entry.terms))) AS keywords \
            FROM ({rows}) AS entry WHERE company_id IN {{companies:Array(UInt64)}} GROUP BY company_id"
        );
        let ids: Vec<u64> = companies.iter().map(|company| company.company_id).collect();
        let query = with_window(read(store, &sql, self.site), self.window).param("companies", ids);
        let found: Vec<WindowStats> = all(store, query).await?;
        Ok(found.into_iter().map(|stats| (stats.company_id, stats)).collect())
    }

    /// A subquery of their ids; [`Self::bind_to`] gives its values.
    pub(super) fn ids(&self) -> String {
        format!("SELECT w.company_id {}", self.from)
    }

    /// Binds what the subquery of ids needs besides site and window.
    pub(super) fn bind_to(&self, query: Query) -> Query {
        self.compiled.bind(query)
    }

    fn bind(&self, store: &Store, sql: &str) -> Query {
        self.compiled.bind(with_window(read(store, sql, self.site), self.window))
    }
}

fn from(window: &Window, compiled: &Compiled, condition: &str) -> String {
    let leaves: String = compiled.leaves.iter().map(|leaf| format!(", {leaf}")).collect();
    let rows = if window.days.is_some() {
        let sets: String = compiled.sets.iter().map(|set| format!(", {}", set.column())).collect();
        format!("SELECT company_id, visits, pageviews, visit_length, first_visit_at{sets} {DAYS}")
    } else {
        let sets: String = compiled.sets.iter().map(|set| format!(", {}", set.of_visit())).collect();
        format!("SELECT company_id, 1 AS visits, pageviews, visit_length, started_at AS first_visit_at{sets} {VISITS}")
    };
    let company = if compiled.needs_company {
        format!(" ANY LEFT JOIN {COMPANIES} AS c ON c.company_id = w.company_id")
    } else {
        String::new()
    };
    let marks = if compiled.needs_marks {
        format!(" ANY LEFT JOIN {MARKS} AS m ON m.company_id = w.company_id")
    } else {
        String::new()
    };
    format!(
        "FROM (SELECT entry.company_id AS company_id, toUInt64(sum(entry.visits)) AS visits, \
            toUInt64(sum(entry.pageviews)) AS pageviews, toUInt64(sum(entry.visit_length)) AS seconds, \
            min(entry.first_visit_at) AS first_at{leaves} \
            FROM ({rows}) AS entry GROUP BY entry.company_id) AS w{company}{marks} \
        WHERE w.company_id NOT IN {HIDDEN} AND {condition}"
    )
}
