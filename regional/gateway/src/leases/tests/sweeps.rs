use super::{Scene, ask, batch, granted, held, name_of, volume};
use crate::{
    agents::testing::{agent_row, process},
    app::App,
    leases::{release, renew, request, sweep},
    testing::{Limits, World},
};
use exarch_common_base::Fence;
use exarch_common_runtime::Reconcile;
use exarch_common_wire::agent::Verdict;
use serde_json::json;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio_util::sync::CancellationToken;

async fn pass(app: &App) -> u64 {
    sweep::Observer { app: app.clone() }.pass().await.unwrap()
}

fn keep(app: &App) -> CancellationToken {
    let stop = CancellationToken::new();
    tokio::spawn(sweep::keep(app.clone(), stop.clone()));
    stop
}

#[tokio::test]
async fn a_lease_that_is_not_renewed_is_marked_once_by_whichever_replica_has_seen_it_quiet() {
    let world = World::new().await;
    let replica = world.replica().await;
    let scene = Scene::new(&world).await;
    let lease = granted(scene.app(), &scene.one, scene.volume).await;
    assert_eq!((pass(&world.app).await, pass(&replica).await), (0, 0));
    world.clock.advance(Duration::from_millis(30_599));
    assert_eq!((pass(&world.app).await, pass(&replica).await), (0, 0));
    world.clock.advance(Duration::from_millis(1));
    assert_eq!((pass(&world.app).await, pass(&replica).await), (1, 0));
    let shown = scene.leases().await.remove(0);
    assert_eq!(
        (&shown["state"], &shown["remaining_ms"]),
        (&json!("expired"), &json!(null))
    );
    let rows = [("lease.grant", "1.1"), ("lease.expire", "1.1")];
    assert_eq!(scene.audit().await, rows.map(|(a, f)| (a.to_owned(), f.to_owned())));
    let named = batch([name_of(scene.volume, &lease)]);
    assert_eq!(renew(scene.app(), &scene.one, named).await.unwrap(), [Verdict::Lost]);
    assert_eq!(
        granted(&replica, &scene.two, scene.volume).await.fence,
        Fence::new(1, 2)
    );
}

#[tokio::test]
async fn a_restarted_gateway_starts_to_observe_anew() {
    let world = World::new().await;
    let scene = Scene::new(&world).await;
    granted(scene.app(), &scene.one, scene.volume).await;
    pass(&world.app).await;
    world.clock.advance(Duration::from_secs(20));
    let restarted = world.replica().await;
    assert_eq!(
        held(&restarted, &scene.two, scene.volume).await.remaining.as_millis(),
        30_600
    );
    world.clock.advance(Duration::from_secs(20));
    assert_eq!(
        held(&restarted, &scene.two, scene.volume).await.remaining.as_millis(),
        10_600
    );
    // while the one that went on knows
    granted(&world.app, &scene.two, scene.volume).await;
}

#[tokio::test]
async fn a_renewal_between_the_observation_and_the_lock_keeps_the_lease() {
    let world = World::new().await;
    let replica = world.replica().await;
    let scene = Scene::new(&world).await;
    let lease = granted(scene.app(), &scene.one, scene.volume).await;
    pass(&world.app).await;
    world.clock.advance(Duration::from_secs(31));
    let named = batch([name_of(scene.volume, &lease)]);
    assert_eq!(renew(&replica, &scene.one, named).await.unwrap(), [Verdict::Renewed]);
    // this gateway has seen the version before for long enough, and must not act on it
    assert_eq!(pass(&world.app).await, 0);
    held(&world.app, &scene.two, scene.volume).await;
}

#[tokio::test]
async fn people_see_what_is_held_and_how_much_longer_as_this_gateway_sees_it() {
    let world = World::new().await;
    let scene = Scene::new(&world).await;
    let lease = granted(scene.app(), &scene.one, scene.volume).await;
    let path = format!("/v1/leases/{}", lease.lease);
    assert_eq!(scene.admin.get(&path).await.expect(200)["remaining_ms"], 30_600);
    pass(&world.app).await;
    world.clock.advance(Duration::from_secs(10));
    let shown = scene.admin.get(&path).await.expect(200);
    let left = shown["remaining_ms"].as_u64().unwrap();
    assert!((20_500..=20_600).contains(&left), "{left}");
    assert_eq!((&shown["agent"], &shown["resource"]), (&json!("edge-1"), &json!("v1")));
    assert_eq!(
        (&shown["fence"], &shown["seq"], &shown["state"]),
        (&json!("1.1"), &json!(1), &json!("active"))
    );
    assert_eq!(shown["actions"], json!(["start"]));
    let other = Scene::of(&world, "b", Limits::default()).await;
    other.admin.get(&path).await.problem(404, "not-found");
    assert_eq!(other.admin.get("/v1/leases").await.expect(200)["items"], json!([]));
    let none = scene.admin.get("/v1/leases?state=released").await.expect(200);
    assert_eq!(none["items"], json!([]));
    world.anonymous().get(&path).await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn whoever_waits_is_woken_by_the_release_first_come_first_served() {
    let world = World::new().await;
    let replica = world.replica().await;
    let scene = Scene::new(&world).await;
    let stop = keep(&world.app);
    let lease = granted(scene.app(), &scene.one, scene.volume).await;
    let served = Arc::new(Mutex::new(Vec::new()));
    let mut waiting = Vec::new();
    for n in 0..3u8 {
        let id = agent_row(&world, scene.tenant, scene.cluster, &format!("waiting-{n}")).await;
        let agent = process(scene.tenant, scene.cluster, id, n);
        let (app, volume, served) = (world.app.clone(), scene.volume, served.clone());
        let line = world.app.leases.waiting.line(volume);
        waiting.push(tokio::spawn(async move {
            let granted = request(&app, &agent, &ask(volume, 30_000)).await.unwrap();
            served.lock().unwrap().push(n);
            release(&app, &agent, batch([name_of(volume, &granted)])).await.unwrap();
        }));
        // the next one comes when this one stands in the line: its handle of the line is there
        let before = 2 + usize::from(n);
        while Arc::strong_count(&line) < before {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // through another replica: the word comes by the database
    let named = batch([name_of(scene.volume, &lease)]);
    assert_eq!(release(&replica, &scene.one, named).await.unwrap(), [Verdict::Released]);
    for task in waiting {
        tokio::time::timeout(Duration::from_secs(25), task)
            .await
            .expect("woken")
            .unwrap();
    }
    assert_eq!(*served.lock().unwrap(), [0, 1, 2]);
    stop.cancel();
}

#[tokio::test]
async fn waiting_ends_with_who_holds_it() {
    let world = World::in_real_time().await;
    let scene = Scene::new(&world).await;
    granted(scene.app(), &scene.one, scene.volume).await;
    let started = world.app.ambient.boot();
    let refused = request(scene.app(), &scene.two, &ask(scene.volume, 300)).await;
    assert!(matches!(refused, Err(super::GrantError::Held(by)) if by.name == "edge-1"));
    assert!(world.app.ambient.boot().since(started) >= Duration::from_millis(300));
}

/// In real time, with the shortest TTL: the bound of the design from the commit of the last renewal, and no earlier than the
/// holder's deadline can be.
#[tokio::test]
async fn a_waiting_agent_gets_a_dead_holders_resource_within_the_bound() {
    let world = World::in_real_time().await;
    let scene = Scene::new(&world).await;
    let volume = volume(&scene.admin, scene.cluster, "quick", 5_000).await;
    let stop = keep(&world.app);
    let lease = granted(scene.app(), &scene.one, volume).await;
    let (app, two) = (world.app.clone(), scene.two.clone());
    let waiting = tokio::spawn(async move { (request(&app, &two, &ask(volume, 30_000)).await, app.ambient.boot()) });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let sent = world.app.ambient.boot();
    let named = batch([name_of(volume, &lease)]);
    assert_eq!(renew(scene.app(), &scene.one, named).await.unwrap(), [Verdict::Renewed]);
    let renewed = world.app.ambient.boot();
    let (taken, at) = waiting.await.unwrap();
    assert_eq!(taken.unwrap().fence, Fence::new(1, 2));
    let deadline = Duration::from_millis(5_000 * 99 / 100 - 250);
    assert!(at.since(sent) > deadline, "too early: {:?}", at.since(sent));
    let bound = Duration::from_millis(5_050 + 2_300);
    assert!(at.since(renewed) <= bound, "too late: {:?}", at.since(renewed));
    stop.cancel();
}
