//! Lists that go on, as scripts read them: the binary, against a server that streams.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails here")]
use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex},
};

/// What the next streams are, and the tokens by which they were asked for.
#[derive(Default)]
struct Server {
    streams: Vec<Result<String, u16>>,
    asked: Vec<String>,
}

type Shared = Arc<Mutex<Server>>;

fn problem(status: u16) -> Response {
    let body = json!({"type": "urn:exarch:problem:x", "title": "x", "status": status, "detail": "This is over.",
                      "request_id": "req_1"});
    let status = StatusCode::from_u16(status).unwrap();
    let kind = [(header::CONTENT_TYPE, "application/problem+json")];
    (status, kind, body.to_string()).into_response()
}

async fn sessions(State(server): State<Shared>, headers: HeaderMap) -> Response {
    let mut server = server.lock().unwrap();
    let text = |name| {
        headers
            .get(name)
            .and_then(|v| v.to_str().ok())
            .unwrap_or_default()
            .to_owned()
    };
    assert_eq!(text(header::ACCEPT), "text/event-stream");
    server.asked.push(text(header::AUTHORIZATION));
    if server.streams.is_empty() {
        return problem(404);
    }
    match server.streams.remove(0) {
        Ok(stream) => ([(header::CONTENT_TYPE, "text/event-stream")], stream).into_response(),
        Err(status) => problem(status),
    }
}

fn item(id: u32, address: &str) -> Value {
    json!({"id": format!("ses_{id:032x}"), "kind": "token", "created_at": "2026-01-01T00:00:00Z",
           "expires_at": "2026-01-02T00:00:00Z", "address": address, "user_agent": "x", "current": false})
}

fn event(name: &str, data: &Value) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}

fn signed_in(dir: &Path, url: &str, until: &str) {
    let exarch = dir.join("exarch");
    fs::DirBuilder::new().mode(0o700).create(&exarch).unwrap();
    let profile = json!({"global": url, "session": {"user": "usr_1", "since": "2026-01-01T00:00:00Z",
                         "refresh_token": "exr_1", "access": {"token": "at_1", "expires_at": until}}});
    let mut file = fs::OpenOptions::new();
    let file = file
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(exarch.join("default.json"));
    serde_json::to_writer(file.unwrap(), &profile).unwrap();
}

async fn watched(streams: Vec<Result<String, u16>>, until: &str, args: &[&str]) -> (Output, Vec<String>) {
    let server = Shared::default();
    server.lock().unwrap().streams = streams;
    let refresh = || async { Json(json!({"access_token": "at_2", "refresh_token": "exr_2", "expires_in": 900})) };
    let router = Router::new()
        .route("/v1/me/sessions", get(sessions))
        .route("/v1/auth/refresh", post(refresh))
        .with_state(server.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let home = tempfile::tempdir().unwrap();
    signed_in(home.path(), &url, until);
    let mut command = Command::new(env!("CARGO_BIN_EXE_exarch"));
    command
        .args(["session", "watch"])
        .args(args)
        .env("EXARCH_CONFIG_HOME", home.path())
        .stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap();
    let asked = server.lock().unwrap().asked.clone();
    (output, asked)
}

const FUTURE: &str = "2099-01-01T00:00:00Z";

fn lines(output: &Output) -> Vec<String> {
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(str::to_owned)
        .collect()
}

fn two_streams() -> Vec<Result<String, u16>> {
    let first = [
        event("page", &json!({"items": [item(2, "here"), item(1, "there")]})),
        event("added", &item(3, "elsewhere")),
        event("removed", &item(1, "there")),
        "event: of-a-newer-server\ndata: {}\n\n".to_owned(),
        event("end", &json!({"status": 503, "detail": "Its time is over."})),
    ];
    // while nobody looked, one changed, one went and one came
    let second = event("page", &json!({"items": [item(4, "new"), item(3, "moved")]}));
    vec![Ok(first.concat()), Ok(second), Err(404)]
}

#[tokio::test]
async fn programs_get_a_line_of_json_for_each_change_also_across_a_break() {
    let (output, asked) = watched(two_streams(), FUTURE, &["-o", "json"]).await;
    let told: Vec<(String, String, String)> = lines(&output)
        .iter()
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            let text = |at: &str| line.pointer(at).and_then(Value::as_str).unwrap().to_owned();
            let id = text("/item/id");
            (text("/change"), id[id.len() - 1..].to_owned(), text("/item/address"))
        })
        .collect();
    let told: Vec<_> = told
        .iter()
        .map(|(a, b, c)| (a.as_str(), b.as_str(), c.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("added", "1", "there"),
            ("added", "2", "here"),
            ("added", "3", "elsewhere"),
            ("removed", "1", "there"),
            ("removed", "2", "here"),
            ("changed", "3", "moved"),
            ("added", "4", "new"),
        ]
    );
    assert_eq!(output.status.code(), Some(4), "the list is not there any more");
    assert_eq!(asked.len(), 3);
}

#[tokio::test]
async fn people_without_a_terminal_get_aligned_lines_and_scripts_names() {
    let (output, _) = watched(two_streams(), FUTURE, &[]).await;
    let lines = lines(&output);
    assert!(lines[0].starts_with("CHANGE") && lines[0].contains("FROM"), "{lines:?}");
    let column = lines[0].find("FROM").unwrap();
    for (line, (change, address)) in lines[1..].iter().zip([("added", "there"), ("added", "here")]) {
        assert!(
            line.starts_with(change) && line[column..].starts_with(address),
            "{lines:?}"
        );
    }
    assert_eq!(lines.len(), 8);
    let (output, _) = watched(two_streams(), FUTURE, &["-o", "name"]).await;
    assert_eq!(
        self::lines(&output)[0],
        format!("added ses_{:032x}", 1),
        "the change and what other commands take"
    );
}

#[tokio::test]
async fn a_token_that_ends_is_renewed_and_the_list_goes_on() {
    let stream = event("page", &json!({"items": []})) + &event("end", &json!({"status": 401, "detail": "Sign in."}));
    let (output, asked) = watched(vec![Ok(stream), Err(401)], "2026-01-01T00:00:00Z", &["-o", "json"]).await;
    assert_eq!(asked, ["Bearer at_2", "Bearer at_2"], "renewed before it was used");
    assert_eq!(output.status.code(), Some(3), "refused for good is the end");
}

#[tokio::test]
async fn what_is_refused_at_once_says_so_by_its_exit_code() {
    for (status, code) in [(403, 3), (404, 4)] {
        let (output, _) = watched(vec![Err(status)], FUTURE, &[]).await;
        assert_eq!(output.status.code(), Some(code));
        assert!(output.stdout.is_empty());
    }
}
