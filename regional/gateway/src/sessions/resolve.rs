//! What the directory says of the bearer of a verified token.
use crate::{
    bindings::Local,
    directory::{Index, MembershipEntry, TenantEntry},
    gate::unauthenticated,
};
use exarch_common_authz::{Binding, BoundRole, Caller, CallerBuilder, On, Principal, StateRefusal, TenantState};
use exarch_common_base::{BreakGlassId, TenantId, UserId};
use exarch_common_http::Problem;
use exarch_common_wire::user_token::Claims;
use time::OffsetDateTime;

/// A bearer, and for how long this holds under one passport.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) caller: Caller,
    pub(super) tenant: TenantId,
    /// By which a person of the provider is here.
    pub(super) break_glass: Option<BreakGlassId>,
    /// Seconds since 1970: not before …
    pub(super) from: i64,
    /// … and no longer from here on.
    pub(super) until: i64,
    reads_in_incident: bool,
}

impl Known {
    /// Whether the state of the tenant leaves a person's own affairs.
    pub(super) fn own_affairs(&self) -> Result<(), Problem> {
        match self.caller.tenant_state() {
            Some(TenantState::Deleted) | None => {
                Err(Problem::not_found("not-found").detail(StateRefusal::Deleted.to_string()))
            }
            Some(TenantState::SuspendedIncident) if !self.reads_in_incident => {
                Err(Problem::forbidden("tenant-suspended").detail(StateRefusal::Incident.to_string()))
            }
            Some(_) => Ok(()),
        }
    }
}

/// The bearer of `claims` by `index` and the region's own bindings at `now`.
///
/// # Errors
/// 401 when the session, the person or the membership has ended; 404 when the tenant has no right to this region.
pub(super) fn resolve(
    index: &Index,
    local: &Local,
    claims: &Claims,
    now: OffsetDateTime,
    skew: i64,
) -> Result<Known, Problem> {
    let (tenant, region) = claims.tid.zip(claims.region.as_ref()).ok_or_else(unauthenticated)?;
    // A token that is bound to a key is worth nothing without proof of the key, and no proof is taken here.
    if claims.cnf.is_some() || index.revoked(claims.sid) {
        return Err(unauthenticated());
    }
    let entry = index
        .tenant(tenant)
        .filter(|entry| entry.entitlement.holds(now))
        .ok_or_else(|| Problem::not_found("not-entitled").detail("Your tenant has no right to this region."))?;
    // A token of a break-glass has that one's place and no other; every other token has those of a member.
    let break_glass: Option<BreakGlassId> = claims
        .bg
        .as_deref()
        .map(str::parse)
        .transpose()
        .map_err(|_| unauthenticated())?;
    let caller = person(entry, local, claims.sub, break_glass, now).ok_or_else(unauthenticated)?;
    let caller = caller.session(claims.sid).build(now);
    let holding = || holding(entry, claims.sub, break_glass, now);
    let ends = caller.bindings().iter().filter_map(|binding| binding.until);
    // one without roles ends, too
    let ends = ends.chain(holding().filter_map(|membership| membership.until));
    let ends = ends.filter(|until| now < *until).map(OffsetDateTime::unix_timestamp);
    let until = ends
        .chain(entry.entitlement.until)
        .chain([claims.exp.saturating_add(skew), region.sxp])
        .min()
        .filter(|until| now.unix_timestamp() < *until)
        .ok_or_else(unauthenticated)?;
    Ok(Known {
        caller,
        tenant,
        break_glass,
        from: claims
            .iat
            .max(claims.nbf)
            .saturating_sub(skew)
            .max(entry.entitlement.from),
        until,
        reads_in_incident: holding().flat_map(|m| &m.roles).any(BoundRole::reads_in_incident),
    })
}

/// The memberships of a person that hold at `now`: those of a member, or that of one break-glass.
fn holding(
    entry: &TenantEntry,
    user: UserId,
    break_glass: Option<BreakGlassId>,
    now: OffsetDateTime,
) -> impl Iterator<Item = &MembershipEntry> {
    let memberships = entry.memberships.get(&user).map_or(&[][..], Vec::as_slice);
    let those = memberships
        .iter()
        .filter(move |membership| membership.break_glass == break_glass);
    those.filter(move |membership| membership.holds(now))
}

/// A person of a tenant as the region knows it at `now`, with all that is bound to it there; nothing for one who may not enter.
pub(crate) fn person(
    entry: &TenantEntry,
    local: &Local,
    user: UserId,
    break_glass: Option<BreakGlassId>,
    now: OffsetDateTime,
) -> Option<CallerBuilder> {
    entry.users.get(&user).filter(|user| user.active)?;
    let holding = || holding(entry, user, break_glass, now);
    holding().next()?;
    let tenant = entry.id;
    // What is bound in a cluster rests on the membership it was given to.
    let bound = local.of(tenant, user).iter();
    let bound = bound.filter(|bound| holding().any(|membership| membership.id == Some(bound.membership)));
    let in_clusters = bound.flat_map(|bound| {
        let roles = BoundRole::among(&entry.custom_roles, &[&bound.role]);
        roles.into_iter().map(|role| Binding {
            role,
            on: On::Cluster(tenant, bound.cluster),
            until: bound.until,
        })
    });
    let caller = Caller::of(Principal::User(user))
        .tenant(tenant, entry.state)
        .bindings(holding().flat_map(|membership| membership.bindings(tenant)))
        .bindings(in_clusters);
    Some(caller)
}
