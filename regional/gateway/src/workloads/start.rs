//! `POST /v1/workloads/{id}/start`.
use super::{Desired, Workload, store};
use crate::{
    app::App,
    audit,
    gate::{UserCaller, nothing_here},
    leases,
};
use axum::{extract::State, http::StatusCode};
use exarch_common_authz::{Target, perm};
use exarch_common_base::{AgentId, WorkloadId};
use exarch_common_http::{Json, Path, Problem};
use exarch_common_pg::TenantTx;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

/// Where to start it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Start {
    /// On this agent, of the workload's cluster.
    #[schema(value_type = String, pattern = "^agt_[0-9a-f]{32}$")]
    agent_id: AgentId,
    /// While another agent holds the lease: wait for it instead of being refused.
    #[serde(default)]
    wait: bool,
}

/// Start a workload on an agent. The agent is told; it starts the workload once it holds the lease.
#[utoipa::path(post, path = "/v1/workloads/{id}/start", tag = "workloads", params(("id" = String, Path, pattern = "^wrk_[0-9a-f]{32}$")),
    request_body = Start, responses(
    (status = 202, body = Workload),
    (status = 409, description = "`lease-held` with `holder` and `remaining_ms`, or `agent-not-active`")))]
pub(super) async fn start_workload(
    State(app): State<App>,
    caller: UserCaller,
    Path(id): Path<WorkloadId>,
    Json(input): Json<Start>,
) -> Result<(StatusCode, Json<Workload>), Problem> {
    let mut tx = TenantTx::begin(&app.app_pool, &caller).await?;
    let workload = store::touch(&mut tx, id).await?.ok_or_else(nothing_here)?;
    let permit = caller.check::<perm::workload::Start>(Target::Cluster(caller.tenant_id(), workload.cluster_id))?;
    let active = store::agent_is_active(&mut tx, workload.cluster_id, input.agent_id).await?;
    match active {
        None => return Err(nothing_here().error("/agent_id", "is no agent of this cluster")),
        Some(false) => {
            return Err(Problem::conflict("agent-not-active")
                .detail("Only an active agent can run a workload; see the state of this one."));
        }
        Some(true) => {}
    }
    if !input.wait
        && let Some(held) = leases::held(&app, &mut tx, workload.resource_id).await?
        && held.agent != input.agent_id
    {
        return Err(held.problem());
    }
    let desired = if input.wait { Desired::Wait } else { Desired::Run };
    let now = app.ambient.now();
    store::assign(&mut tx, &workload, input.agent_id, desired, now).await?;
    store::tell(&mut tx, workload.cluster_id, &[input.agent_id]).await?;
    let workload = store::find(&mut tx, id).await?.ok_or_else(nothing_here)?;
    let entry = audit::entry(&caller, &permit, "workload", id);
    let after = json!({ "agent_id": input.agent_id, "desired": desired });
    audit::record(&mut tx, &entry.after(after)).await?;
    tx.commit().await?;
    Ok((StatusCode::ACCEPTED, Json(workload)))
}
