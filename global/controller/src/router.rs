//! The table of routes of the public listener, and the one place where rooms enter it.
use crate::{
    api_keys, app::App, audit, break_glass, decisions, device, entitlements, exchange, gate, health, invitations, keys,
    me, memberships, regions, roles, second_factor, sessions, sign_in, tenants, users, web,
};
use axum::Router;
use exarch_common_http::{
    Api, Gate, Problem, RouteEntry, RouteKind,
    layers::{LayerOptions, standard},
};
use utoipa::openapi::{InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder};

/// All routes, behind `gate`.
pub fn api(gate: impl Gate) -> Api<App> {
    Api::new(doc(), gate)
        .room(sign_in::routes)
        .room(sessions::routes)
        .room(me::routes)
        .room(second_factor::routes)
        .room(device::routes)
        .room(tenants::routes)
        .room(memberships::routes)
        .room(roles::routes)
        .room(api_keys::routes)
        .room(users::routes)
        .room(invitations::routes)
        .room(entitlements::routes)
        .room(break_glass::routes)
        .room(audit::routes)
        .room(decisions::routes)
        .room(keys::routes)
        .room(web::routes)
        .room(regions::routes)
        .room(health::routes)
        .room(exchange::routes)
}

/// The public listener's router with its layers, and the table of what it serves.
pub fn public(app: App) -> (Router, Vec<RouteEntry>) {
    let options = LayerOptions::new(app.ambient.clone(), "public");
    let (router, _, table) = api(gate::PublicGate(app.clone())).split();
    (standard(web::add(router).with_state(app), &options), table)
}

/// The description of all routes.
pub fn openapi() -> OpenApi {
    api(Closed).split().1
}

fn doc() -> OpenApi {
    let license = LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0"));
    let info = InfoBuilder::new()
        .title("Exarch global API")
        .version(env!("CARGO_PKG_VERSION"))
        .license(Some(license.build()))
        .description(Some(
            "The global controller: signs people in, knows who may enter which region, and registers the regions. Every answer to \
             a caller with a tenant in force names that tenant in the header `Exarch-Tenant`.",
        ));
    OpenApiBuilder::new().info(info.build()).build()
}

/// A gate that is never opened: the description needs no controller behind it.
#[derive(Clone)]
struct Closed;

impl Gate for Closed {
    async fn admit(&self, _: RouteKind, _: &mut axum::http::request::Parts) -> Result<(), Problem> {
        Err(gate::unauthenticated())
    }
}
