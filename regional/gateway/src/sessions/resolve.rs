//! What the directory says of the bearer of a verified token or secret.
use super::uses::Noted;
use crate::{
    bindings::Local,
    directory::{Index, KeyEntry, MembershipEntry, TenantEntry},
    gate::unauthenticated,
};
use exarch_common_authz::{Binding, BoundRole, Caller, CallerBuilder, On, Principal, StateRefusal, TenantState};
use exarch_common_base::{BreakGlassId, KeyId, TenantId, UserId};
use exarch_common_http::Problem;
use exarch_common_wire::{
    api_key::{ApiKey, Cidr, admits},
    key_token,
    user_token::Claims,
};
use std::net::IpAddr;
use time::OffsetDateTime;

/// A bearer, and for how long this holds under one passport.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) caller: Caller,
    pub(super) tenant: TenantId,
    /// By which a person of the provider is here.
    pub(super) break_glass: Option<BreakGlassId>,
    /// Whose rights a key rests on.
    pub(super) owner: Option<UserId>,
    /// From where a key may be used; from anywhere when empty.
    cidrs: Vec<Cidr>,
    /// Seconds since 1970: not before …
    pub(super) from: i64,
    /// … and no longer from here on.
    pub(super) until: i64,
    reads_in_incident: bool,
    pub(super) noted: Noted,
}

impl Known {
    /// Whether the state of the tenant leaves the bearer's own affairs.
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

    /// Whether it may come from there.
    pub(super) fn may_come_from(&self, address: Option<IpAddr>) -> bool {
        admits(&self.cidrs, address)
    }
}

/// The bearer of `claims` by `index` and the region's own bindings at `now`.
///
/// # Errors
/// 401 when the session, the person or the membership has ended; 404 when the tenant has no right to this region.
pub(super) fn of_token(
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
    let entry = entitled(index.tenant(tenant), now)?;
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
        owner: None,
        cidrs: Vec::new(),
        from: claims
            .iat
            .max(claims.nbf)
            .saturating_sub(skew)
            .max(entry.entitlement.from),
        until,
        reads_in_incident: holding().flat_map(|m| &m.roles).any(BoundRole::reads_in_incident),
        noted: Noted::default(),
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
    let bound = bound(entry, local, user, |one| one.break_glass == break_glass, now)?;
    Some(
        Caller::of(Principal::User(user))
            .tenant(entry.id, entry.state)
            .bindings(bound),
    )
}

/// What a person holds at `now` by those memberships that `counts` lets count; nothing for one who may not enter.
fn bound(
    entry: &TenantEntry,
    local: &Local,
    user: UserId,
    counts: impl Fn(&MembershipEntry) -> bool,
    now: OffsetDateTime,
) -> Option<Vec<Binding>> {
    entry.users.get(&user).filter(|user| user.active)?;
    let memberships = entry.memberships.get(&user).map_or(&[][..], Vec::as_slice);
    let holding = || memberships.iter().filter(|one| one.holds(now) && counts(one));
    holding().next()?;
    // What is bound in a cluster rests on the membership it was given to.
    let here = local.of(entry.id, user).iter();
    let here = here.filter(|bound| holding().any(|membership| membership.id == Some(bound.membership)));
    let in_clusters = here.flat_map(|bound| {
        let roles = BoundRole::among(&entry.custom_roles, &[&bound.role]);
        roles.into_iter().map(|role| Binding {
            role,
            on: On::Cluster(entry.id, bound.cluster),
            until: bound.until,
        })
    });
    let whole = holding().flat_map(|membership| membership.bindings(entry.id));
    Some(whole.chain(in_clusters).collect())
}

/// The key that was presented: what is left of its role by what its owner holds at `now`.
///
/// # Errors
/// 401 for a key that this region does not know, another secret, or one whose time, or whose owner's, is over; 404 when the
/// tenant has no right to this region.
pub(super) fn of_key(index: &Index, local: &Local, presented: &ApiKey, now: OffsetDateTime) -> Result<Known, Problem> {
    let (entry, key) = index.api_key(presented.id).ok_or_else(unauthenticated)?;
    let seconds = now.unix_timestamp();
    let mut good = key
        .secrets
        .iter()
        .filter(|secret| secret.until.is_none_or(|until| seconds < until));
    let secret = good
        .find(|secret| presented.matches(&secret.verifier))
        .ok_or_else(unauthenticated)?;
    let mut known = by_key(entry, local, presented.id, key, now)?;
    known.cidrs.clone_from(&key.cidrs);
    known.until = earliest([known.until].into_iter().chain(secret.until), now)?;
    Ok(known)
}

/// The federated key of `claims`; from where it was used to get its token was judged at the global.
///
/// # Errors
/// As [`of_key`].
pub(super) fn of_key_token(
    index: &Index,
    local: &Local,
    claims: &key_token::Claims,
    now: OffsetDateTime,
    skew: i64,
) -> Result<Known, Problem> {
    let (entry, key) = index.api_key(claims.sub).ok_or_else(unauthenticated)?;
    // A key of this region has no tokens: it is shown itself.
    if entry.id != claims.tid || !key.secrets.is_empty() {
        return Err(unauthenticated());
    }
    let mut known = by_key(entry, local, claims.sub, key, now)?;
    known.from = known.from.max(claims.iat.max(claims.nbf).saturating_sub(skew));
    known.until = known.until.min(claims.exp.saturating_add(skew));
    Ok(known)
}

/// What is left of a key's role by what its owner holds.
fn by_key(
    entry: &TenantEntry,
    local: &Local,
    id: KeyId,
    key: &KeyEntry,
    now: OffsetDateTime,
) -> Result<Known, Problem> {
    let entry = entitled(Some(entry), now)?;
    let owners = |one: &MembershipEntry| one.id == Some(key.membership);
    let bound = bound(entry, local, key.owner, owners, now).ok_or_else(unauthenticated)?;
    let memberships = entry.memberships.get(&key.owner).map_or(&[][..], Vec::as_slice);
    let owner = memberships.iter().find(|one| owners(one)).ok_or_else(unauthenticated)?;
    let ends = bound.iter().filter_map(|binding| binding.until).chain(owner.until);
    let ends = ends.filter(|until| now < *until).map(OffsetDateTime::unix_timestamp);
    let until = earliest(ends.chain(entry.entitlement.until).chain(key.until), now)?;
    let caller = Caller::of(Principal::ApiKey(id))
        .tenant(entry.id, entry.state)
        .bindings(bound)
        .at_most(key.role.clone())
        .build(now);
    Ok(Known {
        caller,
        tenant: entry.id,
        break_glass: None,
        owner: Some(key.owner),
        cidrs: Vec::new(),
        from: entry.entitlement.from,
        until,
        reads_in_incident: owner.roles.iter().any(BoundRole::reads_in_incident) && key.role.reads_in_incident(),
        noted: Noted::default(),
    })
}

fn entitled(entry: Option<&TenantEntry>, now: OffsetDateTime) -> Result<&TenantEntry, Problem> {
    entry
        .filter(|entry| entry.entitlement.holds(now))
        .ok_or_else(|| Problem::not_found("not-entitled").detail("Your tenant has no right to this region."))
}

fn earliest(ends: impl Iterator<Item = i64>, now: OffsetDateTime) -> Result<i64, Problem> {
    let end = ends.min().unwrap_or(i64::MAX);
    (now.unix_timestamp() < end).then_some(end).ok_or_else(unauthenticated)
}
