//! Method, path, permission, handler.
use super::{grant, list, release, renew};
use crate::app::App;
use exarch_common_authz::{Action, perm::lease};
use exarch_common_http::{Api, RouteKind};
use utoipa_axum::routes;

/// What people may call.
pub fn routes(api: Api<App>) -> Api<App> {
    api.lists(
        RouteKind::Needs(lease::List::PERMISSION),
        &["gw_list_lease"],
        routes!(list::list_leases),
    )
    .route(RouteKind::Needs(lease::Read::PERMISSION), routes!(list::get_lease))
}

/// What agents may call.
pub fn agent_routes(api: Api<App>) -> Api<App> {
    api.route(RouteKind::Agent, routes!(grant::request_lease))
        .route(RouteKind::Agent, routes!(renew::renew_leases))
        .route(RouteKind::Agent, routes!(release::release_leases))
}
