//! `DELETE /v1/resources/{id}`.
use super::store;
use crate::{
    app::App,
    audit,
    gate::{UserCaller, nothing_here},
    leases,
};
use axum::{extract::State, http::StatusCode};
use exarch_common_authz::{Target, perm};
use exarch_common_base::ResourceId;
use exarch_common_http::{Path, Problem, conditions::IfMatch};
use exarch_common_pg::TenantTx;
use serde_json::json;

/// Delete a resource that nobody holds and no workload uses. The fences given for it are remembered for ever; a new resource of
/// the same name is another resource, for a volume of its own.
#[utoipa::path(delete, path = "/v1/resources/{id}", tag = "resources", params(("id" = String, Path, pattern = "^res_[0-9a-f]{32}$"), IfMatch),
    responses(
    (status = 204),
    (status = 409, description = "`lease-held` with `holder` and `remaining_ms`, or `resource-in-use` with the workload's name")))]
pub(super) async fn delete_resource(
    State(app): State<App>,
    caller: UserCaller,
    condition: IfMatch,
    Path(id): Path<ResourceId>,
) -> Result<StatusCode, Problem> {
    let mut tx = TenantTx::begin(&app.app_pool, &caller).await?;
    // Under this lock nothing is granted; what was granted before it is seen below.
    let resource = store::lock(&mut tx, id).await?.ok_or_else(nothing_here)?;
    let permit = caller.check::<perm::resource::Delete>(Target::Cluster(caller.tenant_id(), resource.cluster_id))?;
    condition.require(resource.version)?;
    if let Some(workload) = store::used_by(&mut tx, &resource).await? {
        return Err(Problem::conflict("resource-in-use")
            .detail(format!(
                "The workload {workload} runs under a lease on this resource; delete it first."
            ))
            .with("workload", workload));
    }
    if let Some(holder) = leases::current(&app, &mut tx, id).await? {
        return Err(holder.problem());
    }
    let fence = leases::highest_fence(&mut tx, id).await?;
    store::delete(&mut tx, id, app.ambient.now()).await?;
    let entry = audit::entry(&caller, &permit, "resource", id).before(json!({
        "name": resource.name, "cluster_id": resource.cluster_id, "kind": resource.kind, "ttl_ms": resource.ttl_ms,
        "fence": fence,
    }));
    audit::record(&mut tx, &entry).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
