//! Everything held of one visitor, as lines of JSON, for the person who asks for it.

use super::ServeError;
use crate::{pipeline::rows::visitor_of_client, site::SiteId, store::Store};
use beacon::ClientId;

/// Rows in one answer.
const PART: u64 = 1_000;

/// What holds something of visitors: a line's kind, the table, and the order of its rows.
const HELD: [(&str, &str, &str); 3] = [
    ("event", "events", "at, event_id"),
    ("visit", "visits", "started_at, visit_id"),
    ("withdrawal", "forgotten", "until"),
];

/// The lines from this one on, about a thousand; empty when there are no more. Columns are the tables' own; the visitor's key
/// and the row's version, which are the store's business, are left out.
pub(super) async fn lines(
    store: &Store,
    visitor_key: &[u8; 32],
    (site, visitor): (&SiteId, ClientId),
    from: u64,
) -> Result<String, ServeError> {
    let visitor = visitor_of_client(visitor_key, site, visitor);
    let mut passed = 0;
    for (kind, table, order) in HELD {
        // Only our own words and numbers become text; the site and the visitor are parameters.
        let ask = |select: &str, rest: &str| {
            let sql = format!(
                "SELECT {select} FROM {table} FINAL WHERE site = {{site:String}} AND visitor = {{visitor:UInt64}} {rest}"
            );
            store.client().query(&sql).param("site", site.as_str()).param("visitor", visitor.0)
        };
        let count: u64 = store.in_time(ask("count()", "").fetch_one()).await?;
        if from < passed + count {
            let rest = format!("ORDER BY {order} LIMIT {PART} OFFSET {}", from - passed);
            let select = format!("'{kind}' AS kind, * EXCEPT ('^(visitor|version|is_deleted)$')");
            let rows = async { ask(&select, &rest).fetch_bytes("JSONEachRow")?.collect().await };
            // ClickHouse replaces what is no UTF-8 in JSON.
            return Ok(String::from_utf8_lossy(&store.in_time(rows).await?).into_owned());
        }
        passed += count;
    }
    Ok(String::new())
}
