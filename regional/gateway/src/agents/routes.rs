//! Method, path, permission, handler.
use super::{enrol, heartbeat, people, re_enrol, rename, renew, sessions, tokens};
use crate::app::App;
use exarch_common_authz::{
    Action,
    perm::{agent, bootstrap_token},
};
use exarch_common_http::{Api, RouteKind, repeats::Repeat};
use utoipa_axum::routes;

/// What people may call.
pub fn routes(api: Api<App>) -> Api<App> {
    api.lists(
        RouteKind::Needs(agent::List::PERMISSION),
        &["gw_list_agent"],
        routes!(people::list_agents),
    )
    .route(RouteKind::Needs(agent::Read::PERMISSION), routes!(people::get_agent))
    .route(
        RouteKind::Needs(agent::Approve::PERMISSION),
        routes!(people::approve_agent),
    )
    .route(
        RouteKind::Needs(agent::Suspend::PERMISSION),
        routes!(people::suspend_agent),
    )
    .route(
        RouteKind::Needs(agent::Suspend::PERMISSION),
        routes!(people::resume_agent),
    )
    .route(
        RouteKind::Needs(agent::Rename::PERMISSION),
        routes!(rename::rename_agent),
    )
    .route(
        RouteKind::Needs(agent::Revoke::PERMISSION),
        routes!(people::revoke_agent),
    )
    .route(
        RouteKind::Needs(agent::Revoke::PERMISSION),
        routes!(people::remove_agent),
    )
    .creates(
        RouteKind::Needs(agent::Approve::PERMISSION),
        Repeat::Secret,
        routes!(re_enrol::re_enrol_agent),
    )
    .lists(
        RouteKind::Needs(bootstrap_token::List::PERMISSION),
        &["gw_list_bootstrap_token"],
        routes!(tokens::list_bootstrap_tokens),
    )
    .creates(
        RouteKind::Needs(bootstrap_token::Create::PERMISSION),
        Repeat::Secret,
        routes!(tokens::create_bootstrap_token),
    )
    .route(
        RouteKind::Needs(bootstrap_token::Revoke::PERMISSION),
        routes!(tokens::revoke_bootstrap_token),
    )
}

/// What agents with a certificate may call. To open a session they have no token yet, and to renew a certificate that is
/// over they can have none: those three routes ask for what there can be themselves.
pub fn agent_routes(api: Api<App>) -> Api<App> {
    api.route(RouteKind::Public, routes!(sessions::session_challenge))
        .route(RouteKind::Public, routes!(sessions::open_session))
        .route(RouteKind::Public, routes!(renew::renew_certificate))
        .route(RouteKind::Agent, routes!(heartbeat::heartbeat))
}

/// What agents without a certificate may call.
pub fn enrol_routes(api: Api<App>) -> Api<App> {
    api.route(RouteKind::Public, routes!(enrol::enrol))
        .route(RouteKind::Public, routes!(enrol::poll_enrolment))
}
