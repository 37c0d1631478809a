//! Joining and the tunnel, over real TLS with a global that listens.
use super::{JoinError, Joining, join};
use crate::{
    app::App,
    fake_global::{
        Caller, FakeGlobal, eventually,
        listener::{Listening, Signed, send},
        open, pools, sealer,
    },
};
use axum::http::{Method, StatusCode};
use exarch_common_base::Ambient;
use exarch_common_crypto::pki::{Peer, Pin};
use exarch_common_http::tunnel::H2Client;
use exarch_common_pg::{OwnerPool, SystemTx};
use exarch_common_runtime::{Lifecycle, Notify};
use exarch_common_testkit::db::TestDb;
use exarch_common_wire::{
    federation::paths,
    health::{Probe, ProbeAnswer},
    names,
    service::{self, Claims, ServiceKey},
    user_token::Version,
};
use serde_json::Value;
use std::{sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

mod breaks;
mod joins;
mod removal;
mod secrets;
mod tokens;

struct Fixture {
    listening: Listening,
    app: App,
    http: Caller,
    db: TestDb,
    _dir: TempDir,
    _life: Lifecycle,
    stop: CancellationToken,
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A region with its tunnel up. Certificates are judged by the real clock, so `ambient` is near it.
async fn fixture_at(ambient: Ambient) -> Fixture {
    let global = Arc::new(FakeGlobal::new(&ambient));
    let listening = Listening::start(global.clone()).await;
    let db = TestDb::regional().await;
    global.enlist(&db, &listening.addr).await;
    let dir = tempfile::tempdir().unwrap();
    let app = open(&ambient, &db, dir.path()).await;
    let life = Lifecycle::new(Notify::from_env(&Default::default()));
    app.background(&life);
    Fixture {
        listening,
        http: Caller::new(&app),
        app,
        db,
        _dir: dir,
        stop: life.stop(),
        _life: life,
    }
}

async fn fixture() -> Fixture {
    fixture_at(Ambient::system()).await
}

impl Fixture {
    async fn applied(&self, version: Version) {
        let mut applied = self.app.directory.applied();
        let waiting = tokio::time::timeout(Duration::from_secs(10), applied.wait_for(|a| *a >= Some(version)));
        assert!(matches!(waiting.await, Ok(Ok(_))), "{version} was not applied in time");
    }

    fn global(&self) -> &FakeGlobal {
        &self.listening.global
    }
}

async fn joining() -> (Arc<FakeGlobal>, Listening, TestDb) {
    let global = Arc::new(FakeGlobal::new(&Ambient::system()));
    let listening = Listening::start(global.clone()).await;
    (global, listening, TestDb::regional().await)
}

fn line(listening: &Listening, pin: Pin) -> Joining {
    Joining {
        global: format!("https://{}", listening.addr),
        pin,
        token: "exj_secret".to_owned().into(),
    }
}

#[tokio::test]
async fn the_tunnel_comes_up_and_the_passport_is_polled_applied_and_acknowledged() {
    let f = fixture().await;
    f.applied(f.global().version()).await;
    let version = f.global().version();
    f.listening
        .hears("the acknowledgement", |told| {
            told.acknowledged.iter().any(|a| a.applied == version)
        })
        .await;
    let fingerprint = f.app.secrets.agent_ca().pin().to_string();
    assert_eq!(
        f.listening.told.borrow().agent_ca.as_deref(),
        Some(fingerprint.as_str())
    );
    assert_eq!(
        f.listening.told.borrow().polls.first(),
        Some(&None),
        "with nothing to compare, no version is named"
    );

    // A push by the other connection is in force before it is answered.
    let person = f.global().tenant("acme", |_| {});
    let push = f.global().push(Some(version));
    let (status, _) = f.listening.call(paths::PASSPORT, &push.to_bytes()).await;
    assert_eq!(status, 204);
    let token = f.global().token(person);
    assert_eq!(f.http.get("/v1/me", &token).await.0, 200);
    let version = f.global().version();
    f.listening
        .hears("the second acknowledgement", |told| {
            told.acknowledged.iter().any(|a| a.applied == version)
        })
        .await;
    let (_, told) = f.http.send(Method::GET, "/v1/continuity", None, Value::Null).await;
    assert_eq!(told["tunnel"]["state"], "connected");
    assert!(told["last_contact"].is_string(), "{told}");
}

#[tokio::test]
async fn a_push_that_does_not_fit_makes_the_region_poll_and_fetch_what_is_too_large() {
    let f = fixture().await;
    f.applied(f.global().version()).await;
    f.global().tenant("acme", |_| {});
    let between = f.global().version();
    // Larger than two ranges.
    let person = f.global().tenant("globex", |t| t.name = "G".repeat(1_200_000));
    f.listening
        .alter(move |push| push.sections.retain(|_, bytes| bytes.0.len() < 1000));
    let mut bare = f.global().push(Some(between));
    bare.sections.clear();
    let (status, _) = f.listening.call(paths::PASSPORT, &bare.to_bytes()).await;
    assert_eq!(status, 202);
    f.applied(f.global().version()).await;
    let index = f.app.directory.current();
    let name = &index.as_ref().unwrap().tenant(person.tenant).unwrap().name;
    assert_eq!(name.len(), 1_200_000);
}

#[tokio::test]
async fn a_token_from_after_a_change_fetches_the_change_first() {
    let f = fixture().await;
    f.applied(f.global().version()).await;
    f.listening.hears("the first poll", |told| !told.polls.is_empty()).await;
    let person = f.global().tenant("acme", |_| {});
    let token = f.global().token(person);
    assert_eq!(f.http.get("/v1/me", &token).await.0, 200, "nothing was pushed");
    // The global answers and has nothing newer: the token knows more than the global, and is not believed.
    let mut claims = f.global().claims(person);
    claims.region.as_mut().unwrap().ten_v = Version(9, 9);
    assert_eq!(
        f.http.problem("/v1/me", &f.global().sign(&claims)).await.1,
        "passport-behind"
    );
}

#[tokio::test]
async fn a_refused_passport_is_reported_and_the_region_goes_on() {
    let f = fixture().await;
    f.applied(f.global().version()).await;
    let good = f.global().version();
    let person = f.global().tenant("acme", |_| {});
    f.listening.alter(|push| {
        let middle = push.manifest.len() / 2;
        push.manifest[middle] ^= 1;
    });
    f.app.federation.poll_soon();
    f.listening
        .hears("the refusal", |told| {
            told.acknowledged.iter().any(|a| a.refused.is_some())
        })
        .await;
    let index = f.app.directory.current();
    assert_eq!(index.as_ref().unwrap().version(), good);
    f.listening.honest();
    f.app.federation.poll_soon();
    f.applied(f.global().version()).await;
    assert_eq!(f.http.get("/v1/me", &f.global().token(person)).await.0, 200);
}

#[tokio::test]
async fn an_answer_that_the_global_did_not_sign_is_not_believed() {
    let f = fixture().await;
    f.applied(f.global().version()).await;
    let good = f.global().version();
    f.listening.answer_with(ServiceKey {
        kid: f.global().up.kid.clone(),
        secret: vec![1; 32].into(),
    });
    f.global().tenant("acme", |_| {});
    assert!(!f.app.federation.fetch(Duration::from_secs(5)).await);
    assert_eq!(f.app.directory.current().as_ref().unwrap().version(), good);
    f.listening.honest();
    assert!(f.app.federation.fetch(Duration::from_secs(5)).await);
    assert_eq!(
        f.app.directory.current().as_ref().unwrap().version(),
        f.global().version()
    );
}

#[tokio::test]
async fn a_probe_is_answered_with_what_the_region_knows_of_itself() {
    let f = fixture().await;
    f.applied(f.global().version()).await;
    let fill = "SET session_replication_role = replica;
        INSERT INTO gw.agent (tenant_id, cluster_id, id, name, state, public_key, csr, enrolled_at, enrolled_from)
        SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'a' || n, state, '', '', now(), '::1'
          FROM (VALUES (1, 'active'), (2, 'active'), (3, 'pending')) AS a (n, state);
        INSERT INTO gw.lease (tenant_id, cluster_id, id, resource_id, agent_id, incarnation, actions, epoch, generation, seq,
                              ttl_ms, state, granted_at, expires_at, ended_at)
        SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(),
               decode(repeat('00', 16), 'hex'), '{}', 1, n, 1, 30000, state, now(), now(), ended
          FROM (VALUES (1, 'active', NULL::timestamptz), (2, 'released', now())) AS l (n, state, ended)";
    sqlx::raw_sql(fill).execute(&mut f.db.superuser().await).await.unwrap();
    eventually("the heartbeat", || async {
        !f.app.instances.report(&f.app).await.unwrap().is_empty()
    })
    .await;
    let probe = Probe {
        challenge: "c-42".to_owned(),
        seen: None,
    };
    let (status, body) = f
        .listening
        .call(paths::PROBE, &serde_json::to_vec(&probe).unwrap())
        .await;
    assert_eq!(status, 200);
    let answer: ProbeAnswer = serde_json::from_slice(&body).unwrap();
    assert_eq!(answer.challenge, "c-42");
    assert_eq!(answer.passport.map(|(version, _)| version), Some(f.global().version()));
    assert!(answer.database_us.is_some());
    let database = answer.database.unwrap();
    assert!(
        database.system.parse::<u64>().is_ok_and(|id| id > 0),
        "{}",
        database.system
    );
    assert!((database.timeline, database.epoch) == (1, 1) && database.wal > 0);
    assert_eq!(answer.certificate_days, 29);
    let agents = [("active".to_owned(), 2), ("pending".to_owned(), 1)];
    assert_eq!((answer.agents, answer.leases), (agents.into(), 1));
    let off = answer.clock_ms - (Ambient::system().now().unix_timestamp_nanos() / 1_000_000) as i64;
    assert!(off.abs() < 10_000, "{off}");
    assert_eq!(answer.instances.len(), 1);
    assert_eq!(answer.instances[0].id, f.app.instances.id());
    assert_eq!(answer.entitlement_digest.len(), 64);
}

#[tokio::test]
async fn a_cut_tunnel_comes_back_by_itself() {
    let f = fixture().await;
    f.applied(f.global().version()).await;
    let first: H2Client = f.listening.tunnel().await;
    f.listening.connections.close_where(|_| true);
    first.closed().await;
    let person = f.global().tenant("acme", |_| {});
    f.applied(f.global().version()).await;
    assert_eq!(f.http.get("/v1/me", &f.global().token(person)).await.0, 200);
    let second = f.listening.tunnel().await;
    assert_ne!(first.peer().exporter(), second.peer().exporter());
}

#[tokio::test]
async fn a_certificate_that_is_a_day_old_is_renewed_for_the_same_key_before_anything_else() {
    let ambient = Ambient::system();
    let global = Arc::new(FakeGlobal::new(&ambient));
    let (past, _) = Ambient::manual(ambient.now() - time::Duration::days(2), 5);
    *global.issues_at.lock().unwrap() = Some(past);
    let db = TestDb::regional().await;
    let listening = Listening::start(global.clone()).await;
    global.enlist(&db, &listening.addr).await;
    *global.issues_at.lock().unwrap() = None;
    let dir = tempfile::tempdir().unwrap();
    let app = open(&ambient, &db, dir.path()).await;
    let before = Peer::read(&app.secrets.certificate()).unwrap();
    let life = Lifecycle::new(Notify::from_env(&Default::default()));
    app.background(&life);
    listening
        .hears("the region", |told| !told.certificates.is_empty())
        .await;
    let after = Peer::read(&app.secrets.certificate()).unwrap();
    assert_eq!(after.public_key, before.public_key);
    assert!(after.not_after > before.not_after);
    // The first connection was used for nothing else; the one after it shows the new certificate.
    let told = listening.told.borrow();
    assert_eq!(
        (told.renewed, told.certificates.as_slice()),
        (1, &[after.thumbprint][..])
    );
    drop(told);
    life.stop().cancel();
    // Another replica, or a restart, has it too.
    let again = open(&ambient, &db, dir.path()).await;
    assert_eq!(again.secrets.certificate(), app.secrets.certificate());
}

/// The region was off for 75 days, and the global when it came back: with nobody's help it returns as soon as the global does.
#[tokio::test]
async fn a_region_that_slept_forty_five_days_past_its_certificates_end_returns_unaided() {
    let ambient = Ambient::system();
    let global = Arc::new(FakeGlobal::new(&ambient));
    let (past, _) = Ambient::manual(ambient.now() - time::Duration::days(75), 5);
    *global.issues_at.lock().unwrap() = Some(past);
    let db = TestDb::regional().await;
    let listening = Listening::start(global.clone()).await;
    let addr = listening.addr.clone();
    global.enlist(&db, &addr).await;
    *global.issues_at.lock().unwrap() = None;
    drop(listening);
    let dir = tempfile::tempdir().unwrap();
    let app = open(&ambient, &db, dir.path()).await;
    let before = Peer::read(&app.secrets.certificate()).unwrap();
    assert!(ambient.now() - before.not_after >= time::Duration::days(45));
    let life = Lifecycle::new(Notify::from_env(&Default::default()));
    app.background(&life);
    let listening = Listening::restart(global.clone(), &addr).await;
    listening
        .hears("the region", |told| !told.certificates.is_empty())
        .await;
    let after = Peer::read(&app.secrets.certificate()).unwrap();
    assert_eq!(after.public_key, before.public_key);
    assert!(after.not_after > ambient.now());
    assert_eq!(listening.told.borrow().certificates, [after.thumbprint]);
    // it is called again, too
    listening.tunnel().await;
    life.stop().cancel();
}

/// The whole region without its database, and with it again, in one process.
#[tokio::test]
async fn a_region_whose_database_is_gone_says_so_and_works_when_it_is_back() {
    let ambient = Ambient::system();
    exarch_common_crypto::init().unwrap();
    let mut cluster = exarch_common_testkit::db::throwaway_cluster().await.unwrap();
    let settings_of = |login| {
        cluster
            .settings_of(login, exarch_common_pg::Schema::Regional, "exarch")
            .max_connections(4)
    };
    let owner = OwnerPool::connect(settings_of(exarch_common_pg::Login::Owner))
        .await
        .unwrap();
    exarch_common_pg::Migrations::regional().up(&owner).await.unwrap();
    owner.close().await;
    let pools = crate::app::Pools {
        app: exarch_common_pg::AppPool::lazy(settings_of(exarch_common_pg::Login::App)),
        sweep: exarch_common_pg::SweepPool::lazy(settings_of(exarch_common_pg::Login::Sweep)),
        renew: exarch_common_pg::RenewPool::lazy(settings_of(exarch_common_pg::Login::Renew)),
        listen: settings_of(exarch_common_pg::Login::App),
    };
    let global = Arc::new(FakeGlobal::new(&ambient));
    let listening = Listening::start(global.clone()).await;
    let mut tx = SystemTx::begin(&pools.app, "test").await.unwrap();
    super::enlist(&mut tx, &ambient, &sealer(), &listening.addr, |csr| global.joined(csr))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let app = App::open(
        ambient,
        crate::fake_global::settings(dir.path()),
        &Arc::new(sealer()),
        pools,
    )
    .await
    .unwrap();
    let life = Lifecycle::new(Notify::from_env(&Default::default()));
    app.background(&life);
    let (http, person) = (Caller::new(&app), global.tenant("acme", |_| {}));
    eventually("a good answer", || async {
        http.get("/v1/me", &global.token(person)).await.0 == 200
    })
    .await;

    cluster
        .stop(exarch_common_pg::embedded::StopMode::Immediate)
        .await
        .unwrap();
    let gone = (503, "database-unavailable".to_owned());
    eventually("503", || async {
        http.problem("/v1/me", &global.token(person)).await == gone
    })
    .await;
    assert_eq!(
        http.send(Method::GET, "/v1/continuity", None, Value::Null).await.0,
        StatusCode::OK
    );
    let probe = serde_json::to_vec(&Probe {
        challenge: "c".to_owned(),
        seen: None,
    });
    let (status, body) = listening.call(paths::PROBE, &probe.unwrap()).await;
    let answer: ProbeAnswer = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        (status, answer.database_us, answer.database),
        (StatusCode::OK, None, None)
    );

    cluster.start().await.unwrap();
    eventually("a good answer again", || async {
        http.get("/v1/me", &global.token(person)).await.0 == 200
    })
    .await;
    life.stop().cancel();
}
