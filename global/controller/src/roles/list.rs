//! `GET /v1/roles`.
use super::{RoleOut, presets, store};
use crate::{
    app::App,
    gate::{Who, needs},
};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_base::page::split;
use exarch_common_http::{Api, Json, List, Page, PageQuery, Problem};
use exarch_common_pg::TenantTx;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.lists(needs::<perm::role::List>(), &["gc_role"], routes!(handler))
}

/// The roles that can be given in the tenant in force: its own, newest first, and behind them the presets.
#[utoipa::path(get, path = "/v1/roles", operation_id = "listRoles", tag = "roles", params(PageQuery),
    responses((status = 200, description = "Roles", body = Page<RoleOut>)))]
async fn handler(State(app): State<App>, who: Who, list: List) -> Result<Json<Page<RoleOut>>, Problem> {
    let tenant = who.tenant_in_force()?;
    let _permit = who.check::<perm::role::List>(&app, Target::Tenant(tenant))?;
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(tenant)).await?;
    let after = list.page.after.map(|token| token.0);
    let rows = store::page(&mut tx, after, i64::from(list.page.limit) + 1).await?;
    tx.rollback().await?;
    let (rows, next) = split(rows, list.page.limit, |row| row.id.uuid());
    let mut items: Vec<RoleOut> = rows.into_iter().map(RoleOut::from).collect();
    if next.is_none() {
        items.extend(presets().map(RoleOut::from));
    }
    Ok(Json(Page::new(items, next)))
}
