//! Method, path, permission, handler.
use super::{create, delete, get, list, update};
use crate::app::App;
use exarch_common_authz::{Action, perm::host};
use exarch_common_http::{Api, RouteKind, repeats::Repeat};
use utoipa_axum::routes;

/// The room's routes.
pub fn routes(api: Api<App>) -> Api<App> {
    api.lists(
        RouteKind::Needs(host::List::PERMISSION),
        &["gw_list_host"],
        routes!(list::list_hosts),
    )
    .creates(
        RouteKind::Needs(host::Create::PERMISSION),
        Repeat::Same,
        routes!(create::create_host),
    )
    .route(RouteKind::Needs(host::Read::PERMISSION), routes!(get::get_host))
    .route(RouteKind::Needs(host::Update::PERMISSION), routes!(update::update_host))
    .route(RouteKind::Needs(host::Delete::PERMISSION), routes!(delete::delete_host))
}
