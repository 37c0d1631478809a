//! `/v1/bootstrap-tokens`: let one agent in.
pub(super) mod store;

use self::store::NewToken;
use super::{
    shown::TokenOut,
    token::{self, BootstrapToken},
};
use crate::{
    app::App,
    audit, clusters,
    gate::{UserCaller, nothing_here},
    hosts,
    paging::{self, OfCluster, Window},
};
use axum::{extract::State, http::StatusCode};
use exarch_common_authz::{Target, perm};
use exarch_common_base::{AgentId, ClusterId, HostId, Slug, TokenId};
use exarch_common_http::{
    Json, List, Page, PageQuery, Path, Problem,
    repeats::{Kept, Once},
};
use exarch_common_pg::{DbError, TenantTx};
use serde::{Deserialize, Serialize};
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// What a new token is bound to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateToken {
    /// The cluster its agent will work in.
    #[schema(value_type = String, pattern = "^clu_[0-9a-f]{32}$")]
    cluster_id: ClusterId,
    /// The host its agent will run on.
    #[schema(value_type = Option<String>, pattern = "^hst_[0-9a-f]{32}$")]
    #[serde(default)]
    host_id: Option<HostId>,
    /// The name its agent gets; without one the agent brings its own.
    #[schema(value_type = Option<String>, pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    #[serde(default)]
    name: Option<Slug>,
    /// Its agent needs no approval; needs `agent.approve` now.
    #[serde(default)]
    auto: bool,
}

/// A new token; it is shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NewTokenOut {
    #[schema(value_type = String, pattern = "^tok_[0-9a-f]{32}$")]
    id: TokenId,
    /// The token itself. Whoever has it may enrol one agent.
    token: String,
    /// To be run on the host; it reads the token from standard input.
    line: String,
    /// What the agent must find the gateway's authority to be.
    ca_pin: String,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

/// Create a bootstrap token: 15 minutes, one use.
#[utoipa::path(post, path = "/v1/bootstrap-tokens", tag = "agents", request_body = CreateToken,
    responses((status = 201, body = NewTokenOut)))]
pub(super) async fn create_bootstrap_token(
    State(app): State<App>,
    caller: UserCaller,
    once: Once,
    Json(input): Json<CreateToken>,
) -> Result<Kept, Problem> {
    let target = Target::Cluster(caller.tenant_id(), input.cluster_id);
    let permit = caller.check::<perm::bootstrap_token::Create>(target)?;
    if input.auto {
        // nobody grants by a token what they could not grant by hand
        let _approval = caller.check::<perm::agent::Approve>(target)?;
    }
    let (token, mut new) = new_token(&app, &caller, input.cluster_id);
    new.host = input.host_id;
    new.name = input.name.as_ref().map(Slug::as_str);
    new.auto = input.auto;
    let expires_at = new.expires_at;
    let mut tx = TenantTx::begin(&app.app_pool, &caller.within(&permit)).await?;
    clusters::hold(&mut tx, input.cluster_id).await?;
    if let Some(host) = input.host_id
        && !hosts::hold(&mut tx, input.cluster_id, host).await?
    {
        return Err(Problem::unprocessable("invalid-value")
            .detail("A value in the body cannot be accepted; see errors.")
            .error("/host_id", "is no host of this cluster"));
    }
    store::insert(&mut tx, new).await?;
    let after = json!({
        "cluster_id": input.cluster_id, "host_id": input.host_id, "name": input.name, "auto": input.auto,
    });
    let entry = audit::entry(&caller, &permit, "bootstrap-token", token.id);
    audit::record(&mut tx, &entry.after(after)).await?;
    let made = made(&app, &token, expires_at, input.name.as_ref(), false);
    once.commit(tx, token.id, (StatusCode::CREATED, Json(made))).await
}

/// A token for a cluster, bound to nothing else yet.
pub(super) fn new_token(app: &App, caller: &UserCaller, cluster: ClusterId) -> (BootstrapToken, NewToken<'static>) {
    let token = BootstrapToken::generate(&app.ambient, caller.tenant_id());
    let now = app.ambient.now();
    let new = NewToken {
        id: token.id,
        cluster,
        host: None,
        name: None,
        auto: false,
        agent: None,
        hash: token.hash(),
        by: caller.principal().to_string(),
        now,
        expires_at: now + token::LIFE,
    };
    (token, new)
}

/// What is shown of a token, this once.
pub(super) fn made(
    app: &App,
    token: &BootstrapToken,
    expires_at: OffsetDateTime,
    name: Option<&Slug>,
    again: bool,
) -> NewTokenOut {
    let ca_pin = app.secrets.agent_ca().pin().to_string();
    NewTokenOut {
        id: token.id,
        token: token.text(),
        line: line(app, &ca_pin, name, again),
        ca_pin,
        expires_at,
    }
}

/// The token is no part of it: a command line is seen by everybody on the host.
fn line(app: &App, pin: &str, name: Option<&Slug>, again: bool) -> String {
    let name = name.map_or_else(|| "<name>".to_owned(), Slug::to_string);
    let again = if again { " --again" } else { "" };
    let agents = &app.settings.agents;
    let gateways = [&agents.url].into_iter().chain(&agents.other_urls);
    let gateways: Vec<String> = gateways.map(|url| format!("--gateway {url}")).collect();
    let gateways = gateways.join(" ");
    format!(
        "exarch-agent enrol{again} {gateways} --ca-pin {pin} --token-file - --state /var/lib/exarch-agent --name {name}"
    )
}

/// Whose tokens.
#[derive(Clone, Copy, Debug)]
pub enum TokensOf {
    /// Those that let this agent in again.
    Agent(AgentId),
    /// Those for agents of this host.
    Host(HostId),
    /// All of this cluster.
    Cluster(ClusterId),
}

/// Takes back the open tokens of `whose`; answers which. One by which somebody is coming in at this moment is waited for: it was
/// used then, and its agent is there.
///
/// # Errors
/// The database's.
pub async fn revoke_tokens(tx: &mut TenantTx, whose: TokensOf, now: OffsetDateTime) -> Result<Vec<TokenId>, DbError> {
    store::revoke_of(tx, whose, now).await
}

/// List bootstrap tokens, newest first, without their secrets.
#[utoipa::path(get, path = "/v1/bootstrap-tokens", tag = "agents", params(PageQuery, OfCluster),
    responses((status = 200, body = Page<TokenOut>)))]
pub(super) async fn list_bootstrap_tokens(
    State(app): State<App>,
    caller: UserCaller,
    List { page, filter }: List<OfCluster>,
) -> Result<Json<Page<TokenOut>>, Problem> {
    let permit = caller.check::<perm::bootstrap_token::List>(Target::Clusters(caller.tenant_id()))?;
    let mut tx = TenantTx::begin(&app.app_pool, &caller.within(&permit)).await?;
    let tokens = store::page(&mut tx, filter, Window::of(&page), app.ambient.now()).await?;
    tx.commit().await?;
    Ok(Json(paging::page(tokens, &page, |token| token.id.uuid())))
}

/// Revoke a bootstrap token that was not used yet.
#[utoipa::path(delete, path = "/v1/bootstrap-tokens/{id}", tag = "agents", params(("id" = String, Path, pattern = "^tok_[0-9a-f]{32}$")),
    responses((status = 204), (status = 409, description = "`bootstrap-token-not-open`")))]
pub(super) async fn revoke_bootstrap_token(
    State(app): State<App>,
    caller: UserCaller,
    Path(id): Path<TokenId>,
) -> Result<StatusCode, Problem> {
    let permit = caller.check::<perm::bootstrap_token::Revoke>(Target::Clusters(caller.tenant_id()))?;
    let now = app.ambient.now();
    let mut tx = TenantTx::begin(&app.app_pool, &caller.within(&permit)).await?;
    let token = store::lock(&mut tx, id, now).await?.ok_or_else(nothing_here)?;
    if !store::revoke(&mut tx, id, now).await? {
        return Err(Problem::conflict("bootstrap-token-not-open").detail(format!(
            "This token is {} already: it lets nobody in.",
            token.state.as_str()
        )));
    }
    let entry = audit::entry(&caller, &permit, "bootstrap-token", id);
    audit::record(&mut tx, &entry).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
