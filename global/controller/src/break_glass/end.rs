//! `POST /v1/break-glass/{id}/end` by the provider, `POST /v1/provider-access/{id}/end` by the tenant. Its sessions are over at
//! once, and within a second in connected regions.
use super::{
    BreakGlassOut,
    decide::{answer, locked},
    grant::Grant,
    not_found, record, store,
};
use crate::{
    app::App,
    audit::Reason,
    gate::{Who, needs},
    passports, sessions,
};
use axum::{extract::State, http::StatusCode};
use exarch_common_authz::{Target, perm};
use exarch_common_base::BreakGlassId;
use exarch_common_http::{Api, Json, Path, Problem};
use exarch_common_pg::TenantTx;
use exarch_common_wire::audit::Outcome;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.route(needs::<perm::break_glass::Revoke>(), routes!(by_provider))
        .route(needs::<perm::membership::Revoke>(), routes!(by_tenant))
}

/// Ends an emergency access, or takes a request back.
#[utoipa::path(post, path = "/v1/break-glass/{id}/end", operation_id = "endBreakGlass", tag = "break-glass",
    params(("id" = String, Path, pattern = "^bgl_[0-9a-f]{32}$", description = "Id of the request")), request_body = Reason,
    responses((status = 200, description = "The request", body = BreakGlassOut),
              (status = 409, description = "It is over already")))]
async fn by_provider(
    State(app): State<App>,
    who: Who,
    Path(id): Path<BreakGlassId>,
    Json(input): Json<Reason>,
) -> Result<Json<BreakGlassOut>, Problem> {
    let _permit = who.check::<perm::break_glass::Revoke>(&app, Target::System)?;
    let (mut tx, mut grant) = locked(&app, &who, id).await?;
    run(&app, &who, &mut tx, &mut grant, &input).await?;
    answer(&app, tx, grant).await
}

/// Ends an emergency access of the provider to your tenant, or a request for one.
#[utoipa::path(post, path = "/v1/provider-access/{id}/end", operation_id = "endProviderAccess", tag = "provider-access",
    params(("id" = String, Path, pattern = "^bgl_[0-9a-f]{32}$", description = "Id of the emergency access, as the ledger has it")),
    request_body = Reason,
    responses((status = 204, description = "It is over"),
              (status = 404, description = "The tenant has no such emergency access"),
              (status = 409, description = "It is over already")))]
async fn by_tenant(
    State(app): State<App>,
    who: Who,
    Path(id): Path<BreakGlassId>,
    Json(input): Json<Reason>,
) -> Result<StatusCode, Problem> {
    let tenant = who.tenant_in_force()?;
    let _permit = who.check::<perm::membership::Revoke>(&app, Target::Tenant(tenant))?;
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(tenant)).await?;
    let mut grant = store::lock(&mut tx, id).await?.ok_or_else(not_found)?;
    run(&app, &who, &mut tx, &mut grant, &input).await?;
    tx.commit().await?;
    passports::nudge(&app);
    Ok(StatusCode::NO_CONTENT)
}

async fn run(app: &App, who: &Who, tx: &mut TenantTx, grant: &mut Grant, input: &Reason) -> Result<(), Problem> {
    grant.end(who.user(), app.ambient.now())?;
    store::save(tx, grant).await?;
    sessions::end_of_break_glass(app, tx, grant.id).await?;
    record(tx, grant, |ledger| {
        who.entry(app, ledger, "break_glass.end", ("break-glass", grant.id))
            .ended(Outcome::Ok, &*input.reason)
    })
    .await?;
    passports::touch_tenant(app, tx).await?;
    Ok(())
}
