//! Visits as they came, the newest first: what the dashboard shows of all companies, or of one.
//!
//! The other lists of visits are oldest first, because clients page through them while new visits arrive. A person reads the
//! newest, and goes on to older ones from where they are: the cursor is the last visit they saw.

use super::{
    Error,
    reading::{all, of_company, read, with_company},
    selection::goal_conditions,
};
use crate::{site::Site, snapshot::Snapshot, store::Store, time::UnixMillis};
use clickhouse::Row;
use firmsight_resolver::CompanyId;
use serde::Deserialize;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    /// Whose visits.
    pub(crate) site: &'a Site,
    /// Control data, for the site's goals.
    pub(crate) snapshot: &'a Snapshot,
    /// One company's alone; `None` for all that are not hidden.
    pub(crate) company: Option<CompanyId>,
    /// First millisecond.
    pub(crate) from: UnixMillis,
    /// Only visits older than this one: its start in milliseconds, and its id.
    pub(crate) before: (i64, u64),
    /// How many at most.
    pub(crate) limit: u64,
}

/// A visit. Times are milliseconds since 1970; arrays have one element per page view, oldest first.
#[derive(Clone, Debug, Row, Deserialize)]
pub(crate) struct Visit {
    pub(crate) visit_id: u64,
    pub(crate) started: i64,
    pub(crate) visitor: u64,
    pub(crate) company_id: u64,
    pub(crate) company_name: String,
    pub(crate) country_code: String,
    pub(crate) city: String,
    pub(crate) source: String,
    pub(crate) campaign: String,
    pub(crate) device: String,
    pub(crate) seconds: u32,
    pub(crate) path: Vec<String>,
    pub(crate) title: Vec<String>,
    pub(crate) visible_ms: Vec<u32>,
    /// Names of the goals it reached.
    pub(crate) goals: Vec<String>,
}

#[derive(Row, Deserialize)]
struct VisitRow {
    visit_id: u64,
    started: i64,
    visitor: u64,
    company_id: u64,
    company_name: String,
    country_code: String,
    city: String,
    source: String,
    campaign: String,
    device: String,
    seconds: u32,
    path: Vec<String>,
    title: Vec<String>,
    visible_ms: Vec<u32>,
    goals: Vec<u8>,
}

/// Answers a question.
pub(crate) async fn ask(store: &Store, question: Question<'_>) -> Result<Vec<Visit>, Error> {
    let Question { site, snapshot, company, from, before, limit } = question;
    let mut goals: Vec<_> = snapshot.goals.values().filter(|goal| goal.site == site.id).collect();
    goals.sort_by(|one, other| one.name.cmp(&other.name));
    let (conditions, values) = goal_conditions(goals.iter().map(|goal| &goal.reached_by));
    let reached: Vec<String> = conditions.iter().map(|condition| format!("toUInt8({condition})")).collect();
    let reached =
        if reached.is_empty() { "CAST([], 'Array(UInt8)')".to_owned() } else { format!("[{}]", reached.join(", ")) };
    let sql = format!(
        "SELECT visit_id, toUnixTimestamp64Milli(started_at) AS started, visitor, company_id, company_name, country_code, city, \
            source, campaign, device, visit_length AS seconds, route_path AS path, route_title AS title, \
            route_visible_ms AS visible_ms, {reached} AS goals \
        FROM visits FINAL WHERE site = {{site:String}} AND {} \
            AND started_at >= fromUnixTimestamp64Milli({{from:Int64}}) \
            AND (started_at, visit_id) < (fromUnixTimestamp64Milli({{before:Int64}}), {{before_id:UInt64}}) \
        ORDER BY started_at DESC, visit_id DESC LIMIT {{limit:UInt64}}",
        of_company(company)
    );
    let query = values
        .bind(with_company(read(store, &sql, &site.id), company))
        .param("from", from.0)
        .param("before", before.0)
        .param("before_id", before.1)
        .param("limit", limit);
    let found: Vec<VisitRow> = all(store, query).await?;
    let named = |flags: &[u8]| {
        goals.iter().zip(flags).filter(|(_, reached)| **reached != 0).map(|(goal, _)| goal.name.clone()).collect()
    };
    Ok(found
        .into_iter()
        .map(|row| Visit {
            goals: named(&row.goals),
            visit_id: row.visit_id,
            started: row.started,
            visitor: row.visitor,
            company_id: row.company_id,
            company_name: row.company_name,
            country_code: row.country_code,
            city: row.city,
            source: row.source,
            campaign: row.campaign,
            device: row.device,
            seconds: row.seconds,
            path: row.path,
            title: row.title,
            visible_ms: row.visible_ms,
        })
        .collect())
}
