//! `POST /v1/agents/{id}/re-enrol`: the one command after an identity was copied, or its state lost.
use super::{
    agent::AgentState,
    store,
    tokens::{self, NewTokenOut, TokensOf, made, new_token},
};
use crate::{
    app::App,
    audit,
    gate::{UserCaller, nothing_here},
};
use axum::{extract::State, http::StatusCode};
use exarch_common_authz::{Target, perm};
use exarch_common_base::{AgentId, Slug};
use exarch_common_http::{
    Json, Path, Problem,
    repeats::{Kept, Once},
};
use exarch_common_pg::TenantTx;
use serde_json::json;

/// Let a quarantined or active agent in again, under its id and with another key: a token for its genuine host, 15 minutes, one
/// use. Its old key is worth nothing once the token is used.
#[utoipa::path(post, path = "/v1/agents/{id}/re-enrol", tag = "agents", params(("id" = String, Path, pattern = "^agt_[0-9a-f]{32}$")), responses(
    (status = 201, body = NewTokenOut), (status = 409, description = "`agent-not-re-enrollable`")))]
pub(super) async fn re_enrol_agent(
    State(app): State<App>,
    caller: UserCaller,
    once: Once,
    Path(id): Path<AgentId>,
) -> Result<Kept, Problem> {
    let target = Target::Clusters(caller.tenant_id());
    let permit = caller.check::<perm::agent::Approve>(target)?;
    // what lets an agent in is a token; nobody gives one who could not make it
    let _token = caller.check::<perm::bootstrap_token::Create>(target)?;
    let mut tx = TenantTx::begin(&app.app_pool, &caller.within(&permit)).await?;
    let agent = store::lock_agent(&mut tx, id).await?.ok_or_else(nothing_here)?;
    agent.state.re_enrol().ok_or_else(|| not_re_enrollable(agent.state))?;
    let name: Slug = agent.name.parse().map_err(|e| Problem::internal(&e))?;
    let (token, mut new) = new_token(&app, &caller, agent.cluster);
    new.name = Some(name.as_str());
    new.auto = true;
    new.agent = Some(id);
    let expires_at = new.expires_at;
    tokens::revoke_tokens(&mut tx, TokensOf::Agent(id), new.now).await?;
    tokens::store::insert(&mut tx, new).await?;
    let mut entry = audit::entry(&caller, &permit, "agent", id);
    "agent.re-enrol".clone_into(&mut entry.action);
    let after = json!({ "token_id": token.id, "state": agent.state });
    audit::record(&mut tx, &entry.after(after)).await?;
    let made = made(&app, &token, expires_at, Some(&name), true);
    once.commit(tx, token.id, (StatusCode::CREATED, Json(made))).await
}

/// What a person, or the holder of the token, is told.
pub(super) fn not_re_enrollable(state: AgentState) -> Problem {
    Problem::conflict("agent-not-re-enrollable").detail(format!(
        "This agent is {}: only one that is active or quarantined can be enrolled again.",
        state.as_str()
    ))
}
