//! What a statement is about, when that is too long for parameters: rows in a temporary table of a session of its own.
//!
//! A parameter is text and at most 100 KB of it, so that a list of 50,000 keys would be 25 statements, each reading the
//! same granules again. A temporary table is gone with its session, and with the server: a statement that joins with one
//! that was lost fails, where an ordinary table in memory would be empty and say that there is nothing to do.

use super::{Store, StoreError, insert::for_one_block};
use clickhouse::{Client, RowWrite, query::Query};
use uuid::Uuid;

/// How long an unused session is kept, in seconds: above the time limit of a call.
const SESSION_SECONDS: &str = "180";

/// A session with one temporary table. End it with [`Self::end`]; otherwise its memory is freed after three minutes.
pub(crate) struct Staged {
    store: Store,
    client: Client,
    table: &'static str,
}

impl Store {
    /// Puts rows into a temporary table with these columns.
    ///
    /// # Errors
    /// [`StoreError`]; the same call may be repeated.
    pub(crate) async fn stage<T: RowWrite>(
        &self,
        table: &'static str,
        columns: &str,
        rows: &[T::Value<'_>],
    ) -> Result<Staged, StoreError> {
        let client = self
            .client()
            .with_setting("session_id", Uuid::new_v4().to_string())
            .with_setting("session_timeout", SESSION_SECONDS);
        self.in_time(client.query_raw(&format!("CREATE TEMPORARY TABLE {table} ({columns})")).execute()).await?;
        self.in_time(async {
            let mut insert = client.insert::<T>(table).await?;
            for row in rows {
                insert.write(row).await?;
            }
            insert.end().await
        })
        .await?;
        Ok(Staged { store: self.clone(), client, table })
    }
}

impl Staged {
    /// A query that can name the temporary table. One at a time.
    pub(crate) fn query(&self, sql: &str) -> Query {
        self.client.query(sql)
    }

    /// A statement that inserts what it selects, as one block. It can name the temporary table.
    pub(crate) fn insert(&self, sql: &str) -> Query {
        for_one_block(self.client.clone(), None).query(sql)
    }

    /// Frees the table.
    pub(crate) async fn end(self) {
        let dropped = self.client.query_raw(&format!("DROP TEMPORARY TABLE {}", self.table)).execute();
        if let Err(error) = self.store.in_time(dropped).await {
            tracing::debug!(%error, "a temporary table was not dropped and goes with its session");
        }
    }
}
