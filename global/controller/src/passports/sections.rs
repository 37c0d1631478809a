//! `GET /federation/v1/passport/sections/{id}`: a part of one section's present contents. One that changed meanwhile has
//! another digest than the list; the region polls again then.
use super::store;
use crate::{app::App, federation::PeerCaller};
use axum::extract::State;
use exarch_common_http::{Path, Problem, Query};
use exarch_common_pg::SystemTx;
use exarch_common_wire::federation::MAX_RANGE;
use serde::Deserialize;

#[derive(Deserialize)]
pub(super) struct Range {
    #[serde(default)]
    offset: Option<u32>,
    #[serde(default)]
    length: Option<u32>,
}

/// Answers with the bytes.
#[utoipa::path(get, path = "/federation/v1/passport/sections/{*id}", tag = "federation", responses(
    (status = 200, description = "The bytes; fewer than asked for at the end"),
    (status = 404, description = "No such section"),
))]
pub(super) async fn section(
    State(app): State<App>,
    caller: PeerCaller,
    Path(id): Path<String>,
    Query(range): Query<Range>,
) -> Result<Vec<u8>, Problem> {
    let most = MAX_RANGE as u32;
    let length = range.length.unwrap_or(most).min(most);
    let mut tx = SystemTx::begin(&app.app_pool, "deliver-section").await?;
    let found = store::range(tx.conn(), caller.region, &id, range.offset.unwrap_or(0), length).await?;
    tx.rollback().await?;
    found.ok_or_else(|| Problem::not_found("no-such-section").detail("The passport has no such section now; poll it."))
}
