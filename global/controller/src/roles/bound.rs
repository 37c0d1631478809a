//! What the names of roles stand for in a tenant.
use super::store;
use exarch_common_authz::{BoundRole, CustomRole, PermissionSet, Scope};
use exarch_common_http::Problem;
use exarch_common_pg::{DbError, TenantTx};
use serde::Deserialize;
use std::sync::Arc;

/// A role of a tenant's own, as other rooms' statements bring it along.
#[derive(Clone, Debug, Deserialize)]
pub struct Stored {
    pub(crate) name: String,
    pub(crate) scope: String,
    pub(crate) permissions: Vec<String>,
}

impl Stored {
    /// As it is bound; a scope that this build does not know gives nothing.
    pub fn read(self) -> Option<Arc<CustomRole>> {
        let scope: Scope = self.scope.parse().ok()?;
        Some(Arc::new(CustomRole::new(self.name, scope, self.permissions)))
    }

    /// The roles that `names` stand for; a name that stands for none gives nothing.
    pub fn among(custom: Vec<Self>, names: &[String]) -> Vec<BoundRole> {
        let custom: Vec<_> = custom.into_iter().filter_map(Self::read).collect();
        BoundRole::among(&custom, names)
    }
}

/// The roles that `names` stand for in the transaction's tenant, in their order; a name that stands for none gives nothing.
/// Those of the tenant's own stay as they are until the transaction ends.
///
/// # Errors
/// The database.
pub async fn resolve(tx: &mut TenantTx, names: &[String]) -> Result<Vec<BoundRole>, DbError> {
    let custom = store::hold(tx, names).await?;
    Ok(Stored::among(custom, names))
}

/// Checks that a holder of `held` may take all of these away: what one could not give, one does not take.
///
/// # Errors
/// 403 `role-not-held`; the database.
pub async fn within(tx: &mut TenantTx, names: &[String], held: PermissionSet) -> Result<(), Problem> {
    let roles = resolve(tx, names).await?;
    match roles.iter().find(|role| !role.permissions().is_subset(held)) {
        Some(role) => Err(more(role)),
        None => Ok(()),
    }
}

fn more(role: &BoundRole) -> Problem {
    Problem::forbidden("role-not-held").detail(format!(
        "The role {} holds more than you do in this tenant.",
        role.name()
    ))
}

/// Reads names of tenant-scope roles and checks that a holder of `held` may give all of them. None at all is a member who holds
/// nothing but what is bound in clusters.
///
/// # Errors
/// 422 for a name that is no tenant-scope role, 403 `role-not-held`; the database.
pub async fn grantable(tx: &mut TenantTx, names: &[String], held: PermissionSet) -> Result<Vec<String>, Problem> {
    let refused = |pointer: &str, reason: &str| {
        Problem::unprocessable("invalid-membership")
            .detail("A value of the membership cannot be accepted; see errors.")
            .error(pointer, reason)
    };
    let roles = resolve(tx, names).await?;
    let mut given: Vec<String> = Vec::with_capacity(names.len());
    for (at, name) in names.iter().enumerate() {
        let role = roles.iter().find(|role| role.name() == name);
        let role = role
            .filter(|role| role.scope() == Scope::Tenant)
            .ok_or_else(|| refused(&format!("/roles/{at}"), "is no role of tenant scope"))?;
        if !role.permissions().is_subset(held) {
            return Err(more(role));
        }
        if !given.contains(name) {
            given.push(name.clone());
        }
    }
    Ok(given)
}
