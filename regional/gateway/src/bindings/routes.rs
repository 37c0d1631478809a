//! Method, path, permission, handler.
use super::{create, delete, get, list};
use crate::app::App;
use exarch_common_authz::{Action, perm::role};
use exarch_common_http::{Api, RouteKind, repeats::Repeat};
use utoipa_axum::routes;

/// The room's routes.
pub fn routes(api: Api<App>) -> Api<App> {
    api.lists(
        RouteKind::Needs(role::List::PERMISSION),
        &["gw_list_binding"],
        routes!(list::list_bindings),
    )
    .creates(
        RouteKind::Needs(role::Assign::PERMISSION),
        Repeat::Same,
        routes!(create::create_binding),
    )
    .route(RouteKind::Needs(role::Read::PERMISSION), routes!(get::get_binding))
    .route(
        RouteKind::Needs(role::Unassign::PERMISSION),
        routes!(delete::delete_binding),
    )
}
