//! Secrets are shown where they belong and everywhere else, to listeners that accept and refuse them, and then looked for in
//! all that was written down, answered to a refusal, and given to a process at its start.
use super::{
    SERVERS, Said,
    harvest::{Harvest, Secret, form},
    places::{self, Place},
    search::Search,
};
use axum::http::Method;
use base64::{Engine, engine::general_purpose::STANDARD};
use exarch_common_crypto::pki::Pin;
use exarch_tests_federation::{ADA, Answer, Client, EU, Federation, GRACE, OWNER, US, program};
use futures_util::{StreamExt, stream};
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use rustix::process::Signal;
use serde_json::json;
use std::{fs, process::Stdio, sync::Arc};
use tokio::{io::AsyncWriteExt, process::Command};

pub async fn no_secret_is_in_a_log_a_refusal_or_a_process(federation: Arc<Federation>) {
    // More is written down than usually, which must not be more than anybody may read.
    let quiet = louder(&federation).await;
    let harvest = Harvest::of(&federation).await;
    let all = [&harvest.presented[..], &harvest.at_rest[..]].concat();
    let search = Search::of(&all);
    search.assert_it_finds(&all);
    let mut said: Vec<Place> = Vec::new();
    for secret in &harvest.presented {
        said.extend(show(&federation, &harvest, secret).await);
    }
    said.extend(commands(&federation, &harvest.presented).await);
    said.extend(operators(&federation).await);
    search.assert_none(&said);
    search.assert_none(&places::processes(&federation));
    let logs = places::logs(&federation);
    assert!(logs.iter().all(|(_, text)| !text.is_empty()), "a log is empty");
    search.assert_none(&logs);
    // The very same search, with one secret planted where it has just found none.
    let log = federation.process(EU, 1).log().to_owned();
    let line = format!("{{\"why\":\"{}\"}}\n", STANDARD.encode(&all[0].text));
    let mut planted = fs::OpenOptions::new().append(true).open(&log).unwrap();
    std::io::Write::write_all(&mut planted, line.as_bytes()).unwrap();
    let found = search.found(&places::logs(&federation));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains(log.to_str().unwrap()), "{found:?}");
    for (path, before) in quiet {
        fs::write(path, before).unwrap();
    }
}

/// Servers write down what they do in detail; the settings as they were before.
async fn louder(federation: &Federation) -> Vec<(std::path::PathBuf, String)> {
    let mut before = Vec::new();
    for place in SERVERS {
        let path = federation.replica(place, 1).settings();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{text}\n[log]\nfilter = \"debug\"\n")).unwrap();
        let said = Said::from_now(federation, place, 1);
        federation.process(place, 1).signal(Signal::HUP);
        said.line(&["the settings were read again", "log.filter"]).await;
        before.push((path, text));
    }
    before
}

/// A secret at every place of a request but its own, and at verifiers of other secrets: what was said to refuse it.
async fn show(federation: &Federation, harvest: &Harvest, secret: &Secret) -> Vec<Place> {
    let text = &secret.text;
    let percent: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let (owner, ada) = (federation.person(OWNER).await, federation.person_in(ADA, EU).await);
    let (global, eu) = (federation.global(), federation.region(EU));
    let mut asked: Vec<(Client, Method, String, Option<String>)> = Vec::new();
    for (known, unknown, lists, one) in [
        (&owner, &global, "/v1/tenants", "/v1/federation-users"),
        (&ada, &eu, "/v1/clusters", "/v1/hosts"),
    ] {
        for path in [
            format!("{one}/{percent}"),
            format!("{lists}?limit={percent}"),
            format!("{lists}?page_token={percent}"),
            format!("{lists}?{percent}=1"),
            format!("{lists}?state={percent}"),
        ] {
            asked.push((known.clone(), Method::GET, path, None));
        }
        for path in [
            format!("/v1/{percent}"),
            format!("/.well-known/{percent}?token={percent}"),
        ] {
            asked.push((unknown.clone(), Method::GET, path, None));
        }
        for body in [
            format!("{{\"{text}\": 1}}"),
            format!("\"{text}\""),
            text.clone(),
            json!({"slug": {"x": text}, "name": [text]}).to_string(),
            json!({"slug": format!("! {text}"), "name": format!("\u{7}{text}")}).to_string(),
        ] {
            asked.push((known.clone(), Method::POST, lists.to_owned(), Some(body)));
        }
        for name in [
            "authorization",
            "cookie",
            "idempotency-key",
            "if-match",
            "x-request-id",
            "traceparent",
            "user-agent",
            "accept",
            "origin",
            "referer",
            "last-event-id",
            "x-forwarded-for",
        ] {
            let value = match name {
                "authorization" => format!("Basic {}", STANDARD.encode(format!("me:{text}"))),
                "cookie" => format!("__Host-exarch-global={text}"),
                _ => text.clone(),
            };
            let client = unknown.clone().with(HeaderName::from_static(name), &value);
            asked.push((client, Method::POST, "/v1/me/nothing".into(), Some("{".into())));
        }
        let bearer = unknown
            .clone()
            .bearer(&format!("{text}."))
            .with(CONTENT_TYPE, "text/plain");
        asked.push((bearer, Method::GET, lists.to_owned(), None));
    }
    for (path, body) in [
        ("sign-in", json!({"email": text, "password": text, "session": "token"})),
        (
            "sign-in",
            json!({"email": GRACE, "password": format!("{text}?"), "session": "token"}),
        ),
        ("sign-in", json!({"email": GRACE, "password": "x", "session": text})),
        ("refresh", json!({"refresh_token": format!("{text}x")})),
        ("next", json!({"ticket": format!("{text}x"), "totp": text})),
        ("invitation", json!({"token": format!("{text}x")})),
        (
            "password-reset/complete",
            json!({"token": format!("{text}x"), "new_password": "short"}),
        ),
    ] {
        asked.push((
            global.clone(),
            Method::POST,
            format!("/v1/auth/{path}"),
            Some(body.to_string()),
        ));
    }
    let answers = stream::iter(asked).map(async |(client, method, path, body)| {
        let mut request = client.request(method.clone(), &path);
        if let Some(body) = body {
            let header = HeaderValue::from_static("application/json");
            request = request.header(CONTENT_TYPE, header).body(body);
        }
        (
            format!("{} shown at {method} {path}", secret.what),
            client.send(request).await,
        )
    });
    let mut answers: Vec<(String, Answer)> = answers.buffer_unordered(4).collect().await;
    let fields = format!("grant_type={percent}&device_code={percent}&client_id={percent}");
    answers.push((
        format!("{} in a form", secret.what),
        form(&global, "/oauth2/token", &fields).await,
    ));
    for (what, answer) in [
        ("joining", federation.join(&format!("{text}x")).await),
        ("enrolling", federation.enrol(EU, &format!("{text}x")).await.1),
        (
            "an agent's",
            harvest.agent.post("/agent/v1/heartbeat", &json!({text: text})).await,
        ),
        (
            "a region's",
            harvest
                .up
                .post(&format!("/federation/v1/{percent}"), Some(text), &json!(text))
                .await,
        ),
    ] {
        answers.push((format!("{} at {what} connection", secret.what), answer));
    }
    let refused = |(what, answer): (String, Answer)| {
        let told = [format!("{:?}", answer.headers).into_bytes(), answer.body].concat();
        assert!(
            (400..500).contains(&answer.status),
            "{what}: {}",
            String::from_utf8_lossy(&told)
        );
        (what, told)
    };
    answers.into_iter().map(refused).collect()
}

/// What our commands say on standard error when they are given secrets, right ones and wrong ones.
async fn commands(federation: &Federation, secrets: &[Secret]) -> Vec<Place> {
    let home = tempfile::tempdir().unwrap();
    let (url, inner) = (federation.layout().global_url(), federation.layout().federation_url());
    let pin = |place: &str| Pin::of(&federation.authority(place)).to_string();
    let (global, eu) = (pin("global"), pin(EU));
    let (gateway, settings) = (federation.replica(EU, 1).inner_url(), federation.place(US).settings());
    let state = home.path().join("agent").display().to_string();
    let login = |email: &'static str| ["login", "--global", &url, "--email", email, "--password-stdin"];
    let join = [
        "join",
        "--global",
        &inner,
        "--ca-pin",
        &global,
        "--token-file",
        "-",
        "--config",
    ];
    let join = [&join[..], &[settings.to_str().unwrap()]].concat();
    let enrol = [
        "enrol",
        "--gateway",
        &gateway,
        "--ca-pin",
        &eu,
        "--token-file",
        "-",
        "--state",
        &state,
    ];
    let mut said = Vec::new();
    let mut run = async |name: &str, args: &[&str], input: &str| {
        let mut child = Command::new(program(name))
            .args(args)
            .env("EXARCH_CONFIG_HOME", home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // One that refuses its arguments does not read.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes()).await;
        let output = child.wait_with_output().await.unwrap();
        said.push((format!("{name} {}", args[0]), [output.stdout, output.stderr].concat()));
        output.status.success()
    };
    for Secret { text, .. } in secrets.iter().step_by(7) {
        assert!(!run("exarch", &login(GRACE), &format!("{text}?")).await);
        assert!(!run("exarch-gateway", &join, text).await);
        assert!(!run("exarch-agent", &enrol, &format!("{text}?")).await);
    }
    assert!(run("exarch", &login(ADA), &federation.account(ADA).password).await);
    for args in [
        &["whoami"][..],
        &["region", "list", "-o", "json"],
        &["cluster", "list", "--region", EU],
        &["cluster", "get", "nothing-like-it", "--region", EU, "-o", "json"],
        &["session", "list", "-o", "yaml"],
        &["logout"],
        &["whoami"],
    ] {
        run("exarch", args, "").await;
    }
    said
}

/// What operators are told of the servers.
async fn operators(federation: &Federation) -> Vec<Place> {
    let mut said = Vec::new();
    for place in SERVERS {
        let ops = Client::new(federation.place(place).ops_url());
        for path in ["/metrics", "/readyz?verbose"] {
            said.push((format!("{place} {path}"), ops.get(path).await.body));
        }
    }
    for (place, name) in SERVERS.into_iter().zip(["exarch-global", "exarch-gateway"]) {
        let settings = federation.place(place).settings();
        for args in [&["config", "show", "--effective"][..], &["doctor"]] {
            let mut command = Command::new(program(name));
            let output = command
                .args(args)
                .arg("--config")
                .arg(&settings)
                .output()
                .await
                .unwrap();
            said.push((format!("{name} {args:?}"), [output.stdout, output.stderr].concat()));
        }
    }
    said
}
