//! Ten kinds of secrets and ten places that take one: each is good at its own and nowhere else, and only whole.
use super::once::{bootstrap_token, join_token};
use axum::http::Method;
use exarch_common_wire::federation::paths;
use exarch_regional_state::secrets::Secrets;
use exarch_tests_federation::{
    ADA, Answer, EU, Federation, GRACE, US,
    peers::{Agent, Wire},
};
use serde_json::{Value, json};
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Cookie,
    Refresh,
    Access,
    InEu,
    InUs,
    Join,
    Bootstrap,
    Service,
    AgentSession,
    Ticket,
}

const ALL: [Kind; 10] = [
    Kind::Cookie,
    Kind::Refresh,
    Kind::Access,
    Kind::InEu,
    Kind::InUs,
    Kind::Join,
    Kind::Bootstrap,
    Kind::Service,
    Kind::AgentSession,
    Kind::Ticket,
];

struct Matrix {
    federation: Arc<Federation>,
    agent: Agent,
    secrets: Secrets,
    up: Wire,
    new_password: String,
    good: Vec<String>,
}

const POLL: &str = "/federation/v1/passport?have=0.0";

impl Matrix {
    async fn new(federation: Arc<Federation>) -> Self {
        let (grace, ada) = (federation.account(GRACE), federation.person(ADA).await);
        let sign_in = async |email: &str, password: &str, session: &str| {
            let body = json!({"email": email, "password": password, "session": session});
            federation.global().post("/v1/auth/sign-in", &body).await
        };
        let browser = sign_in(&grace.email, &grace.password, "cookie").await;
        let cookie = browser.headers["set-cookie"].to_str().unwrap();
        let cookie = cookie.split(['=', ';']).nth(1).unwrap().to_owned();
        let refresh = federation.sign_in(ADA).await["refresh_token"]
            .as_str()
            .unwrap()
            .to_owned();
        let newcomer = json!({"email": "newcomer@acme.example", "display_name": "Newcomer", "roles": ["read-only"], "initial_password": true});
        let initial = ada.post("/v1/users", &newcomer).await.ok()["initial_password"]
            .as_str()
            .unwrap()
            .to_owned();
        let asked = sign_in("newcomer@acme.example", &initial, "token").await.ok();
        assert_eq!(asked["next"], "change-password", "{asked}");
        let (enrols, _) = bootstrap_token(&federation, EU, "of-the-matrix").await;
        let agent = federation.agent(EU, &enrols).await;
        let secrets = federation.secrets(EU).await;
        let up = federation.upwards(&secrets).await;
        let good = vec![
            cookie,
            refresh,
            federation.access(ADA).await,
            federation.region_token(ADA, EU).await,
            federation.region_token(ADA, US).await,
            join_token(&federation, "of-the-matrix").await,
            bootstrap_token(&federation, EU, "of-the-matrix-too").await.0,
            federation.service_token(EU, &secrets, &up, "GET", POLL, b""),
            agent.token.clone(),
            asked["ticket"].as_str().unwrap().to_owned(),
        ];
        Self {
            federation,
            agent,
            secrets,
            up,
            new_password: "a new password with 4 words".into(),
            good,
        }
    }

    fn good(&self, kind: Kind) -> &str {
        &self.good[ALL.iter().position(|k| *k == kind).unwrap()]
    }

    /// Shows `secret` where secrets of `kind` are taken.
    async fn show(&self, kind: Kind, secret: &str) -> Answer {
        let f = &self.federation;
        let wire = |answer: Option<Answer>| answer.expect("an answer");
        match kind {
            Kind::Cookie => f.global().cookie(secret).get("/v1/me").await,
            Kind::Refresh => {
                f.global()
                    .post("/v1/auth/refresh", &json!({"refresh_token": secret}))
                    .await
            }
            Kind::Access => f.global().bearer(secret).get("/v1/me").await,
            Kind::InEu => f.region(EU).bearer(secret).get("/v1/me").await,
            Kind::InUs => f.region(US).bearer(secret).get("/v1/me").await,
            Kind::Join => f.join(secret).await,
            Kind::Bootstrap => f.enrol(EU, secret).await.1,
            Kind::Service => wire(self.up.send(Method::GET, POLL, Some(secret), Vec::new()).await),
            Kind::AgentSession => {
                let path = "/agent/v1/assignments?wait_ms=0";
                wire(self.agent.wire.send(Method::GET, path, Some(secret), Vec::new()).await)
            }
            Kind::Ticket => {
                let body = json!({"ticket": secret, "new_password": self.new_password});
                f.global().post("/v1/auth/next", &body).await
            }
        }
    }

    /// Refused, and in the very same words whatever was shown.
    async fn refused(&self, kind: Kind, secret: &str, what: &str, seen: &mut Option<Value>) {
        let answer = self.show(kind, secret).await;
        let expected = if kind == Kind::Ticket { 410 } else { 401 };
        assert_eq!(answer.status, expected, "{what} at {kind:?}: {}", answer.text());
        let mut document = answer.problem(expected);
        document.as_object_mut().unwrap().remove("request_id");
        assert_eq!(seen.get_or_insert(document.clone()), &document, "{what} at {kind:?}");
    }
}

/// What is nearly the secret.
fn nearly(secret: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let length = secret.len();
    for n in [1, length / 2, length - 1] {
        found.push((format!("its first {n}"), secret[..n].to_owned()));
        found.push((format!("its last {n}"), secret[length - n..].to_owned()));
    }
    let swap = |c: char| {
        if c.is_ascii_lowercase() {
            c.to_ascii_uppercase()
        } else {
            c.to_ascii_lowercase()
        }
    };
    let last_letter = secret.rfind(|c: char| c.is_ascii_alphabetic()).unwrap();
    let one: String = secret
        .char_indices()
        .map(|(at, c)| if at == last_letter { swap(c) } else { c })
        .collect();
    found.push(("one letter in the other case".into(), one));
    found.push((
        "all letters in the other case".into(),
        secret.chars().map(swap).collect(),
    ));
    // The last character of base64 has bits that mean nothing: they must not be free to choose.
    let digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = digits.find(secret.chars().next_back().unwrap()).unwrap();
    let other = digits.chars().nth(last ^ 1).unwrap();
    found.push((
        "another spelling of its end".into(),
        format!("{}{other}", &secret[..length - 1]),
    ));
    found.push(("with one character more".into(), format!("{secret}A")));
    found
}

pub async fn each_secret_is_good_at_its_own_verifier_and_nowhere_else(federation: Arc<Federation>) {
    let matrix = Matrix::new(federation).await;
    for verifier in ALL {
        let mut seen = None;
        for kind in ALL.into_iter().filter(|kind| *kind != verifier) {
            let what = format!("{kind:?}");
            matrix.refused(verifier, matrix.good(kind), &what, &mut seen).await;
        }
        for (what, secret) in nearly(matrix.good(verifier)) {
            matrix.refused(verifier, &secret, &what, &mut seen).await;
        }
    }
    // The sealed secrets themselves are no tokens either.
    let raw = exarch_tests_federation::peers::shown(matrix.secrets.service().up());
    for verifier in ALL {
        if verifier != Kind::Join && verifier != Kind::Bootstrap {
            matrix.refused(verifier, &raw, "a service secret", &mut None).await;
        }
    }
    // None of it was harmed: each is still good where it belongs, and the single-use ones once.
    for kind in ALL {
        let answer = matrix.show(kind, matrix.good(kind)).await;
        assert!(
            (200..300).contains(&answer.status),
            "{kind:?}: {} {}",
            answer.status,
            answer.text()
        );
    }
    for (kind, status) in [
        (Kind::Join, 409),
        (Kind::Bootstrap, 410),
        (Kind::Service, 401),
        (Kind::Ticket, 410),
    ] {
        matrix.show(kind, matrix.good(kind)).await.problem(status);
    }
    // A region's certificate is not enough on another connection, nor for another request.
    let other = matrix.federation.upwards(&matrix.secrets).await;
    let token = matrix
        .federation
        .service_token(EU, &matrix.secrets, &matrix.up, "GET", POLL, b"");
    let moved = other.send(Method::GET, POLL, Some(&token), Vec::new()).await.unwrap();
    assert_eq!(moved.status, 401, "{}", moved.text());
    let elsewhere = matrix
        .up
        .send(Method::GET, paths::PASSPORT, Some(&token), Vec::new())
        .await
        .unwrap();
    assert_eq!(elsewhere.status, 401, "{}", elsewhere.text());
}
