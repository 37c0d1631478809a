//! Whoever speaks to the inner listeners: gateways that join, agents that enrol, and what they hold afterwards.
use crate::{Federation, http::Answer};
use axum::{
    body::Bytes,
    http::{Method, Request, Response, header},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD as B64},
};
use exarch_common_base::{Ambient, ExposeSecret};
use exarch_common_crypto::{
    pki::{self, Pin},
    seal::Sealer,
    sign::{Algorithm, SigningKey},
    tls::{self, Identity},
};
use exarch_common_http::tunnel::{H2Client, dial};
use exarch_common_pg::{AppPool, PoolSettings, Schema};
use exarch_common_wire::{
    PROTOCOL,
    agent::{Challenge, Enrol, Enrolled, Enrolment, OpenSession, SessionOpened, session_bytes},
    federation::{Join, paths},
    grant::Incarnation,
    names::{self, ALPN_AGENT, ALPN_ENROL, ALPN_JOIN, ALPN_UP},
    service::{self, About},
};
use exarch_global_controller::keys::Keys;
use exarch_regional_state::secrets::Secrets;
use http_body_util::Full;
use rustls::ClientConfig;
use serde::Serialize;
use serde_json::Value;
use std::{
    fs,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};
use tokio::net::{TcpListener, TcpSocket};

const LIMIT: Duration = Duration::from_secs(40);

/// One connection to an inner listener.
#[derive(Clone)]
pub struct Wire(H2Client);

impl Wire {
    /// Dials; nothing when one of the two ends does not want to.
    pub async fn dial(port: u16, config: ClientConfig) -> Option<Self> {
        let dialled = dial(&format!("127.0.0.1:{port}"), "127.0.0.1", Arc::new(config)).await;
        Some(Self(H2Client::dialled(dialled.ok()?).await.ok()?))
    }

    /// One request; nothing when the connection broke instead of answering.
    pub async fn send(&self, method: Method, path: &str, bearer: Option<&str>, body: Vec<u8>) -> Option<Answer> {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = bearer {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::new(body.into())).expect("a request");
        let answer = self.0.request(request, LIMIT).await.ok()?;
        Some(Answer {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: answer.into_body().to_vec(),
        })
    }

    /// POST of a value.
    pub async fn post(&self, path: &str, bearer: Option<&str>, body: &impl Serialize) -> Answer {
        let body = serde_json::to_vec(body).expect("a value in JSON");
        self.send(Method::POST, path, bearer, body).await.expect("an answer")
    }

    /// Any request; nothing when the connection broke instead of answering.
    pub async fn pass(&self, request: Request<Full<Bytes>>) -> Option<Response<Bytes>> {
        self.0.request(request, LIMIT).await.ok()
    }

    /// What both ends of the connection, and nobody else, know.
    pub fn exporter(&self) -> [u8; 32] {
        *self.0.peer().exporter().expect("a connection with TLS")
    }
}

/// A port behind which a listener sees a caller from another of this machine's addresses each time: how often one address
/// tries to come in is counted, and these tests try often.
async fn from_another_address(port: u16) -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let from = SocketAddr::from(([127, 77, (n / 250) as u8, (n % 250) as u8 + 1], 0));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let here = listener.local_addr().expect("a bound listener").port();
    tokio::spawn(async move {
        let (mut near, _) = listener.accept().await?;
        let socket = TcpSocket::new_v4()?;
        socket.bind(from)?;
        let mut far = socket.connect(SocketAddr::from(([127, 0, 0, 1], port))).await?;
        tokio::io::copy_bidirectional(&mut near, &mut far).await
    });
    here
}

/// A new key and the signing request for it.
pub fn signing_request() -> (SigningKey, String) {
    let key = SigningKey::generate(Algorithm::Es384).expect("a key");
    let csr = B64.encode(pki::request(&key).expect("a signing request"));
    (key, csr)
}

/// A signing request as another tool makes it, for a key on the wrong curve.
pub const ON_P256: &str = "\
    MIG6MGICAQAwADBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABG5-rAUNMh_rNgfp87a6wPpJGhTTlfNHikzdoHH3JiHmsop5arR_GrebPNaEi8MIani8\
    WyxNPZNIv5QOAF980C2gADAKBggqhkjOPQQDAgNIADBFAiEA6NpoLhybGDUoLSgfigaJUcMyzTQcNDUZHOLVPTSaVpMCIGApB1ZJJ8dp6pqBKJhD59AU\
    dQxqRhv09gKg74Q_ZqcR";

/// DER of the one certificate in a PEM file.
pub fn der(pem: &str) -> Vec<u8> {
    let lines = pem.lines().filter(|line| !line.starts_with("-----"));
    STANDARD
        .decode(lines.collect::<String>())
        .expect("base64 in a PEM file")
}

impl Federation {
    /// The certificate of a place's authority, DER.
    pub fn authority(&self, place: &str) -> Vec<u8> {
        der(&fs::read_to_string(self.place(place).ca()).expect("the authority's file"))
    }

    async fn pinned(&self, place: &str, alpn: &str) -> Wire {
        let config = tls::pinned_client_config(Pin::of(&self.authority(place)), &[alpn]);
        let port = from_another_address(self.place(place).inner).await;
        let wire = Wire::dial(port, config.expect("a configuration")).await;
        wire.expect("the listener shakes hands")
    }

    /// Tries to join with a token.
    pub async fn join(&self, token: &str) -> Answer {
        self.join_with(token, signing_request().1).await
    }

    /// Tries to join with a token and a signing request.
    pub async fn join_with(&self, token: &str, csr: String) -> Answer {
        let wire = self.joining().await;
        let token = token.to_owned();
        wire.post(
            paths::JOIN,
            None,
            &Join {
                token,
                csr,
                protocol: PROTOCOL,
            },
        )
        .await
    }

    /// A connection on which a gateway may join.
    pub async fn joining(&self) -> Wire {
        self.pinned("global", ALPN_JOIN).await
    }

    /// A connection on which an agent may enrol.
    pub async fn enrolling(&self, slug: &str) -> Wire {
        self.pinned(slug, ALPN_ENROL).await
    }

    /// Tries to enrol with a token; the key, and what was answered.
    pub async fn enrol(&self, slug: &str, token: &str) -> (SigningKey, Answer) {
        let (key, csr) = signing_request();
        (key, self.enrol_with(slug, token, csr, None).await)
    }

    /// Tries to enrol with a token, a signing request and perhaps a name.
    pub async fn enrol_with(&self, slug: &str, token: &str, csr: String, name: Option<&str>) -> Answer {
        let body = Enrol {
            token: token.to_owned(),
            csr,
            name: name.map(str::to_owned),
            protocol: PROTOCOL,
        };
        self.enrolling(slug).await.post("/agent/v1/enrol", None, &body).await
    }

    /// A new agent with a session.
    pub async fn agent(&self, slug: &str, token: &str) -> Agent {
        let (key, answer) = self.enrol(slug, token).await;
        let enrolled: Enrolment = serde_json::from_value(answer.ok()).expect("an enrolment");
        let Enrolment::Active(enrolled) = enrolled else {
            panic!("the token was not automatic")
        };
        Agent::start(self, slug, key, *enrolled).await
    }

    fn sealer(&self, place: &str) -> Sealer {
        let text = fs::read_to_string(self.place(place).secret("master")).expect("the master key");
        let master = STANDARD.decode(text.trim()).expect("base64");
        Sealer::new(&master.into()).expect("a master key")
    }

    /// The global's own keys: what a thief of its database and its master key would have.
    pub async fn keys(&self) -> Keys {
        let file = self.file();
        let pool = PoolSettings::from_url(Schema::Global, &file.global.database.app_url.into()).expect("a URL");
        let keys = Keys::load(
            &Ambient::system(),
            &AppPool::lazy(pool),
            &self.sealer("global"),
            &file.global.url,
        )
        .await;
        keys.expect("the keys open")
    }

    /// The same of a region.
    pub async fn secrets(&self, slug: &str) -> Secrets {
        let file = self.file();
        let region = file
            .regions
            .into_iter()
            .find(|region| region.slug == slug)
            .expect("the region");
        let pool = PoolSettings::from_url(Schema::Regional, &region.database.app_url.into()).expect("a URL");
        Secrets::load(&AppPool::lazy(pool), &std::sync::Arc::new(self.sealer(slug)))
            .await
            .expect("the keys open")
    }

    /// A connection on which the gateway of a region asks the global.
    pub async fn upwards(&self, secrets: &Secrets) -> Wire {
        let identity = secrets.identity();
        let config = tls::client_config(&[self.authority("global")], Some(&identity), &[ALPN_UP]);
        let wire = Wire::dial(self.place("global").inner, config.expect("a configuration")).await;
        wire.expect("the federation listener takes its region's certificate")
    }

    /// The token for one request of a region on one connection.
    pub fn service_token(
        &self,
        slug: &str,
        secrets: &Secrets,
        wire: &Wire,
        method: &str,
        path: &str,
        body: &[u8],
    ) -> String {
        let file = self.file();
        let region = file
            .regions
            .iter()
            .find(|region| region.slug == slug)
            .expect("the region");
        let about = About {
            from: &names::region(region.id.parse().expect("an id")),
            to: names::GLOBAL,
            method,
            path,
            body,
            exporter: &wire.exporter(),
        };
        service::request(&Ambient::system(), secrets.service().up(), &about).0
    }
}

/// An agent that does what it is told by a test.
pub struct Agent {
    /// What it was given.
    pub enrolled: Enrolled,
    /// Its connection, with its certificate.
    pub wire: Wire,
    /// Of its session.
    pub token: String,
    /// What the next session begins with.
    pub chain: String,
    key: SigningKey,
}

impl Agent {
    async fn start(federation: &Federation, slug: &str, key: SigningKey, enrolled: Enrolled) -> Self {
        let wire = Self::wire(federation, slug, &key, &enrolled).await;
        let mut agent = Self {
            wire: wire.expect("the listener takes its own region's certificate"),
            token: String::new(),
            chain: enrolled.chain.clone(),
            enrolled,
            key,
        };
        let open = agent.opening().await;
        let opened = agent.wire.post("/agent/v1/session", None, &open).await;
        agent.opened(serde_json::from_value(opened.ok()).expect("a session"));
        agent
    }

    async fn wire(federation: &Federation, slug: &str, key: &SigningKey, enrolled: &Enrolled) -> Option<Wire> {
        let raw = |text: &str| B64.decode(text).expect("base64url");
        let identity = Identity {
            chain: vec![raw(&enrolled.certificate)],
            key: key.pkcs8().to_vec().into(),
        };
        let config = tls::client_config(&[raw(&enrolled.agent_ca)], Some(&identity), &[ALPN_AGENT]);
        Wire::dial(federation.place(slug).inner, config.expect("a configuration")).await
    }

    /// Another connection, when the one there was has ended.
    pub async fn connect(&mut self, federation: &Federation, slug: &str) -> Option<()> {
        self.wire = Self::wire(federation, slug, &self.key, &self.enrolled).await?;
        Some(())
    }

    /// What opens its next session.
    pub async fn opening(&self) -> OpenSession {
        let nothing = Value::Object(Default::default());
        let challenge = self.wire.post("/agent/v1/session/challenge", None, &nothing).await;
        let challenge: Challenge = serde_json::from_value(challenge.ok()).expect("a challenge");
        let ambient = Ambient::system();
        let (incarnation, request_id) = (Incarnation::new(ambient.bytes()), B64.encode(ambient.bytes::<16>()));
        let message = session_bytes(&challenge.challenge, &self.chain, &incarnation, &request_id);
        OpenSession {
            signature: B64.encode(self.key.sign(&message).expect("a signature")),
            challenge: challenge.challenge,
            chain: self.chain.clone(),
            incarnation,
            request_id,
        }
    }

    /// The session that it has from now on.
    pub fn opened(&mut self, session: SessionOpened) {
        (self.token, self.chain) = (session.token, session.chain);
    }

    /// The signing request for its key, as at its enrolment.
    pub fn signing_request(&self) -> String {
        B64.encode(pki::request(&self.key).expect("a signing request"))
    }

    /// POST with both factors.
    pub async fn post(&self, path: &str, body: &impl Serialize) -> Answer {
        self.wire.post(path, Some(&self.token), body).await
    }
}

/// The secret behind a name in the sealed store of a region, as text that could be tried elsewhere.
pub fn shown(secret: &service::ServiceKey) -> String {
    B64.encode(secret.secret.expose_secret())
}
