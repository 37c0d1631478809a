//! Resources: what only one agent at a time may act on, such as a volume. A lease is held on one, and its time to live is a
//! property of the resource.
mod create;
mod delete;
mod get;
mod list;
mod resource;
mod routes;
mod store;
mod update;

pub use resource::{Resource, ResourceKind};
pub use routes::routes;

use exarch_common_base::{ClusterId, ResourceId};
use exarch_common_pg::{DbError, TenantTx};

/// The resource with this id, if it exists in the transaction's context.
///
/// # Errors
/// The database's.
pub async fn find(tx: &mut TenantTx, id: ResourceId) -> Result<Option<Resource>, DbError> {
    store::find(tx, id).await
}

/// Whether the resource is there, in this cluster; it stays so until the transaction ends.
///
/// # Errors
/// The database's.
pub async fn hold(tx: &mut TenantTx, cluster: ClusterId, id: ResourceId) -> Result<bool, DbError> {
    store::hold(tx, cluster, id).await
}

#[cfg(test)]
mod tests;
