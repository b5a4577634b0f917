//! Objections: written here, read by whoever counts.

use super::{
    Control, ControlError, document, parse_documents,
    stored_objection::{StoredObjection, is_single, stored_id},
};
use crate::{objection::Objection, snapshot::Snapshot, time::UnixMillis};
use std::sync::Arc;

impl Control {
    /// Remembers an objection, in force when this returns.
    ///
    /// # Errors
    /// [`ControlError::Store`].
    pub async fn object(&self, objection: Objection, now: UnixMillis) -> Result<(), ControlError> {
        let (mut mirrored, mut snapshot) = self.begin().await?;
        self.write_objection(&objection, false, now).await?;
        Arc::make_mut(&mut snapshot.objections).add(objection);
        self.publish(&mut mirrored, snapshot).await;
        Ok(())
    }

    /// Takes an objection back.
    ///
    /// # Errors
    /// [`ControlError::NoSuchObjection`] or [`ControlError::Store`].
    pub async fn take_objection_back(&self, objection: &Objection, now: UnixMillis) -> Result<(), ControlError> {
        let (mut mirrored, mut snapshot) = self.begin().await?;
        if !Arc::make_mut(&mut snapshot.objections).remove(objection) {
            return Err(ControlError::NoSuchObjection(objection.kind()));
        }
        self.write_objection(objection, true, now).await?;
        self.publish(&mut mirrored, snapshot).await;
        Ok(())
    }

    /// Reads objections into a snapshot.
    pub(super) async fn load_objections(&self, snapshot: &mut Snapshot) -> Result<(), ControlError> {
        let store = &self.shared.store;
        let query = store.client().query_raw("SELECT id, document FROM objections FINAL");
        let rows: Vec<(String, String)> = store.in_time(query.fetch_all()).await?;
        for stored in parse_documents::<StoredObjection>("objection", &rows) {
            match stored.open(&self.shared.master_key) {
                Ok(objection) => Arc::make_mut(&mut snapshot.objections).add(objection),
                Err(error) => tracing::error!(%error, "an objection can't be read and is left out"),
            }
        }
        Ok(())
    }

    /// Seals the objections of single addresses that an earlier version stored in clear, and takes the clear ones off the disk.
    ///
    /// # Errors
    /// [`ControlError::Store`]; the call may be repeated.
    pub async fn seal_objections(&self, now: UnixMillis) -> Result<(), ControlError> {
        let _mirrored = self.shared.mirrored.lock().await;
        let store = &self.shared.store;
        let sql = "SELECT argMax(document, version), argMax(is_deleted, version) FROM objections
                   WHERE startsWith(id, 'network:') GROUP BY id";
        let rows = store.in_time(store.client().query_raw(sql).fetch_all::<(String, u8)>()).await?;
        for (text, is_deleted) in rows {
            let Ok(objection) = serde_json::from_str::<Objection>(&text) else { continue };
            if !is_single(&objection) {
                continue;
            }
            if is_deleted == 0 {
                self.write_objection(&objection, false, now).await?;
            }
            // A network's text has no character that means anything in SQL.
            let sql = format!("ALTER TABLE objections DELETE WHERE id = '{objection}'");
            let client = store.client().with_setting("mutations_sync", "2");
            store.in_time(client.query_raw(&sql).execute()).await?;
        }
        Ok(())
    }

    async fn write_objection(
        &self,
        objection: &Objection,
        is_deleted: bool,
        now: UnixMillis,
    ) -> Result<(), ControlError> {
        let key = &self.shared.master_key;
        let stored = document(&StoredObjection::of(objection, key))?;
        self.write_named("objections", stored_id(objection, key), stored, is_deleted, now).await
    }
}
