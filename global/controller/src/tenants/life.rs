//! `POST /v1/tenants/{id}/suspend`, `resume`, `delete` and `restore`: where a tenant stands in its life. A connected
//! region learns of it within a second; what each state leaves is in [`TenantState`].
use super::{Tenant, TenantKey, store};
use crate::{
    app::App,
    audit::{self, Reason},
    gate::{Who, needs},
    passports,
};
use axum::extract::State;
use exarch_common_authz::{Target, TenantState, perm};
use exarch_common_http::{Api, Json, Path, Problem, Text};
use exarch_common_pg::TenantTx;
use exarch_common_wire::audit::{Outcome, PROVIDER};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.route(needs::<perm::tenant::Suspend>(), routes!(suspend))
        .route(needs::<perm::tenant::Resume>(), routes!(resume))
        .route(needs::<perm::tenant::Delete>(), routes!(delete))
        .route(needs::<perm::tenant::Restore>(), routes!(restore))
}

#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Cause {
    /// Reads and exports; what exists goes on.
    Billing,
    /// Administrators and auditors read; agents are quarantined.
    Incident,
    /// All works; deletion is refused.
    Hold,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Suspension {
    /// What the suspension leaves to the tenant.
    cause: Cause,
    /// For the audit, one sentence.
    reason: Text<200>,
}

/// Suspends a tenant, or suspends it for another cause.
#[utoipa::path(post, path = "/v1/tenants/{id}/suspend", operation_id = "suspendTenant", tag = "tenants",
    params(("id" = String, Path, pattern = "^(ten_[0-9a-f]{32}|[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)$", description = "Id or slug")), request_body = Suspension,
    responses((status = 200, description = "The tenant", body = Tenant),
              (status = 409, description = "It cannot be suspended from where it stands")))]
async fn suspend(
    State(app): State<App>,
    who: Who,
    Path(key): Path<TenantKey>,
    Json(input): Json<Suspension>,
) -> Result<Json<Tenant>, Problem> {
    let _permit = who.check::<perm::tenant::Suspend>(&app, Target::System)?;
    let next = match input.cause {
        Cause::Billing => TenantState::SuspendedBilling,
        Cause::Incident => TenantState::SuspendedIncident,
        Cause::Hold => TenantState::SuspendedHold,
    };
    step(&app, &who, &key, "tenant.suspend", next, input.reason).await
}

/// Makes a suspended tenant active again.
#[utoipa::path(post, path = "/v1/tenants/{id}/resume", operation_id = "resumeTenant", tag = "tenants",
    params(("id" = String, Path, pattern = "^(ten_[0-9a-f]{32}|[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)$", description = "Id or slug")), request_body = Reason,
    responses((status = 200, description = "The tenant", body = Tenant),
              (status = 409, description = "It is not suspended")))]
async fn resume(
    State(app): State<App>,
    who: Who,
    Path(key): Path<TenantKey>,
    Json(input): Json<Reason>,
) -> Result<Json<Tenant>, Problem> {
    let _permit = who.check::<perm::tenant::Resume>(&app, Target::System)?;
    step(&app, &who, &key, "tenant.resume", TenantState::Active, input.reason).await
}

/// Begins the deletion of a tenant: from now on only exports work, and its workloads stop. It can be restored.
#[utoipa::path(post, path = "/v1/tenants/{id}/delete", operation_id = "deleteTenant", tag = "tenants",
    params(("id" = String, Path, pattern = "^(ten_[0-9a-f]{32}|[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)$", description = "Id or slug")), request_body = Reason,
    responses((status = 200, description = "The tenant", body = Tenant),
              (status = 409, description = "It is held, or its deletion has begun")))]
async fn delete(
    State(app): State<App>,
    who: Who,
    Path(key): Path<TenantKey>,
    Json(input): Json<Reason>,
) -> Result<Json<Tenant>, Problem> {
    let _permit = who.check::<perm::tenant::Delete>(&app, Target::System)?;
    step(&app, &who, &key, "tenant.delete", TenantState::Deleting, input.reason).await
}

/// Stops the deletion of a tenant. It is held, so that nothing deletes it while somebody looks; resume it then.
#[utoipa::path(post, path = "/v1/tenants/{id}/restore", operation_id = "restoreTenant", tag = "tenants",
    params(("id" = String, Path, pattern = "^(ten_[0-9a-f]{32}|[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)$", description = "Id or slug")), request_body = Reason,
    responses((status = 200, description = "The tenant", body = Tenant),
              (status = 409, description = "It is not being deleted")))]
async fn restore(
    State(app): State<App>,
    who: Who,
    Path(key): Path<TenantKey>,
    Json(input): Json<Reason>,
) -> Result<Json<Tenant>, Problem> {
    let _permit = who.check::<perm::tenant::Restore>(&app, Target::System)?;
    step(
        &app,
        &who,
        &key,
        "tenant.restore",
        TenantState::SuspendedHold,
        input.reason,
    )
    .await
}

/// One step of a tenant's life, in the audit of the provider and of the tenant.
async fn step(
    app: &App,
    who: &Who,
    key: &TenantKey,
    action: &'static str,
    next: TenantState,
    reason: Text<200>,
) -> Result<Json<Tenant>, Problem> {
    let id = key.registered(app).await?.id;
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(id)).await?;
    let mut tenant = store::lock(&mut tx).await?.ok_or_else(super::key::not_found)?;
    let before = tenant.state;
    // Only `restore` leaves a deletion, and it leaves nothing else.
    let through = (before == TenantState::Deleting) == (action == "tenant.restore");
    if !through || !before.may_become(next) {
        return Err(refused(&tenant, action));
    }
    (tenant.state, tenant.state_since) = (next, app.ambient.now());
    store::set_state(&mut tx, next, tenant.state_since).await?;
    let reason = reason.into_inner();
    for ledger in [PROVIDER, id] {
        let entry = who.entry(app, ledger, action, ("tenant", id));
        let entry = entry.before(json!({ "state": before })).after(json!({ "state": next }));
        audit::record(&mut tx, &entry.ended(Outcome::Ok, &reason)).await?;
    }
    passports::touch_tenant(app, &mut tx).await?;
    tx.commit().await?;
    passports::nudge(app);
    Ok(Json(tenant))
}

fn refused(tenant: &Tenant, action: &str) -> Problem {
    let (slug, state) = (&tenant.slug, tenant.state);
    let hint = match (state, action) {
        (TenantState::Deleted, _) => "nothing brings it back",
        (TenantState::Deleting, "tenant.delete") => "its deletion has begun already",
        (TenantState::Deleting, _) => "restore it first",
        (TenantState::SuspendedHold, "tenant.delete") => "resume it first",
        (_, "tenant.restore") => "it is not being deleted",
        _ => "that is what was asked for",
    };
    Problem::conflict("tenant-state").detail(format!("{slug} is {state}: {hint}."))
}
