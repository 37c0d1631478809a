//! `DELETE /v1/hosts/{id}`.
use super::store;
use crate::{
    agents::{self, TokensOf},
    app::App,
    audit,
    gate::{UserCaller, nothing_here},
    usage::{self, Counted},
};
use axum::{extract::State, http::StatusCode};
use exarch_common_authz::{Target, perm};
use exarch_common_base::HostId;
use exarch_common_http::{Path, Problem, conditions::IfMatch};
use exarch_common_pg::TenantTx;
use serde_json::json;

/// Delete a host on which no agent is left. Its open bootstrap tokens let nobody in any more.
#[utoipa::path(delete, path = "/v1/hosts/{id}", tag = "hosts", params(("id" = String, Path, pattern = "^hst_[0-9a-f]{32}$"), IfMatch),
    responses(
    (status = 204),
    (status = 409, description = "`host-has-agent`, with its name")))]
pub(super) async fn delete_host(
    State(app): State<App>,
    caller: UserCaller,
    condition: IfMatch,
    Path(id): Path<HostId>,
) -> Result<StatusCode, Problem> {
    let mut tx = TenantTx::begin(&app.app_pool, &caller).await?;
    let host = store::lock(&mut tx, id).await?.ok_or_else(nothing_here)?;
    let permit = caller.check::<perm::host::Delete>(Target::Cluster(caller.tenant_id(), host.cluster_id))?;
    condition.require(host.version)?;
    let now = app.ambient.now();
    // Before the look at its agent: whoever is coming in by one of them has come, or never will.
    let revoked = agents::revoke_tokens(&mut tx, TokensOf::Host(id), now).await?;
    if let Some(agent) = store::agent_on(&mut tx, id).await? {
        return Err(Problem::conflict("host-has-agent")
            .detail(format!("The agent {agent} is enrolled for this host; revoke it first."))
            .with("agent", agent));
    }
    store::delete(&mut tx, id, now).await?;
    usage::give_back(&mut tx, Counted::Hosts).await?;
    let entry = audit::entry(&caller, &permit, "host", id)
        .before(json!({ "name": host.name, "cluster_id": host.cluster_id }))
        .after(json!({ "revoked_tokens": revoked }));
    audit::record(&mut tx, &entry).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
