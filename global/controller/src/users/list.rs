//! `GET /v1/users` and `GET /v1/users/{id}`: the people of the tenant in force.
use super::{UserBrief, open, store};
use crate::{
    app::App,
    gate::{Who, needs},
};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_base::{UserId, page::split};
use exarch_common_http::{Api, Json, List, Page, PageQuery, Path, Problem, Versioned};
use exarch_common_pg::TenantTx;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.lists(
        needs::<perm::user::List>(),
        &["gc_membership", "gc_user"],
        routes!(list),
    )
    .route(needs::<perm::user::Read>(), routes!(read))
}

/// A person and the roles in this tenant.
#[derive(Serialize, ToSchema)]
pub(super) struct Member {
    #[serde(flatten)]
    pub user: UserBrief,
    /// Roles in the tenant in force.
    pub roles: Vec<String>,
}

/// The people of the tenant in force, newest first.
#[utoipa::path(get, path = "/v1/users", operation_id = "listUsers", tag = "users", params(PageQuery),
    responses((status = 200, description = "People with a membership", body = Page<Member>)))]
async fn list(State(app): State<App>, who: Who, list: List) -> Result<Json<Page<Member>>, Problem> {
    let tenant = who.tenant_in_force()?;
    let _permit = who.check::<perm::user::List>(&app, Target::Tenant(tenant))?;
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(tenant)).await?;
    let after = list.page.after.map(|token| token.0);
    let rows = store::members(&mut tx, None, after, i64::from(list.page.limit) + 1).await?;
    tx.rollback().await?;
    let (rows, next) = split(rows, list.page.limit, |row| row.user.id);
    let items = rows.into_iter().map(|row| {
        Ok(Member {
            user: open(&app, row.user)?,
            roles: row.roles,
        })
    });
    Ok(Json(Page::new(items.collect::<Result<_, Problem>>()?, next)))
}

/// One person of the tenant in force.
#[utoipa::path(get, path = "/v1/users/{id}", operation_id = "readUser", tag = "users",
    params(("id" = String, Path, pattern = "^usr_[0-9a-f]{32}$", description = "Id of the person")),
    responses((status = 200, description = "The person", body = Member,
               headers(("ETag" = String, description = "Version of the person; memberships have their own")))))]
async fn read(State(app): State<App>, who: Who, Path(id): Path<UserId>) -> Result<Versioned<Member>, Problem> {
    let tenant = who.tenant_in_force()?;
    let _permit = who.check::<perm::user::Read>(&app, Target::Tenant(tenant))?;
    let mut tx = TenantTx::begin(&app.app_pool, &who.acting_in(tenant)).await?;
    let found = store::members(&mut tx, Some(id), None, 1).await?.pop();
    tx.rollback().await?;
    member(&app, found.ok_or_else(super::not_found)?)
}

/// A person as the tenant sees them.
pub(super) fn member(app: &App, row: store::MemberRow) -> Result<Versioned<Member>, Problem> {
    Ok(Versioned {
        version: row.version,
        body: Member {
            user: open(app, row.user)?,
            roles: row.roles,
        },
    })
}
