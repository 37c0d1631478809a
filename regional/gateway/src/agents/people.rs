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
use axum::extract::State;
use exarch_common_authz::{Action, Target, perm};
use exarch_common_base::AgentId;
use exarch_common_http::{Json, List, OptionalJson, Page, PageQuery, Path, Problem, Text};
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
#[utoipa::path(get, path = "/v1/agents/{id}", tag = "agents", params(("id" = String, Path)),
    responses((status = 200, body = AgentOut)))]
pub(super) async fn get_agent(
    State(app): State<App>,
    caller: UserCaller,
    Path(id): Path<AgentId>,
) -> Result<Json<AgentOut>, Problem> {
    let permit = caller.check::<perm::agent::Read>(Target::Clusters(caller.tenant_id()))?;
    let mut tx = TenantTx::begin(&app.app_pool, &caller.within(&permit)).await?;
    let agent = store::find(&mut tx, id).await?.ok_or_else(nothing_here)?;
    tx.commit().await?;
    Ok(Json(agent))
}

/// Approve an agent that waits for it.
#[utoipa::path(post, path = "/v1/agents/{id}/approve", tag = "agents", params(("id" = String, Path)), responses(
    (status = 200, body = AgentOut), (status = 409, description = "`agent-not-pending`")))]
pub(super) async fn approve_agent(
    State(app): State<App>,
    caller: UserCaller,
    Path(id): Path<AgentId>,
) -> Result<Json<AgentOut>, Problem> {
    change::<perm::agent::Approve>(&app, &caller, id, None, AgentState::approve, |state| {
        Problem::conflict("agent-not-pending")
            .detail(format!("This agent is {}: nobody need approve it.", state.as_str()))
    })
    .await
}

/// Why.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct RevokeAgent {
    /// For the audit.
    #[serde(default)]
    reason: Option<Text<500>>,
}

/// Revoke an agent for good: its certificate and sessions are worth nothing from now on, and its connections end.
#[utoipa::path(post, path = "/v1/agents/{id}/revoke", tag = "agents", params(("id" = String, Path)),
    request_body = Option<RevokeAgent>, responses(
    (status = 200, body = AgentOut), (status = 409, description = "`agent-already-revoked`")))]
pub(super) async fn revoke_agent(
    State(app): State<App>,
    caller: UserCaller,
    Path(id): Path<AgentId>,
    OptionalJson(input): OptionalJson<RevokeAgent>,
) -> Result<Json<AgentOut>, Problem> {
    let reason = input.and_then(|input| input.reason).map(Text::into_inner);
    change::<perm::agent::Revoke>(&app, &caller, id, reason, AgentState::revoke, |state| {
        Problem::conflict("agent-already-revoked").detail(format!("This agent is {} already.", state.as_str()))
    })
    .await
}

async fn change<A: Action>(
    app: &App,
    caller: &UserCaller,
    id: AgentId,
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
    entry.reason = reason;
    let agent = store::find(&mut tx, id).await?.ok_or_else(nothing_here)?;
    audit::record(&mut tx, &entry).await?;
    tx.commit().await?;
    if after != AgentState::Active {
        app.agents.put_out(app, id);
    }
    Ok(Json(agent))
}
