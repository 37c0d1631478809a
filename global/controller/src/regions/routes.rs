//! The room's table of contents.
use super::{get, life, list, new_token, register, update};
use crate::{app::App, gate::needs};
use exarch_common_authz::perm;
use exarch_common_http::{Api, repeats::Repeat};
use utoipa_axum::routes;

/// Adds the room's routes.
pub fn routes(api: Api<App>) -> Api<App> {
    api.lists(needs::<perm::region::List>(), &["gc_region"], routes!(list::handler))
        .creates(
            needs::<perm::region::Register>(),
            Repeat::Secret,
            routes!(register::handler),
        )
        .route(needs::<perm::region::Read>(), routes!(get::handler))
        .route(needs::<perm::region::Update>(), routes!(update::handler))
        .route(needs::<perm::region::Drain>(), routes!(life::drain))
        .route(needs::<perm::region::Drain>(), routes!(life::resume))
        .route(needs::<perm::region::Remove>(), routes!(life::remove))
        .creates(
            needs::<perm::region::Register>(),
            Repeat::Secret,
            routes!(new_token::handler),
        )
}
