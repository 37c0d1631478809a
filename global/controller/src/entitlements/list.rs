//! `GET /v1/tenants/{id}/entitlements`.
use super::{Entitlement, store};
use crate::{
    app::App,
    gate::{Who, needs},
    tenants::TenantKey,
};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_base::page::split;
use exarch_common_http::{Api, Json, List, Page, PageQuery, Path, Problem};
use exarch_common_pg::TenantTx;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.lists(
        needs::<perm::entitlement::List>(),
        &["gc_entitlement"],
        routes!(handler),
    )
}

/// The regions that the tenant is entitled to, newest first.
#[utoipa::path(get, path = "/v1/tenants/{id}/entitlements", operation_id = "listEntitlements", tag = "entitlements",
    params(("id" = String, Path, pattern = "^(ten_[0-9a-f]{32}|[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)$", description = "Id or slug of the tenant"), PageQuery),
    responses((status = 200, description = "Entitlements that were not ended", body = Page<Entitlement>)))]
async fn handler(
    State(app): State<App>,
    who: Who,
    Path(key): Path<TenantKey>,
    list: List,
) -> Result<Json<Page<Entitlement>>, Problem> {
    let _permit = who.check::<perm::entitlement::List>(&app, Target::System)?;
    let tenant = key.registered(&app).await?;
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(tenant.id)).await?;
    let after = list.page.after.map(|token| token.0);
    let rows = store::page(&mut tx, after, i64::from(list.page.limit) + 1).await?;
    tx.rollback().await?;
    let (rows, next) = split(rows, list.page.limit, |row| row.id.uuid());
    Ok(Json(Page::new(rows, next)))
}
