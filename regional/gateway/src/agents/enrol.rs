//! `POST /agent/v1/enrol` and `/agent/v1/enrol/poll`: how an agent comes in. On these connections it has no certificate.
use super::{
    Wire,
    agent::{AgentState, Link},
    re_enrol::not_re_enrollable,
    sessions,
    standing::{lets_in, standing},
    store::{self, Locked, NewAgent},
    token::{BootstrapToken, TokenState, Use},
    tokens::{self, store::StoredToken},
    unauthenticated,
};
use crate::{
    app::App,
    audit::{self, Origin},
};
use axum::{extract::State, http::request::Parts};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_base::{AgentId, RegionId, Slug, TenantId};
use exarch_common_crypto::{
    pki::{self, Issued, PkiError},
    sign::{Algorithm, PublicKey},
};
use exarch_common_http::{Json, Problem, serve::Peer};
use exarch_common_pg::{Clusters, DbError, SystemTx, TenantContext, TenantTx};
use exarch_common_wire::{
    agent::{Enrol, EnrolPoll, Enrolled, Enrolment, poll_bytes},
    audit::{Actor, Entry, Outcome},
    names,
};
use serde_json::json;
use time::{Duration, format_description::well_known::Rfc3339};

/// How far the clock of an agent that polls may be off, in seconds.
const POLL_SKEW: i64 = 60;

/// Why an agent is not let in. What the holder of a genuine token is told, the audit keeps.
#[derive(Debug, thiserror::Error)]
pub(super) enum EnrolError {
    #[error("there is no such bootstrap token")]
    Unknown,
    #[error("the bootstrap token was used before")]
    Spent(Use),
    #[error("the bootstrap token was revoked")]
    Revoked,
    #[error("the bootstrap token has expired")]
    Expired,
    #[error("{0}")]
    Request(#[from] PkiError),
    #[error("the signing request is not base64url")]
    NotBase64,
    #[error("{0}")]
    Name(&'static str),
    #[error("another agent of the cluster has this name")]
    NameTaken,
    #[error("another agent runs on this host")]
    HostTaken,
    #[error("the key belongs to an agent already")]
    KeyKnown,
    #[error("the agent that the token lets in again is {}", .0.as_str())]
    NotAgain(AgentState),
    #[error("the tenant's state lets no agent in")]
    Suspended,
    #[error(transparent)]
    Db(#[from] DbError),
    #[error("{0}")]
    Not(Problem),
}

impl From<EnrolError> for Problem {
    fn from(error: EnrolError) -> Self {
        let cause = capitalized(&error.to_string());
        match error {
            EnrolError::Unknown => Problem::unauthorized("bootstrap-token-unknown")
                .detail("There is no such bootstrap token; ask for a new one and paste all of it."),
            EnrolError::Spent(first) => {
                let at = first.at.format(&Rfc3339).unwrap_or_default();
                Problem::gone("bootstrap-token-spent")
                    .detail(format!(
                        "This bootstrap token was used at {at} from {} by {}; ask for a new one, and if that was not you, \
                         have that agent revoked.",
                        first.from, first.agent
                    ))
                    .with("used_at", at)
                    .with("used_from", first.from)
                    .with("agent", first.agent)
            }
            EnrolError::Revoked => Problem::gone("bootstrap-token-revoked").detail("This bootstrap token was revoked."),
            EnrolError::Expired => {
                Problem::gone("bootstrap-token-expired").detail("This bootstrap token has expired; ask for a new one.")
            }
            EnrolError::Request(_) | EnrolError::NotBase64 => Problem::unprocessable("signing-request-refused")
                .detail(format!("{cause}."))
                .error("/csr", "is refused"),
            EnrolError::Name(reason) => Problem::unprocessable("invalid-value")
                .detail("A value in the body cannot be accepted; see errors.")
                .error("/name", reason),
            EnrolError::NameTaken => Problem::conflict("agent-name-taken")
                .detail("Another agent of this cluster has this name; choose a different one.")
                .error("/name", "is taken"),
            EnrolError::HostTaken => Problem::conflict("host-has-agent")
                .detail("Another agent runs on the host that this token is for; revoke it first."),
            EnrolError::KeyKnown => Problem::conflict("key-already-enrolled")
                .detail("This key belongs to an agent already; enrol with a new one."),
            EnrolError::NotAgain(state) => not_re_enrollable(state),
            EnrolError::Suspended => Problem::forbidden("tenant-suspended")
                .detail("The tenant's state or entitlement lets no agent in at the moment."),
            EnrolError::Db(error) => error.into(),
            EnrolError::Not(problem) => problem,
        }
    }
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// Whoever connects without a certificate; counted by address before anything else is looked at.
pub(super) struct Newcomer {
    origin: Origin,
    address: String,
}

impl axum::extract::FromRequestParts<App> for Newcomer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let peer = parts.extensions.get::<Peer>().ok_or_else(unauthenticated)?;
        app.agents.limits.address(peer.addr.ip())?;
        Ok(Self {
            origin: Origin::of(parts),
            address: peer.addr.ip().to_canonical().to_string(),
        })
    }
}

/// Enrol with a bootstrap token.
#[utoipa::path(post, path = "/agent/v1/enrol", tag = "agents", request_body = Object, responses(
    (status = 200, description = "`pending`, or `active` with certificate and first chain value", body = Object),
    (status = 401, description = "`bootstrap-token-unknown`"),
    (status = 409, description = "`agent-name-taken`, `host-has-agent` or `key-already-enrolled`"),
    (status = 410, description = "`bootstrap-token-spent` with its story, `-expired` or `-revoked`")))]
pub(super) async fn enrol(
    State(app): State<App>,
    newcomer: Newcomer,
    Wire(input): Wire<Enrol>,
) -> Result<Json<Enrolment>, Problem> {
    let token = BootstrapToken::parse(&input.token).ok_or(EnrolError::Unknown)?;
    let outcome = admit(&app, &newcomer, &token, &input).await;
    if let Err(refused) = &outcome {
        metrics::counter!("exarch_enrolments_refused_total").increment(1);
        record_refusal(&app, &newcomer, &token, refused).await?;
    }
    Ok(Json(outcome?))
}

fn context(token: &BootstrapToken) -> TenantContext {
    TenantContext {
        tenant: token.tenant,
        // the token's row says which cluster it is for, and nothing else is read
        clusters: Clusters::All,
        actor: token.id.to_string(),
    }
}

fn entry(app: &App, newcomer: &Newcomer, token: &BootstrapToken, kind: &str, id: impl ToString) -> Entry {
    let actor = Actor::new("bootstrap-token", token.id);
    newcomer
        .origin
        .stamp(Entry::new(&app.ambient, token.tenant, actor, "agent.enrol", kind, id))
}

async fn admit(app: &App, newcomer: &Newcomer, token: &BootstrapToken, input: &Enrol) -> Result<Enrolment, EnrolError> {
    let now = app.ambient.now();
    let mut tx = TenantTx::begin(&app.app_pool, &context(token)).await?;
    let stored = tokens::store::lock(&mut tx, token.id, now)
        .await?
        .filter(|stored| token.is(&stored.hash))
        .ok_or(EnrolError::Unknown)?;
    match &stored.state {
        TokenState::Open => {}
        TokenState::Spent(first) => {
            return match again(app, &mut tx, first, &stored, input).await? {
                Some(answer) => {
                    tx.commit().await?;
                    Ok(answer)
                }
                None => Err(EnrolError::Spent(first.clone())),
            };
        }
        TokenState::Revoked => return Err(EnrolError::Revoked),
        TokenState::Expired => return Err(EnrolError::Expired),
    }
    lets_in(app).map_err(EnrolError::Not)?;
    if !standing(app, token.tenant)
        .map_err(EnrolError::Not)?
        .state
        .grants_leases()
    {
        return Err(EnrolError::Suspended);
    }
    let csr = B64.decode(&input.csr).map_err(|_| EnrolError::NotBase64)?;
    let public_key = pki::check_request(&csr)?;
    if store::key_is_retired(&mut tx, &public_key).await? {
        return Err(EnrolError::KeyKnown);
    }
    let name = name_of(&stored, input)?;
    let state = match stored.auto {
        true => AgentState::Active,
        false => AgentState::Pending,
    };
    let id: AgentId = match stored.agent {
        Some(id) => {
            let agent = store::lock_agent(&mut tx, id).await?.ok_or(EnrolError::Unknown)?;
            agent.state.re_enrol().ok_or(EnrolError::NotAgain(agent.state))?;
            if agent.public_key == public_key {
                return Err(EnrolError::KeyKnown);
            }
            store::replace_key(&mut tx, id, &public_key, &csr, now)
                .await
                .map_err(taken)?;
            id
        }
        None => {
            let id = app.ambient.id();
            let new = NewAgent {
                id,
                cluster: stored.cluster,
                host: stored.host,
                name: name.as_str(),
                state,
                public_key: &public_key,
                csr: &csr,
                now,
                from: &newcomer.address,
            };
            store::insert_agent(&mut tx, new).await.map_err(taken)?;
            id
        }
    };
    let spent = Use {
        at: now,
        from: newcomer.address.clone(),
        agent: id,
    };
    tokens::store::spend(&mut tx, token.id, &spent).await?;
    let answer = match state {
        AgentState::Active => {
            let agent = Locked {
                cluster: stored.cluster,
                name: name.to_string(),
                state,
                epoch: 1,
                public_key,
                csr,
                certificate: None,
                version: 1,
            };
            Enrolment::Active(Box::new(
                hand_out(app, &mut tx, id, agent).await.map_err(EnrolError::Not)?,
            ))
        }
        _ => Enrolment::Pending { agent: id },
    };
    let after = json!({
        "token_id": token.id, "cluster_id": stored.cluster, "host_id": stored.host, "name": name, "state": state,
        "again": stored.agent.is_some(),
    });
    audit::record(&mut tx, &entry(app, newcomer, token, "agent", id).after(after)).await?;
    tx.commit().await?;
    if stored.agent.is_some() {
        app.agents.put_out(app, id, None);
    }
    Ok(answer)
}

fn taken(error: DbError) -> EnrolError {
    match error.constraint() {
        Some("agent_name_key") => EnrolError::NameTaken,
        Some("agent_host_key") => EnrolError::HostTaken,
        Some("agent_public_key_key") => EnrolError::KeyKnown,
        _ => error.into(),
    }
}

/// The answer to the one who spent the token, should it have been lost: as long as the token would have been good, for the
/// same key. Nothing for anybody else.
async fn again(
    app: &App,
    tx: &mut TenantTx,
    first: &Use,
    stored: &StoredToken,
    input: &Enrol,
) -> Result<Option<Enrolment>, EnrolError> {
    let key = B64
        .decode(&input.csr)
        .ok()
        .and_then(|csr| pki::check_request(&csr).ok());
    let agent = store::lock_agent(tx, first.agent).await?;
    let Some(agent) = agent.filter(|agent| key.as_ref() == Some(&agent.public_key)) else {
        return Ok(None);
    };
    if app.ambient.now() >= stored.expires_at {
        return Ok(None);
    }
    match agent.state {
        AgentState::Pending => Ok(Some(Enrolment::Pending { agent: first.agent })),
        AgentState::Active => {
            let handed = hand_out(app, tx, first.agent, agent).await.map_err(EnrolError::Not)?;
            Ok(Some(Enrolment::Active(Box::new(handed))))
        }
        _ => Ok(None),
    }
}

fn name_of(token: &StoredToken, input: &Enrol) -> Result<Slug, EnrolError> {
    let name = match (&token.name, &input.name) {
        (Some(bound), Some(brought)) if bound != brought => {
            return Err(EnrolError::Name("is not the one that the token is bound to"));
        }
        (Some(name), _) | (None, Some(name)) => name,
        (None, None) => return Err(EnrolError::Name("is missing, and the token names none")),
    };
    name.parse()
        .map_err(|_| EnrolError::Name("expected 1 to 63 lower-case letters, digits or inner hyphens"))
}

/// The holder of a genuine token was refused. A token that nobody made leaves no row: a flood of them is only counted.
async fn record_refusal(
    app: &App,
    newcomer: &Newcomer,
    token: &BootstrapToken,
    refused: &EnrolError,
) -> Result<(), DbError> {
    if matches!(refused, EnrolError::Unknown | EnrolError::Db(_)) {
        return Ok(());
    }
    let mut tx = TenantTx::begin(&app.app_pool, &context(token)).await?;
    let denied = entry(app, newcomer, token, "bootstrap-token", token.id).ended(Outcome::Denied, refused.to_string());
    audit::record(&mut tx, &denied).await?;
    tx.commit().await
}

/// Ask whether a person has approved; the request is signed with the key of the enrolment.
#[utoipa::path(post, path = "/agent/v1/enrol/poll", tag = "agents", request_body = Object, responses(
    (status = 200, description = "`pending`, or `active` with certificate and first chain value", body = Object),
    (status = 401, description = "`unauthenticated`: not by the key that enrolled, or not now"),
    (status = 403, description = "`agent-not-active`"),
    (status = 409, description = "`agent-already-enrolled`: it has opened a session")))]
pub(super) async fn poll_enrolment(
    State(app): State<App>,
    _newcomer: Newcomer,
    Wire(input): Wire<EnrolPoll>,
) -> Result<Json<Enrolment>, Problem> {
    let mut tx = SystemTx::begin(&app.sweep_pool, "find-agent").await?;
    let found = store::standpoint(&mut tx, input.agent).await?;
    tx.commit().await?;
    let found = found.ok_or_else(unauthenticated)?;
    let signed = B64.decode(&input.signature).is_ok_and(|signature| {
        PublicKey::from_raw(Algorithm::Es384, &found.public_key)
            .is_ok_and(|key| key.verify(&poll_bytes(input.agent, input.at), &signature))
    });
    let now = app.ambient.now().unix_timestamp();
    if !signed || now.abs_diff(input.at) > POLL_SKEW.unsigned_abs() {
        return Err(unauthenticated());
    }
    let own = TenantContext {
        tenant: found.tenant,
        clusters: Clusters::Only(vec![found.cluster]),
        actor: input.agent.to_string(),
    };
    let mut tx = TenantTx::begin(&app.app_pool, &own).await?;
    let agent = store::lock_agent(&mut tx, input.agent)
        .await?
        .ok_or_else(unauthenticated)?;
    match agent.state {
        AgentState::Pending => return Ok(Json(Enrolment::Pending { agent: input.agent })),
        AgentState::Active => {}
        other => return Err(not_active(other)),
    }
    let enrolled = hand_out(&app, &mut tx, input.agent, agent).await?;
    tx.commit().await?;
    Ok(Json(Enrolment::Active(Box::new(enrolled))))
}

/// What an agent is told of its own state, once it has proved who it is.
pub(super) fn not_active(state: AgentState) -> Problem {
    Problem::forbidden("agent-not-active")
        .detail(format!(
            "This agent is {}: it may do nothing here. A person with agent.approve or agent.revoke can say why.",
            state.as_str()
        ))
        .with("state", state)
}

/// Certificate and first link. It may be asked for again as long as no session was opened: the answer may have been lost.
/// The certificate stays the same then, the link does not, because it is not kept in clear.
async fn hand_out(app: &App, tx: &mut TenantTx, id: AgentId, agent: Locked) -> Result<Enrolled, Problem> {
    let (region, tenant): (RegionId, TenantId) = (app.region.id, tx.tenant());
    let kept = agent
        .certificate
        .filter(|(_, until)| *until - app.ambient.now() > app.settings.agents.certificate / 2);
    let certificate = match kept {
        Some((der, _)) => der,
        None => certificate(app, tx, id, &agent.csr).await?.der,
    };
    let link = Link::new(1, &app.ambient.bytes());
    if !sessions::begin_chain(tx, agent.cluster, id, link.hash()).await? {
        return Err(Problem::conflict("agent-already-enrolled")
            .detail("This agent has opened a session; its identity is not handed out a second time."));
    }
    Ok(Enrolled {
        agent: id,
        region,
        tenant,
        cluster: agent.cluster,
        name: agent.name,
        certificate: B64.encode(certificate),
        agent_ca: B64.encode(app.secrets.agent_ca().der()),
        chain: link.as_str().to_owned(),
        grant_keys: app.secrets.grant_keys(),
    })
}

/// A new certificate for the key of a request that has been checked; it is the agent's newest from now on.
pub(super) async fn certificate(app: &App, tx: &mut TenantTx, id: AgentId, csr: &[u8]) -> Result<Issued, Problem> {
    let life = Duration::try_from(app.settings.agents.certificate).map_err(|e| Problem::internal(&e))?;
    let uri = names::agent_uri(app.region.id, id);
    let issued = app.secrets.agent_ca().issue_client(&app.ambient, csr, &uri, life);
    let issued = issued.map_err(|e| Problem::internal(&e))?;
    store::set_certificate(tx, id, &issued.der, issued.not_after).await?;
    Ok(issued)
}
