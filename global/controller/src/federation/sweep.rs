//! Forgets spent token numbers whose tokens are long dead, and requests of replicas that nobody waits for.
use super::{requests, store};
use crate::app::App;
use exarch_common_runtime::Reconcile;
use std::time::Duration;

/// The background pass.
pub struct SweepSpent(pub App);

/// A token lives a minute, and clocks may differ by half of one on each side.
const KEEP: time::Duration = time::Duration::seconds(180);

impl Reconcile for SweepSpent {
    const NAME: &'static str = "sweep-spent-tokens";
    const EVERY: Duration = Duration::from_secs(60);

    async fn pass(&mut self) -> anyhow::Result<u64> {
        let app = &self.0;
        let Some(mut tx) = app.leader.begin(&app.sweep_pool, Self::NAME).await? else {
            return Ok(0);
        };
        let swept = store::sweep_spent(tx.conn(), app.ambient.now() - KEEP).await?;
        requests::sweep(&mut tx).await?;
        tx.commit().await?;
        // Housekeeping, not a change worth a line.
        metrics::counter!("exarch_service_tokens_swept_total").increment(swept);
        Ok(0)
    }
}
