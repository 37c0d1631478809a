//! `POST /agent/v1/leases`: ask for a lease, and wait for it.
use super::{
    lease::{Ask, Granted as Decided, Holder, Lease, Refused},
    store::{self, Found},
};
use crate::{
    agents::{AgentCaller, Standing, Wire, standing},
    app::App,
    audit,
};
use axum::extract::State;
use exarch_common_base::{AgentId, BootTime};
use exarch_common_crypto::sign::KeyError;
use exarch_common_http::{Json, Problem};
use exarch_common_pg::{Clusters, DbError, InTenant, TenantContext, TenantTx};
use exarch_common_wire::{
    agent::{GrantVerdict, Granted, RequestLease},
    audit::{Actor, Entry},
    grant::{self, Grant},
};
use serde_json::{Value, json};
use std::time::Duration;
use time::OffsetDateTime;

/// The longest that a request waits.
const MAX_WAIT_MS: u64 = 30_000;
/// Characters of a nonce at most.
const MAX_NONCE: usize = 128;

/// Why there is no grant.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// No such resource in the agent's cluster.
    #[error("there is no such resource in the agent's cluster")]
    NoResource,
    /// Somebody may still be acting on it.
    #[error("the resource is held by {}", .0.name)]
    Held(HeldBy),
    /// The agent is not active any more.
    #[error("the agent is not active")]
    NotActive,
    /// The state of the tenant does not leave it.
    #[error("the tenant's state leaves no new lease")]
    Suspended,
    /// The tenant holds as many leases as it may.
    #[error("the tenant holds its {0} leases")]
    Limit(u32),
    /// The range of fences is used up.
    #[error("the resource has no higher fence left")]
    NoFence,
    /// What was asked for makes no sense.
    #[error("{1}")]
    Invalid(&'static str, &'static str),
    /// The passport says nothing.
    #[error(transparent)]
    Unknown(Problem),
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The grant could not be signed.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Who may still be acting, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldBy {
    /// The holder.
    pub agent: AgentId,
    /// Its name.
    pub name: String,
    /// How much longer this gateway must see the lease unchanged.
    pub remaining: Duration,
}

impl HeldBy {
    /// The answer to whoever wants the resource.
    pub fn problem(&self) -> Problem {
        Problem::conflict("lease-held")
            .detail(format!(
                "Held by agent {} for another {} s unless it renews; ask again, wait for it, or stop what runs there.",
                self.name,
                self.remaining.as_millis().div_ceil(1000)
            ))
            .with("holder", &self.name)
            .with("holder_id", self.agent)
            .with("remaining_ms", self.remaining.as_millis() as u64)
    }
}

impl From<GrantError> for Problem {
    fn from(error: GrantError) -> Self {
        match error {
            GrantError::NoResource => {
                Problem::not_found("resource-not-found").detail("There is no such resource in this agent's cluster.")
            }
            GrantError::Held(by) => by.problem(),
            GrantError::NotActive => {
                Problem::forbidden("agent-not-active").detail("This agent is not active: it is granted nothing.")
            }
            GrantError::Suspended => Problem::forbidden("tenant-suspended")
                .detail("The tenant's state or entitlement leaves no lease for this at the moment."),
            GrantError::Limit(limit) => Problem::conflict("lease-limit").detail(format!(
                "The tenant holds all {limit} leases that it is entitled to in this region; release one first."
            )),
            GrantError::NoFence => Problem::conflict("fences-used-up")
                .detail("No higher fence is left for this resource; make a new resource in its place."),
            GrantError::Invalid(pointer, reason) => Problem::unprocessable("invalid-value")
                .detail("A value in the body cannot be accepted; see errors.")
                .error(pointer, reason),
            GrantError::Unknown(problem) => problem,
            GrantError::Db(error) => error.into(),
            GrantError::Key(error) => Problem::internal(&error),
        }
    }
}

/// Ask for a lease; with `wait_ms`, wait for it while another holds it.
#[utoipa::path(post, path = "/agent/v1/leases", tag = "leases", request_body = Object, responses(
    (status = 200, description = "A signed grant", body = Object),
    (status = 404, description = "`resource-not-found`"),
    (status = 409, description = "`lease-held` with `holder` and `remaining_ms`, or `lease-limit`")))]
pub(super) async fn request_lease(
    State(app): State<App>,
    agent: AgentCaller,
    Wire(input): Wire<RequestLease>,
) -> Result<Json<Granted>, Problem> {
    Ok(Json(request(&app, &agent, &input).await?))
}

/// Grants `ask` to `agent`; waits for it up to `wait_ms` while another holds the resource. Waiting, an agent stands in a line:
/// among those of this gateway the first come is the first served.
///
/// # Errors
/// [`GrantError`]; `Held` after the waiting, too.
pub async fn request(app: &App, agent: &AgentCaller, ask: &RequestLease) -> Result<Granted, GrantError> {
    check(ask)?;
    let until = app.ambient.boot() + Duration::from_millis(ask.wait_ms);
    let held = match attempt(app, agent, ask).await {
        Err(GrantError::Held(held)) if ask.wait_ms > 0 => held,
        other => return other,
    };
    let line = app.leases.waiting.line(ask.resource);
    let left = until.since(app.ambient.boot());
    let Ok(_first) = tokio::time::timeout(left, line.first.lock()).await else {
        return Err(GrantError::Held(held));
    };
    let mut freed = line.freed();
    loop {
        let held = match attempt(app, agent, ask).await {
            Err(GrantError::Held(held)) => held,
            other => return other,
        };
        let now = app.ambient.boot();
        if now >= until {
            return Err(GrantError::Held(held));
        }
        let free_at = now + held.remaining;
        let pause = until.min(free_at).since(now);
        // whatever ended it, the next attempt looks for itself
        let _ = tokio::time::timeout(pause, freed.changed()).await;
    }
}

fn check(ask: &RequestLease) -> Result<(), GrantError> {
    if ask.wait_ms > MAX_WAIT_MS {
        return Err(GrantError::Invalid("/wait_ms", "expected at most 30000"));
    }
    if ask.actions.is_empty() {
        return Err(GrantError::Invalid("/actions", "expected at least one action"));
    }
    if ask.nonce.is_empty() || ask.nonce.len() > MAX_NONCE {
        return Err(GrantError::Invalid("/nonce", "expected 1 to 128 characters"));
    }
    Ok(())
}

/// One attempt. A resource that is plainly held is refused without its lock: a hundred who ask do not queue for it.
async fn attempt(app: &App, agent: &AgentCaller, ask: &RequestLease) -> Result<Granted, GrantError> {
    let standing = standing(app, agent.tenant).map_err(GrantError::Unknown)?;
    if !standing.state.keeps_leases() {
        return Err(GrantError::Suspended);
    }
    let holder = Holder {
        agent: agent.id,
        incarnation: agent.incarnation.clone(),
    };
    let mut tx = TenantTx::begin(&app.app_pool, &context(agent, &standing)).await?;
    if let Some(found) = store::newest(&mut tx, ask.resource).await?
        && found.lease.state.is_current()
        && found.lease.holder != holder
    {
        let remaining = observe(app, &found);
        if !remaining.is_zero() {
            return Err(held_by(found, remaining));
        }
    }
    let ground = store::lock_ground(&mut tx, agent.id, agent.cluster, ask.resource)
        .await?
        .ok_or(GrantError::NoResource)?;
    if !ground.active {
        return Err(GrantError::NotActive);
    }
    let newest = store::lock_newest(&mut tx, ask.resource).await?;
    // The version under the lock, by what this gateway has seen: a renewal that came in between starts anew.
    let remaining = newest.as_ref().map_or(Duration::ZERO, |found| observe(app, found));
    if newest.is_none() && !standing.state.grants_leases() {
        return Err(GrantError::Suspended);
    }
    let now = app.ambient.now();
    let asked = Ask {
        id: app.ambient.id(),
        resource: ask.resource,
        holder,
        actions: ask.actions.clone(),
        ttl: ground.ttl,
    };
    let before = newest.as_ref().map(|found| found.lease.clone());
    let (verdict, lease) = match Lease::ask(before.clone(), remaining.is_zero(), asked, ground.epoch, now) {
        Ok(Decided::New { lease, ended }) => {
            if let Some(ended) = ended {
                end(app, &mut tx, &ended, now).await?;
            }
            store::insert(&mut tx, agent.cluster, &lease).await?;
            let entry = agent.entry(&app.ambient, "lease.grant", "lease", lease.id);
            audit::record(&mut tx, &entry.after(told(&lease))).await?;
            within_limit(&mut tx, standing.leases).await?;
            (GrantVerdict::Granted, lease)
        }
        Ok(Decided::AlreadyHeld(lease)) => {
            store::save_held(&mut tx, &lease).await?;
            if before.is_some_and(|before| before.actions != lease.actions) {
                let entry = agent.entry(&app.ambient, "lease.widen", "lease", lease.id);
                audit::record(&mut tx, &entry.after(told(&lease))).await?;
            }
            (GrantVerdict::AlreadyHeld, lease)
        }
        Err(Refused::NoFence) => return Err(GrantError::NoFence),
        Err(Refused::Held) => {
            let found = newest.ok_or(GrantError::NoResource)?;
            return Err(held_by(found, remaining));
        }
    };
    tx.commit().await?;
    sign(app, agent, ask, verdict, lease)
}

/// Marks the end of a lease that was observed to be over, with its audit row.
pub(super) async fn end(app: &App, tx: &mut TenantTx, ended: &Lease, now: OffsetDateTime) -> Result<(), DbError> {
    store::save_ended(tx, ended, now).await?;
    let actor = Actor::system("observe-leases");
    let entry = Entry::new(&app.ambient, tx.tenant(), actor, "lease.expire", "lease", ended.id);
    audit::record(tx, &entry.after(told(ended))).await?;
    Ok(())
}

/// What the audit tells of a lease.
pub(super) fn told(lease: &Lease) -> Value {
    json!({
        "resource_id": lease.resource,
        "agent_id": lease.holder.agent,
        "incarnation": lease.holder.incarnation,
        "actions": lease.actions,
        "fence": lease.fence,
        "seq": lease.seq,
        "ttl_ms": lease.ttl.as_millis() as u64,
        "state": lease.state.as_str(),
    })
}

/// An agent sees its own cluster. A limit is counted over all of the tenant's; the resource is looked up by its cluster then,
/// too.
fn context(agent: &AgentCaller, standing: &Standing) -> TenantContext {
    let own = agent.tenant_context();
    match standing.leases {
        Some(_) => TenantContext {
            clusters: Clusters::All,
            ..own
        },
        None => own,
    }
}

/// Counted last: the lock on the tenant's audit, which the grant's row took, makes grants of one tenant take turns.
async fn within_limit(tx: &mut TenantTx, limit: Option<u32>) -> Result<(), GrantError> {
    match limit {
        Some(limit) if store::count_held(tx).await? > u64::from(limit) => Err(GrantError::Limit(limit)),
        _ => Ok(()),
    }
}

/// Notes a version whose query has just been answered; how much longer it must stay.
fn observe(app: &App, found: &Found) -> Duration {
    let now: BootTime = app.ambient.boot();
    app.leases.seen().note(found.lease.resource, found.lease.version(), now)
}

fn held_by(found: Found, remaining: Duration) -> GrantError {
    GrantError::Held(HeldBy {
        agent: found.lease.holder.agent,
        name: found.name,
        remaining,
    })
}

fn sign(
    app: &App,
    agent: &AgentCaller,
    ask: &RequestLease,
    verdict: GrantVerdict,
    lease: Lease,
) -> Result<Granted, GrantError> {
    let key = app.secrets.grant_key();
    let ttl_ms = lease.ttl.as_millis() as u64;
    let claims = Grant {
        region: app.region.id,
        tenant: agent.tenant,
        lease: lease.id,
        resource: lease.resource,
        agent: agent.id,
        incarnation: lease.holder.incarnation,
        actions: lease.actions,
        fence: lease.fence,
        nonce: ask.nonce.clone(),
        ttl_ms,
    };
    Ok(Granted {
        verdict,
        lease: lease.id,
        grant: grant::sign(&key.key, &key.kid, &claims)?,
        fence: lease.fence,
        seq: lease.seq,
        ttl_ms,
    })
}
