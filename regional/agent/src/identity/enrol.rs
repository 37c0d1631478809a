//! Becoming an agent: a bootstrap token and a signing request go out, a certificate comes back.
use super::state::{Identity, State, StateError};
use axum::http::{Request, header};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_base::{Ambient, ExposeSecret, SecretString, backoff::jitter};
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
    agent::{Enrol, EnrolPoll, Enrolment, poll_bytes},
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
    /// An answer that cannot be read.
    #[error("the gateway's answer cannot be read; is it an Exarch gateway of this version?")]
    Answer,
}

/// Enrols this host; waits while a person has to approve. The token is spent by the first good answer.
///
/// # Errors
/// [`EnrolError`]; nothing was kept but the key.
pub async fn enrol(ambient: &Ambient, state: &State, offer: Offer) -> Result<Identity, EnrolError> {
    state.must_be_new()?;
    let key = state.key()?;
    let authority = offer
        .gateway
        .strip_prefix("https://")
        .map(|a| a.trim_end_matches('/').to_owned());
    let authority = authority.ok_or_else(|| EnrolError::Address(offer.gateway.clone()))?;
    let request = Enrol {
        token: offer.token.expose_secret().to_owned(),
        csr: B64.encode(pki::request(&key)?),
        name: offer.name.clone(),
        protocol: PROTOCOL,
    };
    let mut answer: Enrolment = call(&authority, offer.pin, "/agent/v1/enrol", &request).await?;
    loop {
        match answer {
            Enrolment::Active(enrolled) => {
                let identity = Identity::new(offer.gateway, &enrolled);
                state.keep(&identity, &enrolled.chain)?;
                return Ok(identity);
            }
            Enrolment::Pending { agent } => {
                tracing::info!(%agent, "waiting for a person to approve this agent");
                tokio::time::sleep(jitter(ambient, Duration::from_secs(2), Duration::from_secs(4))).await;
                answer = call(
                    &authority,
                    offer.pin,
                    "/agent/v1/enrol/poll",
                    &poll(ambient, &key, agent)?,
                )
                .await?;
            }
        }
    }
}

fn poll(ambient: &Ambient, key: &SigningKey, agent: exarch_common_base::AgentId) -> Result<EnrolPoll, PkiError> {
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
