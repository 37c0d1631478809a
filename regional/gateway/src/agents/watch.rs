//! Ends the connections of agents from which everything was taken, whichever replica took it.
use super::{
    sessions::agent_of,
    store::{self, CHANNEL},
};
use crate::app::App;
use exarch_common_base::AgentId;
use exarch_common_pg::SystemTx;
use exarch_common_runtime::{Nudge, Reconcile, run_reconciler};
use std::{collections::BTreeSet, time::Duration};
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
        let connected: BTreeSet<(AgentId, Vec<u8>)> = app
            .agent_connections
            .peers()
            .iter()
            .filter_map(|peer| {
                let certificate = peer.certificate()?;
                Some((agent_of(app, certificate)?, certificate.public_key.clone()))
            })
            .collect();
        if connected.is_empty() {
            return Ok(0);
        }
        let ids: Vec<AgentId> = connected.iter().map(|(agent, _)| *agent).collect();
        let mut tx = SystemTx::begin(&app.sweep_pool, Self::NAME).await?;
        let active = store::active(&mut tx, &ids).await?;
        tx.commit().await?;
        // Also the key that an agent had before it came in again: whoever still has it is the copy.
        let out = connected.iter().filter(|(agent, key)| active.get(agent) != Some(key));
        Ok(out
            .map(|(agent, _)| app.agents.put_out(app, *agent, active.get(agent).map(Vec::as_slice)) as u64)
            .sum())
    }
}
