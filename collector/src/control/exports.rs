//! Asked exports: what was asked for, how far it is, and what was found.

use super::{Control, ControlError, document};
use crate::{site::SiteId, time::UnixMillis};
use clickhouse::Row;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How far an export is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExportStatus {
    /// Asked for.
    Pending,
    /// Ready to be fetched.
    Processed,
    /// It can't be made.
    Failed,
}

impl ExportStatus {
    /// The word in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processed => "processed",
            Self::Failed => "failed",
        }
    }
}

/// An export of a feed's leads within some dates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportRequest {
    /// Its id, by which it is asked after.
    pub id: Uuid,
    /// The site.
    pub site: SiteId,
    /// The key that asked for it.
    pub key: Uuid,
    /// The feed's id; `all_leads` for every company.
    pub feed: String,
    /// `start_date` as asked.
    pub start_date: String,
    /// `end_date` as asked.
    pub end_date: String,
    /// The last part of the download's address, 256 random bits: who knows it may fetch the file.
    pub file_name: String,
    /// How far it is.
    pub status: ExportStatus,
    /// Why it failed; empty otherwise.
    #[serde(default)]
    pub problem: String,
    /// When it was asked for.
    pub created_at: UnixMillis,
    /// When it is removed.
    pub expires_at: UnixMillis,
}

#[derive(Row, Serialize, Deserialize)]
struct RequestRow {
    #[serde(with = "clickhouse::serde::uuid")]
    id: Uuid,
    file_name: String,
    document: String,
    /// Seconds since 1970.
    expires_at: u32,
    version: u64,
    is_deleted: u8,
}

#[derive(Row, Serialize, Deserialize)]
struct PartRow {
    #[serde(with = "clickhouse::serde::uuid")]
    export_id: Uuid,
    part: u32,
    body: String,
    /// Seconds since 1970.
    expires_at: u32,
    version: u64,
}

fn seconds(time: UnixMillis) -> u32 {
    u32::try_from(time.0.div_euclid(1000)).unwrap_or(u32::MAX)
}

impl Control {
    /// Writes an export down, new or changed.
    ///
    /// # Errors
    /// [`ControlError::Store`].
    pub async fn write_export(&self, export: &ExportRequest, now: UnixMillis) -> Result<(), ControlError> {
        let row = RequestRow {
            id: export.id,
            file_name: export.file_name.clone(),
            document: document(export)?,
            expires_at: seconds(export.expires_at),
            version: self.next_version("export_requests", now).await?,
            is_deleted: 0,
        };
        self.shared.store.insert("export_requests", None, &[row]).await?;
        if export.status == ExportStatus::Pending {
            self.shared.export_asked.notify_one();
        }
        Ok(())
    }

    /// Returns when an export was asked for in this process since the last call returned.
    pub async fn export_was_asked_for(&self) {
        self.shared.export_asked.notified().await;
    }

    /// All exports that have not expired, oldest first.
    ///
    /// # Errors
    /// [`ControlError::Store`].
    pub async fn exports(&self, now: UnixMillis) -> Result<Vec<ExportRequest>, ControlError> {
        self.read_exports("1", "", now).await
    }

    /// The export with this id.
    ///
    /// # Errors
    /// [`ControlError::Store`].
    pub async fn export(&self, id: Uuid, now: UnixMillis) -> Result<Option<ExportRequest>, ControlError> {
        Ok(self.read_exports("toString(id) = {value:String}", &id.to_string(), now).await?.pop())
    }

    /// The export whose file has this name.
    ///
    /// # Errors
    /// [`ControlError::Store`].
    pub async fn export_of_file(&self, name: &str, now: UnixMillis) -> Result<Option<ExportRequest>, ControlError> {
        Ok(self.read_exports("file_name = {value:String}", name, now).await?.pop())
    }

    async fn read_exports(
        &self,
        condition: &str,
        value: &str,
        now: UnixMillis,
    ) -> Result<Vec<ExportRequest>, ControlError> {
        let store = &self.shared.store;
        let sql = format!("SELECT document FROM export_requests FINAL WHERE {condition}");
        let query = store.client().query(&sql).param("value", value);
        let documents: Vec<String> = store.in_time(query.fetch_all()).await?;
        let mut exports: Vec<ExportRequest> =
            documents.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
        exports.retain(|export| export.expires_at > now);
        exports.sort_by_key(|export| (export.created_at, export.id));
        Ok(exports)
    }

    /// Writes a part of an export's file. The same part written again replaces it.
    ///
    /// # Errors
    /// [`ControlError::Store`].
    pub async fn write_export_part(
        &self,
        export: &ExportRequest,
        part: u32,
        body: String,
        now: UnixMillis,
    ) -> Result<(), ControlError> {
        let row = PartRow {
            export_id: export.id,
            part,
            body,
            expires_at: seconds(export.expires_at),
            version: u64::try_from(now.0).unwrap_or_default(),
        };
        Ok(self.shared.store.insert("export_parts", None, &[row]).await?)
    }

    /// The first part from this number on; `None` after the last.
    ///
    /// # Errors
    /// [`ControlError::Store`].
    pub async fn export_part(&self, export: Uuid, from: u32) -> Result<Option<(u32, String)>, ControlError> {
        let store = &self.shared.store;
        let query = store
            .client()
            .query(
                "SELECT part, body FROM export_parts FINAL PREWHERE export_id = {id:UUID} AND part >= {from:UInt32} \
                ORDER BY part LIMIT 1",
            )
            .param("id", export)
            .param("from", from);
        Ok(store.in_time(query.fetch_optional()).await?)
    }
}
