//! `DELETE /v1/tenants/{id}/memberships/{membership}`: ends a membership, and the sessions that rest on it.
use super::store;
use crate::{
    app::App,
    audit,
    gate::{Who, needs},
    passports, sessions,
    tenants::TenantKey,
};
use axum::{extract::State, http::StatusCode};
use exarch_common_authz::{Target, perm};
use exarch_common_base::MembershipId;
use exarch_common_http::{Api, Path, Problem, conditions::IfMatch};
use exarch_common_pg::TenantTx;
use serde_json::json;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.route(needs::<perm::membership::Revoke>(), routes!(handler))
}

/// Ends a membership, here at once and in connected regions within a second.
#[utoipa::path(delete, path = "/v1/tenants/{id}/memberships/{membership}", operation_id = "revokeMembership",
    tag = "memberships",
    params(("id" = String, Path, pattern = "^(ten_[0-9a-f]{32}|[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)$", description = "Id or slug of the tenant in force"),
           ("membership" = String, Path, pattern = "^mem_[0-9a-f]{32}$", description = "Id of the membership"),
           ("If-Match" = Option<String>, Header, description = "Only if this is still its ETag")),
    responses((status = 204, description = "It has ended"),
              (status = 412, description = "It was changed meanwhile: read it again"),
              (status = 409, description = "It is that of the last administrator")))]
async fn handler(
    State(app): State<App>,
    who: Who,
    Path((key, id)): Path<(TenantKey, MembershipId)>,
    condition: IfMatch,
) -> Result<StatusCode, Problem> {
    let tenant = key.of_seat(&who)?;
    let _permit = who.check::<perm::membership::Revoke>(&app, Target::Tenant(tenant))?;
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(tenant)).await?;
    let found = store::lock(&mut tx, id).await?;
    let found = found.ok_or_else(super::not_found)?;
    condition.check(found.version)?;
    if found.administers() && !store::other_admin(&mut tx, id).await? {
        return Err(super::last_administrator());
    }
    store::end(&mut tx, id, app.ambient.now()).await?;
    sessions::end_in_tenant(&app, &mut tx, found.user, "membership-revoked").await?;
    let entry = who
        .entry(&app, tenant, "membership.revoke", ("membership", id))
        .before(json!({ "user": found.user, "roles": found.roles }));
    audit::record(&mut tx, &entry).await?;
    passports::touch_tenant(&app, &mut tx).await?;
    tx.commit().await?;
    passports::nudge(&app);
    Ok(StatusCode::NO_CONTENT)
}
