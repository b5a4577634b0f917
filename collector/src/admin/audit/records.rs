//! The audit log, read.

use super::AuditRow;
use crate::store::{Store, StoreError};
use uuid::Uuid;

/// Which audit records.
#[derive(Debug, Default)]
pub(crate) struct AuditFilter {
    pub(crate) from: i64,
    pub(crate) until: i64,
    /// Empty means all.
    pub(crate) sites: Vec<String>,
    pub(crate) key: Option<Uuid>,
    pub(crate) action: Option<&'static str>,
    /// Records before this one, in time and id.
    pub(crate) before: Option<(i64, Uuid)>,
}

/// Audit records, latest first.
pub(crate) async fn matching(store: &Store, filter: &AuditFilter, limit: u64) -> Result<Vec<AuditRow>, StoreError> {
    let mut sql = "SELECT ?fields FROM audit FINAL \
        WHERE at >= fromUnixTimestamp64Milli({from:Int64}) AND at < fromUnixTimestamp64Milli({until:Int64})"
        .to_owned();
    if !filter.sites.is_empty() {
        sql += " AND site IN {sites:Array(String)}";
    }
    if filter.key.is_some() {
        sql += " AND actor = {key:UUID}";
    }
    if filter.action.is_some() {
        sql += " AND action = {action:String}";
    }
    if filter.before.is_some() {
        sql += " AND (at, id) < (fromUnixTimestamp64Milli({before_at:Int64}), {before_id:UUID})";
    }
    sql += " ORDER BY at DESC, id DESC LIMIT {limit:UInt64}";
    let mut query = store.reading(&sql).param("from", filter.from).param("until", filter.until).param("limit", limit);
    if !filter.sites.is_empty() {
        query = query.param("sites", &filter.sites);
    }
    if let Some(key) = filter.key {
        query = query.param("key", key.to_string());
    }
    if let Some(action) = filter.action {
        query = query.param("action", action);
    }
    if let Some((at, id)) = filter.before {
        query = query.param("before_at", at).param("before_id", id.to_string());
    }
    store.in_time(query.fetch_all()).await
}
