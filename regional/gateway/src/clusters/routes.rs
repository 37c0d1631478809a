//! Method, path, permission, handler.
use super::{create, delete, get, list, update};
use crate::app::App;
use exarch_common_authz::{Action, perm::cluster};
use exarch_common_http::{Api, RouteKind, repeats::Repeat};
use utoipa_axum::routes;

/// The room's routes.
pub fn routes(api: Api<App>) -> Api<App> {
    api.lists(
        RouteKind::Needs(cluster::List::PERMISSION),
        &["gw_list_cluster"],
        routes!(list::list_clusters),
    )
    .creates(
        RouteKind::Needs(cluster::Create::PERMISSION),
        Repeat::Same,
        routes!(create::create_cluster),
    )
    .route(RouteKind::Needs(cluster::Read::PERMISSION), routes!(get::get_cluster))
    .route(
        RouteKind::Needs(cluster::Update::PERMISSION),
        routes!(update::update_cluster),
    )
    .route(
        RouteKind::Needs(cluster::Delete::PERMISSION),
        routes!(delete::delete_cluster),
    )
}
