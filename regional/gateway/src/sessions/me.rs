//! `GET /v1/me`: who am I here.
use crate::{
    app::App,
    gate::{UserCaller, unauthenticated},
};
use axum::extract::State;
use exarch_common_authz::Principal;
use exarch_common_http::{Api, Json, Problem, RouteKind};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub(super) fn routes(api: Api<App>) -> Api<App> {
    api.route(RouteKind::SelfOnly, routes!(me))
}

/// The person, or the owner of the key, the tenant in force and the region.
#[derive(Debug, Serialize, ToSchema)]
struct Me {
    user: MyUser,
    /// The API key that asks in the place of that person.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key: Option<String>,
    tenant: MyTenant,
    /// Names of the roles held in the tenant.
    roles: Vec<String>,
    /// What those roles permit, in all of the tenant's clusters here.
    permissions: Vec<&'static str>,
    /// The session that the token belongs to.
    session: Option<String>,
    region: MyRegion,
}

#[derive(Debug, Serialize, ToSchema)]
struct MyUser {
    id: String,
    display_name: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct MyTenant {
    id: String,
    slug: String,
    name: String,
    state: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
struct MyRegion {
    id: String,
    slug: String,
    name: String,
}

/// Who am I here, in which tenant, with which roles.
#[utoipa::path(get, path = "/v1/me", tag = "sessions", responses((status = 200, body = Me)))]
async fn me(State(app): State<App>, caller: UserCaller) -> Result<Json<Me>, Problem> {
    let index = app.directory.current();
    let tenant = index.as_ref().and_then(|index| index.tenant(caller.tenant_id()));
    let (user, key) = match caller.principal() {
        Principal::User(user) => (Some(user), None),
        Principal::ApiKey(key) => (caller.owner, Some(key)),
        Principal::Agent(_) | Principal::Region(_) | Principal::Global | Principal::Operator(_) => (None, None),
    };
    let (tenant, user) = tenant.zip(user).ok_or_else(unauthenticated)?;
    let now = app.ambient.now();
    let memberships = tenant.memberships.get(&user).map_or(&[][..], Vec::as_slice);
    let held = memberships
        .iter()
        .filter(|one| one.holds(now) && one.break_glass == caller.break_glass);
    let mut roles: Vec<String> = match key.and_then(|key| tenant.api_keys.get(&key)) {
        Some(key) => vec![key.role.name().to_owned()],
        None => held
            .flat_map(|membership| membership.roles.iter().map(|role| role.name().to_owned()))
            .collect(),
    };
    roles.sort_unstable();
    roles.dedup();
    Ok(Json(Me {
        user: MyUser {
            id: user.to_string(),
            display_name: tenant
                .users
                .get(&user)
                .map(|u| u.display_name.clone())
                .unwrap_or_default(),
        },
        api_key: key.map(|key| key.to_string()),
        tenant: MyTenant {
            id: tenant.id.to_string(),
            slug: tenant.slug.to_string(),
            name: tenant.name.clone(),
            state: tenant.state.as_str(),
        },
        roles,
        permissions: caller
            .tenant_wide()
            .iter()
            .map(|permission| permission.name())
            .collect(),
        session: caller.session().map(|session| session.to_string()),
        region: MyRegion {
            id: app.region.id.to_string(),
            slug: app.region.slug.to_string(),
            name: app.region.name.clone(),
        },
    }))
}
