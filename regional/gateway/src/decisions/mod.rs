//! Why something was refused, and who may do a thing. A refusal is kept as it was decided ([`exarch_common_authz::Record`]), by
//! the room `audit`, which writes it in batches; here it is read, put to the policy again and explained. What a refusal does not
//! tell, its explanation does not tell to the one who was refused either.
mod get;
#[cfg(test)]
mod tests;
mod who_can;
#[cfg(test)]
mod who_can_tests;

use crate::{app::App, bindings::Local, directory::TenantEntry, sessions};
use exarch_common_authz::{Action, Caller, perm};
use exarch_common_http::{Api, RouteKind};
use exarch_common_pg::{SystemTx, decisions};
use exarch_common_runtime::Reconcile;
use std::{collections::BTreeSet, time::Duration};
use time::OffsetDateTime;
use utoipa_axum::routes;

/// The room's routes.
pub fn routes(api: Api<App>) -> Api<App> {
    api.route(RouteKind::SelfOnly, routes!(get::get_decision)).route(
        RouteKind::Needs(perm::membership::List::PERMISSION),
        routes!(who_can::who_can),
    )
}

/// Everybody of a tenant who may enter at `now`, with the name they are shown by.
fn everyone(entry: &TenantEntry, local: &Local, now: OffsetDateTime) -> Vec<(Caller, String)> {
    let mut people = Vec::new();
    for (id, memberships) in &entry.memberships {
        let name = entry.users.get(id).map(|user| user.display_name.clone());
        // each break-glass is a place of its own beside that of a member
        let places: BTreeSet<_> = memberships.iter().map(|membership| membership.break_glass).collect();
        for place in places {
            let caller = sessions::person(entry, local, *id, place, now);
            people.extend(caller.map(|caller| (caller.build(now), name.clone().unwrap_or_default())));
        }
    }
    people
}

/// Removes the decisions whose time is over.
pub struct Forget(pub App);

impl Reconcile for Forget {
    const NAME: &'static str = "forget-decisions";
    const EVERY: Duration = Duration::from_secs(60);

    async fn pass(&mut self) -> anyhow::Result<u64> {
        let mut tx = SystemTx::begin(&self.0.sweep_pool, Self::NAME).await?;
        let swept = decisions::sweep(&mut tx, self.0.ambient.now()).await?;
        tx.commit().await?;
        Ok(swept)
    }
}
