//! Refusals of known callers: collected in memory, written in batches.
use super::{record, record::by};
use crate::{app::App, gate::UserCaller};
use exarch_common_authz::{Refusal, Target};
use exarch_common_base::{DecisionId, TenantId};
use exarch_common_pg::{AppPool, Clusters, DbError, TenantContext, TenantTx};
use exarch_common_runtime::{Nudge, Reconcile, run_reconciler};
use exarch_common_wire::audit::{Entry, Outcome};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// Refusals kept in memory at most. Further ones are counted and lost: no caller can use up the memory by being refused.
pub(super) const ROOM: usize = 4096;

/// Refusals that wait to be written. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Refusals(Arc<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    entries: Mutex<Vec<Entry>>,
    nudge: Nudge,
}

impl Refusals {
    /// Notes that the policy refused `caller`; the row follows within a second.
    pub fn note(&self, caller: &UserCaller, refusal: &Refusal, decision: DecisionId) {
        let (kind, id) = match refusal.target() {
            Target::System => ("federation", String::new()),
            Target::Region => ("region", String::new()),
            Target::Tenant(tenant) | Target::Clusters(tenant) => ("tenant", tenant.to_string()),
            Target::Cluster(_, cluster) => ("cluster", cluster.to_string()),
        };
        let mut entry =
            by(caller, refusal.permission().name(), kind, id).ended(Outcome::Denied, refusal.why().to_string());
        entry.decision = Some(decision);
        self.add(vec![entry]);
        self.0.nudge.now();
    }

    pub(super) fn add(&self, entries: Vec<Entry>) {
        let mut waiting = self.waiting();
        let fits = ROOM.saturating_sub(waiting.len()).min(entries.len());
        lost(entries.len() - fits, "full");
        waiting.extend(entries.into_iter().take(fits));
    }

    pub(super) fn waiting(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.entries.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Writes what waits, until `stop` and once more after it.
    pub async fn keep(app: App, stop: CancellationToken) {
        let writer = || Writer {
            refusals: app.refusals.clone(),
            pool: app.app_pool.clone(),
        };
        run_reconciler(writer(), app.refusals.0.nudge.clone(), app.ambient.clone(), stop).await;
        if let Err(error) = writer().pass().await {
            let left = app.refusals.waiting().len();
            tracing::error!(
                error = format!("{error:#}"),
                left,
                "refusals could not be written before the end"
            );
        }
    }
}

fn lost(count: usize, why: &'static str) {
    if count > 0 {
        metrics::counter!("exarch_audit_refusals_lost_total", "why" => why).increment(count as u64);
    }
}

pub(super) struct Writer {
    pub(super) refusals: Refusals,
    pub(super) pool: AppPool,
}

impl Reconcile for Writer {
    const NAME: &'static str = "audit-refusals";
    const EVERY: Duration = Duration::from_secs(1);

    async fn pass(&mut self) -> anyhow::Result<u64> {
        let mut by_tenant: BTreeMap<TenantId, Vec<Entry>> = BTreeMap::new();
        for entry in std::mem::take(&mut *self.refusals.waiting()) {
            by_tenant.entry(entry.tenant).or_default().push(entry);
        }
        let (mut written, mut outage) = (0, None);
        for (tenant, entries) in by_tenant {
            match write(&self.pool, tenant, &entries).await {
                Ok(()) => written += entries.len() as u64,
                Err(error) if error.is_unavailable() || matches!(error, DbError::Serialization(_)) => {
                    self.refusals.add(entries);
                    outage = Some(error);
                }
                // Another try would fail in the same way, and hold up the rest.
                Err(error) => {
                    lost(entries.len(), "refused");
                    tracing::error!(%tenant, cause = ?error, count = entries.len(), "refusals could not be written");
                }
            }
        }
        outage.map_or(Ok(written), |error| Err(error.into()))
    }
}

async fn write(pool: &AppPool, tenant: TenantId, entries: &[Entry]) -> Result<(), DbError> {
    let context = TenantContext {
        tenant,
        clusters: Clusters::Only(Vec::new()),
        actor: "system:audit-refusals".to_owned(),
    };
    let mut tx = TenantTx::begin(pool, &context).await?;
    for entry in entries {
        record(&mut tx, entry).await?;
    }
    tx.commit().await
}
