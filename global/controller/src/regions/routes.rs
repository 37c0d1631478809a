//! The room's table of contents.
use super::{get, list, new_token, register};
use crate::{app::App, gate::needs};
use exarch_common_authz::perm;
use exarch_common_http::Api;
use utoipa_axum::routes;

/// Adds the room's routes.
pub fn routes(api: Api<App>) -> Api<App> {
    api.route(needs::<perm::region::List>(), routes!(list::handler))
        .route(needs::<perm::region::Register>(), routes!(register::handler))
        .route(needs::<perm::region::Read>(), routes!(get::handler))
        .route(needs::<perm::region::Register>(), routes!(new_token::handler))
}
