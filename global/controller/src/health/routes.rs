//! The room's table of contents.
use super::{probes, summary};
use crate::{app::App, gate::needs};
use exarch_common_authz::perm;
use exarch_common_http::Api;
use utoipa_axum::routes;

/// Adds the room's routes.
pub fn routes(api: Api<App>) -> Api<App> {
    api.lists(needs::<perm::region::Read>(), &["gc_probe"], routes!(probes::handler))
        .route(needs::<perm::region::Read>(), routes!(summary::handler))
}
