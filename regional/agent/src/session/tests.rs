//! Against a gateway of the test: real TLS, real certificates, and answers that are lost where the test says.
use super::*;
use axum::{
    Extension, Router,
    body::Bytes,
    extract::{Request, State as Handed},
    http::{HeaderMap, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::post,
};
use exarch_common_base::{AgentId, ExposeSecret, RegionId};
use exarch_common_crypto::{
    pki::{Ca, Peer as Shown509},
    sign::Algorithm,
    tls::Clients,
};
use exarch_common_http::{
    Json, Problem,
    client::ReceivedProblem,
    serve::{AlpnService, ClientCertificate, Connections, Peer, Protocol, ServeOptions, TlsListener, serve_tls},
};
use exarch_common_wire::names;
use std::path::Path;
use time::OffsetDateTime;
use zeroize::Zeroizing;

/// What becomes of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It never arrives.
    Lost,
    /// It has its effect, and nobody hears of it.
    Unanswered,
}

#[derive(Default)]
struct Seen {
    calls: usize,
    /// Call number and what becomes of it.
    fate: Option<(usize, Fate)>,
    position: usize,
    last: Option<(Bytes, SessionOpened)>,
    /// Other bytes came at a used position.
    copied: bool,
    /// Token in force, and the certificate it is bound to.
    token: Option<(String, [u8; 32])>,
    renewals: usize,
    /// What renewals answer instead of a good certificate.
    answers: Option<String>,
}

struct Gateway {
    ca: Ca,
    region: RegionId,
    agent: AgentId,
    ambient: Ambient,
    seen: Mutex<Seen>,
}

type Shared = Arc<Gateway>;

impl Gateway {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    fn issue(&self, key: &[u8], at: OffsetDateTime) -> String {
        let ambient = Ambient::manual(at, at.unix_timestamp().unsigned_abs()).0;
        let uri = names::agent_uri(self.region, self.agent);
        let issued = self.ca.issue_client(&ambient, key, &uri, time::Duration::days(7));
        B64.encode(issued.unwrap().der)
    }
}

async fn gate(Handed(gateway): Handed<Shared>, request: Request, next: Next) -> Response {
    let lost = || (StatusCode::SERVICE_UNAVAILABLE, "lost").into_response();
    let fate = {
        let mut seen = gateway.seen();
        seen.calls += 1;
        let number = seen.calls;
        seen.fate.filter(|(at, _)| *at == number).map(|(_, fate)| fate)
    };
    if fate == Some(Fate::Lost) {
        return lost();
    }
    let certificate = request
        .extensions()
        .get::<Peer>()
        .and_then(Peer::certificate)
        .cloned()
        .unwrap();
    let bearer = request
        .headers()
        .get("authorization")
        .and_then(|v| v.to_str().ok()?.strip_prefix("Bearer "));
    let known = gateway
        .seen()
        .token
        .as_ref()
        .is_some_and(|(token, thumbprint)| bearer == Some(token) && *thumbprint == certificate.thumbprint);
    let over = certificate.not_after <= gateway.ambient.now();
    let path = request.uri().path().to_owned();
    if over && path != CERTIFICATE_PATH {
        return Problem::unauthorized("certificate-expired").into_response();
    }
    if !known && !over && !path.starts_with("/agent/v1/session") {
        return Problem::unauthorized("unauthenticated").into_response();
    }
    let answer = next.run(request).await;
    if fate == Some(Fate::Unanswered) { lost() } else { answer }
}

async fn challenge() -> Json<Challenge> {
    Json(Challenge { challenge: "c".into() })
}

async fn session(Handed(gateway): Handed<Shared>, Extension(peer): Extension<Peer>, body: Bytes) -> Response {
    let request: OpenSession = serde_json::from_slice(&body).unwrap();
    let mut seen = gateway.seen();
    let shown: usize = request.chain.parse().unwrap();
    if shown + 1 == seen.position
        && let Some((last, answer)) = &seen.last
        && *last == body
    {
        return Json(answer.clone()).into_response();
    }
    if shown != seen.position {
        seen.copied = true;
        return Problem::forbidden("agent-quarantined").into_response();
    }
    seen.position += 1;
    let opened = SessionOpened {
        token: format!("t{}", seen.position),
        expires_in: 600,
        chain: seen.position.to_string(),
    };
    seen.token = Some((opened.token.clone(), peer.certificate().unwrap().thumbprint));
    seen.last = Some((body, opened.clone()));
    Json(opened).into_response()
}

async fn certificate(Handed(gateway): Handed<Shared>, Json(body): Json<RenewCertificate>) -> Json<RenewedCertificate> {
    gateway.seen().renewals += 1;
    let bad = gateway.seen().answers.clone();
    let certificate = bad.unwrap_or_else(|| gateway.issue(&B64.decode(body.csr).unwrap(), gateway.ambient.now()));
    Json(RenewedCertificate { certificate })
}

async fn renew_leases() -> Json<serde_json::Value> {
    Json(json!({ "verdicts": [] }))
}

/// A gateway and the state directory of an agent whose certificate was made some days ago.
struct Scene {
    gateway: Shared,
    dir: tempfile::TempDir,
    _stop: tokio_util::sync::DropGuard,
}

impl Scene {
    async fn new(days_old: i64) -> Self {
        exarch_common_crypto::init().unwrap();
        let ambient = Ambient::system();
        let past = Ambient::manual(ambient.now() - time::Duration::days(400), 1).0;
        let ca_key = SigningKey::generate(Algorithm::Es384).unwrap();
        let gateway = Arc::new(Gateway {
            ca: Ca::create(&past, "agents", &ca_key, time::Duration::days(730)).unwrap(),
            region: ambient.id(),
            agent: ambient.id(),
            ambient: ambient.clone(),
            seen: Mutex::default(),
        });
        let listener = TlsListener::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let stop = CancellationToken::new();
        let key = SigningKey::generate(Algorithm::Es384).unwrap();
        let issued = gateway
            .ca
            .issue_server(&ambient, &key, &["localhost".to_owned()], time::Duration::days(1));
        let identity = tls::Identity {
            chain: vec![issued.unwrap().der],
            key: Zeroizing::new(key.pkcs8().to_vec()),
        };
        let config = tls::server_config(&identity, &[gateway.ca.der().to_vec()], Clients::RequiredOrExpired, &[]);
        let router = Router::new()
            .route("/agent/v1/session/challenge", post(challenge))
            .route("/agent/v1/session", post(session))
            .route("/agent/v1/leases/renew", post(renew_leases))
            .route(CERTIFICATE_PATH, post(certificate))
            .layer(middleware::from_fn_with_state(gateway.clone(), gate))
            .with_state(gateway.clone());
        let protocol = Protocol {
            alpn: ALPN_AGENT,
            tls: watch::channel(Arc::new(config.unwrap())).1,
            certificate: ClientCertificate::Required,
            service: AlpnService::Router(router),
        };
        let options = ServeOptions::default();
        tokio::spawn(serve_tls(
            listener,
            vec![protocol],
            options,
            Connections::new(),
            stop.clone(),
        ));

        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).unwrap();
        let csr = pki::request(&state.key().unwrap()).unwrap();
        let identity = Identity {
            gateway: url,
            other_gateways: Vec::new(),
            region: gateway.region,
            tenant: ambient.id(),
            cluster: ambient.id(),
            agent: gateway.agent,
            name: "edge-1".into(),
            certificate: gateway.issue(&csr, ambient.now() - time::Duration::days(days_old)),
            agent_ca: B64.encode(gateway.ca.der()),
            grant_keys: Vec::new(),
        };
        state.keep(&identity, "0", false).unwrap();
        Self {
            gateway,
            dir,
            _stop: stop.drop_guard(),
        }
    }

    /// A start of the agent's process.
    fn start(&self) -> (Session, Link) {
        let state = State::open(self.dir.path()).unwrap();
        let identity = state.identity().unwrap();
        Session::new(Ambient::system(), state, &identity).unwrap()
    }

    fn on_disk(&self) -> String {
        kept(self.dir.path()).certificate
    }

    /// Whether the token that a session brought is good on the certificate it shows.
    async fn works(&self, link: &Link) -> bool {
        let client = link.client().await;
        client
            .post::<serde_json::Value>("/agent/v1/leases/renew", &json!({}))
            .await
            .is_ok()
    }
}

fn kept(dir: &Path) -> Identity {
    serde_json::from_slice(&std::fs::read(dir.join("identity.json")).unwrap()).unwrap()
}

fn end_of(text: &str) -> OffsetDateTime {
    Shown509::read(&B64.decode(text).unwrap()).unwrap().not_after
}

#[tokio::test]
async fn a_certificate_past_a_third_of_its_life_is_renewed_and_shown_and_a_young_one_is_not() {
    for (days_old, renewals) in [(3, 1), (2, 0)] {
        let scene = Scene::new(days_old).await;
        let (session, link) = scene.start();
        let before = scene.on_disk();
        session.pass().await.unwrap();
        assert!(scene.works(&link).await, "{days_old}");
        assert_eq!(scene.gateway.seen().renewals, renewals, "{days_old}");
        assert_eq!(end_of(&scene.on_disk()) > end_of(&before), renewals == 1);
        let shown = scene.gateway.seen().token.as_ref().unwrap().1;
        let newest = Shown509::read(&B64.decode(scene.on_disk()).unwrap()).unwrap();
        assert_eq!(
            shown, newest.thumbprint,
            "the session is bound to the certificate on disk"
        );
        // and that is all: the next pass opens a session, no more
        session.pass().await.unwrap();
        assert_eq!(scene.gateway.seen().renewals, renewals);
    }
}

#[tokio::test]
async fn an_agent_whose_certificate_expired_comes_back_unaided() {
    let scene = Scene::new(7 + 45).await;
    let (session, link) = scene.start();
    session.pass().await.unwrap();
    assert!(scene.works(&link).await);
    assert_eq!(scene.gateway.seen().renewals, 1);
    assert!(end_of(&scene.on_disk()) > Ambient::system().now());
}

#[tokio::test]
async fn an_agent_whose_clock_is_behind_learns_from_the_gateway_that_its_certificate_is_over() {
    let scene = Scene::new(8).await;
    let state = State::open(scene.dir.path()).unwrap();
    let identity = state.identity().unwrap();
    let behind = Ambient::manual(Ambient::system().now() - time::Duration::days(6), 3).0;
    let (session, link) = Session::new(behind, state, &identity).unwrap();
    session.pass().await.unwrap();
    assert!(scene.works(&link).await);
}

/// Each request of a start is lost, or has its effect unheard; the process dies of it, or goes on. Whatever happens, the
/// agent ends with a session on a renewed certificate, and is never taken for a copy of itself.
#[tokio::test]
async fn a_crash_at_any_step_resumes() {
    for days_old in [3, 52] {
        for at in 1..=5 {
            for fate in [Fate::Lost, Fate::Unanswered] {
                for dies in [true, false] {
                    let scene = Scene::new(days_old).await;
                    scene.gateway.seen().fate = Some((at, fate));
                    let what = format!("{days_old} days, request {at} {fate:?}, dies {dies}");
                    let (mut session, mut link) = scene.start();
                    let first = session.pass().await;
                    scene.gateway.seen().fate = None;
                    if dies {
                        drop((session, link));
                        (session, link) = scene.start();
                    } else if first.is_ok() {
                        assert!(scene.works(&link).await, "{what}");
                    }
                    session.pass().await.unwrap_or_else(|e| panic!("{what}: {e}"));
                    assert!(scene.works(&link).await, "{what}");
                    session.pass().await.unwrap_or_else(|e| panic!("{what}: {e}"));
                    let seen = scene.gateway.seen();
                    assert!(!seen.copied, "{what}");
                    assert!(seen.renewals <= 2, "{what}: {}", seen.renewals);
                    drop(seen);
                    assert!(
                        end_of(&scene.on_disk()) > Ambient::system().now() + time::Duration::days(6),
                        "{what}"
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn a_session_request_that_was_never_answered_goes_out_again_byte_for_byte() {
    let scene = Scene::new(0).await;
    scene.gateway.seen().fate = Some((2, Fate::Unanswered));
    let (session, link) = scene.start();
    session.pass().await.unwrap_err();
    let sent = scene.gateway.seen().last.as_ref().unwrap().0.clone();
    let kept = std::fs::read(scene.dir.path().join("session-request.json")).unwrap();
    let (sent, kept): (serde_json::Value, serde_json::Value) = (
        serde_json::from_slice(&sent).unwrap(),
        serde_json::from_slice(&kept).unwrap(),
    );
    assert_eq!(sent, kept, "it was on disk before it was sent");
    drop((session, link));
    let (session, link) = scene.start();
    session.pass().await.unwrap();
    assert!(scene.works(&link).await);
    let seen = scene.gateway.seen();
    // the lost one, which the repeat finished, and the one of the new process
    assert_eq!((seen.copied, seen.position, seen.calls), (false, 2, 6));
}

#[tokio::test]
async fn a_certificate_that_is_not_ours_is_not_taken_and_the_old_one_goes_on() {
    let scene = Scene::new(3).await;
    let stranger = pki::request(&SigningKey::generate(Algorithm::Es384).unwrap()).unwrap();
    let other = scene.gateway.issue(&stranger, Ambient::system().now());
    scene.gateway.seen().answers = Some(other);
    let (session, link) = scene.start();
    let before = scene.on_disk();
    session.pass().await.unwrap();
    assert!(scene.works(&link).await);
    assert_eq!(scene.on_disk(), before);
    scene.gateway.seen().answers = None;
    session.pass().await.unwrap();
    assert!(scene.works(&link).await);
    assert_ne!(scene.on_disk(), before);
}

async fn is_woken(session: &Session) -> bool {
    tokio::select! {
        biased;
        () = session.refused.notified() => true,
        () = std::future::ready(()) => false,
    }
}

#[tokio::test]
async fn a_session_that_the_gateway_forgot_is_replaced_and_one_of_before_is_no_reason_to() {
    let scene = Scene::new(0).await;
    let (session, link) = scene.start();
    session.pass().await.unwrap();
    let old = link.client().await;
    session.pass().await.unwrap();
    let call = async |with: &Live| {
        with.post::<serde_json::Value>("/agent/v1/leases/renew", &json!({}))
            .await
    };
    let refused = call(&old).await.unwrap_err();
    link.heed(&old, &refused);
    assert!(!is_woken(&session).await, "the newest is in force");
    scene.gateway.seen().token = None;
    let newest = link.client().await;
    let refused = call(&newest).await.unwrap_err();
    link.heed(&newest, &refused);
    assert!(is_woken(&session).await);
}

/// Timers stand still while a host sleeps; here they run, and only the clocks move, by more than any timer would have waited.
#[tokio::test]
async fn a_host_that_slept_until_its_certificate_was_over_is_back_at_its_next_look() {
    for (what, both) in [("it slept", true), ("its clock was set", false)] {
        let scene = Scene::new(0).await;
        let (ambient, clock) = Ambient::manual(Ambient::system().now(), 5);
        let state = State::open(scene.dir.path()).unwrap();
        let identity = state.identity().unwrap();
        let (session, _link) = Session::new(ambient, state, &identity).unwrap();
        let mut resting = std::pin::pin!(session.rest(Duration::from_secs(300)));
        let early = tokio::time::timeout(Duration::from_millis(100), &mut resting).await;
        assert!(early.is_err(), "{what}: it does not rest");
        match both {
            true => clock.advance(Duration::from_secs(8 * 86_400)),
            false => clock.step_wall(time::Duration::days(8)),
        }
        let back = tokio::time::timeout(GLANCE * 2, resting).await;
        assert!(back.is_ok(), "{what}: it rests on");
        // What has been tried is not tried again at once.
        let again = tokio::time::timeout(GLANCE * 2, session.rest(Duration::from_secs(300))).await;
        assert!(again.is_err(), "{what}");
    }
}

#[tokio::test]
async fn a_certificate_that_is_over_at_the_gateway_wakes_the_session() {
    let scene = Scene::new(0).await;
    let (session, link) = scene.start();
    session.pass().await.unwrap();
    let newest = link.client().await;
    let problem = Problem::unauthorized("certificate-expired");
    link.heed(
        &newest,
        &ClientError::Problem(Box::new(ReceivedProblem {
            document: problem.document().clone(),
            retry_after: None,
            headers: HeaderMap::default(),
        })),
    );
    assert!(is_woken(&session).await);
}

#[test]
fn what_is_written_down_of_a_client_holds_no_token() {
    let _ = exarch_common_crypto::init();
    let client = ApiClient::new("https://localhost:1", ClientTls::System).unwrap();
    let token = SecretString::from("t0ken".to_owned());
    assert_eq!(token.expose_secret(), "t0ken");
    let live = Live {
        client: client.bearer(token),
        session: 1,
    };
    assert!(!format!("{live:?}").contains("t0ken"));
}
