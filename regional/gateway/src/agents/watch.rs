//! Ends the connections of agents from which everything was taken, whichever replica took it.
use super::{
    sessions::agent_of,
    store::{self, CHANNEL},
};
use crate::app::App;
use exarch_common_base::AgentId;
use exarch_common_pg::SystemTx;
use exarch_common_runtime::{Nudge, Reconcile, run_reconciler};
use std::{
    collections::{BTreeSet, HashSet},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// Watches until `stop`: each second, and at once when a replica tells.
pub(super) async fn keep(app: App, stop: CancellationToken) {
    let nudge = Nudge::new();
    let mut told = app.wakeups.of(CHANNEL);
    let waking = async {
        loop {
            if told.next(Duration::from_secs(3600)).await {
                app.agents.memory.forget_all();
                nudge.now();
            }
        }
    };
    let watch = Watch { app: app.clone() };
    let passing = run_reconciler(watch, nudge.clone(), app.ambient.clone(), stop);
    tokio::select! {
        () = waking => {}
        () = passing => {}
    }
}

pub(super) struct Watch {
    pub(super) app: App,
}

impl Reconcile for Watch {
    const NAME: &'static str = "watch-agents";
    const EVERY: Duration = Duration::from_secs(1);

    async fn pass(&mut self) -> anyhow::Result<u64> {
        let app = &self.app;
        app.agents.limits.tidy();
        let connected: BTreeSet<AgentId> = app
            .agent_connections
            .peers()
            .iter()
            .filter_map(|peer| agent_of(app, peer.certificate()?))
            .collect();
        if connected.is_empty() {
            return Ok(0);
        }
        let connected: Vec<AgentId> = connected.into_iter().collect();
        let mut tx = SystemTx::begin(&app.sweep_pool, Self::NAME).await?;
        let active: HashSet<AgentId> = store::active(&mut tx, &connected).await?.into_iter().collect();
        tx.commit().await?;
        let out = connected.into_iter().filter(|agent| !active.contains(agent));
        Ok(out.map(|agent| app.agents.put_out(app, agent) as u64).sum())
    }
}
