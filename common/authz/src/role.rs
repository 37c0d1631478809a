//! The fixed roles. Not editable; a tenant's own roles are made of explicit names.
//!
//! A role lists what it holds by name, so that a permission that is new to the table belongs to nobody until somebody
//! decides; a name that is not in the table does not compile.
use crate::{Permission, PermissionSet, Scope};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};

/// A preset role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The provider's administrator: regions, tenants' life cycle, entitlements, staff, keys.
    SystemAdmin,
    /// The provider's operator: sees regions and tenants, runs no life cycle.
    ProviderOperator,
    /// A tenant's administrator.
    TenantAdmin,
    /// Sees a tenant's fleet and works on findings and assets.
    SecurityAnalyst,
    /// Sees a tenant's fleet and reads its audit log.
    Auditor,
    /// Sees a tenant's fleet.
    ReadOnly,
    /// Manages one cluster.
    ClusterAdmin,
    /// Runs the workloads, tasks and leases of one cluster.
    ClusterOperator,
    /// A local account of one region: its clusters, hosts, agents and leases as metadata.
    RegionalOperator,
}

const FLEET_READ: PermissionSet = PermissionSet::named(&[
    "cluster.list",
    "cluster.read",
    "host.list",
    "host.read",
    "agent.list",
    "agent.read",
    "resource.list",
    "resource.read",
    "workload.list",
    "workload.read",
    "lease.list",
    "lease.read",
]);

const FLEET_OPERATE: PermissionSet = PermissionSet::named(&["workload.start", "workload.stop"]);

/// What managing means inside a cluster that exists. Bootstrap tokens are listed by those who may create them.
const CLUSTER_MANAGE: PermissionSet = PermissionSet::named(&[
    "cluster.update",
    "cluster.delete",
    "host.create",
    "host.update",
    "host.delete",
    "agent.approve",
    "agent.suspend",
    "agent.revoke",
    "agent.rename",
    "bootstrap_token.list",
    "bootstrap_token.create",
    "bootstrap_token.revoke",
    "resource.create",
    "resource.update",
    "resource.delete",
    "workload.create",
    "workload.update",
    "workload.delete",
]);

const CLUSTER_ADMIN: PermissionSet = FLEET_READ.union(FLEET_OPERATE).union(CLUSTER_MANAGE);

const AUDIT_READ: PermissionSet = PermissionSet::named(&["audit.list"]);

const REGISTRY_READ: PermissionSet =
    PermissionSet::named(&["region.list", "region.read", "tenant.list", "tenant.read"]);

impl Role {
    /// Every preset.
    pub const ALL: [Self; 9] = [
        Self::SystemAdmin,
        Self::ProviderOperator,
        Self::TenantAdmin,
        Self::SecurityAnalyst,
        Self::Auditor,
        Self::ReadOnly,
        Self::ClusterAdmin,
        Self::ClusterOperator,
        Self::RegionalOperator,
    ];

    /// The name people and the wire use.
    pub const fn slug(self) -> &'static str {
        match self {
            Self::SystemAdmin => "system-admin",
            Self::ProviderOperator => "provider-operator",
            Self::TenantAdmin => "tenant-admin",
            Self::SecurityAnalyst => "security-analyst",
            Self::Auditor => "auditor",
            Self::ReadOnly => "read-only",
            Self::ClusterAdmin => "cluster-admin",
            Self::ClusterOperator => "cluster-operator",
            Self::RegionalOperator => "regional-operator",
        }
    }

    /// At which scope it is bound; a binding at another gives nothing.
    pub const fn scope(self) -> Scope {
        match self {
            Self::SystemAdmin | Self::ProviderOperator => Scope::System,
            Self::TenantAdmin | Self::SecurityAnalyst | Self::Auditor | Self::ReadOnly => Scope::Tenant,
            Self::ClusterAdmin | Self::ClusterOperator => Scope::Cluster,
            Self::RegionalOperator => Scope::Region,
        }
    }

    /// What it holds.
    pub const fn permissions(self) -> PermissionSet {
        match self {
            Self::SystemAdmin => {
                const {
                    REGISTRY_READ.union(PermissionSet::named(&[
                        "region.register",
                        "region.update",
                        "region.drain",
                        "region.remove",
                        "tenant.create",
                        "tenant.update",
                        "tenant.suspend",
                        "tenant.resume",
                        "tenant.delete",
                        "tenant.restore",
                        "entitlement.list",
                        "entitlement.read",
                        "entitlement.grant",
                        "entitlement.revoke",
                        "federation_audit.read",
                        "federation_session.list",
                        "federation_session.revoke",
                        "federation_user.read",
                        "federation_user.disable",
                        "federation_user.enable",
                    ]))
                }
            }
            Self::ProviderOperator => REGISTRY_READ,
            Self::TenantAdmin => {
                const {
                    CLUSTER_ADMIN.union(AUDIT_READ).union(PermissionSet::named(&[
                        "user.list",
                        "user.read",
                        "user.invite",
                        "user.update",
                        "session.list",
                        "session.revoke",
                        "settings.read",
                        "settings.update",
                        "membership.list",
                        "membership.grant",
                        "membership.revoke",
                        "cluster.create",
                    ]))
                }
            }
            Self::Auditor => const { FLEET_READ.union(AUDIT_READ) },
            Self::SecurityAnalyst | Self::ReadOnly => FLEET_READ,
            // Not cluster.create: a new cluster is the tenant's, and this role covers the one it is bound to.
            Self::ClusterAdmin => CLUSTER_ADMIN,
            Self::ClusterOperator => const { FLEET_READ.union(FLEET_OPERATE) },
            // Metadata only: resources and workloads carry names and contents of tenants.
            Self::RegionalOperator => {
                const {
                    PermissionSet::named(&[
                        "cluster.list",
                        "cluster.read",
                        "host.list",
                        "host.read",
                        "agent.list",
                        "agent.read",
                        "agent.approve",
                        "agent.suspend",
                        "agent.revoke",
                        "lease.list",
                        "lease.read",
                    ])
                }
            }
        }
    }

    /// Whether its holders may still sign in, to read, while their tenant is suspended for an incident.
    pub const fn reads_in_incident(self) -> bool {
        matches!(self, Self::TenantAdmin | Self::Auditor)
    }

    /// The presets that hold `permission`.
    pub fn holding(permission: Permission) -> impl Iterator<Item = Role> {
        Self::ALL
            .into_iter()
            .filter(move |role| role.permissions().contains(permission))
    }
}

/// A slug that is no preset's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no role has this name")]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(slug: &str) -> Result<Self, UnknownRole> {
        Self::ALL
            .into_iter()
            .find(|role| role.slug() == slug)
            .ok_or(UnknownRole)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.slug())
    }
}

impl Serialize for Role {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.slug())
    }
}

impl<'de> Deserialize<'de> for Role {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let slug = std::borrow::Cow::<str>::deserialize(d)?;
        slug.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_comes_back_from_its_slug_and_nothing_else_is_one() {
        for role in Role::ALL {
            assert_eq!(role.slug().parse(), Ok(role));
        }
        for slug in ["", "admin", "Tenant-Admin", "tenant_admin", "tenant-admin ", "bg-read"] {
            assert_eq!(slug.parse::<Role>(), Err(UnknownRole), "{slug:?}");
        }
    }

    #[test]
    fn a_role_holds_only_what_its_scope_covers() {
        for role in Role::ALL {
            for permission in role.permissions().iter() {
                let covered = match role.scope() {
                    Scope::System => permission.scope() == Scope::System,
                    Scope::Tenant => matches!(permission.scope(), Scope::Tenant | Scope::Cluster),
                    Scope::Region => matches!(permission.scope(), Scope::Region | Scope::Cluster),
                    Scope::Cluster => permission.scope() == Scope::Cluster,
                };
                assert!(covered, "{role} is bound to a {} and holds {permission}", role.scope());
            }
        }
    }

    #[test]
    fn every_permission_is_held_by_some_role() {
        for permission in Permission::all() {
            assert!(Role::holding(permission).next().is_some(), "nobody may {permission}");
        }
    }

    #[test]
    fn staff_hold_nothing_inside_a_tenant() {
        for role in [Role::SystemAdmin, Role::ProviderOperator] {
            assert!(
                role.permissions()
                    .iter()
                    .all(|permission| permission.scope() == Scope::System),
                "{role}"
            );
        }
    }
}
