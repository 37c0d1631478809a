//! Refusals of known callers: collected in memory, written in batches to the audit and, as they were decided, for those who ask
//! why. A flood of them costs the database a few statements for each tenant and batch, however many there are.
use super::{record::by, store};
use crate::app::App;
use crate::gate::UserCaller;
use exarch_common_authz::{Principal, Record, Target};
use exarch_common_base::{DecisionId, TenantId, Waiting};
use exarch_common_pg::{
    AppPool, Clusters, DbError, TenantContext, TenantTx,
    decisions::{self, Decision},
};
use exarch_common_runtime::{Nudge, Reconcile, run_reconciler};
use exarch_common_wire::audit::{Entry, Outcome};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// Refusals kept in memory at most. Further ones are counted and lost: no caller can use up the memory by being refused.
pub(super) const ROOM: usize = 4096;
/// Those of one caller within a second; further ones are counted and lost, so that nobody crowds out the others.
pub(super) const SHARE: u32 = 20;

/// Refusals that wait to be written. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Refusals(Arc<Waiting<Principal, Refused>>);

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    pub(super) entry: Entry,
    pub(super) decision: Option<Decision>,
}

impl Default for Refusals {
    fn default() -> Self {
        Self(Arc::new(Waiting::new(ROOM, SHARE)))
    }
}

impl Refusals {
    /// Notes what was refused to `caller`, and why in words for the audit; it is written within a second.
    pub fn note(&self, caller: &UserCaller, record: impl FnOnce() -> Record, why: impl ToString, id: DecisionId) {
        let refused = || {
            let record = record();
            let (kind, target) = match record.target {
                Target::System => ("federation", String::new()),
                Target::Region => ("region", String::new()),
                Target::Tenant(tenant) | Target::Clusters(tenant) => ("tenant", tenant.to_string()),
                Target::Cluster(_, cluster) => ("cluster", cluster.to_string()),
            };
            let mut entry = by(caller, &record.permission, kind, target).ended(Outcome::Denied, why.to_string());
            entry.decision = Some(id);
            let decision = serde_json::to_string(&record).ok().map(|record| Decision {
                id,
                at: entry.at,
                record,
            });
            Refused { entry, decision }
        };
        if let Err(why) = self.0.push(caller.ids.boot(), caller.principal(), refused) {
            lost(1, why.as_str());
        }
    }

    /// Notes that somebody who has the secret of a key came from where it may not be used: it may be in the wrong hands.
    pub fn note_misplaced(&self, key: &UserCaller) {
        let refused = || {
            let entry = by(key, "api_key.use", "api-key", key.principal());
            Refused {
                entry: entry.ended(Outcome::Denied, "from an address that the key does not name"),
                decision: None,
            }
        };
        if let Err(why) = self.0.push(key.ids.boot(), key.principal(), refused) {
            lost(1, why.as_str());
        }
    }

    /// Writes what waits now.
    #[cfg(test)]
    pub(crate) async fn write_now(app: &App) {
        let (refusals, pool) = (app.refusals.clone(), app.app_pool.clone());
        Writer { refusals, pool }.pass().await.unwrap();
    }

    /// A decision of a tenant that is not written yet, by this replica.
    pub fn decision(&self, tenant: TenantId, id: DecisionId) -> Option<Decision> {
        let of_it = |refused: &Refused| refused.entry.tenant == tenant && refused.entry.decision == Some(id);
        self.0
            .find(|refused| refused.decision.clone().filter(|_| of_it(refused)))
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> &Waiting<Principal, Refused> {
        &self.0
    }

    /// Writes what waits, until `stop` and once more after it.
    pub async fn keep(app: App, stop: CancellationToken) {
        let writer = || Writer {
            refusals: app.refusals.clone(),
            pool: app.app_pool.clone(),
        };
        run_reconciler(writer(), Nudge::new(), app.ambient.clone(), stop).await;
        if let Err(error) = writer().pass().await {
            let left = app.refusals.0.len();
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
    const EVERY: Duration = Duration::from_millis(250);

    async fn pass(&mut self) -> anyhow::Result<u64> {
        let mut by_tenant: BTreeMap<TenantId, Vec<Refused>> = BTreeMap::new();
        for refused in self.refusals.0.take() {
            by_tenant.entry(refused.entry.tenant).or_default().push(refused);
        }
        let (mut written, mut outage) = (0, None);
        for (tenant, refused) in by_tenant {
            match write(&self.pool, tenant, &refused).await {
                Ok(()) => written += refused.len() as u64,
                Err(error) if error.is_unavailable() || matches!(error, DbError::Serialization(_)) => {
                    lost(self.refusals.0.put_back(refused), "full");
                    outage = Some(error);
                }
                // Another try would fail in the same way, and hold up the rest.
                Err(error) => {
                    lost(refused.len(), "refused");
                    tracing::error!(%tenant, cause = ?error, count = refused.len(), "refusals could not be written");
                }
            }
        }
        outage.map_or(Ok(written), |error| Err(error.into()))
    }
}

async fn write(pool: &AppPool, tenant: TenantId, refused: &[Refused]) -> Result<(), DbError> {
    let context = TenantContext {
        tenant,
        clusters: Clusters::Only(Vec::new()),
        actor: "system:audit-refusals".to_owned(),
    };
    let kept: Vec<Decision> = refused.iter().filter_map(|refused| refused.decision.clone()).collect();
    let entries: Vec<&Entry> = refused.iter().map(|refused| &refused.entry).collect();
    let mut tx = TenantTx::begin(pool, &context).await?;
    decisions::keep(&mut tx, &kept).await?;
    let head = store::lock_head(&mut tx).await?;
    store::append_all(&mut tx, &entries, head).await?;
    tx.commit().await
}
