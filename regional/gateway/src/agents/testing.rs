//! Agents that call a gateway of a test through the real gate, with a certificate as the handshake would have shown it.
use super::{
    AgentCaller,
    agent::AgentState,
    store::{self, NewAgent},
};
use crate::{
    app::App,
    audit::Origin,
    router,
    testing::{Actor, Answer, World},
};
use axum::{
    body::Body,
    http::{Request, header},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_base::{AgentId, ClusterId, TenantId};
use exarch_common_crypto::{
    pki,
    sign::{Algorithm, SigningKey},
    tls,
};
use exarch_common_http::serve::{Peer, TlsPeer};
use exarch_common_pg::{Clusters, TenantContext, TenantTx};
use exarch_common_wire::{
    agent::{
        CERTIFICATE_PATH, Challenge, Enrol, EnrolPoll, Enrolled, Enrolment, OpenSession, RenewCertificate,
        SessionOpened, poll_bytes, session_bytes,
    },
    grant::Incarnation,
};
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tower::ServiceExt;

/// The agent of one host, as a process sees itself.
pub(crate) struct TestAgent {
    pub(crate) key: SigningKey,
    pub(crate) enrolled: Enrolled,
    pub(crate) certificate: pki::Peer,
    pub(crate) address: SocketAddr,
    pub(crate) incarnation: Incarnation,
    pub(crate) chain: String,
    pub(crate) token: String,
}

/// A key and the request for it.
pub(crate) fn key() -> (SigningKey, String) {
    let key = SigningKey::generate(Algorithm::Es384).unwrap();
    let csr = B64.encode(pki::request(&key).unwrap());
    (key, csr)
}

pub(crate) fn peer(address: SocketAddr, certificate: Option<pki::Peer>) -> Peer {
    static NEXT: AtomicU64 = AtomicU64::new(1 << 32);
    Peer {
        connection: NEXT.fetch_add(1, Ordering::Relaxed),
        addr: address,
        tls: Some(Arc::new(TlsPeer {
            certificate,
            alpn: Vec::new(),
            exporter: [0; 32],
        })),
    }
}

/// One request to the listener for agents, on a connection with a certificate or, to enrol, on one without.
pub(crate) async fn call(app: &App, peer: Peer, path: &str, body: &impl Serialize, token: Option<&str>) -> Answer {
    app.instances.has_read(app.ambient.boot());
    let router = match path.starts_with("/agent/v1/enrol") {
        true => router::enrol_router(app),
        false => router::agents_router(app),
    };
    let mut request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let mut request = request.body(Body::from(serde_json::to_vec(body).unwrap())).unwrap();
    request.extensions_mut().insert(peer);
    let (head, body) = router.oneshot(request).await.unwrap().into_parts();
    let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let body = match bytes.is_empty() {
        true => Value::Null,
        false => serde_json::from_slice(&bytes).unwrap(),
    };
    Answer {
        status: head.status,
        headers: head.headers,
        body,
    }
}

pub(crate) fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last], 40_000))
}

/// A new bootstrap token.
pub(crate) async fn token(admin: &Actor<'_>, cluster: ClusterId, more: Value) -> String {
    let mut body = json!({ "cluster_id": cluster });
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    let made = admin.post("/v1/bootstrap-tokens", body).await.expect(201);
    made["token"].as_str().unwrap().to_owned()
}

/// Sends an enrolment.
pub(crate) async fn enrol(app: &App, from: SocketAddr, token: &str, csr: &str, name: Option<&str>) -> Answer {
    let body = Enrol {
        token: token.to_owned(),
        csr: csr.to_owned(),
        name: name.map(str::to_owned),
        protocol: 1,
    };
    call(app, peer(from, None), "/agent/v1/enrol", &body, None).await
}

/// Asks whether it was approved.
pub(crate) async fn poll(app: &App, from: SocketAddr, key: &SigningKey, agent: AgentId, at: i64) -> Answer {
    let body = EnrolPoll {
        agent,
        at,
        signature: B64.encode(key.sign(&poll_bytes(agent, at)).unwrap()),
    };
    call(app, peer(from, None), "/agent/v1/enrol/poll", &body, None).await
}

impl TestAgent {
    /// Enrolled without a person's approval, at an address of its own.
    pub(crate) async fn new(world: &World, admin: &Actor<'_>, cluster: ClusterId, name: &str, last: u8) -> Self {
        let token = token(admin, cluster, json!({ "auto": true, "name": name })).await;
        let (key, csr) = key();
        let answer = enrol(&world.app, address(last), &token, &csr, None).await.expect(200);
        Self::of(key, serde_json::from_value(answer).unwrap(), address(last))
    }

    /// What the answer to an enrolment makes of a host.
    pub(crate) fn of(key: SigningKey, enrolment: Enrolment, address: SocketAddr) -> Self {
        let Enrolment::Active(enrolled) = enrolment else {
            panic!("not active yet")
        };
        let der = B64.decode(&enrolled.certificate).unwrap();
        Self {
            certificate: pki::Peer::read(&der).unwrap(),
            chain: enrolled.chain.clone(),
            enrolled: *enrolled,
            key,
            address,
            incarnation: Incarnation::new([1; 16]),
            token: String::new(),
        }
    }

    /// One request, with its certificate and its token.
    pub(crate) async fn post(&self, app: &App, path: &str, body: &impl Serialize) -> Answer {
        let token = Some(self.token.as_str()).filter(|token| !token.is_empty());
        let peer = peer(self.address, Some(self.certificate.clone()));
        call(app, peer, path, body, token).await
    }

    pub(crate) async fn challenge(&self, app: &App) -> String {
        let answer = self
            .post(app, "/agent/v1/session/challenge", &json!({}))
            .await
            .expect(200);
        serde_json::from_value::<Challenge>(answer).unwrap().challenge
    }

    /// The request that opens a session by `challenge` and the link it holds.
    pub(crate) fn opening(&self, challenge: &str) -> OpenSession {
        let request_id = B64.encode(challenge.as_bytes());
        let text = session_bytes(challenge, &self.chain, &self.incarnation, &request_id);
        OpenSession {
            challenge: challenge.to_owned(),
            chain: self.chain.clone(),
            incarnation: self.incarnation.clone(),
            request_id,
            signature: B64.encode(self.key.sign(&text).unwrap()),
        }
    }

    pub(crate) async fn send(&self, app: &App, opening: &OpenSession) -> Answer {
        self.post(app, "/agent/v1/session", opening).await
    }

    /// Opens a session and takes over what it brings.
    pub(crate) async fn open(&mut self, app: &App) {
        let opening = self.opening(&self.challenge(app).await);
        let answer = self.send(app, &opening).await.expect(200);
        let opened: SessionOpened = serde_json::from_value(answer).unwrap();
        self.token = opened.token;
        self.chain = opened.chain;
    }

    /// Asks for another certificate for its own key.
    pub(crate) async fn renew(&self, app: &App) -> Answer {
        let csr = B64.encode(pki::request(&self.key).unwrap());
        self.post(app, CERTIFICATE_PATH, &RenewCertificate { csr }).await
    }

    /// Shows another certificate from now on.
    pub(crate) fn shows(&mut self, renewed: &Value) {
        renewed["certificate"]
            .as_str()
            .unwrap()
            .clone_into(&mut self.enrolled.certificate);
        self.certificate = pki::Peer::read(&B64.decode(&self.enrolled.certificate).unwrap()).unwrap();
    }

    /// What it shows in a handshake.
    pub(crate) fn identity(&self) -> tls::Identity {
        tls::Identity {
            chain: vec![B64.decode(&self.enrolled.certificate).unwrap()],
            key: self.key.pkcs8().to_vec().into(),
        }
    }

    /// A request that any agent may make.
    pub(crate) async fn heartbeat(&self, app: &App) -> Answer {
        let clock_ms = (app.ambient.now().unix_timestamp_nanos() / 1_000_000) as i64;
        let body = json!({ "software": "1.2.3", "fences": [], "clock_ms": clock_ms, "of_a_newer_version": true });
        self.post(app, "/agent/v1/heartbeat", &body).await
    }
}

/// An agent that needs no enrolment in the test at hand: the row of an active one.
pub(crate) async fn agent_row(world: &World, tenant: TenantId, cluster: ClusterId, name: &str) -> AgentId {
    let id: AgentId = world.app.ambient.id();
    let context = TenantContext {
        tenant,
        clusters: Clusters::All,
        actor: "test".to_owned(),
    };
    let mut tx = TenantTx::begin(&world.app.app_pool, &context).await.unwrap();
    let new = NewAgent {
        id,
        cluster,
        host: None,
        name,
        state: AgentState::Active,
        public_key: name.as_bytes(),
        csr: &[],
        now: world.app.ambient.now(),
        from: "192.0.2.9",
    };
    store::insert_agent(&mut tx, new).await.unwrap();
    tx.commit().await.unwrap();
    id
}

/// One process of such an agent.
pub(crate) fn process(tenant: TenantId, cluster: ClusterId, id: AgentId, start: u8) -> AgentCaller {
    AgentCaller {
        id,
        tenant,
        cluster,
        name: "edge".into(),
        incarnation: Incarnation::new([start; 16]),
        origin: Origin::default(),
    }
}
