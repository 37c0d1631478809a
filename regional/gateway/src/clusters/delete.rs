//! `DELETE /v1/clusters/{id}`.
use super::store::{self, Contents};
use crate::{
    agents::{self, TokensOf},
    app::App,
    audit, bindings,
    gate::{UserCaller, nothing_here},
    usage::{self, Counted},
};
use axum::{extract::State, http::StatusCode};
use exarch_common_authz::{Target, perm};
use exarch_common_base::ClusterId;
use exarch_common_http::{Path, Problem, conditions::IfMatch};
use exarch_common_pg::TenantTx;
use serde_json::json;

/// Delete a cluster in which nothing is left. Its open bootstrap tokens let nobody in any more, and roles in it end.
#[utoipa::path(delete, path = "/v1/clusters/{id}", tag = "clusters", params(("id" = String, Path, pattern = "^clu_[0-9a-f]{32}$"), IfMatch),
    responses(
    (status = 204),
    (status = 409, description = "`cluster-not-empty`, with how many hosts, agents, resources and workloads are left")))]
pub(super) async fn delete_cluster(
    State(app): State<App>,
    caller: UserCaller,
    condition: IfMatch,
    Path(id): Path<ClusterId>,
) -> Result<StatusCode, Problem> {
    let permit = caller.check::<perm::cluster::Delete>(Target::Cluster(caller.tenant_id(), id))?;
    let mut tx = TenantTx::begin(&app.app_pool, &caller.within(&permit)).await?;
    let cluster = store::lock(&mut tx, id).await?.ok_or_else(nothing_here)?;
    condition.require(cluster.version)?;
    let now = app.ambient.now();
    // Before the count: whoever is coming in by one of them has come, or never will.
    let revoked = agents::revoke_tokens(&mut tx, TokensOf::Cluster(id), now).await?;
    let left = store::contents(&mut tx, id).await?;
    if left != Contents::default() {
        return Err(not_empty(left));
    }
    bindings::end_in(&mut tx, id, &caller.principal().to_string(), now).await?;
    store::delete(&mut tx, id, now).await?;
    usage::give_back(&mut tx, Counted::Clusters).await?;
    let entry = audit::entry(&caller, &permit, "cluster", id)
        .before(json!({ "name": cluster.name }))
        .after(json!({ "revoked_tokens": revoked }));
    audit::record(&mut tx, &entry).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

fn not_empty(left: Contents) -> Problem {
    let Contents {
        hosts,
        agents,
        resources,
        workloads,
    } = left;
    Problem::conflict("cluster-not-empty")
        .detail(format!(
            "In this cluster are {hosts} hosts, {agents} agents, {resources} resources and {workloads} workloads; delete \
             them, and revoke the agents, first."
        ))
        .with("hosts", hosts)
        .with("agents", agents)
        .with("resources", resources)
        .with("workloads", workloads)
}
