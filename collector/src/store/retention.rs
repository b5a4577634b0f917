//! How long tables keep their rows, where the owner can say so.

use super::{Store, StoreError};
use std::num::NonZeroU16;

impl Store {
    /// Has ClickHouse remove audit records that are older than so many days. Nothing is sent where that is so already.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn keep_audit_for(&self, days: NonZeroU16) -> Result<(), StoreError> {
        let rule = format!("TTL toDateTime(at) + toIntervalDay({days})");
        let sql = "SELECT create_table_query FROM system.tables WHERE database = currentDatabase() AND name = 'audit'";
        let table: String = self.in_time(self.client().query_raw(sql).fetch_one()).await?;
        if table.contains(&rule) {
            return Ok(());
        }
        self.in_time(self.client().query_raw(&format!("ALTER TABLE audit MODIFY {rule}")).execute()).await
    }
}
