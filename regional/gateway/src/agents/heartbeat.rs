//! `POST /agent/v1/heartbeat`, each 30 s: what an agent says of itself.
use super::{AgentCaller, Wire, store};
use crate::{app::App, leases};
use axum::{extract::State, http::StatusCode};
use exarch_common_http::Problem;
use exarch_common_pg::TenantTx;
use exarch_common_wire::agent::Heartbeat;

/// Characters of a software version at most.
const MAX_SOFTWARE: usize = 64;
/// Fences in one heartbeat that are looked at.
const MAX_FENCES: usize = 256;

/// Say that the agent is there.
#[utoipa::path(post, path = "/agent/v1/heartbeat", tag = "agents", request_body = Object, responses((status = 204)))]
pub(super) async fn heartbeat(
    State(app): State<App>,
    agent: AgentCaller,
    Wire(input): Wire<Heartbeat>,
) -> Result<StatusCode, Problem> {
    let now = app.ambient.now();
    let skew = input
        .clock_ms
        .saturating_sub((now.unix_timestamp_nanos() / 1_000_000) as i64);
    let software: String = input
        .software
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_SOFTWARE)
        .collect();
    let mut tx = TenantTx::begin(&app.app_pool, &agent).await?;
    store::heard(&mut tx, agent.id, &software, skew, now).await?;
    let seen = &input.fences[..input.fences.len().min(MAX_FENCES)];
    let ahead = match seen.is_empty() {
        true => Vec::new(),
        false => leases::never_given(&mut tx, seen).await?,
    };
    tx.commit().await?;
    for (resource, fence) in ahead {
        metrics::counter!("exarch_fences_ahead_total").increment(1);
        tracing::error!(agent.id = %agent.id, resource.id = %resource, %fence,
            "a guard has seen a fence that this database never gave: was it restored from a backup?");
    }
    Ok(StatusCode::NO_CONTENT)
}
