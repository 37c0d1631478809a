//! `POST /v1/workloads`.
use super::{
    Workload,
    store::{self, NewRow},
    workload::WorkloadDriver,
};
use crate::{
    app::App,
    audit,
    gate::{UserCaller, nothing_here},
    resources,
};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_base::{ClusterId, ResourceId, Slug};
use exarch_common_http::{
    Created, Json, Problem,
    repeats::{Kept, Once},
};
use exarch_common_pg::{DbError, TenantTx};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

/// A new workload.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewWorkload {
    /// Its cluster.
    #[schema(value_type = String, pattern = "^clu_[0-9a-f]{32}$")]
    cluster_id: ClusterId,
    /// 1 to 63 lower-case letters, digits or inner hyphens; unique in the cluster.
    #[schema(value_type = String, pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    name: Slug,
    /// What must be leased before it starts; of the same cluster.
    #[schema(value_type = String, pattern = "^res_[0-9a-f]{32}$")]
    resource_id: ResourceId,
    /// How it runs.
    driver: WorkloadDriver,
}

/// Create a workload. It runs nowhere until it is started.
#[utoipa::path(post, path = "/v1/workloads", tag = "workloads", request_body = NewWorkload, responses(
    (status = 201, body = Workload), (status = 409, description = "`workload-name-taken`")))]
pub(super) async fn create_workload(
    State(app): State<App>,
    caller: UserCaller,
    once: Once,
    Json(input): Json<NewWorkload>,
) -> Result<Kept, Problem> {
    let permit = caller.check::<perm::workload::Create>(Target::Cluster(caller.tenant_id(), input.cluster_id))?;
    let driver = checked(input.driver)?;
    let row = NewRow {
        id: app.ambient.id(),
        cluster: input.cluster_id,
        name: &input.name,
        resource: input.resource_id,
        driver: &driver,
        now: app.ambient.now(),
    };
    let mut tx = TenantTx::begin(&app.app_pool, &caller.within(&permit)).await?;
    if !resources::hold(&mut tx, input.cluster_id, input.resource_id).await? {
        return Err(nothing_here().error("/resource_id", "is no resource of this cluster"));
    }
    let workload = store::insert(&mut tx, row).await.map_err(refused)?;
    let entry = audit::entry(&caller, &permit, "workload", workload.id);
    // Arguments stay out of the audit: people put secrets into them, whatever they are told.
    let after =
        json!({ "name": workload.name, "cluster_id": workload.cluster_id, "resource_id": workload.resource_id });
    audit::record(&mut tx, &entry.after(after)).await?;
    let id = workload.id;
    let answer = Created {
        location: workload.path(),
        version: workload.version,
        body: workload,
    };
    once.commit(tx, id, answer).await
}

/// A driver that an agent could run.
pub(super) fn checked(driver: WorkloadDriver) -> Result<WorkloadDriver, Problem> {
    match driver.fault() {
        None => Ok(driver),
        Some((at, reason)) => Err(Problem::unprocessable("invalid-value")
            .detail("A value in the body cannot be accepted; see errors.")
            .error(format!("/driver{at}"), reason)),
    }
}

pub(super) fn refused(error: DbError) -> Problem {
    match error.constraint() {
        Some("workload_name_key") => Problem::conflict("workload-name-taken")
            .detail("Another workload of this cluster has this name; choose a different one.")
            .error("/name", "is taken"),
        _ => error.into(),
    }
}
