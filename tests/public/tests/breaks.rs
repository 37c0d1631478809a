//! The wire to the database breaks at each call of a sign-in and of a refresh in turn: before the database has the call, and
//! when its answer is on the way. There is no success that is not kept, nothing is kept by half, and who tries again is well.
use super::world::{Answer, OWNER, PASSWORD, World};
use exarch_common_pg::{Login, PoolSettings};
use exarch_common_testkit::{
    cut::{Break, Cut, Moment},
    db::TestDb,
};
use exarch_global_controller::setup;
use serde_json::json;
use sqlx::PgConnection;
use std::time::Duration;

const ADMIN: &str = "admin@north.example";

/// With a tenant whose administrator needs no second factor.
async fn world() -> (World, Cut) {
    let db = TestDb::global().await;
    let cut = Cut::to(&db.settings(Login::App)).await.unwrap();
    let patient = |login| PoolSettings {
        acquire_timeout: Duration::from_secs(20),
        ..cut.through(db.settings(login))
    };
    let world = World::over_impatient(patient).await;
    setup::first_owner(&world.app, OWNER.parse().unwrap(), PASSWORD.to_owned().into())
        .await
        .unwrap();
    let world = World { db: Some(db), ..world };
    world.tenant("north").await;
    (world, cut)
}

async fn count(db: &mut PgConnection, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(db).await.unwrap()
}

/// Whether the answer is a success; everything else must be the one refusal for want of a database.
fn succeeded(answer: &Answer, at: Break) -> bool {
    if answer.code != 200 {
        assert_eq!(answer.code, 503, "{at:?}: {}", answer.text);
        assert!(answer.text.contains("database-unavailable"), "{at:?}: {}", answer.text);
        assert!(answer.headers.contains_key("retry-after"));
    }
    answer.code == 200
}

/// What may have become of one effect: none without an answer, unless only the answer was lost.
fn kept(made: i64, succeeded: bool, at: Break) {
    match (succeeded, made) {
        (true, 1) | (false, 0) => {}
        (false, 1) if at.moment == Moment::After => {}
        _ => panic!("{at:?}: {made} made, success: {succeeded}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_makes_a_session_or_none_wherever_the_database_breaks_off() {
    const SESSIONS: &str = "SELECT count(*) FROM gc.session";
    let (world, cut) = world().await;
    let mut db = world.db().superuser().await;
    let breaks = cut
        .at_each_call(async |at| {
            world.clock.advance(Duration::from_secs(60));
            let before = count(&mut db, SESSIONS).await;
            let answer = cut.during(at, world.anyone().sign_in(ADMIN, PASSWORD)).await;
            let made = count(&mut db, SESSIONS).await - before;
            let good = succeeded(&answer, at);
            kept(made, good, at);
            // Each session has its tokens and its row in the audit, and none has them without being there.
            for whole in [
                "SELECT (SELECT count(*) FROM gc.session) - (SELECT count(*) FROM gc.refresh_family)",
                "SELECT (SELECT count(*) FROM gc.session) - (SELECT count(*) FROM gc.audit WHERE action = 'session.begin')",
                "SELECT count(*) FROM gc.sign_in_attempt WHERE cardinality(failures) > 0",
            ] {
                assert_eq!(count(&mut db, whole).await, 0, "{at:?}: {whole}");
            }
            let again = world.anyone().sign_in(ADMIN, PASSWORD).await.ok();
            for pair in [good.then(|| answer.json()), Some(again)].into_iter().flatten() {
                let me = world.anyone().with_token(pair["access_token"].as_str().unwrap());
                me.get("/v1/me").await.ok();
            }
            assert_eq!(count(&mut db, SESSIONS).await - before, made + 1);
        })
        .await;
    assert!(breaks.calls > 10 && breaks.commits >= 2, "{breaks:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_moves_on_by_one_wherever_the_database_breaks_off() {
    const NUMBER: &str = "SELECT max(number)::bigint FROM gc.refresh_family WHERE revoked_at IS NULL";
    let (world, cut) = world().await;
    let mut db = world.db().superuser().await;
    let mut pair = world.pair(ADMIN, PASSWORD).await;
    let breaks = cut
        .at_each_call(async |at| {
            world.clock.advance(Duration::from_secs(60));
            let body = json!({"refresh_token": pair["refresh_token"]});
            let before = count(&mut db, NUMBER).await;
            let answer = cut
                .during(at, world.anyone().post("/v1/auth/refresh", body.clone()))
                .await;
            let good = succeeded(&answer, at);
            kept(count(&mut db, NUMBER).await - before, good, at);
            // The same again, as a client does that heard nothing: the same successor, and never the end of the session.
            let again = world.anyone().post("/v1/auth/refresh", body).await.ok();
            if good {
                assert_eq!(again["refresh_token"], answer.json()["refresh_token"], "{at:?}");
            }
            assert_eq!(count(&mut db, NUMBER).await, before + 1, "{at:?}");
            let me = world.anyone().with_token(again["access_token"].as_str().unwrap());
            me.get("/v1/me").await.ok();
            pair = again;
        })
        .await;
    assert!(breaks.calls > 6 && breaks.commits >= 2, "{breaks:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_made_once_under_its_key_wherever_the_database_breaks_off() {
    const TENANTS: &str = "SELECT count(*) FROM gc.tenant";
    let (world, cut) = world().await;
    let mut db = world.db().superuser().await;
    let mut n = 0;
    let breaks = cut
        .at_each_call(async |at| {
            n += 1;
            world.clock.advance(Duration::from_millis(5));
            let owner = world.owner().await;
            let (slug, key) = (format!("made-{n}"), format!("key-{n}"));
            let body = json!({"slug": slug, "name": slug}).to_string();
            let make = async || {
                let headers = [("idempotency-key", key.as_str())];
                owner
                    .send_with("POST", "/v1/tenants", &headers, Some(body.clone()))
                    .await
            };
            let before = count(&mut db, TENANTS).await;
            let mut answer = cut.during(at, make()).await;
            let made = count(&mut db, TENANTS).await - before;
            // When only the answer of the database was lost, what was made is found at once and named.
            let is_named = answer.code == 409 && at.moment == Moment::After;
            if answer.code == 201 || is_named {
                answer.code = 200;
            }
            let good = succeeded(&answer, at);
            kept(made, good, at);
            // Whoever heard nothing is told by the repeat what was made, once.
            let again = make().await;
            let expected = if made == 0 { 201 } else { 409 };
            assert_eq!(again.code, expected, "{at:?}: {}", again.text);
            if good {
                assert_eq!(again.json()["id"], answer.json()["id"], "{at:?}");
            }
            assert_eq!(count(&mut db, TENANTS).await, before + 1, "{at:?}");
        })
        .await;
    assert!(breaks.calls > 10 && breaks.commits >= 2, "{breaks:?}");
}
