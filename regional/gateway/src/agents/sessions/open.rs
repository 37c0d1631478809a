//! `POST /agent/v1/session`.
use super::{
    authenticate::Certified,
    store::{self as chains, Opened, StoredChain},
    token,
};
use crate::{
    agents::{
        Wire,
        agent::{AgentState, Link, Turn},
        enrol::not_active,
        limits::SessionRoute,
        store::{self, Standpoint},
        unauthenticated,
    },
    app::App,
    audit,
};
use axum::{extract::State, http::request::Parts};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_crypto::{
    hash::sha256,
    seal::Place,
    sign::{Algorithm, PublicKey},
};
use exarch_common_http::{Json, Problem};
use exarch_common_pg::{Clusters, TenantContext, TenantTx};
use exarch_common_wire::{
    agent::{OpenSession, SessionOpened, session_bytes},
    audit::{Actor, Entry, Outcome},
};
use serde_json::json;

/// Characters of each text at most.
const MAX_TEXT: usize = 128;

/// Counted before anything else is looked at.
pub(in crate::agents) struct Opening(Certified);

impl axum::extract::FromRequestParts<App> for Opening {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        Certified::of(app, parts, SessionRoute::Open).map(Self)
    }
}

/// Open a session: the next link of the chain, signed.
#[utoipa::path(post, path = "/agent/v1/session", tag = "agents", request_body = Object, responses(
    (status = 200, description = "Session token and next chain value", body = Object),
    (status = 401, description = "`unauthenticated`"),
    (status = 403, description = "`agent-not-active`, `agent-quarantined`"),
    (status = 409, description = "`challenge-unknown`: the chain value is unspent, sign it again with a new challenge; \
     `chain-unknown`, `chain-ahead`: this region never gave out the value")))]
pub(in crate::agents) async fn open_session(
    State(app): State<App>,
    Opening(agent): Opening,
    Wire(input): Wire<OpenSession>,
) -> Result<Json<SessionOpened>, Problem> {
    let (link, request) = verified(&agent, &input).ok_or_else(unauthenticated)?;
    let known = agent.standpoint(&app).await?;
    let own = TenantContext {
        tenant: known.tenant,
        clusters: Clusters::Only(vec![known.cluster]),
        actor: agent.id.to_string(),
    };
    let mut tx = TenantTx::begin(&app.app_pool, &own).await?;
    let locked = store::lock_agent(&mut tx, agent.id)
        .await?
        .ok_or_else(unauthenticated)?;
    if locked.state != AgentState::Active {
        return Err(not_active(locked.state));
    }
    let stored = chains::lock_chain(&mut tx, agent.id)
        .await?
        .ok_or_else(unauthenticated)?;
    match stored.chain.judge(&link, &request) {
        Turn::Next => next(&app, tx, &agent, &input, &stored, locked.epoch, request).await,
        Turn::Repeat => repeat(&app, &agent, &stored),
        Turn::Copied => Err(quarantine(&app, tx, &agent, &known, locked.state, &stored).await?),
        Turn::Ahead => {
            tracing::error!(agent.id = %agent.id, "an agent shows a chain value that this region has yet to give out");
            Err(Problem::conflict("chain-ahead").detail(
                "This region has not given out this chain value: it may have been restored from a backup; enrol again.",
            ))
        }
        Turn::Foreign => Err(Problem::conflict("chain-unknown")
            .detail("This region has given out another chain value; if it was lost, enrol again.")),
    }
}

/// Link and hash of a request that the key of the certificate has signed. What stands between the lines of the signed text
/// must hold no line end of its own.
fn verified(agent: &Certified, input: &OpenSession) -> Option<(Link, [u8; 32])> {
    let plain = |text: &str| (1..=MAX_TEXT).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    if !plain(&input.challenge) || !plain(&input.request_id) {
        return None;
    }
    let link = Link::parse(&input.chain)?;
    let signature = B64.decode(&input.signature).ok()?;
    let key = PublicKey::from_raw(Algorithm::Es384, &agent.certificate.public_key).ok()?;
    let mut text = session_bytes(&input.challenge, &input.chain, &input.incarnation, &input.request_id);
    if !key.verify(&text, &signature) {
        return None;
    }
    text.extend_from_slice(&signature);
    Some((link, sha256(&text)))
}

async fn next(
    app: &App,
    mut tx: TenantTx,
    agent: &Certified,
    input: &OpenSession,
    stored: &StoredChain,
    epoch: i64,
    request: [u8; 32],
) -> Result<Json<SessionOpened>, Problem> {
    let now = app.ambient.now();
    if !chains::take_challenge(&mut tx, agent.id, sha256(input.challenge.as_bytes()), now).await? {
        return Err(Problem::conflict("challenge-unknown")
            .detail("The challenge was used or is over; get a new one and sign the same chain value with it."));
    }
    let key = app.secrets.session_key();
    let thumbprint = &agent.certificate.thumbprint;
    let claims = token::claims(app, agent.id, input.incarnation.clone(), epoch, thumbprint, now);
    let link = Link::new(stored.chain.after(), &app.ambient.bytes());
    let opened = SessionOpened {
        token: token::sign(key, &claims),
        expires_in: token::LIFE.whole_seconds().unsigned_abs(),
        chain: link.as_str().to_owned(),
    };
    let row = agent.id.to_string();
    let plain = serde_json::to_vec(&opened).map_err(|e| Problem::internal(&e))?;
    let answer = token::answers(key).seal(&app.ambient, place(&row), &plain);
    let leaves = Opened {
        chain: stored.chain.follow(request, &link),
        request,
        answer: &answer,
        from: &agent.address,
        at: now,
        jti: &claims.jti,
        jti_until: now + token::LIFE,
    };
    chains::advance(&mut tx, agent.id, leaves).await?;
    tx.commit().await?;
    app.agents.memory.forget(agent.id);
    Ok(Json(opened))
}

/// The answer that was lost, as it was.
fn repeat(app: &App, agent: &Certified, stored: &StoredChain) -> Result<Json<SessionOpened>, Problem> {
    let sealed = stored.answer.as_deref().ok_or_else(unauthenticated)?;
    let row = agent.id.to_string();
    let plain = token::answers(app.secrets.session_key())
        .open(place(&row), sealed)
        .map_err(|e| Problem::internal(&e))?;
    serde_json::from_slice(&plain)
        .map(Json)
        .map_err(|e| Problem::internal(&e))
}

/// The identity was used from two places. Which of them is the genuine one nobody can tell from here: neither goes on.
async fn quarantine(
    app: &App,
    mut tx: TenantTx,
    agent: &Certified,
    known: &Standpoint,
    before: AgentState,
    stored: &StoredChain,
) -> Result<Problem, Problem> {
    let after = before.quarantine().ok_or_else(|| not_active(before))?;
    store::put_out(&mut tx, agent.id, after).await?;
    let first = stored.opened_from.as_deref().unwrap_or("an unknown address");
    let why = format!(
        "the identity was used from {} after it had been used from {first}: it was copied, or restored from an old state",
        agent.address
    );
    let actor = Actor::system("session-chain");
    let entry = Entry::new(&app.ambient, known.tenant, actor, "agent.quarantine", "agent", agent.id)
        .ended(Outcome::Ok, why)
        .before(json!({ "state": before, "address": first }))
        .after(json!({ "state": after, "address": agent.address }));
    audit::record(&mut tx, &agent.origin.stamp(entry)).await?;
    tx.commit().await?;
    app.agents.put_out(app, agent.id, None);
    metrics::counter!("exarch_agents_quarantined_total").increment(1);
    // The one line with addresses: whoever reads the alarm must go to both.
    tracing::error!(agent.id = %agent.id, first, second = agent.address,
        "the identity of an agent exists twice; both are quarantined until it is enrolled again on the genuine host");
    Ok(Problem::forbidden("agent-quarantined").detail(
        "This identity was used from two places and is quarantined; a person has to find out which one is genuine, and \
         enrol it again: exarch agent re-enrol.",
    ))
}

fn place(row: &str) -> Place<'_> {
    Place {
        table: "gw.agent_session",
        column: "answer",
        row,
    }
}
