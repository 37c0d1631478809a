//! Roles in one cluster alone, made in this region and known here alone: they work whether or not the global can be reached.
//!
//! A binding rests on the membership it was given to: who leaves the tenant and comes back finds none of the old ones. Replicas
//! keep all of them in memory ([`Local`]) and look for changes when they look at the passport.
mod binding;
mod create;
mod delete;
mod get;
mod list;
mod local;
mod routes;
mod store;
#[cfg(test)]
mod tests;

pub use binding::Binding;
pub use local::{Bindings, Local};
pub use routes::routes;

use crate::directory::TenantEntry;
use exarch_common_authz::{BoundRole, Scope};
use exarch_common_base::ClusterId;
use exarch_common_pg::{DbError, TenantTx};
use time::OffsetDateTime;

/// The role of this name that can be bound in a cluster of a tenant.
fn role(tenant: &TenantEntry, name: &str) -> Option<BoundRole> {
    let role = BoundRole::among(&tenant.custom_roles, &[name]).pop();
    role.filter(|role| role.scope() == Scope::Cluster)
}

/// The bindings of the transaction's tenant at a time that is past.
///
/// # Errors
/// The database.
pub async fn then(tx: &mut TenantTx, at: OffsetDateTime) -> Result<Local, DbError> {
    Ok(Local::of_rows(store::then(tx, at).await?))
}

/// Ends all bindings in a cluster that is being deleted; how many there were.
///
/// # Errors
/// The database.
pub async fn end_in(tx: &mut TenantTx, cluster: ClusterId, by: &str, now: OffsetDateTime) -> Result<u64, DbError> {
    store::end_in(tx, cluster, by, now).await
}
