//! Each second: what is held, and since when it looks like that. What has been quiet for long enough is marked as expired.
//!
//! Nothing depends on the mark: a grant decides by the same observations. It ends the renewals of a lost lease, tells people
//! and other replicas, and is the row of the audit.
use super::{
    grant,
    store::{self, CHANNEL, Sight},
};
use crate::app::App;
use exarch_common_pg::{Clusters, DbError, SystemTx, TenantContext, TenantTx};
use exarch_common_runtime::{Nudge, Reconcile, run_reconciler};
use std::{collections::HashSet, time::Duration};
use tokio_util::sync::CancellationToken;

/// Observes until `stop`: each second, and at once when a replica tells that a lease has ended.
pub(super) async fn keep(app: App, stop: CancellationToken) {
    let nudge = Nudge::new();
    let mut ended = app.wakeups.of(CHANNEL);
    let waking = async {
        loop {
            if ended.next(Duration::from_secs(3600)).await {
                nudge.now();
            }
        }
    };
    let passing = run_reconciler(Observer { app: app.clone() }, nudge.clone(), app.ambient.clone(), stop);
    tokio::select! {
        () = waking => {}
        () = passing => {}
    }
}

pub(super) struct Observer {
    pub(super) app: App,
}

impl Reconcile for Observer {
    const NAME: &'static str = "observe-leases";
    const EVERY: Duration = Duration::from_secs(1);

    async fn pass(&mut self) -> anyhow::Result<u64> {
        let app = &self.app;
        let asked = app.ambient.boot();
        let mut tx = SystemTx::begin(&app.sweep_pool, Self::NAME).await?;
        let sights = store::current(&mut tx).await?;
        tx.commit().await?;
        // the answer is in hand: only now may the clock be read
        let now = app.ambient.boot();
        let shown: HashSet<_> = sights.iter().map(|sight| sight.resource).collect();
        let mut over = Vec::new();
        {
            let mut seen = app.leases.seen();
            for sight in sights {
                if seen.note(sight.resource, sight.version, now).is_zero() {
                    over.push(sight);
                }
            }
            seen.keep(&shown, asked);
        }
        metrics::gauge!("exarch_leases_held").set(shown.len() as f64);
        let quiet: HashSet<_> = over.iter().map(|sight| sight.resource).collect();
        app.leases
            .waiting
            .wake(|resource| !shown.contains(&resource) || quiet.contains(&resource));
        let (mut marked, mut failed) = (0, None);
        for sight in over {
            // one row that cannot be marked must not hold up the others
            match expire(app, &sight).await {
                Ok(done) => marked += u64::from(done),
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(marked), |error| Err(error.into()))
    }
}

/// Marks a lease that this gateway has seen quiet, unless it has changed since. Whether it did.
async fn expire(app: &App, sight: &Sight) -> Result<bool, DbError> {
    let context = TenantContext {
        tenant: sight.tenant,
        clusters: Clusters::Only(vec![sight.cluster]),
        actor: format!("system:{}", Observer::NAME),
    };
    let mut tx = TenantTx::begin(&app.app_pool, &context).await?;
    let Some(found) = store::lock_newest(&mut tx, sight.resource).await? else {
        return Ok(false);
    };
    let left = app
        .leases
        .seen()
        .note(sight.resource, found.lease.version(), app.ambient.boot());
    if !left.is_zero() {
        return Ok(false);
    }
    let Some(lapsed) = found.lease.lapse() else {
        return Ok(false);
    };
    grant::end(app, &mut tx, &lapsed, app.ambient.now()).await?;
    tx.commit().await?;
    Ok(true)
}
