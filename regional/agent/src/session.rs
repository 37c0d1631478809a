//! The second factor: a short token, renewed along a chain of which a copy can be told from the original.
//!
//! Each session uses up one value of the chain and brings the next. The signed request is on disk before it is sent, and
//! the same bytes go out again after a time-out or a restart; the gateway answers them with the same answer. Other bytes
//! at a used position mean that somebody else has our key, and both are shut out.
use crate::identity::{Identity, State, StateError};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_base::{Ambient, SecretString, backoff::Backoff, backoff::jitter};
use exarch_common_crypto::{
    pki::PkiError,
    sign::{KeyError, SigningKey},
    tls::{self, Identity as TlsIdentity},
};
use exarch_common_http::client::{ApiClient, ClientError, ClientTls};
use exarch_common_wire::{
    agent::{Challenge, OpenSession, SessionOpened, session_bytes},
    grant::Incarnation,
    names::ALPN_AGENT,
};
use serde_json::json;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// The certificate or key.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The key did not sign.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The gateway is away, or said no.
    #[error(transparent)]
    Call(#[from] ClientError),
}

/// The link to the gateway: one TLS connection with many streams, and the session token in force on it.
#[derive(Clone, Debug)]
pub struct Link {
    client: ApiClient,
    token: watch::Receiver<Option<SecretString>>,
}

impl Link {
    /// A client with the token in force; waits for the first one.
    pub async fn client(&self) -> ApiClient {
        let mut token = self.token.clone();
        // The sender lives as long as the process; a closed channel means that we are stopping, and any answer will do.
        let current = token.wait_for(Option::is_some).await.ok().and_then(|t| t.clone());
        match current {
            Some(token) => self.client.clone().bearer(token),
            None => self.client.clone(),
        }
    }
}

/// Keeps a session open.
pub struct Session {
    ambient: Ambient,
    state: State,
    key: SigningKey,
    incarnation: Incarnation,
    client: ApiClient,
    token: watch::Sender<Option<SecretString>>,
}

impl Session {
    /// Prepares the link of an enrolled agent. Nothing is sent yet.
    ///
    /// # Errors
    /// The identity is damaged.
    pub fn new(ambient: Ambient, state: State, identity: &Identity) -> Result<(Self, Link), SessionError> {
        let key = state.key()?;
        let (tls, ca): (TlsIdentity, _) = crate::identity::tls_identity(identity, &key)?;
        let config = tls::client_config(&[ca], Some(&tls), &[ALPN_AGENT])?;
        let client = ApiClient::new(&identity.gateway, ClientTls::Private(Box::new(config)))?;
        let (token, receiver) = watch::channel(None);
        let link = Link {
            client: client.clone(),
            token: receiver,
        };
        let incarnation = Incarnation::new(ambient.bytes());
        Ok((
            Self {
                ambient,
                state,
                key,
                incarnation,
                client,
                token,
            },
            link,
        ))
    }

    /// This start of the process.
    pub fn incarnation(&self) -> &Incarnation {
        &self.incarnation
    }

    /// The state directory.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Opens one session and puts its token in force.
    ///
    /// # Errors
    /// [`SessionError`]; the request is kept and goes out again, unless the gateway never used it.
    pub async fn open(&self) -> Result<Duration, SessionError> {
        if let Some(request) = self.state.session_request()? {
            let ours = request.incarnation == self.incarnation;
            match self.send(&request).await {
                Ok(opened) if ours => return Ok(self.in_force(opened)),
                // An earlier start of this process never read this answer; its token is of no use to us.
                Ok(_) => {}
                // Its challenge died unused, and so the chain's value is still good.
                Err(SessionError::Call(ClientError::Problem(p))) if p.document.slug().starts_with("challenge-") => {
                    self.state.forget_session_request()?;
                }
                Err(e) => return Err(e),
            }
        }
        let challenge: Challenge = self.client.post("/agent/v1/session/challenge", &json!({})).await?;
        let chain = self.state.chain()?;
        let request_id = B64.encode(self.ambient.bytes::<16>());
        let message = session_bytes(&challenge.challenge, &chain, &self.incarnation, &request_id);
        let request = OpenSession {
            signature: B64.encode(self.key.sign(&message)?),
            challenge: challenge.challenge,
            chain,
            incarnation: self.incarnation.clone(),
            request_id,
        };
        self.state.keep_session_request(&request)?;
        Ok(self.in_force(self.send(&request).await?))
    }

    async fn send(&self, request: &OpenSession) -> Result<SessionOpened, SessionError> {
        let opened: SessionOpened = self.client.post("/agent/v1/session", request).await?;
        self.state.advance(&opened.chain)?;
        Ok(opened)
    }

    fn in_force(&self, opened: SessionOpened) -> Duration {
        self.token.send_replace(Some(SecretString::from(opened.token)));
        Duration::from_secs(opened.expires_in)
    }

    /// Opens a session each half life of the token, sooner after failures, until told to stop.
    pub async fn keep_open(self: std::sync::Arc<Self>, stop: CancellationToken) {
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(15));
        loop {
            let wait = match self.open().await {
                Ok(life) => {
                    backoff.reset();
                    jitter(&self.ambient, life * 4 / 10, life / 2)
                }
                Err(e) => {
                    tracing::warn!(error = %e, "no session with the gateway");
                    backoff.next(&self.ambient)
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }
}
