//! Probes of gateways that answer as they should, and otherwise.
use super::{probe, round, store};
use crate::tests::{Gateway, Manner, PATIENCE, World, until};
use exarch_common_pg::SystemTx;
use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

async fn connected(world: &World, gateway: &Gateway) {
    let tunnels = &world.app.federation.tunnels;
    until("the region is connected", || async {
        !tunnels.of(gateway.id).is_empty()
    })
    .await;
    probe::probe(&world.app, gateway.id, None).await.unwrap();
}

async fn probed(world: &World, gateway: &Gateway, manner: Manner) -> (String, String) {
    gateway.behave(manner);
    probe::probe(&world.app, gateway.id, None).await.unwrap();
    world.probes(gateway.id).await.pop().unwrap()
}

fn is(row: (String, String), outcome: &str, health: &str) {
    assert_eq!((row.0.as_str(), row.1.as_str()), (outcome, health));
}

#[tokio::test]
async fn a_region_becomes_active_with_its_first_passport_and_is_well_from_the_start() {
    let world = World::new().await;
    let gateway = world.region("eu-north").await;
    let _down = gateway.down().await;
    let tunnels = &world.app.federation.tunnels;
    until("the region is connected", || async {
        !tunnels.of(gateway.id).is_empty()
    })
    .await;
    let up = gateway.up().await;
    let push = up.poll(None).await;
    assert!(!push.entries.is_empty());
    assert_eq!(
        world.lifecycle(gateway.id).await,
        "joining",
        "no passport was applied yet"
    );
    assert!(world.probes(gateway.id).await.is_empty());
    up.acknowledge(up.version(&push)).await;
    until("it is active", || async {
        world.lifecycle(gateway.id).await == "active"
    })
    .await;
    assert_eq!(world.audit("region.activate").await, [("ok".to_owned(), None)]);
    let staff = world.staff().await;
    let shown = staff.get("/v1/regions/eu-north").await.body;
    assert_eq!(
        (shown["lifecycle"].as_str(), shown["health"].as_str()),
        (Some("active"), Some("healthy"))
    );
    assert_eq!(shown["software_version"], "0.1.0");
    assert_eq!(shown["agents"]["active"], 2);
    assert_eq!(shown["passport"]["version"], shown["passport"]["acknowledged"]);
    assert!(shown["latency_ms"].as_f64().unwrap() > 0.0 && shown["last_probe_at"].is_string());
}

#[tokio::test]
async fn an_answer_that_cannot_be_believed_is_a_miss_and_two_good_ones_bring_the_region_back() {
    let world = World::with(Duration::from_secs(30), Duration::from_millis(400)).await;
    let gateway = world.region("eu-north").await;
    let _down = gateway.down().await;
    connected(&world, &gateway).await;
    is(world.probes(gateway.id).await.pop().unwrap(), "good", "healthy");
    is(probed(&world, &gateway, Manner::BadMac).await, "missed", "degraded");
    is(probed(&world, &gateway, Manner::Unsigned).await, "missed", "degraded");
    is(
        probed(&world, &gateway, Manner::OtherChallenge).await,
        "missed",
        "unreachable",
    );
    is(probed(&world, &gateway, Manner::Broken).await, "missed", "unreachable");
    is(
        probed(&world, &gateway, Manner::After(Duration::from_secs(2))).await,
        "missed",
        "unreachable",
    );
    is(probed(&world, &gateway, Manner::Well).await, "good", "degraded");
    is(probed(&world, &gateway, Manner::Well).await, "good", "healthy");
    is(
        probed(&world, &gateway, Manner::NoDatabase).await,
        "failing",
        "degraded",
    );
    let staff = world.staff().await;
    let shown = staff.get("/v1/regions/eu-north").await.body;
    assert!(shown["reason"].as_str().unwrap().contains("database"), "{shown}");
}

#[tokio::test]
async fn a_clock_that_is_far_off_degrades_a_region_that_still_answers() {
    let world = World::new().await;
    let gateway = world.region("eu-north").await;
    let _down = gateway.down().await;
    connected(&world, &gateway).await;
    is(probed(&world, &gateway, Manner::Clock(20)).await, "good", "healthy");
    is(
        probed(&world, &gateway, Manner::Clock(-45)).await,
        "failing",
        "degraded",
    );
    let staff = world.staff().await;
    let shown = staff.get("/v1/regions/eu-north").await.body;
    let skew = shown["skew_ms"].as_i64().unwrap();
    assert!((-46_000..=-44_000).contains(&skew), "{skew}");
}

#[tokio::test]
async fn the_summary_counts_every_probe_once_and_measures_the_answered_ones() {
    let world = World::new().await;
    let gateway = world.region("eu-north").await;
    world.region("quiet").await;
    let _down = gateway.down().await;
    connected(&world, &gateway).await;
    probed(&world, &gateway, Manner::NoDatabase).await;
    probed(&world, &gateway, Manner::BadMac).await;
    let staff = world.staff().await;
    for (range, seconds) in [("hour", 30), ("day", 720), ("week", 5040), ("month", 21_600)] {
        let path = format!("/v1/regions/eu-north/probes/summary?range={range}");
        let told = staff.get(&path).await.body;
        assert_eq!(told["slot_seconds"], seconds);
        let slots = told["slots"].as_array().unwrap();
        let sum = |key: &str| slots.iter().map(|slot| slot[key].as_i64().unwrap()).sum::<i64>();
        assert_eq!((sum("good"), sum("failing"), sum("missed")), (1, 1, 1), "{told}");
        let measured: Vec<_> = slots.iter().filter_map(|slot| slot["latency_ms"].as_f64()).collect();
        assert!(!measured.is_empty() && measured.iter().all(|ms| *ms > 0.0), "{told}");
        let within = |slot: &serde_json::Value| {
            slot["at"].as_str() >= told["from"].as_str() && slot["at"].as_str() < told["until"].as_str()
        };
        assert!(slots.iter().all(within), "{told}");
    }
    let quiet = staff.get("/v1/regions/quiet/probes/summary").await.body;
    assert_eq!(
        (&quiet["slot_seconds"], &quiet["slots"]),
        (&720.into(), &serde_json::json!([]))
    );
    assert_eq!(
        staff.get("/v1/regions/eu-north/probes/summary?range=year").await.status,
        400
    );
    assert_eq!(staff.get("/v1/regions/nowhere/probes/summary").await.status, 404);
}

#[tokio::test]
async fn a_slow_region_delays_no_other_and_a_region_without_a_tunnel_misses_the_round() {
    let world = World::with(Duration::from_secs(4), Duration::from_millis(1500)).await;
    let (slow, quick, dark) = (
        world.region("slow").await,
        world.region("quick").await,
        world.region("dark").await,
    );
    let (_slow, _quick) = (slow.down().await, quick.down().await);
    connected(&world, &slow).await;
    connected(&world, &quick).await;
    slow.behave(Manner::After(Duration::from_secs(10)));
    let before = (world.probes(slow.id).await.len(), world.probes(quick.id).await.len());
    let started = Instant::now();
    round(world.app.clone(), CancellationToken::new()).await.unwrap();
    assert!(
        started.elapsed() < Duration::from_secs(4),
        "a round ends within its period: {:?}",
        started.elapsed()
    );
    let after = (world.probes(slow.id).await, world.probes(quick.id).await);
    assert_eq!((after.0.len(), after.1.len()), (before.0 + 1, before.1 + 1));
    assert_eq!(after.0.last().unwrap().0, "missed");
    assert_eq!(after.1.last().unwrap().0, "good");
    is(world.probes(dark.id).await.pop().unwrap(), "missed", "degraded");
}

#[tokio::test]
async fn the_end_of_the_process_does_not_wait_for_a_round() {
    let world = World::new().await;
    let dark = world.region("dark").await;
    let stop = CancellationToken::new();
    let mut running = tokio::spawn(round(world.app.clone(), stop.clone()));
    let early = timeout(Duration::from_millis(300), &mut running).await;
    assert!(early.is_err(), "the round waits for the region's place in it");
    stop.cancel();
    timeout(Duration::from_secs(2), running)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(
        world.probes(dark.id).await.is_empty(),
        "nothing is written of a region that nobody asked"
    );
}

#[tokio::test]
async fn a_round_belongs_to_one_replica_and_two_probes_of_a_region_never_meet() {
    let world = World::with(Duration::from_secs(2), Duration::from_millis(900)).await;
    let gateway = world.region("eu-north").await;
    let _down = gateway.down().await;
    connected(&world, &gateway).await;
    let mut tx = SystemTx::begin(&world.app.app_pool, "test").await.unwrap();
    let far = i64::MAX - 1;
    assert!(store::claim(tx.conn(), gateway.id, far).await.unwrap());
    assert!(
        !store::claim(tx.conn(), gateway.id, far).await.unwrap(),
        "another replica comes second"
    );
    tx.rollback().await.unwrap();
    gateway.behave(Manner::After(Duration::from_millis(300)));
    let many = (0..5).map(|_| probe::probe(&world.app, gateway.id, None));
    let done = futures_util::future::join_all(many).await;
    let made = done.into_iter().filter(|d| d.as_ref().unwrap().is_some()).count();
    assert_eq!(made, 1);
    assert_eq!(gateway.under_way.1.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn three_rounds_without_an_answer_make_a_region_unreachable_and_it_comes_back_by_itself() {
    let world = World::with(Duration::from_secs(1), Duration::from_millis(300)).await;
    let gateway = world.region("eu-north").await;
    let down = gateway.down().await;
    connected(&world, &gateway).await;
    drop(down);
    let tunnels = &world.app.federation.tunnels;
    until("it is gone", || async { tunnels.of(gateway.id).is_empty() }).await;
    let rounds = async {
        while world.probes(gateway.id).await.last().unwrap().1 != "unreachable" {
            round(world.app.clone(), CancellationToken::new()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(PATIENCE, rounds).await.unwrap();
    let missed = world.probes(gateway.id).await;
    assert_eq!(missed.iter().filter(|(outcome, _)| outcome == "missed").count(), 3);
    let _down = gateway.down().await;
    let back = async {
        while world.probes(gateway.id).await.last().unwrap().1 != "healthy" {
            round(world.app.clone(), CancellationToken::new()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(PATIENCE, back).await.unwrap();
}

#[tokio::test]
async fn probes_are_listed_newest_first_to_those_who_may_see_them() {
    let world = World::new().await;
    let gateway = world.region("eu-north").await;
    let _down = gateway.down().await;
    connected(&world, &gateway).await;
    probed(&world, &gateway, Manner::BadMac).await;
    let staff = world.staff().await;
    let page = staff.get("/v1/regions/eu-north/probes?limit=1").await.body;
    assert_eq!(page["items"][0]["outcome"], "missed");
    assert!(page["items"][0]["reason"].is_string() && page["items"][0]["answer"].is_null());
    let token = page["next_page_token"].as_str().unwrap();
    let rest = staff
        .get(&format!("/v1/regions/eu-north/probes?page_token={token}"))
        .await
        .body;
    assert_eq!(rest["items"][0]["outcome"], "good");
    assert_eq!(staff.get("/v1/regions/nowhere/probes").await.status, 404);
    let nobody = world.sign_in(world.user("Nobody").await, None, &[]).await;
    assert_eq!(nobody.get("/v1/regions/eu-north/probes").await.status, 403);
}
