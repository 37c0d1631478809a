//! Replicas on one database.
use super::{Leader, led};
use crate::tests::World;
use exarch_common_base::InstanceId;
use exarch_common_pg::SystemTx;
use std::time::Duration;

async fn replica(world: &World) -> Leader {
    let id: InstanceId = world.app.ambient.id();
    Leader::new(id, world.db.app().await)
}

/// As if the leader had not been heard for ten seconds.
async fn silence(world: &World) {
    sqlx::query("UPDATE gc.leader SET heartbeat_at = heartbeat_at - interval '10 seconds'")
        .execute(&mut world.superuser().await)
        .await
        .unwrap();
}

#[tokio::test]
async fn one_leads_until_it_is_silent_or_leaves_and_the_old_one_writes_nothing_more() {
    let world = World::new().await;
    world.app.leader.resign().await.unwrap();
    let (one, other) = (replica(&world).await, replica(&world).await);
    assert!(one.campaign().await.unwrap() && !other.campaign().await.unwrap());
    assert!(one.campaign().await.unwrap(), "it goes on");
    let pool = &world.app.app_pool;
    assert!(other.begin(pool, "test").await.unwrap().is_none());
    assert!(one.begin(pool, "test").await.unwrap().is_some());

    silence(&world).await;
    assert!(other.campaign().await.unwrap());
    assert!(one.leads(), "it does not know yet");
    assert!(one.begin(pool, "test").await.unwrap().is_none(), "and writes nothing");
    assert!(one.begin(&world.app.sweep_pool, "test").await.unwrap().is_none());
    assert!(other.begin(&world.app.sweep_pool, "test").await.unwrap().is_some());
    assert!(!one.campaign().await.unwrap() && !one.leads());

    other.resign().await.unwrap();
    assert!(one.campaign().await.unwrap(), "at once after one that left in order");
}

#[tokio::test]
async fn nobody_takes_over_in_the_middle_of_a_leaders_transaction_and_its_heartbeat_goes_on() {
    let world = World::new().await;
    world.app.leader.resign().await.unwrap();
    let (one, other) = (replica(&world).await, replica(&world).await);
    assert!(one.campaign().await.unwrap());
    let tx = one.begin(&world.app.app_pool, "test").await.unwrap().unwrap();
    assert!(one.campaign().await.unwrap(), "its own transaction does not hold it up");
    silence(&world).await;
    let mut taking = tokio::spawn(async move { (other.campaign().await.unwrap(), other) });
    let early = tokio::time::timeout(Duration::from_millis(300), &mut taking).await;
    assert!(early.is_err(), "the transaction is waited for");
    tx.commit().await.unwrap();
    assert!(taking.await.unwrap().0);
    let mut tx = SystemTx::begin(&world.app.app_pool, "test").await.unwrap();
    assert!(!led(&one, tx.conn()).await.unwrap());
}

#[tokio::test]
async fn a_region_is_held_where_its_tunnel_is_and_nowhere_when_that_replica_is_silent() {
    let world = World::new().await;
    let other = world.replica().await;
    let gateway = world.region("eu-north").await;
    let elsewhere = async || {
        let mut tx = SystemTx::begin(&other.app_pool, "test").await.unwrap();
        other.instances.another_holds(&mut tx, gateway.id).await.unwrap()
    };
    world.app.instances.beat(&world.app).await.unwrap();
    assert!(!elsewhere().await);
    let down = gateway.down().await;
    let tunnels = &world.app.federation.tunnels;
    crate::tests::until("the region is connected", || async {
        !tunnels.of(gateway.id).is_empty()
    })
    .await;
    world.app.instances.beat(&world.app).await.unwrap();
    assert!(elsewhere().await);
    sqlx::query("UPDATE gc.instance SET heartbeat_at = heartbeat_at - interval '4 seconds'")
        .execute(&mut world.superuser().await)
        .await
        .unwrap();
    assert!(!elsewhere().await, "it is silent");
    drop(down);
    crate::tests::until("it is gone", || async { tunnels.of(gateway.id).is_empty() }).await;
    world.app.instances.beat(&world.app).await.unwrap();
    assert!(!elsewhere().await);
}
