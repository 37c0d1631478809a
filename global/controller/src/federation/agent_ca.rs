//! `POST /federation/v1/agent-ca`: a region reports the fingerprint of its own authority for agents. The global issues
//! nothing for agents; it keeps the fingerprint so that people can compare it.
use super::{PeerCaller, store};
use crate::{app::App, audit};
use axum::{Extension, extract::State, http::StatusCode};
use exarch_common_crypto::pki::Pin;
use exarch_common_http::{PeerBody, Problem, RequestContext};
use exarch_common_pg::SystemTx;
use exarch_common_wire::{
    audit::{Entry, PROVIDER, Source},
    federation::AgentCa,
};
use serde_json::json;

/// Takes the report.
#[utoipa::path(post, path = "/federation/v1/agent-ca", tag = "federation", responses(
    (status = 204, description = "Written down"),
    (status = 422, description = "Not a fingerprint"),
))]
pub(super) async fn report(
    State(app): State<App>,
    caller: PeerCaller,
    context: RequestContext,
    Extension(body): Extension<PeerBody>,
) -> Result<StatusCode, Problem> {
    let input: AgentCa = super::read(&body)?;
    let pin: Pin = input
        .fingerprint
        .parse()
        .map_err(|e| Problem::unprocessable("not-a-fingerprint").detail(format!("Not a fingerprint: {e}.")))?;
    let fingerprint = pin.to_string();
    let mut tx = SystemTx::begin(&app.app_pool, "agent-ca").await?;
    store::spend(tx.conn(), &caller, app.ambient.now()).await?;
    let before = store::set_agent_ca(tx.conn(), caller.region, &fingerprint).await?;
    if before.as_deref() != Some(&fingerprint) {
        let entry = Entry::new(
            &app.ambient,
            PROVIDER,
            caller.actor(),
            "region.report-agent-ca",
            "region",
            caller.region,
        )
        .by_request(
            context.request_id,
            Source {
                address: Some(caller.address.clone()),
                user_agent: None,
            },
        )
        .before(json!({"agent_ca": before}))
        .after(json!({"agent_ca": fingerprint}));
        audit::record(&mut tx, &entry).await?;
    }
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
