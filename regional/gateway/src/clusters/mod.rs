//! Clusters: what a tenant's hosts, agents, resources and workloads in this region are grouped by, and the smallest scope of a
//! role. To whoever holds a role in one cluster alone, the others do not exist.
mod cluster;
mod create;
mod delete;
mod get;
mod list;
mod routes;
mod store;
mod update;

pub use cluster::Cluster;
pub use routes::routes;

use crate::gate::nothing_here;
use exarch_common_base::ClusterId;
use exarch_common_http::Problem;
use exarch_common_pg::{DbError, TenantTx};

/// Sees to it that the cluster is there until the transaction ends: what is put into it now is not put into one that is
/// deleted at this moment.
///
/// # Errors
/// 404 when there is none, also when it was deleted.
pub async fn hold(tx: &mut TenantTx, id: ClusterId) -> Result<(), Problem> {
    match store::hold(tx, id).await? {
        true => Ok(()),
        false => Err(nothing_here().error("/cluster_id", "is no cluster of yours")),
    }
}

/// Whether there is such a cluster, or was one: what could be done in it can be asked after its deletion, too.
///
/// # Errors
/// The database.
pub async fn was(tx: &mut TenantTx, id: ClusterId) -> Result<bool, DbError> {
    store::was(tx, id).await
}

#[cfg(test)]
mod tests;
