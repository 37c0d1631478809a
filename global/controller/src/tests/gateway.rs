//! A gateway as far as the global sees one: it joined, dials both ways, signs what it asks and what it answers.
use super::PATIENCE;
use crate::health::judge::tests::well;
use axum::{
    Extension, Router,
    body::{Body, Bytes, to_bytes},
    extract::Request as AxumRequest,
    http::{HeaderMap, Method, Request, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_base::{Ambient, RegionId};
use exarch_common_crypto::{
    sign::{Algorithm, PublicKey, SigningKey},
    tls::{self, Identity},
};
use exarch_common_http::{
    serve::{Connections, Peer, ServeOptions},
    tunnel::{DialError, H2Client, dial, serve_h2},
};
use exarch_common_wire::{
    federation::{Acknowledge, HandedSecret, Joined, paths},
    health::Probe,
    names::{self, ALPN_DOWN, ALPN_UP, ANSWER_HEADER},
    passport::{self, Push},
    service::{self, About, ServiceKey},
    user_token::Version,
};
use http_body_util::Full;
use serde_json::Value;
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio_util::sync::CancellationToken;

pub(crate) fn b64(bytes: &[u8]) -> String {
    B64.encode(bytes)
}

/// How a gateway answers probes and pushes from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// As it should.
    Well,
    /// With a MAC that is wrong.
    BadMac,
    /// Without a signature.
    Unsigned,
    /// To another challenge, signed.
    OtherChallenge,
    /// That its database is down.
    NoDatabase,
    /// Not before this time has passed.
    After(Duration),
    /// With its clock off by so many seconds.
    Clock(i64),
    /// With status 500, signed.
    Broken,
}

/// A gateway.
#[derive(Clone)]
pub(crate) struct Gateway {
    pub id: RegionId,
    pub addr: SocketAddr,
    pub key: Arc<SigningKey>,
    pub joined: Arc<Joined>,
    pub manner: Arc<Mutex<Manner>>,
    /// What was pushed.
    pub pushed: Arc<Mutex<Vec<Push>>>,
    /// Probes under way, and the most there were at a time.
    pub under_way: Arc<(AtomicU32, AtomicU32)>,
    /// Signs and checks by this clock.
    pub ambient: Ambient,
}

/// What the global answered, after its signature was checked; without one where it gave none.
#[derive(Debug)]
pub(crate) struct Answered {
    pub status: StatusCode,
    pub body: Bytes,
    pub signed: bool,
}

impl Answered {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub(crate) fn problem(&self) -> String {
        let kind = self.json()["type"].as_str().unwrap_or_default().to_owned();
        kind.rsplit(':').next().unwrap_or_default().to_owned()
    }
}

pub(crate) fn key(handed: &HandedSecret) -> ServiceKey {
    ServiceKey {
        kid: handed.kid.clone(),
        secret: B64.decode(&handed.secret).unwrap().into(),
    }
}

/// The connection on which the gateway asks.
pub(crate) struct Up {
    pub gateway: Gateway,
    pub client: H2Client,
}

/// The connection on which it is asked; drop it to end it.
pub(crate) struct Down {
    pub connections: Connections,
    _ended: tokio_util::sync::DropGuard,
}

impl Gateway {
    pub(crate) fn new(addr: SocketAddr, key: SigningKey, joined: Joined) -> Self {
        Self {
            id: joined.region,
            addr,
            key: Arc::new(key),
            joined: Arc::new(joined),
            manner: Arc::new(Mutex::new(Manner::Well)),
            pushed: Arc::default(),
            under_way: Arc::default(),
            ambient: Ambient::system(),
        }
    }

    pub(crate) fn identity(&self) -> Identity {
        Identity {
            chain: vec![B64.decode(&self.joined.certificate).unwrap()],
            key: self.key.pkcs8().to_vec().into(),
        }
    }

    pub(crate) fn roots(&self) -> Vec<Vec<u8>> {
        vec![B64.decode(&self.joined.federation_ca).unwrap()]
    }

    /// The same gateway with another certificate.
    pub(crate) fn with_certificate(&self, der: &[u8]) -> Self {
        let mut joined = Joined::clone(&self.joined);
        joined.certificate = b64(der);
        Self {
            joined: joined.into(),
            ..self.clone()
        }
    }

    /// The same gateway with other secrets.
    pub(crate) fn with_secrets(&self, change: impl FnOnce(&mut Joined)) -> Self {
        let mut joined = Joined::clone(&self.joined);
        change(&mut joined);
        Self {
            joined: joined.into(),
            ..self.clone()
        }
    }

    /// The same gateway by another way, such as a proxy.
    pub(crate) fn by(&self, addr: SocketAddr) -> Self {
        Self { addr, ..self.clone() }
    }

    pub(crate) async fn up(&self) -> Up {
        Up {
            gateway: self.clone(),
            client: self.try_up(Some(&self.identity())).await.unwrap(),
        }
    }

    pub(crate) async fn try_up(&self, identity: Option<&Identity>) -> Result<H2Client, DialError> {
        let config = tls::client_config(&self.roots(), identity, &[ALPN_UP]).unwrap();
        let dialled = dial(&self.addr.to_string(), "localhost", Arc::new(config)).await?;
        Ok(H2Client::dialled(dialled).await.unwrap())
    }

    pub(crate) async fn down(&self) -> Down {
        let config = tls::client_config(&self.roots(), Some(&self.identity()), &[ALPN_DOWN]).unwrap();
        let dialled = dial(&self.addr.to_string(), "localhost", Arc::new(config))
            .await
            .unwrap();
        let router = Router::new()
            .route(paths::PROBE, post(probe))
            .route(paths::PASSPORT, post(push))
            .layer(Extension(self.clone()));
        let (stop, connections) = (CancellationToken::new(), Connections::new());
        let (until, kept) = (stop.clone(), connections.clone());
        tokio::spawn(async move {
            let options = ServeOptions {
                grace: Duration::ZERO,
                ..ServeOptions::default()
            };
            serve_h2(dialled, router, &options, &kept, &until).await;
        });
        Down {
            _ended: stop.drop_guard(),
            connections,
        }
    }

    pub(crate) fn behave(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    /// The newest version that was pushed.
    pub(crate) fn pushes(&self) -> usize {
        self.pushed.lock().unwrap().len()
    }
}

impl Up {
    /// Asks with a fresh token.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: &[u8]) -> Answered {
        let (token, jti) = self.token(&method, path, body);
        self.ask_with(method, path, body, &token, Some(&jti)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answered {
        self.ask(Method::GET, path, b"").await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answered {
        self.ask(Method::POST, path, body.to_string().as_bytes()).await
    }

    /// Asks for what the region lacks after `have`.
    pub(crate) async fn poll(&self, have: Option<Version>) -> Push {
        let query = have.map(|v| format!("?have={v}")).unwrap_or_default();
        let answer = self.get(&format!("{}{query}", paths::PASSPORT)).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        assert!(answer.signed);
        Push::from_bytes(&answer.body).unwrap()
    }

    /// The version that a push brings.
    pub(crate) fn version(&self, push: &Push) -> Version {
        let authority = &self.gateway.joined.authority;
        let key = PublicKey::from_raw(Algorithm::Ed25519, &B64.decode(&authority.public).unwrap()).unwrap();
        passport::read_statement(&push.statement, |_| Some(key))
            .unwrap()
            .version
    }

    /// Says that all replicas have applied a version.
    pub(crate) async fn acknowledge(&self, applied: Version) {
        let as_of = self.gateway.ambient.now().unix_timestamp();
        let body = serde_json::to_value(Acknowledge {
            keys_used: Default::default(),
            applied,
            as_of,
            refused: None,
        });
        let answer = self.post(paths::ACKNOWLEDGE, &body.unwrap()).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{answer:?}");
    }

    pub(crate) fn token(&self, method: &Method, path: &str, body: &[u8]) -> (String, String) {
        let from = names::region(self.gateway.id);
        let about = About {
            from: &from,
            to: names::GLOBAL,
            method: method.as_str(),
            path,
            body,
            exporter: self.client.peer().exporter().unwrap(),
        };
        service::request(&self.gateway.ambient, &key(&self.gateway.joined.up), &about)
    }

    /// Asks with any token; an answer that is signed must be signed for `jti`.
    pub(crate) async fn ask_with(
        &self,
        method: Method,
        path: &str,
        body: &[u8],
        token: &str,
        jti: Option<&str>,
    ) -> Answered {
        let request = Request::builder()
            .method(method.clone())
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::copy_from_slice(body)))
            .unwrap();
        let answer = self.client.request(request, PATIENCE).await.unwrap();
        let status = answer.status();
        let header = answer.headers().get(ANSWER_HEADER).cloned();
        let body = answer.into_body();
        if let Some(header) = &header {
            let to = names::region(self.gateway.id);
            let about = About {
                from: names::GLOBAL,
                to: &to,
                method: method.as_str(),
                path,
                body: &body,
                exporter: self.client.peer().exporter().unwrap(),
            };
            let key = key(&self.gateway.joined.up);
            let jti = jti.expect("an answer to a token that nobody made is not signed");
            service::verify_answer(header.to_str().unwrap(), |_| Some(&key), &about, jti, status.as_u16()).unwrap();
        }
        Answered {
            status,
            body,
            signed: header.is_some(),
        }
    }
}

async fn probe(Extension(gateway): Extension<Gateway>, peer: Extension<Peer>, request: AxumRequest) -> Response {
    let under_way = gateway.under_way.clone();
    let now = under_way.0.fetch_add(1, Ordering::SeqCst) + 1;
    under_way.1.fetch_max(now, Ordering::SeqCst);
    let answer = answer_probe(gateway, peer, request).await;
    under_way.0.fetch_sub(1, Ordering::SeqCst);
    answer
}

async fn answer_probe(gateway: Gateway, peer: Extension<Peer>, request: AxumRequest) -> Response {
    let manner = *gateway.manner.lock().unwrap();
    let (jti, body) = check(&gateway, &peer, request, paths::PROBE).await;
    let asked: Probe = serde_json::from_slice(&body).unwrap();
    let mut now = (gateway.ambient.now().unix_timestamp_nanos() / 1_000_000) as i64;
    match manner {
        Manner::After(wait) => tokio::time::sleep(wait).await,
        Manner::Clock(off) => now += off * 1000,
        _ => {}
    }
    let challenge = match manner {
        Manner::OtherChallenge => "another",
        _ => &asked.challenge,
    };
    let mut told = well(challenge, now);
    if manner == Manner::NoDatabase {
        (told.database, told.database_us) = (None, None);
    }
    let status = match manner {
        Manner::Broken => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::OK,
    };
    sign(
        &gateway,
        &peer,
        manner,
        paths::PROBE,
        &jti,
        status,
        serde_json::to_vec(&told).unwrap(),
    )
}

async fn push(Extension(gateway): Extension<Gateway>, peer: Extension<Peer>, request: AxumRequest) -> Response {
    let manner = *gateway.manner.lock().unwrap();
    let (jti, body) = check(&gateway, &peer, request, paths::PASSPORT).await;
    let status = match manner {
        Manner::Broken => StatusCode::INTERNAL_SERVER_ERROR,
        _ => {
            gateway.pushed.lock().unwrap().push(Push::from_bytes(&body).unwrap());
            StatusCode::NO_CONTENT
        }
    };
    sign(&gateway, &peer, manner, paths::PASSPORT, &jti, status, Vec::new())
}

/// A gateway believes no stranger either.
async fn check(gateway: &Gateway, peer: &Peer, request: AxumRequest, path: &str) -> (String, Bytes) {
    let token = bearer(request.headers());
    let body = to_bytes(request.into_body(), 1 << 20).await.unwrap();
    let to = names::region(gateway.id);
    let about = About {
        from: names::GLOBAL,
        to: &to,
        method: "POST",
        path,
        body: &body,
        exporter: peer.exporter().unwrap(),
    };
    let key = key(&gateway.joined.down);
    let claims = service::verify_challenged(&token, |kid| (kid == key.kid).then_some(&key), &about).unwrap();
    (claims.jti, body)
}

fn bearer(headers: &HeaderMap) -> String {
    let value = headers.get(header::AUTHORIZATION).unwrap().to_str().unwrap();
    value.strip_prefix("Bearer ").unwrap().to_owned()
}

fn sign(
    gateway: &Gateway,
    peer: &Peer,
    manner: Manner,
    path: &str,
    jti: &str,
    status: StatusCode,
    body: Vec<u8>,
) -> Response {
    let from = names::region(gateway.id);
    let about = About {
        from: &from,
        to: names::GLOBAL,
        method: "POST",
        path,
        body: &body,
        exporter: peer.exporter().unwrap(),
    };
    let mut key = key(&gateway.joined.down);
    if manner == Manner::BadMac {
        key.secret = vec![1; 32].into();
    }
    let token = service::answer(&gateway.ambient, &key, &about, jti, status.as_u16());
    let mut answer = (status, Body::from(body)).into_response();
    if manner != Manner::Unsigned {
        answer.headers_mut().insert(ANSWER_HEADER, token.parse().unwrap());
    }
    answer
}
