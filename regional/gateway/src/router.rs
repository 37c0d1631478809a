//! The three tables of routes, and the one place where rooms enter them.
use crate::{
    agents as agents_room, app::App, audit, bindings, clusters, continuity, decisions, gate::Face, hosts, leases,
    resources, sessions, workloads,
};
use axum::{Router, http::header, routing::get};
use exarch_common_http::{
    Api, Gate, Problem, RouteKind,
    layers::{LayerOptions, standard},
};
use std::time::Duration;
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder};

/// What people and their software may call.
pub fn public(gate: impl Gate) -> Api<App> {
    Api::new(doc(), gate)
        .room(sessions::routes)
        .room(continuity::routes)
        .room(clusters::routes)
        .room(bindings::routes)
        .room(hosts::routes)
        .room(resources::routes)
        .room(agents_room::routes)
        .room(leases::routes)
        .room(workloads::routes)
        .room(audit::routes)
        .room(decisions::routes)
}

/// What agents with a certificate may call.
pub fn agents(gate: impl Gate) -> Api<App> {
    Api::new(doc(), gate)
        .room(agents_room::agent_routes)
        .room(leases::agent_routes)
        .room(workloads::agent_routes)
}

/// What agents without a certificate may call.
pub fn enrol(gate: impl Gate) -> Api<App> {
    Api::new(doc(), gate).room(agents_room::enrol_routes)
}

/// The description of all three.
pub fn openapi() -> OpenApi {
    let mut whole = public(Closed).split().1;
    whole.merge(agents(Closed).split().1);
    whole.merge(enrol(Closed).split().1);
    whole
}

/// What the listener for people serves: the API and its description.
///
/// # Errors
/// The description cannot be written.
pub fn public_router(app: &App) -> serde_json::Result<Router> {
    let description = exarch_common_http::openapi_json(&openapi())?;
    let served = get(move || async move { ([(header::CONTENT_TYPE, "application/json")], description) });
    let router = public(crate::gate::Gate::new(app.clone(), Face::Public)).split().0;
    let router = router.with_state(app.clone()).route("/openapi.json", served);
    Ok(standard(router, &LayerOptions::new(app.ambient.clone(), "public")))
}

/// What the listener for agents serves to those with a certificate.
pub fn agents_router(app: &App) -> Router {
    let router = agents(crate::gate::Gate::new(app.clone(), Face::Agents)).split().0;
    agent_layers(app, router)
}

/// What the listener for agents serves to those without one.
pub fn enrol_router(app: &App) -> Router {
    let router = enrol(crate::gate::Gate::new(app.clone(), Face::Enrol)).split().0;
    agent_layers(app, router)
}

fn agent_layers(app: &App, router: Router<App>) -> Router {
    let mut options = LayerOptions::new(app.ambient.clone(), "agents");
    // A long poll lasts up to half a minute by itself.
    options.timeout = Duration::from_secs(45);
    standard(router.with_state(app.clone()), &options)
}

fn doc() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Exarch regional gateway")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "One region of the federation: its clusters, hosts, agents, resources, workloads and leases. Every answer to a caller \
             with a tenant in force names that tenant in the header `Exarch-Tenant`.",
        ));
    OpenApiBuilder::new().info(info.build()).build()
}

/// A gate that is never opened: the description needs no gateway behind it.
#[derive(Clone)]
struct Closed;

impl Gate for Closed {
    async fn admit(&self, _: RouteKind, _: &mut axum::http::request::Parts) -> Result<(), Problem> {
        Err(crate::gate::unauthenticated())
    }
}
