//! A controller over a database of its own, and people who call it.
use axum::{Router, body::Body, http::Request};
use exarch_common_base::{Ambient, ManualClock};
use exarch_common_crypto::{password::Hasher, seal::Sealer};
use exarch_common_http::RouteEntry;
use exarch_common_pg::{AppPool, Login, PoolSettings, SweepPool};
use exarch_common_testkit::db::TestDb;
use exarch_global_controller::{
    App,
    app::Pools,
    keys::{self, Keys},
    router, setup,
};
use serde_json::{Value, json};
use std::{num::NonZeroU32, time::Duration};
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
}

impl World {
    /// With an owner.
    pub async fn new() -> Self {
        let world = Self::empty().await;
        let owner = setup::first_owner(&world.app, OWNER.parse().unwrap(), PASSWORD.to_owned().into()).await;
        owner.unwrap();
        world
    }

    /// With keys and nobody.
    pub async fn empty() -> Self {
        let db = TestDb::global().await;
        let world = Self::over(|login| db.settings(login)).await;
        Self { db: Some(db), ..world }
    }

    /// Over any migrated database.
    async fn over(settings_of: impl Fn(Login) -> PoolSettings) -> Self {
        Self::over_impatient(|login| PoolSettings {
            acquire_timeout: Duration::from_secs(20),
            ..settings_of(login)
        })
        .await
    }

    /// The same, waiting for a connection no longer than the settings say.
    pub async fn over_impatient(settings_of: impl Fn(Login) -> PoolSettings) -> Self {
        let pools = Pools {
            app: AppPool::lazy(settings_of(Login::App)),
            sweep: SweepPool::lazy(settings_of(Login::Sweep)),
        };
        let (ambient, clock) = Ambient::manual(datetime!(2026-03-01 12:00 UTC), 7);
        let settings = json!({
            "database": {"app_url_file": "none", "sweep_url_file": "none"},
            "keys": {"master_file": "none", "pepper_file": "none"},
            "sign_in": {"per_minute": 1000},
            "limits": {"tenant_per_minute": 300},
        });
        let settings: exarch_global_controller::settings::Settings = serde_json::from_value(settings).unwrap();
        let sealer = Sealer::new(&vec![7; 32].into()).unwrap();
        keys::make_missing(&ambient, &pools.app, &sealer).await.unwrap();
        let keys = Keys::load(&ambient, &pools.app, &sealer, &settings.public.url)
            .await
            .unwrap();
        let hasher = Hasher::with_iterations(b"pepper".to_vec().into(), NonZeroU32::MIN);
        let app = App::new(ambient, settings, pools, sealer, keys, hasher);
        let (router, table) = router::public(app.clone());
        Self {
            app,
            router,
            table,
            clock,
            db: None,
        }
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

    /// The first owner.
    pub async fn owner(&self) -> Client {
        self.signed_in(OWNER, PASSWORD).await
    }

    /// Somebody who signs in for tokens and is asked nothing more.
    pub async fn signed_in(&self, email: &str, password: &str) -> Client {
        let client = self.anyone();
        let answer = client.sign_in(email, password).await.ok();
        assert_eq!(answer["status"], "signed-in", "{answer}");
        client.with_token(answer["access_token"].as_str().unwrap())
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
    }

    /// A new person in the tenant of `admin`, signed in.
    pub async fn member(&self, admin: &Client, email: &str, roles: &[&str]) -> (String, Client) {
        // ids made in one millisecond have no order
        self.clock.advance(Duration::from_millis(2));
        let body = json!({"email": email, "display_name": "Member", "roles": roles});
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

    pub async fn send(&self, method: &str, path: &str, body: Option<String>) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("user-agent", &self.agent);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let request = request.body(body.map_or(Body::empty(), Body::from)).unwrap();
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
