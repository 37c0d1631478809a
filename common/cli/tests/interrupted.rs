//! Waiting, interrupted by Ctrl-C: what goes on is said.
use axum::{
    Json, Router,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    process::{Command, Stdio},
};

const AGENT: &str = "agt_01978c3e4f1a7c0e9f0a3b5d000000a1";
const WORKLOAD: &str = "wrk_01978c3e4f1a7c0e9f0a3b5d000000b1";

async fn workload() -> Json<Value> {
    Json(
        json!({"id": WORKLOAD, "name": "db", "agents": [{"agent_id": AGENT, "desired": "wait",
                "changed_at": "2026-06-01T12:00:00Z",
                "reported": {"state": "waiting", "detail": "edge-2 holds it", "at": "2026-06-01T12:00:01Z"}}]}),
    )
}

async fn start() -> Response {
    (axum::http::StatusCode::ACCEPTED, Json(json!({ "id": WORKLOAD }))).into_response()
}

fn list(id: &'static str, name: &'static str) -> axum::routing::MethodRouter {
    get(async move || Json(json!({ "items": [{ "id": id, "name": name }] })))
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stops_waiting_for_a_workload_is_told_that_it_stays_queued() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new()
        .route("/v1/workloads", list(WORKLOAD, "db"))
        .route("/v1/workloads/{id}", get(workload))
        .route("/v1/workloads/{id}/start", post(start))
        .route("/v1/agents", list(AGENT, "edge-1"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let home = tempfile::tempdir().unwrap();
    let exarch = home.path().join("exarch");
    fs::DirBuilder::new().mode(0o700).create(&exarch).unwrap();
    let token = |name: &str| json!({"token": name, "expires_at": "2099-01-01T00:00:00Z"});
    let profile = json!({"global": url, "session": {
        "user": "usr_1", "since": "2026-01-01T00:00:00Z", "tenant": {"id": "ten_1", "slug": "acme"}, "refresh_token": "exr_1",
        "access": token("at_1"), "regions": {"eu-north": {"url": url, "token": token("rt_1")}}}});
    let file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(exarch.join("default.json"));
    serde_json::to_writer(file.unwrap(), &profile).unwrap();

    let mut command = Command::new(env!("CARGO_BIN_EXE_exarch"));
    command
        .args([
            "workload", "start", "db", "--agent", "edge-1", "--wait", "--region", "eu-north",
        ])
        .env_clear()
        .env("EXARCH_CONFIG_HOME", home.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let ended = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut first = String::new();
        // It waits by now.
        stderr.read_line(&mut first).unwrap();
        let id = child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", "INT", &id])
                .status()
                .unwrap()
                .success()
        );
        let mut rest = String::new();
        stderr.read_to_string(&mut rest).unwrap();
        (first, rest, child.wait().unwrap().code())
    });
    let (first, rest, code) = ended.await.unwrap();
    assert_eq!(
        first, "waiting: edge-2 holds it\n",
        "without a terminal there is no wheel"
    );
    assert_eq!(
        rest,
        "db stays queued on edge-1: `exarch workload stop db` ends that.\n"
    );
    assert_eq!(code, Some(130));
}
