//! `GET /v1/regions`: all regions, newest first, with their health.
use super::{Shown, show, store};
use crate::{app::App, gate::Who};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_base::page::split;
use exarch_common_http::{Json, List, Page, PageQuery, Problem};
use exarch_common_pg::SystemTx;

/// The regions of the federation.
#[utoipa::path(get, path = "/v1/regions", tag = "regions", operation_id = "listRegions", params(PageQuery),
    responses((status = 200, description = "Regions, newest first", body = Page<Shown>)))]
pub(super) async fn handler(State(app): State<App>, who: Who, list: List) -> Result<Json<Page<Shown>>, Problem> {
    let _permit = who.check::<perm::region::List>(&app, Target::System)?;
    let mut tx = SystemTx::begin(&app.app_pool, "list-regions").await?;
    let before = list.page.after.map(|token| token.0);
    let rows = store::page(tx.conn(), before, i64::from(list.page.limit) + 1).await?;
    let (rows, next) = split(rows, list.page.limit, |r| r.id.uuid());
    let shown = show(&app, tx.conn(), rows).await?;
    tx.rollback().await?;
    Ok(Json(Page::new(shown, next)))
}
