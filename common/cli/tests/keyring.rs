//! The refresh token in the keyring of a desktop: the binary, on a session bus of its own with a real keyring behind it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails here")]
use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex},
};

const PROGRAMS: [&str; 2] = ["dbus-run-session", "gnome-keyring-daemon"];

/// The refresh tokens that the global was given, in their order.
type Given = Arc<Mutex<Vec<String>>>;

fn pair(n: usize) -> Value {
    json!({"access_token": format!("at_{n}"), "refresh_token": format!("exr_{n}"), "expires_in": 900})
}

async fn sign_in() -> Json<Value> {
    let mut answer = pair(1);
    answer["status"] = json!("signed-in");
    answer["user"] = json!({"id": "usr_1", "email": "ada@acme.example"});
    Json(answer)
}

/// Each token once, in order.
async fn refresh(State(given): State<Given>, Json(body): Json<Value>) -> Response {
    let mut given = given.lock().unwrap();
    given.push(body["refresh_token"].as_str().unwrap().to_owned());
    let n = given.len();
    if body["refresh_token"] != format!("exr_{n}") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    Json(pair(n + 1)).into_response()
}

async fn global() -> (String, Given) {
    let given = Given::default();
    let router = Router::new()
        .route("/v1/auth/sign-in", post(sign_in))
        .route("/v1/auth/refresh", post(refresh))
        .route("/v1/auth/sign-out", post(|| async { StatusCode::NO_CONTENT }))
        .route("/v1/me/sessions", get(|| async { Json(json!({"items": []})) }))
        .with_state(given.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, given)
}

struct Desktop {
    home: tempfile::TempDir,
}

impl Desktop {
    fn profile(&self) -> PathBuf {
        self.home.path().join("config/exarch/default.json")
    }

    /// Runs a script of the shell on a session bus, with the keyring unlocked.
    async fn run(&self, script: &str) -> Output {
        let home = self.home.path();
        let start = "printf secret | gnome-keyring-daemon --unlock --components=secrets >/dev/null";
        let mut command = Command::new("dbus-run-session");
        command
            .args(["--", "sh", "-c", &format!("{start}\n{script}")])
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap())
            .env("HOME", home)
            .env("XDG_RUNTIME_DIR", home)
            .env("XDG_DATA_HOME", home.join("data"))
            .env("EXARCH_CONFIG_HOME", home.join("config"))
            .env("exarch", env!("CARGO_BIN_EXE_exarch"))
            .stdin(Stdio::null());
        tokio::task::spawn_blocking(move || command.output())
            .await
            .unwrap()
            .unwrap()
    }

    /// As if a quarter of an hour had gone by.
    fn age(&self) {
        let mut profile: Value = serde_json::from_slice(&fs::read(self.profile()).unwrap()).unwrap();
        profile["session"]["access"]["expires_at"] = json!("2026-01-01T00:00:00Z");
        fs::write(self.profile(), profile.to_string()).unwrap();
    }
}

fn has(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|dir| Path::new(&dir).join(program).is_file())
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[tokio::test]
async fn the_refresh_token_lies_in_the_keyring_and_not_in_the_file() {
    if let Some(missing) = PROGRAMS.into_iter().find(|program| !has(program)) {
        // past the harness, which keeps to itself what a passing test prints
        let sentence = format!("NOT CHECKED: the keyring of a desktop, while there is no {missing} on this machine");
        writeln!(std::io::stderr(), "{sentence}").unwrap();
        return;
    }
    let (url, given) = global().await;
    let desktop = Desktop {
        home: tempfile::tempdir().unwrap(),
    };
    fs::create_dir(desktop.home.path().join("config")).unwrap();
    let sign_in = format!("echo password | $exarch login --global {url} --email ada@acme.example --password-stdin");
    let output = desktop.run(&sign_in).await;
    assert!(output.status.success(), "{}", text(&output));
    let file = fs::read_to_string(desktop.profile()).unwrap();
    assert!(file.contains("at_1") && !file.contains("exr_"), "{file}");

    // It outlives the bus, is spent when it is needed, and its successor takes its place.
    for used in ["exr_1", "exr_2"] {
        desktop.age();
        let output = desktop.run("$exarch session list").await;
        assert!(output.status.success(), "{}", text(&output));
        assert_eq!(given.lock().unwrap().last().unwrap(), used);
        assert!(!fs::read_to_string(desktop.profile()).unwrap().contains("exr_"));
    }

    // Without the desktop it is not to be had, and nothing else takes its place.
    desktop.age();
    let output = desktop
        .run("unset DBUS_SESSION_BUS_ADDRESS; rm -f $XDG_RUNTIME_DIR/bus; $exarch session list")
        .await;
    assert!(!output.status.success());
    assert!(text(&output).contains("keyring"), "{}", text(&output));
    assert_eq!(given.lock().unwrap().len(), 2);

    let before = fs::read(desktop.profile()).unwrap();
    let output = desktop.run("$exarch logout").await;
    assert!(output.status.success(), "{}", text(&output));
    fs::write(desktop.profile(), before).unwrap();
    let output = desktop.run("$exarch session list").await;
    assert!(text(&output).contains("does not hold"), "{}", text(&output));

    let off = format!("export EXARCH_KEYRING=off; {sign_in}");
    assert!(desktop.run(&off).await.status.success());
    assert!(fs::read_to_string(desktop.profile()).unwrap().contains("exr_1"));
}
