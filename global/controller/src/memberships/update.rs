//! `PATCH /v1/tenants/{id}/memberships/{membership}`: other roles, other regions, another end.
use super::{MembershipOut, grant, store};
use crate::{
    app::App,
    audit,
    gate::{Who, needs},
    passports, roles,
    tenants::TenantKey,
    users,
};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_base::{MembershipId, RegionId};
use exarch_common_http::{
    Api, Json, Path, Problem, Versioned,
    conditions::IfMatch,
    patch::{Patch, Timestamp},
};
use exarch_common_pg::TenantTx;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.route(needs::<perm::membership::Grant>(), routes!(handler))
}

/// What changes of a membership.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MembershipChange {
    /// Names of tenant-scope roles, in the place of those before.
    roles: Option<Vec<String>>,
    /// Ids of the only regions it reaches; `null` for all the tenant is entitled to.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    regions: Patch<Vec<RegionId>>,
    /// When it ends by itself; `null` for never.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Patch<Timestamp>,
}

/// Changes a membership, here at once and in connected regions within a second. Who changes it must hold what its roles hold,
/// before and after.
#[utoipa::path(patch, path = "/v1/tenants/{id}/memberships/{membership}", operation_id = "updateMembership",
    tag = "memberships",
    params(("id" = String, Path, pattern = "^(ten_[0-9a-f]{32}|[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)$", description = "Id or slug of the tenant in force"),
           ("membership" = String, Path, pattern = "^mem_[0-9a-f]{32}$", description = "Id of the membership")),
    request_body = MembershipChange,
    responses((status = 200, description = "The membership", body = MembershipOut,
               headers(("ETag" = String, description = "Its version"))),
              (status = 403, description = "You do not hold what the roles hold"),
              (status = 409, description = "It is that of the last administrator")))]
async fn handler(
    State(app): State<App>,
    who: Who,
    Path((key, id)): Path<(TenantKey, MembershipId)>,
    condition: IfMatch,
    Json(input): Json<MembershipChange>,
) -> Result<Versioned<MembershipOut>, Problem> {
    let tenant = key.of_seat(&who)?;
    let _permit = who.check::<perm::membership::Grant>(&app, Target::Tenant(tenant))?;
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(tenant)).await?;
    let before = store::lock(&mut tx, id).await?.ok_or_else(super::not_found)?;
    condition.require(before.version)?;
    let mut after = before.clone();
    let names = input.roles.unwrap_or(after.roles);
    let gives = who.gives();
    roles::within(&mut tx, &before.roles, gives).await?;
    after.roles = roles::grantable(&mut tx, &names, gives).await?;
    after.regions = input.regions.over(after.regions);
    after.until = input.until.map(|at| at.0).over(after.until);
    grant::check(
        after.until.filter(|_| after.until != before.until),
        after.regions.as_deref(),
        app.ambient.now(),
    )?;
    let stays = after.administers() && after.until.is_none();
    if before.administers() && !stays && !store::other_admin(&mut tx, id).await? {
        return Err(super::last_administrator());
    }
    let user = users::find(&app, tx.conn(), after.user).await?;
    let user = user.ok_or_else(super::not_found)?;
    after.version = store::update(&mut tx, &after, app.ambient.now()).await?;
    let entry = who.entry(&app, tenant, "membership.update", ("membership", id));
    let entry = entry.before(before.recorded()).after(after.recorded());
    audit::record(&mut tx, &entry).await?;
    passports::touch_tenant(&app, &mut tx).await?;
    tx.commit().await?;
    passports::nudge(&app);
    Ok(Versioned {
        version: after.version,
        body: after.out(user),
    })
}
