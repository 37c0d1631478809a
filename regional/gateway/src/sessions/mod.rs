//! Who a request is from: the region token, verified offline, or the secret of one of the region's API keys, and what the directory
//! says of its bearer.
//!
//! The hot path is one hash and one look-up: a bearer that was verified under the passport in force is not verified again.
//! Every change of the passport (a revoked session, an ended membership, a retired key) makes all of them unknown at once.
mod me;
mod resolve;
#[cfg(test)]
mod tests;
mod uses;

use crate::{
    app::App,
    audit::{self, Origin},
    bindings::Local,
    directory::Index,
    gate::{UserCaller, unauthenticated},
};
use axum::http::{header, request::Parts};
use exarch_common_authz::{Action, Permission, Principal, perm, policy};
use exarch_common_base::TenantId;
use exarch_common_crypto::{hash::sha256, jws::JwsError};
use exarch_common_http::{Api, InForce, Problem, serve::Peer, watch::Again};
use exarch_common_wire::{
    api_key::{self, ApiKey},
    key_token, names,
    passport::Tier,
    user_token::{self, Refusal, Version},
};
use moka::sync::Cache;
use resolve::Known;
pub(crate) use resolve::person;
use std::{sync::Arc, time::Duration};
use time::OffsetDateTime;

pub use uses::KeyUses;

/// Clocks may differ by this much, in seconds.
const SKEW: i64 = 30;
/// How long a request waits for a section that its token knows to be newer.
const FETCH: Duration = Duration::from_secs(2);
const RETRY: Duration = Duration::from_secs(30);

/// What stops once the passport is stale: roles in clusters, enrolment, and what is taken from others by force.
const STOPS_WHEN_STALE: [Permission; 5] = [
    perm::role::Assign::PERMISSION,
    perm::role::Unassign::PERMISSION,
    perm::bootstrap_token::Create::PERMISSION,
    perm::agent::Approve::PERMISSION,
    perm::agent::Revoke::PERMISSION,
];

/// The room's routes.
pub fn routes(api: Api<App>) -> Api<App> {
    me::routes(api)
}

/// Tokens that were verified, by their digest and what was known then: the passport, and the region's own bindings.
pub struct Verified(Cache<([u8; 32], Version, i64), Arc<Known>>);

impl Default for Verified {
    fn default() -> Self {
        Self(
            Cache::builder()
                .max_capacity(100_000)
                .time_to_live(Duration::from_secs(15 * 60))
                .build(),
        )
    }
}

/// Authenticates a request of a person or a key to a route that needs `permission`, or that is the person's own if there is none.
///
/// # Errors
/// One and the same 401 for whatever is wrong with the token or its bearer; 404 when the tenant is not entitled to this
/// region; 503 when the passport is missing, too old for this, or behind the token; 402 and 403 by the policy.
pub async fn authenticate(app: &App, parts: &mut Parts, permission: Option<Permission>) -> Result<UserCaller, Problem> {
    let bearer = bearer(parts).ok_or_else(unauthenticated)?;
    let (known, decided_offline) = match recall(app, bearer)? {
        Some(known) => (known, false),
        None if bearer.starts_with(api_key::PREFIX) => (learn_key(app, bearer)?, false),
        None => learn(app, bearer).await?,
    };
    parts.extensions.insert(InForce(known.tenant));
    let tier = app.directory.tier().ok_or_else(missing)?;
    let version = app.directory.current().as_ref().map(|index| index.version());
    let caller = UserCaller {
        caller: known.caller.clone(),
        tenant: known.tenant,
        owner: known.owner,
        break_glass: known.break_glass,
        decided_offline,
        ids: app.ambient.clone(),
        origin: Origin::of(parts),
        refusals: app.refusals.clone(),
        decided_by: version.map(|version| (version, tier)),
    };
    // Of the connection, whatever the request says: a header is anybody's to write. What a key is worth elsewhere is told to nobody.
    let peer = parts.extensions.get::<Peer>().map(|peer| peer.addr.ip());
    if !known.may_come_from(peer) {
        refused("key-address");
        app.refusals.note_misplaced(&caller);
        return Err(unauthenticated());
    }
    if let Principal::ApiKey(key) = known.caller.principal() {
        app.key_uses.note(&known.noted, key, app.ambient.now());
    }
    match permission {
        _ if app.directory.removed().is_some() => return Err(removed()),
        Some(permission) if tier == Tier::Expired => return Err(caller.refused_beside(permission, expired())),
        None if tier == Tier::Expired => return Err(expired()),
        Some(permission) => {
            let target = caller.widest(permission.scope());
            policy::allows(&caller, permission, target).map_err(|refusal| caller.refused(&refusal))?;
            leaves(tier, permission).map_err(|problem| caller.refused_beside(permission, problem))?;
        }
        None => known.own_affairs()?,
    }
    // the one row of a stream is that of its beginning
    if parts.extensions.get::<Again>().is_none() {
        audit::accessed(&app.app_pool, &caller, parts).await?;
    }
    Ok(caller)
}

fn bearer(parts: &Parts) -> Option<&str> {
    let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
    let (value, more) = (values.next()?, values.next());
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    (more.is_none() && scheme.eq_ignore_ascii_case("bearer")).then_some(token)
}

/// What a verified token says.
enum Verdict {
    Person(user_token::Claims),
    /// Of a federated key.
    Key(key_token::Claims),
}

impl Verdict {
    /// The tenant, and the version of its section by which the token was minted.
    fn section(&self) -> Option<(TenantId, Version)> {
        match self {
            Self::Person(claims) => claims.tid.zip(claims.region.as_ref().map(|region| region.ten_v)),
            Self::Key(claims) => Some((claims.tid, claims.ten_v)),
        }
    }

    fn resolve(&self, index: &Index, local: &Local, now: OffsetDateTime, skew: i64) -> Result<Known, Problem> {
        match self {
            Self::Person(claims) => resolve::of_token(index, local, claims, now, skew),
            Self::Key(claims) => resolve::of_key_token(index, local, claims, now, skew),
        }
    }
}

/// What is known of a token that was seen before under the passport in force.
fn recall(app: &App, token: &str) -> Result<Option<Arc<Known>>, Problem> {
    let index = app.directory.current();
    let index = index.as_ref().ok_or_else(missing)?;
    let local = app.bindings.current().version();
    let known = app.verified.0.get(&(sha256(token.as_bytes()), index.version(), local));
    let now = app.ambient.now().unix_timestamp();
    Ok(known.filter(|known| (known.from..known.until).contains(&now)))
}

/// Verifies a token and looks up its bearer; fetches first when the token knows of something newer. Also says whether what
/// is newer could not be had.
async fn learn(app: &App, token: &str) -> Result<(Arc<Known>, bool), Problem> {
    let index = app.directory.current().clone().ok_or_else(missing)?;
    let claims = verify(app, &index, token)?;
    if !is_behind(&index, &claims) {
        return Ok((remember(app, &index, token, &claims)?, false));
    }
    let reached = app.federation.fetch(FETCH).await;
    let index = app.directory.current().clone().ok_or_else(missing)?;
    let claims = verify(app, &index, token)?;
    if !is_behind(&index, &claims) {
        return Ok((remember(app, &index, token, &claims)?, false));
    }
    if reached || app.directory.tier() != Some(Tier::Fresh) {
        return Err(behind());
    }
    // Not remembered: the next request asks again.
    let local = app.bindings.current();
    let known = claims.resolve(&index, &local, app.ambient.now(), SKEW)?;
    Ok((Arc::new(known), true))
}

fn verify(app: &App, index: &Index, token: &str) -> Result<Verdict, Problem> {
    let (region, issuer) = (app.region.id, index.issuer());
    let now = app.ambient.now().unix_timestamp();
    let keys = |kid: &str| index.key(kid).cloned();
    let persons = user_token::verify(token, keys, issuer, &names::region(region), now, SKEW).map(Verdict::Person);
    let verdict = match persons {
        // the types of the two differ, and each is verified as what it says it is
        Err(Refusal::Token(JwsError::Kind)) => {
            key_token::verify(token, keys, issuer, region, now, SKEW).map(Verdict::Key)
        }
        persons => persons,
    };
    verdict.map_err(|cause| {
        refused("region");
        tracing::debug!(%cause, "a region token was refused");
        unauthenticated()
    })
}

fn refused(kind: &'static str) {
    metrics::counter!("exarch_tokens_refused_total", "kind" => kind).increment(1);
}

/// Verifies the secret of a key and looks up its owner.
fn learn_key(app: &App, presented: &str) -> Result<Arc<Known>, Problem> {
    let index = app.directory.current().clone().ok_or_else(missing)?;
    let local = app.bindings.current();
    let key = ApiKey::read(presented).ok_or_else(unauthenticated);
    let known = key.and_then(|key| resolve::of_key(&index, &local, &key, app.ambient.now()));
    let known = Arc::new(known.inspect_err(|_| refused("key"))?);
    let seen = (sha256(presented.as_bytes()), index.version(), local.version());
    app.verified.0.insert(seen, known.clone());
    Ok(known)
}

/// Whether the token was minted by a newer section of its tenant than the one in force.
fn is_behind(index: &Index, claims: &Verdict) -> bool {
    let Some((tenant, ten_v)) = claims.section() else {
        return false;
    };
    // A tenant that is not there was either taken out, by a passport that is newer than the token, or has yet to come.
    let have = index.tenant(tenant).map_or(index.version(), |entry| entry.version);
    have < ten_v
}

fn remember(app: &App, index: &Index, token: &str, claims: &Verdict) -> Result<Arc<Known>, Problem> {
    let local = app.bindings.current();
    let known = Arc::new(claims.resolve(index, &local, app.ambient.now(), SKEW)?);
    let key = (sha256(token.as_bytes()), index.version(), local.version());
    app.verified.0.insert(key, known.clone());
    Ok(known)
}

/// Whether the age of the passport leaves this.
fn leaves(tier: Tier, permission: Permission) -> Result<(), Problem> {
    use exarch_common_authz::Access;
    if tier >= Tier::Old && permission.access() == Access::Write {
        return Err(Problem::unavailable("passport-old", RETRY).detail(
            "This region has not heard from the global for over a day: reading still works, changes do not until it does.",
        ));
    }
    if tier >= Tier::Stale && STOPS_WHEN_STALE.contains(&permission) {
        return Err(Problem::unavailable("passport-stale", RETRY).detail(
            "This region has not heard from the global for a while: this waits until it does; see /v1/continuity.",
        ));
    }
    Ok(())
}

/// 410: the federation goes on without this region.
pub(crate) fn removed() -> Problem {
    Problem::gone("region-removed").detail("This region was removed from the federation and serves nobody any more.")
}

fn expired() -> Problem {
    Problem::unavailable("passport-expired", RETRY).detail(
        "This region has not heard from the global for days: nobody but its own operators may enter until it does.",
    )
}

fn missing() -> Problem {
    Problem::unavailable("passport-missing", RETRY)
        .detail("This region has no valid passport and knows nobody; it waits for the global.")
}

fn behind() -> Problem {
    Problem::unavailable("passport-behind", Duration::from_secs(5))
        .detail("Your token knows of a change that has not reached this region yet; try again shortly.")
}
