use crate::{
    agents::testing::{address, enrol, key, token},
    testing::{Limits, World, told},
};
use exarch_common_authz::Role;
use exarch_common_base::{ClusterId, HostId};
use serde_json::json;
use uuid::Uuid;

#[tokio::test]
async fn a_new_host_says_where_it_is_and_is_found_there_and_audited() {
    let world = World::new().await;
    let admin = world.person(world.tenant("a", Limits::default()), Role::TenantAdmin);
    let cluster = admin.cluster("edge").await;
    let made = admin
        .post("/v1/hosts", json!({ "cluster_id": cluster, "name": "h1" }))
        .await;
    let location = made.headers["location"].to_str().unwrap().to_owned();
    let made = made.expect(201);
    let found = admin.get(&location).await;
    assert_eq!(found.headers["etag"], "\"1\"");
    assert_eq!(found.expect(200), made);
    assert_eq!((&made["name"], &made["cluster_id"]), (&json!("h1"), &json!(cluster)));
    let audit = admin.get("/v1/audit?action=host.create").await.expect(200);
    assert_eq!(audit["items"][0]["target"], json!({ "kind": "host", "id": made["id"] }));
}

#[tokio::test]
async fn a_name_is_taken_within_the_cluster_alone() {
    let world = World::new().await;
    let admin = world.person(world.tenant("a", Limits::default()), Role::TenantAdmin);
    let (one, two) = (admin.cluster("one").await, admin.cluster("two").await);
    admin.host(one, "h").await;
    admin.host(two, "h").await;
    let taken = admin.post("/v1/hosts", json!({ "cluster_id": one, "name": "h" })).await;
    taken.problem(409, "host-name-taken");
}

#[tokio::test]
async fn another_tenants_clusters_and_hosts_are_told_from_none_by_nothing() {
    let world = World::new().await;
    let (a, b) = (
        world.tenant("a", Limits::default()),
        world.tenant("b", Limits::default()),
    );
    let (a, b) = (world.person(a, Role::TenantAdmin), world.person(b, Role::TenantAdmin));
    let foreign_cluster = b.cluster("secret").await;
    let foreign = b.host(foreign_cluster, "secret").await;
    let (no_cluster, no_host) = (ClusterId::from(Uuid::from_u128(1)), HostId::from(Uuid::from_u128(1)));
    let page = a.get("/v1/hosts").await.expect(200);
    assert!(page["items"].as_array().unwrap().is_empty());
    let page = a
        .get(&format!("/v1/hosts?cluster_id={foreign_cluster}"))
        .await
        .expect(200);
    assert!(page["items"].as_array().unwrap().is_empty());
    let foreign = a.get(&format!("/v1/hosts/{foreign}")).await.problem(404, "not-found");
    let none = a.get(&format!("/v1/hosts/{no_host}")).await.problem(404, "not-found");
    assert_eq!(told(foreign), told(none));
    let into = |cluster: ClusterId| a.post("/v1/hosts", json!({ "cluster_id": cluster, "name": "secret" }));
    let foreign = into(foreign_cluster).await.problem(404, "not-found");
    let none = into(no_cluster).await.problem(404, "not-found");
    assert_eq!(told(foreign), told(none));
    assert_eq!(
        b.get("/v1/hosts").await.expect(200)["items"].as_array().unwrap().len(),
        1
    );
}

#[tokio::test]
async fn whoever_holds_a_role_in_one_cluster_sees_its_hosts_alone() {
    let world = World::new().await;
    let tenant = world.tenant("a", Limits::default());
    let admin = world.person(tenant, Role::TenantAdmin);
    let (own, other) = (admin.cluster("own").await, admin.cluster("other").await);
    let (own_host, other_host) = (admin.host(own, "h1").await, admin.host(other, "h2").await);
    let cluster_admin = world.cluster_person(tenant, own, Role::ClusterAdmin);
    let page = cluster_admin.get("/v1/hosts").await.expect(200);
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    assert_eq!(page["items"][0]["id"], json!(own_host));
    cluster_admin.get(&format!("/v1/hosts/{own_host}")).await.expect(200);
    cluster_admin
        .get(&format!("/v1/hosts/{other_host}"))
        .await
        .problem(404, "not-found");
    let page = cluster_admin
        .get(&format!("/v1/hosts?cluster_id={other}"))
        .await
        .expect(200);
    assert!(page["items"].as_array().unwrap().is_empty());
    let into = |cluster| cluster_admin.post("/v1/hosts", json!({ "cluster_id": cluster, "name": "h2" }));
    into(own).await.expect(201);
    into(other).await.problem(404, "not-found");
    let operator = world.cluster_person(tenant, own, Role::ClusterOperator);
    let refused = operator
        .post("/v1/hosts", json!({ "cluster_id": own, "name": "h3" }))
        .await;
    refused.problem(403, "permission-denied");
}

#[tokio::test]
async fn the_limit_counts_hosts_of_all_clusters_also_for_those_who_see_one() {
    let world = World::new().await;
    let limits = Limits {
        hosts: Some(2),
        ..Limits::default()
    };
    let tenant = world.tenant("a", limits);
    let admin = world.person(tenant, Role::TenantAdmin);
    let (own, other) = (admin.cluster("own").await, admin.cluster("other").await);
    admin.host(other, "h1").await;
    let cluster_admin = world.cluster_person(tenant, own, Role::ClusterAdmin);
    cluster_admin.host(own, "h1").await;
    let over = cluster_admin
        .post("/v1/hosts", json!({ "cluster_id": own, "name": "h2" }))
        .await;
    assert_eq!(over.problem(409, "entitlement-limit")["limit"], 2);
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_with_where() {
    let world = World::new().await;
    let admin = world.person(world.tenant("a", Limits::default()), Role::TenantAdmin);
    let cluster = admin.cluster("edge").await;
    for (body, pointer) in [
        (json!({ "cluster_id": cluster, "name": "A" }), "/name"),
        (
            json!({ "cluster_id": "hst_00000000000000000000000000000001", "name": "a" }),
            "/cluster_id",
        ),
        (json!({ "cluster_id": cluster, "name": "a", "version": 7 }), "/version"),
    ] {
        let problem = admin
            .post("/v1/hosts", body.clone())
            .await
            .problem(422, "invalid-value");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{body}");
    }
    admin
        .get("/v1/hosts?cluster_id=x")
        .await
        .problem(400, "malformed-query");
    admin.get("/v1/hosts?cluster=x").await.problem(400, "malformed-query");
}

#[tokio::test]
async fn a_host_is_deleted_once_its_agent_is_out_and_counts_no_more() {
    let world = World::new().await;
    let limits = Limits {
        hosts: Some(1),
        ..Limits::default()
    };
    let admin = world.person(world.tenant("a", limits), Role::TenantAdmin);
    let cluster = admin.cluster("edge").await;
    let host = admin.host(cluster, "h1").await;
    let bound = |name: &str| json!({ "host_id": host, "name": name, "auto": true });
    let used = token(&admin, cluster, bound("edge-1")).await;
    let unused = token(&admin, cluster, bound("edge-2")).await;
    let enrolled = enrol(&world.app, address(1), &used, &key().1, None).await.expect(200);
    let path = format!("/v1/hosts/{host}");
    let refused = admin.delete(&path).await.problem(409, "host-has-agent");
    assert_eq!(refused["agent"], "edge-1");
    let revoke = format!("/v1/agents/{}/revoke", enrolled["agent"].as_str().unwrap());
    admin.post(&revoke, json!({})).await.expect(200);
    admin.delete(&path).await.expect(204);
    let late = enrol(&world.app, address(2), &unused, &key().1, None).await;
    late.problem(410, "bootstrap-token-revoked");
    let bound = admin
        .post(
            "/v1/bootstrap-tokens",
            json!({ "cluster_id": cluster, "host_id": host }),
        )
        .await
        .problem(422, "invalid-value");
    assert_eq!(bound["errors"][0]["pointer"], "/host_id");
    admin.host(cluster, "h2").await;
}

#[tokio::test]
async fn of_a_deletion_and_an_agent_that_comes_in_at_the_same_time_one_is_refused() {
    let world = World::new().await;
    let admin = world.person(world.tenant("a", Limits::default()), Role::TenantAdmin);
    let cluster = admin.cluster("edge").await;
    for round in 0..8 {
        let host = admin.host(cluster, &format!("h{round}")).await;
        let bound = json!({ "host_id": host, "name": format!("edge-{round}"), "auto": true });
        let token = token(&admin, cluster, bound).await;
        let csr = key().1;
        let path = format!("/v1/hosts/{host}");
        let (deleted, came) = tokio::join!(
            admin.delete(&path),
            enrol(&world.app, address(round), &token, &csr, None)
        );
        match (deleted.status.as_u16(), came.status.as_u16()) {
            (204, 410) | (409, 200) => {}
            other => panic!("{other:?}"),
        }
    }
}
