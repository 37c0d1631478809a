//! Who calls, and what that one holds.
use crate::{BoundRole, Permission, PermissionSet, Scope, TenantState};
use exarch_common_base::{AgentId, ClusterId, KeyId, RegionId, SessionId, TenantId, UserId};
use std::{fmt, sync::Arc};
use time::OffsetDateTime;

/// Who it is, proved by whoever builds the [`Caller`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Principal {
    /// A person who signed in at the global.
    User(UserId),
    /// A tenant's API key.
    ApiKey(KeyId),
    /// The agent on a host.
    Agent(AgentId),
    /// A region's gateway, as the global sees it.
    Region(RegionId),
    /// The global, as a gateway sees it.
    Global,
    /// A local account of this region.
    Operator(UserId),
}

/// What sort of caller it is; routes declare which they serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallerKind {
    /// A person who signed in at the global.
    User,
    /// A tenant's API key.
    ApiKey,
    /// The agent on a host.
    Agent,
    /// The other side of the federation.
    Peer,
    /// A local account of this region.
    Operator,
}

impl CallerKind {
    /// The word in the audit log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::ApiKey => "api-key",
            Self::Agent => "agent",
            Self::Peer => "peer",
            Self::Operator => "operator",
        }
    }

    /// Whether a binding at `scope` gives a caller of this kind anything. Agents and peers hold no permissions: their
    /// routes are their own.
    const fn may_hold(self, scope: Scope) -> bool {
        match self {
            Self::User => matches!(scope, Scope::System | Scope::Tenant | Scope::Cluster),
            Self::ApiKey => matches!(scope, Scope::Tenant | Scope::Cluster),
            Self::Operator => matches!(scope, Scope::Region),
            Self::Agent | Self::Peer => false,
        }
    }
}

impl fmt::Display for CallerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Principal {
    /// Its kind.
    pub const fn kind(self) -> CallerKind {
        match self {
            Self::User(_) => CallerKind::User,
            Self::ApiKey(_) => CallerKind::ApiKey,
            Self::Agent(_) => CallerKind::Agent,
            Self::Region(_) | Self::Global => CallerKind::Peer,
            Self::Operator(_) => CallerKind::Operator,
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) | Self::Operator(id) => id.fmt(f),
            Self::ApiKey(id) => id.fmt(f),
            Self::Agent(id) => id.fmt(f),
            Self::Region(id) => id.fmt(f),
            Self::Global => f.write_str("exarch:global"),
        }
    }
}

/// Where a role is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum On {
    /// The federation.
    System,
    /// One tenant.
    Tenant(TenantId),
    /// The region that asks.
    Region,
    /// One cluster of one tenant.
    Cluster(TenantId, ClusterId),
}

impl On {
    /// The scope it is at.
    pub const fn scope(self) -> Scope {
        match self {
            Self::System => Scope::System,
            Self::Tenant(_) => Scope::Tenant,
            Self::Region => Scope::Region,
            Self::Cluster(..) => Scope::Cluster,
        }
    }
}

/// One role of the caller, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// Which.
    pub role: BoundRole,
    /// Where.
    pub on: On,
    /// From when on it gives nothing; none: until it is taken away.
    pub until: Option<OffsetDateTime>,
}

impl Binding {
    /// A binding without an end.
    pub fn new(role: impl Into<BoundRole>, on: On) -> Self {
        Self {
            role: role.into(),
            on,
            until: None,
        }
    }
}

/// Which of the tenant's clusters exist for a caller: in lists, counts, search, events and error texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clusters {
    /// All of them, later ones too.
    All,
    /// These alone, sorted; possibly none.
    Only(Vec<ClusterId>),
}

/// An authenticated caller with what it holds in the tenant in force. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Caller(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    principal: Principal,
    session: Option<SessionId>,
    tenant: Option<(TenantId, TenantState)>,
    system: PermissionSet,
    tenant_wide: PermissionSet,
    region: PermissionSet,
    /// Sorted by cluster; no set in it is empty.
    by_cluster: Vec<(ClusterId, PermissionSet)>,
    reads_in_incident: bool,
}

impl Caller {
    /// Starts a caller who holds nothing and has no tenant in force.
    pub fn of(principal: Principal) -> CallerBuilder {
        CallerBuilder {
            principal,
            session: None,
            tenant: None,
            bindings: Vec::new(),
        }
    }

    /// Who it is.
    pub fn principal(&self) -> Principal {
        self.0.principal
    }

    /// What sort of caller it is.
    pub fn kind(&self) -> CallerKind {
        self.0.principal.kind()
    }

    /// The session in use, of a person who signed in.
    pub fn session(&self) -> Option<SessionId> {
        self.0.session
    }

    /// The tenant in force.
    pub fn tenant(&self) -> Option<TenantId> {
        self.0.tenant.map(|(id, _)| id)
    }

    /// The state of the tenant in force.
    pub fn tenant_state(&self) -> Option<TenantState> {
        self.0.tenant.map(|(_, state)| state)
    }

    /// What it holds over the federation.
    pub fn system(&self) -> PermissionSet {
        self.0.system
    }

    /// What it holds in all of the tenant in force, its clusters included.
    pub fn tenant_wide(&self) -> PermissionSet {
        self.0.tenant_wide
    }

    /// What it holds over the region's own affairs.
    pub fn region(&self) -> PermissionSet {
        self.0.region
    }

    /// What it holds in one cluster of the tenant in force.
    pub fn in_cluster(&self, cluster: ClusterId) -> PermissionSet {
        self.tenant_wide().union(self.bound_to(cluster))
    }

    /// Which clusters of the tenant in force exist for it.
    pub fn clusters(&self) -> Clusters {
        if self.sees_all_clusters() {
            Clusters::All
        } else {
            Clusters::Only(self.0.by_cluster.iter().map(|(id, _)| *id).collect())
        }
    }

    /// Whether one cluster of the tenant in force exists for it.
    pub fn sees(&self, cluster: ClusterId) -> bool {
        self.sees_all_clusters() || !self.bound_to(cluster).is_empty()
    }

    /// In which clusters it holds `permission`.
    pub(crate) fn clusters_with(&self, permission: Permission) -> Clusters {
        if self.tenant_wide().contains(permission) {
            return Clusters::All;
        }
        let bound = self.0.by_cluster.iter();
        Clusters::Only(
            bound
                .filter(|(_, set)| set.contains(permission))
                .map(|(id, _)| *id)
                .collect(),
        )
    }

    pub(crate) fn holds_in_some_cluster(&self, permission: Permission) -> bool {
        self.0.by_cluster.iter().any(|(_, set)| set.contains(permission))
    }

    pub(crate) fn reads_in_incident(&self) -> bool {
        self.0.reads_in_incident
    }

    /// A tenant-scope role shows all clusters only if it has to do with clusters at all.
    fn sees_all_clusters(&self) -> bool {
        const IN_CLUSTERS: PermissionSet = PermissionSet::of(Scope::Cluster);
        !self.tenant_wide().intersection(IN_CLUSTERS).is_empty()
    }

    fn bound_to(&self, cluster: ClusterId) -> PermissionSet {
        match self.0.by_cluster.binary_search_by_key(&cluster, |(id, _)| *id) {
            Ok(at) => self.0.by_cluster[at].1,
            Err(_) => PermissionSet::EMPTY,
        }
    }
}

/// A [`Caller`] in the making.
#[derive(Debug)]
pub struct CallerBuilder {
    principal: Principal,
    session: Option<SessionId>,
    tenant: Option<(TenantId, TenantState)>,
    bindings: Vec<Binding>,
}

impl CallerBuilder {
    /// The session in use.
    pub fn session(mut self, session: SessionId) -> Self {
        self.session = Some(session);
        self
    }

    /// The tenant in force and its state.
    pub fn tenant(mut self, tenant: TenantId, state: TenantState) -> Self {
        self.tenant = Some((tenant, state));
        self
    }

    /// What is bound to the principal, anywhere.
    pub fn bindings(mut self, bindings: impl IntoIterator<Item = Binding>) -> Self {
        self.bindings.extend(bindings);
        self
    }

    /// The caller at `now`. A binding that has ended, that belongs to another tenant than the one in force, or whose role or
    /// principal does not go with its scope gives nothing.
    pub fn build(self, now: OffsetDateTime) -> Caller {
        let mut held = self.nothing();
        for binding in &self.bindings {
            let alive = binding.until.is_none_or(|until| now < until);
            if alive && binding.role.scope() == binding.on.scope() {
                held.add(binding.role.permissions(), binding.on, binding.role.reads_in_incident());
            }
        }
        Caller(Arc::new(held))
    }

    fn nothing(&self) -> Inner {
        Inner {
            principal: self.principal,
            session: self.session,
            tenant: self.tenant,
            system: PermissionSet::EMPTY,
            tenant_wide: PermissionSet::EMPTY,
            region: PermissionSet::EMPTY,
            by_cluster: Vec::new(),
            reads_in_incident: false,
        }
    }

    /// A caller who holds any sets whatever, for the properties of the policy.
    #[cfg(test)]
    pub(crate) fn holding(self, sets: &[(PermissionSet, On)], reads_in_incident: bool) -> Caller {
        let mut held = self.nothing();
        for &(set, on) in sets {
            held.add(set, on, reads_in_incident);
        }
        Caller(Arc::new(held))
    }
}

impl Inner {
    fn add(&mut self, set: PermissionSet, on: On, reads_in_incident: bool) {
        let in_force = self.tenant.map(|(id, _)| id);
        if set.is_empty() || !self.principal.kind().may_hold(on.scope()) {
            return;
        }
        match on {
            On::System => self.system = self.system.union(set),
            On::Region => self.region = self.region.union(set),
            On::Tenant(tenant) if Some(tenant) == in_force => {
                self.tenant_wide = self.tenant_wide.union(set);
                self.reads_in_incident |= reads_in_incident;
            }
            On::Cluster(tenant, cluster) if Some(tenant) == in_force => {
                match self.by_cluster.binary_search_by_key(&cluster, |(id, _)| *id) {
                    Ok(at) => self.by_cluster[at].1 = self.by_cluster[at].1.union(set),
                    Err(at) => self.by_cluster.insert(at, (cluster, set)),
                }
            }
            On::Tenant(_) | On::Cluster(..) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Role;
    use time::{Duration, macros::datetime};
    use uuid::Uuid;

    const NOW: OffsetDateTime = datetime!(2026-01-01 12:00 UTC);

    fn tenant(n: u128) -> TenantId {
        Uuid::from_u128(n).into()
    }

    fn cluster(n: u128) -> ClusterId {
        Uuid::from_u128(n).into()
    }

    fn user(bindings: &[Binding]) -> Caller {
        let principal = Principal::User(Uuid::from_u128(9).into());
        Caller::of(principal)
            .tenant(tenant(1), TenantState::Active)
            .bindings(bindings.iter().cloned())
            .build(NOW)
    }

    #[test]
    fn a_tenant_role_covers_all_clusters_and_a_cluster_role_its_own() {
        let auditor = user(&[Binding::new(Role::Auditor, On::Tenant(tenant(1)))]);
        assert_eq!(auditor.clusters(), Clusters::All);
        let bound = [4, 2, 4].map(|n| Binding::new(Role::ClusterOperator, On::Cluster(tenant(1), cluster(n))));
        let operator = user(&bound);
        assert_eq!(operator.clusters(), Clusters::Only(vec![cluster(2), cluster(4)]));
        assert!(operator.sees(cluster(4)) && !operator.sees(cluster(3)));
        assert_eq!(user(&[]).clusters(), Clusters::Only(vec![]));
    }

    #[test]
    fn roles_in_the_same_cluster_add_up() {
        let on = On::Cluster(tenant(1), cluster(2));
        let both = user(&[
            Binding::new(Role::ClusterOperator, on),
            Binding::new(Role::ClusterAdmin, on),
        ]);
        assert_eq!(both.in_cluster(cluster(2)), Role::ClusterAdmin.permissions());
        assert!(both.in_cluster(cluster(3)).is_empty());
    }

    #[test]
    fn a_binding_that_has_ended_gives_nothing() {
        let until = |until| Binding {
            until: Some(until),
            ..Binding::new(Role::Auditor, On::Tenant(tenant(1)))
        };
        assert!(user(&[until(NOW)]).tenant_wide().is_empty());
        assert!(!user(&[until(NOW + Duration::SECOND)]).tenant_wide().is_empty());
    }

    #[test]
    fn a_binding_in_another_tenant_gives_nothing() {
        let other = user(&[
            Binding::new(Role::TenantAdmin, On::Tenant(tenant(2))),
            Binding::new(Role::ClusterAdmin, On::Cluster(tenant(2), cluster(2))),
        ]);
        assert!(other.tenant_wide().is_empty() && !other.reads_in_incident());
        assert_eq!(other.clusters(), Clusters::Only(vec![]));
    }

    #[test]
    fn a_role_bound_at_a_scope_that_is_not_its_own_gives_nothing() {
        let wrong = user(&[
            Binding::new(Role::SystemAdmin, On::Tenant(tenant(1))),
            Binding::new(Role::TenantAdmin, On::System),
            Binding::new(Role::TenantAdmin, On::Cluster(tenant(1), cluster(2))),
            Binding::new(Role::ClusterAdmin, On::Tenant(tenant(1))),
        ]);
        assert!(wrong.system().is_empty() && wrong.tenant_wide().is_empty());
        assert_eq!(wrong.clusters(), Clusters::Only(vec![]));
    }

    #[test]
    fn agents_and_peers_hold_nothing_and_operators_only_their_region() {
        let all = [
            Binding::new(Role::SystemAdmin, On::System),
            Binding::new(Role::TenantAdmin, On::Tenant(tenant(1))),
            Binding::new(Role::ClusterAdmin, On::Cluster(tenant(1), cluster(2))),
            Binding::new(Role::RegionalOperator, On::Region),
        ];
        let held = |principal| {
            let caller = Caller::of(principal)
                .tenant(tenant(1), TenantState::Active)
                .bindings(all.clone())
                .build(NOW);
            let sets = [
                caller.system(),
                caller.tenant_wide(),
                caller.region(),
                caller.bound_to(cluster(2)),
            ];
            sets.map(|set| !set.is_empty())
        };
        let id = Uuid::from_u128(7);
        assert_eq!(held(Principal::User(id.into())), [true, true, false, true]);
        assert_eq!(held(Principal::ApiKey(id.into())), [false, true, false, true]);
        assert_eq!(held(Principal::Operator(id.into())), [false, false, true, false]);
        assert_eq!(held(Principal::Agent(id.into())), [false; 4]);
        assert_eq!(held(Principal::Region(id.into())), [false; 4]);
        assert_eq!(held(Principal::Global), [false; 4]);
    }
}
