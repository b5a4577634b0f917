//! Quality and intent as formulas in SQL: docs/scores.md explains them for people.

use super::{
    Error,
    dates::Window,
    formulas::{ENGAGEMENT, FACTS},
    reading::{all, read, with_instants},
    selection::goal_condition,
};
use crate::{site::Site, snapshot::Snapshot, store::Store};
use clickhouse::Row;
use firmsight_resolver::CompanyId;
use serde::Deserialize;

const DAY: i64 = 86_400_000;

/// A company's scores within some dates.
#[derive(Debug)]
pub(crate) struct Score {
    pub(crate) quality: Points,
    pub(crate) intent: Points,
}

/// A score and what it is made of.
#[derive(Debug)]
pub(crate) struct Points {
    /// 0 to 10: the sum of the parts.
    pub(crate) score: u8,
    pub(crate) parts: Vec<Part>,
}

/// A part of a score.
#[derive(Debug)]
pub(crate) struct Part {
    /// Such as `engagement` or `recency`.
    pub(crate) name: &'static str,
    /// What it rests on: how many, how much, or days since.
    pub(crate) value: f64,
    /// What it contributes.
    pub(crate) points: u8,
    /// What it may contribute.
    pub(crate) of: u8,
}

impl Points {
    fn of(parts: Vec<Part>) -> Self {
        Self { score: parts.iter().map(|part| part.points).sum(), parts }
    }
}

#[derive(Row, Deserialize)]
struct Numbers {
    pageview_count: u64,
    engagement: u8,
    /// One point for each fact of the company; no row where it has none.
    facts: Vec<Vec<u8>>,
    goal_visits: u64,
    goal_points: u8,
    days: u64,
    day_points: u8,
    visitors: u64,
    visitor_points: u8,
    since_last_visit: i64,
    recency_points: u8,
    depth: f64,
    depth_points: u8,
}

/// The company's scores: one query over its visits within the window.
pub(crate) async fn of(
    store: &Store,
    snapshot: &Snapshot,
    site: &Site,
    company: CompanyId,
    window: &Window,
) -> Result<Score, Error> {
    let goals = snapshot.goals.values().filter(|goal| goal.site == site.id);
    let (reached, bind) = goal_condition(goals.map(|goal| &goal.reached_by));
    let sql = format!(
        "SELECT pageview_count, toUInt8({engagement}) AS engagement, \
            (SELECT groupArray([{facts}]) FROM companies AS company FINAL \
                WHERE site = {{site:String}} AND company_id = {{company:UInt64}}) AS facts, \
            goal_visits, toUInt8((goal_visits >= 1) + (goal_visits >= 3)) AS goal_points, \
            days, toUInt8((days >= 2) + (days >= 5)) AS day_points, \
            visitors, toUInt8((visitors >= 2) + (visitors >= 4)) AS visitor_points, \
            since_last_visit, \
            toUInt8(if(visits = 0, 0, (since_last_visit < 30 * {DAY}) + (since_last_visit < 7 * {DAY}))) AS recency_points, \
            if(visits = 0, 0, pageview_count / visits) AS depth, toUInt8((depth >= 3) + (depth >= 6)) AS depth_points \
        FROM (SELECT toUInt64(count()) AS visits, toUInt64(sum(pageviews)) AS pageview_count, \
                toUInt64(countIf({reached})) AS goal_visits, \
                toUInt64(uniqExact(toDate(started_at, {{zone:String}}))) AS days, \
                toUInt64(uniqExact(visitor)) AS visitors, \
                if(visits = 0, toInt64(0), {{until:Int64}} - toUnixTimestamp64Milli(max(started_at))) AS since_last_visit \
            FROM visits FINAL WHERE site = {{site:String}} AND company_id = {{company:UInt64}} \
                AND started_at >= fromUnixTimestamp64Milli({{from:Int64}}) \
                AND started_at < fromUnixTimestamp64Milli({{until:Int64}}))",
        engagement = ENGAGEMENT.replace("pageviews", "pageview_count"),
        facts = FACTS.map(|(_, known)| format!("toUInt8({known})")).join(", "),
    );
    let query = with_instants(read(store, &sql, &site.id), window).param("company", company.0);
    let query = bind.bind(query.param("zone", &site.timezone));
    let found: Vec<Numbers> = all(store, query).await?;
    let numbers = found.into_iter().next().ok_or(Error::NoRow("scores"))?;
    let part = |name: &'static str, value: f64, points, of| Part { name, value, points, of };
    let known = numbers.facts.into_iter().flatten();
    let facts = FACTS.iter().zip(known).map(|((name, _), points)| part(name, f64::from(points), points, 1));
    let engagement = part("engagement", numbers.pageview_count as f64, numbers.engagement, 5);
    Ok(Score {
        quality: Points::of(std::iter::once(engagement).chain(facts).collect()),
        intent: Points::of(vec![
            part("goals", numbers.goal_visits as f64, numbers.goal_points, 2),
            part("active_days", numbers.days as f64, numbers.day_points, 2),
            part("visitors", numbers.visitors as f64, numbers.visitor_points, 2),
            part("recency", (numbers.since_last_visit / DAY) as f64, numbers.recency_points, 2),
            part("depth", numbers.depth, numbers.depth_points, 2),
        ]),
    })
}
