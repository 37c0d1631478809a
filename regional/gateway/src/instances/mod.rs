//! The replicas of this region's gateway. They meet in the database and nowhere else: each has a row that it keeps warm,
//! and each looks every quarter second at what the others applied.
mod store;
#[cfg(test)]
mod tests;

use crate::app::App;
use exarch_common_base::{Ambient, BootTime, InstanceId};
use exarch_common_pg::{DbError, SystemTx};
use exarch_common_runtime::Lifecycle;
use exarch_common_wire::{health::InstanceReport, user_token::Version};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

const HEARTBEAT: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(250);
const KEEP_TIME: Duration = Duration::from_secs(10);
/// A replica whose heartbeat is older than this does not count, and one that could not read for as long answers nobody.
const ALIVE: Duration = Duration::from_secs(3);

/// This replica among the others.
pub struct Instances {
    id: InstanceId,
    started_at: OffsetDateTime,
    /// CLOCK_BOOTTIME of the last good reading of the database.
    read_at: AtomicU64,
}

impl Instances {
    /// A replica that has just read the database.
    pub fn new(ambient: &Ambient) -> Self {
        Self {
            id: ambient.id(),
            started_at: ambient.now(),
            read_at: AtomicU64::new(ambient.boot().nanos()),
        }
    }

    /// This replica.
    pub fn id(&self) -> InstanceId {
        self.id
    }

    /// Whether this replica could read the database lately: what it knows is what the region knows.
    pub fn is_current(&self, now: BootTime) -> bool {
        now.since(BootTime::from_nanos(self.read_at.load(Ordering::Relaxed))) <= ALIVE
    }

    /// All replicas with a row, for the probe.
    ///
    /// # Errors
    /// The database.
    pub async fn report(&self, app: &App) -> Result<Vec<InstanceReport>, DbError> {
        let mut tx = SystemTx::begin(&app.app_pool, "report-instances").await?;
        let all = store::all(&mut tx).await?;
        tx.rollback().await?;
        Ok(all)
    }

    /// The passport that every living replica has applied; nothing while one of them has none.
    ///
    /// # Errors
    /// The database.
    pub async fn applied_everywhere(&self, app: &App) -> Result<Option<Version>, DbError> {
        let mut tx = SystemTx::begin(&app.app_pool, "applied-everywhere").await?;
        let lowest = store::lowest_applied(&mut tx, ALIVE).await?;
        tx.rollback().await?;
        Ok(lowest)
    }

    /// Keeps this replica's row warm.
    ///
    /// # Errors
    /// The database.
    pub async fn beat(&self, app: &App) -> Result<(), DbError> {
        let applied = app.directory.current().as_ref().map(|index| index.version());
        let mut tx = SystemTx::begin(&app.app_pool, "heartbeat").await?;
        store::beat(&mut tx, self.id, self.started_at, applied).await?;
        tx.commit().await
    }

    /// Looks at what other replicas applied.
    ///
    /// # Errors
    /// The database.
    pub async fn look(&self, app: &App) -> Result<(), DbError> {
        // Read before: what is known is of this moment or later.
        let at = app.ambient.boot();
        app.directory.look().await?;
        self.read_at.fetch_max(at.nanos(), Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
impl Instances {
    /// As if this replica had read the database at `now`: tests move the clock and run no background work.
    pub(crate) fn has_read(&self, now: BootTime) {
        self.read_at.fetch_max(now.nanos(), Ordering::Relaxed);
    }
}

/// Starts the room's background work.
pub fn background(app: &App, life: &Lifecycle) {
    let stop = life.stop();
    let (me, other, third) = (app.clone(), app.clone(), app.clone());
    let (stop_looking, stop_keeping) = (stop.clone(), stop.clone());
    life.spawn("heartbeat", async move {
        heartbeat(me, stop).await;
        Ok(())
    });
    life.spawn("look", async move {
        look(other, stop_looking).await;
        Ok(())
    });
    life.spawn("keep time", async move {
        keep_time(third, stop_keeping).await;
        Ok(())
    });
}

async fn heartbeat(app: App, stop: CancellationToken) {
    let mut applied = app.directory.applied();
    loop {
        if let Err(cause) = app.instances.beat(&app).await {
            tracing::debug!(%cause, "the heartbeat could not be written");
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(HEARTBEAT) => {}
            _ = applied.changed() => {}
        }
    }
    // A replica that left in order is not waited for.
    let left = async {
        let mut tx = SystemTx::begin(&app.app_pool, "leave").await?;
        store::leave(&mut tx, app.instances.id).await?;
        tx.commit().await
    };
    if let Err(cause) = left.await {
        tracing::debug!(%cause, "the replica's row could not be removed");
    }
}

async fn look(app: App, stop: CancellationToken) {
    let mut wakeup = app.wakeups.of("gw_passport");
    loop {
        if let Err(cause) = app.instances.look(&app).await {
            tracing::debug!(%cause, "the database could not be read");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            _ = wakeup.next(LOOK) => {}
        }
    }
}

async fn keep_time(app: App, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(KEEP_TIME) => {}
        }
        app.directory.keep_time().await;
    }
    app.directory.keep_time().await;
}
