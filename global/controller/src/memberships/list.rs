//! `GET /v1/tenants/{id}/memberships`.
use super::{MembershipOut, store};
use crate::{
    app::App,
    gate::{Who, needs},
    tenants::TenantKey,
    users,
};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_base::page::split;
use exarch_common_http::{Api, Json, List, Page, PageQuery, Path, Problem};
use exarch_common_pg::TenantTx;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.lists(
        needs::<perm::membership::List>(),
        &["gc_membership", "gc_user"],
        routes!(handler),
    )
}

/// The people of the tenant and their roles, newest first.
#[utoipa::path(get, path = "/v1/tenants/{id}/memberships", operation_id = "listMemberships", tag = "memberships",
    params(("id" = String, Path, pattern = "^(ten_[0-9a-f]{32}|[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)$", description = "Id or slug of the tenant in force"), PageQuery),
    responses((status = 200, description = "Memberships", body = Page<MembershipOut>)))]
async fn handler(
    State(app): State<App>,
    who: Who,
    Path(key): Path<TenantKey>,
    list: List,
) -> Result<Json<Page<MembershipOut>>, Problem> {
    let tenant = key.of_seat(&who)?;
    let _permit = who.check::<perm::membership::List>(&app, Target::Tenant(tenant))?;
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(tenant)).await?;
    let after = list.page.after.map(|token| token.0);
    let rows = store::page(&mut tx, after, i64::from(list.page.limit) + 1).await?;
    let (rows, next) = split(rows, list.page.limit, |row| row.id.uuid());
    let people: Vec<_> = rows.iter().map(|row| row.user).collect();
    let mut people = users::briefs(&app, tx.conn(), &people).await?;
    tx.rollback().await?;
    let items = rows
        .into_iter()
        .filter_map(|row| {
            let user = people.remove(&row.user)?;
            Some(row.out(user))
        })
        .collect();
    Ok(Json(Page::new(items, next)))
}
