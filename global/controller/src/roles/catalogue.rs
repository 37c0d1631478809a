//! `GET /v1/permissions`: every name there is.
use crate::{app::App, gate::Who};
use exarch_common_authz::{Access, Permission};
use exarch_common_http::{Api, Json, RouteKind};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

pub fn routes(api: Api<App>) -> Api<App> {
    api.route(RouteKind::SelfOnly, routes!(handler))
}

/// One thing that one may do.
#[derive(Serialize, ToSchema)]
#[schema(as = Permission)]
struct PermissionOut {
    /// `resource.action`.
    name: &'static str,
    /// On what it acts: `system`, `tenant`, `region` or `cluster`.
    scope: &'static str,
    /// `read`, `export` or `write`.
    access: &'static str,
    /// For people.
    sentence: &'static str,
    /// Whether you hold it, in all of the tenant in force or over the federation.
    held: bool,
}

/// The whole table.
#[derive(Serialize, ToSchema)]
struct Permissions {
    /// In the order of the catalogue.
    items: Vec<PermissionOut>,
}

/// Every permission there is, and whether you hold it: what roles are made of.
#[utoipa::path(get, path = "/v1/permissions", operation_id = "listPermissions", tag = "roles",
    responses((status = 200, description = "The catalogue", body = Permissions)))]
async fn handler(who: Who) -> Json<Permissions> {
    let held = who.caller().tenant_wide().union(who.caller().system());
    let items = Permission::all().map(|permission| PermissionOut {
        name: permission.name(),
        scope: permission.scope().as_str(),
        access: match permission.access() {
            Access::Read => "read",
            Access::Export => "export",
            Access::Write => "write",
        },
        sentence: permission.sentence(),
        held: held.contains(permission),
    });
    Json(Permissions { items: items.collect() })
}
