//! `POST /v1/workloads/{id}/stop`.
use super::{Workload, store};
use crate::{
    app::App,
    audit,
    gate::{UserCaller, nothing_here},
};
use axum::{extract::State, http::StatusCode};
use exarch_common_authz::{Target, perm};
use exarch_common_base::{AgentId, WorkloadId};
use exarch_common_http::{Json, OptionalJson, Path, Problem};
use exarch_common_pg::TenantTx;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

/// Where to stop it.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Stop {
    /// On this agent alone; everywhere when absent.
    #[schema(value_type = Option<String>, pattern = "^agt_[0-9a-f]{32}$")]
    #[serde(default)]
    agent_id: Option<AgentId>,
}

/// Stop a workload on one agent, or on all of them. The agents are told; each releases the lease once nothing is left.
#[utoipa::path(post, path = "/v1/workloads/{id}/stop", tag = "workloads", params(("id" = String, Path, pattern = "^wrk_[0-9a-f]{32}$")),
    request_body = Option<Stop>, responses((status = 202, body = Workload)))]
pub(super) async fn stop_workload(
    State(app): State<App>,
    caller: UserCaller,
    Path(id): Path<WorkloadId>,
    OptionalJson(input): OptionalJson<Stop>,
) -> Result<(StatusCode, Json<Workload>), Problem> {
    let agent = input.unwrap_or_default().agent_id;
    let mut tx = TenantTx::begin(&app.app_pool, &caller).await?;
    let workload = store::touch(&mut tx, id).await?.ok_or_else(nothing_here)?;
    let permit = caller.check::<perm::workload::Stop>(Target::Cluster(caller.tenant_id(), workload.cluster_id))?;
    if let Some(agent) = agent
        && !workload.agents.iter().any(|assigned| assigned.agent_id == agent)
    {
        return Err(nothing_here().error("/agent_id", "is no agent that this workload is assigned to"));
    }
    let stopped = store::stop(&mut tx, id, agent, app.ambient.now()).await?;
    store::tell(&mut tx, workload.cluster_id, &stopped).await?;
    let workload = store::find(&mut tx, id).await?.ok_or_else(nothing_here)?;
    let entry = audit::entry(&caller, &permit, "workload", id);
    audit::record(&mut tx, &entry.after(json!({ "stopped_on": stopped }))).await?;
    tx.commit().await?;
    Ok((StatusCode::ACCEPTED, Json(workload)))
}
