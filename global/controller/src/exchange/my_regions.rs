//! `GET /v1/me/regions`: the regions that the caller may enter in the tenant in force, and no others.
use super::{
    entrant::Entrant,
    entry::{closed, state},
    store::{self, Wanted},
};
use crate::{app::App, health, regions};
use axum::extract::State;
use exarch_common_base::{RegionId, page::split};
use exarch_common_http::{Json, List, Page, PageQuery, Problem};
use exarch_common_pg::TenantTx;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

/// What to list besides.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// Regions too that the tenant's right does not cover yet or any more; each that cannot be entered says why.
    #[serde(default)]
    #[param(inline)]
    include: Option<Include>,
}

/// What to list besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Include {
    Unavailable,
}

/// A region that the caller knows.
#[derive(Serialize, ToSchema)]
pub(super) struct MyRegion {
    /// By which a membership names it.
    #[schema(value_type = String, pattern = "^reg_[0-9a-f]{32}$")]
    id: RegionId,
    slug: String,
    name: String,
    url: String,
    console_url: String,
    /// The life cycle unless active, then the health.
    #[schema(value_type = String)]
    state: &'static str,
    /// How long its last answer to the global took.
    #[serde(skip_serializing_if = "Option::is_none")]
    latency_ms: Option<f64>,
    /// Why it cannot be entered now; only with `include=unavailable`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// The regions that the caller may enter.
#[utoipa::path(get, path = "/v1/me/regions", tag = "regions", operation_id = "myRegions", params(PageQuery, Filter),
    responses((status = 200, description = "Regions, newest first", body = Page<MyRegion>)))]
pub(super) async fn handler(
    State(app): State<App>,
    who: Entrant,
    list: List<Filter>,
) -> Result<Json<Page<MyRegion>>, Problem> {
    let Some(seat) = who.seat() else {
        return Ok(Json(Page::new(Vec::new(), None)));
    };
    let now = app.ambient.now();
    let all = list.filter.include == Some(Include::Unavailable);
    let wanted = Wanted {
        tenant: seat.tenant.id,
        regions: seat.regions.as_deref(),
        all,
        now,
        before: list.page.after.map(|token| token.0),
        limit: i64::from(list.page.limit) + 1,
    };
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(seat.tenant.id)).await?;
    let rights = store::rights(tx.conn(), &wanted).await?;
    let (rights, next) = split(rights, list.page.limit, |(region, _)| region.uuid());
    let ids: Vec<RegionId> = rights.iter().map(|(region, _)| *region).collect();
    let mut known: BTreeMap<_, _> = regions::by_ids(tx.conn(), &ids)
        .await?
        .into_iter()
        .map(|r| (r.id, r))
        .collect();
    let healths: BTreeMap<_, _> = health::present(tx.conn(), &ids)
        .await?
        .into_iter()
        .map(|h| (h.region, h))
        .collect();
    tx.rollback().await?;
    let items = rights.into_iter().filter_map(|(id, right)| {
        let region = known.remove(&id)?;
        let present = healths.get(&id);
        let health = present.map_or(health::Health::Unknown, |p| p.health);
        let why = closed(&right, region.lifecycle, health, now);
        Some(MyRegion {
            id,
            slug: region.slug.to_string(),
            name: region.name,
            console_url: region.console_url.unwrap_or_else(|| region.url.clone()),
            url: region.url,
            state: state(region.lifecycle, health),
            latency_ms: present.and_then(|p| p.latency_us).map(|us| us as f64 / 1000.0),
            reason: why.filter(|_| all).map(|why| why.to_string()),
        })
    });
    Ok(Json(Page::new(items.collect(), next)))
}
