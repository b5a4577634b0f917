//! Inserts: one block each, acknowledged when it is on disk, counted once under a token.
//!
//! The tables ask for `fsync_after_insert` and `fsync_part_directory` themselves (migrations), so that an answer means that
//! rows survive a power loss. A token makes a repeated insert a no-op for as long as it is among the table's last
//! `non_replicated_deduplication_window` inserts, across restarts of the server.

use super::{CompanyDayRow, CompanyRow, DropRow, EventRow, Store, StoreError, VisitRow};
use clickhouse::{Client, RowOwned, RowWrite};
use std::borrow::Borrow;

/// More rows or bytes than one call ever sends, so that the server never splits it and the token covers all of it.
const ONE_BLOCK: &str = "1000000000000";

impl Store {
    /// Stores events once under this token; the same token again does nothing. Rows are asked for as they are sent.
    ///
    /// # Errors
    /// [`StoreError`]; after a retryable one repeat the same rows under the same token.
    pub async fn insert_events<E: Borrow<EventRow>>(
        &self,
        token: &str,
        rows: impl IntoIterator<Item = E>,
    ) -> Result<(), StoreError> {
        self.insert_each("events", Some(token), rows).await
    }

    /// Stores visits; of two rows with the same key the higher version counts, so that repeating is harmless.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn insert_visits(&self, rows: &[VisitRow]) -> Result<(), StoreError> {
        self.insert("visits", None, rows).await
    }

    /// Stores company days; of two rows with the same key the higher version counts.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn insert_company_days(&self, rows: &[CompanyDayRow]) -> Result<(), StoreError> {
        self.insert("company_activity", None, rows).await
    }

    /// Stores companies; of two rows with the same key the higher version counts.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn insert_companies(&self, rows: &[CompanyRow]) -> Result<(), StoreError> {
        self.insert("companies", None, rows).await
    }

    /// Stores counts of dropped events; a batch's row replaces its own earlier one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn insert_drops(&self, rows: &[DropRow]) -> Result<(), StoreError> {
        self.insert("drops", None, rows).await
    }

    /// Stores rows of any table. Nothing is sent when there are none.
    pub(crate) async fn insert<T>(&self, table: &str, token: Option<&str>, rows: &[T]) -> Result<(), StoreError>
    where
        T: RowOwned + RowWrite,
    {
        self.insert_each::<T, _>(table, token, rows).await
    }

    async fn insert_each<T, B>(
        &self,
        table: &str,
        token: Option<&str>,
        rows: impl IntoIterator<Item = B>,
    ) -> Result<(), StoreError>
    where
        T: RowOwned + RowWrite,
        B: Borrow<T>,
    {
        let mut rows = rows.into_iter().peekable();
        if rows.peek().is_none() {
            return Ok(());
        }
        let client = for_one_block(self.client(), token);
        self.in_time(async {
            let mut insert = client.insert::<T>(table).await?;
            for row in rows {
                insert.write(row.borrow()).await?;
            }
            insert.end().await
        })
        .await
    }
}

pub(super) fn for_one_block(client: Client, token: Option<&str>) -> Client {
    let client = client
        .with_setting("async_insert", "0")
        .with_setting("max_insert_block_size", ONE_BLOCK)
        .with_setting("min_insert_block_size_rows", ONE_BLOCK)
        .with_setting("min_insert_block_size_bytes", ONE_BLOCK)
        .with_setting("max_insert_threads", "1")
        // Rows of one insert seldom replace each other, and merges and FINAL look for those that do.
        .with_setting("optimize_on_insert", "0");
    match token {
        Some(token) => client.with_setting("insert_deduplicate", "1").with_setting("insert_deduplication_token", token),
        // Without a token ClickHouse would compare contents.
        None => client.with_setting("insert_deduplicate", "0"),
    }
}
