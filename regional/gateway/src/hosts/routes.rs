//! Method, path, permission, handler.
use super::{create, get, list};
use crate::app::App;
use exarch_common_authz::{Action, perm::host};
use exarch_common_http::{Api, RouteKind};
use utoipa_axum::routes;

/// The room's routes.
pub fn routes(api: Api<App>) -> Api<App> {
    api.route(RouteKind::Needs(host::List::PERMISSION), routes!(list::list_hosts))
        .route(RouteKind::Needs(host::Create::PERMISSION), routes!(create::create_host))
        .route(RouteKind::Needs(host::Read::PERMISSION), routes!(get::get_host))
}
