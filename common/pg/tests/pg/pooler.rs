use std::collections::BTreeSet;
use std::time::Duration;

use exarch_common_base::{Ambient, ExposeSecret, Finding, Outcome, SecretString};
use exarch_common_pg::doctor::{Pooling, Subject, database, pooling};
use exarch_common_pg::{AppPool, Login, PoolSettings, Schema, SystemTx, TenantTx, Wakeups};
use exarch_common_testkit::{
    db::{TestDb, free_port},
    pgbouncer::{Pgbouncer, Setup},
};

use crate::{count, filled, tenant};

const LONG: Duration = Duration::from_secs(60);
const LOGINS: [Login; 3] = [Login::App, Login::Sweep, Login::Renew];

fn pooler(db: &TestDb, setup: &Setup) -> Option<Pgbouncer> {
    let urls: Vec<_> = LOGINS.into_iter().map(|login| db.url(login)).collect();
    Pgbouncer::in_front_of(&urls, free_port(), setup)
}

fn through(pooler: &Pgbouncer, db: &TestDb, login: Login) -> PoolSettings {
    patient(PoolSettings::from_url(Schema::Regional, &pooler.through(&db.url(login))).unwrap())
}

/// On a busy machine a connection may be long in coming.
fn patient(mut settings: PoolSettings) -> PoolSettings {
    settings.acquire_timeout = Duration::from_secs(20);
    settings.max_connections(1)
}

/// The database's address, without a login.
fn address(db: &TestDb) -> String {
    let url = db.url(Login::App);
    let (_, place) = url.expose_secret().rsplit_once('@').unwrap();
    format!("postgres://{place}")
}

fn direct(pooler: &Pgbouncer, db: &TestDb) -> PoolSettings {
    through(pooler, db, Login::App).direct(&address(db)).unwrap()
}

#[tokio::test]
async fn through_a_pooler_no_context_passes_from_one_client_to_the_next() {
    let db = filled().await;
    let sessions = Setup {
        pool_size: 2,
        ..Setup::default()
    };
    let Some(pooler) = pooler(&db, &sessions) else { return };
    let mut processes = BTreeSet::new();
    for round in 0..6 {
        let clients = [1, 2].map(|of| {
            let settings = through(&pooler, &db, Login::App);
            async move {
                let app = AppPool::connect(settings).await.unwrap();
                let mut tx = TenantTx::begin(&app, &tenant(of)).await.unwrap();
                let seen = count(tx.conn(), "thing").await;
                let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
                    .fetch_one(tx.conn())
                    .await
                    .unwrap();
                match round % 3 {
                    0 => tx.commit().await.unwrap(),
                    // left in the middle of a transaction, with its context
                    1 => drop(tx),
                    _ => {
                        sqlx::query("SELECT set_config('gw.tenant_id', $1, false)")
                            .bind(uuid::Uuid::from_u128(of).to_string())
                            .execute(tx.conn())
                            .await
                            .unwrap();
                        tx.commit().await.unwrap();
                    }
                }
                app.close().await;
                (of, seen, pid)
            }
        });
        let [one, two] = clients;
        for (of, seen, pid) in <[_; 2]>::from(tokio::join!(one, two)) {
            assert_eq!(seen, 3 - i64::try_from(of).unwrap(), "tenant {of} in round {round}");
            processes.insert(pid);
        }
        // Whoever comes next, on whichever of the two sessions, has no context and sees nothing.
        let looking = AppPool::connect(through(&pooler, &db, Login::App)).await.unwrap();
        let mut tx = SystemTx::begin(&looking, "look").await.unwrap();
        let left: Option<uuid::Uuid> = sqlx::query_scalar("SELECT gw.tenant_id()")
            .fetch_one(tx.conn())
            .await
            .unwrap();
        assert_eq!(left, None, "round {round}");
        assert_eq!(count(tx.conn(), "thing").await, 0, "round {round}");
        tx.rollback().await.unwrap();
        looking.close().await;
    }
    // Of twelve clients, those that were not left in the middle of a transaction hand theirs on.
    assert!(processes.len() < 12, "no session was shared: {processes:?}");
}

#[tokio::test]
async fn a_pooler_that_died_is_an_outage_until_it_is_back_and_nobody_who_listens_past_it_notices() {
    let db = filled().await;
    let Some(mut pooler) = pooler(&db, &Setup::default()) else {
        return;
    };
    let mut settings = through(&pooler, &db, Login::App).max_connections(3);
    settings.acquire_timeout = Duration::from_secs(2);
    let app = AppPool::lazy(settings);
    let wakeups = Wakeups::listen(&direct(&pooler, &db), &["lease"]);
    let mut lease = wakeups.of("lease");
    assert!(lease.next(LONG).await);
    TenantTx::begin(&app, &tenant(1)).await.unwrap().commit().await.unwrap();
    pooler.kill();
    assert!(TenantTx::begin(&app, &tenant(1)).await.unwrap_err().is_unavailable());
    let mut superuser = db.superuser().await;
    sqlx::query("NOTIFY lease").execute(&mut superuser).await.unwrap();
    assert!(lease.next(LONG).await, "it listened through the pooler");
    pooler.start();
    for _ in 0..4 {
        TenantTx::begin(&app, &tenant(1)).await.unwrap().commit().await.unwrap();
    }
}

async fn examined(db: &TestDb, pooler: &Pgbouncer, direct: Option<PoolSettings>, login: &str) -> Vec<Finding> {
    let url: SecretString = format!("{}{login}", pooler.through(&db.url(Login::App)).expose_secret()).into();
    let app = Subject {
        setting: "database.app_url_file",
        login: Login::App,
        settings: patient(PoolSettings::from_url(Schema::Regional, &url).unwrap()),
    };
    let ambient = Ambient::system();
    database(Schema::Regional, vec![app], direct, || ambient.now()).await
}

fn finding<'a>(found: &'a [Finding], check: &str) -> &'a Finding {
    found
        .iter()
        .find(|finding| finding.check == check)
        .expect("the check was made")
}

#[tokio::test]
async fn an_unusable_pooler_is_named_with_the_line_to_change() {
    let db = TestDb::regional().await;
    let bad = |pool_mode, server_reset_query| Setup {
        pool_mode,
        server_reset_query,
        ..Setup::default()
    };
    for (setup, expected, line) in [
        (
            bad("transaction", "DISCARD ALL"),
            Pooling::Transaction,
            "pool_mode = session",
        ),
        (
            bad("statement", "DISCARD ALL"),
            Pooling::Statement,
            "pool_mode = session",
        ),
        (
            bad("session", "SELECT 1"),
            Pooling::Unreset,
            "server_reset_query = DISCARD ALL",
        ),
    ] {
        let Some(pooler) = pooler(&db, &setup) else { return };
        let settings = through(&pooler, &db, Login::App);
        assert_eq!(pooling(&settings).await.unwrap(), expected);
        let found = examined(&db, &pooler, Some(direct(&pooler, &db)), "").await;
        let named = finding(&found, "database.pooler");
        assert_eq!(named.outcome, Outcome::Bad, "{found:#?}");
        assert!(named.remedy.as_ref().unwrap().contains(line), "{named}");
        assert_eq!(
            finding(&found, "database.direct_url").outcome,
            Outcome::Ok,
            "{found:#?}"
        );
        assert_eq!(finding(&found, "database.schema").outcome, Outcome::Ok, "{found:#?}");
    }
}

#[tokio::test]
async fn a_usable_pooler_is_well_with_a_way_past_it_and_not_without() {
    let db = TestDb::regional().await;
    let Some(pooler) = pooler(&db, &Setup::default()) else {
        return;
    };
    assert_eq!(
        pooling(&through(&pooler, &db, Login::App)).await.unwrap(),
        Pooling::Session
    );
    assert_eq!(pooling(&direct(&pooler, &db)).await.unwrap(), Pooling::None);
    let found = examined(&db, &pooler, Some(direct(&pooler, &db)), "").await;
    assert!(found.iter().all(|finding| finding.outcome == Outcome::Ok), "{found:#?}");
    let found = examined(&db, &pooler, None, "").await;
    let named = finding(&found, "database.pooler");
    assert!(
        named.remedy.as_ref().unwrap().contains("settings.database.direct_url"),
        "{named}"
    );
    // A way past it that leads to it again is none.
    let again = through(&pooler, &db, Login::App);
    let found = examined(&db, &pooler, Some(again), "").await;
    assert_eq!(
        finding(&found, "database.direct_url").outcome,
        Outcome::Bad,
        "{found:#?}"
    );
}

#[tokio::test]
async fn a_startup_parameter_that_the_pooler_does_not_know_is_named_with_the_line_to_change() {
    let db = TestDb::regional().await;
    let Some(pooler) = pooler(&db, &Setup::default()) else {
        return;
    };
    let found = examined(&db, &pooler, None, "?options[geqo]=off").await;
    let named = finding(&found, "database.exarch_app");
    let remedy = named.remedy.as_ref().unwrap();
    assert!(remedy.contains("ignore_startup_parameters = options"), "{named}");
    assert!(remedy.contains("settings.database.app_url_file"), "{named}");
}

#[tokio::test]
async fn a_login_with_too_many_rights_a_wrong_password_and_an_old_schema_are_named() {
    let db = TestDb::regional().await;
    let ambient = Ambient::system();
    let look = async |login: Login, settings: PoolSettings| {
        let subject = Subject {
            setting: "database.app_url_file",
            login,
            settings: patient(settings),
        };
        database(Schema::Regional, vec![subject], None, || ambient.now()).await
    };
    let found = look(Login::App, db.settings(Login::App)).await;
    assert!(found.iter().all(|finding| finding.outcome == Outcome::Ok), "{found:#?}");
    let found = look(Login::App, db.settings(Login::Owner)).await;
    assert!(
        finding(&found, "database.exarch_app")
            .remedy
            .as_ref()
            .unwrap()
            .contains("exarch_owner"),
        "{found:#?}"
    );
    let mut wrong = db.settings(Login::App);
    wrong.options = wrong.options.password("canary");
    let found = look(Login::App, wrong).await;
    let named = finding(&found, "database.exarch_app");
    assert!(named.remedy.as_ref().unwrap().contains("password"), "{named}");
    assert!(!format!("{found:?}").contains("canary"));
    crate::as_owner(&db, "DELETE FROM gw.schema_migration WHERE version > 1").await;
    let found = look(Login::App, db.settings(Login::App)).await;
    assert!(
        finding(&found, "database.schema")
            .remedy
            .as_ref()
            .unwrap()
            .contains("migrate up"),
        "{found:#?}"
    );
    let late = || ambient.now() + time::Duration::minutes(2);
    let app = Subject {
        setting: "database.app_url_file",
        login: Login::App,
        settings: db.settings(Login::App),
    };
    let found = database(Schema::Regional, vec![app], None, late).await;
    assert_eq!(finding(&found, "clock").outcome, Outcome::Bad, "{found:#?}");
}

#[test]
fn the_way_past_a_pooler_has_the_login_of_the_file_and_an_address_of_its_own() {
    let url: SecretString = "postgres://exarch_app:p%40ss@pooler:6432/exarch?sslmode=require"
        .to_owned()
        .into();
    let pooled = PoolSettings::from_url(Schema::Regional, &url).unwrap();
    let direct = pooled.clone().direct("postgres://db:5433/other").unwrap().options;
    assert_eq!((direct.get_host(), direct.get_port()), ("db", 5433));
    assert_eq!(
        (direct.get_username(), direct.get_database()),
        ("exarch_app", Some("other"))
    );
    for bad in ["db:5433", "http://db/x"] {
        assert!(pooled.clone().direct(bad).is_err(), "{bad}");
    }
}
