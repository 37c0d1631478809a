//! What the listener answers, by protocol.
use super::{PeerGate, agent_ca, answers, join, renew, service_secret};
use crate::{app::App, passports};
use axum::{Router, http::request::Parts, middleware::from_fn_with_state};
use exarch_common_http::{
    Api, Gate, Problem, RouteKind,
    layers::{LayerOptions, standard},
};
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder};
use utoipa_axum::routes;

fn doc() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Exarch federation")
        .version(env!("CARGO_PKG_VERSION"));
    OpenApiBuilder::new().info(info.build()).build()
}

/// `exarch-up/1`: the calls of gateways. Signing is outermost, after everything that changes an answer.
pub fn peer_router(app: &App) -> Router {
    let api = Api::new(doc(), PeerGate(app.clone()))
        .route(RouteKind::Peer, routes!(renew::renew))
        .route(RouteKind::Peer, routes!(agent_ca::report))
        .route(RouteKind::Peer, routes!(service_secret::take))
        .room(passports::peer_routes);
    let (router, _, _) = api.split();
    let options = LayerOptions::new(app.ambient.clone(), "federation");
    standard(router.with_state(app.clone()), &options).layer(from_fn_with_state(app.ambient.clone(), answers::sign))
}

/// `exarch-join/1`: joining, and nothing else.
pub fn join_router(app: &App) -> Router {
    let api = Api::new(doc(), JoinGate).route(RouteKind::Public, routes!(join::join));
    let (router, _, _) = api.split();
    let options = LayerOptions::new(app.ambient.clone(), "federation");
    standard(router.with_state(app.clone()), &options)
}

/// Whoever joins identifies by the token in the request.
#[derive(Clone)]
struct JoinGate;

impl Gate for JoinGate {
    async fn admit(&self, kind: RouteKind, _: &mut Parts) -> Result<(), Problem> {
        match kind {
            RouteKind::Public => Ok(()),
            _ => Err(super::gate::refused()),
        }
    }
}
