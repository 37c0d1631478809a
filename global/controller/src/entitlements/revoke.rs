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
use exarch_common_http::{Api, Path, Problem, conditions::IfMatch};
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
    params(("id" = String, Path, pattern = "^(ten_[0-9a-f]{32}|[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)$", description = "Id or slug of the tenant"),
           ("entitlement" = String, Path, pattern = "^ent_[0-9a-f]{32}$", description = "Id of the entitlement"),
           ("If-Match" = Option<String>, Header, description = "Only if this is still its ETag")),
    responses((status = 204, description = "It has ended"),
              (status = 412, description = "It was changed meanwhile: read it again")))]
async fn handler(
    State(app): State<App>,
    who: Who,
    Path((key, id)): Path<(TenantKey, EntitlementId)>,
    condition: IfMatch,
) -> Result<StatusCode, Problem> {
    let _permit = who.check::<perm::entitlement::Revoke>(&app, Target::System)?;
    let tenant = key.registered(&app).await?;
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(tenant.id)).await?;
    let found = store::lock(&mut tx, id).await?.ok_or_else(super::not_found)?;
    condition.check(found.version)?;
    store::end(&mut tx, id, app.ambient.now()).await?;
    for ledger in [PROVIDER, tenant.id] {
        let entry = who.entry(&app, ledger, "entitlement.revoke", ("entitlement", id));
        let entry = entry.before(json!({ "tenant": tenant.id, "region": found.region.slug }));
        audit::record(&mut tx, &entry).await?;
    }
    passports::touch_tenant(&app, &mut tx).await?;
    tx.commit().await?;
    passports::nudge(&app);
    Ok(StatusCode::NO_CONTENT)
}
