//! What the tests of several rooms stand on: a controller with a database of its own and a federation listener on loopback,
//! and gateways that talk to it.
mod gateway;
mod person;

pub(crate) use gateway::{Answered, Gateway, Manner, Up, key as gateway_key};
pub(crate) use person::Person;

use crate::{
    app::{App, Pools},
    federation,
    health::KeepProbes,
    keys, passports, router,
    sessions::{self, Session, SessionKind, Started},
    settings::Settings,
};
use axum::{
    Router,
    http::{Request, StatusCode, header},
};
use exarch_common_authz::Role;
use exarch_common_base::{Ambient, EntitlementId, ExposeSecret, MembershipId, RegionId, TenantId, UserId};
use exarch_common_crypto::{
    password::Hasher,
    pki::{self, Pin},
    seal::{Place, Sealer},
    sign::{Algorithm, SigningKey},
    tls,
};
use exarch_common_http::{
    serve::TlsListener,
    tunnel::{H2Client, dial},
};
use exarch_common_pg::{AppPool, Clusters, Login, PoolSettings, SystemTx, TenantContext, TenantTx};
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

    /// A person.
    pub(crate) async fn user(&self, name: &str) -> UserId {
        let user: UserId = self.app.ambient.id();
        let place = Place {
            table: "gc.user",
            column: "email_sealed",
            row: &user.to_string(),
        };
        let email = format!("{name}@people.example");
        let sealed = self.app.sealer.seal(&self.app.ambient, place, email.as_bytes());
        let mut db = self.superuser().await;
        sqlx::query("INSERT INTO gc.user (id, email_sealed, email_index, display_name, created_at, updated_at) VALUES ($1, $4, $2, $3, now(), now())")
            .bind(user.uuid())
            .bind(self.app.ambient.bytes::<32>().as_slice())
            .bind(name)
            .bind(sealed)
            .execute(&mut db)
            .await
            .unwrap();
        db.close().await.unwrap();
        user
    }

    /// A customer.
    pub(crate) async fn tenant(&self, slug: &str) -> TenantId {
        let tenant: TenantId = self.app.ambient.id();
        let mut db = self.superuser().await;
        sqlx::query("INSERT INTO gc.tenant (id, slug, name, state_since, created_by, created_at, updated_at) VALUES ($1, $2, $2, now(), 'test', now(), now())")
            .bind(tenant.uuid())
            .bind(slug)
            .execute(&mut db)
            .await
            .unwrap();
        db.close().await.unwrap();
        tenant
    }

    /// Changes rows of a tenant by one statement, and touches its passports in the same transaction.
    pub(crate) async fn change(&self, tenant: TenantId, sql: &'static str, binds: &[uuid::Uuid]) {
        let context = TenantContext {
            tenant,
            clusters: Clusters::All,
            actor: "test".into(),
        };
        let mut tx = TenantTx::begin(&self.app.app_pool, &context).await.unwrap();
        let mut query = sqlx::query(sql).bind(tenant.uuid());
        for bind in binds {
            query = query.bind(*bind);
        }
        query.execute(tx.conn()).await.unwrap();
        passports::touch_tenant(&self.app, &mut tx).await.unwrap();
        tx.commit().await.unwrap();
        passports::nudge(&self.app);
    }

    /// Brings a tenant's sections up to date.
    pub(crate) async fn touch(&self, tenant: TenantId) {
        self.change(tenant, "SELECT $1::uuid", &[]).await;
    }

    /// A member of whom no passport knows yet.
    pub(crate) async fn member_silently(&self, tenant: TenantId, user: UserId) {
        let mut db = self.superuser().await;
        let sql = "INSERT INTO gc.membership (tenant_id, id, user_id, roles, created_by, created_at)
                   VALUES ($1, $2, $3, '{read-only}', 'test', now())";
        let query = sqlx::query(sql).bind(tenant.uuid()).bind(self.app.ambient.uuid());
        query.bind(user.uuid()).execute(&mut db).await.unwrap();
        db.close().await.unwrap();
    }

    pub(crate) async fn entitle(&self, tenant: TenantId, region: RegionId) -> EntitlementId {
        let id: EntitlementId = self.app.ambient.id();
        let sql = "INSERT INTO gc.entitlement (tenant_id, id, region_id, from_at, created_by, created_at)
                   VALUES ($1, $2, $3, now() - interval '1 minute', 'test', now())";
        self.change(tenant, sql, &[id.uuid(), region.uuid()]).await;
        id
    }

    pub(crate) async fn end_entitlement(&self, tenant: TenantId, id: EntitlementId) {
        let sql = "UPDATE gc.entitlement SET ended_at = now() WHERE tenant_id = $1 AND id = $2";
        self.change(tenant, sql, &[id.uuid()]).await;
    }

    /// Makes a person a member; of `regions` alone, if any are given.
    pub(crate) async fn member(&self, tenant: TenantId, user: UserId, regions: &[RegionId]) -> MembershipId {
        let id: MembershipId = self.app.ambient.id();
        let sql = match regions {
            [] => {
                "INSERT INTO gc.membership (tenant_id, id, user_id, roles, created_by, created_at)
                 VALUES ($1, $2, $3, '{tenant-admin}', 'test', now())"
            }
            [_] => {
                "INSERT INTO gc.membership (tenant_id, id, user_id, roles, regions, created_by, created_at)
                 VALUES ($1, $2, $3, '{tenant-admin}', ARRAY[$4], 'test', now())"
            }
            _ => panic!("one region is enough for a test"),
        };
        let mut binds = vec![id.uuid(), user.uuid()];
        binds.extend(regions.iter().map(|r| r.uuid()));
        self.change(tenant, sql, &binds).await;
        id
    }

    /// A session, and who uses it.
    pub(crate) async fn sign_in(&self, user: UserId, tenant: Option<TenantId>, roles: &[Role]) -> Person {
        let now = self.app.ambient.now();
        let session = Session {
            id: self.app.ambient.id(),
            user,
            tenant,
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

    /// The provider's audit: action, outcome and reason, oldest first.
    pub(crate) async fn audit(&self, action: &str) -> Vec<(String, Option<String>)> {
        let mut db = self.superuser().await;
        let rows = sqlx::query_as("SELECT outcome, reason FROM gc.audit WHERE action = $1 ORDER BY seq")
            .bind(action)
            .fetch_all(&mut db)
            .await
            .unwrap();
        db.close().await.unwrap();
        rows
    }

    pub(crate) async fn lifecycle(&self, region: RegionId) -> String {
        let mut db = self.superuser().await;
        let word = sqlx::query_scalar("SELECT lifecycle FROM gc.region WHERE id = $1")
            .bind(region.uuid())
            .fetch_one(&mut db)
            .await
            .unwrap();
        db.close().await.unwrap();
        word
    }

    pub(crate) async fn set_lifecycle(&self, region: RegionId, word: &str) {
        let sql = "UPDATE gc.region SET lifecycle = $2 WHERE id = $1";
        let mut db = self.superuser().await;
        let query = sqlx::query(sql).bind(region.uuid()).bind(word);
        query.execute(&mut db).await.unwrap();
        db.close().await.unwrap();
    }

    pub(crate) async fn revoke_certificates(&self, region: RegionId) {
        let sql = "UPDATE gc.region_certificate SET revoked_at = now() WHERE region_id = $1";
        let mut db = self.superuser().await;
        sqlx::query(sql).bind(region.uuid()).execute(&mut db).await.unwrap();
        db.close().await.unwrap();
    }

    /// A certificate that this region was given, and that expired so many days ago.
    pub(crate) async fn expired(&self, gateway: &Gateway, days: i64) -> Gateway {
        let (then, _) = Ambient::manual(self.app.ambient.now() - time::Duration::days(30 + days), 9);
        let request = pki::request(&gateway.key).unwrap();
        let uri = exarch_common_wire::names::region_uri(gateway.id);
        let ca = self.app.keys.federation_ca();
        let issued = ca
            .issue_client(&then, &request, &uri, time::Duration::days(30))
            .unwrap();
        let mut db = self.superuser().await;
        let sql = "INSERT INTO gc.region_certificate (thumbprint, region_id, serial, public_key, issued_at, not_after)
                   VALUES ($1, $2, '', '', now(), now())";
        let thumbprint = exarch_common_crypto::hash::sha256(&issued.der);
        let query = sqlx::query(sql).bind(thumbprint.to_vec()).bind(gateway.id.uuid());
        query.execute(&mut db).await.unwrap();
        db.close().await.unwrap();
        gateway.with_certificate(&issued.der)
    }

    /// The service secrets as they lie in the database.
    pub(crate) async fn secrets_as_stored(&self) -> Vec<Vec<u8>> {
        let mut db = self.superuser().await;
        let all = sqlx::query_scalar("SELECT sealed FROM gc.service_secret").fetch_all(&mut db);
        let all = all.await.unwrap();
        db.close().await.unwrap();
        all
    }

    pub(crate) async fn expire_join_tokens(&self) {
        let mut db = self.superuser().await;
        let sql = "UPDATE gc.join_token SET expires_at = now() - interval '1 second'";
        sqlx::query(sql).execute(&mut db).await.unwrap();
        db.close().await.unwrap();
    }

    /// Time passes since the tokens were used.
    pub(crate) async fn age_join_tokens(&self, minutes: i32) {
        let mut db = self.superuser().await;
        let sql = "UPDATE gc.join_token SET used_at = used_at - make_interval(mins => $1)";
        sqlx::query(sql).bind(minutes).execute(&mut db).await.unwrap();
        db.close().await.unwrap();
    }

    /// A token that is good, whatever the region's life cycle says.
    pub(crate) async fn insert_join_token(&self, region: RegionId) -> String {
        let (token, hash) = crate::regions::join_token::generate(&self.app.ambient);
        let mut db = self.superuser().await;
        let sql = "INSERT INTO gc.join_token (id, region_id, hash, created_by, created_at, expires_at)
                   VALUES ($1, $2, $3, $1, now(), now() + interval '15 minutes')";
        let query = sqlx::query(sql).bind(self.app.ambient.uuid()).bind(region.uuid());
        query.bind(hash.as_slice()).execute(&mut db).await.unwrap();
        db.close().await.unwrap();
        token.expose_secret().to_owned()
    }

    pub(crate) async fn dump_join_tokens(&self) -> String {
        let mut db = self.superuser().await;
        let all: Vec<String> = sqlx::query_scalar("SELECT t::text || encode(hash, 'escape') FROM gc.join_token t")
            .fetch_all(&mut db)
            .await
            .unwrap();
        db.close().await.unwrap();
        all.join("\n")
    }

    /// What the database says when the server wants to delete a whole table.
    pub(crate) async fn delete_as_the_server(&self, table: &str) -> String {
        let mut tx = SystemTx::begin(&self.app.app_pool, "test").await.unwrap();
        let sql = sqlx::AssertSqlSafe(format!("DELETE FROM {table}"));
        sqlx::query(sql).execute(tx.conn()).await.unwrap_err().to_string()
    }

    /// The numbers that were spent.
    pub(crate) async fn spent(&self) -> Vec<String> {
        let mut db = self.superuser().await;
        let all = sqlx::query_scalar("SELECT jti FROM gc.service_jti").fetch_all(&mut db);
        let all = all.await.unwrap();
        db.close().await.unwrap();
        all
    }

    pub(crate) async fn spend(&self, region: RegionId, jti: &str) {
        let mut db = self.superuser().await;
        let sql = "INSERT INTO gc.service_jti (region_id, jti, spent_at) VALUES ($1, $2, now())";
        let query = sqlx::query(sql).bind(region.uuid()).bind(jti);
        query.execute(&mut db).await.unwrap();
        db.close().await.unwrap();
    }

    /// Outcome and health after each probe, oldest first.
    pub(crate) async fn probes(&self, region: RegionId) -> Vec<(String, String)> {
        let mut db = self.superuser().await;
        let rows = sqlx::query_as("SELECT outcome, health FROM gc.probe WHERE region_id = $1 ORDER BY id")
            .bind(region.uuid())
            .fetch_all(&mut db)
            .await
            .unwrap();
        db.close().await.unwrap();
        rows
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
