//! What the clock ends: requests that nobody answered, grants whose minutes are over. Nobody waits for this: a grant that is over
//! gives nothing, here and in the regions, whether or not it was written down.
use super::{grant::WAITS, record, store};
use crate::{app::App, instances::led, passports, sessions};
use exarch_common_pg::{Clusters, TenantContext, TenantTx};
use exarch_common_runtime::Reconcile;
use exarch_common_wire::audit::{Actor, Entry};
use std::time::Duration;

/// The background pass.
pub struct EndBreakGlass(pub App);

impl Reconcile for EndBreakGlass {
    const NAME: &'static str = "end-break-glass";
    const EVERY: Duration = Duration::from_secs(30);

    async fn pass(&mut self) -> anyhow::Result<u64> {
        let app = &self.0;
        if !app.leader.leads() {
            return Ok(0);
        }
        let now = app.ambient.now();
        let mut done = 0;
        for found in store::over(&app.sweep_pool, now - WAITS, now).await? {
            let context = TenantContext {
                tenant: found.tenant,
                clusters: Clusters::All,
                actor: format!("system:{}", Self::NAME),
            };
            let mut tx = TenantTx::begin(&app.app_pool, &context).await?;
            if !led(&app.leader, tx.conn()).await? {
                return Ok(done);
            }
            let Some(mut grant) = store::lock(&mut tx, found.id).await? else {
                continue;
            };
            if !grant.catch_up(now) {
                continue;
            }
            store::save(&mut tx, &grant).await?;
            sessions::end_of_break_glass(app, &mut tx, grant.id).await?;
            let action = format!(
                "break_glass.{}",
                if grant.decided_by.is_some() { "end" } else { "expire" }
            );
            record(&mut tx, &grant, |ledger| {
                let actor = Actor::system(Self::NAME);
                Entry::new(&app.ambient, ledger, actor, &action, "break-glass", grant.id)
            })
            .await?;
            passports::touch_tenant(app, &mut tx).await?;
            tx.commit().await?;
            done += 1;
        }
        if done > 0 {
            passports::nudge(app);
        }
        Ok(done)
    }
}
