//! The end of a region: the global's signed word that it was removed. It is believed for good.
use super::{Directory, Held, store};
use exarch_common_pg::{DbError, SystemTx};
use exarch_common_wire::tombstone::{Refusal, Tombstone};
use time::OffsetDateTime;

impl Directory {
    /// Since when the region is removed; nothing while it is not, as far as it was told.
    pub fn removed(&self) -> Option<OffsetDateTime> {
        let at = self.removed.get()?.removed_at;
        // One that lies beyond all calendars was still signed.
        Some(OffsetDateTime::from_unix_timestamp(at).unwrap_or(OffsetDateTime::UNIX_EPOCH))
    }

    /// Takes the global's word that the region is removed: written down, then in force. What is not from the cluster
    /// authority, or about another region, changes nothing.
    ///
    /// # Errors
    /// The database.
    pub async fn bury(&self, signed: &[u8]) -> Result<Result<(), Refusal>, DbError> {
        let held = self.held.lock().await;
        let tombstone = match self.believe(&held, signed) {
            Ok(tombstone) => tombstone,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let mut tx = SystemTx::begin(&self.pool, "bury").await?;
        store::set_tombstone(&mut tx, signed).await?;
        tx.commit().await?;
        if self.removed.set(tombstone).is_ok() {
            tracing::error!("ALARM: the global has removed this region; nobody is let in any more");
        }
        Ok(Ok(()))
    }

    pub(super) fn believe(&self, held: &Held, signed: &[u8]) -> Result<Tombstone, Refusal> {
        Tombstone::read(signed, self.region, |kid| held.authority.get(kid).cloned())
    }
}
