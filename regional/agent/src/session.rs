//! The second factor: a short token, renewed along a chain of which a copy can be told from the original.
//!
//! Each session uses up one value of the chain and brings the next. The signed request is on disk before it is sent, and
//! the same bytes go out again after a time-out or a restart; the gateway answers them with the same answer. Other bytes
//! at a used position mean that somebody else has our key, and both are shut out.
//!
//! The first factor, the certificate, is renewed here as well: after a third of its life, on the connection that it opened,
//! and kept on disk before it is shown to anybody. A crash in between leaves one of two certificates, both of them good.
use crate::identity::{Certificate, CertificateError, Identity, State, StateError};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_base::{Ambient, SecretString, backoff::Backoff, backoff::jitter};
use exarch_common_crypto::{
    pki::{self, PkiError},
    sign::{KeyError, SigningKey},
    tls,
};
use exarch_common_http::client::{ApiClient, ClientError, ClientTls};
use exarch_common_wire::{
    agent::{
        CERTIFICATE_PATH, Challenge, OpenSession, RenewCertificate, RenewedCertificate, SessionOpened, session_bytes,
    },
    grant::Incarnation,
    names::ALPN_AGENT,
};
use serde_json::json;
use std::{
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// Between two looks at a certificate whose renewal is due.
const LOOK: Duration = Duration::from_secs(30);
/// Between two looks at the clocks while nothing is to be done: a timer stops while the host sleeps, and says nothing of it.
const GLANCE: Duration = Duration::from_secs(2);
/// Before another session, where the gateway did not know the one in force.
const REFUSED: Duration = Duration::from_secs(2);

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// The certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
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

impl SessionError {
    fn is(&self, slug: &str) -> bool {
        match self {
            Self::Call(e) => e.problem().is_some_and(|p| p.slug() == slug),
            _ => false,
        }
    }
}

/// A client with the newest certificate and the token in force.
#[derive(Clone, Debug)]
pub struct Live {
    client: ApiClient,
    session: u64,
}

impl Deref for Live {
    type Target = ApiClient;

    fn deref(&self) -> &ApiClient {
        &self.client
    }
}

/// The link to the gateway: one TLS connection with many streams, and the session token in force on it.
#[derive(Clone, Debug)]
pub struct Link {
    bare: ApiClient,
    live: watch::Receiver<Option<Live>>,
    refused: Arc<Notify>,
}

impl Link {
    /// A client with the token in force; waits for the first one.
    pub async fn client(&self) -> Live {
        let mut live = self.live.clone();
        // The sender lives as long as the process; a closed channel means that we are stopping, and any answer will do.
        let current = live.wait_for(Option::is_some).await.ok().and_then(|live| live.clone());
        current.unwrap_or_else(|| Live {
            client: self.bare.clone(),
            session: 0,
        })
    }

    /// For tests without a session.
    #[cfg(test)]
    pub(crate) fn of(client: ApiClient) -> Self {
        let live = Live {
            client: client.clone(),
            session: 1,
        };
        Self {
            bare: client,
            live: watch::channel(Some(live)).1,
            refused: Arc::default(),
        }
    }

    /// Hears what became of a call: a token that the gateway does not know, although it is the newest, is replaced soon, and so
    /// is a certificate that is over.
    pub fn heed(&self, with: &Live, error: &ClientError) {
        let gone = error
            .problem()
            .is_some_and(|p| matches!(p.slug(), "unauthenticated" | "certificate-expired"));
        let newest = self
            .live
            .borrow()
            .as_ref()
            .is_some_and(|live| live.session == with.session);
        if gone && newest {
            self.refused.notify_one();
        }
    }
}

/// What the gateway is shown.
#[derive(Clone)]
struct Shown {
    certificate: Certificate,
    client: ApiClient,
}

/// Keeps a session open, and the certificate young.
pub struct Session {
    ambient: Ambient,
    state: State,
    key: SigningKey,
    incarnation: Incarnation,
    identity: Identity,
    shown: Mutex<Shown>,
    live: watch::Sender<Option<Live>>,
    refused: Arc<Notify>,
}

impl Session {
    /// Prepares the link of an enrolled agent. Nothing is sent yet.
    ///
    /// # Errors
    /// The identity is damaged.
    pub fn new(ambient: Ambient, state: State, identity: &Identity) -> Result<(Self, Link), SessionError> {
        let key = state.key()?;
        let certificate = Certificate::of(identity)?;
        let client = connect(identity, &certificate, &key)?;
        let (live, receiver) = watch::channel(None);
        let refused = Arc::<Notify>::default();
        let link = Link {
            bare: client.clone(),
            live: receiver,
            refused: refused.clone(),
        };
        let incarnation = Incarnation::new(ambient.bytes());
        Ok((
            Self {
                ambient,
                state,
                key,
                incarnation,
                identity: identity.clone(),
                shown: Mutex::new(Shown { certificate, client }),
                live,
                refused,
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

    fn held(&self) -> MutexGuard<'_, Shown> {
        // A holder of this lock only moves plain values.
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shown(&self) -> Shown {
        self.held().clone()
    }

    /// Renews the certificate if it is time, and opens one session; its token is in force then. Says when to come again.
    ///
    /// # Errors
    /// [`SessionError`]; what was in force stays, and a session request goes out again, unless the gateway never used it.
    pub async fn pass(&self) -> Result<Duration, SessionError> {
        let Shown { certificate, client } = self.shown();
        let now = self.ambient.now();
        let with = self.live.borrow().as_ref().map(|live| live.client.clone());
        let mut tried = false;
        if certificate.is_over(now) {
            tried = self.try_renew(&client).await;
        } else if certificate.is_due(now)
            && let Some(client) = &with
        {
            tried = self.try_renew(client).await;
        }
        let mut life = match self.open().await {
            Err(e) if e.is("certificate-expired") && !tried => {
                tried = true;
                self.renew(&self.shown().client).await?;
                self.open().await?
            }
            opened => opened?,
        };
        // The first pass of a process had no token to renew with.
        let with = self.live.borrow().as_ref().map(|live| live.client.clone());
        if !tried
            && self.shown().certificate.is_due(now)
            && let Some(client) = &with
            && self.renewed(client).await
        {
            life = self.open().await?;
        }
        let due = self.shown().certificate.until_due(self.ambient.now());
        let due = Duration::try_from(due).unwrap_or(LOOK).max(LOOK);
        Ok(jitter(&self.ambient, life * 4 / 10, life / 2).min(due))
    }

    async fn try_renew(&self, with: &ApiClient) -> bool {
        self.renewed(with).await;
        true
    }

    /// Whether there is a new certificate. Where not, the old one is good for a while, or a session will tell.
    async fn renewed(&self, with: &ApiClient) -> bool {
        match self.renew(with).await {
            Ok(()) => true,
            Err(e) => {
                tracing::warn!(error = %e, "the certificate could not be renewed; tried again");
                false
            }
        }
    }

    /// Gets another certificate for the same key, keeps it, and shows it from the next connection on.
    async fn renew(&self, with: &ApiClient) -> Result<(), SessionError> {
        let csr = B64.encode(pki::request(&self.key)?);
        let answer: RenewedCertificate = with.post(CERTIFICATE_PATH, &RenewCertificate { csr }).await?;
        let before = self.shown().certificate;
        let certificate = before.followed_by(&answer.certificate, self.ambient.now())?;
        let identity = Identity {
            certificate: certificate.text(),
            ..self.identity.clone()
        };
        let client = connect(&identity, &certificate, &self.key)?;
        self.state.keep_certificate(&identity)?;
        *self.held() = Shown { certificate, client };
        tracing::info!("the certificate was renewed");
        Ok(())
    }

    /// Opens one session and puts its token in force.
    async fn open(&self) -> Result<Duration, SessionError> {
        let client = self.shown().client;
        if let Some(request) = self.state.session_request()? {
            match self.send(&client, &request).await {
                // It moves the chain on. Its token may be bound to another certificate, or dead by now: a new one is had at once.
                Ok(_) => {}
                // Its challenge died unused, and so the chain's value is still good.
                Err(SessionError::Call(ClientError::Problem(p))) if p.document.slug().starts_with("challenge-") => {
                    self.state.forget_session_request()?;
                }
                Err(e) => return Err(e),
            }
        }
        let challenge: Challenge = client.post("/agent/v1/session/challenge", &json!({})).await?;
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
        let opened = self.send(&client, &request).await?;
        self.live.send_modify(|live| {
            let session = live.as_ref().map_or(0, |live| live.session) + 1;
            let client = client.bearer(SecretString::from(opened.token));
            *live = Some(Live { client, session });
        });
        Ok(Duration::from_secs(opened.expires_in))
    }

    async fn send(&self, client: &ApiClient, request: &OpenSession) -> Result<SessionOpened, SessionError> {
        let opened: SessionOpened = client.post("/agent/v1/session", request).await?;
        self.state.advance(&opened.chain)?;
        Ok(opened)
    }

    /// Until `wait` has passed on CLOCK_BOOTTIME, which goes on while the host sleeps, or until the certificate ends.
    async fn rest(&self, wait: Duration) {
        let until = self.ambient.boot() + wait;
        let is_over = || self.shown().certificate.is_over(self.ambient.now());
        // One that was over before has been tried: the next try has its time.
        let was_over = is_over();
        loop {
            let left = until.since(self.ambient.boot());
            if left.is_zero() || (is_over() && !was_over) {
                return;
            }
            tokio::time::sleep(left.min(GLANCE)).await;
        }
    }

    /// Opens a session each half life of the token, sooner after failures, until told to stop.
    pub async fn keep_open(self: Arc<Self>, stop: CancellationToken) {
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(15));
        loop {
            let (wait, heeding) = match self.pass().await {
                Ok(wait) => {
                    backoff.reset();
                    (wait, true)
                }
                Err(e) => {
                    tracing::warn!(error = %e, "no session with the gateway");
                    (backoff.next(&self.ambient), false)
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.rest(wait) => {}
                () = self.refused.notified(), if heeding => {
                    tracing::info!("the gateway does not know this session any more; opening another one");
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(jitter(&self.ambient, REFUSED / 2, REFUSED)) => {}
                    }
                }
            }
        }
    }
}

fn connect(identity: &Identity, certificate: &Certificate, key: &SigningKey) -> Result<ApiClient, SessionError> {
    let shown = certificate.shown_with(key);
    let config = tls::client_config(&[certificate.authority().to_vec()], Some(&shown), &[ALPN_AGENT])?;
    let client = ApiClient::new(&identity.gateway, ClientTls::Private(Box::new(config)))?;
    Ok(client.or(&identity.other_gateways)?)
}

#[cfg(test)]
mod tests;
