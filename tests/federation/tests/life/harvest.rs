//! Every kind of secret that a box has: those that it was made with, and those that people, regions and agents are given.
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD as B64},
};
use exarch_common_base::Ambient;
use exarch_common_crypto::totp;
use exarch_tests_federation::{
    ADA, Answer, Client, EU, Federation, GRACE, OWNER, US,
    peers::{self, Agent, Wire},
};
use reqwest::{
    Method,
    header::{CONTENT_TYPE, USER_AGENT},
};
use serde_json::{Value, json};
use std::{fs, time::Duration};

/// What nobody may find.
#[derive(Clone, Debug)]
pub struct Secret {
    /// For whoever reads that it was found.
    pub what: String,
    /// It.
    pub text: String,
}

impl Secret {
    fn new(what: impl Into<String>, text: &str) -> Self {
        let (what, text) = (what.into(), text.to_owned());
        assert!(text.len() >= SHORTEST, "{what} is no secret: {text:?}");
        Self { what, text }
    }
}

/// The secrets, and who still holds what they belong to.
pub struct Harvest {
    /// What somebody presents somewhere.
    pub presented: Vec<Secret>,
    /// What only lies in the box's files.
    pub at_rest: Vec<Secret>,
    /// An agent with a session.
    pub agent: Agent,
    /// A connection of a region upwards.
    pub up: Wire,
}

/// Nothing of these is as short; shorter text is found by chance.
const SHORTEST: usize = 8;

impl Harvest {
    fn keep(&mut self, what: impl Into<String>, text: &str) {
        self.presented.push(Secret::new(what, text));
    }

    fn keep_at_rest(&mut self, what: impl Into<String>, text: &str) {
        self.at_rest.push(Secret::new(what, text));
    }

    fn keep_member(&mut self, what: &str, answer: &Value, pointer: &str) -> String {
        let text = answer.pointer(pointer).and_then(Value::as_str);
        let text = text.unwrap_or_else(|| panic!("{what}: no {pointer} in the answer"));
        self.keep(what, text);
        text.to_owned()
    }

    /// Signs in, refreshes, joins, enrols, is invited, forgets a password, and keeps what each of these gives.
    pub async fn of(federation: &Federation) -> Self {
        let ada = federation.person_in(ADA, EU).await;
        let cluster = federation.cluster(EU).await;
        let bootstrap = async |name: &str| {
            let body = json!({"cluster_id": cluster, "name": name, "auto": true});
            ada.post("/v1/bootstrap-tokens", &body).await.ok()
        };
        let token = bootstrap("canary").await;
        let spent = token["token"].as_str().unwrap();
        let agent = federation.agent(EU, spent).await;
        let secrets = federation.secrets(EU).await;
        let up = federation.upwards(&secrets).await;
        let mut found = Self {
            presented: Vec::new(),
            at_rest: Vec::new(),
            agent,
            up,
        };
        found.keep("a bootstrap token that was used", spent);
        found.keep("the session token of an agent", &found.agent.token.clone());
        found.keep_member("a bootstrap token", &bootstrap("canary-too").await, "/token");
        found.keep("a service secret", &peers::shown(secrets.service().up()));
        let poll = federation.service_token(EU, &secrets, &found.up, "GET", "/federation/v1/passport", b"");
        found.keep("a service token", &poll);
        found.of_the_box(federation);
        found.of_sessions(federation).await;
        found.of_the_second_factor(federation).await;
        found.of_regions(federation).await;
        found.of_mail(federation).await;
        found.of_a_program(federation).await;
        found
    }

    /// What lies in the box's own files.
    fn of_the_box(&mut self, federation: &Federation) {
        let layout = federation.layout();
        for place in layout.places() {
            for name in ["superuser", "owner", "app", "sweep", "renew", "operator"] {
                let text = fs::read_to_string(place.secret(&format!("postgres-{name}"))).unwrap();
                self.keep_at_rest(format!("{}: the database password of {name}", place.name), text.trim());
            }
            for name in ["master", "pepper"] {
                let text = fs::read_to_string(place.secret(name)).unwrap();
                self.keep_at_rest(format!("{}: {name}", place.name), text.trim());
                let raw = STANDARD.decode(text.trim()).unwrap();
                self.keep_at_rest(format!("{}: {name}, as a URL has it", place.name), &B64.encode(raw));
            }
        }
        let file = federation.file();
        for account in &file.accounts {
            self.keep(format!("the password of {}", account.email), &account.password);
            if let Some(secret) = &account.totp_secret {
                self.keep(format!("the app's secret of {}", account.email), secret);
            }
        }
        for agent in &file.agents {
            let whose = format!("agent {} in {}", agent.name, agent.region);
            let key = fs::read(agent.state_dir.join("key.p8")).unwrap();
            self.keep_at_rest(format!("the key of {whose}"), &B64.encode(key));
            let chain = fs::read_to_string(agent.state_dir.join("chain")).unwrap();
            self.keep_at_rest(format!("the chain of {whose}"), chain.trim());
        }
    }

    async fn of_sessions(&mut self, federation: &Federation) {
        let global = federation.global();
        let grace = federation.account(GRACE);
        let body = json!({"email": GRACE, "password": grace.password, "session": "cookie"});
        let browser = global.post("/v1/auth/sign-in", &body).await;
        let cookie = browser.headers["set-cookie"].to_str().unwrap().to_owned();
        let cookie = cookie.split(['=', ';']).nth(1).unwrap();
        self.keep("a session cookie", cookie);
        let pair = federation.sign_in(ADA).await;
        self.keep_member("an access token", &pair, "/access_token");
        let spent = self.keep_member("a refresh token that was used", &pair, "/refresh_token");
        let next = global
            .post("/v1/auth/refresh", &json!({"refresh_token": spent}))
            .await
            .ok();
        self.keep_member("a refresh token", &next, "/refresh_token");
        for slug in [EU, US] {
            self.keep(
                format!("a region token for {slug}"),
                &federation.region_token(ADA, slug).await,
            );
        }
        // What shows a secret keeps its answer sealed; the repeat tells that it was shown.
        let ada = federation.person(ADA).await;
        let newcomer = json!({"email": "canary@acme.example", "display_name": "Canary", "roles": ["read-only"], "initial_password": true});
        let key = "of-the-canary-that-is-repeated";
        let create = async || {
            let request = ada.request(Method::POST, "/v1/users").header("idempotency-key", key);
            ada.send(
                request
                    .header(CONTENT_TYPE, "application/json")
                    .body(newcomer.to_string()),
            )
            .await
        };
        let made = create().await.ok();
        let initial = self.keep_member("an initial password", &made, "/initial_password");
        create().await.problem(409);
        let body = json!({"email": "canary@acme.example", "password": initial, "session": "token"});
        let asked = global.post("/v1/auth/sign-in", &body).await.ok();
        let ticket = self.keep_member("a ticket", &asked, "/ticket");
        let chosen = B64.encode(Ambient::system().bytes::<18>());
        let body = json!({"ticket": ticket, "new_password": chosen});
        global.post("/v1/auth/next", &body).await.ok();
        self.keep("a password that somebody chose", &chosen);
    }

    async fn of_the_second_factor(&mut self, federation: &Federation) {
        let password = federation.account(GRACE).password;
        let grace = federation.person(GRACE).await;
        let begun = grace.post("/v1/me/totp", &json!({"password": password})).await.ok();
        let text = self.keep_member("the app's secret of Grace", &begun, "/secret");
        let secret = totp::Secret::from_base32(&text).unwrap();
        let code = secret.code(totp::step(Ambient::system().now().unix_timestamp()));
        let path = format!("/v1/me/totp/{}/verify", begun["id"].as_str().unwrap());
        let shown = grace.post(&path, &json!({"totp": code})).await.ok();
        for n in 0..10 {
            self.keep_member("a recovery code", &shown, &format!("/recovery_codes/{n}"));
        }
        let recovery = shown["recovery_codes"][0].as_str().unwrap();
        let body = json!({"password": password, "totp": recovery});
        let answer = grace.post("/v1/me/totp/remove", &body).await;
        assert!(answer.status < 300, "{}", answer.text());
    }

    async fn of_regions(&mut self, federation: &Federation) {
        let owner = federation.person(OWNER).await;
        let body = json!({"slug": "canaries", "name": "Canaries", "url": "http://127.0.0.1:1"});
        let registered = owner.post("/v1/regions", &body).await.ok();
        let first = registered.pointer("/join_token/token").is_some();
        let pointer = if first { "/join_token/token" } else { "/token" };
        let token = self.keep_member("a join token that was used", &registered, pointer);
        let joined = federation.join(&token).await.ok();
        for direction in ["up", "down"] {
            let secret = joined[direction]["secret"]
                .as_str()
                .or(joined[direction]["key"].as_str());
            self.keep(format!("a service secret {direction}"), secret.unwrap());
        }
        let body = json!({"slug": "more-canaries", "name": "Canaries", "url": "http://127.0.0.1:1"});
        let registered = owner.post("/v1/regions", &body).await.ok();
        self.keep_member("a join token", &registered, pointer);
    }

    async fn of_mail(&mut self, federation: &Federation) {
        let ada = federation.person(ADA).await;
        let guest = json!({"email": "guest@elsewhere.example", "display_name": "Guest", "roles": ["read-only"]});
        ada.post("/v1/users", &guest).await.ok();
        let asked = json!({"email": "canary@acme.example"});
        federation.global().post("/v1/auth/password-reset", &asked).await.ok();
        let dir = federation.place("global").dir.join("mail");
        for (what, page) in [
            ("the token of an invitation", "/invite#"),
            ("the token for a new password", "/reset-password#"),
        ] {
            let mut token = None;
            let look = async || {
                let letters = fs::read_dir(&dir).into_iter().flatten().flatten();
                let mut texts = letters.map(|letter| fs::read_to_string(letter.path()).unwrap_or_default());
                token = texts.find_map(|text| {
                    let (_, rest) = text.split_once(page)?;
                    // a long line of a letter is broken by "=" at its end
                    let rest = rest.replace("=\r\n", "").replace("=\n", "");
                    rest.split_whitespace().next().map(str::to_owned)
                });
                token.is_some()
            };
            federation.until(Duration::from_secs(30), what, look).await;
            self.keep(what, &token.unwrap());
        }
    }

    /// The codes of a program without a browser.
    async fn of_a_program(&mut self, federation: &Federation) {
        let asked = form(
            &federation.global(),
            "/oauth2/device_authorization",
            "client_id=exarch-cli",
        )
        .await;
        let asked = asked.ok();
        self.keep_member("a device code", &asked, "/device_code");
        self.keep_member("a user code", &asked, "/user_code");
    }
}

/// POST of a form, as programs without a browser do.
pub async fn form(client: &Client, path: &str, body: &str) -> Answer {
    let request = client
        .request(Method::POST, path)
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(USER_AGENT, "exarch/0.1")
        .body(body.to_owned());
    client.send(request).await
}
