//! `POST /v1/break-glass/{id}/approve` and `…/deny`: by somebody else than who asked.
use super::{
    BreakGlassOut,
    grant::{Approval, Grant, Mode},
    not_found, people, record, store,
};
use crate::{
    app::App,
    audit::Reason,
    gate::{Who, needs},
    mail::{self, Letter},
    memberships, passports, tenants,
};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_base::BreakGlassId;
use exarch_common_http::{Api, Json, Path, Problem};
use exarch_common_pg::TenantTx;
use exarch_common_wire::audit::Outcome;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.route(needs::<perm::break_glass::Approve>(), routes!(approve))
        .route(needs::<perm::break_glass::Approve>(), routes!(deny))
}

/// Approves somebody else's request: it is in force at once, and within a second in connected regions.
#[utoipa::path(post, path = "/v1/break-glass/{id}/approve", operation_id = "approveBreakGlass", tag = "break-glass",
    params(("id" = String, Path, pattern = "^bgl_[0-9a-f]{32}$", description = "Id of the request")),
    responses((status = 200, description = "The request; a rescue may wait for a second approval", body = BreakGlassOut),
              (status = 403, description = "It is your own request"),
              (status = 409, description = "It does not wait for an answer, or you approved it already"),
              (status = 503, description = "The members of the tenant cannot be told: this installation sends no mail")))]
async fn approve(
    State(app): State<App>,
    who: Who,
    Path(id): Path<BreakGlassId>,
) -> Result<Json<BreakGlassOut>, Problem> {
    let _permit = who.check::<perm::break_glass::Approve>(&app, Target::System)?;
    let (mut tx, mut grant) = locked(&app, &who, id).await?;
    let now = app.ambient.now();
    let approval = grant.approve(who.user(), now)?;
    // Somebody who administers it now looks after it now.
    if grant.rescue && memberships::is_administered(&mut tx, now).await? {
        return Err(Problem::conflict("tenant-administered")
            .detail("The tenant has an administrator again: ask anew, or leave it to them."));
    }
    store::save(&mut tx, &grant).await?;
    if approval == Approval::Whole && grant.rescue {
        announce(&app, &mut tx, &grant).await?;
    }
    let action = match approval {
        Approval::Seconded => "break_glass.second",
        Approval::Whole => "break_glass.approve",
    };
    record(&mut tx, &grant, |ledger| {
        who.entry(&app, ledger, action, ("break-glass", id))
    })
    .await?;
    passports::touch_tenant(&app, &mut tx).await?;
    answer(&app, tx, grant).await
}

/// Denies somebody else's request.
#[utoipa::path(post, path = "/v1/break-glass/{id}/deny", operation_id = "denyBreakGlass", tag = "break-glass",
    params(("id" = String, Path, pattern = "^bgl_[0-9a-f]{32}$", description = "Id of the request")), request_body = Reason,
    responses((status = 200, description = "The request", body = BreakGlassOut),
              (status = 403, description = "It is your own request: end it instead"),
              (status = 409, description = "It does not wait for an answer")))]
async fn deny(
    State(app): State<App>,
    who: Who,
    Path(id): Path<BreakGlassId>,
    Json(input): Json<Reason>,
) -> Result<Json<BreakGlassOut>, Problem> {
    let _permit = who.check::<perm::break_glass::Approve>(&app, Target::System)?;
    let (mut tx, mut grant) = locked(&app, &who, id).await?;
    grant.deny(who.user(), app.ambient.now())?;
    store::save(&mut tx, &grant).await?;
    let reason = input.reason.into_inner();
    record(&mut tx, &grant, |ledger| {
        who.entry(&app, ledger, "break_glass.deny", ("break-glass", id))
            .ended(Outcome::Ok, &reason)
    })
    .await?;
    answer(&app, tx, grant).await
}

/// The grant, in a transaction of its tenant.
pub(super) async fn locked(app: &App, who: &Who, id: BreakGlassId) -> Result<(TenantTx, Grant), Problem> {
    let found = store::find(&app.sweep_pool, id).await?.ok_or_else(not_found)?;
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(found.tenant)).await?;
    let grant = store::lock(&mut tx, id).await?.ok_or_else(not_found)?;
    Ok((tx, grant))
}

/// Commits and tells.
pub(super) async fn answer(app: &App, mut tx: TenantTx, grant: Grant) -> Result<Json<BreakGlassOut>, Problem> {
    let people = people(app, tx.conn(), std::slice::from_ref(&grant)).await?;
    tx.commit().await?;
    passports::nudge(app);
    mail::nudge(app);
    Ok(Json(grant.out(&people, app.ambient.now())))
}

/// Tells all members of a tenant when somebody of the provider will come.
async fn announce(app: &App, tx: &mut TenantTx, grant: &Grant) -> Result<(), Problem> {
    let Some(from) = grant.from.filter(|_| grant.mode == Mode::Write) else {
        return Ok(());
    };
    let members = memberships::members(tx, app.ambient.now()).await?;
    if !members.is_empty() {
        // nobody comes unannounced because the installation sends no mail
        mail::is_on(app)?;
    }
    let tenant = tenants::name(tx).await?;
    for user in members {
        let letter = Letter::Rescue {
            user,
            tenant: tenant.clone(),
            ticket: grant.ticket.clone(),
            reason: grant.reason.clone(),
            from,
        };
        mail::post(app, tx.conn(), &letter).await?;
    }
    Ok(())
}
