//! Entitlements and memberships end by the clock as well, and retired keys: the sections whose time has come are looked at
//! again. Regions end them by their own clocks; this takes them out of the passports.
use super::{nudge, store, touch_common, touch_tenant};
use crate::{
    app::App,
    instances::{Leader, led},
};
use exarch_common_base::TenantId;
use exarch_common_pg::{Clusters, DbError, SystemTx, TenantContext, TenantTx};
use exarch_common_runtime::Reconcile;
use exarch_common_wire::passport::tenant_section;
use sqlx::PgConnection;
use std::time::Duration;

const NAME: &str = "end-by-time";

/// The background pass.
pub struct EndByTime(pub App);

impl Reconcile for EndByTime {
    const NAME: &'static str = NAME;
    const EVERY: Duration = Duration::from_secs(30);

    async fn pass(&mut self) -> anyhow::Result<u64> {
        touch(&self.0, Some(&self.0.leader)).await
    }
}

/// Says, in the transaction of a change that concerns several tenants, that their sections are to be looked at again.
/// [`touch_due`] does it after the commit; should the process end in between, the background pass does. Call it after
/// [`touch_common`], which locks the passports: whoever builds a section holds its passport first.
///
/// # Errors
/// The database.
pub async fn touch_later(app: &App, tx: &mut SystemTx, tenants: &[TenantId]) -> Result<(), DbError> {
    let ids: Vec<_> = tenants.iter().map(|tenant| tenant_section(*tenant)).collect();
    store::end_sections(tx.conn(), &ids, app.ambient.now()).await
}

/// Brings the sections whose time has come up to date. How many there were.
///
/// # Errors
/// The database, or a passport that cannot be signed; what is left over is due again.
pub async fn touch_due(app: &App) -> anyhow::Result<u64> {
    touch(app, None).await
}

/// Of a leader, as long as it leads.
async fn touch(app: &App, leader: Option<&Leader>) -> anyhow::Result<u64> {
    if leader.is_some_and(|leader| !leader.leads()) {
        return Ok(0);
    }
    let mut tx = SystemTx::begin(&app.app_pool, NAME).await?;
    let ended = store::ended(tx.conn(), app.ambient.now()).await?;
    tx.rollback().await?;
    let mut done = 0;
    if ended.iter().any(|id| !id.starts_with("tenant/")) {
        let mut tx = SystemTx::begin(&app.app_pool, NAME).await?;
        if !may(leader, tx.conn()).await? {
            return Ok(0);
        }
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
            actor: format!("system:{NAME}"),
        };
        let mut tx = TenantTx::begin(&app.app_pool, &context).await?;
        if !may(leader, tx.conn()).await? {
            return Ok(done);
        }
        touch_tenant(app, &mut tx).await?;
        tx.commit().await?;
        done += 1;
    }
    if done > 0 {
        nudge(app);
    }
    Ok(done)
}

async fn may(leader: Option<&Leader>, conn: &mut PgConnection) -> Result<bool, DbError> {
    match leader {
        None => Ok(true),
        Some(leader) => led(leader, conn).await,
    }
}
