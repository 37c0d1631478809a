//! Agents whose long polls wait on this gateway, and the one look that is taken for all of them.
use super::store;
use crate::app::App;
use exarch_common_base::{AgentId, TenantId};
use exarch_common_pg::{DbError, SystemTx};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, Weak},
    time::Duration,
};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

/// The channel on which replicas tell each other that assignments have changed.
pub const CHANNEL: &str = "gw_assignment";

/// How soon a change is seen whose notification was lost.
const LOOK: Duration = Duration::from_millis(250);

type Key = (TenantId, AgentId);

/// Who waits, with the highest version that was seen since.
#[derive(Debug, Default)]
pub struct Waiters(Mutex<HashMap<Key, Weak<watch::Sender<u64>>>>);

/// One long poll.
#[derive(Debug)]
pub(super) struct Waiter {
    seen: watch::Receiver<u64>,
    /// What keeps the agent among those who are looked for.
    _here: Arc<watch::Sender<u64>>,
}

impl Waiters {
    /// Is looked for from now on, until it is dropped.
    pub(super) fn waiter(&self, tenant: TenantId, agent: AgentId) -> Waiter {
        let mut waiting = self.waiting();
        let here = waiting
            .get(&(tenant, agent))
            .and_then(Weak::upgrade)
            .unwrap_or_default();
        waiting.insert((tenant, agent), Arc::downgrade(&here));
        Waiter {
            seen: here.subscribe(),
            _here: here,
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Key, Weak<watch::Sender<u64>>>> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Those who wait at this moment; those who do not any more are forgotten.
    pub(super) fn present(&self) -> HashMap<Key, Arc<watch::Sender<u64>>> {
        let mut waiting = self.waiting();
        let present: HashMap<_, _> = waiting
            .iter()
            .filter_map(|(key, here)| Some((*key, here.upgrade()?)))
            .collect();
        waiting.retain(|key, _| present.contains_key(key));
        present
    }

    /// Looks for all who wait, after each notification and four times a second, until `stop`.
    pub async fn keep(app: App, stop: CancellationToken) {
        let mut wakeup = app.wakeups.of(CHANNEL);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = wakeup.next(LOOK) => {}
            }
            // The next look makes good what this one could not see; the pool's own metrics tell of an outage.
            if let Err(error) = app.assignments.look(&app).await {
                tracing::debug!(%error, "the versions of assignments could not be read");
            }
        }
    }

    async fn look(&self, app: &App) -> Result<(), DbError> {
        let present = self.present();
        if present.is_empty() {
            return Ok(());
        }
        let mut tx = SystemTx::begin(&app.sweep_pool, "wake-agents").await?;
        let versions = store::versions(&mut tx, present.keys().copied()).await?;
        tx.commit().await?;
        for (key, version) in versions {
            if let Some(here) = present.get(&key) {
                here.send_if_modified(|seen| std::mem::replace(seen, version) != version);
            }
        }
        Ok(())
    }
}

impl Waiter {
    /// Waits until a version above `known` was seen; false when `deadline` came first.
    pub(super) async fn above(&mut self, known: u64, deadline: Instant) -> bool {
        let seen = self.seen.wait_for(|seen| *seen > known);
        matches!(tokio::time::timeout_at(deadline, seen).await, Ok(Ok(_)))
    }
}
