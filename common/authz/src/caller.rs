//! Who calls, and what that one holds.
use crate::{BoundRole, Permission, PermissionSet, Scope, TenantState};
use exarch_common_base::{AgentId, ClusterId, KeyId, RegionId, SessionId, TenantId, UserId};
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};
use time::OffsetDateTime;

/// Who it is, proved by whoever builds the [`Caller`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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
    /// As they were given, for those who ask later why: a decision does not look at them.
    bindings: Vec<Binding>,
    at_most: Option<BoundRole>,
    /// When they were looked at.
    as_of: OffsetDateTime,
}

impl Caller {
    /// Starts a caller who holds nothing and has no tenant in force.
    pub fn of(principal: Principal) -> CallerBuilder {
        CallerBuilder {
            principal,
            session: None,
            tenant: None,
            bindings: Vec::new(),
            at_most: None,
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

    /// What is bound to it, also what gives nothing here or has ended.
    pub fn bindings(&self) -> &[Binding] {
        &self.0.bindings
    }

    /// The role that leaves of its bindings only what it holds too: a key's own.
    pub fn at_most(&self) -> Option<&BoundRole> {
        self.0.at_most.as_ref()
    }

    /// The time at which it held what it holds.
    pub fn as_of(&self) -> OffsetDateTime {
        self.0.as_of
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
    at_most: Option<BoundRole>,
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

    /// Leaves of what the bindings give only what `role` holds too: a key acts for its owner and within its own role.
    pub fn at_most(mut self, role: BoundRole) -> Self {
        self.at_most = Some(role);
        self
    }

    /// The caller at `now`. A binding that has ended, that belongs to another tenant than the one in force, or whose role or
    /// principal does not go with its scope gives nothing.
    pub fn build(self, now: OffsetDateTime) -> Caller {
        let mut held = self.nothing(now);
        for binding in &self.bindings {
            let alive = binding.until.is_none_or(|until| now < until);
            if alive && binding.role.scope() == binding.on.scope() {
                held.add(binding.role.permissions(), binding.on, binding.role.reads_in_incident());
            }
        }
        if let Some(role) = &self.at_most {
            held.cut(role);
        }
        held.at_most = self.at_most;
        held.bindings = self.bindings;
        Caller(Arc::new(held))
    }

    fn nothing(&self, now: OffsetDateTime) -> Inner {
        Inner {
            principal: self.principal,
            session: self.session,
            tenant: self.tenant,
            system: PermissionSet::EMPTY,
            tenant_wide: PermissionSet::EMPTY,
            region: PermissionSet::EMPTY,
            by_cluster: Vec::new(),
            reads_in_incident: false,
            bindings: Vec::new(),
            at_most: None,
            as_of: now,
        }
    }

    /// A caller who holds any sets whatever, for the properties of the policy.
    #[cfg(test)]
    pub(crate) fn holding(self, sets: &[(PermissionSet, On)], reads_in_incident: bool) -> Caller {
        let mut held = self.nothing(OffsetDateTime::UNIX_EPOCH);
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

impl Inner {
    /// A role of a tenant covers its clusters too; one of another scope leaves nothing.
    fn cut(&mut self, role: &BoundRole) {
        let most = match role.scope() {
            Scope::Tenant => role.permissions(),
            Scope::System | Scope::Region | Scope::Cluster => PermissionSet::EMPTY,
        };
        self.system = PermissionSet::EMPTY;
        self.region = PermissionSet::EMPTY;
        self.tenant_wide = self.tenant_wide.intersection(most);
        for (_, set) in &mut self.by_cluster {
            *set = set.intersection(most);
        }
        self.by_cluster.retain(|(_, set)| !set.is_empty());
        self.reads_in_incident &= role.reads_in_incident();
    }
}

#[cfg(test)]
mod tests;
