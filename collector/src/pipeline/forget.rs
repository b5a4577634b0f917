//! Forgetting a visitor: what is stored until then goes, what still arrives of it is dropped.
//!
//! The order makes a crash harmless: the tombstone first, so that nothing new comes in; then the base
//! rows; then visits and company days are rebuilt without them, which leaves the visits as deleted rows that
//! still say which days to count again; only then these rows go too.

use super::{
    rebuild::{MAX_IN_STATEMENT, Touched},
    visits::Span,
};
use crate::{
    store::{Store, StoreError},
    time::UnixMillis,
};
use clickhouse::Row;
use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};

/// A visitor of a site who wants everything up to a moment forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct Forgotten {
    /// Site id.
    pub site: String,
    /// The visitor's key.
    pub visitor: u64,
    /// Everything until then, this moment included.
    pub until: UnixMillis,
}

#[derive(Row, Deserialize)]
struct VisitTimes {
    site: CompactString,
    visitor: u64,
    first: UnixMillis,
    last: UnixMillis,
}

/// The moments until which these visitors are forgotten; those who are not are left out.
pub(super) async fn forgotten_until(
    store: &Store,
    visitors: &BTreeSet<u64>,
) -> Result<HashMap<(String, u64), UnixMillis>, StoreError> {
    let visitors: Vec<u64> = visitors.iter().copied().collect();
    let mut known = HashMap::new();
    for chunk in visitors.chunks(MAX_IN_STATEMENT) {
        let sql = "SELECT site, visitor, max(forgotten.until) AS until FROM forgotten
                   WHERE visitor IN {visitors:Array(UInt64)} GROUP BY site, visitor";
        let query = store.client().query(sql).param("visitors", chunk);
        for row in store.in_time(query.fetch_all::<Forgotten>()).await? {
            known.insert((row.site, row.visitor), row.until);
        }
    }
    Ok(known)
}

/// Leaves tombstones and erases the base rows. Returns what must be rebuilt before [`erase_visits`].
pub(super) async fn erase_events(store: &Store, forgotten: &[Forgotten]) -> Result<Touched, StoreError> {
    store.insert("forgotten", None, forgotten).await?;
    let mut touched = Touched::default();
    for chunk in forgotten.chunks(MAX_IN_STATEMENT) {
        erase(store, "events", "event_time", chunk).await?;
        let sql = "SELECT site, visitor, min(started_at) AS first, max(ended_at) AS last FROM visits
                   WHERE site IN {sites:Array(String)} AND visitor IN {visitors:Array(UInt64)} GROUP BY site, visitor";
        let query = store.client().query(sql).param("sites", sites(chunk)).param("visitors", visitors(chunk));
        for row in store.in_time(query.fetch_all::<VisitTimes>()).await? {
            // A deleted row has no end.
            touched.add(row.site, row.visitor, Span { first: row.first.0, last: row.last.0.max(row.first.0) });
        }
        for gone in chunk {
            touched.add(gone.site.as_str().into(), gone.visitor, Span::at(gone.until));
        }
    }
    Ok(touched)
}

/// Erases the visits, old versions and deleted rows included, that began until then.
pub(super) async fn erase_visits(store: &Store, forgotten: &[Forgotten]) -> Result<(), StoreError> {
    for chunk in forgotten.chunks(MAX_IN_STATEMENT) {
        erase(store, "visits", "started_at", chunk).await?;
    }
    Ok(())
}

async fn erase(store: &Store, table: &str, time: &str, chunk: &[Forgotten]) -> Result<(), StoreError> {
    let sql = format!(
        "DELETE FROM {} WHERE site IN {{sites:Array(String)}} AND visitor IN {{visitors:Array(UInt64)}}
         AND toUnixTimestamp64Milli({time}) <= transform(visitor, {{visitors:Array(UInt64)}}, {{untils:Array(Int64)}}, toInt64(-1))",
        store.stored(table)
    );
    let untils: Vec<i64> = chunk.iter().map(|gone| gone.until.0).collect();
    let query = store.client().query(&sql).param("sites", sites(chunk)).param("visitors", visitors(chunk));
    store.in_time(query.param("untils", untils).execute()).await
}

fn sites(chunk: &[Forgotten]) -> BTreeSet<&str> {
    chunk.iter().map(|gone| gone.site.as_str()).collect()
}

fn visitors(chunk: &[Forgotten]) -> Vec<u64> {
    chunk.iter().map(|gone| gone.visitor).collect()
}
