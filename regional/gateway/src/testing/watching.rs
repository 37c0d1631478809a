//! Every list as a stream: changes come within a second, to those alone who may see them.
use super::{Actor, Limits, World};
use axum::http::Method;
use exarch_common_authz::Role;
use exarch_common_base::{ClusterId, TenantId};
use serde_json::json;
use std::time::{Duration, Instant};

/// What adds one to each list, as that list's path and the id of what was added.
async fn add(world: &World, admin: &Actor<'_>, tenant: TenantId, list: &str, cluster: ClusterId) -> String {
    let named = |kind: &str| json!({ "cluster_id": cluster, "name": kind });
    let made = |body: serde_json::Value| async move {
        let made = admin.post(list, body).await.expect(201);
        made["id"].as_str().unwrap().to_owned()
    };
    match list {
        "/v1/clusters" => made(json!({ "name": "added" })).await,
        "/v1/hosts" => made(named("added")).await,
        "/v1/resources" => made(json!({ "cluster_id": cluster, "name": "added", "kind": "volume" })).await,
        "/v1/bootstrap-tokens" => made(json!({ "cluster_id": cluster })).await,
        "/v1/workloads" => {
            let resource = admin.resource(cluster, "used").await;
            let driver = json!({ "kind": "process", "argv": ["x"], "volume": "/v" });
            made(json!({ "cluster_id": cluster, "name": "added", "resource_id": resource, "driver": driver })).await
        }
        "/v1/bindings" => {
            let user = world.member(tenant, "Added");
            made(json!({ "cluster_id": cluster, "user_id": user, "role": "cluster-operator" })).await
        }
        "/v1/agents" => world.agent(tenant, cluster, "added").await.caller.id.to_string(),
        "/v1/leases" => {
            let agent = world.agent(tenant, cluster, "holder").await;
            let resource = admin.resource(cluster, "held").await;
            world.lease(resource, &agent).await.to_string()
        }
        "/v1/audit" => {
            admin.host(cluster, "noted").await;
            let newest = admin.get("/v1/audit?limit=1").await.expect(200);
            newest["items"][0]["id"].as_str().unwrap().to_owned()
        }
        other => panic!("{other} is no list"),
    }
}

const LISTS: [&str; 9] = [
    "/v1/clusters",
    "/v1/hosts",
    "/v1/resources",
    "/v1/workloads",
    "/v1/agents",
    "/v1/bindings",
    "/v1/bootstrap-tokens",
    "/v1/leases",
    "/v1/audit",
];

#[tokio::test]
async fn every_list_begins_with_its_page_and_tells_of_what_another_replica_adds_within_a_second() {
    let world = World::new().await;
    let replica = world.listener(&world.replica().await);
    let tenant = world.tenant("a", Limits::default());
    let admin = world.person(tenant, Role::TenantAdmin);
    let cluster = admin.cluster("edge").await;
    let elsewhere = world.tenant("b", Limits::default());
    let stranger = world.person(elsewhere, Role::TenantAdmin);
    let neighbour = world.cluster_person(tenant, admin.cluster("other").await, Role::ClusterAdmin);
    for list in LISTS {
        let mut stream = admin.at(&replica).watch(list).await;
        let page = stream.expect("page").await;
        assert_eq!(page["items"], admin.get(list).await.expect(200)["items"], "{list}");
        let mut blind = stranger.watch(list).await;
        let seen = blind.expect("page").await.to_string();
        assert!(!seen.contains(&cluster.to_string()), "{list}: {seen}");
        let added = add(&world, &admin, tenant, list, cluster).await;
        let committed = Instant::now();
        let told = stream.until("added", &added).await;
        assert!(
            committed.elapsed() < Duration::from_secs(5),
            "{list}: {:?}",
            committed.elapsed()
        );
        assert_eq!(told["id"], added.as_str(), "{list}");
        // what comes next to those who may not see it is their own
        let own = stranger.cluster(&format!("own-{}", &list[4..])).await;
        match list {
            "/v1/clusters" => drop(blind.until("added", &own.to_string()).await),
            "/v1/audit" => assert_eq!(blind.expect("added").await["target"]["id"], json!(own)),
            _ => {
                let added = add(&world, &stranger, elsewhere, list, own).await;
                assert_eq!(blind.expect("added").await["id"], added.as_str(), "{list}");
            }
        }
        if !matches!(list, "/v1/clusters" | "/v1/bindings" | "/v1/audit") {
            let mut other = neighbour.watch(list).await;
            assert_eq!(other.expect("page").await["items"], json!([]), "{list}");
        }
    }
}

#[tokio::test]
async fn what_changes_and_what_goes_is_told_as_the_list_shows_it() {
    let world = World::new().await;
    let tenant = world.tenant("a", Limits::default());
    let admin = world.person(tenant, Role::TenantAdmin);
    let cluster = admin.cluster("edge").await;
    let host = format!("/v1/hosts/{}", admin.host(cluster, "one").await);
    let mut stream = admin.watch("/v1/hosts").await;
    stream.expect("page").await;
    admin.change(&host, json!({ "name": "two" })).await.expect(200);
    let changed = stream.expect("changed").await;
    assert_eq!((&changed["name"], &changed["version"]), (&json!("two"), &json!(2)));
    admin.delete(&host).await.expect(204);
    assert_eq!(stream.expect("removed").await, changed);
}

#[tokio::test]
async fn what_no_notification_tells_of_is_told_all_the_same() {
    let world = World::new().await;
    let tenant = world.tenant("a", Limits::default());
    let admin = world.person(tenant, Role::TenantAdmin);
    let cluster = admin.cluster("edge").await;
    world.agent(tenant, cluster, "edge-1").await;
    let mut stream = admin.watch("/v1/agents").await;
    stream.expect("page").await;
    world
        .run(tenant, "UPDATE gw.agent SET software = '2.0', last_seen_at = now()")
        .await;
    assert_eq!(stream.expect("changed").await["software"], "2.0");
}

#[tokio::test]
async fn a_lease_that_is_held_changes_in_a_stream_with_its_renewals_and_not_with_every_look() {
    let world = World::new().await;
    let tenant = world.tenant("a", Limits::default());
    let admin = world.person(tenant, Role::TenantAdmin);
    let cluster = admin.cluster("edge").await;
    let agent = world.agent(tenant, cluster, "edge-1").await;
    let lease = world.lease(admin.resource(cluster, "v").await, &agent).await;
    assert!(admin.get(&format!("/v1/leases/{lease}")).await.expect(200)["remaining_ms"].is_u64());
    let mut stream = admin.watch("/v1/leases").await;
    let page = stream.expect("page").await;
    assert!(page["items"][0]["remaining_ms"].is_null(), "{page}");
    // a look wakes at each change of anything else of the list: none of them may find this lease changed
    let second = world.lease(admin.resource(cluster, "w").await, &agent).await;
    assert_eq!(stream.expect("added").await["id"], json!(second));
    world.run(tenant, "UPDATE gw.lease SET seq = 2").await;
    for _ in 0..2 {
        assert_eq!(stream.expect("changed").await["seq"], 2);
    }
}

#[tokio::test]
async fn a_stream_ends_when_nobody_knows_its_reader_any_more_and_when_the_gateway_stops() {
    let world = World::new().await;
    let tenant = world.tenant("a", Limits::default());
    let (admin, other) = (
        world.person(tenant, Role::TenantAdmin),
        world.person(tenant, Role::ReadOnly),
    );
    let (mut first, mut second) = (admin.watch("/v1/clusters").await, other.watch("/v1/clusters").await);
    first.expect("page").await;
    second.expect("page").await;
    world.forget(&admin);
    assert_eq!(first.expect("end").await["status"], 401);
    assert_eq!(first.event().await, None);
    world.app.watches.end();
    assert_eq!(second.expect("end").await["type"], "urn:exarch:problem:watch-over");
    assert_eq!(second.event().await, None);
}

#[tokio::test]
async fn whoever_may_not_list_may_not_watch() {
    let world = World::new().await;
    let tenant = world.tenant("a", Limits::default());
    let reader = world.person(tenant, Role::ReadOnly);
    let accept = [("accept", "text/event-stream")];
    for (path, who) in [("/v1/audit", &reader), ("/v1/bootstrap-tokens", &reader)] {
        let refused = who.send_with(Method::GET, path, &accept, None).await;
        refused.problem(403, "permission-denied");
    }
    let nobody = world
        .anonymous()
        .send_with(Method::GET, "/v1/clusters", &accept, None)
        .await;
    nobody.problem(401, "unauthenticated");
}
