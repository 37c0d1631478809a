//! Method, path, permission, handler.
use super::{create, get, list};
use crate::app::App;
use exarch_common_authz::{Action, perm::resource};
use exarch_common_http::{Api, RouteKind};
use utoipa_axum::routes;

/// The room's routes.
pub fn routes(api: Api<App>) -> Api<App> {
    api.route(
        RouteKind::Needs(resource::List::PERMISSION),
        routes!(list::list_resources),
    )
    .route(
        RouteKind::Needs(resource::Create::PERMISSION),
        routes!(create::create_resource),
    )
    .route(RouteKind::Needs(resource::Read::PERMISSION), routes!(get::get_resource))
}
