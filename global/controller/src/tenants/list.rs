//! `GET /v1/tenants` and `GET /v1/tenants/{id}`: the register, for staff.
use super::{Tenant, TenantKey, store};
use crate::{
    app::App,
    gate::{Who, needs},
};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_base::page::split;
use exarch_common_http::{Api, Json, List, Page, PageQuery, Path, Problem, Versioned};
use exarch_common_pg::SystemTx;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.lists(needs::<perm::tenant::List>(), &["gc_tenant"], routes!(list))
        .route(needs::<perm::tenant::Read>(), routes!(read))
}

/// All tenants, newest first.
#[utoipa::path(get, path = "/v1/tenants", operation_id = "listTenants", tag = "tenants", params(PageQuery),
    responses((status = 200, description = "Tenants", body = Page<Tenant>)))]
async fn list(State(app): State<App>, who: Who, list: List) -> Result<Json<Page<Tenant>>, Problem> {
    let _permit = who.check::<perm::tenant::List>(&app, Target::System)?;
    let mut tx = SystemTx::begin(&app.app_pool, "list-tenants").await?;
    let after = list.page.after.map(|token| token.0);
    let rows = store::page(tx.conn(), after, i64::from(list.page.limit) + 1).await?;
    tx.rollback().await?;
    let (rows, next) = split(rows, list.page.limit, |row| row.id.uuid());
    Ok(Json(Page::new(rows, next)))
}

/// One tenant.
#[utoipa::path(get, path = "/v1/tenants/{id}", operation_id = "readTenant", tag = "tenants",
    params(("id" = String, Path, description = "Id or slug")),
    responses((status = 200, description = "The tenant", body = Tenant, headers(("ETag" = String, description = "Its version")))))]
async fn read(State(app): State<App>, who: Who, Path(key): Path<TenantKey>) -> Result<Versioned<Tenant>, Problem> {
    let _permit = who.check::<perm::tenant::Read>(&app, Target::System)?;
    let tenant = key.registered(&app).await?;
    Ok(Versioned {
        version: tenant.version,
        body: tenant,
    })
}
