//! `DELETE /v1/workloads/{id}`.
use super::{store, update::running};
use crate::{
    app::App,
    audit,
    gate::{UserCaller, nothing_here},
};
use axum::{extract::State, http::StatusCode};
use exarch_common_authz::{Target, perm};
use exarch_common_base::WorkloadId;
use exarch_common_http::{Path, Problem, conditions::IfMatch};
use exarch_common_pg::TenantTx;
use serde_json::json;

/// Delete a workload that runs nowhere and is to run nowhere.
#[utoipa::path(delete, path = "/v1/workloads/{id}", tag = "workloads", params(("id" = String, Path, pattern = "^wrk_[0-9a-f]{32}$"), IfMatch),
    responses(
    (status = 204),
    (status = 409, description = "`workload-running` with the agent's name")))]
pub(super) async fn delete_workload(
    State(app): State<App>,
    caller: UserCaller,
    condition: IfMatch,
    Path(id): Path<WorkloadId>,
) -> Result<StatusCode, Problem> {
    let mut tx = TenantTx::begin(&app.app_pool, &caller).await?;
    let workload = store::lock(&mut tx, id).await?.ok_or_else(nothing_here)?;
    let permit = caller.check::<perm::workload::Delete>(Target::Cluster(caller.tenant_id(), workload.cluster_id))?;
    condition.require(workload.version)?;
    if let Some(agent) = store::runs_on(&mut tx, &workload).await? {
        return Err(running(&agent));
    }
    store::delete(&mut tx, id, app.ambient.now()).await?;
    let entry = audit::entry(&caller, &permit, "workload", id).before(json!({
        "name": workload.name, "cluster_id": workload.cluster_id, "resource_id": workload.resource_id,
    }));
    audit::record(&mut tx, &entry).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
