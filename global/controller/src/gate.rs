//! Who calls, and may they: stands before every route of the public listener.
//!
//! A caller is known by a session cookie or by an access token; the session behind either is looked up at each request, so
//! what ends a session ends it here at once. A token's roles are never believed: they are read from the database.
use crate::{
    api_keys,
    app::App,
    break_glass,
    memberships::{self, Emergency, Seat},
    sessions::{self, Session},
    settings,
};
use arc_swap::ArcSwap;
use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts},
};
use exarch_common_authz::{
    Action, Binding, Caller, On, PermissionSet, Permit, Principal, Record, Refusal, Role, Scope, Target, policy,
};
use exarch_common_base::{DecisionId, RequestId, TenantId, UserId};
use exarch_common_http::{
    InForce, Problem, RequestContext, RouteKind,
    repeats::{Answers, Asking},
    serve::Peer,
    watch::{Again, Watches},
};
use exarch_common_pg::{Clusters, TenantContext};
use exarch_common_wire::audit::{Actor, Entry, Flag, Outcome, PROVIDER, Source};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use std::{num::NonZeroU32, sync::Arc, time::Duration};
use time::OffsetDateTime;

/// The gate of the public listener.
#[derive(Clone)]
pub struct PublicGate(pub App);

impl exarch_common_http::Gate for PublicGate {
    async fn admit(&self, kind: RouteKind, parts: &mut Parts) -> Result<(), Problem> {
        let permission = match kind {
            RouteKind::Public => return Ok(()),
            RouteKind::SelfOnly => None,
            RouteKind::Needs(permission) => Some(permission),
            RouteKind::Agent | RouteKind::Peer => {
                tracing::error!(%kind, "a route is served where its kind has no meaning");
                return Err(unauthenticated());
            }
        };
        let app = &self.0;
        if let Some(secret) = api_keys::presented(parts) {
            // What handlers of other routes ask for is a person, and there is none.
            let secret = secret.to_owned();
            if permission.is_some() {
                return Err(unauthenticated());
            }
            let key = api_keys::authenticate(app, parts, &secret).await?;
            app.rates.count(key.tenant())?;
            parts.extensions.insert(Asking {
                tenant: key.tenant(),
                caller: key.id.to_string(),
            });
            parts.extensions.insert(key);
            return Ok(());
        }
        let of_tenant = permission.is_none_or(|permission| permission.scope() != Scope::System);
        let who = Who {
            from_outside: !of_tenant,
            ..sessions::authenticate(app, parts).await?
        };
        if let Some(tenant) = who.tenant() {
            parts.extensions.insert(InForce(tenant));
            // a stream that looks again by itself is no request of the tenant's
            if parts.extensions.get::<Again>().is_none() {
                app.rates.count(tenant)?;
            }
        }
        if let Some(permission) = permission {
            let target = match (permission.scope(), who.tenant()) {
                (Scope::System, _) => Target::System,
                (_, Some(tenant)) => Target::Tenant(tenant),
                (_, None) => return Err(no_tenant()),
            };
            policy::allows(&who.caller, permission, target).map_err(|refusal| who.refused(app, &refusal))?;
        }
        // the one row of a stream is that of its beginning
        if of_tenant && parts.extensions.get::<Again>().is_none() {
            break_glass::accessed(app, &who, parts).await?;
        }
        parts.extensions.insert(Asking {
            tenant: who.tenant().filter(|_| of_tenant).unwrap_or(PROVIDER),
            caller: who.user().to_string(),
        });
        parts.extensions.insert(who);
        Ok(())
    }

    fn answers(&self) -> Option<Answers> {
        Some(self.0.answers.clone())
    }

    fn watches(&self) -> Option<Watches> {
        Some(self.0.watches.clone())
    }
}

/// How much each tenant asked for within the last minute.
pub struct Rates(ArcSwap<DefaultKeyedRateLimiter<TenantId>>);

impl Rates {
    /// With the limits of the settings.
    pub fn new(limits: &settings::Limits) -> Self {
        Self(ArcSwap::from_pointee(tenants(limits)))
    }

    /// Puts other limits in force; what was counted within the last minute is forgotten.
    pub fn limit(&self, limits: &settings::Limits) {
        self.0.store(Arc::new(tenants(limits)));
    }

    fn count(&self, tenant: TenantId) -> Result<(), Problem> {
        self.0.load().check_key(&tenant).map_err(|_| {
            metrics::counter!("exarch_tenant_limited_total").increment(1);
            Problem::too_many(Duration::from_secs(1))
                .detail("Your tenant sends too many requests: send fewer, or wait a little.")
        })
    }

    /// Drops what is remembered of tenants that are silent.
    pub fn forget_idle(&self) {
        self.0.load().retain_recent();
    }
}

fn tenants(limits: &settings::Limits) -> DefaultKeyedRateLimiter<TenantId> {
    let per_minute = NonZeroU32::new(limits.tenant_per_minute).unwrap_or(NonZeroU32::MIN);
    RateLimiter::keyed(Quota::per_minute(per_minute))
}

/// The kind of a route that needs `A`.
pub const fn needs<A: Action>() -> RouteKind {
    RouteKind::Needs(A::PERMISSION)
}

/// The one 401: it never tells what was wrong with the credentials.
pub fn unauthenticated() -> Problem {
    Problem::unauthorized("unauthenticated").detail("Sign in first, or send a valid access token.")
}

fn no_tenant() -> Problem {
    Problem::forbidden("no-tenant").detail("No tenant is in force: choose one of yours first.")
}

/// Where a request came from, signed in or not.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Its id.
    pub request: RequestId,
    /// Address and user agent.
    pub source: Source,
}

const USER_AGENT: usize = 256;

impl Origin {
    /// Of the request with this head.
    pub(crate) fn of(parts: &Parts) -> Result<Self, Problem> {
        let context: Option<&RequestContext> = parts.extensions.get();
        let agent = parts.headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok());
        let peer: Option<&Peer> = parts.extensions.get();
        Ok(Self {
            request: context.map(|c| c.request_id).ok_or_else(|| {
                tracing::error!("a router is served without its standard layers");
                unauthenticated()
            })?,
            source: Source {
                address: peer.map(|peer| peer.addr.ip().to_string()),
                user_agent: agent.map(|text| text.chars().take(USER_AGENT).collect()),
            },
        })
    }

    /// An audit entry about what somebody did by this request.
    pub fn entry(
        &self,
        app: &App,
        tenant: TenantId,
        actor: Actor,
        action: &str,
        target: (&str, impl ToString),
    ) -> Entry {
        Entry::new(&app.ambient, tenant, actor, action, target.0, target.1)
            .by_request(self.request, self.source.clone())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Origin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::of(parts)
    }
}

/// A signed-in person, as handlers ask for it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Who {
    caller: Caller,
    standing: Arc<Standing>,
    origin: Origin,
    /// By a route over the federation: what is done to a tenant is then done from outside it.
    from_outside: bool,
}

/// What was found about a person.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The session in use.
    pub session: Session,
    /// Roles over the federation, with their ends.
    pub staff: Vec<(Role, Option<OffsetDateTime>)>,
    /// The place in the tenant in force.
    pub seat: Option<Seat>,
}

impl Who {
    /// Puts together what was looked up.
    pub fn new(standing: Standing, parts: &Parts, now: OffsetDateTime) -> Result<Self, Problem> {
        let staff = standing.staff.iter().map(|&(role, until)| Binding {
            role: role.into(),
            on: On::System,
            until,
        });
        let seat = standing.seat.iter().flat_map(|seat| {
            seat.roles.iter().map(|role| Binding {
                role: role.clone(),
                on: On::Tenant(seat.tenant.id),
                until: seat.until,
            })
        });
        let mut caller = Caller::of(Principal::User(standing.session.user)).session(standing.session.id);
        if let Some(seat) = &standing.seat {
            caller = caller.tenant(seat.tenant.id, seat.tenant.state);
        }
        Ok(Self {
            caller: caller.bindings(staff.chain(seat).collect::<Vec<_>>()).build(now),
            origin: Origin::of(parts)?,
            standing: Arc::new(standing),
            from_outside: false,
        })
    }

    /// As the policy sees it.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The person.
    pub fn user(&self) -> UserId {
        self.standing.session.user
    }

    /// The session in use.
    pub fn session(&self) -> &Session {
        &self.standing.session
    }

    /// The place in the tenant in force, if there is one.
    pub fn seat(&self) -> Option<&Seat> {
        self.standing.seat.as_ref()
    }

    /// The tenant in force and the break-glass by which the person is in it, of somebody who came by one.
    pub fn emergency(&self) -> Option<(TenantId, Emergency)> {
        let seat = self.seat()?;
        Some((seat.tenant.id, seat.emergency?))
    }

    /// What the person may give to others in the tenant in force.
    pub fn gives(&self) -> PermissionSet {
        self.seat().map_or(PermissionSet::EMPTY, Seat::gives)
    }

    /// Roles over the federation that have not ended.
    pub fn staff_roles(&self, now: OffsetDateTime) -> Vec<Role> {
        let alive = self
            .standing
            .staff
            .iter()
            .filter(|(_, until)| until.is_none_or(|end| now < end));
        alive.map(|(role, _)| *role).collect()
    }

    /// All roles in use, as tokens name them.
    pub fn token_roles(&self, now: OffsetDateTime) -> Vec<String> {
        memberships::role_names(self.seat(), self.staff_roles(now))
    }

    /// The tenant in force.
    pub fn tenant(&self) -> Option<TenantId> {
        self.caller.tenant()
    }

    /// Under which tenant it is kept what this person is refused.
    pub fn kept_under(&self) -> TenantId {
        self.tenant().unwrap_or(PROVIDER)
    }

    /// The tenant in force, or 403.
    ///
    /// # Errors
    /// `no-tenant`.
    pub fn tenant_in_force(&self) -> Result<TenantId, Problem> {
        self.tenant().ok_or_else(no_tenant)
    }

    /// From where the request came.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Context of a transaction in `tenant` in which this person acts. Whether they may is for [`Who::check`].
    pub fn acting_in(&self, tenant: TenantId) -> TenantContext {
        TenantContext {
            tenant,
            clusters: Clusters::All,
            actor: self.user().to_string(),
        }
    }

    /// This person in the audit.
    pub fn actor(&self) -> Actor {
        Actor::new("user", self.user())
    }

    /// An audit entry about what this person does by this request. In a tenant's audit it says so if the person did it from
    /// outside, or came in by break-glass: these rows are what the tenant reads of its provider.
    pub fn entry(&self, app: &App, tenant: TenantId, action: &str, target: (&str, impl ToString)) -> Entry {
        let mut entry = self.origin.entry(app, tenant, self.actor(), action, target);
        if self.from_outside && tenant != PROVIDER {
            entry.flags.insert(Flag::Provider);
        }
        let emergency = self.emergency().filter(|(entered, _)| *entered == tenant);
        entry.break_glass = emergency.map(|(_, emergency)| emergency.id.to_string());
        entry
    }

    /// Asks the policy. A no is logged with its story, written to the audit and told with its decision id.
    ///
    /// # Errors
    /// 402, 403 or 404 by the policy.
    pub fn check<A: Action>(&self, app: &App, target: Target) -> Result<Permit<A>, Problem> {
        policy::check(&self.caller, target).map_err(|refusal| self.refused(app, &refusal))
    }

    fn refused(&self, app: &App, refusal: &Refusal) -> Problem {
        let decision: DecisionId = app.ambient.id();
        tracing::info!(decision_id = %decision, why = %refusal.why(), "refused");
        app.refusals.push(&app.ambient, self.caller.principal(), || {
            let on = (refusal.permission().scope().as_str(), refusal.target());
            let mut entry = self.entry(app, self.kept_under(), refusal.permission().name(), on);
            entry.decision = Some(decision);
            // who is refused did nothing to the tenant
            entry.flags.remove(&Flag::Provider);
            let why = refusal.why().to_string();
            (
                entry.ended(Outcome::Denied, why),
                Some(Record::of(&self.caller, refusal)),
            )
        });
        Problem::from(refusal).decision(decision)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Who {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // a handler that asks for a caller on a route that admits anyone gets none
        parts.extensions.get().cloned().ok_or_else(unauthenticated)
    }
}
