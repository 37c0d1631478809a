//! `/v1/agents`: what people see of agents and decide about them.
use super::{
    agent::AgentState,
    shown::{AgentFilter, AgentOut},
    store,
};
use crate::{
    app::App,
    audit,
    gate::{UserCaller, nothing_here},
    paging::{self, Window},
};
use axum::{extract::State, http::StatusCode};
use exarch_common_authz::{Action, Target, perm};
use exarch_common_base::AgentId;
use exarch_common_http::{Json, List, OptionalJson, Page, PageQuery, Path, Problem, Text, Versioned};
use exarch_common_pg::TenantTx;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

/// List agents, newest first.
#[utoipa::path(get, path = "/v1/agents", tag = "agents", params(PageQuery, AgentFilter),
    responses((status = 200, body = Page<AgentOut>)))]
pub(super) async fn list_agents(
    State(app): State<App>,
    caller: UserCaller,
    List { page, filter }: List<AgentFilter>,
) -> Result<Json<Page<AgentOut>>, Problem> {
    let permit = caller.check::<perm::agent::List>(Target::Clusters(caller.tenant_id()))?;
    let mut tx = TenantTx::begin(&app.app_pool, &caller.within(&permit)).await?;
    let agents = store::page(&mut tx, &filter, Window::of(&page)).await?;
    tx.commit().await?;
    Ok(Json(paging::page(agents, &page, |agent| agent.id.uuid())))
}

/// Show an agent.
#[utoipa::path(get, path = "/v1/agents/{id}", tag = "agents", params(("id" = String, Path, pattern = "^agt_[0-9a-f]{32}$")),
    responses((status = 200, body = AgentOut)))]
pub(super) async fn get_agent(
    State(app): State<App>,
    caller: UserCaller,
    Path(id): Path<AgentId>,
) -> Result<Versioned<AgentOut>, Problem> {
    let permit = caller.check::<perm::agent::Read>(Target::Clusters(caller.tenant_id()))?;
    let mut tx = TenantTx::begin(&app.app_pool, &caller.within(&permit)).await?;
    let agent = store::find(&mut tx, id).await?.ok_or_else(nothing_here)?;
    tx.commit().await?;
    Ok(agent.versioned())
}

/// Approve an agent that waits for it.
#[utoipa::path(post, path = "/v1/agents/{id}/approve", tag = "agents", params(("id" = String, Path, pattern = "^agt_[0-9a-f]{32}$")), responses(
    (status = 200, body = AgentOut), (status = 409, description = "`agent-not-pending`")))]
pub(super) async fn approve_agent(
    State(app): State<App>,
    caller: UserCaller,
    Path(id): Path<AgentId>,
) -> Result<Json<AgentOut>, Problem> {
    change::<perm::agent::Approve>(&app, &caller, id, "agent.approve", None, AgentState::approve, |state| {
        Problem::conflict("agent-not-pending")
            .detail(format!("This agent is {}: nobody need approve it.", state.as_str()))
    })
    .await
}

/// Why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SuspendAgent {
    /// For the audit.
    #[serde(default)]
    reason: Option<Text<500>>,
}

/// Suspend an agent: its sessions are worth nothing until it is resumed, its connections end, and its workloads stop with
/// their leases.
#[utoipa::path(post, path = "/v1/agents/{id}/suspend", tag = "agents", params(("id" = String, Path, pattern = "^agt_[0-9a-f]{32}$")),
    request_body = Option<SuspendAgent>, responses(
    (status = 200, body = AgentOut), (status = 409, description = "`agent-not-active`")))]
pub(super) async fn suspend_agent(
    State(app): State<App>,
    caller: UserCaller,
    Path(id): Path<AgentId>,
    OptionalJson(input): OptionalJson<SuspendAgent>,
) -> Result<Json<AgentOut>, Problem> {
    let reason = input.and_then(|input| input.reason).map(Text::into_inner);
    change::<perm::agent::Suspend>(
        &app,
        &caller,
        id,
        "agent.suspend",
        reason,
        AgentState::suspend,
        |state| {
            Problem::conflict("agent-not-active").detail(format!(
                "This agent is {}: only an active one can be suspended.",
                state.as_str()
            ))
        },
    )
    .await
}

/// Let a suspended agent work again; it opens a session by itself.
#[utoipa::path(post, path = "/v1/agents/{id}/resume", tag = "agents", params(("id" = String, Path, pattern = "^agt_[0-9a-f]{32}$")), responses(
    (status = 200, body = AgentOut), (status = 409, description = "`agent-not-suspended`")))]
pub(super) async fn resume_agent(
    State(app): State<App>,
    caller: UserCaller,
    Path(id): Path<AgentId>,
) -> Result<Json<AgentOut>, Problem> {
    change::<perm::agent::Suspend>(&app, &caller, id, "agent.resume", None, AgentState::resume, |state| {
        Problem::conflict("agent-not-suspended").detail(format!(
            "This agent is {}: only a suspended one can be resumed.",
            state.as_str()
        ))
    })
    .await
}

/// Remove an agent that does not work any more: it is not listed, and never comes back.
#[utoipa::path(delete, path = "/v1/agents/{id}", tag = "agents", params(("id" = String, Path, pattern = "^agt_[0-9a-f]{32}$")), responses(
    (status = 204), (status = 409, description = "`agent-active`, `agent-already-removed`")))]
pub(super) async fn remove_agent(
    State(app): State<App>,
    caller: UserCaller,
    Path(id): Path<AgentId>,
) -> Result<StatusCode, Problem> {
    change::<perm::agent::Revoke>(
        &app,
        &caller,
        id,
        "agent.remove",
        None,
        AgentState::remove,
        |state| match state {
            AgentState::Active => {
                Problem::conflict("agent-active").detail("This agent works; revoke it first, and remove it then.")
            }
            _ => Problem::conflict("agent-already-removed").detail("This agent is removed already."),
        },
    )
    .await
    .map(|_| StatusCode::NO_CONTENT)
}

/// Why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RevokeAgent {
    /// For the audit.
    #[serde(default)]
    reason: Option<Text<500>>,
}

/// Revoke an agent for good: its certificate and sessions are worth nothing from now on, and its connections end.
#[utoipa::path(post, path = "/v1/agents/{id}/revoke", tag = "agents", params(("id" = String, Path, pattern = "^agt_[0-9a-f]{32}$")),
    request_body = Option<RevokeAgent>, responses(
    (status = 200, body = AgentOut), (status = 409, description = "`agent-already-revoked`")))]
pub(super) async fn revoke_agent(
    State(app): State<App>,
    caller: UserCaller,
    Path(id): Path<AgentId>,
    OptionalJson(input): OptionalJson<RevokeAgent>,
) -> Result<Json<AgentOut>, Problem> {
    let reason = input.and_then(|input| input.reason).map(Text::into_inner);
    change::<perm::agent::Revoke>(&app, &caller, id, "agent.revoke", reason, AgentState::revoke, |state| {
        Problem::conflict("agent-already-revoked").detail(format!("This agent is {} already.", state.as_str()))
    })
    .await
}

async fn change<A: Action>(
    app: &App,
    caller: &UserCaller,
    id: AgentId,
    action: &str,
    reason: Option<String>,
    transition: fn(AgentState) -> Option<AgentState>,
    refused: fn(AgentState) -> Problem,
) -> Result<Json<AgentOut>, Problem> {
    let permit = caller.check::<A>(Target::Clusters(caller.tenant_id()))?;
    let mut tx = TenantTx::begin(&app.app_pool, &caller.within(&permit)).await?;
    let before = store::lock_agent(&mut tx, id).await?.ok_or_else(nothing_here)?.state;
    let after = transition(before).ok_or_else(|| refused(before))?;
    match after {
        AgentState::Active => store::set_state(&mut tx, id, after).await?,
        _ => store::put_out(&mut tx, id, after).await?,
    }
    let mut entry = audit::entry(caller, &permit, "agent", id)
        .before(json!({ "state": before }))
        .after(json!({ "state": after }));
    action.clone_into(&mut entry.action);
    entry.reason = reason;
    let agent = store::find(&mut tx, id).await?.ok_or_else(nothing_here)?;
    audit::record(&mut tx, &entry).await?;
    tx.commit().await?;
    if after != AgentState::Active {
        app.agents.put_out(app, id, None);
    }
    Ok(Json(agent))
}
