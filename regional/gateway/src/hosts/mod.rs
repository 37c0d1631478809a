//! Hosts: the machines of a cluster, each with one agent on it.
mod create;
mod delete;
mod get;
mod host;
mod list;
mod routes;
mod store;
mod update;

pub use host::Host;
pub use routes::routes;

use exarch_common_base::{ClusterId, HostId};
use exarch_common_pg::{DbError, TenantTx};

/// Whether the host is there, in this cluster; it stays so until the transaction ends.
///
/// # Errors
/// The database's.
pub async fn hold(tx: &mut TenantTx, cluster: ClusterId, id: HostId) -> Result<bool, DbError> {
    store::hold(tx, cluster, id).await
}

#[cfg(test)]
mod tests;
