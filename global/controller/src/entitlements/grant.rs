//! `POST /v1/tenants/{id}/entitlements`.
use super::{Entitlement, Limits, RegionName, store};
use crate::{
    app::App,
    audit,
    gate::{Who, needs},
    passports,
    regions::{self, LifeCycle},
    tenants::TenantKey,
};
use axum::{extract::State, http::StatusCode};
use exarch_common_authz::{Target, TenantState, perm};
use exarch_common_base::Slug;
use exarch_common_http::{
    Api, Json, Path, Problem,
    repeats::{Kept, Once, Repeat},
};
use exarch_common_pg::{OnConstraint, TenantTx};
use exarch_common_wire::audit::PROVIDER;
use serde::Deserialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::routes;

const MOST: u32 = 1_000_000;

pub fn routes(api: Api<App>) -> Api<App> {
    api.creates(needs::<perm::entitlement::Grant>(), Repeat::Same, routes!(handler))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = GrantEntitlement)]
struct Grant {
    /// Slug of the region.
    #[schema(value_type = String, pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    region: Slug,
    /// From when; now when left out.
    #[serde(default, with = "time::serde::rfc3339::option")]
    from: Option<OffsetDateTime>,
    /// Until when; open when left out.
    #[serde(default, with = "time::serde::rfc3339::option")]
    until: Option<OffsetDateTime>,
    /// How much.
    #[serde(default)]
    limits: Limits,
}

/// Whether a tenant can be entitled from then to then, to so much.
///
/// # Errors
/// 422 with the member that cannot be accepted.
pub(super) fn check(
    from: OffsetDateTime,
    until: Option<OffsetDateTime>,
    limits: &Limits,
    now: OffsetDateTime,
) -> Result<(), Problem> {
    if until.is_some_and(|until| until <= from || until <= now) {
        return Err(refused("/until", "is not after the beginning and in the future"));
    }
    let limits = [
        ("/limits/clusters", limits.clusters),
        ("/limits/hosts", limits.hosts),
        ("/limits/leases", limits.leases),
    ];
    match limits.iter().find(|(_, limit)| limit.is_some_and(|n| n > MOST)) {
        Some((pointer, _)) => Err(refused(pointer, "is above 1000000")),
        None => Ok(()),
    }
}

fn refused(pointer: &str, reason: &str) -> Problem {
    Problem::unprocessable("invalid-entitlement")
        .detail("A value of the entitlement cannot be accepted; see errors.")
        .error(pointer, reason)
}

/// Entitles a tenant to a region.
#[utoipa::path(post, path = "/v1/tenants/{id}/entitlements", operation_id = "grantEntitlement", tag = "entitlements",
    params(("id" = String, Path, pattern = "^(ten_[0-9a-f]{32}|[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)$", description = "Id or slug of the tenant")), request_body = Grant,
    responses((status = 201, description = "The entitlement", body = Entitlement),
              (status = 409, description = "The tenant is entitled to the region already, or is being deleted; or the region is being drained")))]
async fn handler(
    State(app): State<App>,
    who: Who,
    Path(key): Path<TenantKey>,
    once: Once,
    Json(input): Json<Grant>,
) -> Result<Kept, Problem> {
    let _permit = who.check::<perm::entitlement::Grant>(&app, Target::System)?;
    let now = app.ambient.now();
    let from = input.from.unwrap_or(now);
    check(from, input.until, &input.limits, now)?;
    let tenant = key.registered(&app).await?;
    if matches!(tenant.state, TenantState::Deleting | TenantState::Deleted) {
        return Err(Problem::conflict("tenant-deleting").detail("A tenant that is being deleted is given nothing new."));
    }
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(tenant.id)).await?;
    let region = regions::by_slug(tx.conn(), &input.region).await?;
    let region = region.filter(|region| region.lifecycle != LifeCycle::Removed);
    let region = region.ok_or_else(|| refused("/region", "names no region"))?;
    if region.lifecycle == LifeCycle::Draining {
        return Err(Problem::conflict("region-draining")
            .detail("The region is being drained: nobody new is entitled to it.")
            .error("/region", "is being drained"));
    }
    let entitlement = Entitlement {
        id: app.ambient.id(),
        region: RegionName {
            id: region.id,
            slug: region.slug,
        },
        from,
        until: input.until,
        limits: input.limits,
        created_at: now,
        version: 1,
    };
    store::insert(&mut tx, &entitlement, &who.user().to_string())
        .await
        .on_constraint("entitlement_region_key", || {
            Problem::conflict("already-entitled")
                .detail("The tenant is entitled to this region already: end that entitlement first.")
                .error("/region", "is one the tenant is entitled to already")
        })?;
    let after = entitlement.recorded(tenant.id);
    for ledger in [PROVIDER, tenant.id] {
        let entry = who.entry(&app, ledger, "entitlement.grant", ("entitlement", entitlement.id));
        audit::record(&mut tx, &entry.after(after.clone())).await?;
    }
    passports::touch_tenant(&app, &mut tx).await?;
    let kept = once
        .commit(tx, entitlement.id, (StatusCode::CREATED, Json(&entitlement)))
        .await?;
    passports::nudge(&app);
    Ok(kept)
}
