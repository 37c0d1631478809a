//! The command as scripts use it: the binary, against a small federation on the loopback.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails here")]
use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use serde_json::{Value, json};
use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex},
};

const PASSWORD: &str = "correct horse battery staple";
const CLUSTER: &str = "clu_01978c3e4f1a7c0e9f0a3b5d6e7f8091";
const AGENT: &str = "agt_01978c3e4f1a7c0e9f0a3b5d000000a1";
const WORKLOAD: &str = "wrk_01978c3e4f1a7c0e9f0a3b5d000000b1";

/// What the servers remember.
#[derive(Default)]
struct Seen {
    url: String,
    bodies: Vec<(String, Value)>,
    exchanges: u32,
    looks: u32,
    signed_out: bool,
    denies: bool,
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

struct Federation {
    root: tempfile::TempDir,
    seen: Arc<Mutex<Seen>>,
    url: String,
    server: tokio::task::JoinHandle<()>,
}

impl Federation {
    async fn start() -> Self {
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

    fn config(&self) -> PathBuf {
        self.root.path().join("exarch")
    }

    async fn run(&self, line: &str, stdin: &str) -> Ran {
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
    async fn signed_in() -> Self {
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

struct Ran(Output);

impl Ran {
    #[track_caller]
    fn code(self, code: i32) -> Self {
        assert_eq!(self.0.status.code(), Some(code), "{}{}", self.out(), self.err());
        self
    }

    fn out(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    fn err(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_follows_its_steps_and_leaves_a_private_profile() {
    let federation = Federation::signed_in().await;
    let bodies = federation.seen.lock().unwrap().bodies.clone();
    let steps: Vec<_> = bodies.iter().map(|(route, _)| route.as_str()).collect();
    assert_eq!(steps, ["sign-in", "next", "next", "next"]);
    assert_eq!(
        bodies[1].1["new_password"], " a longer one, ",
        "a password is never trimmed"
    );
    for (path, mode) in [("", 0o700), ("default.json", 0o600), ("default.lock", 0o600)] {
        let meta = fs::metadata(federation.config().join(path)).unwrap();
        assert_eq!(meta.permissions().mode() & 0o777, mode, "{path}");
    }
    let kept = fs::read_to_string(federation.config().join("default.json")).unwrap();
    assert!(!kept.contains(PASSWORD) && kept.contains("exr_1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_by_a_browser_shows_page_and_code_and_waits() {
    let federation = Federation::start().await;
    let line = format!("login --global {} --device", federation.url);
    let ran = federation.run(&line, "").await.code(0);
    assert!(ran.err().contains("BCDF-GHJK"), "{}", ran.err());
    assert!(ran.err().contains("/device?user_code=BCDF-GHJK"), "{}", ran.err());
    let kept = federation.config().join("default.json");
    assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(fs::read_to_string(kept).unwrap().contains("exr_1"));
    federation.run("whoami", "").await.code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_is_refused_in_the_browser_is_denied() {
    let federation = Federation::start().await;
    federation.seen.lock().unwrap().denies = true;
    let line = format!("login --global {} --device", federation.url);
    let ran = federation.run(&line, "").await.code(3);
    assert!(ran.err().contains("refused in the browser"), "{}", ran.err());
    assert!(!federation.config().join("default.json").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_and_ended_one_or_all() {
    let federation = Federation::signed_in().await;
    let list = federation.run("session list -o json", "").await.code(0);
    assert!(list.out().contains("ses_"), "{}", list.out());
    federation.run("session revoke", "").await.code(2);
    federation
        .run(&format!("session revoke ses_{:032} --yes", 1), "")
        .await
        .code(0);
    let all = federation.run("session revoke --all --yes", "").await.code(0);
    assert!(all.out().contains('1'), "{}", all.out());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_sign_in_and_one_without_answers_say_so() {
    let federation = Federation::start().await;
    let line = format!("login --global {} --email ada@acme.example", federation.url);
    let refused = federation
        .run(&format!("{line} --password-stdin"), "wrong\n")
        .await
        .code(3);
    assert_eq!(refused.out(), "");
    federation.run(&line, "").await.code(2);
    let unfinished = federation
        .run(&format!("{line} --password-stdin"), PASSWORD)
        .await
        .code(2);
    assert!(unfinished.err().contains("New password"), "{}", unfinished.err());
    federation.run("whoami", "").await.code(3);
    federation
        .run("login --global ftp://x --email a --password-stdin", "x\n")
        .await
        .code(2);
    assert!(!federation.config().join("default.json").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_read_to_their_end_for_people_for_programs_and_for_scripts() {
    let federation = Federation::signed_in().await;
    let table = federation.run("cluster list --region eu-north", "").await.code(0);
    let lines: Vec<_> = table.out().lines().map(str::to_owned).collect();
    assert!(lines[0].starts_with("CLUSTER   AGE"), "{lines:?}");
    assert!(
        lines[1].starts_with("north") && lines[1].ends_with("clu_6e7f8091"),
        "{lines:?}"
    );
    assert_eq!(lines.len(), 3);
    // The region is found where there is one only, and its token is exchanged once.
    let json = federation.run("cluster list -o json", "").await.code(0);
    let answer: Value = serde_json::from_str(&json.out()).unwrap();
    assert_eq!(answer["items"].as_array().unwrap().len(), 2);
    assert_eq!(answer["items"][0]["id"], CLUSTER);
    let ids = federation.run("-q cluster list", "").await.code(0);
    assert_eq!(ids.out().lines().next(), Some(CLUSTER));
    assert_eq!(ids.err(), "");
    assert_eq!(federation.seen.lock().unwrap().exchanges, 1);
    // Who is no staff sees the regions that are open to them, without a refusal at the other list.
    let regions = federation.run("region list -o json", "").await.code(0);
    assert!(regions.out().contains("EU North"));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_shortened_ids_and_whole_ones_find_the_same_thing() {
    let federation = Federation::signed_in().await;
    for name in ["north", "clu_6e7f8091", CLUSTER] {
        let shown = federation.run(&format!("cluster get {name} -o json"), "").await.code(0);
        assert_eq!(serde_json::from_str::<Value>(&shown.out()).unwrap()["id"], CLUSTER);
    }
    federation.run("cluster get east", "").await.code(4);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_has_its_exit_code_and_leaves_standard_output_empty() {
    let federation = Federation::signed_in().await;
    let absent = "clu_01978c3e4f1a7c0e9f0a3b5d000000ff";
    let missing = federation
        .run(&format!("cluster get {absent} -o json"), "")
        .await
        .code(4);
    let document: Value = serde_json::from_str(&missing.err()).unwrap();
    assert_eq!(document["type"], "urn:exarch:problem:cluster-not-found");
    assert_eq!(missing.out(), "");
    let people = federation.run(&format!("cluster get {absent}"), "").await.code(4);
    assert_eq!(people.err(), "exarch: This is cluster-not-found.\n  request: req_1\n");
    federation.run("cluster list --region us-east", "").await.code(4);
    federation.run("host list", "").await.code(6);
    federation.run("cluster list --tenant globex", "").await.code(1);
    federation.run("cluster frobnicate", "").await.code(2);
    let whose = federation.run("entitlement grant --region eu-north", "").await.code(2);
    assert!(whose.err().contains("--tenant"), "{}", whose.err());
    let held = federation.run("workload start db --agent edge-1", "").await.code(5);
    assert!(
        held.err().contains("holder: edge-2") && held.err().contains("remaining_ms: 21000"),
        "{}",
        held.err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_ends_when_it_runs() {
    let federation = Federation::signed_in().await;
    let ran = federation
        .run("workload start db --agent edge-1 --wait -o json", "")
        .await
        .code(0);
    assert_eq!(
        serde_json::from_str::<Value>(&ran.out()).unwrap()["agents"][0]["reported"]["state"],
        "running"
    );
    assert!(ran.err().contains("waiting: x"), "{}", ran.err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_shown_with_its_line_or_alone() {
    let federation = Federation::signed_in().await;
    let create = "agent token create --cluster north --name edge-2 --auto";
    let block = federation.run(create, "").await.code(0).out();
    assert!(
        block.contains("exb_secret") && block.contains("\n  exarch-agent enrol --token-file -\n"),
        "{block}"
    );
    assert_eq!(
        federation.run(&format!("-q {create}"), "").await.code(0).out(),
        "exb_secret\n"
    );
    let body = federation.seen.lock().unwrap().bodies.last().unwrap().1.clone();
    assert_eq!(body, json!({"cluster_id": CLUSTER, "name": "edge-2", "auto": true}));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_for_good_is_asked_about_first() {
    let federation = Federation::signed_in().await;
    let asked = federation.run("agent revoke edge-1", "y\n").await.code(2);
    assert!(asked.err().contains("--yes"), "{}", asked.err());
    federation.run("agent revoke edge-1 --yes", "").await.code(0);
    federation.run("agent remove edge-1", "").await.code(2);
    federation.run("agent remove edge-1 --yes", "").await.code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_changed_or_deleted_is_what_was_seen() {
    let federation = Federation::signed_in().await;
    let changed = federation
        .run("cluster update north --name east -o json", "")
        .await
        .code(0);
    assert!(changed.out().contains("east"), "{}", changed.out());
    let body = federation.seen.lock().unwrap().bodies.last().unwrap().clone();
    assert_eq!(body, ("change".to_owned(), json!({"name": "east"})));
    federation.run("cluster update north", "").await.code(2);
    federation.run("workload update db", "").await.code(2);
    federation.run("cluster delete north", "y\n").await.code(2);
    federation.run("cluster delete north --yes", "").await.code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_put_aside_and_enrolled_again_by_one_command_each() {
    let federation = Federation::signed_in().await;
    federation.run("agent suspend edge-1", "").await.code(0);
    federation.run("agent resume edge-1", "").await.code(0);
    federation.run("agent re-enrol edge-1", "").await.code(2);
    let block = federation.run("agent re-enrol edge-1 --yes", "").await.code(0).out();
    assert!(
        block.contains("ebt_again") && block.contains("\n  exarch-agent enrol --again --token-file -\n"),
        "{block}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_that_others_can_read_is_refused() {
    let federation = Federation::signed_in().await;
    let path = federation.config().join("default.json");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let refused = federation.run("whoami", "").await.code(1);
    assert!(refused.err().contains("chmod 600"), "{}", refused.err());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_servers_it_is_unreachable_and_signing_out_leaves_nothing() {
    let federation = Federation::signed_in().await;
    federation.run("cluster list", "").await.code(0);
    federation.server.abort();
    while !federation.server.is_finished() {
        tokio::task::yield_now().await;
    }
    let gone = federation.run("whoami -o json", "").await.code(6);
    let document: Value = serde_json::from_str(&gone.err()).unwrap();
    assert_eq!(document["type"], "urn:exarch:problem:unreachable");
    federation.run("continuity --region eu-north", "").await.code(6);
    federation.run("logout", "").await.code(6);
    let kept = fs::read_to_string(federation.config().join("default.json")).unwrap();
    assert!(!kept.contains("exr_1") && !kept.contains("rt_1"), "{kept}");
    federation.run("whoami", "").await.code(3);
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_ends_the_session_at_the_global() {
    let federation = Federation::signed_in().await;
    federation.run("continuity --region eu-north", "").await.code(0);
    federation.run("logout", "").await.code(0);
    assert!(federation.seen.lock().unwrap().signed_out);
    federation.run("logout", "").await.code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_read_yaml_and_scripts_read_names() {
    let federation = Federation::signed_in().await;
    let yaml = federation.run("region list -o yaml", "").await.code(0).out();
    assert!(
        yaml.starts_with("items:\n- ") && yaml.contains("slug: eu-north\n"),
        "{yaml}"
    );
    assert_eq!(
        federation.run("region list -o name", "").await.code(0).out(),
        "eu-north\n"
    );
    let refused = federation.run("cluster get none -o yaml", "").await.code(4);
    assert!(
        refused.err().contains("type: urn:exarch:problem:not-found"),
        "{}",
        refused.err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn shells_complete_the_nouns_and_each_command_has_its_page() {
    let federation = Federation::start().await;
    for shell in ["bash", "zsh", "fish"] {
        let script = federation.run(&format!("completion {shell}"), "").await.code(0).out();
        for word in [
            "entitlement",
            "continuity",
            "suspend",
            "region",
            "output",
            "apply",
            "dry-run",
        ] {
            assert!(script.contains(word), "{word} for {shell}");
        }
    }
    let pages = federation.root.path().join("man");
    federation.run(&format!("man {}", pages.display()), "").await.code(0);
    for (page, said) in [
        ("exarch.1", "Exit codes"),
        ("exarch-tenant-suspend.1", "billing"),
        ("exarch-apply.1", "kind: Resource"),
    ] {
        let text = fs::read_to_string(pages.join(page)).unwrap();
        assert!(text.contains(said), "{page}");
    }
}
