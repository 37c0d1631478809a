//! Entitlements and memberships end by the clock as well, and retired keys: the sections whose time has come are looked at
//! again. Regions end them by their own clocks; this takes them out of the passports.
use super::{nudge, store, touch_common, touch_tenant};
use crate::app::App;
use exarch_common_base::TenantId;
use exarch_common_pg::{Clusters, SystemTx, TenantContext, TenantTx};
use exarch_common_runtime::Reconcile;
use std::time::Duration;

/// The background pass.
pub struct EndByTime(pub App);

impl Reconcile for EndByTime {
    const NAME: &'static str = "end-by-time";
    const EVERY: Duration = Duration::from_secs(30);

    async fn pass(&mut self) -> anyhow::Result<u64> {
        let app = &self.0;
        let mut tx = SystemTx::begin(&app.app_pool, Self::NAME).await?;
        let ended = store::ended(tx.conn(), app.ambient.now()).await?;
        tx.rollback().await?;
        let mut done = 0;
        if ended.iter().any(|id| !id.starts_with("tenant/")) {
            let mut tx = SystemTx::begin(&app.app_pool, Self::NAME).await?;
            touch_common(app, &mut tx).await?;
            tx.commit().await?;
            done += 1;
        }
        let tenants = ended
            .iter()
            .filter_map(|id| id.strip_prefix("tenant/")?.parse::<TenantId>().ok());
        for tenant in tenants {
            let context = TenantContext {
                tenant,
                clusters: Clusters::All,
                actor: format!("system:{}", Self::NAME),
            };
            let mut tx = TenantTx::begin(&app.app_pool, &context).await?;
            touch_tenant(app, &mut tx).await?;
            tx.commit().await?;
            done += 1;
        }
        if done > 0 {
            nudge(app);
        }
        Ok(done)
    }
}
