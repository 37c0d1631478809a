//! A role as it is bound to somebody: a preset, or one that a tenant made for itself.
use crate::{PermissionSet, Role, Scope};
use std::sync::Arc;

/// A role that a tenant made for itself: explicit names, nothing that is not the tenant's to give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomRole {
    name: String,
    scope: Scope,
    permissions: PermissionSet,
}

impl CustomRole {
    /// What a role that is bound at `scope` may hold at most: nothing of the provider's or of a region's.
    pub const fn most(scope: Scope) -> PermissionSet {
        match scope {
            Scope::Tenant => PermissionSet::of(Scope::Tenant).union(PermissionSet::of(Scope::Cluster)),
            Scope::Cluster => PermissionSet::of(Scope::Cluster),
            Scope::System | Scope::Region => PermissionSet::EMPTY,
        }
    }

    /// A role as it is stored. A name that this build does not know, or that the scope does not cover, is left out: it gives
    /// nothing.
    pub fn new(name: String, scope: Scope, permissions: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let known = permissions.into_iter().filter_map(|name| name.as_ref().parse().ok());
        let known: PermissionSet = known.collect();
        Self {
            name,
            scope,
            permissions: known.intersection(Self::most(scope)),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// A role as it is bound to somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BoundRole {
    /// One that every tenant has.
    Preset(Role),
    /// One of the tenant in which it is bound.
    Custom(Arc<CustomRole>),
}

impl BoundRole {
    /// The roles that `names` stand for in a tenant that has made `custom`; a name that stands for none gives nothing, and so
    /// does that of a break-glass role, which no name gives. The tenant's own comes first: a preset that a later build brings
    /// under the same name must not take its place.
    pub fn among(custom: &[Arc<CustomRole>], names: &[impl AsRef<str>]) -> Vec<Self> {
        let bound = names.iter().map(AsRef::as_ref).filter_map(|name| {
            let own = custom.iter().find(|role| role.name == name);
            let own = own.map(|role| Self::Custom(role.clone()));
            let preset = || name.parse().ok().filter(|role: &Role| !role.is_break_glass());
            own.or_else(|| preset().map(Self::Preset))
        });
        bound.collect()
    }

    /// The name people and the wire use.
    pub fn name(&self) -> &str {
        match self {
            Self::Preset(role) => role.slug(),
            Self::Custom(role) => &role.name,
        }
    }

    /// At which scope it is bound.
    pub fn scope(&self) -> Scope {
        match self {
            Self::Preset(role) => role.scope(),
            Self::Custom(role) => role.scope,
        }
    }

    /// What it holds.
    pub fn permissions(&self) -> PermissionSet {
        match self {
            Self::Preset(role) => role.permissions(),
            Self::Custom(role) => role.permissions,
        }
    }

    /// Whether its holders may still sign in, to read, while their tenant is suspended for an incident.
    pub fn reads_in_incident(&self) -> bool {
        matches!(self, Self::Preset(role) if role.reads_in_incident())
    }
}

impl From<Role> for BoundRole {
    fn from(role: Role) -> Self {
        Self::Preset(role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Permission;

    #[test]
    fn a_tenants_own_role_holds_nothing_that_is_not_the_tenants() {
        let everything = || Permission::all().map(Permission::name);
        for scope in [Scope::System, Scope::Tenant, Scope::Region, Scope::Cluster] {
            let role = CustomRole::new("all".into(), scope, everything().chain(["role.fly", "*"]));
            assert!(role.permissions.is_subset(CustomRole::most(scope)), "{scope}");
            assert!(
                role.permissions
                    .iter()
                    .all(|p| matches!(p.scope(), Scope::Tenant | Scope::Cluster)),
                "{scope}"
            );
        }
    }

    #[test]
    fn a_tenants_own_role_comes_before_a_preset_of_the_same_name() {
        let own = Arc::new(CustomRole::new("auditor".into(), Scope::Tenant, ["user.list"]));
        let bound = BoundRole::among(&[own], &["auditor", "read-only", "nobodys"]);
        assert_eq!(bound.len(), 2);
        assert_eq!(bound[0].permissions(), PermissionSet::named(&["user.list"]));
        assert!(!bound[0].reads_in_incident());
        assert_eq!(bound[1], Role::ReadOnly.into());
    }

    #[test]
    fn no_name_gives_a_break_glass_role() {
        for role in [Role::BgRead, Role::BgWrite] {
            assert!(BoundRole::among(&[], &[role.slug()]).is_empty(), "{role}");
            assert!(!Role::holding("cluster.list".parse().unwrap()).any(|holding| holding == role));
            assert!(!role.reads_in_incident(), "only the tenant's own people do");
        }
    }
}
