//! Answers that are kept for repeats go when their time is over.
use crate::app::App;
use exarch_common_pg::{SystemTx, idempotency};
use exarch_common_runtime::{Lifecycle, Nudge, Reconcile, run_reconciler};
use std::time::Duration;

/// Sweeps until the process stops.
pub fn background(app: &App, life: &Lifecycle) {
    let sweep = Forget { app: app.clone() };
    life.track(run_reconciler(sweep, Nudge::new(), app.ambient.clone(), life.stop()));
}

struct Forget {
    app: App,
}

impl Reconcile for Forget {
    const NAME: &'static str = "forget-answers";
    const EVERY: Duration = Duration::from_secs(60);

    async fn pass(&mut self) -> anyhow::Result<u64> {
        let mut tx = SystemTx::begin(&self.app.sweep_pool, Self::NAME).await?;
        let swept = idempotency::sweep(&mut tx, self.app.ambient.now()).await?;
        tx.commit().await?;
        Ok(swept)
    }
}

#[cfg(test)]
mod tests;
