//! What happened in a tenant of this region, as a chain nobody can rewrite: one row per change and per refusal.
//!
//! [`record`] writes a row in the transaction of the change, so that a change whose row cannot be written is not made. The
//! tenant's head is locked from there to the end of the transaction, which gives the rows a sequence without gaps; call it
//! last, so that the lock is short and no other lock is waited for under it.
//!
//! Refusals have no transaction of their own. Those of known callers are collected by [`Refusals`] and written in batches
//! within a second, a share a second of each; those of nobody in particular are only counted, because a flood of them would otherwise fill the table.
mod list;
mod record;
mod refusals;
mod store;

pub use record::{Origin, accessed, entry, record};
pub use refusals::Refusals;

use crate::app::App;
use exarch_common_authz::{Action, perm};
use exarch_common_http::{Api, RouteKind};
use utoipa_axum::routes;

/// The room's routes.
pub fn routes(api: Api<App>) -> Api<App> {
    api.lists(
        RouteKind::Needs(perm::audit::List::PERMISSION),
        &["gw_list_audit"],
        routes!(list::list_audit),
    )
    .lists(
        RouteKind::Needs(perm::provider_access::Read::PERMISSION),
        &["gw_list_audit"],
        routes!(list::list_provider_access),
    )
}

#[cfg(test)]
mod tests;
