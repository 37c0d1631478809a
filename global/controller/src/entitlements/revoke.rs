//! `DELETE /v1/tenants/{id}/entitlements/{entitlement}`.
use super::store;
use crate::{
    app::App,
    audit,
    gate::{Who, needs},
    passports,
    tenants::TenantKey,
};
use axum::{extract::State, http::StatusCode};
use exarch_common_authz::{Target, perm};
use exarch_common_base::EntitlementId;
use exarch_common_http::{Api, Path, Problem};
use exarch_common_pg::TenantTx;
use exarch_common_wire::audit::PROVIDER;
use serde_json::json;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.route(needs::<perm::entitlement::Revoke>(), routes!(handler))
}

/// Ends an entitlement; a connected region learns of it within a second.
#[utoipa::path(delete, path = "/v1/tenants/{id}/entitlements/{entitlement}", operation_id = "revokeEntitlement",
    tag = "entitlements",
    params(("id" = String, Path, description = "Id or slug of the tenant"),
           ("entitlement" = String, Path, description = "Id of the entitlement")),
    responses((status = 204, description = "It has ended")))]
async fn handler(
    State(app): State<App>,
    who: Who,
    Path((key, id)): Path<(TenantKey, EntitlementId)>,
) -> Result<StatusCode, Problem> {
    let _permit = who.check::<perm::entitlement::Revoke>(&app, Target::System)?;
    let tenant = key.registered(&app).await?;
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(tenant.id)).await?;
    let region = store::end(&mut tx, id, app.ambient.now()).await?;
    let region = region.ok_or_else(|| {
        Problem::not_found("entitlement-not-found").detail("The tenant has no such entitlement, or it has ended.")
    })?;
    for ledger in [PROVIDER, tenant.id] {
        let entry = who.entry(&app, ledger, "entitlement.revoke", ("entitlement", id));
        let entry = entry.before(json!({ "tenant": tenant.id, "region": region }));
        audit::record(&mut tx, &entry).await?;
    }
    passports::touch_tenant(&app, &mut tx).await?;
    tx.commit().await?;
    passports::nudge(&app);
    Ok(StatusCode::NO_CONTENT)
}
