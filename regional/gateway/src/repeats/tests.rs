use super::Forget;
use crate::testing::{Actor, Answer, Limits, World};
use axum::http::Method;
use exarch_common_authz::Role;
use exarch_common_base::ClusterId;
use exarch_common_runtime::Reconcile;
use serde_json::{Value, json};
use std::time::Duration;

/// `POST` under a key.
async fn under(actor: &Actor<'_>, key: &str, path: &str, body: &Value) -> Answer {
    let header = [("idempotency-key", key)];
    actor
        .send_with(Method::POST, path, &header, Some(body.to_string()))
        .await
}

async fn how_many(actor: &Actor<'_>, path: &str) -> usize {
    let page = actor.get(path).await.expect(200);
    page["items"].as_array().unwrap().len()
}

/// What can be made in a cluster, and the answer shows no secret.
async fn plain(admin: &Actor<'_>, cluster: ClusterId) -> Vec<(&'static str, Value)> {
    let resource = admin.resource(cluster, "used").await;
    let driver = json!({ "kind": "process", "argv": ["x"], "volume": "/v" });
    vec![
        ("/v1/clusters", json!({ "name": "x" })),
        ("/v1/hosts", json!({ "cluster_id": cluster, "name": "x" })),
        (
            "/v1/resources",
            json!({ "cluster_id": cluster, "name": "x", "kind": "volume" }),
        ),
        (
            "/v1/workloads",
            json!({ "cluster_id": cluster, "name": "x", "resource_id": resource, "driver": driver }),
        ),
    ]
}

#[tokio::test]
async fn a_request_that_is_repeated_makes_one_thing_and_gets_one_answer_from_every_replica() {
    let world = World::new().await;
    let replica = world.listener(&world.replica().await);
    let tenant = world.tenant("a", Limits::default());
    let admin = world.person(tenant, Role::TenantAdmin);
    let cluster = admin.cluster("edge").await;
    for (path, body) in plain(&admin, cluster).await {
        let before = how_many(&admin, path).await;
        let first = under(&admin, "k", path, &body).await;
        for again in [
            under(&admin, "k", path, &body).await,
            under(&admin.at(&replica), "k", path, &body).await,
        ] {
            for name in ["location", "etag", "content-type"] {
                assert_eq!(again.headers[name], first.headers[name], "{path}");
            }
            assert_eq!((again.status, &again.body), (first.status, &first.body), "{path}");
        }
        first.expect(201);
        assert_eq!(how_many(&admin, path).await, before + 1, "{path}");
        let mut other = body.clone();
        other["name"] = json!("y");
        let reused = under(&admin, "k", path, &other).await;
        reused.problem(422, "idempotency-key-reused");
        // the key is its caller's: to another one it says nothing
        let colleague = world.person(tenant, Role::TenantAdmin);
        let taken = under(&colleague, "k", path, &body).await;
        assert_eq!(taken.status, 409, "{path}");
        assert_eq!(how_many(&admin, path).await, before + 1, "{path}");
    }
}

#[tokio::test]
async fn what_shows_a_secret_is_not_shown_again() {
    let world = World::new().await;
    let tenant = world.tenant("a", Limits::default());
    let admin = world.person(tenant, Role::TenantAdmin);
    let cluster = admin.cluster("edge").await;
    let agent = world.agent(tenant, cluster, "edge-1").await.caller.id;
    for (path, body) in [
        ("/v1/bootstrap-tokens".to_owned(), json!({ "cluster_id": cluster })),
        (format!("/v1/agents/{agent}/re-enrol"), json!({})),
    ] {
        let before = how_many(&admin, "/v1/bootstrap-tokens").await;
        let first = under(&admin, "k", &path, &body).await.expect(201);
        let again = under(&admin, "k", &path, &body)
            .await
            .problem(409, "secret-already-shown");
        assert_eq!(again["id"], first["id"], "{path}");
        assert!(!again.to_string().contains(first["token"].as_str().unwrap()));
        assert_eq!(how_many(&admin, "/v1/bootstrap-tokens").await, before + 1, "{path}");
    }
}

#[tokio::test]
async fn what_failed_is_tried_anew_and_another_tenants_key_is_another_key() {
    let world = World::new().await;
    let (a, b) = (
        world.tenant("a", Limits::default()),
        world.tenant("b", Limits::default()),
    );
    let (a, b) = (world.person(a, Role::TenantAdmin), world.person(b, Role::TenantAdmin));
    let body = json!({ "name": "x" });
    let first = a.cluster("x").await;
    let taken = under(&a, "k", "/v1/clusters", &body).await;
    taken.problem(409, "cluster-name-taken");
    a.delete(&format!("/v1/clusters/{first}")).await.expect(204);
    let made = under(&a, "k", "/v1/clusters", &body).await.expect(201);
    let other = under(&b, "k", "/v1/clusters", &body).await.expect(201);
    assert_ne!(made["id"], other["id"]);
    // what was made and deleted since is not made again by a repeat
    a.delete(&format!("/v1/clusters/{}", made["id"].as_str().unwrap()))
        .await
        .expect(204);
    assert_eq!(under(&a, "k", "/v1/clusters", &body).await.expect(201), made);
    assert_eq!(how_many(&a, "/v1/clusters").await, 0);
}

#[tokio::test]
async fn of_two_at_once_under_one_key_one_has_an_effect() {
    let world = World::new().await;
    let admin = world.person(world.tenant("a", Limits::default()), Role::TenantAdmin);
    let cluster = admin.cluster("edge").await;
    let body = json!({ "cluster_id": cluster });
    let (one, two) = tokio::join!(
        under(&admin, "k", "/v1/bootstrap-tokens", &body),
        under(&admin, "k", "/v1/bootstrap-tokens", &body),
    );
    let mut statuses = [one.status.as_u16(), two.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    assert_eq!(how_many(&admin, "/v1/bootstrap-tokens").await, 1);
}

#[tokio::test]
async fn after_a_day_a_key_is_as_good_as_new_and_its_record_goes() {
    let world = World::new().await;
    let admin = world.person(world.tenant("a", Limits::default()), Role::TenantAdmin);
    let cluster = admin.cluster("edge").await;
    let body = json!({ "cluster_id": cluster });
    let mut forget = Forget { app: world.app.clone() };
    under(&admin, "k", "/v1/bootstrap-tokens", &body).await.expect(201);
    assert_eq!(forget.pass().await.unwrap(), 0);
    world.clock.advance(Duration::from_secs(24 * 3600));
    under(&admin, "k", "/v1/bootstrap-tokens", &body).await.expect(201);
    assert_eq!(forget.pass().await.unwrap(), 0);
    world.clock.advance(Duration::from_secs(24 * 3600));
    assert_eq!(forget.pass().await.unwrap(), 1);
    assert_eq!(forget.pass().await.unwrap(), 0);
}
