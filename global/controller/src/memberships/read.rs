//! `GET /v1/tenants/{id}/memberships/{membership}`.
use super::{MembershipOut, store};
use crate::{
    app::App,
    gate::{Who, needs},
    tenants::TenantKey,
    users,
};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_base::MembershipId;
use exarch_common_http::{Api, Path, Problem, Versioned};
use exarch_common_pg::TenantTx;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.route(needs::<perm::membership::List>(), routes!(handler))
}

/// One membership of the tenant in force.
#[utoipa::path(get, path = "/v1/tenants/{id}/memberships/{membership}", operation_id = "readMembership",
    tag = "memberships",
    params(("id" = String, Path, pattern = "^(ten_[0-9a-f]{32}|[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)$", description = "Id or slug of the tenant in force"),
           ("membership" = String, Path, pattern = "^mem_[0-9a-f]{32}$", description = "Id of the membership")),
    responses((status = 200, description = "The membership", body = MembershipOut,
               headers(("ETag" = String, description = "Its version")))))]
async fn handler(
    State(app): State<App>,
    who: Who,
    Path((key, id)): Path<(TenantKey, MembershipId)>,
) -> Result<Versioned<MembershipOut>, Problem> {
    let tenant = key.of_seat(&who)?;
    let _permit = who.check::<perm::membership::List>(&app, Target::Tenant(tenant))?;
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(tenant)).await?;
    let found = store::find(&mut tx, id).await?.ok_or_else(super::not_found)?;
    let user = users::find(&app, tx.conn(), found.user).await?;
    let user = user.ok_or_else(super::not_found)?;
    tx.rollback().await?;
    Ok(Versioned {
        version: found.version,
        body: found.out(user),
    })
}
