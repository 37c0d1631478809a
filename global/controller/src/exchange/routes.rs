//! The room's table of contents.
use super::{my_regions, token};
use crate::app::App;
use exarch_common_http::{Api, RouteKind};
use utoipa_axum::routes;

/// Adds the room's routes.
pub fn routes(api: Api<App>) -> Api<App> {
    api.lists(
        RouteKind::SelfOnly,
        &["gc_entitlement", "gc_region"],
        routes!(my_regions::handler),
    )
    .route(RouteKind::SelfOnly, routes!(token::handler))
}
