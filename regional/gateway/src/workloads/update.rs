//! `PATCH /v1/workloads/{id}`.
use super::{
    Workload,
    create::{checked, refused},
    store::{self, Spec},
    workload::WorkloadDriver,
};
use crate::{
    app::App,
    audit,
    gate::{UserCaller, nothing_here},
};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_base::{Slug, WorkloadId};
use exarch_common_http::{Json, Path, Problem, Versioned, conditions::IfMatch};
use exarch_common_pg::TenantTx;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

/// What changes; what is absent stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WorkloadChange {
    /// 1 to 63 lower-case letters, digits or inner hyphens; unique in the cluster.
    #[schema(value_type = Option<String>, pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    #[serde(default)]
    name: Option<Slug>,
    /// How it runs, as a whole.
    #[serde(default)]
    driver: Option<WorkloadDriver>,
}

/// Change a workload that is to run nowhere at the moment. It runs as it is then from the next start on.
#[utoipa::path(patch, path = "/v1/workloads/{id}", tag = "workloads", params(("id" = String, Path, pattern = "^wrk_[0-9a-f]{32}$")),
    request_body = WorkloadChange, responses(
    (status = 200, body = Workload),
    (status = 409, description = "`workload-running` with the agent's name, or `workload-name-taken`")))]
pub(super) async fn update_workload(
    State(app): State<App>,
    caller: UserCaller,
    condition: IfMatch,
    Path(id): Path<WorkloadId>,
    Json(input): Json<WorkloadChange>,
) -> Result<Versioned<Workload>, Problem> {
    let mut tx = TenantTx::begin(&app.app_pool, &caller).await?;
    let before = store::lock(&mut tx, id).await?.ok_or_else(nothing_here)?;
    let permit = caller.check::<perm::workload::Update>(Target::Cluster(caller.tenant_id(), before.cluster_id))?;
    condition.require(before.version)?;
    let spec = Spec {
        name: input.name.map_or_else(|| before.name.clone(), |name| name.to_string()),
        driver: input.driver.map_or_else(|| Ok(before.driver.clone()), checked)?,
    };
    let changed = spec.driver != before.driver;
    if !changed && spec.name == before.name {
        return Ok(before.versioned());
    }
    if let Some(agent) = store::runs_on(&mut tx, &before).await? {
        return Err(running(&agent));
    }
    let after = store::save(&mut tx, before.clone(), spec).await.map_err(refused)?;
    // Arguments stay out of the audit: people put secrets into them, whatever they are told.
    let entry = audit::entry(&caller, &permit, "workload", id)
        .before(json!({ "name": before.name, "version": before.version }))
        .after(json!({ "name": after.name, "version": after.version, "driver_changed": changed }));
    audit::record(&mut tx, &entry).await?;
    tx.commit().await?;
    Ok(after.versioned())
}

/// The answer to whoever wants to change or delete what runs.
pub(super) fn running(agent: &str) -> Problem {
    Problem::conflict("workload-running")
        .detail(format!(
            "This workload runs on {agent} or is to run there; stop it first, and wait until it has stopped."
        ))
        .with("agent", agent)
}
