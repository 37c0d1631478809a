//! `GET /v1/me`: who am I, where, with which roles.
use crate::{app::App, gate::Who, memberships, sign_in::TenantName, users};
use axum::extract::State;
use exarch_common_authz::{Role, TenantState};
use exarch_common_base::{BreakGlassId, SessionId, Slug, TenantId, UserId};
use exarch_common_http::{Api, Json, Problem, RouteKind};
use exarch_common_pg::SystemTx;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.route(RouteKind::SelfOnly, routes!(handler))
}

#[derive(Serialize, ToSchema)]
struct Me {
    user: MyUser,
    /// The tenant in force; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<MyTenant>,
    /// All tenants in which you have a place.
    tenants: Vec<TenantName>,
    /// Roles in the tenant in force.
    roles: Vec<String>,
    /// By which you are in the tenant in force, when you do not belong to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    break_glass: Option<MyBreakGlass>,
    session: MySession,
    /// Roles over the federation: the provider's people only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Option<Vec<String>>)]
    system: Vec<Role>,
}

#[derive(Serialize, ToSchema)]
struct MyUser {
    #[schema(value_type = String, pattern = "^usr_[0-9a-f]{32}$")]
    id: UserId,
    email: String,
    display_name: String,
}

#[derive(Serialize, ToSchema)]
struct MyTenant {
    #[schema(value_type = String, pattern = "^ten_[0-9a-f]{32}$")]
    id: TenantId,
    #[schema(value_type = String, pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    slug: Slug,
    name: String,
    /// `active`, `suspended(billing)`, …
    #[schema(value_type = String)]
    state: TenantState,
}

#[derive(Serialize, ToSchema)]
struct MyBreakGlass {
    #[schema(value_type = String, pattern = "^bgl_[0-9a-f]{32}$")]
    id: BreakGlassId,
    /// When it is over by itself.
    #[serde(with = "time::serde::rfc3339::option")]
    until: Option<OffsetDateTime>,
}

#[derive(Serialize, ToSchema)]
struct MySession {
    #[schema(value_type = String, pattern = "^ses_[0-9a-f]{32}$")]
    id: SessionId,
    /// `cookie` or `token`.
    kind: &'static str,
    /// How you signed in (RFC 8176).
    amr: Vec<String>,
    #[serde(with = "time::serde::rfc3339")]
    auth_time: OffsetDateTime,
    /// When you have to sign in again at the latest.
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

/// Who you are, where, and with which roles.
#[utoipa::path(get, path = "/v1/me", operation_id = "me", tag = "me",
    responses((status = 200, description = "Who is signed in", body = Me)))]
async fn handler(State(app): State<App>, who: Who) -> Result<Json<Me>, Problem> {
    let mut tx = SystemTx::begin(&app.app_pool, "me").await?;
    let user = users::find(&app, tx.conn(), who.user()).await?;
    tx.rollback().await?;
    let user = user.ok_or_else(crate::gate::unauthenticated)?;
    let seats = memberships::seats(&app, who.user()).await?;
    let session = who.session();
    Ok(Json(Me {
        user: MyUser {
            id: user.id,
            email: user.email,
            display_name: user.display_name,
        },
        tenant: who.seat().map(|seat| MyTenant {
            id: seat.tenant.id,
            slug: seat.tenant.slug.clone(),
            name: seat.tenant.name.clone(),
            state: seat.tenant.state,
        }),
        tenants: seats.iter().map(|seat| TenantName::from(&seat.tenant)).collect(),
        roles: who
            .seat()
            .map_or(&[][..], |seat| &seat.roles)
            .iter()
            .map(|role| role.name().to_owned())
            .collect(),
        break_glass: who.seat().and_then(|seat| {
            Some(MyBreakGlass {
                id: seat.emergency?.id,
                until: seat.until,
            })
        }),
        session: MySession {
            id: session.id,
            kind: session.kind.as_str(),
            amr: session.amr.clone(),
            auth_time: session.auth_time,
            expires_at: session.expires_at,
        },
        system: who.staff_roles(app.ambient.now()),
    }))
}
