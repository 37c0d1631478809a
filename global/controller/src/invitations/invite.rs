//! The use case behind `POST /v1/users` where the installation sends mail.
use super::{Invitation, Token, place, row, store};
use crate::{
    app::App,
    audit,
    gate::Who,
    mail::{self, Letter},
    memberships, roles, tenants,
    users::Email,
};
use axum::http::StatusCode;
use exarch_common_authz::PermissionSet;
use exarch_common_base::{InvitationId, TenantId};
use exarch_common_http::{
    Json, Problem,
    repeats::{Kept, Once},
};
use exarch_common_pg::TenantTx;
use serde_json::json;

/// Whom, and as what.
pub struct New {
    /// By which the person signs in, or will.
    pub email: Email,
    /// How the person is shown, if new.
    pub display_name: String,
    /// Names of roles.
    pub roles: Vec<String>,
    /// What the caller holds in the tenant, and so may give.
    pub held: PermissionSet,
}

/// Invites somebody into the tenant, in the place of an invitation that waits for the same address.
///
/// # Errors
/// 403 and 422 for roles that the caller cannot give, 409 `already-a-member`, 429; the database.
pub async fn invite(app: &App, who: &Who, tenant: TenantId, new: New, once: Once) -> Result<Kept, Problem> {
    let now = app.ambient.now();
    let index = app.keys.email_index(new.email.as_str());
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(tenant)).await?;
    let roles = roles::grantable(&mut tx, &new.roles, new.held).await?;
    let own = super::brief(app, tx.conn(), who.user()).await?;
    if own.is_some_and(|own| own.email == new.email.as_str()) {
        return Err(memberships::own());
    }
    if memberships::has_address(&mut tx, &index, now).await? {
        return Err(Problem::conflict("already-a-member").detail("Somebody with this address is a member already."));
    }
    may_ask(app, &mut tx, &index).await?;
    let (id, token) = (app.ambient.id::<InvitationId>(), Token::new(&app.ambient, tenant));
    let invitation = Invitation {
        id,
        email: new.email.as_str().to_owned(),
        display_name: new.display_name,
        roles,
        invited_by: who.user(),
        created_at: now,
        expires_at: now + mail::LIFE,
    };
    let replaced = store::end_for_address(&mut tx, &index, now).await?;
    let sealed = app
        .sealer
        .seal(&app.ambient, place(&row(tenant, id)), invitation.email.as_bytes());
    let stored = store::Insert {
        id,
        email_sealed: &sealed,
        email_index: &index,
        display_name: &invitation.display_name,
        roles: &invitation.roles,
        token_hash: &token.hash,
        invited_by: invitation.invited_by.uuid(),
        created_at: invitation.created_at,
        expires_at: invitation.expires_at,
    };
    store::insert(&mut tx, &stored).await?;
    post(app, &mut tx, &invitation, token).await?;
    let by = super::brief(app, tx.conn(), who.user()).await?;
    let entry = who.entry(app, tenant, "user.invite", ("invitation", id));
    audit::record(
        &mut tx,
        &entry.after(json!({ "roles": invitation.roles, "replaced": replaced })),
    )
    .await?;
    let answer = (StatusCode::ACCEPTED, Json(invitation.out(by, now)));
    let kept = once.showing_no_secret().commit(tx, id, answer).await?;
    mail::nudge(app);
    Ok(kept)
}

/// Three mails an hour to an address from one tenant; how many it gets from all tenants together is seen to when they are sent,
/// where it tells no tenant of another.
pub(super) async fn may_ask(app: &App, tx: &mut TenantTx, index: &[u8; 32]) -> Result<(), Problem> {
    let kind = format!("invitation/{}", tx.tenant());
    mail::may_ask(app, tx.conn(), index, &kind).await
}

pub(super) async fn post(app: &App, tx: &mut TenantTx, invitation: &Invitation, token: Token) -> Result<(), Problem> {
    let letter = Letter::Invitation {
        to: invitation.email.clone(),
        tenant: tenants::name(tx).await?,
        token: token.text,
    };
    mail::post(app, tx.conn(), &letter).await
}
