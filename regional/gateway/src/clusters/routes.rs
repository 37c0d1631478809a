//! Method, path, permission, handler.
use super::{create, get, list};
use crate::app::App;
use exarch_common_authz::{Action, perm::cluster};
use exarch_common_http::{Api, RouteKind};
use utoipa_axum::routes;

/// The room's routes.
pub fn routes(api: Api<App>) -> Api<App> {
    api.route(
        RouteKind::Needs(cluster::List::PERMISSION),
        routes!(list::list_clusters),
    )
    .route(
        RouteKind::Needs(cluster::Create::PERMISSION),
        routes!(create::create_cluster),
    )
    .route(RouteKind::Needs(cluster::Read::PERMISSION), routes!(get::get_cluster))
}
