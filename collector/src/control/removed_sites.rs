//! Sites that were removed and of which something may still be stored.
//!
//! Everything that is stored of a site is stored under its id: visits, leads, notes, tags, feeds, audit records. Who got the
//! id next would get all that. So a removed id can't be given again before what was stored under it is gone: its
//! row in `sites` stays, marked as deleted, until [`Control::purge_site`] took away everything else.

use super::{Control, ControlError};
use crate::{
    site::SiteId,
    store::{Store, StoreError},
    time::UnixMillis,
};

/// A site that was removed and not purged yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemovedSite {
    /// Its id, which nobody can have until it is purged.
    pub id: SiteId,
    /// When it was removed.
    pub removed_at: UnixMillis,
}

impl Control {
    /// Sites that were removed and not purged yet, by id.
    ///
    /// # Errors
    /// [`ControlError::Store`].
    pub async fn removed_sites(&self) -> Result<Vec<RemovedSite>, ControlError> {
        let sql = "SELECT id, max(version) FROM sites GROUP BY id HAVING argMax(is_deleted, version) = 1 ORDER BY id";
        let store = &self.shared.store;
        let rows = store.in_time(store.client().query_raw(sql).fetch_all::<(String, u64)>()).await?;
        Ok(rows
            .into_iter()
            .filter_map(|(id, version)| {
                let removed_at = UnixMillis(i64::try_from(version).unwrap_or(i64::MAX));
                Some(RemovedSite { id: id.parse().ok()?, removed_at })
            })
            .collect())
    }

    /// Deletes everything that is stored of a removed site, from disk too; then its id is free again.
    ///
    /// # Errors
    /// [`ControlError::NotRemoved`], [`ControlError::NoSuchSite`] or [`ControlError::Store`]; the call may be repeated.
    pub async fn purge_site(&self, id: &SiteId) -> Result<(), ControlError> {
        let (mirrored, snapshot) = self.begin().await?;
        if snapshot.sites.contains_key(id) {
            return Err(ControlError::NotRemoved(id.clone()));
        }
        if !self.removed_sites().await?.iter().any(|removed| removed.id == *id) {
            return Err(ControlError::NoSuchSite(id.clone()));
        }
        let store = &self.shared.store;
        // A site id has no character that means anything in SQL.
        let of_document = format!("JSONExtractString(document, 'site') = '{id}'");
        let exports = format!("export_id IN (SELECT id FROM export_requests WHERE {of_document})");
        delete(store, "export_parts", &exports).await?;
        for table in ["export_requests", "site_objects"] {
            delete(store, table, &of_document).await?;
        }
        for table in tables_with_sites(store).await? {
            delete(store, &table, &format!("site = '{id}'")).await?;
        }
        delete(store, "sites", &format!("id = '{id}'")).await?;
        drop(mirrored);
        Ok(())
    }
}

/// Every table with a column `site`, under the name by which it is read.
async fn tables_with_sites(store: &Store) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT DISTINCT table FROM system.columns
               WHERE database = currentDatabase() AND name = 'site' AND NOT endsWith(table, '_local') ORDER BY table";
    store.in_time(store.client().query_raw(sql).fetch_all()).await
}

/// Rewrites the parts that hold such rows, and waits for it: a lightweight delete would leave them on disk for days.
async fn delete(store: &Store, table: &str, condition: &str) -> Result<(), StoreError> {
    let sql = format!("ALTER TABLE {} DELETE WHERE {condition}", store.stored(table));
    let client = store.client().with_setting("mutations_sync", "2");
    store.in_time(client.query_raw(&sql).execute()).await
}
