//! The decision: may this caller do this, there?
//!
//! The status of a no is a written policy. **401**: who are you. **404**: existence itself is not yours to know, which is
//! every tenant but the one in force and every cluster the caller has no binding for; it is answered before anything was
//! looked up, so that it tells nothing. **403**: known, may see the thing, may not do this. **402**: would be allowed, but the
//! tenant is suspended for billing. In that order, so that a later answer never tells what an earlier one hides.
use crate::{Action, Caller, Clusters, Permission, Principal, Role, Scope, StateRefusal, TenantState};
use exarch_common_base::{ClusterId, TenantId};
use serde::{Deserialize, Serialize};
use std::{fmt, marker::PhantomData};

/// On what the caller wants to act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// The provider's federation.
    System,
    /// This region's own affairs; for what belongs to clusters, its metadata alone.
    Region,
    /// A tenant as a whole: only what is held tenant-wide counts.
    Tenant(TenantId),
    /// Those of a tenant's clusters in which the caller may do this ([`Permit::clusters`]); for lists, counts and search.
    Clusters(TenantId),
    /// One cluster of a tenant.
    Cluster(TenantId, ClusterId),
}

impl Target {
    /// The tenant, where there is one.
    pub const fn tenant(self) -> Option<TenantId> {
        match self {
            Self::System | Self::Region => None,
            Self::Tenant(tenant) | Self::Clusters(tenant) | Self::Cluster(tenant, _) => Some(tenant),
        }
    }

    /// The one cluster, where there is one.
    pub const fn cluster(self) -> Option<ClusterId> {
        match self {
            Self::Cluster(_, cluster) => Some(cluster),
            _ => None,
        }
    }

    /// Whether a permission of `scope` says anything about such a target. Where it does not, the route is wrong, and a
    /// question that makes no sense is answered no.
    const fn takes(self, scope: Scope) -> bool {
        match self {
            Self::System => matches!(scope, Scope::System),
            Self::Region => matches!(scope, Scope::Region | Scope::Cluster),
            Self::Tenant(_) => matches!(scope, Scope::Tenant | Scope::Cluster),
            Self::Clusters(_) | Self::Cluster(..) => matches!(scope, Scope::Cluster),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("the federation"),
            Self::Region => f.write_str("the region"),
            Self::Tenant(tenant) => write!(f, "{tenant}"),
            Self::Clusters(tenant) => write!(f, "the clusters of {tenant}"),
            Self::Cluster(tenant, cluster) => write!(f, "{cluster} of {tenant}"),
        }
    }
}

/// Proof that the policy said yes to one caller doing `A` on one target. Use cases ask for it; nothing but
/// [`check`] makes it:
///
/// ```
/// use exarch_common_authz::{Caller, Permit, Refusal, Target, perm, policy};
///
/// fn checked(caller: &Caller, target: Target) -> Result<Permit<perm::cluster::Create>, Refusal> {
///     policy::check(caller, target)
/// }
/// ```
///
/// ```compile_fail,E0451
/// use exarch_common_authz::{Caller, Permit, Refusal, Target, perm, policy};
///
/// fn forged(caller: &Caller, target: Target) -> Result<Permit<perm::cluster::Create>, Refusal> {
///     Ok(Permit { caller: caller.clone(), target, action: std::marker::PhantomData })
/// }
/// ```
///
/// A permit for one action is none for another:
///
/// ```compile_fail,E0308
/// use exarch_common_authz::{Caller, Permit, Refusal, Target, perm, policy};
///
/// fn swapped(caller: &Caller, target: Target) -> Result<Permit<perm::cluster::Create>, Refusal> {
///     policy::check::<perm::cluster::Read>(caller, target)
/// }
/// ```
#[must_use = "a permit is asked for by the use case it permits"]
pub struct Permit<A> {
    caller: Caller,
    target: Target,
    action: PhantomData<fn() -> A>,
}

impl<A: Action> Permit<A> {
    /// Whom it was given to.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// For what.
    pub fn on(&self) -> Target {
        self.target
    }

    /// The permission it rests on.
    pub fn permission(&self) -> Permission {
        A::PERMISSION
    }

    /// The clusters it covers: the one of its target, those the caller holds the permission in, or all of the tenant.
    pub fn clusters(&self) -> Clusters {
        match self.target {
            Target::Cluster(_, cluster) => Clusters::Only(vec![cluster]),
            Target::Clusters(_) => self.caller.clusters_with(A::PERMISSION),
            Target::Tenant(_) | Target::Region => Clusters::All,
            Target::System => Clusters::Only(Vec::new()),
        }
    }
}

impl<A: Action> fmt::Debug for Permit<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Permit({} may {} on {})",
            self.caller.principal(),
            A::PERMISSION,
            self.target
        )
    }
}

/// Asks the policy. The answer holds for this request alone.
///
/// # Errors
/// A [`Refusal`] that knows its status and its story.
pub fn check<A: Action>(caller: &Caller, target: Target) -> Result<Permit<A>, Refusal> {
    allows(caller, A::PERMISSION, target)?;
    Ok(Permit {
        caller: caller.clone(),
        target,
        action: PhantomData,
    })
}

/// The same question without a permit: for a gate, which knows the permission of a route and not what it will do.
///
/// # Errors
/// As [`check`].
pub fn allows(caller: &Caller, permission: Permission, target: Target) -> Result<(), Refusal> {
    decide(caller, permission, target).map_err(|reason| Refusal {
        permission,
        principal: Some(caller.principal()),
        target,
        reason,
    })
}

pub(crate) fn decide(caller: &Caller, permission: Permission, target: Target) -> Result<(), Reason> {
    if let Some(tenant) = target.tenant()
        && caller.tenant() != Some(tenant)
    {
        return Err(Reason::OtherTenant);
    }
    if let Target::Cluster(_, cluster) = target
        && !caller.sees(cluster)
    {
        return Err(Reason::OtherCluster);
    }
    if !target.takes(permission.scope()) {
        return Err(Reason::WrongScope);
    }
    let held = match target {
        Target::System => caller.system().contains(permission),
        Target::Region => caller.region().contains(permission),
        Target::Tenant(_) => caller.tenant_wide().contains(permission),
        Target::Clusters(_) => caller.tenant_wide().contains(permission) || caller.holds_in_some_cluster(permission),
        Target::Cluster(_, cluster) => caller.in_cluster(cluster).contains(permission),
    };
    if !held {
        return Err(Reason::NotHeld);
    }
    match (target.tenant(), caller.tenant_state()) {
        (None, _) => Ok(()),
        (Some(_), None) => Err(Reason::State(StateRefusal::Incident)),
        (Some(_), Some(TenantState::SuspendedIncident)) if !caller.reads_in_incident() => {
            Err(Reason::State(StateRefusal::Incident))
        }
        (Some(_), Some(state)) => state.allows(permission).map_err(Reason::State),
    }
}

/// Why the policy said no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Nobody was authenticated.
    Unknown,
    /// The target is in a tenant that is not the one in force.
    OtherTenant,
    /// The caller has no binding for this cluster.
    OtherCluster,
    /// The permission says nothing about such a target.
    WrongScope,
    /// No binding that covers the target holds the permission.
    NotHeld,
    /// The state of the tenant does not leave this.
    State(StateRefusal),
}

impl Reason {
    /// Its name in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unauthenticated",
            Self::OtherTenant => "other-tenant",
            Self::OtherCluster => "other-cluster",
            Self::WrongScope => "wrong-scope",
            Self::NotHeld => "not-held",
            Self::State(state) => state.as_str(),
        }
    }

    /// Whether it hides if there is such a thing at all.
    pub const fn hides(self) -> bool {
        matches!(
            self,
            Self::OtherTenant | Self::OtherCluster | Self::State(StateRefusal::Deleted)
        )
    }
}

/// A no, with what the answer, the log and `why` need. Its `Display` is the sentence for the caller and tells nothing
/// that the status does not; [`Refusal::why`] is for the log and for those who may see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    permission: Permission,
    principal: Option<Principal>,
    target: Target,
    reason: Reason,
}

impl Refusal {
    /// The no for a request that authenticated nobody on a route that needs `permission`.
    pub const fn unknown(permission: Permission, target: Target) -> Self {
        Self {
            permission,
            principal: None,
            target,
            reason: Reason::Unknown,
        }
    }

    /// The HTTP status of the answer.
    pub const fn status(&self) -> u16 {
        match self.reason {
            Reason::Unknown => 401,
            Reason::OtherTenant | Reason::OtherCluster => 404,
            Reason::WrongScope | Reason::NotHeld => 403,
            Reason::State(state) => state.status(),
        }
    }

    /// What was asked for.
    pub const fn permission(&self) -> Permission {
        self.permission
    }

    /// Who asked, if known.
    pub const fn principal(&self) -> Option<Principal> {
        self.principal
    }

    /// On what.
    pub const fn target(&self) -> Target {
        self.target
    }

    /// What stood against it.
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// The whole story: permission, scope, missing grant, and the roles that would have given it.
    pub const fn why(&self) -> Why<'_> {
        Why(self)
    }
}

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason {
            Reason::Unknown => f.write_str("Sign in first."),
            Reason::OtherTenant | Reason::OtherCluster => f.write_str("There is no such thing here."),
            Reason::WrongScope | Reason::NotHeld => write!(f, "You need the permission {} for this.", self.permission),
            Reason::State(state) => state.fmt(f),
        }
    }
}

/// The story of a [`Refusal`], as one line of the log.
#[derive(Debug, Clone, Copy)]
pub struct Why<'a>(&'a Refusal);

impl fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Refusal {
            permission,
            principal,
            target,
            reason,
        } = self.0;
        match principal {
            Some(principal) => write!(f, "{} {principal}", principal.kind())?,
            None => f.write_str("an unknown caller")?,
        }
        write!(f, " may not {permission} ({} scope) on {target}: ", permission.scope())?;
        match reason {
            Reason::Unknown => f.write_str("nobody was authenticated"),
            Reason::OtherTenant => f.write_str("the tenant is not the one in force"),
            Reason::OtherCluster => f.write_str("no binding for this cluster, and none for the whole tenant"),
            Reason::WrongScope => f.write_str("the permission does not apply to such a target"),
            Reason::State(state) => write!(f, "it is held, but: {state}"),
            Reason::NotHeld => {
                f.write_str("no binding that covers it holds the permission; missing is one of")?;
                let mut before = " ";
                for role in fitting(*permission, *target) {
                    write!(f, "{before}{role}")?;
                    before = ", ";
                }
                Ok(())
            }
        }
    }
}

/// The presets that would give `permission` on `target` to somebody who has them there.
pub fn fitting(permission: Permission, target: Target) -> impl Iterator<Item = Role> {
    Role::holding(permission).filter(move |role| covers(role.scope(), target))
}

/// Whether a role bound at `scope` can cover `target`.
const fn covers(scope: Scope, target: Target) -> bool {
    match target {
        Target::System => matches!(scope, Scope::System),
        Target::Region => matches!(scope, Scope::Region),
        Target::Tenant(_) => matches!(scope, Scope::Tenant),
        Target::Clusters(_) | Target::Cluster(..) => matches!(scope, Scope::Tenant | Scope::Cluster),
    }
}

#[cfg(test)]
mod tests;
