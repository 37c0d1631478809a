//! The fixed roles.
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
    /// The provider's staff in a tenant, in an emergency, to look.
    BgRead,
    /// The same, to repair.
    BgWrite,
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

/// What staff may see of a tenant by an approved break-glass.
const BG_READ: PermissionSet = FLEET_READ.union(AUDIT_READ);

const REGISTRY_READ: PermissionSet =
    PermissionSet::named(&["region.list", "region.read", "tenant.list", "tenant.read"]);

impl Role {
    /// Every preset.
    pub const ALL: [Self; 11] = [
        Self::SystemAdmin,
        Self::ProviderOperator,
        Self::TenantAdmin,
        Self::SecurityAnalyst,
        Self::Auditor,
        Self::ReadOnly,
        Self::ClusterAdmin,
        Self::ClusterOperator,
        Self::RegionalOperator,
        Self::BgRead,
        Self::BgWrite,
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
            Self::BgRead => "bg-read",
            Self::BgWrite => "bg-write",
        }
    }

    /// At which scope it is bound; a binding at another gives nothing.
    pub const fn scope(self) -> Scope {
        match self {
            Self::SystemAdmin | Self::ProviderOperator => Scope::System,
            Self::TenantAdmin
            | Self::SecurityAnalyst
            | Self::Auditor
            | Self::ReadOnly
            | Self::BgRead
            | Self::BgWrite => Scope::Tenant,
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
                        "break_glass.list",
                        "break_glass.request",
                        "break_glass.approve",
                        "break_glass.revoke",
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
                        "role.list",
                        "role.read",
                        "role.create",
                        "role.update",
                        "role.delete",
                        "role.assign",
                        "role.unassign",
                        "provider_access.read",
                        "api_key.list",
                        "api_key.read",
                        "api_key.create",
                        "api_key.rotate",
                        "api_key.revoke",
                        "cluster.create",
                    ]))
                }
            }
            Self::Auditor => {
                const {
                    FLEET_READ
                        .union(AUDIT_READ)
                        .union(PermissionSet::named(&["provider_access.read"]))
                }
            }
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
            Self::BgRead => BG_READ,
            // No roles, sessions or settings, and nobody loses their place: what it repairs is what runs, and who may come in.
            Self::BgWrite => {
                const {
                    BG_READ
                        .union(FLEET_OPERATE)
                        .union(CLUSTER_MANAGE)
                        .union(PermissionSet::named(&[
                            "cluster.create",
                            "user.invite",
                            "membership.grant",
                        ]))
                }
            }
        }
    }

    /// What it is for, as one sentence for people.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::SystemAdmin => "Runs the federation: regions, tenants' life cycle, entitlements and staff.",
            Self::ProviderOperator => "Sees regions and tenants of the federation.",
            Self::TenantAdmin => "Administers the tenant: its people, roles, settings and everything in its clusters.",
            Self::SecurityAnalyst => "Sees the fleet and works on findings and assets.",
            Self::Auditor => "Sees the fleet and reads the audit log.",
            Self::ReadOnly => "Sees the fleet.",
            Self::ClusterAdmin => "Manages one cluster and everything in it.",
            Self::ClusterOperator => "Runs the workloads of one cluster.",
            Self::RegionalOperator => "Looks after one region's clusters, hosts, agents and leases.",
            Self::BgRead => "Sees the fleet and the audit log in an emergency, as staff of the provider.",
            Self::BgWrite => "Repairs the fleet in an emergency, as staff of the provider.",
        }
    }

    /// Whether its holders may still sign in, to read, while their tenant is suspended for an incident.
    pub const fn reads_in_incident(self) -> bool {
        matches!(self, Self::TenantAdmin | Self::Auditor)
    }

    /// Whether it comes by an approved break-glass and in no other way: nobody gives it, whatever they hold.
    pub const fn is_break_glass(self) -> bool {
        matches!(self, Self::BgRead | Self::BgWrite)
    }

    /// The presets that hold `permission` and can be given to somebody.
    pub fn holding(permission: Permission) -> impl Iterator<Item = Role> {
        Self::ALL
            .into_iter()
            .filter(|role| !role.is_break_glass())
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
        for slug in ["", "admin", "Tenant-Admin", "tenant_admin", "tenant-admin ", "bg"] {
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
    fn in_an_emergency_staff_neither_take_places_away_nor_make_roles() {
        let held = Role::BgWrite.permissions();
        assert!(Role::BgRead.permissions().is_subset(held) && held.is_subset(Role::TenantAdmin.permissions()));
        for permission in held.iter().filter(|permission| permission.scope() == Scope::Tenant) {
            let name = permission.name();
            assert!(
                ["audit.list", "user.invite", "membership.grant"].contains(&name),
                "{name}"
            );
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
