//! `POST /agent/v1/session/challenge`.
use super::{authenticate::Certified, store};
use crate::{
    agents::{agent::AgentState, enrol::not_active, limits::SessionRoute},
    app::App,
};
use axum::{extract::State, http::request::Parts};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_crypto::hash::sha256;
use exarch_common_http::{Json, Problem};
use exarch_common_pg::{Clusters, TenantContext, TenantTx};
use exarch_common_wire::agent::Challenge;
use time::Duration;

/// How long a challenge may be answered.
const LIFE: Duration = Duration::seconds(60);

/// Counted before anything else is looked at.
pub(in crate::agents) struct Asking(Certified);

impl axum::extract::FromRequestParts<App> for Asking {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        Certified::of(app, parts, SessionRoute::Challenge).map(Self)
    }
}

/// Get a challenge, for one opening of a session within 60 s.
#[utoipa::path(post, path = "/agent/v1/session/challenge", tag = "agents", responses(
    (status = 200, description = "The challenge", body = Object), (status = 401, description = "`unauthenticated`"),
    (status = 403, description = "`agent-not-active`")))]
pub(in crate::agents) async fn session_challenge(
    State(app): State<App>,
    Asking(agent): Asking,
) -> Result<Json<Challenge>, Problem> {
    let known = agent.standpoint(&app).await?;
    if known.state != AgentState::Active {
        return Err(not_active(known.state));
    }
    let challenge = B64.encode(app.ambient.bytes::<32>());
    let now = app.ambient.now();
    let own = TenantContext {
        tenant: known.tenant,
        clusters: Clusters::Only(vec![known.cluster]),
        actor: agent.id.to_string(),
    };
    let mut tx = TenantTx::begin(&app.app_pool, &own).await?;
    let hash = sha256(challenge.as_bytes());
    store::insert_challenge(&mut tx, known.cluster, agent.id, hash, now, now + LIFE).await?;
    tx.commit().await?;
    Ok(Json(Challenge { challenge }))
}
