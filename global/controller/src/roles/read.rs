//! `GET /v1/roles/{name}`.
use super::{RoleOut, not_found, presets, store};
use crate::{
    app::App,
    gate::{Who, needs},
};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_http::{Api, Path, Problem, Versioned};
use exarch_common_pg::TenantTx;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.route(needs::<perm::role::Read>(), routes!(handler))
}

/// One role and what it holds.
#[utoipa::path(get, path = "/v1/roles/{name}", operation_id = "readRole", tag = "roles",
    params(("name" = String, Path, pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", description = "Its name")),
    responses((status = 200, description = "The role", body = RoleOut,
               headers(("ETag" = String, description = "Its version")))))]
async fn handler(State(app): State<App>, who: Who, Path(name): Path<String>) -> Result<Versioned<RoleOut>, Problem> {
    let tenant = who.tenant_in_force()?;
    let _permit = who.check::<perm::role::Read>(&app, Target::Tenant(tenant))?;
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(tenant)).await?;
    let own = store::find(&mut tx, &name).await?;
    tx.rollback().await?;
    if let Some(own) = own {
        return Ok(Versioned {
            version: own.version,
            body: own.into(),
        });
    }
    let preset = presets().find(|role| role.slug() == name).ok_or_else(not_found)?;
    Ok(Versioned {
        version: 1,
        body: preset.into(),
    })
}
