//! Two replicas: one holds the tunnel, the other asks.
use super::{serve, store, sweep};
use crate::{
    app::App,
    federation::down::{self, CallFailure},
    health,
    tests::{Gateway, Manner, World, until},
};
use exarch_common_base::InstanceId;
use exarch_common_pg::SystemTx;
use exarch_common_wire::{
    federation::paths,
    health::{Probe, ProbeAnswer},
};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

async fn ask(app: &App, gateway: &Gateway, limit: Duration) -> Result<down::Answer, CallFailure> {
    let probe = Probe {
        challenge: "c".to_owned(),
        seen: None,
    };
    let body = serde_json::to_vec(&probe).unwrap().into();
    down::call(app, gateway.id, paths::PROBE, "application/json", body, limit).await
}

async fn rows(world: &World) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM gc.region_request")
        .fetch_one(&mut world.superuser().await)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_region_is_called_through_the_replica_that_holds_its_tunnel() {
    let world = World::new().await;
    let other = world.replica().await;
    let gateway = world.region("eu-north").await;
    let limit = Duration::from_secs(10);
    assert!(matches!(ask(&other, &gateway, limit).await, Err(CallFailure::NoTunnel)));
    let _down = gateway.down().await;
    let tunnels = &world.app.federation.tunnels;
    until("the region is connected", || async {
        !tunnels.of(gateway.id).is_empty()
    })
    .await;
    world.app.instances.beat(&world.app).await.unwrap();
    let stop = CancellationToken::new();
    let serving = tokio::spawn(serve(world.app.clone(), stop.clone()));
    let answer = ask(&other, &gateway, limit).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.tunnel), (200, None));
    let told: ProbeAnswer = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(told.challenge, "c");

    gateway.behave(Manner::BadMac);
    let failed = ask(&other, &gateway, limit).await;
    assert!(matches!(failed, Err(CallFailure::Elsewhere(_))), "{failed:?}");
    gateway.behave(Manner::Well);
    let before = world.probes(gateway.id).await.len();
    health::probe_soon(other.clone(), gateway.id).await;
    assert_eq!(world.probes(gateway.id).await.len(), before, "it has no passport yet");
    let up = gateway.up().await;
    let push = up.poll(None).await;
    up.acknowledge(up.version(&push)).await;
    health::probe_soon(other.clone(), gateway.id).await;
    assert!(
        world
            .probes(gateway.id)
            .await
            .iter()
            .all(|(outcome, _)| outcome == "good")
    );
    assert_eq!(rows(&world).await, 0, "who asked has read the answers");
    stop.cancel();
    serving.await.unwrap();

    let silent = ask(&other, &gateway, Duration::from_millis(300)).await;
    assert!(
        matches!(silent, Err(CallFailure::NoTunnel)),
        "nobody took it: {silent:?}"
    );
    assert_eq!(rows(&world).await, 0);
}

#[tokio::test]
async fn a_request_is_taken_once_and_not_after_its_time_and_swept_when_nobody_reads_it() {
    let world = World::new().await;
    let gateway = world.region("eu-north").await;
    let [one, other]: [InstanceId; 2] = [world.app.ambient.id(), world.app.ambient.id()];
    let mut tx = SystemTx::begin(&world.app.app_pool, "test").await.unwrap();
    let conn = tx.conn();
    for limit in [60, 0] {
        let (id, limit) = (world.app.ambient.uuid(), Duration::from_secs(limit));
        store::ask(conn, id, gateway.id, "/", "x", b"1", limit).await.unwrap();
    }
    assert!(store::take(conn, one, &[]).await.unwrap().is_none());
    let taken = store::take(conn, one, &[gateway.id]).await.unwrap().unwrap();
    assert!(taken.left > Duration::from_secs(50));
    assert!(store::take(conn, other, &[gateway.id]).await.unwrap().is_none());
    let withdrawn = store::withdraw(conn, taken.id).await.unwrap();
    assert!(matches!(withdrawn, store::Outcome::Unanswered));
    tx.commit().await.unwrap();
    sqlx::query("UPDATE gc.region_request SET until = until - interval '2 minutes'")
        .execute(&mut world.superuser().await)
        .await
        .unwrap();
    let mut tx = SystemTx::begin(&world.app.sweep_pool, "test").await.unwrap();
    assert_eq!(sweep(&mut tx).await.unwrap(), 1);
}
