//! What the passport leaves to a tenant's agents.
use crate::{app::App, sessions};
use exarch_common_authz::TenantState;
use exarch_common_base::TenantId;
use exarch_common_http::Problem;
use exarch_common_wire::passport::Tier;
use std::time::Duration;

/// Seconds for which agents go on after their tenant's entitlement has ended.
const DRAIN: i64 = 24 * 3600;
const RETRY: Duration = Duration::from_secs(30);

/// A tenant, as far as its agents are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its state. Without a right to this region, and after the drain, that of a tenant being deleted.
    pub state: TenantState,
    /// Leases active at one time at most.
    pub leases: Option<u32>,
}

/// Where `tenant` stands by the passport in force, whatever its age: agents and leases go on when the global is silent.
///
/// # Errors
/// 503 when there is no passport at all.
pub fn standing(app: &App, tenant: TenantId) -> Result<Standing, Problem> {
    let index = app.directory.current();
    let index = index.as_ref().ok_or_else(missing)?;
    let now = app.ambient.now();
    // Nobody is entitled to a region that is removed.
    let entitled = index.tenant(tenant).filter(|_| app.directory.removed().is_none());
    let entitled = entitled.filter(|entry| {
        let right = &entry.entitlement;
        let drains = right
            .until
            .is_some_and(|until| now.unix_timestamp() < until.saturating_add(DRAIN));
        right.holds(now) || (right.from <= now.unix_timestamp() && drains)
    });
    Ok(match entitled {
        Some(entry) => Standing {
            state: entry.state,
            leases: entry.entitlement.leases,
        },
        None => Standing {
            state: TenantState::Deleting,
            leases: Some(0),
        },
    })
}

/// Whether agents may be let in: not by a passport that is stale.
///
/// # Errors
/// 503; 410 in a region that is removed.
pub(super) fn lets_in(app: &App) -> Result<(), Problem> {
    if app.directory.removed().is_some() {
        return Err(sessions::removed());
    }
    match app.directory.tier() {
        Some(Tier::Fresh) => Ok(()),
        Some(_) => Err(Problem::unavailable("passport-stale", RETRY).detail(
            "This region has not heard from the global for a while: enrolment waits until it does; see /v1/continuity.",
        )),
        None => Err(missing()),
    }
}

fn missing() -> Problem {
    Problem::unavailable("passport-missing", RETRY)
        .detail("This region has no valid passport and knows no tenant; it waits for the global.")
}
