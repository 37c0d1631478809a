//! `POST /agent/v1/leases/release`: the holder has stopped everything and gives leases back.
use super::{
    check_batch,
    grant::told,
    lease::{self, Holder},
    store,
};
use crate::{
    agents::{AgentCaller, Wire},
    app::App,
    audit,
};
use axum::extract::State;
use exarch_common_base::LeaseId;
use exarch_common_http::{Json, Problem};
use exarch_common_pg::TenantTx;
use exarch_common_wire::agent::{Held, HeldBatch, Verdict, Verdicts};
use std::collections::HashMap;

/// Release leases; a verdict for each. All effects must have ended before.
#[utoipa::path(post, path = "/agent/v1/leases/release", tag = "leases", request_body = Object, responses(
    (status = 200, description = "`released`, `lost` or `unknown`, in order", body = Object)))]
pub(super) async fn release_leases(
    State(app): State<App>,
    agent: AgentCaller,
    Wire(input): Wire<HeldBatch>,
) -> Result<Json<Verdicts>, Problem> {
    let verdicts = release(&app, &agent, input).await?;
    Ok(Json(Verdicts { verdicts }))
}

/// Releases what `agent` names, all or nothing. It is also the acknowledgement of a revocation. Whatever is not exactly as
/// named is left alone, and a repeat is answered like the first time. A tenant's state does not stand in the way: what is
/// given back is safe.
///
/// # Errors
/// 503 without a database.
pub async fn release(app: &App, agent: &AgentCaller, batch: HeldBatch) -> Result<Vec<Verdict>, Problem> {
    check_batch(&batch)?;
    let holder = Holder {
        agent: agent.id,
        incarnation: agent.incarnation.clone(),
    };
    let ids: Vec<LeaseId> = batch.leases.iter().map(|held| held.lease).collect();
    let mut tx = TenantTx::begin(&app.app_pool, agent).await?;
    let found = store::lock_of_holder(&mut tx, &holder, &ids).await?;
    let mut leases: HashMap<LeaseId, lease::Lease> = found.into_iter().map(|f| (f.lease.id, f.lease)).collect();
    let (mut verdicts, mut ended) = (Vec::new(), Vec::new());
    for Held { lease, resource, fence } in batch.leases {
        let named = leases
            .get_mut(&lease)
            .filter(|l| l.resource == resource && l.fence == fence);
        verdicts.push(match named {
            None => Verdict::Unknown,
            Some(lease) => match lease.clone().release() {
                None => lease::verdict(Some(lease.state)),
                Some(released) => {
                    *lease = released.clone();
                    ended.push(released);
                    Verdict::Released
                }
            },
        });
    }
    for released in &ended {
        store::save_ended(&mut tx, released, app.ambient.now()).await?;
    }
    for released in &ended {
        let entry = agent.entry(&app.ambient, "lease.release", "lease", released.id);
        audit::record(&mut tx, &entry.after(told(released))).await?;
    }
    tx.commit().await?;
    Ok(verdicts)
}
