//! The three tables of routes, and the one place where rooms enter them.
use crate::{app::App, audit, clusters, hosts, resources, sessions};
use exarch_common_http::{Api, Gate, Problem, RouteKind};
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder};

/// What people and their software may call.
pub fn public(gate: impl Gate) -> Api<App> {
    Api::new(doc(), gate)
        .room(sessions::routes)
        .room(clusters::routes)
        .room(hosts::routes)
        .room(resources::routes)
        .room(audit::routes)
}

/// What agents with a certificate may call.
pub fn agents(gate: impl Gate) -> Api<App> {
    Api::new(doc(), gate)
}

/// What agents without a certificate may call.
pub fn enrol(gate: impl Gate) -> Api<App> {
    Api::new(doc(), gate)
}

/// The description of all three.
pub fn openapi() -> OpenApi {
    let mut whole = public(Closed).split().1;
    whole.merge(agents(Closed).split().1);
    whole.merge(enrol(Closed).split().1);
    whole
}

fn doc() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Exarch regional gateway")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "One region of the federation: its clusters, hosts, agents, resources, workloads and leases.",
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
