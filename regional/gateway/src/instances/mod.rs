//! The replicas of this region's gateway. They meet in the database and nowhere else: each has a row that it keeps warm,
//! and each looks every quarter second at what the others applied.
mod standing;
mod store;
#[cfg(test)]
mod tests;
mod worst;

pub(crate) use worst::Worst;

use crate::app::App;
use exarch_common_base::{Ambient, BootTime, InstanceId};
use exarch_common_crypto::pki::Peer;
use exarch_common_pg::{DbError, SystemTx};
use exarch_common_runtime::Lifecycle;
use exarch_common_wire::{
    PROTOCOL,
    health::{InstanceReport, Vitals},
    user_token::Version,
};
use standing::Standing;
use std::{
    sync::{
        Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

const HEARTBEAT: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(250);
const KEEP_TIME: Duration = Duration::from_secs(10);
/// A replica whose heartbeat is older than this does not count, and one that could not read or beat for as long answers nobody.
const ALIVE: Duration = Duration::from_secs(InstanceReport::ALIVE);

/// This replica among the others.
pub struct Instances {
    id: InstanceId,
    started_at: OffsetDateTime,
    standing: Mutex<Standing>,
    /// CLOCK_BOOTTIME until which this replica may serve, nanoseconds: read by every request.
    good_until: AtomicU64,
    /// What the last heartbeat showed of the database: round trip in microseconds, and our clock less its in milliseconds.
    database_us: AtomicU64,
    skew_ms: AtomicI64,
}

impl Instances {
    /// A replica that nobody waits for yet: it serves once it has beaten and read.
    pub fn new(ambient: &Ambient) -> Self {
        Self {
            id: ambient.id(),
            started_at: ambient.now(),
            standing: Mutex::default(),
            good_until: AtomicU64::new(0),
            database_us: AtomicU64::new(0),
            skew_ms: AtomicI64::new(0),
        }
    }

    /// This replica.
    pub fn id(&self) -> InstanceId {
        self.id
    }

    /// Whether what this replica knows is what the region knows: it could read the database lately, and others wait for it.
    pub fn is_current(&self, now: BootTime) -> bool {
        now.nanos() <= self.good_until.load(Ordering::Relaxed)
    }

    fn stand(&self, change: impl FnOnce(&mut Standing)) {
        let mut standing = self.standing.lock().expect("no holder of this lock panics");
        change(&mut standing);
        let until = standing.good_until().map_or(0, BootTime::nanos);
        self.good_until.store(until, Ordering::Relaxed);
    }

    /// This replica as it knows itself at this moment.
    pub fn myself(&self, app: &App) -> InstanceReport {
        let (now, boot) = (app.ambient.now(), app.ambient.boot());
        InstanceReport {
            id: self.id,
            software: env!("CARGO_PKG_VERSION").to_owned(),
            passport: app.directory.current().as_ref().map(|index| index.version()),
            heartbeat_age: 0,
            vitals: Some(Vitals {
                protocol: PROTOCOL,
                skew_ms: self.skew_ms.load(Ordering::Relaxed),
                database_us: self.database_us.load(Ordering::Relaxed),
                passport_age: app.directory.age(),
                certificate_days: Peer::read(&app.secrets.certificate())
                    .map_or(0, |c| (c.not_after - now).whole_days()),
                tunnel_age: app.federation.tunnel_age(boot),
            }),
        }
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
        let latency = app.app_pool.ping().await?;
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.database_us.store(micros, Ordering::Relaxed);
        let (sent, wall) = (app.ambient.boot(), app.ambient.now());
        let mut tx = SystemTx::begin(&app.app_pool, "heartbeat").await?;
        let theirs = store::beat(&mut tx, self.started_at, &self.myself(app)).await?;
        tx.commit().await?;
        let answered = app.ambient.boot();
        let skew = wall + answered.since(sent) / 2 - theirs;
        let millis = i64::try_from(skew.whole_milliseconds()).unwrap_or(i64::MAX);
        self.skew_ms.store(millis, Ordering::Relaxed);
        self.stand(|standing| standing.beaten(sent, answered));
        Ok(())
    }

    /// Looks at what other replicas applied, and at the bindings made here.
    ///
    /// # Errors
    /// The database.
    pub async fn look(&self, app: &App) -> Result<(), DbError> {
        // Read before: what is known is of this moment or later.
        let at = app.ambient.boot();
        app.directory.look().await?;
        app.bindings.look(&app.app_pool, &app.sweep_pool).await?;
        self.stand(|standing| standing.read(at));
        Ok(())
    }
}

#[cfg(test)]
impl Instances {
    /// As if this replica had beaten and read at `now`: tests move the clock and run no background work.
    pub(crate) fn has_read(&self, now: BootTime) {
        self.stand(|standing| {
            standing.beaten(now, now);
            standing.read(now);
        });
    }
}

/// From here on others wait for this replica, and what was acknowledged before is known here. A database that fails is tried
/// again in the background; until then nobody is served.
pub async fn arrive(app: &App) {
    let arrived = async {
        app.instances.beat(app).await?;
        app.instances.look(app).await
    };
    if let Err(cause) = arrived.await {
        tracing::warn!(%cause, "the replica could not write its row yet");
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
    let mut silent = false;
    loop {
        let failed = within(app.instances.beat(&app)).await.err();
        match &failed {
            // once for each outage: the reason does not change from one second to the next
            Some(cause) if !silent => tell(&app, cause).await,
            None if silent => tracing::info!("the database is reached again"),
            _ => {}
        }
        silent = failed.is_some();
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

/// Work that is worth nothing later. On a silent wire it would never end, and the replica would stay out when the database is
/// back: the next attempt goes by another connection.
async fn within(work: impl Future<Output = Result<(), DbError>>) -> Result<(), String> {
    match tokio::time::timeout(ALIVE, work).await {
        Ok(done) => done.map_err(|cause| cause.told()),
        Err(_) => Err("the database does not answer".to_owned()),
    }
}

/// Why nobody will be served in a moment.
async fn tell(app: &App, cause: &str) {
    match app.app_pool.unreachable().await {
        Some(why) => tracing::warn!(why, "database unreachable: this replica serves nobody until it is back"),
        None => tracing::warn!(
            why = cause,
            "the heartbeat could not be written, though the database answers"
        ),
    }
}

async fn look(app: App, stop: CancellationToken) {
    let mut wakeup = app.wakeups.of("gw_passport");
    loop {
        if let Err(cause) = within(app.instances.look(&app)).await {
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
