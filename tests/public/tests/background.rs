//! What runs beside requests, and the schema it all stands on.
use super::world::World;
use exarch_common_runtime::Reconcile;
use exarch_global_controller::{keys::Rotation, sessions::Swept};
use serde_json::{Value, json};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn kids(world: &World) -> Vec<Value> {
    let keys = world.anyone().get("/.well-known/jwks.json").await.ok();
    let keys = keys["keys"].as_array().unwrap();
    keys.iter().map(|key| key["kid"].clone()).collect()
}

#[tokio::test]
async fn a_user_key_is_followed_by_one_that_was_published_before_and_no_token_fails() {
    let world = World::new().await;
    let mut rotation = Rotation(world.app.clone());
    assert_eq!(rotation.pass().await.unwrap(), 0);
    let first = kids(&world).await;
    world.clock.advance(90 * DAY - Duration::from_secs(3600));
    let early = world.owner().await;
    assert_eq!(rotation.pass().await.unwrap(), 1);
    assert_eq!(rotation.pass().await.unwrap(), 0);
    let both = kids(&world).await;
    assert_eq!((both.len(), &both[0]), (2, &first[0]));
    let signer = || world.app.keys.signer(world.app.ambient.now()).unwrap().kid();
    assert_eq!(json!(signer()), both[0]);

    world.clock.advance(Duration::from_secs(3600 - 10 * 60));
    let last = world.owner().await;
    world.clock.advance(Duration::from_secs(10 * 60));
    assert_eq!(json!(signer()), both[1]);
    assert_eq!(
        rotation.pass().await.unwrap(),
        1,
        "the first one is to end when its last token is dead"
    );
    last.get("/v1/me").await.ok();
    early.get("/v1/me").await.problem(401, "unauthenticated");
    let next = world.owner().await;
    world.clock.advance(Duration::from_secs(15 * 60 + 30));
    assert_eq!(kids(&world).await, [both[1].clone()]);
    last.get("/v1/me").await.problem(401, "unauthenticated");
    next.get("/v1/me").await.problem(401, "unauthenticated");
    let rows = world.owner().await.get("/v1/federation-audit").await.ok();
    let rows = rows["items"].as_array().unwrap();
    for action in ["signing_key.publish", "signing_key.retire"] {
        assert_eq!(rows.iter().filter(|row| row["action"] == action).count(), 1, "{action}");
    }
}

#[tokio::test]
async fn another_replica_takes_in_a_new_key() {
    let world = World::new().await;
    let app = &world.app;
    let issuer = app.keys.issuer();
    let other = exarch_global_controller::keys::Keys::load(&app.ambient, &app.app_pool, &app.sealer, &issuer);
    let other = other.await.unwrap();
    world.clock.advance(90 * DAY);
    assert_eq!(Rotation(app.clone()).pass().await.unwrap(), 1);
    let now = app.ambient.now();
    assert_eq!(
        (
            other.users().published(now).count(),
            app.keys.users().published(now).count()
        ),
        (1, 2)
    );
    let mut tx = exarch_common_pg::SystemTx::begin(&app.app_pool, "test").await.unwrap();
    other.reload(&app.ambient, &mut tx, &app.sealer).await.unwrap();
    assert_eq!(other.users().published(now).count(), 2);
}

#[tokio::test]
async fn sessions_and_tickets_that_are_over_are_removed_and_others_are_not() {
    let world = World::new().await;
    let mut conn = world.db().superuser().await;
    let body = json!({"slug": "north", "name": "North", "admin": {"email": "a@n.example", "display_name": "A"}});
    let made = world.owner().await.post("/v1/tenants", body).await.status(201);
    world
        .anyone()
        .sign_in("a@n.example", made["admin"]["initial_password"].as_str().unwrap())
        .await
        .ok();
    let mut sweep = Swept(world.app.clone());
    assert_eq!(sweep.pass().await.unwrap(), 0);
    world.clock.advance(2 * DAY);
    world.owner().await;
    // the owner's session with its family, and the ticket
    // with the second factor's, and the step that was used first
    assert_eq!(sweep.pass().await.unwrap(), 4);
    let left: (i64, i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM gc.session), (SELECT count(*) FROM gc.refresh_family),
                (SELECT count(*) FROM gc.sign_in_ticket)",
    )
    .fetch_one(&mut conn)
    .await
    .unwrap();
    assert_eq!(left, (1, 1, 1));
}
