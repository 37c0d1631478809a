//! `GET /v1/regions/{slug}/probes`: what each probe came to, newest first; kept for 30 days.
use super::store::{self, ProbeRow};
use crate::{app::App, gate::Who, regions};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_base::{ProbeId, Slug, page};
use exarch_common_http::{Json, List, Page, PageQuery, Path, Problem};
use exarch_common_pg::SystemTx;
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// One probe.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Probe)]
pub(super) struct ProbeOut {
    #[schema(value_type = String, pattern = "^prb_[0-9a-f]{32}$")]
    id: ProbeId,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    /// `good`, `failing` or `missed`.
    outcome: String,
    /// The region's health after it.
    health: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    skew_ms: Option<i64>,
    /// What the region told of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<Value>,
}

impl From<ProbeRow> for ProbeOut {
    fn from(row: ProbeRow) -> Self {
        Self {
            id: row.id,
            at: row.at,
            outcome: row.outcome,
            health: row.health,
            reason: row.reason,
            latency_ms: row.latency_us.map(|us| us as f64 / 1000.0),
            skew_ms: row.skew_ms,
            answer: row.answer,
        }
    }
}

/// The probes of a region.
#[utoipa::path(get, path = "/v1/regions/{slug}/probes", tag = "regions", operation_id = "listProbes",
    params(("slug" = String, Path, pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", description = "The region's slug"), PageQuery),
    responses((status = 200, description = "Probes, newest first", body = Page<ProbeOut>)))]
pub(super) async fn handler(
    State(app): State<App>,
    who: Who,
    Path(slug): Path<Slug>,
    list: List,
) -> Result<Json<Page<ProbeOut>>, Problem> {
    let _permit = who.check::<perm::region::Read>(&app, Target::System)?;
    let mut tx = SystemTx::begin(&app.app_pool, "list-probes").await?;
    let region = regions::by_slug(tx.conn(), &slug).await?.ok_or_else(regions::no_such)?;
    let before = list.page.after.map(|token| token.0);
    let limit = i64::from(list.page.limit) + 1;
    let rows = store::probes(tx.conn(), region.id, before, limit).await?;
    tx.rollback().await?;
    let (rows, next) = page::split(rows, list.page.limit, |r| r.id.uuid());
    Ok(Json(Page::new(rows, next).map(ProbeOut::from)))
}
