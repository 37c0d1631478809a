//! `PATCH /v1/agents/{id}`: what people may change of an agent is its name.
use super::{agent::AgentState, shown::AgentOut, store};
use crate::{
    app::App,
    audit,
    gate::{UserCaller, nothing_here},
};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_base::{AgentId, Slug};
use exarch_common_http::{Json, Path, Problem, Versioned, conditions::IfMatch};
use exarch_common_pg::{OnConstraint, TenantTx};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

/// What changes; what is absent stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AgentChange {
    /// 1 to 63 lower-case letters, digits or inner hyphens; unique in the cluster.
    #[schema(value_type = Option<String>, pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    #[serde(default)]
    name: Option<Slug>,
}

/// Give an agent another name. Its identity is its id: certificate, sessions and leases stay as they are.
#[utoipa::path(patch, path = "/v1/agents/{id}", tag = "agents", params(("id" = String, Path, pattern = "^agt_[0-9a-f]{32}$")),
    request_body = AgentChange, responses(
    (status = 200, body = AgentOut),
    (status = 409, description = "`agent-name-taken`, `agent-ended`")))]
pub(super) async fn rename_agent(
    State(app): State<App>,
    caller: UserCaller,
    condition: IfMatch,
    Path(id): Path<AgentId>,
    Json(input): Json<AgentChange>,
) -> Result<Versioned<AgentOut>, Problem> {
    let mut tx = TenantTx::begin(&app.app_pool, &caller).await?;
    let before = store::lock_agent(&mut tx, id).await?.ok_or_else(nothing_here)?;
    let permit = caller.check::<perm::agent::Rename>(Target::Cluster(caller.tenant_id(), before.cluster))?;
    condition.require(before.version)?;
    if matches!(before.state, AgentState::Revoked | AgentState::Removed) {
        return Err(Problem::conflict("agent-ended").detail(format!(
            "This agent is {}: it keeps the name under which the audit knows it.",
            before.state.as_str()
        )));
    }
    if let Some(name) = input.name.filter(|name| name.as_str() != before.name) {
        store::rename(&mut tx, id, &name)
            .await
            .on_constraint("agent_name_key", || {
                Problem::conflict("agent-name-taken")
                    .detail("Another agent of this cluster has this name; choose a different one.")
                    .error("/name", "is taken")
            })?;
        let entry = audit::entry(&caller, &permit, "agent", id)
            .before(json!({ "name": before.name }))
            .after(json!({ "name": name }));
        audit::record(&mut tx, &entry).await?;
    }
    let after = store::find(&mut tx, id).await?.ok_or_else(nothing_here)?;
    tx.commit().await?;
    app.agents.memory.forget(id);
    Ok(after.versioned())
}
