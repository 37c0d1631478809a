//! `GET /v1/tenants/{id}/entitlements/{entitlement}`.
use super::{Entitlement, store};
use crate::{
    app::App,
    gate::{Who, needs},
    tenants::TenantKey,
};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_base::EntitlementId;
use exarch_common_http::{Api, Path, Problem, Versioned};
use exarch_common_pg::TenantTx;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.route(needs::<perm::entitlement::Read>(), routes!(handler))
}

/// One entitlement.
#[utoipa::path(get, path = "/v1/tenants/{id}/entitlements/{entitlement}", operation_id = "readEntitlement",
    tag = "entitlements",
    params(("id" = String, Path, pattern = "^(ten_[0-9a-f]{32}|[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)$", description = "Id or slug of the tenant"),
           ("entitlement" = String, Path, pattern = "^ent_[0-9a-f]{32}$", description = "Id of the entitlement")),
    responses((status = 200, description = "The entitlement", body = Entitlement,
               headers(("ETag" = String, description = "Its version")))))]
async fn handler(
    State(app): State<App>,
    who: Who,
    Path((key, id)): Path<(TenantKey, EntitlementId)>,
) -> Result<Versioned<Entitlement>, Problem> {
    let _permit = who.check::<perm::entitlement::Read>(&app, Target::System)?;
    let tenant = key.registered(&app).await?;
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(tenant.id)).await?;
    let found = store::find(&mut tx, id).await?;
    tx.rollback().await?;
    let found = found.ok_or_else(super::not_found)?;
    Ok(Versioned {
        version: found.version,
        body: found,
    })
}
