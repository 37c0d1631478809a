//! `GET /agent/v1/assignments`: what should run on the agent that asks, as soon as that is something else than it knows.
use super::store;
use crate::{agents::AgentCaller, app::App};
use axum::extract::{RawQuery, State};
use exarch_common_http::{Json, Problem, pairs, typed};
use exarch_common_pg::{DbError, TenantTx};
use exarch_common_wire::agent::Assignments;
use serde::Deserialize;
use std::time::Duration;
use tokio::time::Instant;

/// The longest a poll may wait, in milliseconds.
const LONGEST_WAIT: u64 = 30_000;

/// What the agent knows, and how long it waits for something else.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Poll {
    /// The version it has; without one it has nothing.
    after: Option<u64>,
    /// Milliseconds.
    wait_ms: u64,
}

/// Long poll what should run on this agent: answered at once when it is not version `after`, otherwise with the first change
/// or after `wait_ms` (at most 30000).
#[utoipa::path(get, path = "/agent/v1/assignments", tag = "agent",
    params(("after" = Option<u64>, Query), ("wait_ms" = Option<u64>, Query)), responses((status = 200)))]
pub(super) async fn get_assignments(
    State(app): State<App>,
    agent: AgentCaller,
    RawQuery(query): RawQuery,
) -> Result<Json<Assignments>, Problem> {
    let poll: Poll = typed(&pairs(&query.unwrap_or_default())?)?;
    if poll.wait_ms > LONGEST_WAIT {
        return Err(Problem::bad_request("malformed-query")
            .detail("A parameter of the query cannot be accepted; see errors.")
            .error("wait_ms", format!("expected at most {LONGEST_WAIT}")));
    }
    let deadline = Instant::now() + Duration::from_millis(poll.wait_ms);
    // Waiting begins before the first look, so that no change falls between the two.
    let mut waiter = app.assignments.waiter(agent.tenant, agent.id);
    loop {
        let found = read(&app, &agent).await?;
        if poll.after != Some(found.version) || !waiter.above(found.version, deadline).await {
            return Ok(Json(found));
        }
    }
}

async fn read(app: &App, agent: &AgentCaller) -> Result<Assignments, DbError> {
    let mut tx = TenantTx::begin(&app.app_pool, agent).await?;
    let found = store::assignments(&mut tx, agent.id).await?;
    tx.commit().await?;
    Ok(found)
}
