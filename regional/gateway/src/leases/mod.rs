//! Activation leases: a short, exclusive permission for one process of one agent to act on one resource.
//!
//! What a lease promises: while its holder may act, nobody else does; each new lease of a resource has a higher fence, for
//! ever. No wall clock decides: a resource is free when it was given back, or when this gateway itself has seen its lease
//! unchanged for long enough ([`observe`]). What may become of a lease is decided in [`lease`], under the lock of its row.
//!
//! Who may call in: agents, on their own connections ([`grant`], [`renew`], [`release`]); people, to look. Other rooms ask
//! [`held`]. What leaves: signed grants, verdicts, audit rows, and a word to all replicas when a lease ends.
mod grant;
pub mod lease;
mod list;
pub mod observe;
mod release;
mod renew;
mod routes;
mod shown;
mod store;
mod sweep;
mod waiting;

pub use grant::{GrantError, HeldBy, request};
pub use release::release;
pub use renew::renew;
pub use routes::{agent_routes, routes};

use crate::app::App;
use exarch_common_base::{Fence, ResourceId};
use exarch_common_http::Problem;
use exarch_common_pg::{DbError, TenantTx};
use exarch_common_runtime::Lifecycle;
use exarch_common_wire::agent::HeldBatch;
use observe::Observations;
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
};

/// Leases in one request at most.
const MAX_BATCH: usize = 256;

/// What one gateway keeps in memory.
#[derive(Default)]
pub struct Leases {
    seen: Mutex<Observations>,
    waiting: waiting::Waiting,
    renewer: renew::Renewer,
}

impl Leases {
    fn seen(&self) -> MutexGuard<'_, Observations> {
        self.seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Starts to observe, until the process stops.
    pub fn background(app: &App, life: &Lifecycle) {
        let (app, stop) = (app.clone(), life.stop());
        life.spawn("observe-leases", async move {
            sweep::keep(app, stop).await;
            Ok(())
        });
    }
}

/// Who may be acting on `resource`, as this gateway sees it; nobody when it is free. For other rooms, to tell people early:
/// an agent that asks for the lease is decided on anew.
///
/// # Errors
/// The database's.
pub async fn held(app: &App, tx: &mut TenantTx, resource: ResourceId) -> Result<Option<HeldBy>, DbError> {
    let held = current(app, tx, resource).await?;
    Ok(held.filter(|held| !held.remaining.is_zero()))
}

/// Who has a lease on `resource` whose end nobody has marked yet, be it seen quiet or not.
///
/// # Errors
/// The database's.
pub async fn current(app: &App, tx: &mut TenantTx, resource: ResourceId) -> Result<Option<HeldBy>, DbError> {
    let found = store::newest(tx, resource).await?;
    Ok(found
        .filter(|found| found.lease.state.is_current())
        .map(|found| HeldBy {
            agent: found.lease.holder.agent,
            remaining: app
                .leases
                .seen()
                .left(resource, found.lease.version(), app.ambient.boot()),
            name: found.name,
        }))
}

/// Those of `seen`, fences that guards have seen, which this database has never given: it has lost commits, or a guard was told by
/// another region. Only resources that exist in the transaction's context count.
///
/// # Errors
/// The database's.
pub async fn never_given(tx: &mut TenantTx, seen: &[(ResourceId, Fence)]) -> Result<Vec<(ResourceId, Fence)>, DbError> {
    let resources: Vec<ResourceId> = seen.iter().map(|(resource, _)| *resource).collect();
    let given: HashMap<ResourceId, Fence> = store::highest_fences(tx, &resources).await?.into_iter().collect();
    let ahead = seen
        .iter()
        .filter(|(resource, fence)| given.get(resource).is_some_and(|highest| fence > highest));
    Ok(ahead.copied().collect())
}

/// The highest fence ever given for `resource`.
///
/// # Errors
/// The database's.
pub async fn highest_fence(tx: &mut TenantTx, resource: ResourceId) -> Result<Option<Fence>, DbError> {
    Ok(store::newest(tx, resource).await?.map(|found| found.lease.fence))
}

fn check_batch(batch: &HeldBatch) -> Result<(), Problem> {
    if batch.leases.len() > MAX_BATCH {
        return Err(Problem::unprocessable("invalid-value")
            .detail(format!("Send at most {MAX_BATCH} leases at a time."))
            .error("/leases", "has too many items"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
