//! Who may pass: authenticates each request by the kind of its route, and refuses what the state of the region does not
//! leave.
//!
//! On the listener for people, routes are [`RouteKind::Public`], [`RouteKind::SelfOnly`] or [`RouteKind::Needs`]; on the one
//! for agents, [`RouteKind::Agent`]. A route on a listener where its kind has no meaning is never served.
use crate::{
    agents,
    app::App,
    audit::{Origin, Refusals},
    sessions,
};
use axum::http::request::Parts;
use exarch_common_authz::{Action, Caller, Clusters, Permission, Permit, Record, Refusal, Scope, Target, policy};
use exarch_common_base::{Ambient, BreakGlassId, DecisionId, TenantId, UserId};
use exarch_common_http::{
    Problem, RouteKind,
    repeats::{Answers, Asking},
    watch::Watches,
};
use exarch_common_pg::{self as pg, InTenant, TenantContext};
use exarch_common_wire::{passport::Tier, user_token::Version};
use std::{ops::Deref, time::Duration};

/// Which listener a table of routes is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// People and their software.
    Public,
    /// Agents with a certificate.
    Agents,
    /// Agents that enrol.
    Enrol,
}

/// The gate of one listener.
#[derive(Clone)]
pub struct Gate {
    app: App,
    face: Face,
}

impl Gate {
    /// For the routes of `face`.
    pub fn new(app: App, face: Face) -> Self {
        Self { app, face }
    }
}

impl exarch_common_http::Gate for Gate {
    async fn admit(&self, kind: RouteKind, parts: &mut Parts) -> Result<(), Problem> {
        if kind != RouteKind::Public && !self.app.instances.is_current(self.app.ambient.boot()) {
            // What other replicas applied or revoked is unknown.
            return Err(Problem::unavailable("database-unavailable", Duration::from_secs(1))
                .detail("The database cannot be reached at the moment; try again shortly."));
        }
        if self.face == Face::Agents {
            agents::sessions::in_time(&self.app, parts)?;
        }
        match (self.face, kind) {
            (_, RouteKind::Public) => Ok(()),
            (Face::Public, RouteKind::SelfOnly | RouteKind::Needs(_)) => {
                let caller = sessions::authenticate(&self.app, parts, kind.permission()).await?;
                parts.extensions.insert(caller.asking());
                parts.extensions.insert(caller);
                Ok(())
            }
            (Face::Agents, RouteKind::Agent) => {
                let agent = agents::sessions::authenticate(&self.app, parts).await?;
                parts.extensions.insert(agent);
                Ok(())
            }
            _ => {
                tracing::error!(?kind, face = ?self.face, "a route is served where its kind has no meaning");
                Err(unauthenticated())
            }
        }
    }

    fn answers(&self) -> Option<Answers> {
        Some(self.app.answers.clone())
    }

    fn watches(&self) -> Option<Watches> {
        Some(self.app.watches.clone())
    }
}

/// The one 401: it never tells what was wrong with the credentials.
pub fn unauthenticated() -> Problem {
    Problem::unauthorized("unauthenticated").detail("Present a valid token for this region; get one from the global.")
}

/// The one 404 for a thing that is not there, or not there for the caller; as the policy puts it.
pub fn nothing_here() -> Problem {
    Problem::not_found("not-found").detail("There is no such thing here.")
}

/// A person (or a key) with a tenant in force; what handlers of people's routes ask for.
#[derive(Clone, Debug)]
pub struct UserCaller {
    pub(crate) caller: Caller,
    pub(crate) tenant: TenantId,
    /// By which a person of the provider is in the tenant.
    pub(crate) break_glass: Option<BreakGlassId>,
    /// Whose rights a key rests on.
    pub(crate) owner: Option<UserId>,
    pub(crate) decided_offline: bool,
    pub(crate) ids: Ambient,
    pub(crate) origin: Origin,
    pub(crate) refusals: Refusals,
    /// The passport it is decided by, and what its age leaves.
    pub(crate) decided_by: Option<(Version, Tier)>,
}

impl Deref for UserCaller {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

impl UserCaller {
    /// The tenant in force.
    pub fn tenant_id(&self) -> TenantId {
        self.tenant
    }

    /// Who asks, whichever token it shows.
    pub(crate) fn asking(&self) -> Asking {
        Asking {
            tenant: self.tenant,
            caller: self.caller.principal().to_string(),
        }
    }

    /// Whether it was let in by what the region has, while the global has something newer that could not be had: the audit
    /// says so.
    pub fn decided_offline(&self) -> bool {
        self.decided_offline
    }

    /// Asks the policy; a no is logged and audited with its story, and told with its decision id.
    ///
    /// # Errors
    /// 401, 402, 403 or 404 by the policy.
    pub fn check<A: Action>(&self, target: Target) -> Result<Permit<A>, Problem> {
        policy::check(&self.caller, target).map_err(|refusal| self.refused(&refusal))
    }

    pub(crate) fn refused(&self, refusal: &Refusal) -> Problem {
        let decision: DecisionId = self.ids.id();
        tracing::info!(decision_id = %decision, why = %refusal.why(), "refused");
        let record = || self.recorded(Record::of(&self.caller, refusal));
        self.refusals.note(self, record, refusal.why(), decision);
        Problem::from(refusal).decision(decision)
    }

    /// The same for what is refused whoever asks, by the state of the region.
    pub(crate) fn refused_beside(&self, permission: Permission, problem: Problem) -> Problem {
        let decision: DecisionId = self.ids.id();
        let target = self.widest(permission.scope());
        tracing::info!(decision_id = %decision, %permission, why = problem.slug(), "refused");
        let record = || self.recorded(Record::refused_beside(&self.caller, permission, target, problem.slug()));
        self.refusals.note(self, record, problem.slug(), decision);
        problem.decision(decision)
    }

    fn recorded(&self, record: Record) -> Record {
        let passport = self
            .decided_by
            .map(|(version, tier)| (version.to_string(), tier.as_str().to_owned()));
        Record { passport, ..record }
    }

    /// The widest target at which a permission of this scope can be held in the tenant in force.
    pub(crate) fn widest(&self, scope: Scope) -> Target {
        match scope {
            Scope::Cluster => Target::Clusters(self.tenant),
            Scope::Tenant => Target::Tenant(self.tenant),
            Scope::Region => Target::Region,
            Scope::System => Target::System,
        }
    }
}

impl UserCaller {
    /// The context for what `permit` permits: only the clusters that it covers exist in it.
    pub fn within<A: Action>(&self, permit: &Permit<A>) -> TenantContext {
        self.context(permit.clusters())
    }

    fn context(&self, clusters: Clusters) -> TenantContext {
        TenantContext {
            tenant: self.tenant,
            clusters: match clusters {
                Clusters::All => pg::Clusters::All,
                Clusters::Only(clusters) => pg::Clusters::Only(clusters),
            },
            actor: self.caller.principal().to_string(),
        }
    }
}

/// All clusters that exist for the caller, whatever may be done in them.
impl InTenant for UserCaller {
    fn tenant_context(&self) -> TenantContext {
        self.context(self.caller.clusters())
    }
}

impl<S: Send + Sync> axum::extract::FromRequestParts<S> for UserCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // A handler that asks for a caller on a route that admits anyone gets none.
        parts.extensions.get().cloned().ok_or_else(unauthenticated)
    }
}
