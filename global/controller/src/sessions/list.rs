//! Who is signed in where: `GET /v1/me/sessions` for oneself, `GET /v1/users/{id}/sessions` for the tenant's administrators in
//! their tenant, `GET /v1/federation-users/{id}/sessions` for the provider's.
use super::store::{self, Listed};
use crate::{
    app::App,
    gate::{Who, needs},
    memberships,
};
use axum::extract::State;
use exarch_common_authz::{Target, perm};
use exarch_common_base::{SessionId, TenantId, UserId, page::split};
use exarch_common_http::{Api, Json, List, Page, PageQuery, Path, Problem, RouteKind};
use exarch_common_pg::SystemTx;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    const CHANNELS: &[&str] = &["gc_session"];
    api.lists(RouteKind::SelfOnly, CHANNELS, routes!(mine))
        .lists(needs::<perm::session::List>(), CHANNELS, routes!(of_member))
        .lists(needs::<perm::federation_session::List>(), CHANNELS, routes!(of_anyone))
}

/// A session as it is told.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
struct SessionOut {
    #[schema(value_type = String, pattern = "^ses_[0-9a-f]{32}$")]
    id: SessionId,
    /// `cookie` or `token`.
    kind: String,
    /// The tenant in force; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^ten_[0-9a-f]{32}$")]
    tenant: Option<TenantId>,
    /// How the person signed in (RFC 8176).
    amr: Vec<String>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// When it ends at the latest.
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
    /// From which address it was begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// With which program.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
    /// Whether it is the one that asks.
    current: bool,
}

async fn page(
    app: &App,
    who: &Who,
    user: UserId,
    tenant: Option<TenantId>,
    list: List,
) -> Result<Json<Page<SessionOut>>, Problem> {
    let mut tx = SystemTx::begin(&app.app_pool, "list-sessions").await?;
    let after = list.page.after.map(|token| token.0);
    let limit = i64::from(list.page.limit) + 1;
    let rows = store::list(tx.conn(), user, tenant, app.ambient.now(), after, limit).await?;
    tx.rollback().await?;
    let (rows, next) = split(rows, list.page.limit, |row: &Listed| row.id);
    let items = rows.into_iter().map(|row| SessionOut {
        id: row.id.into(),
        kind: row.kind,
        tenant: row.tenant.map(TenantId::from),
        amr: row.amr,
        created_at: row.created_at,
        expires_at: row.expires_at,
        address: row.address,
        user_agent: row.user_agent,
        current: row.id == who.session().id.uuid(),
    });
    Ok(Json(Page::new(items.collect(), next)))
}

/// A person with a place in the tenant in force.
///
/// # Errors
/// 404 `user-not-found`.
pub(super) async fn member(app: &App, tenant: TenantId, user: UserId) -> Result<(), Problem> {
    let seat = memberships::seat(app, tenant, user).await?;
    let missing = || Problem::not_found("user-not-found").detail("The tenant has no such person.");
    seat.map(drop).ok_or_else(missing)
}

/// Your sessions that are not over, newest first.
#[utoipa::path(get, path = "/v1/me/sessions", operation_id = "mySessions", tag = "me", params(PageQuery),
    responses((status = 200, description = "Where you are signed in", body = Page<SessionOut>)))]
async fn mine(State(app): State<App>, who: Who, list: List) -> Result<Json<Page<SessionOut>>, Problem> {
    page(&app, &who, who.user(), None, list).await
}

/// A person's sessions in the tenant in force, newest first.
#[utoipa::path(get, path = "/v1/users/{id}/sessions", operation_id = "listUserSessions", tag = "users",
    params(("id" = String, Path, pattern = "^usr_[0-9a-f]{32}$", description = "Id of the person"), PageQuery),
    responses((status = 200, description = "Where the person is signed in to this tenant", body = Page<SessionOut>)))]
async fn of_member(
    State(app): State<App>,
    who: Who,
    Path(id): Path<UserId>,
    list: List,
) -> Result<Json<Page<SessionOut>>, Problem> {
    let tenant = who.tenant_in_force()?;
    let _permit = who.check::<perm::session::List>(&app, Target::Tenant(tenant))?;
    member(&app, tenant, id).await?;
    page(&app, &who, id, Some(tenant), list).await
}

/// Anybody's sessions, newest first.
#[utoipa::path(get, path = "/v1/federation-users/{id}/sessions", operation_id = "listFederationUserSessions",
    tag = "users", params(("id" = String, Path, pattern = "^usr_[0-9a-f]{32}$", description = "Id of the person"), PageQuery),
    responses((status = 200, description = "Where the person is signed in", body = Page<SessionOut>)))]
async fn of_anyone(
    State(app): State<App>,
    who: Who,
    Path(id): Path<UserId>,
    list: List,
) -> Result<Json<Page<SessionOut>>, Problem> {
    let _permit = who.check::<perm::federation_session::List>(&app, Target::System)?;
    page(&app, &who, id, None, list).await
}
