//! `POST /v1/invitations/{id}/resend`: another mail with another token, good for another day; the last one is worth nothing then.
use super::{Invitation, InvitationOut, Token, invite, not_found, store};
use crate::{
    app::App,
    audit,
    gate::{Who, needs},
    mail, roles,
};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_base::InvitationId;
use exarch_common_http::{Api, Json, Path, Problem};
use exarch_common_pg::TenantTx;
use serde_json::json;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.route(needs::<perm::user::Invite>(), routes!(handler))
}

/// Sends an invitation again. Who does so answers for it from then on, so they must hold what its roles hold.
#[utoipa::path(post, path = "/v1/invitations/{id}/resend", operation_id = "resendInvitation", tag = "users",
    params(("id" = String, Path, pattern = "^inv_[0-9a-f]{32}$", description = "Id of the invitation")),
    responses((status = 200, description = "Another mail is on its way", body = InvitationOut),
              (status = 403, description = "You do not hold what the roles hold"),
              (status = 409, description = "This installation sends no mail"),
              (status = 429, description = "Sent to this address three times within an hour")))]
async fn handler(
    State(app): State<App>,
    who: Who,
    Path(id): Path<InvitationId>,
) -> Result<Json<InvitationOut>, Problem> {
    let tenant = who.tenant_in_force()?;
    let permit = who.check::<perm::user::Invite>(&app, Target::Tenant(tenant))?;
    let _grant = who.check::<perm::membership::Grant>(&app, Target::Tenant(tenant))?;
    mail::is_on(&app)?;
    let now = app.ambient.now();
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(tenant)).await?;
    let found = store::lock(&mut tx, id).await?.ok_or_else(not_found)?;
    roles::grantable(&mut tx, &found.roles, permit.caller().tenant_wide()).await?;
    let mut invitation = Invitation::open(&app, tenant, found)?;
    invite::may_ask(&app, &mut tx, &app.keys.email_index(&invitation.email)).await?;
    let token = Token::new(&app.ambient, tenant);
    invitation.expires_at = now + mail::LIFE;
    invitation.invited_by = who.user();
    store::renew(&mut tx, id, &token.hash, who.user().uuid(), invitation.expires_at).await?;
    invite::post(&app, &mut tx, &invitation, token).await?;
    let by = super::brief(&app, tx.conn(), who.user()).await?;
    let entry = who.entry(&app, tenant, "user.invite", ("invitation", id));
    audit::record(
        &mut tx,
        &entry.after(json!({ "roles": invitation.roles, "again": true })),
    )
    .await?;
    tx.commit().await?;
    mail::nudge(&app);
    Ok(Json(invitation.out(by, now)))
}
