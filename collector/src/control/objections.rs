//! Objections: written here, read by whoever counts.

use super::{Control, ControlError, document, parse_documents};
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
        let objections = parse_documents::<Objection>("objection", &rows);
        objections.into_iter().for_each(|objection| Arc::make_mut(&mut snapshot.objections).add(objection));
        Ok(())
    }

    async fn write_objection(
        &self,
        objection: &Objection,
        is_deleted: bool,
        now: UnixMillis,
    ) -> Result<(), ControlError> {
        self.write_named("objections", objection.to_string(), document(objection)?, is_deleted, now).await
    }
}
