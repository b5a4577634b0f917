//! Quality and intent as formulas in SQL: docs/scores.md explains them for people.

use super::{
    Error,
    dates::Window,
    formulas::{ENGAGEMENT, FACTS},
    intent,
    reading::{all, read, with_instants},
    selection::goal_condition,
};
use crate::{site::Site, snapshot::Snapshot, store::Store};
use clickhouse::Row;
use firmsight_resolver::CompanyId;
use serde::Deserialize;

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
    /// Of each of the parts of intent, in their order: what it rests on, and what it contributes.
    values: Vec<f64>,
    points: Vec<u8>,
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
    let parts = intent::parts();
    let sql = format!(
        "SELECT pageview_count, toUInt8({engagement}) AS engagement, \
            (SELECT groupArray([{facts}]) FROM companies AS company FINAL \
                WHERE site = {{site:String}} AND company_id = {{company:UInt64}}) AS facts, \
            [{values}] AS values, [{points}] AS points \
        FROM (SELECT toUInt64(sum(visit.pageviews)) AS pageview_count, {numbers} \
            FROM visits AS visit FINAL WHERE site = {{site:String}} AND company_id = {{company:UInt64}} \
                AND started_at >= fromUnixTimestamp64Milli({{from:Int64}}) \
                AND started_at < fromUnixTimestamp64Milli({{until:Int64}}))",
        values = parts.clone().map(|(_, value, _)| value).join(", "),
        points = parts.clone().map(|(_, _, points)| format!("toUInt8({points})")).join(", "),
        numbers = intent::numbers(&reached),
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
    let found = numbers.values.into_iter().zip(numbers.points);
    let intent = parts.iter().zip(found).map(|((name, ..), (value, points))| part(name, value, points, 2)).collect();
    Ok(Score { quality: Points::of(std::iter::once(engagement).chain(facts).collect()), intent: Points::of(intent) })
}
