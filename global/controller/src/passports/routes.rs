//! The room's table of contents, for gateways alone.
use super::{acknowledge, poll, sections};
use crate::app::App;
use exarch_common_http::{Api, RouteKind};
use utoipa_axum::routes;

/// Adds the room's routes to the protocol `exarch-up/1`.
pub fn peer_routes(api: Api<App>) -> Api<App> {
    api.route(RouteKind::Peer, routes!(poll::poll))
        .route(RouteKind::Peer, routes!(sections::section))
        .route(RouteKind::Peer, routes!(acknowledge::acknowledge))
}
