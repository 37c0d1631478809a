//! Fourteen kinds of secrets and the places that take one: each is good at its own and nowhere else, and only whole.
use super::once::{bootstrap_token, join_token};
use axum::http::Method;
use exarch_common_wire::federation::paths;
use exarch_regional_state::secrets::Secrets;
use exarch_tests_federation::{
    ADA, Answer, Client, EU, Federation, GRACE, US,
    peers::{Agent, Wire, signing_request},
};
use futures_util::{StreamExt, stream};
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
    Reset,
    Invitation,
    RegionalKey,
    FederatedKey,
}

const ALL: [Kind; 14] = [
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
    Kind::Reset,
    Kind::Invitation,
    Kind::RegionalKey,
    Kind::FederatedKey,
];

/// A secret of one kind that is good where those of another are taken: a person and a key may enter by the same door.
fn enters_by(kind: Kind, verifier: Kind) -> bool {
    use Kind::{Access, FederatedKey, InEu, RegionalKey};
    matches!(
        (kind, verifier),
        (RegionalKey, InEu) | (InEu, RegionalKey) | (Access, FederatedKey)
    )
}

struct Matrix {
    federation: Arc<Federation>,
    global: Client,
    eu: Client,
    us: Client,
    agent: Agent,
    secrets: Secrets,
    up: Wire,
    csr: String,
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
        let made = ada.post("/v1/users", &newcomer).await.ok();
        let initial = made["initial_password"].as_str().unwrap();
        let asked = sign_in("newcomer@acme.example", initial, "token").await.ok();
        assert_eq!(asked["next"], "change-password", "{asked}");
        let (enrols, _) = bootstrap_token(&federation, EU, "of-the-matrix").await;
        let agent = federation.agent(EU, &enrols).await;
        let invite = json!({"email": "guest@acme.example", "display_name": "Guest", "roles": ["read-only"]});
        assert_eq!(ada.post("/v1/users", &invite).await.status, 202);
        let reset = json!({"email": "newcomer@acme.example"});
        assert_eq!(
            federation.global().post("/v1/auth/password-reset", &reset).await.status,
            202
        );
        let key = async |kind: &str, body: Value| {
            let made = ada.post("/v1/api-keys", &body).await.ok();
            made["secret"].as_str().expect(kind).to_owned()
        };
        let regional = json!({"name": "regional", "kind": "regional", "region": EU, "role": "read-only"});
        let regional = key("regional", regional).await;
        let federated = json!({"name": "federated", "kind": "federated", "role": "read-only"});
        let federated = key("federated", federated).await;
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
            String::new(),
            agent.token.clone(),
            asked["ticket"].as_str().unwrap().to_owned(),
            federation.mailed("newcomer@acme.example", "/reset-password#").await,
            federation.mailed("guest@acme.example", "/invite#").await,
            regional,
            federated,
        ];
        Self {
            global: federation.global(),
            eu: federation.region(EU),
            us: federation.region(US),
            federation,
            agent,
            secrets,
            up,
            csr: signing_request().1,
            new_password: "a new password with 4 words".into(),
            good,
        }
    }

    /// A service token lives for a minute.
    fn renew_service_token(&mut self) {
        let token = self
            .federation
            .service_token(EU, &self.secrets, &self.up, "GET", POLL, b"");
        let at = ALL.iter().position(|kind| *kind == Kind::Service).unwrap();
        self.good[at] = token;
    }

    fn good(&self, kind: Kind) -> &str {
        &self.good[ALL.iter().position(|k| *k == kind).unwrap()]
    }

    /// Shows `secret` where secrets of `kind` are taken.
    async fn show(&self, kind: Kind, secret: &str) -> Answer {
        let f = &self.federation;
        let wire = |answer: Option<Answer>| answer.expect("an answer");
        match kind {
            Kind::Cookie => self.global.clone().cookie(secret).get("/v1/me").await,
            Kind::Refresh => {
                self.global
                    .post("/v1/auth/refresh", &json!({"refresh_token": secret}))
                    .await
            }
            Kind::Access => self.global.clone().bearer(secret).get("/v1/me").await,
            Kind::InEu => self.eu.clone().bearer(secret).get("/v1/me").await,
            Kind::RegionalKey => self.eu.clone().bearer(secret).get("/v1/me").await,
            Kind::FederatedKey => {
                let path = format!("/v1/regions/{EU}/token");
                self.global.clone().bearer(secret).post(&path, &json!({})).await
            }
            Kind::InUs => self.us.clone().bearer(secret).get("/v1/me").await,
            Kind::Join => f.join_with(secret, self.csr.clone()).await,
            Kind::Bootstrap => f.enrol_with(EU, secret, self.csr.clone(), None).await,
            Kind::Service => wire(self.up.send(Method::GET, POLL, Some(secret), Vec::new()).await),
            Kind::AgentSession => {
                let path = "/agent/v1/assignments?wait_ms=0";
                wire(self.agent.wire.send(Method::GET, path, Some(secret), Vec::new()).await)
            }
            Kind::Ticket => {
                let body = json!({"ticket": secret, "new_password": self.new_password});
                self.global.post("/v1/auth/next", &body).await
            }
            Kind::Reset => {
                let body = json!({"token": secret, "new_password": format!("{} or 5", self.new_password)});
                self.global.post("/v1/auth/password-reset/complete", &body).await
            }
            Kind::Invitation => {
                let body = json!({"token": secret, "new_password": self.new_password});
                self.global.post("/v1/auth/invitation/accept", &body).await
            }
        }
    }

    /// Refused, and in the very same words whatever was shown; what was said.
    async fn refused(&self, kind: Kind, secret: &str, what: &str) -> Value {
        let answer = self.show(kind, secret).await;
        let expected = if matches!(kind, Kind::Ticket | Kind::Reset | Kind::Invitation) {
            410
        } else {
            401
        };
        assert_eq!(answer.status, expected, "{what} at {kind:?}: {}", answer.text());
        let mut document = answer.problem(expected);
        document.as_object_mut().unwrap().remove("request_id");
        document
    }

    /// All of them are refused in the same words.
    async fn all_refused(&self, kind: Kind, secrets: Vec<(String, String)>) {
        let tries = stream::iter(secrets).map(async |(what, secret)| self.refused(kind, &secret, &what).await);
        let told: Vec<Value> = tries.buffer_unordered(8).collect().await;
        assert!(
            told.iter().all(|words| *words == told[0]),
            "{kind:?}: the cause is told"
        );
    }
}

fn other_case(c: char) -> char {
    if c.is_ascii_lowercase() {
        c.to_ascii_uppercase()
    } else {
        c.to_ascii_lowercase()
    }
}

/// What is nearly the secret: each of its beginnings and ends, each letter in its other case, and other spellings.
fn nearly(secret: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let length = secret.len();
    for n in 1..length {
        found.push((format!("its first {n}"), secret[..n].to_owned()));
        found.push((format!("its last {n}"), secret[length - n..].to_owned()));
    }
    for (at, letter) in secret.char_indices().filter(|(_, c)| c.is_ascii_alphabetic()) {
        let other = format!("{}{}{}", &secret[..at], other_case(letter), &secret[at + 1..]);
        found.push((format!("its letter {at} in the other case"), other));
    }
    found.push((
        "all letters in the other case".into(),
        secret.chars().map(other_case).collect(),
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
    let mut matrix = Matrix::new(federation).await;
    for verifier in ALL {
        matrix.renew_service_token();
        let others = ALL
            .into_iter()
            .filter(|kind| *kind != verifier && !enters_by(*kind, verifier));
        let mut wrong: Vec<_> = others
            .map(|kind| (format!("{kind:?}"), matrix.good(kind).to_owned()))
            .collect();
        wrong.extend(nearly(matrix.good(verifier)));
        matrix.all_refused(verifier, wrong).await;
    }
    // The sealed secrets themselves are no tokens either.
    let raw = exarch_tests_federation::peers::shown(matrix.secrets.service().up());
    for verifier in ALL {
        if verifier != Kind::Join && verifier != Kind::Bootstrap {
            matrix.refused(verifier, &raw, "a service secret").await;
        }
    }
    matrix.renew_service_token();
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
    // To who has another key: the same one may not have heard the first answer.
    matrix.csr = signing_request().1;
    for (kind, status) in [
        (Kind::Join, 409),
        (Kind::Bootstrap, 410),
        (Kind::Service, 401),
        (Kind::Ticket, 410),
        (Kind::Reset, 410),
        (Kind::Invitation, 410),
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

pub async fn a_device_code_is_good_whole_and_as_it_is(federation: Arc<Federation>) {
    let global = federation.global();
    let form = async |path: &str, fields: &[(&str, &str)]| {
        let body = fields.iter().map(|(name, value)| format!("{name}={value}"));
        let request = global
            .request(Method::POST, path)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.collect::<Vec<_>>().join("&"));
        global.send(request).await
    };
    let asked = form("/oauth2/device_authorization", &[("client_id", "exarch-cli")])
        .await
        .ok();
    let code = asked["device_code"].as_str().unwrap();
    let grant = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code";
    let poll = async |code: &str| {
        let fields = [
            ("grant_type", grant),
            ("device_code", code),
            ("client_id", "exarch-cli"),
        ];
        let answer = form("/oauth2/token", &fields).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        serde_json::from_slice::<Value>(&answer.body).unwrap()["error"].clone()
    };
    for (what, wrong) in nearly(code) {
        assert_eq!(poll(&wrong).await, "invalid_grant", "{what}");
    }
    for other in [
        federation.access(ADA).await,
        asked["user_code"].as_str().unwrap().to_owned(),
    ] {
        assert_eq!(poll(&other).await, "invalid_grant");
    }
    assert_eq!(poll(code).await, "authorization_pending");
}
