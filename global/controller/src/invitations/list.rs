//! `GET /v1/invitations`: who was invited and has not come yet.
use super::{Invitation, InvitationOut, store};
use crate::{
    app::App,
    gate::{Who, needs},
    users,
};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_base::page::split;
use exarch_common_http::{Api, Json, List, Page, PageQuery, Problem};
use exarch_common_pg::TenantTx;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.lists(
        needs::<perm::user::List>(),
        &["gc_invitation", "gc_user"],
        routes!(handler),
    )
}

/// Invitations into the tenant in force that were neither accepted nor cancelled, newest first.
#[utoipa::path(get, path = "/v1/invitations", operation_id = "listInvitations", tag = "users", params(PageQuery),
    responses((status = 200, description = "Invitations", body = Page<InvitationOut>)))]
async fn handler(State(app): State<App>, who: Who, list: List) -> Result<Json<Page<InvitationOut>>, Problem> {
    let tenant = who.tenant_in_force()?;
    let _permit = who.check::<perm::user::List>(&app, Target::Tenant(tenant))?;
    let now = app.ambient.now();
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(tenant)).await?;
    let after = list.page.after.map(|token| token.0);
    let rows = store::page(&mut tx, after, i64::from(list.page.limit) + 1).await?;
    let inviters: Vec<_> = rows.iter().map(|row| row.invited_by.into()).collect();
    let people = users::briefs(&app, tx.conn(), &inviters).await?;
    tx.rollback().await?;
    let (rows, next) = split(rows, list.page.limit, |row| row.id);
    let items = rows.into_iter().map(|row| {
        let invitation = Invitation::open(&app, tenant, row)?;
        let by = people.get(&invitation.invited_by).cloned();
        Ok(invitation.out(by, now))
    });
    Ok(Json(Page::new(items.collect::<Result<_, Problem>>()?, next)))
}
