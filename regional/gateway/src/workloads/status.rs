//! `POST /agent/v1/assignments/status`: what became of a workload on the agent that asks.
use super::store;
use crate::{
    agents::{AgentCaller, Wire},
    app::App,
    gate::nothing_here,
};
use axum::{extract::State, http::StatusCode};
use exarch_common_http::Problem;
use exarch_common_pg::TenantTx;
use exarch_common_wire::agent::AssignmentStatus;

/// Characters of a detail that are kept.
const DETAIL: usize = 500;

/// Report the state of a workload on this agent.
#[utoipa::path(post, path = "/agent/v1/assignments/status", tag = "agent", request_body = Object, responses((status = 204)))]
pub(super) async fn report_status(
    State(app): State<App>,
    agent: AgentCaller,
    Wire(status): Wire<AssignmentStatus>,
) -> Result<StatusCode, Problem> {
    let detail: String = status.detail.chars().take(DETAIL).collect();
    let status = AssignmentStatus { detail, ..status };
    let mut tx = TenantTx::begin(&app.app_pool, &agent).await?;
    if !store::report(&mut tx, agent.id, &status, app.ambient.now()).await? {
        return Err(nothing_here());
    }
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
