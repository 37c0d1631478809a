//! `DELETE /v1/invitations/{id}`: the token in the mail is worth nothing from then on.
use super::{not_found, store};
use crate::{
    app::App,
    audit,
    gate::{Who, needs},
};
use axum::{extract::State, http::StatusCode};
use exarch_common_authz::{Target, perm};
use exarch_common_base::InvitationId;
use exarch_common_http::{Api, Path, Problem};
use exarch_common_pg::TenantTx;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.route(needs::<perm::user::Invite>(), routes!(handler))
}

/// Cancels an invitation.
#[utoipa::path(delete, path = "/v1/invitations/{id}", operation_id = "cancelInvitation", tag = "users",
    params(("id" = String, Path, pattern = "^inv_[0-9a-f]{32}$", description = "Id of the invitation")),
    responses((status = 204, description = "Nobody can accept it any more")))]
async fn handler(State(app): State<App>, who: Who, Path(id): Path<InvitationId>) -> Result<StatusCode, Problem> {
    let tenant = who.tenant_in_force()?;
    let _permit = who.check::<perm::user::Invite>(&app, Target::Tenant(tenant))?;
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(tenant)).await?;
    if !store::end(&mut tx, id, app.ambient.now()).await? {
        return Err(not_found());
    }
    let entry = who.entry(&app, tenant, "invitation.cancel", ("invitation", id));
    audit::record(&mut tx, &entry).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}
