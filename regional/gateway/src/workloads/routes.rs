//! Method, path, permission, handler.
use super::{assignments, create, get, list, start, status, stop};
use crate::app::App;
use exarch_common_authz::{Action, perm::workload};
use exarch_common_http::{Api, RouteKind};
use utoipa_axum::routes;

/// What people and their software may call.
pub fn routes(api: Api<App>) -> Api<App> {
    api.route(
        RouteKind::Needs(workload::List::PERMISSION),
        routes!(list::list_workloads),
    )
    .route(
        RouteKind::Needs(workload::Create::PERMISSION),
        routes!(create::create_workload),
    )
    .route(RouteKind::Needs(workload::Read::PERMISSION), routes!(get::get_workload))
    .route(
        RouteKind::Needs(workload::Start::PERMISSION),
        routes!(start::start_workload),
    )
    .route(
        RouteKind::Needs(workload::Stop::PERMISSION),
        routes!(stop::stop_workload),
    )
}

/// What agents may call.
pub fn agent_routes(api: Api<App>) -> Api<App> {
    api.route(RouteKind::Agent, routes!(assignments::get_assignments))
        .route(RouteKind::Agent, routes!(status::report_status))
}
