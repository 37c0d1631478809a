//! `PATCH /v1/tenants/{id}/entitlements/{entitlement}`: another end, other limits.
use super::{Entitlement, grant, store};
use crate::{
    app::App,
    audit,
    gate::{Who, needs},
    passports,
    tenants::TenantKey,
};
use axum::extract::State;
use exarch_common_authz::{Target, TenantState, perm};
use exarch_common_base::EntitlementId;
use exarch_common_http::{
    Api, Json, Path, Problem, Versioned,
    conditions::IfMatch,
    patch::{Patch, Timestamp},
};
use exarch_common_pg::TenantTx;
use exarch_common_wire::audit::PROVIDER;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.route(needs::<perm::entitlement::Grant>(), routes!(handler))
}

/// What changes of an entitlement.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EntitlementChange {
    /// Until when; `null` for open.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Patch<Timestamp>,
    /// How much; what is left out stays.
    #[serde(default)]
    limits: LimitsChange,
}

/// What changes of the limits; `null` for unlimited.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LimitsChange {
    /// Clusters.
    #[serde(default)]
    #[schema(value_type = Option<u32>, maximum = 1_000_000)]
    clusters: Patch<u32>,
    /// Hosts.
    #[serde(default)]
    #[schema(value_type = Option<u32>, maximum = 1_000_000)]
    hosts: Patch<u32>,
    /// Leases active at one time.
    #[serde(default)]
    #[schema(value_type = Option<u32>, maximum = 1_000_000)]
    leases: Patch<u32>,
}

/// Changes an entitlement; a connected region learns of it within a second. What there is above a new limit stays.
#[utoipa::path(patch, path = "/v1/tenants/{id}/entitlements/{entitlement}", operation_id = "updateEntitlement",
    tag = "entitlements",
    params(("id" = String, Path, pattern = "^(ten_[0-9a-f]{32}|[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)$", description = "Id or slug of the tenant"),
           ("entitlement" = String, Path, pattern = "^ent_[0-9a-f]{32}$", description = "Id of the entitlement")),
    request_body = EntitlementChange,
    responses((status = 200, description = "The entitlement", body = Entitlement,
               headers(("ETag" = String, description = "Its version"))),
              (status = 409, description = "The tenant is being deleted")))]
async fn handler(
    State(app): State<App>,
    who: Who,
    Path((key, id)): Path<(TenantKey, EntitlementId)>,
    condition: IfMatch,
    Json(input): Json<EntitlementChange>,
) -> Result<Versioned<Entitlement>, Problem> {
    let _permit = who.check::<perm::entitlement::Grant>(&app, Target::System)?;
    let tenant = key.registered(&app).await?;
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(tenant.id)).await?;
    let before = store::lock(&mut tx, id).await?.ok_or_else(super::not_found)?;
    condition.require(before.version)?;
    if matches!(tenant.state, TenantState::Deleting | TenantState::Deleted) {
        return Err(Problem::conflict("tenant-deleting").detail("A tenant that is being deleted is given nothing new."));
    }
    let mut after = before.clone();
    after.until = input.until.map(|at| at.0).over(after.until);
    after.limits.clusters = input.limits.clusters.over(after.limits.clusters);
    after.limits.hosts = input.limits.hosts.over(after.limits.hosts);
    after.limits.leases = input.limits.leases.over(after.limits.leases);
    let new_end = after.until.filter(|_| after.until != before.until);
    grant::check(after.from, new_end, &after.limits, app.ambient.now())?;
    after.version = store::update(&mut tx, &after).await?;
    for ledger in [PROVIDER, tenant.id] {
        let entry = who.entry(&app, ledger, "entitlement.update", ("entitlement", id));
        let entry = entry
            .before(before.recorded(tenant.id))
            .after(after.recorded(tenant.id));
        audit::record(&mut tx, &entry).await?;
    }
    passports::touch_tenant(&app, &mut tx).await?;
    tx.commit().await?;
    passports::nudge(&app);
    Ok(Versioned {
        version: after.version,
        body: after,
    })
}
