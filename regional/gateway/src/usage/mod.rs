//! How much a tenant has in this region, and how much its entitlement allows.
mod store;

use crate::app::App;
use exarch_common_http::Problem;
use exarch_common_pg::{DbError, TenantTx};

/// What an entitlement counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Clusters of the tenant.
    Clusters,
    /// Hosts in all of them.
    Hosts,
}

impl Counted {
    /// The word in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Clusters => "clusters",
            Self::Hosts => "hosts",
        }
    }

    /// One of it, as clusters and hosts.
    const fn one(self) -> (i64, i64) {
        match self {
            Self::Clusters => (1, 0),
            Self::Hosts => (0, 1),
        }
    }
}

/// Counts one more of `what` for the tenant in force. The tenant's count is locked from here to the end of the transaction.
///
/// # Errors
/// 409 `entitlement-limit` with the number when that is more than the entitlement allows; the transaction must be dropped
/// then. 404 when the tenant is not entitled to this region any more.
pub async fn take(app: &App, tx: &mut TenantTx, what: Counted) -> Result<(), Problem> {
    let index = app.directory.current();
    let tenant = index.as_ref().and_then(|index| index.tenant(tx.tenant()));
    let entitlement = tenant.map(|tenant| &tenant.entitlement);
    let entitlement = entitlement
        .ok_or_else(|| Problem::not_found("not-entitled").detail("Your tenant has no right to this region."))?;
    let limit = match what {
        Counted::Clusters => entitlement.clusters,
        Counted::Hosts => entitlement.hosts,
    };
    let used = store::add_one(tx, what).await?;
    match limit {
        Some(limit) if used > i64::from(limit) => Err(Problem::conflict("entitlement-limit")
            .detail(format!(
                "Your entitlement to this region allows {limit} {}; ask your provider for more.",
                what.as_str()
            ))
            .with("limit", limit)
            .with("counted", what.as_str())),
        _ => Ok(()),
    }
}

/// Counts one less of `what`, which the tenant had: it was deleted.
///
/// # Errors
/// The database's.
pub async fn give_back(tx: &mut TenantTx, what: Counted) -> Result<(), DbError> {
    store::remove_one(tx, what).await
}
