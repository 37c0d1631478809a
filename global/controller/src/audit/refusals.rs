//! Refusals of known callers, written in batches: a refusal changes nothing, so it has no transaction of its own to be in. A flood
//! of them costs the database a few statements for each tenant and batch, however many there are.
use super::store;
use crate::app::App;
use exarch_common_authz::{Principal, Record};
use exarch_common_base::{Ambient, DecisionId, TenantId, Waiting};
use exarch_common_pg::{
    Clusters, DbError, TenantContext, TenantTx,
    decisions::{self, Decision},
};
use exarch_common_wire::audit::Entry;
use std::{collections::BTreeMap, time::Duration};
use tokio_util::sync::CancellationToken;

/// Kept in memory at most.
const WAITING: usize = 4096;
/// Those of one caller within a second: nobody crowds out the others.
const SHARE: u32 = 20;
const EVERY: Duration = Duration::from_millis(250);

/// Where refusals wait to be written.
#[derive(Debug)]
pub struct Refusals(Waiting<Principal, Refused>);

#[derive(Debug)]
struct Refused {
    entry: Entry,
    decision: Option<Decision>,
}

impl Default for Refusals {
    fn default() -> Self {
        Self(Waiting::new(WAITING, SHARE))
    }
}

impl Refusals {
    /// Takes one, with the decision where it was one of the policy. In a flood further ones are counted and not stored.
    pub fn push(&self, ambient: &Ambient, by: Principal, refused: impl FnOnce() -> (Entry, Option<Record>)) {
        let refused = || {
            let (entry, record) = refused();
            let record = record.and_then(|record| serde_json::to_string(&record).ok());
            let decision = entry.decision.zip(record).map(|(id, record)| Decision {
                id,
                at: entry.at,
                record,
            });
            Refused { entry, decision }
        };
        if let Err(why) = self.0.push(ambient.boot(), by, refused) {
            lost(1, why.as_str());
        }
    }

    /// A decision of a tenant that is not written yet, by this replica.
    pub fn decision(&self, tenant: TenantId, id: DecisionId) -> Option<Decision> {
        let of_it = |refused: &Refused| refused.entry.tenant == tenant && refused.entry.decision == Some(id);
        self.0
            .find(|refused| refused.decision.clone().filter(|_| of_it(refused)))
    }
}

fn lost(count: usize, why: &'static str) {
    if count > 0 {
        metrics::counter!("exarch_audit_refusals_lost_total", "why" => why).increment(count as u64);
    }
}

/// Writes what waits, every quarter of a second, until `stop` and once after it.
pub async fn write_refusals(app: App, stop: CancellationToken) {
    let mut stopping = false;
    while !stopping {
        tokio::select! {
            () = stop.cancelled() => stopping = true,
            () = tokio::time::sleep(EVERY) => {}
        }
        if let Err(error) = write_waiting(&app).await {
            tracing::error!(error = %error, "refusals could not be written to the audit");
        }
    }
}

/// One batch: a transaction for each tenant.
async fn write_waiting(app: &App) -> Result<(), DbError> {
    let mut outage = None;
    let mut batch: BTreeMap<TenantId, Vec<Refused>> = BTreeMap::new();
    for refused in app.refusals.0.take() {
        batch.entry(refused.entry.tenant).or_default().push(refused);
    }
    for (tenant, refused) in batch {
        // what was refused to somebody without a tenant in force is the provider's, whose id is a tenant's like any other here
        let context = TenantContext {
            tenant,
            clusters: Clusters::All,
            actor: "system:refusals".into(),
        };
        match write(app, &context, &refused).await {
            Ok(()) => {}
            Err(error) if error.is_unavailable() || matches!(error, DbError::Serialization(_)) => {
                lost(app.refusals.0.put_back(refused), "full");
                outage = Some(error);
            }
            // another try would fail in the same way, and hold up the rest
            Err(error) => {
                lost(refused.len(), "refused");
                tracing::error!(%tenant, cause = ?error, "refusals could not be written");
            }
        }
    }
    outage.map_or(Ok(()), Err)
}

async fn write(app: &App, context: &TenantContext, refused: &[Refused]) -> Result<(), DbError> {
    let kept: Vec<Decision> = refused.iter().filter_map(|refused| refused.decision.clone()).collect();
    let entries: Vec<&Entry> = refused.iter().map(|refused| &refused.entry).collect();
    let mut tx = TenantTx::begin(&app.app_pool, context).await?;
    decisions::keep(&mut tx, &kept).await?;
    let head = store::lock_head(tx.conn(), context.tenant.uuid()).await?;
    store::append_all(tx.conn(), &entries, head).await?;
    tx.commit().await
}
