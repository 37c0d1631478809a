//! What the tests of several rooms stand on: a controller with a database of its own and a federation listener on loopback,
//! and gateways that talk to it.
mod gateway;
mod person;
mod rows;

pub(crate) use gateway::{Answered, Gateway, Manner, Up, key as gateway_key};
pub(crate) use person::Person;

use crate::{
    app::{App, Pools},
    federation,
    health::KeepProbes,
    keys, router,
    sessions::{self, Session, SessionKind, Started},
    settings::Settings,
};
use axum::{
    Router,
    http::{Request, StatusCode, header},
};
use exarch_common_authz::Role;
use exarch_common_base::{Ambient, RegionId, TenantId, UserId};
use exarch_common_crypto::{
    password::Hasher,
    pki::{self, Pin},
    seal::Sealer,
    sign::{Algorithm, SigningKey},
    tls,
};
use exarch_common_http::{
    serve::TlsListener,
    tunnel::{H2Client, dial},
};
use exarch_common_pg::{AppPool, Login, PoolSettings, SystemTx};
use exarch_common_runtime::Reconcile;
use exarch_common_testkit::{cut::Cut, db::TestDb};
use exarch_common_wire::audit::Source;
use exarch_common_wire::{federation::Joined, names::ALPN_JOIN};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use std::{net::SocketAddr, num::NonZeroU32, sync::Arc, time::Duration};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Longer than anything here takes; a test that waits so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A controller.
pub(crate) struct World {
    pub app: App,
    pub db: TestDb,
    /// Of the federation listener.
    pub addr: SocketAddr,
    public: Router,
    pub stop: CancellationToken,
    _stopped: DropGuard,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(Duration::from_secs(30), Duration::from_secs(5)).await
    }

    /// With other times of probes.
    pub(crate) async fn with(period: Duration, timeout: Duration) -> Self {
        let db = TestDb::global().await;
        let app = db.app().await;
        Self::over(db, app, period, timeout).await
    }

    /// With a wire to its database that can be made to break.
    pub(crate) async fn breaking() -> (Self, Cut) {
        let db = TestDb::global().await;
        let cut = Cut::to(&db.settings(Login::App)).await.unwrap();
        let app = AppPool::lazy(PoolSettings {
            acquire_timeout: PATIENCE,
            ..cut.through(db.settings(Login::App))
        });
        let day = Duration::from_secs(24 * 3600);
        (Self::over(db, app, day, Duration::from_secs(5)).await, cut)
    }

    async fn over(db: TestDb, app_pool: AppPool, period: Duration, timeout: Duration) -> Self {
        exarch_common_crypto::init().unwrap();
        let ambient = Ambient::system();
        let sealer = sealer();
        // The installation has been there for a year, so that what it gave out can have expired.
        let (long_ago, _) = Ambient::manual(ambient.now() - time::Duration::days(365), 1);
        keys::make_missing(&long_ago, &app_pool, &sealer).await.unwrap();
        let mut settings = settings();
        settings.probe.period = period;
        settings.probe.timeout = timeout;
        let keys = keys::Keys::load(&ambient, &app_pool, &sealer, &settings.public.url)
            .await
            .unwrap();
        let hasher = Hasher::with_iterations(vec![7; 32].into(), NonZeroU32::MIN);
        let pools = Pools {
            listen: app_pool.settings().clone(),
            app: app_pool,
            sweep: db.sweep().await,
        };
        let app = App::new(
            ambient,
            settings,
            pools,
            sealer,
            keys,
            hasher,
            crate::mail::Outbound::Off,
        );
        assert!(app.leader.campaign().await.unwrap());
        KeepProbes(app.clone()).pass().await.unwrap();
        let listener = TlsListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(federation::serve(app.clone(), listener, stop.clone()));
        let (public, _) = router::public(app.clone());
        Self {
            app,
            db,
            addr,
            public,
            _stopped: stop.clone().drop_guard(),
            stop,
        }
    }

    /// Another replica of the controller on the same database. It listens nowhere, and nothing runs in its background.
    pub(crate) async fn replica(&self) -> App {
        let (ambient, settings) = (self.app.ambient.clone(), self.app.settings.clone());
        let pools = Pools {
            listen: self.db.app().await.settings().clone(),
            app: self.db.app().await,
            sweep: self.db.sweep().await,
        };
        let keys = keys::Keys::load(&ambient, &pools.app, &sealer(), &settings.public.url)
            .await
            .unwrap();
        let hasher = Hasher::with_iterations(vec![7; 32].into(), NonZeroU32::MIN);
        App::new(
            ambient,
            settings,
            pools,
            sealer(),
            keys,
            hasher,
            crate::mail::Outbound::Off,
        )
    }

    /// Sees every row.
    pub(crate) async fn superuser(&self) -> PgConnection {
        self.db.superuser().await
    }

    /// A region that waits for its gateway, and its join token.
    pub(crate) async fn register(&self, slug: &str) -> (RegionId, String) {
        let staff = self.staff().await;
        let body = json!({"slug": slug, "name": slug, "url": format!("http://{slug}.localhost:9440")});
        let answer = staff.post("/v1/regions", body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let id = answer.body["region"]["id"].as_str().unwrap().parse().unwrap();
        let token = answer.body["join_token"]["token"].as_str().unwrap().to_owned();
        (id, token)
    }

    /// A region whose gateway has joined.
    pub(crate) async fn region(&self, slug: &str) -> Gateway {
        let (id, token) = self.register(slug).await;
        let key = SigningKey::generate(Algorithm::Es384).unwrap();
        let (status, body) = self.try_join(&token, &pki::request(&key).unwrap()).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let joined: Joined = serde_json::from_value(body).unwrap();
        assert_eq!(joined.region, id);
        Gateway::new(self.addr, key, joined)
    }

    /// Comes with a token and a signing request, over TLS that knows the authority by its pin alone.
    pub(crate) async fn try_join(&self, token: &str, csr: &[u8]) -> (StatusCode, Value) {
        let body =
            json!({"token": token, "csr": gateway::b64(csr), "protocol": 1, "hostname": "a newer gateway says more"});
        self.join_with(&body).await
    }

    pub(crate) async fn join_with(&self, body: &Value) -> (StatusCode, Value) {
        let pin: Pin = self.app.keys.federation_ca().pin();
        let config = tls::pinned_client_config(pin, &[ALPN_JOIN]).unwrap();
        let dialled = dial(&self.addr.to_string(), "localhost", Arc::new(config))
            .await
            .unwrap();
        let client = H2Client::dialled(dialled).await.unwrap();
        let request = Request::post("/federation/v1/join")
            .header(header::CONTENT_TYPE, "application/json")
            .body(serde_json::to_vec(body).unwrap().into())
            .unwrap();
        let answer = client.request(request, PATIENCE).await.unwrap();
        (answer.status(), serde_json::from_slice(answer.body()).unwrap())
    }

    /// Somebody of the provider's people who may do everything.
    pub(crate) async fn staff(&self) -> Person {
        let user = self.user("Staff").await;
        let mut db = self.superuser().await;
        sqlx::query("INSERT INTO gc.staff_binding (id, user_id, role, created_by, created_at) VALUES ($1, $2, 'system-admin', 'test', now())")
            .bind(self.app.ambient.uuid())
            .bind(user.uuid())
            .execute(&mut db)
            .await
            .unwrap();
        db.close().await.unwrap();
        self.sign_in(user, None, &[Role::SystemAdmin]).await
    }

    /// A session, and who uses it.
    pub(crate) async fn sign_in(&self, user: UserId, tenant: Option<TenantId>, roles: &[Role]) -> Person {
        let now = self.app.ambient.now();
        let session = Session {
            id: self.app.ambient.id(),
            user,
            tenant,
            break_glass: None,
            kind: SessionKind::Token,
            amr: ["pwd", "otp", "mfa"].map(String::from).into(),
            auth_time: now,
            expires_at: now + time::Duration::hours(8),
        };
        let mut tx = SystemTx::begin(&self.app.app_pool, "test").await.unwrap();
        let roles: Vec<_> = roles.iter().map(|role| role.slug().to_owned()).collect();
        let (started, _) = sessions::start(&self.app, tx.conn(), &session, &Source::default(), &roles)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let Started::Tokens(pair) = started else {
            panic!("a session with tokens has tokens")
        };
        Person {
            router: self.public.clone(),
            token: pair.access_token,
            session,
        }
    }
}

/// Asks again until the answer is yes.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, ask: impl Fn() -> F) {
    let asked = async {
        while !ask().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(
        tokio::time::timeout(PATIENCE, asked).await.is_ok(),
        "it never came true that {what}"
    );
}

fn settings() -> Settings {
    serde_json::from_value(json!({
        "database": {"app_url_file": "/nowhere", "sweep_url_file": "/nowhere"},
        "keys": {"master_file": "/nowhere", "pepper_file": "/nowhere"},
    }))
    .unwrap()
}

fn sealer() -> Sealer {
    Sealer::new(&vec![9; 32].into()).unwrap()
}
