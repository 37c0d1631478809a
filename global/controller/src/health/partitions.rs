//! Days of probes to come, and days that are over.
use super::store;
use crate::app::App;
use exarch_common_runtime::Reconcile;
use std::time::Duration;

/// Probes are kept for so long.
const KEEP: time::Duration = time::Duration::days(30);

/// Makes the partitions of the next days and drops those that are over.
pub struct KeepProbes(pub App);

impl Reconcile for KeepProbes {
    const NAME: &'static str = "keep-probes";
    const EVERY: Duration = Duration::from_secs(3600);

    async fn pass(&mut self) -> anyhow::Result<u64> {
        let app = &self.0;
        let today = app.ambient.now().date();
        let Some(mut tx) = app.leader.begin(&app.sweep_pool, Self::NAME).await? else {
            return Ok(0);
        };
        store::keep_partitions(tx.conn(), today, today - KEEP).await?;
        tx.commit().await?;
        Ok(0)
    }
}
