//! Pushes: whatever a connected region lacks is on its way within a second of the commit, and again until it is taken.
use super::{
    deliver,
    store::{self, Standing},
};
use crate::{app::App, federation::down};
use anyhow::Context;
use exarch_common_base::{BootTime, RegionId, backoff::Backoff};
use exarch_common_pg::SystemTx;
use exarch_common_runtime::Reconcile;
use exarch_common_wire::{
    federation::{CBOR, paths},
    user_token::Version,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Wakes the pushes when another replica has changed a passport, until `stop`.
pub async fn wake(app: App, stop: CancellationToken) {
    let mut wakeup = app.wakeups.of(super::CHANNEL);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            woken = wakeup.next(Pushes::EVERY) => {
                if woken {
                    app.federation.pushes.now();
                }
            }
        }
    }
}

/// The background pass. Each region has a push of its own under way, so that a slow one delays no other.
pub struct Pushes {
    app: App,
    regions: Regions,
}

type Regions = Arc<Mutex<HashMap<RegionId, Progress>>>;

struct Progress {
    under_way: bool,
    /// What was taken, and over which tunnel: a region that comes back may have forgotten it.
    taken: Option<(u64, Version)>,
    not_before: BootTime,
    backoff: Backoff,
}

impl Progress {
    fn new(now: BootTime) -> Self {
        Self {
            under_way: false,
            taken: None,
            not_before: now,
            backoff: Backoff::new(Duration::from_millis(200), Duration::from_secs(10)),
        }
    }
}

impl Pushes {
    /// Of one process.
    pub fn new(app: App) -> Self {
        Self {
            app,
            regions: Regions::default(),
        }
    }

    /// Whether the region lacks something and may be pushed to now; if so, a push is under way from here on.
    fn start(&self, standing: &Standing) -> bool {
        let now = self.app.ambient.boot();
        let tunnels = self.app.federation.tunnels.of(standing.region);
        let mut regions = lock(&self.regions);
        let progress = regions.entry(standing.region).or_insert_with(|| Progress::new(now));
        let taken = progress
            .taken
            .filter(|(tunnel, _)| tunnels.iter().any(|t| t.id() == *tunnel))
            .map(|(_, version)| version);
        let lacks = standing.version > standing.acknowledged.max(taken).unwrap_or_default();
        let start = lacks && !progress.under_way && now >= progress.not_before && !tunnels.is_empty();
        progress.under_way |= start;
        start
    }
}

impl Reconcile for Pushes {
    const NAME: &'static str = "push-passports";
    /// Short, because another replica's changes are found by looking.
    const EVERY: Duration = Duration::from_millis(500);

    async fn pass(&mut self) -> anyhow::Result<u64> {
        let connected = self.app.federation.tunnels.connected();
        lock(&self.regions).retain(|region, p| p.under_way || connected.contains(region));
        if connected.is_empty() {
            return Ok(0);
        }
        let mut tx = SystemTx::begin(&self.app.app_pool, Self::NAME).await?;
        let standings = store::standings(tx.conn(), &connected).await?;
        tx.rollback().await?;
        for standing in standings.into_iter().filter(|s| self.start(s)) {
            tokio::spawn(push(self.app.clone(), self.regions.clone(), standing));
        }
        Ok(0)
    }
}

async fn push(app: App, regions: Regions, standing: Standing) {
    let region = standing.region;
    let outcome = deliver_to(&app, &standing).await;
    let now = app.ambient.boot();
    let mut held = lock(&regions);
    let progress = held.entry(region).or_insert_with(|| Progress::new(now));
    progress.under_way = false;
    match outcome {
        Ok(taken) => {
            progress.taken = taken.0.map(|tunnel| (tunnel, taken.1));
            progress.backoff.reset();
            tracing::debug!(%region, version = %taken.1, "a passport was pushed");
        }
        Err(error) => {
            progress.not_before = now + progress.backoff.next(&app.ambient);
            metrics::counter!("exarch_passport_push_failures_total").increment(1);
            tracing::warn!(%region, error = format!("{error:#}"), "a passport could not be pushed; it is tried again");
        }
    }
    drop(held);
    // A change that came meanwhile has not waited for the pass in vain.
    app.federation.pushes.now();
}

async fn deliver_to(app: &App, standing: &Standing) -> anyhow::Result<(Option<u64>, Version)> {
    let (version, push) = deliver::since(app, standing.region, standing.acknowledged, deliver::PUSH).await?;
    let body = push.to_bytes().into();
    let answer = down::call(app, standing.region, paths::PASSPORT, CBOR, body, TIMEOUT)
        .await
        .context("no believed answer")?;
    anyhow::ensure!(answer.status.is_success(), "the region answered {}", answer.status);
    Ok((answer.tunnel, version))
}

fn lock(regions: &Regions) -> MutexGuard<'_, HashMap<RegionId, Progress>> {
    regions.lock().expect("no holder of this lock panics")
}
