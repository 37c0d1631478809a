//! What the fuzzing goes through to the agents' listener: plain HTTP on loopback here, HTTP/2 and mutual TLS there.
//!
//! `exarch-fuzz-bridge DIR PORT-BASE REGION PORT`, of a box that runs; it ends when its standard input does.
//!
//! The bearer `session` becomes the token of the agent's session. Besides what it passes on it has two routes of its own:
//!
//! - `POST /bridge/agent` `{"token": …}`: enrols a new agent, in whose name everything is asked from then on.
//! - `GET /bridge/body/…`: a good body for a path that takes a signature or a signing request.
use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_base::{AgentId, Ambient};
use exarch_common_crypto::sign::SigningKey;
use exarch_common_http::serve::{Connections, PlainListener, ServeOptions, serve_plain};
use exarch_common_wire::{PROTOCOL, agent::Enrolment, agent::poll_bytes};
use exarch_tests_federation::{
    Federation,
    peers::{Agent, signing_request},
};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use std::{
    io::{Read, Write, stdout},
    net::SocketAddr,
    sync::Arc,
};
use tokio::sync::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

const ENROL: &str = "/agent/v1/enrol";
const POLL: &str = "/agent/v1/enrol/poll";
const SESSION: &str = "/agent/v1/session";
const CERTIFICATE: &str = "/agent/v1/certificate";
/// Of one hop, or made anew on the other side.
const OF_A_HOP: [HeaderName; 5] = [
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::TE,
];

struct Bridge {
    federation: Federation,
    region: String,
    parties: Mutex<Parties>,
}

#[derive(Default)]
struct Parties {
    /// In whose name is asked.
    agent: Option<Agent>,
    /// The key with which was enrolled last, and whose it became.
    newcomer: Option<(SigningKey, Option<AgentId>)>,
}

type Shared = Arc<Bridge>;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [dir, base, region, port] = args.as_slice() else {
        panic!("usage: exarch-fuzz-bridge DIR PORT-BASE REGION PORT")
    };
    let number = |text: &String| text.parse::<u16>().expect("a port");
    let program = std::env::current_exe().expect("a process knows its program");
    let bridge = Bridge {
        federation: Federation::of_another(dir.into(), number(base), program.with_file_name("exarch-box")),
        region: region.clone(),
        parties: Mutex::default(),
    };
    let port = number(port);
    exarch_common_crypto::init().expect("the cryptographic provider is put in place once");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime").block_on(serve(Arc::new(bridge), port));
}

async fn serve(bridge: Shared, port: u16) {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let listener = PlainListener::bind(address).await.expect("the port is free");
    let stop = CancellationToken::new();
    let ended = stop.clone();
    // whoever started it holds the other end
    std::thread::spawn(move || {
        let _ = std::io::stdin().read(&mut [0]);
        ended.cancel();
    });
    let router = Router::new()
        .route("/bridge/agent", post(new_agent))
        .route("/bridge/body/{*path}", get(body))
        .fallback(pass)
        .with_state(bridge);
    // who started it waits for this line
    let _ = writeln!(stdout(), "the bridge is open");
    serve_plain(listener, router, ServeOptions::default(), Connections::default(), stop).await;
}

async fn new_agent(State(bridge): State<Shared>, Json(input): Json<Value>) -> Json<Value> {
    let token = input["token"].as_str().expect("a bootstrap token");
    let agent = bridge.federation.agent(&bridge.region, token).await;
    let told = json!({ "agent": agent.enrolled.agent, "cluster": agent.enrolled.cluster });
    bridge.parties.lock().await.agent = Some(agent);
    Json(told)
}

/// Not found: there is none for this path now.
async fn body(State(bridge): State<Shared>, Path(path): Path<String>) -> Result<Json<Value>, StatusCode> {
    let mut parties = bridge.parties.lock().await;
    let body = match format!("/{path}").as_str() {
        ENROL => {
            let (key, csr) = signing_request();
            parties.newcomer = Some((key, None));
            json!({ "csr": csr, "protocol": PROTOCOL })
        }
        POLL => {
            let Some((key, Some(agent))) = &parties.newcomer else {
                return Err(StatusCode::NOT_FOUND);
            };
            let at = Ambient::system().now().unix_timestamp();
            let signature = key.sign(&poll_bytes(*agent, at)).expect("a signature");
            json!({ "agent": agent, "at": at, "signature": B64.encode(signature) })
        }
        SESSION => {
            let open = agent_of(&parties)?.opening().await;
            serde_json::to_value(open).expect("a message in JSON")
        }
        CERTIFICATE => json!({ "csr": agent_of(&parties)?.signing_request() }),
        _ => return Err(StatusCode::NOT_FOUND),
    };
    Ok(Json(body))
}

fn agent_of<'a>(parties: &'a MutexGuard<'_, Parties>) -> Result<&'a Agent, StatusCode> {
    parties.agent.as_ref().ok_or(StatusCode::NOT_FOUND)
}

async fn pass(State(bridge): State<Shared>, request: Request) -> Response {
    let mut parties = bridge.parties.lock().await;
    let (mut head, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let body = body.to_bytes();
    let path = head.uri.path().to_owned();
    OF_A_HOP.iter().for_each(|name| drop(head.headers.remove(name)));
    let answer = if path.starts_with(ENROL) {
        let wire = bridge.federation.enrolling(&bridge.region).await;
        wire.pass(asked(&head, &head.headers, &body)).await
    } else if let Some(agent) = &mut parties.agent {
        if head
            .headers
            .get(header::AUTHORIZATION)
            .is_some_and(|value| value == "Bearer session")
        {
            let token = HeaderValue::from_str(&format!("Bearer {}", agent.token)).expect("a token in ASCII");
            head.headers.insert(header::AUTHORIZATION, token);
        }
        match agent.wire.pass(asked(&head, &head.headers, &body)).await {
            // the connection may have been ended meanwhile
            None if agent.connect(&bridge.federation, &bridge.region).await.is_some() => {
                agent.wire.pass(asked(&head, &head.headers, &body)).await
            }
            answer => answer,
        }
    } else {
        None
    };
    let Some(answer) = answer else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    if answer.status() == StatusCode::OK {
        remember(&mut parties, &path, answer.body());
    }
    let (mut head, body) = answer.into_parts();
    OF_A_HOP.iter().for_each(|name| drop(head.headers.remove(name)));
    (head.status, head.headers, body).into_response()
}

fn asked(head: &axum::http::request::Parts, headers: &HeaderMap, body: &Bytes) -> axum::http::Request<Full<Bytes>> {
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = axum::http::Request::new(Full::new(body.clone()));
    *request.method_mut() = head.method.clone();
    *request.uri_mut() = path.parse().expect("it was a path here");
    *request.headers_mut() = headers.clone();
    request
}

fn remember(parties: &mut Parties, path: &str, body: &[u8]) {
    match path {
        SESSION => {
            if let (Some(agent), Ok(opened)) = (&mut parties.agent, serde_json::from_slice(body)) {
                agent.opened(opened);
            }
        }
        ENROL => {
            if let (Some((_, whose)), Ok(enrolment)) = (&mut parties.newcomer, serde_json::from_slice(body)) {
                *whose = Some(match enrolment {
                    Enrolment::Pending { agent } => agent,
                    Enrolment::Active(enrolled) => enrolled.agent,
                });
            }
        }
        _ => {}
    }
}
