use crate::testing::{Limits, World, told, whole};
use exarch_common_authz::Role;
use exarch_common_base::{ClusterId, ResourceId};
use exarch_common_pg::TenantTx;
use serde_json::{Value, json};
use uuid::Uuid;

fn volume(cluster: ClusterId, name: &str) -> Value {
    json!({ "cluster_id": cluster, "name": name, "kind": "volume" })
}

#[tokio::test]
async fn a_new_resource_has_the_regions_ttl_unless_it_says_its_own() {
    let world = World::new().await;
    let admin = world.person(world.tenant("a", Limits::default()), Role::TenantAdmin);
    let cluster = admin.cluster("edge").await;
    let made = admin.post("/v1/resources", volume(cluster, "v1")).await;
    let location = made.headers["location"].to_str().unwrap().to_owned();
    let made = made.expect(201);
    assert_eq!((&made["ttl_ms"], &made["kind"]), (&json!(30_000), &json!("volume")));
    assert_eq!(admin.get(&location).await.expect(200), made);
    let mut quick = volume(cluster, "v2");
    quick["ttl_ms"] = json!(5_000);
    assert_eq!(admin.post("/v1/resources", quick).await.expect(201)["ttl_ms"], 5_000);
    let audit = admin.get("/v1/audit?action=resource.create&limit=1").await.expect(200);
    assert_eq!(audit["items"][0]["after"]["ttl_ms"], 5_000);
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_where() {
    let world = World::new().await;
    let admin = world.person(world.tenant("a", Limits::default()), Role::TenantAdmin);
    let cluster = admin.cluster("edge").await;
    for (field, value) in [
        ("ttl_ms", json!(4_999)),
        ("ttl_ms", json!(300_001)),
        ("ttl_ms", json!(-1)),
        ("ttl_ms", json!(1e30)),
        ("kind", json!("disk")),
        ("name", json!("a b")),
        ("fence", json!("1.1")),
    ] {
        let mut body = volume(cluster, "v");
        body[field] = value;
        let problem = admin
            .post("/v1/resources", body.clone())
            .await
            .problem(422, "invalid-value");
        assert_eq!(problem["errors"][0]["pointer"], format!("/{field}"), "{body}");
    }
    admin.post("/v1/resources", volume(cluster, "v")).await.expect(201);
    admin
        .post("/v1/resources", volume(cluster, "v"))
        .await
        .problem(409, "resource-name-taken");
}

#[tokio::test]
async fn another_tenants_clusters_and_resources_are_told_from_none_by_nothing() {
    let world = World::new().await;
    let (a, b) = (
        world.tenant("a", Limits::default()),
        world.tenant("b", Limits::default()),
    );
    let (a, b) = (world.person(a, Role::TenantAdmin), world.person(b, Role::TenantAdmin));
    let foreign_cluster = b.cluster("secret").await;
    let foreign = b.resource(foreign_cluster, "secret").await;
    let (no_cluster, none) = (
        ClusterId::from(Uuid::from_u128(1)),
        ResourceId::from(Uuid::from_u128(1)),
    );
    assert!(
        a.get("/v1/resources").await.expect(200)["items"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    let foreign = a
        .get(&format!("/v1/resources/{foreign}"))
        .await
        .problem(404, "not-found");
    let none = a.get(&format!("/v1/resources/{none}")).await.problem(404, "not-found");
    assert_eq!(told(foreign), told(none));
    let foreign = a
        .post("/v1/resources", volume(foreign_cluster, "secret"))
        .await
        .problem(404, "not-found");
    let none = a
        .post("/v1/resources", volume(no_cluster, "secret"))
        .await
        .problem(404, "not-found");
    assert_eq!(told(foreign), told(none));
}

#[tokio::test]
async fn whoever_holds_a_role_in_one_cluster_sees_its_resources_alone() {
    let world = World::new().await;
    let tenant = world.tenant("a", Limits::default());
    let admin = world.person(tenant, Role::TenantAdmin);
    let (own, other) = (admin.cluster("own").await, admin.cluster("other").await);
    let (seen, hidden) = (admin.resource(own, "v").await, admin.resource(other, "v").await);
    let operator = world.cluster_person(tenant, own, Role::ClusterOperator);
    let page = operator.get("/v1/resources").await.expect(200);
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    assert_eq!(page["items"][0]["id"], json!(seen));
    operator
        .get(&format!("/v1/resources/{hidden}"))
        .await
        .problem(404, "not-found");
    let cluster_admin = world.cluster_person(tenant, own, Role::ClusterAdmin);
    cluster_admin
        .post("/v1/resources", volume(other, "w"))
        .await
        .problem(404, "not-found");
    cluster_admin.post("/v1/resources", volume(own, "w")).await.expect(201);
}

#[tokio::test]
async fn a_resource_shows_the_highest_fence_that_was_given_for_it() {
    let world = World::new().await;
    let tenant = world.tenant("a", Limits::default());
    let admin = world.person(tenant, Role::TenantAdmin);
    let cluster = admin.cluster("edge").await;
    let (resource, other) = (admin.resource(cluster, "v").await, admin.resource(cluster, "w").await);
    let agent = world.agent(tenant, cluster, "edge-1").await;
    world.lease(resource, &agent).await;
    let shown = admin.get(&format!("/v1/resources/{resource}")).await.expect(200);
    assert_eq!(shown["fence"], "1.1");
    let shown = admin.get(&format!("/v1/resources/{other}")).await.expect(200);
    assert!(shown.get("fence").is_none());
}

#[tokio::test]
async fn the_time_of_the_next_lease_changes_within_its_range() {
    let world = World::new().await;
    let admin = world.person(world.tenant("a", Limits::default()), Role::TenantAdmin);
    let cluster = admin.cluster("edge").await;
    let path = format!("/v1/resources/{}", admin.resource(cluster, "v").await);
    for wrong in [4_999, 300_001] {
        let refused = admin.change(&path, json!({ "ttl_ms": wrong })).await;
        let refused = refused.problem(422, "invalid-value");
        assert_eq!(refused["errors"][0]["pointer"], "/ttl_ms");
    }
    let changed = admin.change(&path, json!({ "ttl_ms": 60_000 })).await.expect(200);
    assert_eq!((&changed["ttl_ms"], &changed["name"]), (&json!(60_000), &json!("v")));
    let rows = admin.get("/v1/audit?action=resource.update").await.expect(200);
    assert_eq!(rows["items"][0]["before"], json!({ "name": "v", "ttl_ms": 30_000 }));
    assert_eq!(rows["items"][0]["after"], json!({ "name": "v", "ttl_ms": 60_000 }));
}

#[tokio::test]
async fn a_resource_is_deleted_when_nobody_holds_it_and_no_workload_uses_it() {
    let world = World::new().await;
    let tenant = world.tenant("a", Limits::default());
    let admin = world.person(tenant, Role::TenantAdmin);
    let cluster = admin.cluster("edge").await;
    let resource = admin.resource(cluster, "v").await;
    let path = format!("/v1/resources/{resource}");
    let driver = json!({ "kind": "process", "argv": ["x"], "volume": "/v" });
    let body = json!({ "cluster_id": cluster, "name": "db", "resource_id": resource, "driver": driver });
    let workload = admin.post("/v1/workloads", body.clone()).await.expect(201);
    let refused = admin.delete(&path).await.problem(409, "resource-in-use");
    assert_eq!(refused["workload"], "db");
    let workload = format!("/v1/workloads/{}", workload["id"].as_str().unwrap());
    admin.delete(&workload).await.expect(204);
    let agent = world.agent(tenant, cluster, "edge-1").await;
    world.lease(resource, &agent).await;
    let refused = admin.delete(&path).await.problem(409, "lease-held");
    assert_eq!(refused["holder"], "edge-1");
    world
        .run(tenant, "UPDATE gw.lease SET state = 'released', ended_at = now()")
        .await;
    admin.delete(&path).await.expect(204);
    let late = admin.post("/v1/workloads", body).await.problem(404, "not-found");
    assert_eq!(late["errors"][0]["pointer"], "/resource_id");
    // the lease is history, and its fence stays the highest
    let leases = admin
        .get(&format!("/v1/leases?resource_id={resource}"))
        .await
        .expect(200);
    assert_eq!(
        (&leases["items"][0]["fence"], &leases["items"][0]["resource"]),
        (&json!("1.1"), &json!("v"))
    );
}

#[tokio::test]
async fn what_guarantees_that_fences_rise_for_ever_can_be_removed_by_no_request() {
    let world = World::new().await;
    let tenant = world.tenant("a", Limits::default());
    for sql in ["DELETE FROM gw.resource", "DELETE FROM gw.lease", "TRUNCATE gw.lease"] {
        let mut tx = TenantTx::begin(&world.app.app_pool, &whole(tenant)).await.unwrap();
        let refused = sqlx::raw_sql(sql).execute(tx.conn()).await.unwrap_err();
        assert_eq!(refused.as_database_error().unwrap().code().unwrap(), "42501", "{sql}");
    }
}
