//! A small federation on the loopback, and the binary in front of it.
use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use serde_json::{Value, json};
use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex},
};

pub const PASSWORD: &str = "correct horse battery staple";
pub const CLUSTER: &str = "clu_01978c3e4f1a7c0e9f0a3b5d6e7f8091";
const AGENT: &str = "agt_01978c3e4f1a7c0e9f0a3b5d000000a1";
const WORKLOAD: &str = "wrk_01978c3e4f1a7c0e9f0a3b5d000000b1";

/// What the servers remember.
#[derive(Default)]
pub struct Seen {
    url: String,
    pub bodies: Vec<(String, Value)>,
    pub exchanges: u32,
    looks: u32,
    pub signed_out: bool,
    pub denies: bool,
}

type World = State<Arc<Mutex<Seen>>>;

fn problem(status: u16, slug: &str, more: Value) -> Response {
    let mut body = json!({"type": format!("urn:exarch:problem:{slug}"), "title": slug, "status": status,
                          "detail": format!("This is {slug}."), "request_id": "req_1"});
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().cloned().unwrap_or_default());
    let status = StatusCode::from_u16(status).unwrap();
    (
        status,
        [(header::CONTENT_TYPE, "application/problem+json")],
        body.to_string(),
    )
        .into_response()
}

fn bearer(headers: &HeaderMap) -> &str {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    value
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default()
}

fn pair(n: u32) -> Value {
    json!({"access_token": format!("at_{n}"), "refresh_token": format!("exr_{n}"), "expires_in": 900})
}

fn signed_in(slug: &str) -> Value {
    let mut answer = pair(1);
    answer["status"] = json!("signed-in");
    answer["user"] = json!({"id": "usr_1", "email": "ada@acme.example"});
    answer["tenant"] = json!({"id": format!("ten_{slug}"), "slug": slug});
    answer
}

async fn sign_in(State(seen): World, Json(body): Json<Value>) -> Response {
    seen.lock().unwrap().bodies.push(("sign-in".into(), body.clone()));
    if body["password"] != PASSWORD || body["session"] != "token" {
        return problem(401, "sign-in-refused", json!({}));
    }
    Json(json!({"status": "next", "next": "change-password", "ticket": "tk_1"})).into_response()
}

async fn next(State(seen): World, Json(body): Json<Value>) -> Response {
    seen.lock().unwrap().bodies.push(("next".into(), body.clone()));
    let tenants = json!([{"id": "ten_acme", "slug": "acme", "name": "Acme"}, {"id": "ten_globex", "slug": "globex", "name": "Globex"}]);
    match body["ticket"].as_str() {
        Some("tk_1") if body["new_password"].is_string() => {
            Json(json!({"status": "next", "next": "second-factor", "ticket": "tk_2"})).into_response()
        }
        Some("tk_2") if body["totp"] == "271828" => {
            Json(json!({"status": "next", "next": "select-tenant", "ticket": "tk_3", "tenants": tenants}))
                .into_response()
        }
        Some("tk_3") if body["tenant"] == "ten_acme" => Json(signed_in("acme")).into_response(),
        _ => problem(401, "step-refused", json!({})),
    }
}

async fn device_authorization(State(seen): World, body: String) -> Response {
    assert_eq!(body, "client_id=exarch-cli");
    let page = format!("{}/device", seen.lock().unwrap().url);
    Json(json!({
        "device_code": "dc_1", "user_code": "BCDF-GHJK", "verification_uri": page, "expires_in": 600, "interval": 1,
        "verification_uri_complete": format!("{page}?user_code=BCDF-GHJK"),
    }))
    .into_response()
}

/// Pending at first, then the tokens; a request without the code is refused.
async fn device_token(State(seen): World, body: String) -> Response {
    let mut seen = seen.lock().unwrap();
    if !body.contains("device_code=dc_1") || !body.contains("client_id=exarch-cli") {
        return (StatusCode::BAD_REQUEST, Json(json!({"error": "invalid_request"}))).into_response();
    }
    seen.bodies.push(("device".into(), json!(body)));
    match seen.bodies.len() {
        1 => (StatusCode::BAD_REQUEST, Json(json!({"error": "authorization_pending"}))).into_response(),
        _ if seen.denies => (StatusCode::BAD_REQUEST, Json(json!({"error": "access_denied"}))).into_response(),
        _ => Json(signed_in("acme")).into_response(),
    }
}

async fn my_sessions() -> Response {
    let session = |n: u32, current: bool| {
        json!({"id": format!("ses_{n:032}"), "kind": "token", "amr": ["pwd"], "current": current,
               "created_at": "2026-03-01T12:00:00Z", "expires_at": "2026-03-08T12:00:00Z", "user_agent": "exarch"})
    };
    Json(json!({"items": [session(2, true), session(1, false)]})).into_response()
}

async fn sign_out(State(seen): World, headers: HeaderMap) -> Response {
    if bearer(&headers) != "at_1" {
        return problem(401, "unauthenticated", json!({}));
    }
    seen.lock().unwrap().signed_out = true;
    StatusCode::NO_CONTENT.into_response()
}

async fn me() -> Json<Value> {
    Json(
        json!({"user": {"id": "usr_1", "email": "ada@acme.example"}, "tenant": {"id": "ten_acme", "slug": "acme", "name": "Acme"},
                "tenants": [{"id": "ten_acme", "slug": "acme", "name": "Acme"}], "roles": ["tenant-admin"], "session": {}}),
    )
}

async fn my_regions() -> Json<Value> {
    Json(
        json!({"items": [{"slug": "eu-north", "name": "EU North", "url": "http://127.0.0.1:1", "state": "healthy", "latency_ms": 14}]}),
    )
}

async fn exchange(State(seen): World, headers: HeaderMap, Path(slug): Path<String>) -> Response {
    if bearer(&headers) != "at_1" {
        return problem(401, "unauthenticated", json!({}));
    }
    if slug != "eu-north" {
        return problem(404, "region-not-found", json!({}));
    }
    let mut seen = seen.lock().unwrap();
    seen.exchanges += 1;
    Json(
        json!({"access_token": "rt_1", "expires_in": 900, "region_state": "healthy", "last_seen": null,
                "region": {"slug": slug, "url": format!("{}/in", seen.url)}}),
    )
    .into_response()
}

/// Two pages.
async fn clusters(headers: HeaderMap, uri: axum::http::Uri) -> Response {
    if bearer(&headers) != "rt_1" {
        return problem(401, "unauthenticated", json!({}));
    }
    let second = uri.query().unwrap_or_default().contains("page_token=two");
    Json(match second {
        false => json!({"items": [{"id": CLUSTER, "name": "north", "created_at": "2026-01-01T00:00:00Z"}], "next_page_token": "two"}),
        true => json!({"items": [{"id": "clu_01978c3e4f1a7c0e9f0a3b5d00000002", "name": "south", "created_at": "2026-01-01T00:00:00Z"}]}),
    })
    .into_response()
}

async fn cluster(Path(id): Path<String>) -> Response {
    if id == CLUSTER {
        let shown = json!({"id": id, "name": "north", "created_at": "2026-01-01T00:00:00Z"});
        ([(header::ETAG, "\"7\"")], Json(shown)).into_response()
    } else {
        problem(404, "cluster-not-found", json!({}))
    }
}

fn conditional(headers: &HeaderMap) -> Result<(), Box<Response>> {
    match headers.get(header::IF_MATCH) {
        Some(tag) if tag == "\"7\"" => Ok(()),
        Some(_) => Err(Box::new(problem(412, "precondition-failed", json!({})))),
        None => Err(Box::new(problem(428, "precondition-required", json!({})))),
    }
}

async fn change_cluster(State(seen): World, headers: HeaderMap, Json(body): Json<Value>) -> Result<Response, Response> {
    conditional(&headers).map_err(|refused| *refused)?;
    seen.lock().unwrap().bodies.push(("change".into(), body.clone()));
    Ok(Json(json!({"id": CLUSTER, "name": body["name"]})).into_response())
}

async fn delete_cluster(headers: HeaderMap) -> Result<StatusCode, Response> {
    conditional(&headers).map_err(|refused| *refused)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn bootstrap(State(seen): World, Json(body): Json<Value>) -> Json<Value> {
    seen.lock().unwrap().bodies.push(("bootstrap".into(), body));
    Json(
        json!({"id": "tok_1", "token": "exb_secret", "expires_at": "2999-01-01T00:00:00Z", "line": "exarch-agent enrol --token-file -"}),
    )
}

async fn re_enrol() -> Json<Value> {
    Json(json!({ "id": "tok_1", "token": "ebt_again", "line": "exarch-agent enrol --again --token-file -" }))
}

async fn agents() -> Json<Value> {
    Json(json!({"items": [{"id": AGENT, "name": "edge-1", "cluster_id": CLUSTER, "state": "active"}]}))
}

async fn workloads() -> Json<Value> {
    Json(json!({"items": [{"id": WORKLOAD, "name": "db", "cluster_id": CLUSTER}]}))
}

async fn workload(State(seen): World) -> Json<Value> {
    let mut seen = seen.lock().unwrap();
    seen.looks += 1;
    let state = if seen.looks < 3 { "waiting" } else { "running" };
    Json(
        json!({"id": WORKLOAD, "name": "db", "agents": [{"agent_id": AGENT, "agent": "edge-1", "desired": "wait",
                "changed_at": "2026-06-01T12:00:00Z",
                "reported": {"state": state, "detail": "x", "fence": "1.7", "at": "2026-06-01T12:00:01Z"}}]}),
    )
}

async fn start(Json(body): Json<Value>) -> Response {
    if body["wait"] == false {
        return problem(409, "lease-held", json!({"holder": "edge-2", "remaining_ms": 21000}));
    }
    (StatusCode::ACCEPTED, Json(json!({"id": WORKLOAD}))).into_response()
}

async fn busy() -> Response {
    problem(503, "database-unavailable", json!({}))
}

/// The federation, and a person with a profile.
pub struct Federation {
    pub root: tempfile::TempDir,
    pub seen: Arc<Mutex<Seen>>,
    pub url: String,
    pub server: tokio::task::JoinHandle<()>,
}

impl Federation {
    pub async fn start() -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let region = Router::new()
            .route("/v1/clusters", get(clusters))
            .route(
                "/v1/clusters/{id}",
                get(cluster).patch(change_cluster).delete(delete_cluster),
            )
            .route("/v1/hosts", get(busy))
            .route("/v1/agents", get(agents))
            .route("/v1/agents/{id}/revoke", post(async || StatusCode::NO_CONTENT))
            .route("/v1/agents/{id}/suspend", post(async || StatusCode::NO_CONTENT))
            .route("/v1/agents/{id}/resume", post(async || StatusCode::NO_CONTENT))
            .route("/v1/agents/{id}/re-enrol", post(re_enrol))
            .route(
                "/v1/agents/{id}",
                axum::routing::delete(async || StatusCode::NO_CONTENT),
            )
            .route("/v1/bootstrap-tokens", post(bootstrap))
            .route("/v1/bootstrap-tokens/{id}", delete(async || StatusCode::NO_CONTENT))
            .route("/v1/workloads", get(workloads))
            .route("/v1/workloads/{id}", get(workload))
            .route("/v1/workloads/{id}/start", post(start))
            .route(
                "/v1/continuity",
                get(async || Json(json!({"tunnel": {"state": "disconnected"}, "stops": []}))),
            );
        let router = Router::new()
            .route("/v1/auth/sign-in", post(sign_in))
            .route("/v1/auth/next", post(next))
            .route("/v1/auth/sign-out", post(sign_out))
            .route("/oauth2/device_authorization", post(device_authorization))
            .route("/oauth2/token", post(device_token))
            .route(
                "/v1/me/sessions",
                get(my_sessions).delete(async || Json(json!({"ended": 1}))),
            )
            .route("/v1/me/sessions/{id}", delete(async || StatusCode::NO_CONTENT))
            .route("/v1/me", get(me))
            .route("/v1/me/regions", get(my_regions))
            .route("/v1/regions/{slug}/token", post(exchange))
            .nest("/in", region)
            .with_state(seen.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        seen.lock().unwrap().url = url.clone();
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            root: tempfile::tempdir().unwrap(),
            seen,
            url,
            server,
        }
    }

    pub fn config(&self) -> PathBuf {
        self.root.path().join("exarch")
    }

    pub async fn run(&self, line: &str, stdin: &str) -> Ran {
        let (config, args) = (
            self.root.path().to_owned(),
            line.split_whitespace().map(str::to_owned).collect::<Vec<_>>(),
        );
        let stdin = stdin.to_owned();
        let output = tokio::task::spawn_blocking(move || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_exarch"));
            command.args(args).env_clear().env("EXARCH_CONFIG_HOME", config);
            let mut child = command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            // A command that does not read may be gone already.
            let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
            child.wait_with_output().unwrap()
        });
        Ran(output.await.unwrap())
    }

    /// Signed in through all the steps there are.
    pub async fn signed_in() -> Self {
        let federation = Self::start().await;
        let line = format!(
            "login --global {} --email ada@acme.example --password-stdin --tenant acme",
            federation.url
        );
        let answers = format!("{PASSWORD}\n a longer one, \n271828\n");
        federation.run(&line, &answers).await.code(0);
        federation
    }
}

/// What a command came to.
pub struct Ran(Output);

impl Ran {
    #[track_caller]
    pub fn code(self, code: i32) -> Self {
        assert_eq!(self.0.status.code(), Some(code), "{}{}", self.out(), self.err());
        self
    }

    pub fn out(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    pub fn err(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }
}
