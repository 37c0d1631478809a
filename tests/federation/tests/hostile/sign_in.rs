//! Passwords, and the first owner.
use exarch_tests_federation::{ADA, Answer, Federation, program};
use serde_json::{Value, json};
use sqlx::Row;
use std::{
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{io::AsyncWriteExt, process::Command};

/// What is told, without what differs from request to request.
fn told(answer: &Answer) -> Value {
    let mut document = answer.refused(401, "sign-in-refused");
    document.as_object_mut().unwrap().remove("request_id");
    document
}

pub async fn unknown_and_wrong_are_one_answer_that_takes_one_time(federation: Arc<Federation>) {
    let ada = federation.person(ADA).await;
    let victim = "victim@acme.example";
    let person = json!({"email": victim, "display_name": "Victim", "roles": ["read-only"], "initial_password": true});
    ada.post("/v1/users", &person).await.ok();
    let ask = async |email: &str, password: &str| {
        let body = json!({"email": email, "password": password, "session": "token"});
        let began = Instant::now();
        let answer = federation.global().post("/v1/auth/sign-in", &body).await;
        (told(&answer), began.elapsed())
    };
    let (mut wrong, mut unknown) = (Vec::new(), Vec::new());
    for n in 0..7 {
        let password = format!("not the password of anybody {n}");
        let (first, took) = ask(victim, &password).await;
        wrong.push(took);
        let (second, took) = ask(&format!("nobody-{n}@acme.example"), &password).await;
        unknown.push(took);
        assert_eq!(first, second);
    }
    for odd in ["", "no address", "a@b", "victim@acme.example\u{0301}"] {
        let (answer, _) = ask(odd, "some password that is long").await;
        assert_eq!(answer, ask("nobody@acme.example", "x").await.0, "{odd:?}");
    }
    let median = |mut times: Vec<Duration>| {
        times.sort();
        times[times.len() / 2].as_secs_f64()
    };
    let (wrong, unknown) = (median(wrong), median(unknown));
    let ratio = wrong.max(unknown) / wrong.min(unknown);
    assert!(ratio < 2.0, "wrong {wrong:.4} s, unknown {unknown:.4} s");
}

pub async fn a_second_setup_is_refused_and_makes_nobody(federation: Arc<Federation>) {
    let mut db = federation.database("global").await;
    let mut owners = async || -> i64 {
        let row = sqlx::query("SELECT (SELECT count(*) FROM gc.staff_binding) + (SELECT count(*) FROM gc.sealed_key)");
        row.fetch_one(&mut db).await.unwrap().get(0)
    };
    let before = owners().await;
    let settings = federation.place("global").settings();
    for email in ["owner@exarch.example", "second@exarch.example"] {
        let mut child = Command::new(program("exarch-global"))
            .args(["setup", "--email", email, "--password-stdin", "--config"])
            .arg(&settings)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"a password that is long enough 77\n").await.unwrap();
        drop(stdin);
        let output = child.wait_with_output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{said}");
        assert!(said.lines().last().unwrap().starts_with("exarch-global: "), "{said}");
        assert!(said.contains("owner"), "{said}");
    }
    assert_eq!(owners().await, before);
}
