//! Method, path, permission, handler.
use super::{create, delete, get, list, update};
use crate::app::App;
use exarch_common_authz::{Action, perm::resource};
use exarch_common_http::{Api, RouteKind, repeats::Repeat};
use utoipa_axum::routes;

/// The room's routes.
pub fn routes(api: Api<App>) -> Api<App> {
    api.lists(
        RouteKind::Needs(resource::List::PERMISSION),
        &["gw_list_resource"],
        routes!(list::list_resources),
    )
    .creates(
        RouteKind::Needs(resource::Create::PERMISSION),
        Repeat::Same,
        routes!(create::create_resource),
    )
    .route(RouteKind::Needs(resource::Read::PERMISSION), routes!(get::get_resource))
    .route(
        RouteKind::Needs(resource::Update::PERMISSION),
        routes!(update::update_resource),
    )
    .route(
        RouteKind::Needs(resource::Delete::PERMISSION),
        routes!(delete::delete_resource),
    )
}
