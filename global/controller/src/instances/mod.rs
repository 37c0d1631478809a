//! The replicas of this controller. They meet in the database and nowhere else: each has a row that it keeps warm and rows
//! of the tunnels that it holds, and one of them leads.
//!
//! The leader does what must be done once for all of them. It leads by a term, and each of its transactions holds that
//! term ([`led`]): one that was stopped for a while and goes on writes nothing any more.
mod leader;
mod leadership;
mod store;
#[cfg(test)]
mod tests;

pub use leader::{Leader, led};

use crate::app::App;
use exarch_common_base::{Ambient, InstanceId, RegionId};
use exarch_common_pg::{DbError, SystemTx};
use exarch_common_runtime::Lifecycle;
use std::time::Duration;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

const HEARTBEAT: Duration = Duration::from_secs(1);
/// A replica whose heartbeat is older than this does not count.
const ALIVE: Duration = Duration::from_secs(3);

/// This replica among the others.
#[derive(Debug)]
pub struct Instances {
    id: InstanceId,
    started_at: OffsetDateTime,
}

impl Instances {
    /// A replica without a row yet.
    pub fn new(ambient: &Ambient) -> Self {
        Self {
            id: ambient.id(),
            started_at: ambient.now(),
        }
    }

    /// This replica.
    pub fn id(&self) -> InstanceId {
        self.id
    }

    /// Keeps this replica's row warm, and those of the tunnels that it holds as they are.
    ///
    /// # Errors
    /// The database.
    pub async fn beat(&self, app: &App) -> Result<(), DbError> {
        let held = app.federation.tunnels.connected();
        let mut tx = SystemTx::begin(&app.app_pool, "heartbeat").await?;
        store::beat(tx.conn(), self.id, self.started_at).await?;
        store::hold(tx.conn(), self.id, &held, app.ambient.now()).await?;
        tx.commit().await
    }

    /// Whether a living replica other than this one holds a tunnel of `region`.
    ///
    /// # Errors
    /// The database.
    pub async fn another_holds(&self, tx: &mut SystemTx, region: RegionId) -> Result<bool, DbError> {
        store::another_holds(tx.conn(), self.id, region, ALIVE).await
    }
}

/// Starts the room's background work.
pub fn background(app: &App, life: &Lifecycle) {
    let (beating, leading, stop) = (app.clone(), app.clone(), life.stop());
    let ending = stop.clone();
    life.spawn("heartbeat", async move {
        heartbeat(beating, ending).await;
        Ok(())
    });
    life.spawn("leader", async move {
        lead(leading, stop).await;
        Ok(())
    });
}

async fn heartbeat(app: App, stop: CancellationToken) {
    let mut tunnels = app.federation.tunnels.changes();
    let mut silent = false;
    loop {
        let failed = within(app.instances.beat(&app)).await.err();
        match &failed {
            // once for each outage: the reason does not change from one second to the next
            Some(why) if !silent => tracing::warn!(
                why,
                "the heartbeat cannot be written: others take this replica for gone"
            ),
            None if silent => tracing::info!("the heartbeat is written again"),
            _ => {}
        }
        silent = failed.is_some();
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(HEARTBEAT) => {}
            Ok(()) = tunnels.changed() => {}
        }
    }
    // Nobody should ask a replica that left in order.
    let left = async {
        let mut tx = SystemTx::begin(&app.app_pool, "leave").await?;
        store::leave(tx.conn(), app.instances.id).await?;
        tx.commit().await
    };
    if let Err(cause) = left.await {
        tracing::debug!(%cause, "the replica's row could not be removed");
    }
}

/// Work that is worth nothing later, and would have no end on a silent wire: the next attempt goes by another connection.
async fn within<T>(work: impl Future<Output = Result<T, DbError>>) -> Result<T, String> {
    match tokio::time::timeout(ALIVE, work).await {
        Ok(done) => done.map_err(|cause| cause.told()),
        Err(_) => Err("the database does not answer".to_owned()),
    }
}

async fn lead(app: App, stop: CancellationToken) {
    loop {
        if let Err(cause) = within(app.leader.campaign()).await {
            tracing::debug!(cause, "who leads is not known");
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(HEARTBEAT) => {}
        }
    }
    if let Err(cause) = app.leader.resign().await {
        tracing::debug!(%cause, "another replica leads when this one's heartbeat is old");
    }
}
