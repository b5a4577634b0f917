//! Whether this process has the master key under which the store was begun.
//!
//! With another key every visitor would become a new one, in silence: their keys, and the pseudonyms that reports show, are
//! derived from it. Two collectors with different keys would count each visitor twice. So the store holds a value derived from
//! the key, which says nothing about the key itself, and a collector that derives another one refuses to go on.

use super::{Control, ControlError};
use crate::time::UnixMillis;
use clickhouse::Row;
use serde::{Deserialize, Serialize};

#[derive(Row, Serialize, Deserialize)]
struct MasterKeyRow {
    made_at: UnixMillis,
    check_value: String,
}

impl Control {
    /// Compares the master key with the store's check value, which the first collector leaves there.
    ///
    /// # Errors
    /// [`ControlError::OtherMasterKey`] or [`ControlError::Store`].
    pub async fn check_master_key(&self, now: UnixMillis) -> Result<(), ControlError> {
        let derived = self.shared.master_key.derive(b"firmsight master key check");
        let own: String = derived.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut counts = self.stored_check().await?;
        if counts.is_none() {
            let row = MasterKeyRow { made_at: now, check_value: own.clone() };
            self.shared.store.insert("master_key", None, &[row]).await?;
            // Of two collectors that start at once on an empty store, one was first.
            counts = self.stored_check().await?;
        }
        match counts {
            Some(counts) if counts == own => Ok(()),
            _ => Err(ControlError::OtherMasterKey),
        }
    }

    async fn stored_check(&self) -> Result<Option<String>, ControlError> {
        let store = &self.shared.store;
        let sql = "SELECT check_value FROM master_key ORDER BY made_at, check_value LIMIT 1";
        Ok(store.in_time(store.client().query_raw(sql).fetch_optional()).await?)
    }
}
