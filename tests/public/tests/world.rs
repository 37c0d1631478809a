//! A controller over a database of its own, and people who call it.
use axum::{Router, body::Body, http::Request};
use exarch_common_base::{Ambient, ManualClock};
use exarch_common_crypto::{
    password::Hasher,
    seal::Sealer,
    totp::{self, Secret},
};
use exarch_common_http::RouteEntry;
use exarch_common_pg::{AppPool, Login, PoolSettings, SweepPool};
use exarch_common_runtime::Reconcile;
use exarch_common_testkit::db::TestDb;
use exarch_global_controller::{
    App,
    app::Pools,
    keys::{self, Keys},
    mail::{Mailer, Outbound},
    router, setup,
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
    sync::Mutex,
    time::Duration,
};
use time::macros::datetime;
use tower::ServiceExt;

pub const OWNER: &str = "owner@provider.example";
pub const PASSWORD: &str = "three words and a number 7";

/// A controller whose clock moves only when told.
pub struct World {
    pub app: App,
    pub router: Router,
    pub table: Vec<RouteEntry>,
    pub clock: ManualClock,
    /// Nothing for a world on a cluster of its own.
    pub db: Option<TestDb>,
    /// Where mail arrives.
    pub mail: tempfile::TempDir,
    /// The apps of those who have a second factor, by address.
    pub apps: Mutex<BTreeMap<String, Authenticator>>,
    pub owner: Mutex<Option<Client>>,
}

/// What a person's authenticator app knows.
pub struct Authenticator {
    secret: Secret,
    used: BTreeSet<i64>,
}

impl Authenticator {
    pub fn new(base32: &str) -> Self {
        Self {
            secret: Secret::from_base32(base32).unwrap(),
            used: BTreeSet::new(),
        }
    }

    /// A code that was not used and is good now: at one time there are three.
    pub fn code(&mut self, unix: i64) -> String {
        let now = totp::step(unix);
        let step = [now, now - 1, now + 1].into_iter().find(|step| self.used.insert(*step));
        self.secret
            .code(step.expect("a fourth code within one step: move the clock"))
    }
}

impl World {
    /// With an owner.
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// With an owner, and other settings.
    pub async fn with(adjust: impl FnOnce(&mut Value)) -> Self {
        let world = Self::without_people(adjust).await;
        let owner = setup::first_owner(&world.app, OWNER.parse().unwrap(), PASSWORD.to_owned().into()).await;
        owner.unwrap();
        world
    }

    /// With keys and nobody.
    pub async fn empty() -> Self {
        Self::without_people(|_| {}).await
    }

    async fn without_people(adjust: impl FnOnce(&mut Value)) -> Self {
        let db = TestDb::global().await;
        let patient = |login| PoolSettings {
            acquire_timeout: Duration::from_secs(20),
            ..db.settings(login)
        };
        let world = Self::over(patient, adjust).await;
        assert!(world.app.leader.campaign().await.unwrap());
        Self { db: Some(db), ..world }
    }

    /// The same, waiting for a connection no longer than the settings say.
    pub async fn over_impatient(settings_of: impl Fn(Login) -> PoolSettings) -> Self {
        Self::over(settings_of, |_| {}).await
    }

    async fn over(settings_of: impl Fn(Login) -> PoolSettings, adjust: impl FnOnce(&mut Value)) -> Self {
        let (ambient, clock) = Ambient::manual(datetime!(2026-03-01 12:00 UTC), 7);
        let mail = tempfile::tempdir().unwrap();
        let app = controller(settings_of, ambient, mail.path(), adjust).await;
        let (router, table) = router::public(app.clone());
        Self {
            app,
            router,
            table,
            clock,
            db: None,
            mail,
            apps: Mutex::default(),
            owner: Mutex::default(),
        }
    }

    /// Another controller over the same database, with the same clock.
    pub async fn replica(&self) -> Replica {
        let settings_of = |login| PoolSettings {
            acquire_timeout: Duration::from_secs(20),
            ..self.db().settings(login)
        };
        let app = controller(settings_of, self.app.ambient.clone(), self.mail.path(), |_| {}).await;
        Replica(router::public(app).0)
    }

    /// Takes every role over the federation from everybody.
    pub async fn unbind_staff(&self) {
        let mut conn = self.db().superuser().await;
        let end = sqlx::query("UPDATE gc.staff_binding SET ended_at = now()");
        end.execute(&mut conn).await.unwrap();
    }

    /// All rows of a table, as text.
    pub async fn dump(&self, table: &str) -> Vec<String> {
        let mut conn = self.db().superuser().await;
        let rows = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT kept::text FROM {table} kept")));
        rows.fetch_all(&mut conn).await.unwrap()
    }

    pub fn db(&self) -> &TestDb {
        self.db
            .as_ref()
            .expect("this world has a database of the shared cluster")
    }

    /// Somebody unknown.
    pub fn anyone(&self) -> Client {
        Client {
            router: self.router.clone(),
            token: None,
            cookie: None,
            agent: "tests/1".into(),
        }
    }

    /// The first owner: a session for as long as its token lasts, since every sign-in uses up a code.
    pub async fn owner(&self) -> Client {
        let known = self.owner.lock().unwrap().clone();
        if let Some(owner) = known
            && owner.get("/v1/me").await.code == 200
        {
            return owner;
        }
        let owner = self.signed_in(OWNER, PASSWORD).await;
        *self.owner.lock().unwrap() = Some(owner.clone());
        owner
    }

    /// Somebody who signs in for tokens and is asked nothing more but a second factor.
    pub async fn signed_in(&self, email: &str, password: &str) -> Client {
        let pair = self.pair(email, password).await;
        self.anyone().with_token(pair["access_token"].as_str().unwrap())
    }

    /// The tokens of somebody who signs in.
    pub async fn pair(&self, email: &str, password: &str) -> Value {
        let answer = self.anyone().sign_in(email, password).await;
        let answer = self.second_step(email, answer).await.ok();
        assert_eq!(answer["status"], "signed-in", "{answer}");
        answer
    }

    /// Somebody at a browser.
    pub async fn browser(&self, email: &str) -> Client {
        let mut client = self.anyone();
        let body = json!({"email": email, "password": PASSWORD, "session": "cookie"});
        let answer = client.post("/v1/auth/sign-in", body).await;
        let answer = self.second_step(email, answer).await;
        let cookie = answer.headers["set-cookie"].to_str().unwrap();
        client.cookie = cookie.split(';').next().map(str::to_owned);
        client
    }

    /// Answers the second factor if it is asked for; whoever needs one and has none enrols.
    pub async fn second_step(&self, email: &str, answer: Answer) -> Answer {
        let next = answer.json();
        if next["next"] != "second-factor" {
            return answer;
        }
        let email = email.trim().to_lowercase();
        let code = {
            let mut apps = self.apps.lock().unwrap();
            if let Some(secret) = next["enrolment"]["secret"].as_str() {
                apps.insert(email.clone(), Authenticator::new(secret));
            }
            let app = apps
                .get_mut(&email)
                .expect("somebody without an app is asked for a code");
            app.code(self.app.ambient.now().unix_timestamp())
        };
        let body = json!({"ticket": next["ticket"], "totp": code});
        self.anyone().post("/v1/auth/next", body).await
    }

    /// Sends what waits, and gives what arrived since the last call, receiver and text.
    pub async fn post(&self) -> Vec<(String, String)> {
        Mailer(self.app.clone()).pass().await.unwrap();
        let mut arrived = Vec::new();
        for file in std::fs::read_dir(self.mail.path()).unwrap() {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let to = text
                .lines()
                .find_map(|line| line.strip_prefix("To: "))
                .unwrap()
                .to_owned();
            std::fs::remove_file(path).unwrap();
            arrived.push((to, text));
        }
        arrived
    }

    /// A code of somebody's app.
    pub fn code(&self, email: &str) -> String {
        let now = self.app.ambient.now().unix_timestamp();
        self.apps.lock().unwrap().get_mut(email).expect("an app").code(now)
    }

    /// A tenant with an administrator who has chosen the usual password; signed in.
    pub async fn tenant(&self, slug: &str) -> (String, Client) {
        let email = format!("admin@{slug}.example");
        let body = json!({"slug": slug, "name": slug, "admin": {"email": email, "display_name": "Admin"}});
        let made = self.owner().await.post("/v1/tenants", body).await.status(201);
        self.first_password(&email, made["admin"]["initial_password"].as_str().unwrap())
            .await;
        (
            made["id"].as_str().unwrap().to_owned(),
            self.signed_in(&email, PASSWORD).await,
        )
    }

    /// Puts the usual password in the place of an initial one.
    pub async fn first_password(&self, email: &str, initial: &str) {
        let client = self.anyone();
        let next = client.sign_in(email, initial).await.ok();
        assert_eq!(next["next"], "change-password", "{next}");
        let body = json!({"ticket": next["ticket"], "new_password": PASSWORD});
        client.post("/v1/auth/next", body).await.ok();
        // ids made in one millisecond have no order
        self.clock.advance(Duration::from_millis(2));
    }

    /// A new person in the tenant of `admin`, signed in.
    pub async fn member(&self, admin: &Client, email: &str, roles: &[&str]) -> (String, Client) {
        // ids made in one millisecond have no order
        self.clock.advance(Duration::from_millis(2));
        let body = json!({"email": email, "display_name": "Member", "roles": roles, "initial_password": true});
        let made = admin.post("/v1/users", body).await.status(201);
        self.first_password(email, made["initial_password"].as_str().unwrap())
            .await;
        (
            made["id"].as_str().unwrap().to_owned(),
            self.signed_in(email, PASSWORD).await,
        )
    }

    /// A row in the registry of regions, as a gateway that joined would leave it.
    pub async fn region(&self, slug: &str) {
        let mut conn = self.db().superuser().await;
        sqlx::query(
            "INSERT INTO gc.region (id, slug, name, url, lifecycle, registered_at) VALUES ($1, $2, $2, 'http://r', 'active', now())",
        )
        .bind(self.app.ambient.uuid())
        .bind(slug)
        .execute(&mut conn)
        .await
        .unwrap();
    }
}

async fn controller(
    settings_of: impl Fn(Login) -> PoolSettings,
    ambient: Ambient,
    mail: &std::path::Path,
    adjust: impl FnOnce(&mut Value),
) -> App {
    let pools = Pools {
        listen: settings_of(Login::App),
        app: AppPool::lazy(settings_of(Login::App)),
        sweep: SweepPool::lazy(settings_of(Login::Sweep)),
    };
    let mut settings = json!({
        "mail": {"transport": "file", "dir": mail},
        "database": {"app_url_file": "none", "sweep_url_file": "none"},
        "keys": {"master_file": "none", "pepper_file": "none"},
        "sign_in": {"per_minute": 1000},
        "limits": {"tenant_per_minute": 300},
    });
    adjust(&mut settings);
    let settings: exarch_global_controller::settings::Settings = serde_json::from_value(settings).unwrap();
    let sealer = Sealer::new(&vec![7; 32].into()).unwrap();
    keys::make_missing(&ambient, &pools.app, &sealer).await.unwrap();
    let keys = Keys::load(&ambient, &pools.app, &sealer, &settings.public.url)
        .await
        .unwrap();
    let hasher = Hasher::with_iterations(b"pepper".to_vec().into(), NonZeroU32::MIN);
    let outbound = Outbound::new(&settings.mail).unwrap();
    App::new(ambient, settings, pools, sealer, keys, hasher, outbound)
}

/// Another controller over a world's database.
pub struct Replica(Router);

/// One who calls.
#[derive(Clone)]
pub struct Client {
    pub router: Router,
    pub token: Option<String>,
    pub cookie: Option<String>,
    pub agent: String,
}

impl Client {
    pub fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    pub fn with_agent(mut self, agent: &str) -> Self {
        self.agent = agent.to_owned();
        self
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, Some(body.to_string())).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, None).await
    }

    pub async fn sign_in(&self, email: &str, password: &str) -> Answer {
        let body = json!({"email": email, "password": password, "session": "token"});
        self.post("/v1/auth/sign-in", body).await
    }

    /// A form, as OAuth has it.
    pub async fn form(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let request = Request::post(path)
            .header("user-agent", &self.agent)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(body))
            .unwrap();
        self.answer(request).await
    }

    /// The same caller at another replica.
    pub fn at(&self, replica: &Replica) -> Self {
        let router = replica.0.clone();
        Self { router, ..self.clone() }
    }

    pub async fn send(&self, method: &str, path: &str, body: Option<String>) -> Answer {
        self.send_with(method, path, &[], body).await
    }

    /// Asks for a list as a stream.
    pub async fn stream(&self, path: &str) -> (axum::http::response::Parts, Body) {
        let request = self.request("GET", path, &[("accept", "text/event-stream")], None);
        self.router.clone().oneshot(request).await.unwrap().into_parts()
    }

    pub async fn send_with(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<String>) -> Answer {
        self.answer(self.request(method, path, headers, body)).await
    }

    /// With these headers and none of its own but who it is.
    pub async fn exactly(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<String>) -> Answer {
        let mut request = self.request(method, path, headers, None);
        *request.body_mut() = body.map_or(Body::empty(), Body::from);
        self.answer(request).await
    }

    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<String>) -> Request<Body> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("user-agent", &self.agent);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        request.body(body.map_or(Body::empty(), Body::from)).unwrap()
    }

    async fn answer(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 1 << 22).await.unwrap();
        Answer {
            code: parts.status.as_u16(),
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub code: u16,
    pub headers: axum::http::HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    #[track_caller]
    pub fn status(self, code: u16) -> Value {
        assert_eq!(self.code, code, "{}", self.text);
        self.json()
    }

    #[track_caller]
    pub fn ok(self) -> Value {
        self.status(200)
    }

    /// A problem of this status and name.
    #[track_caller]
    pub fn problem(self, code: u16, slug: &str) -> Value {
        let body = self.status(code);
        assert_eq!(body["type"], format!("urn:exarch:problem:{slug}"), "{body}");
        body
    }
}
