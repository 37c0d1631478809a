//! Who an agent's request is from.
use super::token;
use crate::{
    agents::{
        AgentCaller,
        agent::AgentState,
        limits::SessionRoute,
        store::{self, Standpoint},
        unauthenticated,
    },
    app::App,
    audit::Origin,
};
use axum::http::{header, request::Parts};
use exarch_common_base::{AgentId, BootTime};
use exarch_common_crypto::{pki, tls};
use exarch_common_http::{Problem, serve::Peer};
use exarch_common_pg::{DbError, SystemTx};
use exarch_common_wire::{agent::CERTIFICATE_PATH, names};
use moka::sync::Cache;
use std::{sync::Arc, time::Duration};

/// How long what was read of an agent is believed, from before it was asked for: a second everywhere, with some left.
const BELIEVED: Duration = Duration::from_millis(900);

/// What this replica has read of agents a moment ago.
pub(in crate::agents) struct Memory(Cache<AgentId, Arc<Remembered>>);

struct Remembered {
    asked: BootTime,
    standpoint: Standpoint,
}

impl Default for Memory {
    fn default() -> Self {
        let cache = Cache::builder().max_capacity(100_000);
        Self(cache.time_to_live(Duration::from_secs(2)).build())
    }
}

impl Memory {
    /// Forgets one agent: something was taken from it.
    pub(in crate::agents) fn forget(&self, agent: AgentId) {
        self.0.invalidate(&agent);
    }

    /// Forgets all: another replica has taken something from one.
    pub(in crate::agents) fn forget_all(&self) {
        self.0.invalidate_all();
    }

    fn recall(&self, app: &App, agent: AgentId) -> Option<Arc<Remembered>> {
        let now = app.ambient.boot();
        self.0.get(&agent).filter(|known| now.since(known.asked) <= BELIEVED)
    }

    async fn learn(&self, app: &App, agent: AgentId) -> Result<Option<Arc<Remembered>>, DbError> {
        let asked = app.ambient.boot();
        let mut tx = SystemTx::begin(&app.sweep_pool, "find-agent").await?;
        let found = store::standpoint(&mut tx, agent).await?;
        tx.commit().await?;
        let known = found.map(|standpoint| Arc::new(Remembered { asked, standpoint }));
        match &known {
            Some(known) => self.0.insert(agent, known.clone()),
            None => self.0.invalidate(&agent),
        }
        Ok(known)
    }
}

/// Authenticates an agent's request: certificate, token, and that neither was taken from it.
///
/// # Errors
/// One and the same 401, whichever factor is wrong; 503 when the database cannot be asked.
pub async fn authenticate(app: &App, parts: &Parts) -> Result<AgentCaller, Problem> {
    let (id, certificate) = certified(app, parts)?;
    let token = bearer(parts).ok_or_else(unauthenticated)?;
    let claims = token::verify(app, token, id, &certificate.thumbprint).ok_or_else(refused)?;
    let lives = |known: &Standpoint| {
        known.state == AgentState::Active
            && known.epoch == claims.epo
            && known.public_key == certificate.public_key
            && known.jti.as_deref() == Some(&claims.jti)
    };
    let recalled = app
        .agents
        .memory
        .recall(app, id)
        .filter(|known| lives(&known.standpoint));
    let known = match recalled {
        Some(known) => known,
        // Not known, or known otherwise: another replica may have opened this session a moment ago.
        None => app.agents.memory.learn(app, id).await?.ok_or_else(refused)?,
    };
    if !lives(&known.standpoint) {
        return Err(refused());
    }
    Ok(AgentCaller {
        id,
        tenant: known.standpoint.tenant,
        cluster: known.standpoint.cluster,
        name: known.standpoint.name.clone(),
        incarnation: claims.inc,
        origin: Origin::of(parts),
    })
}

/// An agent with its certificate and no token yet: it opens a session.
pub(in crate::agents) struct Certified {
    pub(in crate::agents) id: AgentId,
    pub(in crate::agents) certificate: pki::Peer,
    pub(in crate::agents) origin: Origin,
    pub(super) address: String,
}

impl Certified {
    /// Of a request to `route`, which is counted.
    pub(super) fn of(app: &App, parts: &Parts, route: SessionRoute) -> Result<Self, Problem> {
        let (id, certificate) = certified(app, parts)?;
        Self::counted(app, parts, route, id, certificate)
    }

    /// Of a request to renew the certificate. While that is in time both factors are asked for; afterwards there can be no
    /// session, and the certificate and its key must do.
    pub(in crate::agents) async fn renewing(app: &App, parts: &Parts) -> Result<Self, Problem> {
        let (id, certificate) = shown(app, parts).ok_or_else(refused)?;
        let agent = Self::counted(app, parts, SessionRoute::Renew, id, certificate)?;
        if !agent.is_over(app) {
            authenticate(app, parts).await?;
        } else if app.ambient.now() - certificate.not_after > tls::RENEWABLE {
            return Err(refused());
        }
        Ok(agent)
    }

    fn counted(
        app: &App,
        parts: &Parts,
        route: SessionRoute,
        id: AgentId,
        certificate: &pki::Peer,
    ) -> Result<Self, Problem> {
        let peer = parts.extensions.get::<Peer>().ok_or_else(unauthenticated)?;
        app.agents.limits.session(id, route, peer.addr.ip())?;
        Ok(Self {
            id,
            certificate: certificate.clone(),
            origin: Origin::of(parts),
            address: peer.addr.ip().to_canonical().to_string(),
        })
    }

    /// Whether the time of its certificate is over.
    pub(in crate::agents) fn is_over(&self, app: &App) -> bool {
        over(app, &self.certificate)
    }

    /// What the region knows of the agent, read now.
    pub(in crate::agents) async fn standpoint(&self, app: &App) -> Result<Standpoint, Problem> {
        let known = app.agents.memory.learn(app, self.id).await?.ok_or_else(refused)?;
        let standpoint = &known.standpoint;
        if standpoint.public_key != self.certificate.public_key {
            return Err(refused());
        }
        Ok(standpoint.clone())
    }
}

/// The agent of the connection's certificate, which TLS has verified: one name, of this region, for a client, in time.
fn certified<'a>(app: &App, parts: &'a Parts) -> Result<(AgentId, &'a pki::Peer), Problem> {
    let (id, certificate) = shown(app, parts).ok_or_else(refused)?;
    match over(app, certificate) {
        true => Err(refused()),
        false => Ok((id, certificate)),
    }
}

/// As [`certified`], of a certificate that may be over.
fn shown<'a>(app: &App, parts: &'a Parts) -> Option<(AgentId, &'a pki::Peer)> {
    let certificate = parts.extensions.get::<Peer>().and_then(Peer::certificate)?;
    let id = agent_of(app, certificate)?;
    (certificate.not_before <= app.ambient.now()).then_some((id, certificate))
}

fn over(app: &App, certificate: &pki::Peer) -> bool {
    certificate.not_after <= app.ambient.now()
}

/// The agent that a certificate names, whether or not its time is over; nobody when it is not of this region.
pub(in crate::agents) fn agent_of(app: &App, certificate: &pki::Peer) -> Option<AgentId> {
    let (region, agent) = names::parse_agent_uri(certificate.identity()?)?;
    (region == app.region.id).then_some(agent)
}

/// Refuses what is asked on a connection whose certificate is over: there it can be renewed, and nothing else.
///
/// # Errors
/// 401 `certificate-expired`.
pub fn in_time(app: &App, parts: &Parts) -> Result<(), Problem> {
    match shown(app, parts) {
        Some((_, certificate)) if over(app, certificate) && parts.uri.path() != CERTIFICATE_PATH => {
            metrics::counter!("exarch_agent_requests_refused_total").increment(1);
            Err(Problem::unauthorized("certificate-expired")
                .detail("The certificate has expired: on this connection it can be renewed, and nothing else."))
        }
        _ => Ok(()),
    }
}

fn bearer(parts: &Parts) -> Option<&str> {
    let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
    let (value, more) = (values.next()?, values.next());
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    (more.is_none() && scheme.eq_ignore_ascii_case("bearer")).then_some(token)
}

fn refused() -> Problem {
    metrics::counter!("exarch_agent_requests_refused_total").increment(1);
    unauthenticated()
}
