//! `POST /v1/break-glass`.
use super::{
    BreakGlassOut, approvers,
    grant::{Grant, MOST, Mode, State as Standing, WAITS},
    people, record, store,
};
use crate::{
    app::App,
    gate::{Who, needs},
    memberships,
    tenants::TenantKey,
};
use axum::{extract::State, http::StatusCode};
use exarch_common_authz::{Target, TenantState, perm};
use exarch_common_http::{
    Api, Json, Problem, Text,
    repeats::{Kept, Once, Repeat},
};
use exarch_common_pg::TenantTx;
use exarch_common_wire::audit::Outcome;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.creates(needs::<perm::break_glass::Request>(), Repeat::Same, routes!(handler))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BreakGlassRequest {
    /// Id or slug.
    #[schema(value_type = String, pattern = "^(ten_[0-9a-f]{32}|[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)$")]
    tenant: TenantKey,
    /// `read` unless said.
    #[serde(default)]
    mode: Mode,
    /// For whoever approves, and for the tenant: it stands in its audit.
    reason: Text<200>,
    /// Where the emergency is written down.
    ticket: Text<100>,
    /// For how long, once it has begun.
    #[schema(minimum = 1, maximum = 60)]
    minutes: u16,
}

/// Asks for emergency access to a tenant; somebody else must approve within the hour.
#[utoipa::path(post, path = "/v1/break-glass", operation_id = "requestBreakGlass", tag = "break-glass",
    request_body = BreakGlassRequest,
    responses((status = 201, description = "The request", body = BreakGlassOut),
              (status = 404, description = "There is no such tenant"),
              (status = 409, description = "You have a place there or an open request, nobody else could approve, or the \
                                            tenant's state leaves nothing to do")))]
async fn handler(
    State(app): State<App>,
    who: Who,
    once: Once,
    Json(input): Json<BreakGlassRequest>,
) -> Result<Kept, Problem> {
    let _permit = who.check::<perm::break_glass::Request>(&app, Target::System)?;
    if !(1..=MOST).contains(&input.minutes) {
        return Err(Problem::unprocessable("invalid-break-glass")
            .detail("A value of the request cannot be accepted; see errors.")
            .error("/minutes", format!("is not between 1 and {MOST}")));
    }
    let tenant = input.tenant.registered(&app).await?;
    leaves_something(tenant.state)?;
    let now = app.ambient.now();
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(tenant.id)).await?;
    if memberships::seat_in(&app, &mut tx, who.user()).await?.is_some()
        || store::open(&mut tx, who.user(), now - WAITS, now).await?
    {
        return Err(Problem::conflict("break-glass-open")
            .detail("You have a place in this tenant, or an open request for one: use it, or end it first."));
    }
    let rescue = input.mode == Mode::Write && !memberships::is_administered(&mut tx, now).await?;
    let (needed, others) = (
        if rescue { 2 } else { 1 },
        approvers(tx.conn(), Some(who.user()), now).await?,
    );
    if others < needed {
        return Err(Problem::conflict("no-second-person").detail(format!(
            "This takes {needed} other people who may approve, and the federation has {others}: there is no break-glass here."
        )));
    }
    let grant = Grant {
        id: app.ambient.id(),
        tenant: tenant.id,
        tenant_slug: tenant.slug,
        requester: who.user(),
        mode: input.mode,
        reason: input.reason.into_inner(),
        ticket: input.ticket.into_inner(),
        minutes: input.minutes,
        rescue,
        state: Standing::Requested,
        requested_at: now,
        seconded_by: None,
        decided_by: None,
        decided_at: None,
        from: None,
        until: None,
        ended_by: None,
        ended_at: None,
    };
    store::insert(&mut tx, &grant).await?;
    record(&mut tx, &grant, |ledger| {
        who.entry(&app, ledger, "break_glass.request", ("break-glass", grant.id))
            .ended(Outcome::Ok, &grant.reason)
    })
    .await?;
    let people = people(&app, tx.conn(), std::slice::from_ref(&grant)).await?;
    let id = grant.id;
    once.commit(tx, id, (StatusCode::CREATED, Json(grant.out(&people, now))))
        .await
}

/// Whoever comes by break-glass is bound by the tenant's state like everybody else.
fn leaves_something(state: TenantState) -> Result<(), Problem> {
    match state {
        TenantState::Active | TenantState::SuspendedBilling | TenantState::SuspendedHold => Ok(()),
        TenantState::SuspendedIncident | TenantState::Deleting | TenantState::Deleted => {
            Err(Problem::conflict("tenant-state").detail(format!(
                "The tenant is {state}, which leaves nothing to the provider's people: change its state first."
            )))
        }
    }
}
