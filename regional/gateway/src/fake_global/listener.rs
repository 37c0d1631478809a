//! The federation listener of a [`FakeGlobal`]: real TLS, real service tokens, real connections.
use super::FakeGlobal;
use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_base::Ambient;
use exarch_common_crypto::{
    jws,
    sign::{Algorithm, SigningKey},
    tls::{self, Clients, Identity},
};
use exarch_common_http::{
    serve::{
        AlpnService, ClientCertificate, Connections, Peer, Protocol, RawConn, ServeOptions, TlsListener, serve_tls,
    },
    tunnel::H2Client,
};
use exarch_common_wire::{
    federation::{Acknowledge, Direction, Join, NewSecret, RenewCertificate, RenewedCertificate, paths},
    names,
    passport::Push,
    service::{self, About, ServiceKey},
};
use http_body_util::Full;
use serde_json::json;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

/// What the listener was told, and how it behaves.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) acknowledged: Vec<Acknowledge>,
    pub(crate) agent_ca: Option<String>,
    /// `have` of each poll.
    pub(crate) polls: Vec<Option<String>>,
    pub(crate) renewed: u32,
    pub(crate) certificates: Vec<[u8; 32]>,
    /// Key id of each request that was genuine.
    pub(crate) signed_with: Vec<String>,
    /// Secrets that are known no more.
    pub(crate) forgotten: Vec<String>,
    /// Secrets that were handed over; whether the next such request is answered.
    pub(crate) handed: u32,
    pub(crate) swallows: bool,
}

type Alter = Box<dyn FnMut(&mut Push) + Send>;

/// A global that listens, until it is dropped.
pub(crate) struct Listening {
    pub(crate) global: Arc<FakeGlobal>,
    pub(crate) addr: String,
    pub(crate) told: watch::Sender<Told>,
    pub(crate) connections: Connections,
    tunnel: watch::Receiver<Option<H2Client>>,
    state: Shared,
    stop: CancellationToken,
}

#[derive(Clone)]
struct Shared {
    global: Arc<FakeGlobal>,
    told: watch::Sender<Told>,
    /// Made of every push before it leaves.
    alter: Arc<Mutex<Option<Alter>>>,
    /// Signs answers with another secret than the region's.
    lies: Arc<Mutex<Option<ServiceKey>>>,
    /// Answers to joining: status and body; a good one when absent.
    refuses_join: Arc<Mutex<Option<(StatusCode, serde_json::Value)>>>,
    /// What the region is told of its removal, whatever it asks.
    tombstone: Arc<Mutex<Option<Vec<u8>>>>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.stop.cancel();
        self.connections.close_where(|_| true);
    }
}

impl Listening {
    pub(crate) async fn start(global: Arc<FakeGlobal>) -> Self {
        exarch_common_crypto::init().unwrap();
        let listener = TlsListener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        Self::on(listener, global)
    }

    /// The same, where one was before.
    pub(crate) async fn restart(global: Arc<FakeGlobal>, addr: &str) -> Self {
        let port = addr.rsplit_once(':').unwrap().1.parse().unwrap();
        loop {
            match TlsListener::bind(([127, 0, 0, 1], port).into()).await {
                Ok(listener) => return Self::on(listener, global),
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }

    fn on(listener: TlsListener, global: Arc<FakeGlobal>) -> Self {
        let addr = format!("localhost:{}", listener.local_addr().unwrap().port());
        let state = Shared {
            global: global.clone(),
            told: watch::Sender::new(Told::default()),
            alter: Arc::default(),
            lies: Arc::default(),
            refuses_join: Arc::default(),
            tombstone: Arc::default(),
        };
        let (raw, mut accepted) = mpsc::channel::<RawConn>(4);
        let (tunnel_tx, tunnel) = watch::channel(None);
        tokio::spawn(async move {
            while let Some(conn) = accepted.recv().await {
                let _ = tunnel_tx.send(H2Client::accepted(conn).await.ok());
            }
        });
        let (required, optional) = (config(&global, Clients::Required), config(&global, Clients::Optional));
        let lenient = config(&global, Clients::RequiredOrExpired);
        let protocol = |alpn, tls: &watch::Receiver<_>, certificate, service| Protocol {
            alpn,
            tls: tls.clone(),
            certificate,
            service,
        };
        let up = Router::new().fallback(up).with_state(state.clone());
        let join = Router::new().fallback(join).with_state(state.clone());
        let need = ClientCertificate::Required;
        let protocols = vec![
            protocol(names::ALPN_UP, &lenient, need, AlpnService::Router(up)),
            protocol(names::ALPN_DOWN, &required, need, AlpnService::Raw(raw)),
            protocol(
                names::ALPN_JOIN,
                &optional,
                ClientCertificate::Optional,
                AlpnService::Router(join),
            ),
        ];
        let (stop, connections) = (CancellationToken::new(), Connections::new());
        let options = ServeOptions {
            grace: Duration::ZERO,
            ..ServeOptions::default()
        };
        tokio::spawn(serve_tls(
            listener,
            protocols,
            options,
            connections.clone(),
            stop.clone(),
        ));
        Self {
            global,
            addr,
            told: state.told.clone(),
            connections,
            tunnel,
            state,
            stop,
        }
    }

    /// Changes every push before it leaves.
    pub(crate) fn alter(&self, with: impl FnMut(&mut Push) + Send + 'static) {
        *self.state.alter.lock().unwrap() = Some(Box::new(with));
    }

    pub(crate) fn honest(&self) {
        *self.state.alter.lock().unwrap() = None;
        *self.state.lies.lock().unwrap() = None;
    }

    /// Signs answers with `key`.
    pub(crate) fn answer_with(&self, key: ServiceKey) {
        *self.state.lies.lock().unwrap() = Some(key);
    }

    /// Answers everything by 410 with this tombstone, without a signature of the answer.
    pub(crate) fn bury(&self, tombstone: Vec<u8>) {
        *self.state.tombstone.lock().unwrap() = Some(tombstone);
    }

    pub(crate) fn refuse_join(&self, status: u16, slug: &str, detail: &str) {
        let body =
            json!({"type": format!("urn:exarch:problem:{slug}"), "title": slug, "status": status, "detail": detail});
        *self.state.refuses_join.lock().unwrap() = Some((StatusCode::from_u16(status).unwrap(), body));
    }

    /// Waits for what the region tells.
    pub(crate) async fn hears(&self, what: &str, heard: impl FnMut(&Told) -> bool) {
        let mut told = self.told.subscribe();
        let waiting = tokio::time::timeout(Duration::from_secs(10), told.wait_for(heard));
        assert!(matches!(waiting.await, Ok(Ok(_))), "not heard in time: {what}");
    }

    /// The connection on which the region is called.
    pub(crate) async fn tunnel(&self) -> H2Client {
        let mut tunnel = self.tunnel.clone();
        let open = |client: &Option<H2Client>| client.as_ref().is_some_and(|client| !client.is_closed());
        let waiting = tokio::time::timeout(Duration::from_secs(10), tunnel.wait_for(open));
        let found = waiting.await.expect("a tunnel in time").unwrap().clone();
        found.unwrap()
    }

    /// A genuine request to the region over `client`.
    pub(crate) fn signed(&self, client: &H2Client, path: &str, body: &[u8]) -> Signed {
        Signed {
            method: Method::POST,
            path: path.to_owned(),
            body: body.to_vec(),
            from: names::GLOBAL.to_owned(),
            to: names::region(self.global.region),
            key: self.global.secrets(Direction::Down).swap_remove(0),
            exporter: *client.peer().exporter().unwrap(),
            ambient: self.global.ambient.clone(),
        }
    }

    /// Calls the region and believes the answer only if it is signed for this call.
    pub(crate) async fn call(&self, path: &str, body: &[u8]) -> (StatusCode, Bytes) {
        let client = self.tunnel().await;
        let signed = self.signed(&client, path, body);
        let (token, jti) = signed.token();
        let answer = send(&client, &signed, &token).await;
        assert!(self.is_signed(&signed, &jti, &answer), "{:?}", answer.0);
        (answer.0, answer.2)
    }

    pub(crate) fn is_signed(&self, signed: &Signed, jti: &str, answer: &(StatusCode, HeaderMap, Bytes)) -> bool {
        let Some(token) = answer.1.get(names::ANSWER_HEADER) else {
            return false;
        };
        let region = names::region(self.global.region);
        let back = About {
            from: &region,
            to: names::GLOBAL,
            body: &answer.2,
            ..signed.about()
        };
        let key = &signed.key;
        let find = |kid: &str| (kid == key.kid).then_some(key);
        service::verify_answer(token.to_str().unwrap(), find, &back, jti, answer.0.as_u16()).is_ok()
    }
}

/// What a token is made of, to be made wrong.
#[derive(Clone)]
pub(crate) struct Signed {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Vec<u8>,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) key: ServiceKey,
    pub(crate) exporter: [u8; 32],
    pub(crate) ambient: Ambient,
}

impl Signed {
    pub(crate) fn about(&self) -> About<'_> {
        About {
            from: &self.from,
            to: &self.to,
            method: self.method.as_str(),
            path: &self.path,
            body: &self.body,
            exporter: &self.exporter,
        }
    }

    /// Token and number.
    pub(crate) fn token(&self) -> (String, String) {
        service::request(&self.ambient, &self.key, &self.about())
    }
}

/// Sends `request` with any token at all.
pub(crate) async fn send(client: &H2Client, request: &Signed, token: &str) -> (StatusCode, HeaderMap, Bytes) {
    let request = Request::builder()
        .method(request.method.clone())
        .uri(&request.path)
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .body(Full::new(Bytes::from(request.body.clone())))
        .unwrap();
    let (parts, body) = client
        .request(request, Duration::from_secs(10))
        .await
        .unwrap()
        .into_parts();
    (parts.status, parts.headers, body)
}

fn config(global: &FakeGlobal, clients: Clients) -> watch::Receiver<Arc<rustls::ServerConfig>> {
    let key = SigningKey::generate(Algorithm::Es384).unwrap();
    let names = ["localhost".to_owned()];
    let issued = global
        .ca
        .issue_server(&global.ambient, &key, &names, time::Duration::days(7))
        .unwrap();
    let identity = Identity {
        chain: vec![issued.der, global.ca.der().to_vec()],
        key: Zeroizing::new(key.pkcs8().to_vec()),
    };
    let config = tls::server_config(&identity, &[global.ca.der().to_vec()], clients, &[]).unwrap();
    watch::channel(Arc::new(config)).1
}

async fn join(State(state): State<Shared>, request: Request) -> Response {
    assert_eq!(request.uri().path(), paths::JOIN);
    let refused = state.refuses_join.lock().unwrap().clone();
    if let Some((status, body)) = refused {
        return (status, axum::Json(body)).into_response();
    }
    let body = to_bytes(request.into_body(), 1 << 20).await.unwrap();
    let join: Join = serde_json::from_slice(&body).unwrap();
    axum::Json(state.global.joined(&B64.decode(join.csr).unwrap())).into_response()
}

async fn up(State(state): State<Shared>, request: Request) -> Response {
    let global = &state.global;
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let peer: &Peer = parts.extensions.get().unwrap();
    let certificate = peer.certificate().unwrap();
    assert_eq!(certificate.identity(), Some(names::region_uri(global.region).as_str()));
    if certificate.not_after <= global.ambient.now() && parts.uri.path() != paths::CERTIFICATE {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    if let Some(tombstone) = state.tombstone.lock().unwrap().clone() {
        let body = json!({"status": 410, "tombstone": B64.encode(tombstone)});
        return (StatusCode::GONE, axum::Json(body)).into_response();
    }
    let thumbprint = certificate.thumbprint;
    let region = names::region(global.region);
    let path = parts.uri.path_and_query().unwrap().as_str().to_owned();
    let about = About {
        from: &region,
        to: names::GLOBAL,
        method: parts.method.as_str(),
        path: &path,
        body: &body,
        exporter: peer.exporter().unwrap(),
    };
    let token = parts.headers[header::AUTHORIZATION].to_str().unwrap();
    let token = token.strip_prefix("Bearer ").unwrap();
    let known = global.secrets(Direction::Up);
    let forgotten = state.told.borrow().forgotten.clone();
    let find = |kid: &str| known.iter().find(|key| key.kid == kid && !forgotten.contains(&key.kid));
    let now = global.ambient.now().unix_timestamp();
    let kid = jws::peek_kid(token).unwrap();
    let Some(used) = find(&kid) else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    let claims = service::verify_request(token, find, &about, now).expect("a genuine request");
    state.told.send_modify(|told| told.signed_with.push(kid.clone()));
    let (status, answer) = serve(&state, &parts.uri, &parts.method, &body, thumbprint);
    let lie = state.lies.lock().unwrap().clone();
    let back = About {
        from: names::GLOBAL,
        to: &region,
        body: &answer,
        ..about
    };
    let key = lie.as_ref().unwrap_or(used);
    let signed = service::answer(&global.ambient, key, &back, &claims.jti, status.as_u16());
    Response::builder()
        .status(status)
        .header(names::ANSWER_HEADER, signed)
        .body(Body::from(answer))
        .unwrap()
}

fn serve(
    state: &Shared,
    uri: &axum::http::Uri,
    method: &Method,
    body: &[u8],
    thumbprint: [u8; 32],
) -> (StatusCode, Vec<u8>) {
    let global = &state.global;
    let query: BTreeMap<String, String> = exarch_common_http::pairs(uri.query().unwrap_or_default())
        .unwrap()
        .into_iter()
        .collect();
    match (method.as_str(), uri.path()) {
        ("POST", paths::AGENT_CA) => {
            let told: exarch_common_wire::federation::AgentCa = serde_json::from_slice(body).unwrap();
            state.told.send_modify(|t| {
                t.agent_ca = Some(told.fingerprint);
                t.certificates.push(thumbprint);
            });
            (StatusCode::NO_CONTENT, Vec::new())
        }
        ("POST", paths::ACKNOWLEDGE) => {
            let told = serde_json::from_slice(body).unwrap();
            state.told.send_modify(|t| t.acknowledged.push(told));
            (StatusCode::NO_CONTENT, Vec::new())
        }
        ("POST", paths::CERTIFICATE) => {
            let asked: RenewCertificate = serde_json::from_slice(body).unwrap();
            let joined = global.joined(&B64.decode(asked.csr).unwrap());
            state.told.send_modify(|t| t.renewed += 1);
            let renewed = RenewedCertificate {
                certificate: joined.certificate,
            };
            (StatusCode::OK, serde_json::to_vec(&renewed).unwrap())
        }
        ("POST", paths::SERVICE_SECRET) => {
            let asked: NewSecret = serde_json::from_slice(body).unwrap();
            let key = ServiceKey {
                kid: asked.secret.kid,
                secret: B64.decode(asked.secret.secret).unwrap().into(),
            };
            let mut next = global.next.lock().unwrap();
            if !next.iter().any(|(_, known)| known.kid == key.kid) {
                next.push((asked.direction, key));
            }
            drop(next);
            let swallows = state.told.borrow().swallows;
            state.told.send_modify(|t| t.handed += 1);
            match swallows {
                true => (StatusCode::SERVICE_UNAVAILABLE, Vec::new()),
                false => (StatusCode::NO_CONTENT, Vec::new()),
            }
        }
        ("GET", paths::PASSPORT) => {
            let have = query.get("have").cloned();
            let version = have.as_deref().and_then(|have| {
                let (generation, version) = have.split_once('.')?;
                Some(exarch_common_wire::user_token::Version(
                    generation.parse().ok()?,
                    version.parse().ok()?,
                ))
            });
            let mut push = global.push(version);
            if let Some(alter) = &mut *state.alter.lock().unwrap() {
                alter(&mut push);
            }
            state.told.send_modify(|t| t.polls.push(have));
            (StatusCode::OK, push.to_bytes())
        }
        ("GET", path) => {
            let id = path.strip_prefix(paths::SECTIONS).unwrap().trim_start_matches('/');
            let Some(content) = global.section(id) else {
                return (StatusCode::NOT_FOUND, Vec::new());
            };
            let offset: usize = query["offset"].parse().unwrap();
            let length: usize = query["length"].parse().unwrap();
            let part = content.get(offset..).unwrap_or_default();
            (StatusCode::OK, part[..part.len().min(length)].to_vec())
        }
        other => panic!("no such route: {other:?}"),
    }
}
