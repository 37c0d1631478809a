//! `POST /v1/me/tenant`: another tenant in force. The session ends and another begins, so that the pair for the old tenant,
//! and every region token made with it, ends too.
use crate::{
    app::App,
    audit,
    gate::Who,
    memberships, passports,
    sessions::{self, Session},
    sign_in::{Answer, signed_in},
    tenants::TenantKey,
    users,
};
use axum::{extract::State, response::Response};
use exarch_common_http::{Api, Json, Problem, RouteKind};
use exarch_common_pg::SystemTx;
use exarch_common_wire::audit::PROVIDER;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.route(RouteKind::SelfOnly, routes!(handler))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SwitchTenant {
    /// Id or slug.
    #[schema(value_type = String, pattern = "^(ten_[0-9a-f]{32}|[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)$")]
    tenant: TenantKey,
}

/// Puts another of your tenants in force, or one to which you have emergency access.
#[utoipa::path(post, path = "/v1/me/tenant", operation_id = "switchTenant", tag = "me", request_body = SwitchTenant,
    responses((status = 200, description = "The tenant is in force, with a new cookie or a new pair", body = Answer),
              (status = 403, description = "The tenant asks for a second factor, and this session has none"),
              (status = 404, description = "You have no place in that tenant")))]
async fn handler(State(app): State<App>, who: Who, Json(input): Json<SwitchTenant>) -> Result<Response, Problem> {
    let mut seats = memberships::seats(&app, who.user()).await?;
    // a member comes as one
    seats.extend(memberships::emergencies(&app, who.user()).await?);
    let seat = seats
        .into_iter()
        .find(|seat| input.tenant.names(seat.tenant.id, &seat.tenant.slug))
        .ok_or_else(|| Problem::not_found("tenant-not-found").detail("You have no place in a tenant of this name."))?;
    let old = who.session();
    if !seat.admits(&old.amr) {
        return Err(Problem::forbidden("second-factor-needed")
            .detail("This tenant asks for a second factor, and you signed in without one: sign in again."));
    }
    let emergency = seat.emergency.map(|emergency| emergency.id);
    // it ends with the break-glass by which it is there
    let end = seat.until.filter(|_| emergency.is_some());
    let new = Session {
        id: app.ambient.id(),
        tenant: Some(seat.tenant.id),
        break_glass: emergency,
        expires_at: end.map_or(old.expires_at, |end| end.min(old.expires_at)),
        ..old.clone()
    };
    let staff = who.staff_roles(app.ambient.now());
    let roles = memberships::role_names(Some(&seat), staff);
    let mut tx = SystemTx::begin(&app.app_pool, "switch-tenant").await?;
    sessions::lock_person(&mut tx, who.user()).await?;
    // of two switches at once one finds its session ended
    if !sessions::end(&app, &mut tx, old.id, "tenant-switched").await? {
        return Err(crate::gate::unauthenticated());
    }
    // the one that ends makes room for it
    let (started, _) = sessions::start(&app, tx.conn(), &new, &who.origin().source, &roles).await?;
    let user = users::find(&app, tx.conn(), who.user()).await?;
    let user = user.ok_or_else(crate::gate::unauthenticated)?;
    // in the old tenant's audit that somebody left, in the new one's that somebody came
    let left = who.entry(&app, old.tenant.unwrap_or(PROVIDER), "session.end", ("session", old.id));
    let mut came = who.entry(&app, seat.tenant.id, "session.begin", ("session", new.id));
    came.break_glass = emergency.map(|grant| grant.to_string());
    let mut entries = vec![left, came.after(json!({ "kind": new.kind.as_str(), "amr": new.amr }))];
    if let Some(grant) = emergency {
        let mut entered = who.entry(&app, PROVIDER, "break_glass.enter", ("break-glass", grant));
        entered.break_glass = Some(grant.to_string());
        entries.push(entered.after(json!({ "tenant": seat.tenant.id })));
    }
    // chains are always taken in one order, so that two who cross do not wait for each other
    entries.sort_by_key(|entry| entry.tenant);
    for entry in &entries {
        audit::record(&mut tx, entry).await?;
    }
    passports::touch_common(&app, &mut tx).await?;
    tx.commit().await?;
    passports::nudge(&app);
    Ok(signed_in(&user, Some(&seat.tenant), started, None))
}
