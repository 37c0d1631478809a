//! Becoming an agent: a bootstrap token and a signing request go out, a certificate comes back.
use super::state::{Identity, State, StateError, Waiting};
use axum::http::{Request, header};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_base::{
    AgentId, Ambient, ExposeSecret, SecretString,
    backoff::{Backoff, jitter},
};
use exarch_common_crypto::{
    pki::{self, Pin, PkiError},
    sign::SigningKey,
    tls,
};
use exarch_common_http::{
    ProblemDocument,
    tunnel::{CallError, DialError, H2Client, dial},
};
use exarch_common_wire::{
    PROTOCOL,
    agent::{Enrol, EnrolPoll, Enrolled, Enrolment, poll_bytes},
    names::ALPN_ENROL,
};
use http_body_util::Full;
use serde::Serialize;
use std::{sync::Arc, time::Duration};

const TIMEOUT: Duration = Duration::from_secs(15);

/// What a person pastes.
pub struct Offer {
    /// `https://host:port`.
    pub gateway: String,
    /// Those of its other replicas, asked in turn while none is reached.
    pub other_gateways: Vec<String>,
    /// Fingerprint of the region's agent authority.
    pub pin: Pin,
    /// The bootstrap token.
    pub token: SecretString,
    /// Name of the agent, unless the token gives it.
    pub name: Option<String>,
}

/// Why a host is not enrolled.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// Key, request or pin.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The address is none.
    #[error("{0} is no address of the form https://host:port")]
    Address(String),
    /// No connection, or the authority is not the pinned one.
    #[error("cannot connect to {0}: {1}")]
    Dial(String, DialError),
    /// The connection broke.
    #[error("the gateway did not answer: {0}")]
    Call(#[from] CallError),
    /// The connection could not be used.
    #[error("the gateway does not speak HTTP/2: {0}")]
    Http(String),
    /// The gateway said no, and why.
    #[error("{0}")]
    Refused(Box<ProblemDocument>),
    /// The token was not made for this host.
    #[error("the token does not let {0} in again; make one for it: exarch agent re-enrol")]
    Another(AgentId),
    /// An answer that cannot be read.
    #[error("the gateway's answer cannot be read; is it an Exarch gateway of this version?")]
    Answer,
}

impl EnrolError {
    /// Whether it may be otherwise in a while.
    fn may_pass(&self) -> bool {
        match self {
            Self::Dial(..) | Self::Call(_) | Self::Http(_) | Self::Answer => true,
            Self::Refused(problem) => problem.status == 429 || problem.status >= 500,
            Self::State(_) | Self::Pki(_) | Self::Address(_) | Self::Another(_) => false,
        }
    }
}

/// Enrols this host; waits while a person has to approve. Whoever runs it again with the same token, within the life of the
/// token, goes on where it was.
///
/// # Errors
/// [`EnrolError`]; nothing was kept but the key, and that a person has to approve.
pub async fn enrol(ambient: &Ambient, state: &State, offer: Offer) -> Result<Identity, EnrolError> {
    state.must_be_new()?;
    if let Some(waiting) = state.waiting()?.filter(|waiting| waiting.gateway == offer.gateway) {
        match wait(ambient, state, waiting).await {
            // it came to nothing, and this is another attempt
            Err(EnrolError::Refused(_)) => state.forget_waiting()?,
            other => return other,
        }
    }
    let key = state.key()?;
    match ask(&offer, &key).await? {
        Enrolment::Active(enrolled) => keep(state, offer.gateway, offer.other_gateways, &enrolled, false),
        Enrolment::Pending { agent } => {
            let waiting = Waiting {
                gateway: offer.gateway,
                other_gateways: offer.other_gateways,
                pin: offer.pin.to_string(),
                agent,
            };
            state.keep_waiting(&waiting)?;
            wait(ambient, state, waiting).await
        }
    }
}

/// Enrols this host again, under the id that it had and with another key: its identity was copied, or it lost its place in
/// the chain of sessions.
///
/// # Errors
/// [`EnrolError`]; the identity stays what it was.
pub async fn enrol_again(state: &State, offer: Offer) -> Result<Identity, EnrolError> {
    let before = state.identity()?;
    let key = state.next_key()?;
    match ask(&offer, &key).await? {
        Enrolment::Active(enrolled) if enrolled.agent == before.agent => {
            keep(state, offer.gateway, offer.other_gateways, &enrolled, true)
        }
        Enrolment::Active(_) | Enrolment::Pending { .. } => Err(EnrolError::Another(before.agent)),
    }
}

/// Waits for the approval of an enrolment that an earlier process began; nothing when there is none.
///
/// # Errors
/// [`EnrolError`].
pub async fn approved(ambient: &Ambient, state: &State) -> Result<Option<Identity>, EnrolError> {
    match state.waiting()? {
        Some(waiting) => wait(ambient, state, waiting).await.map(Some),
        None => Ok(None),
    }
}

fn keep(
    state: &State,
    gateway: String,
    others: Vec<String>,
    enrolled: &Enrolled,
    another_key: bool,
) -> Result<Identity, EnrolError> {
    let identity = Identity::new(gateway, others, enrolled);
    state.keep(&identity, &enrolled.chain, another_key)?;
    Ok(identity)
}

fn authority(gateway: &str) -> Result<&str, EnrolError> {
    let authority = gateway.strip_prefix("https://").map(|a| a.trim_end_matches('/'));
    authority.ok_or_else(|| EnrolError::Address(gateway.to_owned()))
}

async fn ask(offer: &Offer, key: &SigningKey) -> Result<Enrolment, EnrolError> {
    let request = Enrol {
        token: offer.token.expose_secret().to_owned(),
        csr: B64.encode(pki::request(key)?),
        name: offer.name.clone(),
        protocol: PROTOCOL,
    };
    call_one_of(
        &offer.gateway,
        &offer.other_gateways,
        offer.pin,
        "/agent/v1/enrol",
        &request,
    )
    .await
}

/// Calls the first gateway that can be reached. Only a call that never left is made again.
async fn call_one_of(
    gateway: &str,
    others: &[String],
    pin: Pin,
    path: &str,
    body: &impl Serialize,
) -> Result<Enrolment, EnrolError> {
    let mut outcome = call(authority(gateway)?, pin, path, body).await;
    for other in others {
        if !matches!(outcome, Err(EnrolError::Dial(..))) {
            break;
        }
        outcome = call(authority(other)?, pin, path, body).await;
    }
    outcome
}

/// Polls until a person has decided. Silence of the gateway decides nothing.
async fn wait(ambient: &Ambient, state: &State, waiting: Waiting) -> Result<Identity, EnrolError> {
    let (key, pin) = (state.key()?, waiting.pin.parse()?);
    let mut backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(30));
    tracing::info!(agent = %waiting.agent, "waiting for a person to approve this agent");
    loop {
        let body = poll(ambient, &key, waiting.agent)?;
        let (first, others) = (&waiting.gateway, &waiting.other_gateways);
        let pause = match call_one_of(first, others, pin, "/agent/v1/enrol/poll", &body).await {
            Ok(Enrolment::Active(enrolled)) => {
                return keep(state, waiting.gateway, waiting.other_gateways, &enrolled, false);
            }
            Ok(Enrolment::Pending { .. }) => {
                backoff.reset();
                jitter(ambient, Duration::from_secs(2), Duration::from_secs(4))
            }
            Err(e) if e.may_pass() => {
                tracing::warn!(error = %e, "the gateway does not say whether this agent is approved");
                backoff.next(ambient)
            }
            Err(e) => return Err(e),
        };
        tokio::time::sleep(pause).await;
    }
}

fn poll(ambient: &Ambient, key: &SigningKey, agent: AgentId) -> Result<EnrolPoll, PkiError> {
    let at = ambient.now().unix_timestamp();
    Ok(EnrolPoll {
        agent,
        at,
        signature: B64.encode(key.sign(&poll_bytes(agent, at))?),
    })
}

async fn call(authority: &str, pin: Pin, path: &str, body: &impl Serialize) -> Result<Enrolment, EnrolError> {
    let host = authority
        .rsplit_once(':')
        .map_or(authority, |(host, _)| host)
        .trim_matches(['[', ']']);
    let tls = Arc::new(tls::pinned_client_config(pin, &[ALPN_ENROL])?);
    let dialled = dial(authority, host, tls)
        .await
        .map_err(|e| EnrolError::Dial(authority.into(), e))?;
    let client = H2Client::dialled(dialled)
        .await
        .map_err(|e| EnrolError::Http(e.to_string()))?;
    let body = serde_json::to_vec(body).map_err(|_| EnrolError::Answer)?;
    let request = Request::post(format!("https://{authority}{path}"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(body.into()))
        .map_err(|_| EnrolError::Address(authority.into()))?;
    let answer = client.request(request, TIMEOUT).await?;
    client.close();
    if answer.status().is_success() {
        return serde_json::from_slice(answer.body()).map_err(|_| EnrolError::Answer);
    }
    let problem = serde_json::from_slice(answer.body()).map_err(|_| EnrolError::Answer)?;
    Err(EnrolError::Refused(Box::new(problem)))
}
