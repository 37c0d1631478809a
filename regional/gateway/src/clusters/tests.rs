use crate::{
    agents::testing::{address, enrol, key, token},
    testing::{Actor, Limits, World, told},
};
use exarch_common_authz::Role;
use exarch_common_base::ClusterId;
use serde_json::json;
use uuid::Uuid;

async fn names(actor: &Actor<'_>) -> Vec<String> {
    let page = actor.get("/v1/clusters").await.expect(200);
    let items = page["items"].as_array().unwrap();
    items.iter().map(|c| c["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_new_cluster_says_where_it_is_and_is_found_there_and_audited() {
    let world = World::new().await;
    let tenant = world.tenant("a", Limits::default());
    let admin = world.person(tenant, Role::TenantAdmin);
    let made = admin.post("/v1/clusters", json!({ "name": "edge" })).await;
    let location = made.headers["location"].to_str().unwrap().to_owned();
    assert_eq!(made.headers["etag"], "\"1\"");
    let made = made.expect(201);
    let found = admin.get(&location).await;
    assert_eq!(found.headers["etag"], "\"1\"");
    assert_eq!(found.expect(200), made);
    assert_eq!(made["name"], "edge");
    let audit = admin.get("/v1/audit?action=cluster.create").await.expect(200);
    assert_eq!(audit["items"][0]["target"]["id"], made["id"]);
    assert_eq!(audit["items"][0]["after"], json!({ "name": "edge" }));
    assert_eq!(audit["items"][0]["actor"]["kind"], "user");
}

#[tokio::test]
async fn a_name_is_taken_within_the_tenant_alone() {
    let world = World::new().await;
    let (a, b) = (
        world.tenant("a", Limits::default()),
        world.tenant("b", Limits::default()),
    );
    let (a, b) = (world.person(a, Role::TenantAdmin), world.person(b, Role::TenantAdmin));
    a.cluster("edge").await;
    b.cluster("edge").await;
    let taken = a.post("/v1/clusters", json!({ "name": "edge" })).await;
    taken.problem(409, "cluster-name-taken");
    assert_eq!(names(&a).await, ["edge"]);
}

#[tokio::test]
async fn another_tenants_cluster_is_told_from_none_by_nothing() {
    let world = World::new().await;
    let (a, b) = (
        world.tenant("a", Limits::default()),
        world.tenant("b", Limits::default()),
    );
    let (a, b) = (world.person(a, Role::TenantAdmin), world.person(b, Role::TenantAdmin));
    let foreign = b.cluster("secret").await;
    let none = ClusterId::from(Uuid::from_u128(1));
    assert!(names(&a).await.is_empty());
    let foreign = a
        .get(&format!("/v1/clusters/{foreign}"))
        .await
        .problem(404, "not-found");
    let none = a.get(&format!("/v1/clusters/{none}")).await.problem(404, "not-found");
    assert_eq!(told(foreign), told(none));
}

#[tokio::test]
async fn whoever_holds_a_role_in_one_cluster_sees_that_one_alone() {
    let world = World::new().await;
    let tenant = world.tenant("a", Limits::default());
    let admin = world.person(tenant, Role::TenantAdmin);
    let (own, other) = (admin.cluster("own").await, admin.cluster("other").await);
    let operator = world.cluster_person(tenant, own, Role::ClusterOperator);
    assert_eq!(names(&operator).await, ["own"]);
    operator.get(&format!("/v1/clusters/{own}")).await.expect(200);
    let other = operator
        .get(&format!("/v1/clusters/{other}"))
        .await
        .problem(404, "not-found");
    let none = ClusterId::from(Uuid::from_u128(1));
    let none = operator
        .get(&format!("/v1/clusters/{none}"))
        .await
        .problem(404, "not-found");
    assert_eq!(told(other), told(none));
    let cluster_admin = world.cluster_person(tenant, own, Role::ClusterAdmin);
    let refused = cluster_admin.post("/v1/clusters", json!({ "name": "third" })).await;
    refused.problem(403, "permission-denied");
}

#[tokio::test]
async fn the_newest_come_first_page_by_page() {
    let world = World::new().await;
    let tenant = world.tenant("a", Limits::default());
    let admin = world.person(tenant, Role::TenantAdmin);
    for name in ["one", "two", "three"] {
        admin.cluster(name).await;
    }
    let first = admin.get("/v1/clusters?limit=2").await.expect(200);
    assert_eq!(
        (&first["items"][0]["name"], &first["items"][1]["name"]),
        (&json!("three"), &json!("two"))
    );
    let token = first["next_page_token"].as_str().unwrap();
    let last = admin
        .get(&format!("/v1/clusters?limit=2&page_token={token}"))
        .await
        .expect(200);
    assert_eq!(last["items"].as_array().unwrap().len(), 1);
    assert_eq!(last["items"][0]["name"], "one");
    assert!(last.get("next_page_token").is_none());
}

#[tokio::test]
async fn the_entitlement_limits_the_count_also_of_those_who_come_at_once() {
    let world = World::new().await;
    let limits = Limits {
        clusters: Some(3),
        ..Limits::default()
    };
    let (limited, open) = (world.tenant("a", limits), world.tenant("b", Limits::default()));
    world.person(open, Role::TenantAdmin).cluster("not-counted").await;
    let admin = world.person(limited, Role::TenantAdmin);
    let bodies: Vec<_> = (0..8).map(|n| json!({ "name": format!("c{n}") })).collect();
    let answers = bodies.into_iter().map(|body| admin.post("/v1/clusters", body));
    let answers = futures_util::future::join_all(answers).await;
    let (made, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 201);
    assert_eq!((made.len(), refused.len()), (3, 5));
    for answer in refused {
        let problem = answer.problem(409, "entitlement-limit");
        assert_eq!(
            (&problem["limit"], &problem["counted"]),
            (&json!(3), &json!("clusters"))
        );
    }
    assert_eq!(names(&admin).await.len(), 3);
    let audit = admin.get("/v1/audit").await.expect(200);
    assert_eq!(audit["items"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_name_that_was_refused_takes_no_place() {
    let world = World::new().await;
    let limits = Limits {
        clusters: Some(2),
        ..Limits::default()
    };
    let admin = world.person(world.tenant("a", limits), Role::TenantAdmin);
    admin.cluster("one").await;
    admin
        .post("/v1/clusters", json!({ "name": "one" }))
        .await
        .problem(409, "cluster-name-taken");
    admin.cluster("two").await;
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_with_where() {
    let world = World::new().await;
    let admin = world.person(world.tenant("a", Limits::default()), Role::TenantAdmin);
    for (body, status, pointer) in [
        (json!({}), 422, ""),
        (json!({ "name": "" }), 422, "/name"),
        (json!({ "name": "UPPER" }), 422, "/name"),
        (json!({ "name": "x".repeat(64) }), 422, "/name"),
        (json!({ "name": "-a" }), 422, "/name"),
        (json!({ "name": 7 }), 422, "/name"),
        (json!({ "name": "a\0b" }), 422, "/name"),
        (json!({ "name": "a", "tenant_id": "x" }), 422, "/tenant_id"),
    ] {
        let problem = admin
            .post("/v1/clusters", body.clone())
            .await
            .problem(status, "invalid-value");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{body}");
    }
    for text in ["", "[", r#"{"name":"a","name":"b"}"#, "null null"] {
        let answer = admin
            .send(axum::http::Method::POST, "/v1/clusters", Some(text.to_owned()))
            .await;
        answer.problem(400, "malformed-json");
    }
    for path in ["/v1/clusters/x", "/v1/clusters/hst_00000000000000000000000000000001"] {
        admin.get(path).await.problem(404, "not-found");
    }
    admin.get("/v1/clusters?offset=1").await.problem(400, "malformed-query");
    assert!(names(&admin).await.is_empty());
}

#[tokio::test]
async fn readers_may_not_create_and_nobody_may_look() {
    let world = World::new().await;
    let tenant = world.tenant("a", Limits::default());
    let reader = world.person(tenant, Role::ReadOnly);
    reader
        .post("/v1/clusters", json!({ "name": "a" }))
        .await
        .problem(403, "permission-denied");
    reader.get("/v1/clusters").await.expect(200);
    world
        .anonymous()
        .get("/v1/clusters")
        .await
        .problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_cluster_in_which_something_is_left_is_not_deleted_and_says_what() {
    let world = World::new().await;
    let tenant = world.tenant("a", Limits::default());
    let admin = world.person(tenant, Role::TenantAdmin);
    for kind in ["hosts", "agents", "resources"] {
        let cluster = admin.cluster(kind).await;
        let inside = match kind {
            "hosts" => format!("/v1/hosts/{}", admin.host(cluster, "x").await),
            "resources" => format!("/v1/resources/{}", admin.resource(cluster, "x").await),
            _ => format!("/v1/agents/{}", world.agent(tenant, cluster, "x").await.caller.id),
        };
        let path = format!("/v1/clusters/{cluster}");
        let refused = admin.delete(&path).await.problem(409, "cluster-not-empty");
        assert_eq!(refused[kind], 1, "{refused}");
        assert!(
            refused["detail"].as_str().unwrap().contains(&format!("1 {kind}")),
            "{refused}"
        );
        match kind {
            "agents" => drop(admin.post(&format!("{inside}/revoke"), json!({})).await.expect(200)),
            _ => drop(admin.delete(&inside).await.expect(204)),
        }
        admin.delete(&path).await.expect(204);
    }
}

#[tokio::test]
async fn a_deleted_cluster_counts_no_more_and_nothing_comes_into_it() {
    let world = World::new().await;
    let limits = Limits {
        clusters: Some(1),
        ..Limits::default()
    };
    let tenant = world.tenant("a", limits);
    let admin = world.person(tenant, Role::TenantAdmin);
    let cluster = admin.cluster("one").await;
    let token = token(&admin, cluster, json!({ "name": "edge-1" })).await;
    admin
        .post("/v1/clusters", json!({ "name": "two" }))
        .await
        .problem(409, "entitlement-limit");
    admin.delete(&format!("/v1/clusters/{cluster}")).await.expect(204);
    admin.cluster("two").await;
    for (path, body) in [
        ("/v1/hosts", json!({ "cluster_id": cluster, "name": "x" })),
        (
            "/v1/resources",
            json!({ "cluster_id": cluster, "name": "x", "kind": "volume" }),
        ),
        ("/v1/bootstrap-tokens", json!({ "cluster_id": cluster })),
    ] {
        let refused = admin.post(path, body).await.problem(404, "not-found");
        assert_eq!(refused["errors"][0]["pointer"], "/cluster_id", "{path}");
    }
    let (_, csr) = key();
    let late = enrol(&world.app, address(1), &token, &csr, None);
    late.await.problem(410, "bootstrap-token-revoked");
}

#[tokio::test]
async fn of_a_deletion_and_what_comes_in_at_the_same_time_one_is_refused() {
    let world = World::new().await;
    let admin = world.person(world.tenant("a", Limits::default()), Role::TenantAdmin);
    for round in 0..12 {
        let cluster = admin.cluster(&format!("c{round}")).await;
        let path = format!("/v1/clusters/{cluster}");
        let body = json!({ "cluster_id": cluster, "name": "x" });
        let (deleted, made) = match round % 2 {
            0 => tokio::join!(admin.delete(&path), admin.post("/v1/hosts", body)),
            _ => {
                let (made, deleted) = tokio::join!(admin.post("/v1/hosts", body), admin.delete(&path));
                (deleted, made)
            }
        };
        match (deleted.status.as_u16(), made.status.as_u16()) {
            (204, 404) | (409, 201) => {}
            other => panic!("{other:?}"),
        }
    }
}
