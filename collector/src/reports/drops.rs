//! What was dropped, by UTC day and reason, for "why do I see nothing?".

use super::{
    Error,
    reading::{all, read},
};
use crate::{site::SiteId, store::Store};
use clickhouse::Row;
use jiff::civil::Date;
use serde::Deserialize;

/// Events dropped on one day for one reason.
#[derive(Clone, Debug, Row, Deserialize)]
pub(crate) struct DroppedEvents {
    /// The UTC day, `YYYY-MM-DD`.
    pub(crate) day_text: String,
    pub(crate) reason: String,
    pub(crate) dropped: u64,
}

/// Dropped events by day and reason, oldest first; days without drops are left out.
pub(crate) async fn by_day(
    store: &Store,
    site: &SiteId,
    (first, last): (Date, Date),
) -> Result<Vec<DroppedEvents>, Error> {
    let sql = "\
        SELECT toString(day) AS day_text, reason, sum(events) AS dropped \
        FROM drops FINAL \
        WHERE site = {site:String} AND day BETWEEN {first_day:Date} AND {last_day:Date} \
        GROUP BY day, reason ORDER BY day, reason";
    all(store, read(store, sql, site).param("first_day", first.to_string()).param("last_day", last.to_string())).await
}
