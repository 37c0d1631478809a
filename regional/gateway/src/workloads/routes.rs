//! Method, path, permission, handler.
use super::{assignments, create, delete, get, list, start, status, stop, update};
use crate::app::App;
use exarch_common_authz::{Action, perm::workload};
use exarch_common_http::{Api, RouteKind, repeats::Repeat};
use utoipa_axum::routes;

/// What people and their software may call.
pub fn routes(api: Api<App>) -> Api<App> {
    api.lists(
        RouteKind::Needs(workload::List::PERMISSION),
        &["gw_list_workload"],
        routes!(list::list_workloads),
    )
    .creates(
        RouteKind::Needs(workload::Create::PERMISSION),
        Repeat::Same,
        routes!(create::create_workload),
    )
    .route(RouteKind::Needs(workload::Read::PERMISSION), routes!(get::get_workload))
    .route(
        RouteKind::Needs(workload::Update::PERMISSION),
        routes!(update::update_workload),
    )
    .route(
        RouteKind::Needs(workload::Delete::PERMISSION),
        routes!(delete::delete_workload),
    )
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
