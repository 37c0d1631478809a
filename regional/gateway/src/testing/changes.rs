//! Changing and deleting, the same way for everything that people have in a region.
use super::{Actor, Limits, World};
use crate::router;
use axum::http::Method;
use exarch_common_authz::Role;
use exarch_common_base::{ClusterId, TenantId};
use serde_json::{Value, json};

/// One of each that can be changed: where it is.
struct Things {
    tenant: TenantId,
    cluster: ClusterId,
    paths: Vec<String>,
}

/// Another of each, called `taken`, stands beside it.
async fn things(world: &World, admin: &Actor<'_>, tenant: TenantId) -> Things {
    let cluster = admin.cluster("one").await;
    admin.cluster("taken").await;
    let host = admin.host(cluster, "one").await;
    admin.host(cluster, "taken").await;
    let resource = admin.resource(cluster, "one").await;
    let used = admin.resource(cluster, "taken").await;
    let workload = workload(admin, cluster, used, "one").await;
    self::workload(admin, cluster, used, "taken").await;
    let agent = world.agent(tenant, cluster, "one").await;
    world.agent(tenant, cluster, "taken").await;
    let paths = vec![
        format!("/v1/clusters/{cluster}"),
        format!("/v1/hosts/{host}"),
        format!("/v1/resources/{resource}"),
        workload,
        format!("/v1/agents/{}", agent.caller.id),
    ];
    Things { tenant, cluster, paths }
}

async fn workload(admin: &Actor<'_>, cluster: ClusterId, resource: impl ToString, name: &str) -> String {
    let driver = json!({ "kind": "process", "argv": ["x"], "volume": "/v" });
    let body = json!({ "cluster_id": cluster, "name": name, "resource_id": resource.to_string(), "driver": driver });
    let made = admin.post("/v1/workloads", body).await.expect(201);
    format!("/v1/workloads/{}", made["id"].as_str().unwrap())
}

fn noun(path: &str) -> &str {
    let plural = path.split('/').nth(2).unwrap();
    plural.strip_suffix('s').unwrap()
}

async fn rows(admin: &Actor<'_>, action: &str) -> Vec<Value> {
    let page = admin.get(&format!("/v1/audit?action={action}")).await.expect(200);
    page["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_change_needs_the_version_that_is_there_and_leaves_before_and_after_in_the_audit() {
    let world = World::new().await;
    let tenant = world.tenant("a", Limits::default());
    let admin = world.person(tenant, Role::TenantAdmin);
    for path in things(&world, &admin, tenant).await.paths {
        let noun = noun(&path);
        let before = admin.get(&path).await;
        assert_eq!(before.headers["etag"], "\"1\"", "{path}");
        let before = before.expect(200);
        let body = json!({ "name": "two" });
        let blind = admin.send(Method::PATCH, &path, Some(body.to_string())).await;
        blind.problem(428, "precondition-required");
        for tag in ["\"2\"", "W/\"1\"", "1"] {
            admin
                .patch(&path, tag, body.clone())
                .await
                .problem(412, "precondition-failed");
        }
        assert_eq!(admin.get(&path).await.expect(200), before, "{path}");
        let changed = admin.patch(&path, "\"1\"", body.clone()).await;
        assert_eq!(changed.headers["etag"], "\"2\"", "{path}");
        let changed = changed.expect(200);
        assert_eq!((&changed["name"], &changed["version"]), (&json!("two"), &json!(2)));
        assert_eq!(admin.get(&path).await.expect(200)["name"], "two");
        admin
            .patch(&path, "\"1\"", body.clone())
            .await
            .problem(412, "precondition-failed");
        // what is so already is no change
        let same = admin.patch(&path, "\"2\"", body.clone()).await;
        assert_eq!(same.headers["etag"], "\"2\"", "{path}");
        admin.patch(&path, "*", json!({})).await.expect(200);
        let taken = admin.patch(&path, "*", json!({ "name": "taken" })).await;
        let taken = taken.problem(409, &format!("{noun}-name-taken"));
        assert_eq!(taken["errors"][0]["pointer"], "/name");
        for (wrong, pointer) in [
            (json!({ "name": "A" }), "/name"),
            (json!({ "id": "x" }), "/id"),
            (json!({ "version": 9 }), "/version"),
        ] {
            let refused = admin.patch(&path, "*", wrong).await.problem(422, "invalid-value");
            assert_eq!(refused["errors"][0]["pointer"], pointer, "{path}");
        }
        let action = if noun == "agent" { "rename" } else { "update" };
        let rows = rows(&admin, &format!("{noun}.{action}")).await;
        assert_eq!(rows.len(), 1, "{path}");
        assert_eq!(rows[0]["before"]["name"], "one");
        assert_eq!(rows[0]["after"]["name"], "two");
    }
}

#[tokio::test]
async fn of_two_who_change_the_same_version_one_is_told_that_it_changed() {
    let world = World::new().await;
    let tenant = world.tenant("a", Limits::default());
    let admin = world.person(tenant, Role::TenantAdmin);
    for path in things(&world, &admin, tenant).await.paths {
        let (a, b) = tokio::join!(
            admin.patch(&path, "\"1\"", json!({ "name": "a" })),
            admin.patch(&path, "\"1\"", json!({ "name": "b" })),
        );
        let mut statuses = [a.status.as_u16(), b.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 412], "{path}");
    }
}

#[tokio::test]
async fn what_is_deleted_is_nowhere_and_its_name_is_free() {
    let world = World::new().await;
    let tenant = world.tenant("a", Limits::default());
    let admin = world.person(tenant, Role::TenantAdmin);
    let cluster = admin.cluster("edge").await;
    let used = admin.resource(cluster, "used").await;
    let made = [
        ("/v1/clusters", json!({ "name": "x" })),
        ("/v1/hosts", json!({ "cluster_id": cluster, "name": "x" })),
        (
            "/v1/resources",
            json!({ "cluster_id": cluster, "name": "x", "kind": "volume" }),
        ),
        (
            "/v1/workloads",
            json!({ "cluster_id": cluster, "name": "x", "resource_id": used,
                    "driver": { "kind": "process", "argv": ["x"], "volume": "/v" } }),
        ),
    ];
    for (list, body) in made {
        let first = admin.post(list, body.clone()).await.expect(201);
        let path = format!("{list}/{}", first["id"].as_str().unwrap());
        let blind = admin.send(Method::DELETE, &path, None).await;
        blind.problem(428, "precondition-required");
        let stale = [("if-match", "\"7\"")];
        let stale = admin.send_with(Method::DELETE, &path, &stale, None).await;
        stale.problem(412, "precondition-failed");
        let exact = [("if-match", "\"1\"")];
        let gone = admin.send_with(Method::DELETE, &path, &exact, None).await;
        assert_eq!(gone.expect(204), Value::Null);
        admin.get(&path).await.problem(404, "not-found");
        admin.delete(&path).await.problem(404, "not-found");
        admin
            .patch(&path, "*", json!({ "name": "y" }))
            .await
            .problem(404, "not-found");
        let listed = admin.get(list).await.expect(200);
        let listed = listed["items"].as_array().unwrap();
        assert!(listed.iter().all(|item| item["id"] != first["id"]), "{list}");
        let next = admin.post(list, body).await.expect(201);
        assert_ne!(next["id"], first["id"], "{list}");
        let rows = rows(&admin, &format!("{}.delete", noun(&path))).await;
        assert_eq!((rows.len(), &rows[0]["before"]["name"]), (1, &json!("x")), "{list}");
    }
}

#[tokio::test]
async fn whoever_may_only_look_or_work_changes_nothing_and_elsewhere_sees_nothing() {
    let world = World::new().await;
    let tenant = world.tenant("a", Limits::default());
    let admin = world.person(tenant, Role::TenantAdmin);
    let things = things(&world, &admin, tenant).await;
    let elsewhere = admin.cluster("elsewhere").await;
    let reader = world.person(things.tenant, Role::ReadOnly);
    let operator = world.cluster_person(tenant, things.cluster, Role::ClusterOperator);
    // manages another cluster, and sees this one
    let both = world.cluster_people(
        tenant,
        &[(elsewhere, Role::ClusterAdmin), (things.cluster, Role::ClusterOperator)],
    );
    let stranger = world.cluster_person(tenant, elsewhere, Role::ClusterAdmin);
    for path in &things.paths {
        let name = json!({ "name": "mine" });
        for who in [&reader, &operator, &both] {
            who.patch(path, "*", name.clone())
                .await
                .problem(403, "permission-denied");
        }
        stranger.patch(path, "*", name).await.problem(404, "not-found");
        if noun(path) == "agent" {
            continue;
        }
        for who in [&reader, &operator, &both] {
            who.delete(path).await.problem(403, "permission-denied");
        }
        stranger.delete(path).await.problem(404, "not-found");
    }
    let cluster_admin = world.cluster_person(tenant, things.cluster, Role::ClusterAdmin);
    for path in &things.paths {
        cluster_admin.change(path, json!({ "name": "mine" })).await.expect(200);
    }
}

#[test]
fn every_change_says_in_the_description_that_it_is_conditional() {
    let doc = serde_json::to_value(router::openapi()).unwrap();
    let mut changes = 0;
    for (path, item) in doc["paths"].as_object().unwrap() {
        let Some(patch) = item.get("patch") else { continue };
        changes += 1;
        let parameters = patch["parameters"].as_array().unwrap();
        assert!(parameters.iter().any(|p| p["name"] == "If-Match"), "{path}");
        for status in ["412", "428"] {
            assert!(patch["responses"].get(status).is_some(), "{path} {status}");
        }
    }
    assert!(changes >= 5, "{changes}");
}
