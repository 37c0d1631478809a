//! The way to the global: this replica's two connections, and what goes over them.
//!
//! The gateway dials, always. On `exarch-up/1` it calls: polls of the passport, acknowledgements, renewals. On
//! `exarch-down/1` it is called after the roles have swapped: probes and pushes. Each request and each answer is signed for
//! itself and for its connection. When the global is silent, the region goes on by its passport; only its age tells.
mod acknowledge;
mod down;
mod join;
mod link;
mod poll;
mod probe;
mod renew;
mod rotate;
mod store;
#[cfg(test)]
mod tests;
mod tunnel;

#[cfg(test)]
pub(crate) use join::enlist;
pub use join::{JoinError, Joining, join};
pub use link::{Link, LinkError};
pub use poll::{PollError, poll};
pub(crate) use store::region;

use crate::app::App;
use arc_swap::ArcSwapOption;
use exarch_common_base::BootTime;
use exarch_common_pg::SystemTx;
use exarch_common_runtime::{Lifecycle, Nudge, run_reconciler};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};
use time::OffsetDateTime;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

const NEVER: i64 = i64::MIN;

/// The way to the global, as the rest of the gateway sees it.
pub struct Federation {
    up: ArcSwapOption<Link>,
    up_since: Mutex<Option<BootTime>>,
    down_since: Mutex<Option<BootTime>>,
    /// When the global was last heard, seconds since 1970.
    contact: AtomicI64,
    /// What waits to be told.
    queued: AtomicU64,
    /// Tickets of those who asked for a poll …
    wanted: AtomicU64,
    nudge: Notify,
    /// … the highest ticket that the last poll covers, and whether it reached the global.
    polled: watch::Sender<(u64, bool)>,
    /// Changes when both connections should be made anew.
    redial: watch::Sender<u64>,
}

impl Default for Federation {
    fn default() -> Self {
        Self {
            up: ArcSwapOption::empty(),
            up_since: Mutex::default(),
            down_since: Mutex::default(),
            contact: AtomicI64::new(NEVER),
            queued: AtomicU64::new(0),
            wanted: AtomicU64::new(0),
            nudge: Notify::new(),
            polled: watch::Sender::new((0, false)),
            redial: watch::Sender::new(0),
        }
    }
}

impl Federation {
    /// Polls the passport now and waits until that is done, at most `limit`; says whether the global was reached. What came
    /// is in the directory then.
    pub async fn fetch(&self, limit: Duration) -> bool {
        if self.up.load().is_none() {
            return false;
        }
        let mut polled = self.polled.subscribe();
        let ticket = self.wanted.fetch_add(1, Ordering::SeqCst) + 1;
        self.nudge.notify_one();
        match tokio::time::timeout(limit, polled.wait_for(|(covered, _)| *covered >= ticket)).await {
            Ok(Ok(done)) => done.1,
            Ok(Err(_)) | Err(_) => false,
        }
    }

    /// Polls the passport soon.
    pub fn poll_soon(&self) {
        self.nudge.notify_one();
    }

    /// When the global was last heard, by an answer or a request that was genuine.
    pub fn last_contact(&self) -> Option<OffsetDateTime> {
        let at = self.contact.load(Ordering::Relaxed);
        OffsetDateTime::from_unix_timestamp(at).ok().filter(|_| at != NEVER)
    }

    /// Seconds since the connection for calls to the global was made; nothing when there is none.
    pub fn up_age(&self, now: BootTime) -> Option<u64> {
        since(&self.up_since, now)
    }

    /// Seconds since the connection for calls by the global was made; nothing when there is none.
    pub fn tunnel_age(&self, now: BootTime) -> Option<u64> {
        since(&self.down_since, now)
    }

    /// How many messages wait to be told to the global.
    pub fn queued(&self) -> u64 {
        self.queued.load(Ordering::Relaxed)
    }

    fn queue(&self, messages: u64) {
        self.queued.store(messages, Ordering::Relaxed);
    }

    fn link(&self) -> Option<Link> {
        self.up.load().as_deref().cloned()
    }

    fn heard(&self, now: OffsetDateTime) {
        self.contact.store(now.unix_timestamp(), Ordering::Relaxed);
    }

    fn ticket(&self) -> u64 {
        self.wanted.load(Ordering::SeqCst)
    }

    fn polled(&self, ticket: u64, reached: bool) {
        self.polled.send_replace((ticket, reached));
    }

    fn connected(&self, link: Link, now: BootTime) {
        *self.up_since.lock().expect("no holder of this lock panics") = Some(now);
        self.up.store(Some(Arc::new(link)));
        self.nudge.notify_one();
    }

    fn disconnected(&self) {
        self.up.store(None);
        *self.up_since.lock().expect("no holder of this lock panics") = None;
    }

    fn set_down(&self, since: Option<BootTime>) {
        *self.down_since.lock().expect("no holder of this lock panics") = since;
    }
}

fn since(at: &Mutex<Option<BootTime>>, now: BootTime) -> Option<u64> {
    let at = *at.lock().expect("no holder of this lock panics");
    Some(now.since(at?).as_secs())
}

/// Starts the room's background work.
pub fn background(app: &App, life: &Lifecycle) {
    let stop = life.stop();
    life.spawn("tunnel up", always(tunnel::up(app.clone(), stop.clone())));
    life.spawn("tunnel down", always(tunnel::down(app.clone(), stop.clone())));
    life.spawn("passport poll", always(poll::run(app.clone(), stop.clone())));
    life.spawn(
        "passport acknowledge",
        always(acknowledge::run(app.clone(), stop.clone())),
    );
    let rotate = rotate::Rotate {
        app: app.clone(),
        rotation: app.settings.federation.secret_rotation,
    };
    life.track(run_reconciler(rotate, Nudge::new(), app.ambient.clone(), stop.clone()));
    life.spawn("spent numbers", always(sweep(app.clone(), stop)));
}

async fn always(work: impl Future<Output = ()>) -> anyhow::Result<()> {
    work.await;
    Ok(())
}

/// Forgets the numbers of dead tokens.
async fn sweep(app: App, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(Duration::from_secs(60)) => {}
        }
        let swept = async {
            let mut tx = SystemTx::begin(&app.app_pool, "sweep-spent").await?;
            store::sweep_spent(&mut tx, app.ambient.now()).await?;
            tx.commit().await
        };
        if let Err(cause) = swept.await {
            tracing::debug!(%cause, "used numbers could not be swept");
        }
    }
}
