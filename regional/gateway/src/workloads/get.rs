//! `GET /v1/workloads/{id}`.
use super::{Workload, store};
use crate::{
    app::App,
    gate::{UserCaller, nothing_here},
};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_base::WorkloadId;
use exarch_common_http::{Path, Problem, Versioned};
use exarch_common_pg::TenantTx;

/// Show a workload, the agents it is assigned to and what they say of it.
#[utoipa::path(get, path = "/v1/workloads/{id}", tag = "workloads", params(("id" = String, Path, pattern = "^wrk_[0-9a-f]{32}$")),
    responses((status = 200, body = Workload)))]
pub(super) async fn get_workload(
    State(app): State<App>,
    caller: UserCaller,
    Path(id): Path<WorkloadId>,
) -> Result<Versioned<Workload>, Problem> {
    let permit = caller.check::<perm::workload::Read>(Target::Clusters(caller.tenant_id()))?;
    let mut tx = TenantTx::begin(&app.app_pool, &caller.within(&permit)).await?;
    let workload = store::find(&mut tx, id).await?.ok_or_else(nothing_here)?;
    tx.commit().await?;
    Ok(workload.versioned())
}
