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
mod removal;
mod secrets;

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
async fn a_region_joins_once_and_keeps_what_it_was_given_sealed() {
    let (global, listening, db) = joining().await;
    let (ambient, pool) = (Ambient::system(), db.app().await);
    let line = line(&listening, global.ca.pin());
    let region = join(&ambient, &pool, &sealer(), &line).await.unwrap();
    assert_eq!((region.id, region.slug.as_str()), (global.region, "eu-north"));
    let again = join(&ambient, &pool, &sealer(), &line).await.unwrap_err();
    assert!(matches!(again, JoinError::Already { .. }), "{again}");
    assert!(again.to_string().contains("eu-north"), "{again}");

    let dir = tempfile::tempdir().unwrap();
    let app = open(&ambient, &db, dir.path()).await;
    assert_eq!(app.secrets.service().up().kid, global.up.kid);
    assert!(app.secrets.service().down(&global.down.kid).is_some());
    let certificate = Peer::read(&app.secrets.certificate()).unwrap();
    assert_eq!(certificate.identity(), Some(names::region_uri(global.region).as_str()));
    assert_ne!(app.secrets.agent_ca().pin(), global.ca.pin());

    // What lies in the database opens under the right master key, in its own row, and nowhere else.
    let mut all = db.superuser().await;
    let rows: Vec<(String, Vec<u8>)> = sqlx::query_as("SELECT purpose, sealed FROM gw.sealed_key ORDER BY purpose")
        .fetch_all(&mut all)
        .await
        .unwrap();
    assert_eq!(rows.len(), 6);
    let other = exarch_common_crypto::seal::Sealer::new(&vec![8; 32].into()).unwrap();
    let locked = App::open(
        ambient.clone(),
        crate::fake_global::settings(dir.path()),
        &Arc::new(other),
        pools(&db).await,
    )
    .await;
    assert!(locked.err().unwrap().to_string().contains("cannot be opened"));
    sqlx::query("UPDATE gw.sealed_key SET sealed = (SELECT sealed FROM gw.sealed_key WHERE purpose = 'service-up') WHERE purpose = 'service-down'")
        .execute(&mut all)
        .await
        .unwrap();
    let moved = App::open(
        ambient,
        crate::fake_global::settings(dir.path()),
        &Arc::new(sealer()),
        pools(&db).await,
    )
    .await;
    assert!(moved.err().unwrap().to_string().contains("service-down"));
}

#[tokio::test]
async fn a_refused_join_tells_the_story_and_changes_nothing() {
    let (global, listening, db) = joining().await;
    let (ambient, pool) = (Ambient::system(), db.app().await);
    let line_with = |pin| line(&listening, pin);
    let stories = [
        (
            409,
            "join-token-used",
            "This join token was used at 12:00 from 10.0.0.7.",
        ),
        (
            410,
            "join-token-expired",
            "This join token expired at 12:00; ask for a new one.",
        ),
    ];
    for (status, slug, detail) in stories {
        listening.refuse_join(status, slug, detail);
        let refused = join(&ambient, &pool, &sealer(), &line_with(global.ca.pin()))
            .await
            .unwrap_err();
        assert!(refused.to_string().contains(detail), "{refused}");
        assert!(!refused.to_string().contains("exj_secret"), "{refused}");
    }
    let wrong = join(&ambient, &pool, &sealer(), &line_with(Pin([7; 32])))
        .await
        .unwrap_err();
    assert!(matches!(wrong, JoinError::Pin { .. }), "{wrong}");
    for address in [
        "http://localhost:1",
        "localhost:8441",
        "https://localhost",
        "https://:1",
    ] {
        let line = Joining {
            global: address.to_owned(),
            ..line_with(global.ca.pin())
        };
        let refused = join(&ambient, &pool, &sealer(), &line).await.unwrap_err();
        assert!(matches!(refused, JoinError::Address(_)), "{address}: {refused}");
    }
    let mut all = db.superuser().await;
    let (regions, keys): (i64, i64) =
        sqlx::query_as("SELECT (SELECT count(*) FROM gw.region), (SELECT count(*) FROM gw.sealed_key)")
            .fetch_one(&mut all)
            .await
            .unwrap();
    assert_eq!((regions, keys), (0, 1), "only the region's own key, for the next try");
}

#[tokio::test]
async fn a_global_that_answers_for_another_key_is_not_joined() {
    let (global, _listening, db) = joining().await;
    let pool = db.app().await;
    let mut tx = SystemTx::begin(&pool, "test").await.unwrap();
    let stranger =
        exarch_common_crypto::sign::SigningKey::generate(exarch_common_crypto::sign::Algorithm::Es384).unwrap();
    let csr = exarch_common_crypto::pki::request(&stranger).unwrap();
    let refused = super::enlist(&mut tx, &Ambient::system(), &sealer(), "localhost:1", |_| {
        global.joined(&csr)
    })
    .await;
    assert!(matches!(refused, Err(JoinError::Answer(_))), "{:?}", refused.err());
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

/// Whatever is wrong with a token: one and the same 401, unsigned, and nothing done.
#[tokio::test]
async fn a_wrong_service_token_is_the_same_401_and_nothing_happens() {
    let f = fixture().await;
    f.applied(f.global().version()).await;
    let good = f.global().version();
    f.global().tenant("acme", |_| {});
    let body = f.global().push(Some(good)).to_bytes();
    let client = f.listening.tunnel().await;
    let genuine = f.listening.signed(&client, paths::PASSPORT, &body);
    let with = |change: &dyn Fn(&mut Signed)| {
        let mut signed = genuine.clone();
        change(&mut signed);
        signed.token().0
    };
    let stranger = ServiceKey::generate(&Ambient::system());
    let token = genuine.token().0;
    let claims = |change: &dyn Fn(&mut Claims)| {
        let mut claims = claims_of(&genuine);
        change(&mut claims);
        sign(&genuine.key, &claims)
    };
    let attacks: Vec<(&str, String)> = vec![
        ("nothing", String::new()),
        ("another path", with(&|s| s.path = paths::PROBE.to_owned())),
        ("another query", with(&|s| s.path.push_str("?x=1"))),
        ("another method", with(&|s| s.method = Method::PUT)),
        ("another body", with(&|s| s.body.push(0))),
        ("another connection", with(&|s| s.exporter[0] ^= 1)),
        (
            "another sender",
            with(&|s| s.from = names::region(Ambient::system().id())),
        ),
        (
            "another receiver",
            with(&|s| s.to = names::region(Ambient::system().id())),
        ),
        ("turned around", with(&|s| std::mem::swap(&mut s.from, &mut s.to))),
        ("a stranger's secret", with(&|s| s.key = stranger.clone())),
        (
            "another secret under the right id",
            with(&|s| s.key.secret = stranger.secret.clone()),
        ),
        ("the other direction's secret", with(&|s| s.key = f.global().up.clone())),
        ("a truncated MAC", token[..token.len() - 2].to_owned()),
        ("an answer as a request", claims(&|c| c.sts = Some(200))),
    ];
    let mut bodies = Vec::new();
    for (what, token) in attacks {
        let answer = send(&client, &genuine, &token).await;
        assert_eq!(answer.0, 401, "{what}");
        assert!(!answer.1.contains_key(names::ANSWER_HEADER), "{what}");
        let mut body: Value = serde_json::from_slice(&answer.2).unwrap();
        body.as_object_mut().unwrap().remove("request_id");
        bodies.push(body);
        assert_eq!(f.app.directory.current().as_ref().unwrap().version(), good, "{what}");
    }
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "{bodies:?}");

    // Outside its time: told, and signed, so that the global believes it.
    let now = Ambient::system().now().unix_timestamp();
    for (what, iat, exp) in [
        ("old", now - 120, now - 60),
        ("of the future", now + 60, now + 120),
        ("too long a life", now, now + 61),
    ] {
        let change = |c: &mut Claims| (c.iat, c.exp) = (iat, exp);
        let answer = send(&client, &genuine, &claims(&change)).await;
        assert_eq!(answer.0, 401, "{what}");
        let body: Value = serde_json::from_slice(&answer.2).unwrap();
        assert_eq!(body["type"], "urn:exarch:problem:clock-skew", "{what}");
        assert!(
            body["server_time"].is_i64() && answer.1.contains_key(names::ANSWER_HEADER),
            "{what}"
        );
    }
    assert_eq!(f.app.directory.current().as_ref().unwrap().version(), good);
    // A probe must reach a region whose clock is wrong.
    let probe = serde_json::to_vec(&Probe {
        challenge: "c".to_owned(),
        seen: None,
    });
    let probe = f.listening.signed(&client, paths::PROBE, &probe.unwrap());
    let mut late = claims_of(&probe);
    (late.iat, late.exp) = (now - 7200, now - 7140);
    let late = sign(&probe.key, &late);
    assert_eq!(send(&client, &probe, &late).await.0, 200);
    assert_eq!(send(&client, &probe, &late).await.0, 401, "but once");

    // The genuine one works, once: not again here, and not on another connection.
    assert_eq!(send(&client, &genuine, &token).await.0, 204);
    assert_eq!(
        f.app.directory.current().as_ref().unwrap().version(),
        f.global().version()
    );
    assert_eq!(send(&client, &genuine, &token).await.0, 401);
    client.close();
    client.closed().await;
    let other = f.listening.tunnel().await;
    assert_ne!(other.peer().exporter(), client.peer().exporter());
    assert_eq!(send(&other, &genuine, &token).await.0, 401);
}

fn claims_of(signed: &Signed) -> Claims {
    let key = &signed.key;
    let find = |kid: &str| (kid == key.kid).then_some(key);
    service::verify_challenged(&signed.token().0, find, &signed.about()).unwrap()
}

fn sign(key: &ServiceKey, claims: &Claims) -> String {
    use exarch_common_base::ExposeSecret;
    exarch_common_crypto::jws::sign_hs256(key.secret.expose_secret(), "exarch-service+jwt", &key.kid, claims)
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
