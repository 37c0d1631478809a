//! From joining to active: the first passport is applied, and a probe was good.
use super::store;
use crate::{app::App, audit, passports};
use exarch_common_base::RegionId;
use exarch_common_pg::{DbError, SystemTx};
use exarch_common_wire::audit::{Actor, Entry, PROVIDER};
use serde_json::json;

/// Called after each good probe; does nothing unless the region is joining and has acknowledged a passport.
///
/// # Errors
/// The database.
pub async fn activate_if_due(app: &App, region: RegionId) -> Result<(), DbError> {
    let mut tx = SystemTx::begin(&app.app_pool, "activate-region").await?;
    if !store::is_joining(tx.conn(), region).await? {
        return tx.rollback().await;
    }
    let standing = passports::standings(tx.conn(), &[region]).await?;
    if standing.iter().all(|s| s.acknowledged.is_none()) {
        return tx.rollback().await;
    }
    // Another replica may have been here since we looked.
    let Some(Ok(active)) = store::lock(tx.conn(), region).await?.map(|l| l.activate()) else {
        return tx.rollback().await;
    };
    let now = app.ambient.now();
    store::set_active(tx.conn(), region, active, now).await?;
    let actor = Actor::system("activate-region");
    let entry = Entry::new(&app.ambient, PROVIDER, actor, "region.activate", "region", region)
        .before(json!({"lifecycle": "joining"}))
        .after(json!({"lifecycle": active.as_str()}));
    audit::record(&mut tx, &entry).await?;
    tx.commit().await?;
    tracing::info!(%region, "a region is active");
    Ok(())
}
