//! API keys: made, shown once, changed, given another secret, revoked; and what a key can never be.
use super::{
    edits::{etag, patch},
    world::{Client, World},
};
use serde_json::{Value, json};
use std::time::Duration;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

const PATH: &str = "/v1/api-keys";

fn federated(name: &str, role: &str) -> Value {
    json!({"name": name, "kind": "federated", "role": role})
}

async fn made(client: &Client, body: Value) -> (String, Value) {
    let made = client.post(PATH, body).await.status(201);
    (format!("{PATH}/{}", made["id"].as_str().unwrap()), made)
}

/// A tenant `north` that is entitled to `eu-north` and not to `eu-south`.
async fn north() -> (World, Client) {
    let world = World::new().await;
    world.region("eu-north").await;
    world.region("eu-south").await;
    let (_, admin) = world.tenant("north").await;
    let granted = json!({"region": "eu-north"});
    let owner = world.owner().await;
    owner.post("/v1/tenants/north/entitlements", granted).await.status(201);
    (world, admin)
}

#[tokio::test]
async fn a_secret_is_shown_once_and_only_its_digest_is_kept() {
    let (world, admin) = north().await;
    let body = json!({"name": "builds", "kind": "regional", "region": "eu-north", "role": "auditor",
                      "cidrs": ["192.0.2.0/24", "2001:db8::/32", "192.0.2.0/24"]});
    let (path, key) = made(&admin, body).await;
    let secret = key["secret"].as_str().unwrap();
    let (id, bits) = secret.strip_prefix("sk_").unwrap().split_once('_').unwrap();
    assert_eq!(key["id"], format!("key_{id}"));
    assert_eq!(bits.len(), 43);
    let read = admin.get(&path).await.ok();
    assert_eq!(read["region"]["slug"], "eu-north");
    assert_eq!(read["owner"]["user"]["email"], "admin@north.example");
    assert_eq!(
        (&read["state"], &read["cidrs"]),
        (&json!("active"), &json!(["192.0.2.0/24", "2001:db8::/32"]))
    );
    let rows = [
        world.dump("gc.api_key").await,
        world.dump("gc.audit").await,
        world.dump("gc.idempotency").await,
    ];
    assert!(rows.iter().flatten().all(|row| !row.contains(bits)));
    for answer in [read.to_string(), admin.get(PATH).await.text] {
        assert!(!answer.contains(bits) && !answer.contains("secret\""), "{answer}");
    }
    let row = admin.get("/v1/audit?action=api_key.create").await.ok();
    assert_eq!(row["items"][0]["after"]["name"], "builds");
}

#[tokio::test]
async fn a_repeat_does_not_show_the_secret_again() {
    let (_world, admin) = north().await;
    let body = Some(federated("builds", "read-only").to_string());
    let headers = [("idempotency-key", "once")];
    let first = admin.send_with("POST", PATH, &headers, body.clone()).await.status(201);
    let again = admin.send_with("POST", PATH, &headers, body).await;
    assert_eq!(again.problem(409, "secret-already-shown")["id"], first["id"]);
}

#[tokio::test]
async fn nobody_makes_changes_or_rotates_a_key_with_more_than_they_hold() {
    let (world, admin) = north().await;
    let own =
        json!({"name": "keeper", "permissions": ["api_key.create", "api_key.read", "api_key.rotate", "user.list"]});
    admin.post("/v1/roles", own).await.status(201);
    let (_, keeper) = world.member(&admin, "keeper@n.example", &["keeper"]).await;
    keeper
        .post(PATH, federated("up", "tenant-admin"))
        .await
        .problem(403, "role-not-held");
    made(&keeper, federated("own", "keeper")).await;
    let (path, _) = made(&admin, federated("admins", "tenant-admin")).await;
    let tag = etag(&keeper.get(&path).await);
    patch(&keeper, &path, &tag, json!({"expires_at": "2027-01-01T00:00:00Z"}))
        .await
        .problem(403, "role-not-held");
    keeper
        .post(&format!("{path}/rotate"), json!({}))
        .await
        .problem(403, "role-not-held");
    keeper
        .post(&format!("{path}/revoke"), json!({"reason": "x"}))
        .await
        .problem(403, "permission-denied");
    let (_, reader) = world.member(&admin, "reader@n.example", &["read-only"]).await;
    for path in [PATH, &path] {
        reader.get(path).await.problem(403, "permission-denied");
    }
}

#[tokio::test]
async fn what_a_key_cannot_be_is_refused_with_its_place() {
    let (world, admin) = north().await;
    let regional = |region: &str| json!({"name": "k", "kind": "regional", "region": region, "role": "auditor"});
    let with = |member: &str, value: Value| {
        let mut body = federated("k", "auditor");
        body[member] = value;
        body
    };
    for (body, pointer) in [
        (regional("eu-south"), "/region"),
        (regional("nowhere"), "/region"),
        (json!({"name": "k", "kind": "regional", "role": "auditor"}), "/region"),
        (with("region", json!("eu-north")), "/region"),
        (with("role", json!("cluster-admin")), "/role"),
        (with("role", json!("system-admin")), "/role"),
        (with("role", json!("nobodys")), "/role"),
        (with("cidrs", json!(["192.0.2.0/24", "192.0.2.1/24"])), "/cidrs/1"),
        (with("cidrs", json!(["north"])), "/cidrs/0"),
        (with("cidrs", json!(vec!["192.0.2.1"; 33])), "/cidrs"),
        (with("expires_at", json!("2026-03-01T12:00:00Z")), "/expires_at"),
    ] {
        let problem = admin.post(PATH, body.clone()).await.problem(422, "invalid-api-key");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{body}");
    }
    made(&admin, federated("k", "auditor")).await;
    admin
        .post(PATH, federated("k", "read-only"))
        .await
        .problem(409, "api-key-exists");
    // a membership that does not reach the region makes no key for it
    let regions = admin.get("/v1/me/regions").await.ok();
    assert_eq!(regions["items"][0]["slug"], "eu-north");
    let mut conn = world.db().superuser().await;
    let narrowed = sqlx::query("UPDATE gc.membership SET regions = ARRAY[$1]").bind(world.app.ambient.uuid());
    narrowed.execute(&mut conn).await.unwrap();
    let problem = admin
        .post(PATH, regional("eu-north"))
        .await
        .problem(422, "invalid-api-key");
    assert_eq!(problem["errors"][0]["pointer"], "/region");
}

#[tokio::test]
async fn a_rotation_keeps_one_secret_before_for_a_while() {
    let (world, admin) = north().await;
    let (path, first) = made(&admin, federated("builds", "auditor")).await;
    let rotate = format!("{path}/rotate");
    let second = admin.post(&rotate, json!({})).await.status(201);
    assert_ne!(first["secret"], second["secret"]);
    let at = |member: &str| OffsetDateTime::parse(second[member].as_str().unwrap(), &Rfc3339).unwrap();
    assert_eq!(at("previous_secret_until") - at("secret_since"), time::Duration::DAY);
    world.clock.advance(Duration::from_secs(25 * 3600));
    let admin = world.signed_in("admin@north.example", super::world::PASSWORD).await;
    assert_eq!(admin.get(&path).await.ok()["previous_secret_until"], Value::Null);
    let third = admin.post(&rotate, json!({"overlap_seconds": 0})).await.status(201);
    assert_eq!(third["previous_secret_until"], Value::Null);
    let rows = world.dump("gc.api_key").await;
    assert_eq!(rows.len(), 1);
    let before = admin.get(&path).await.ok()["secret_since"].clone();
    let problem = admin.post(&rotate, json!({"overlap_seconds": 604_801})).await;
    assert_eq!(
        problem.problem(422, "invalid-api-key")["errors"][0]["pointer"],
        "/overlap_seconds"
    );
    assert_eq!(admin.get(&path).await.ok()["secret_since"], before);
}

#[tokio::test]
async fn a_key_ends_with_its_owners_place_and_a_new_place_does_not_bring_it_back() {
    let (world, admin) = north().await;
    let (user, second) = world.member(&admin, "second@n.example", &["tenant-admin"]).await;
    let (path, _) = made(&second, federated("builds", "auditor")).await;
    let state = async || admin.get(&path).await.ok()["state"].clone();
    assert_eq!(state().await, "active");
    let list = admin.get("/v1/tenants/north/memberships").await.ok();
    let all = list["items"].as_array().unwrap();
    let place = all.iter().find(|m| m["user"]["id"] == user.as_str()).unwrap();
    let place = format!("/v1/tenants/north/memberships/{}", place["id"].as_str().unwrap());
    assert_eq!(admin.delete(&place).await.code, 204);
    assert_eq!(state().await, "void");
    let again = json!({"user_id": user, "roles": ["tenant-admin"]});
    admin.post("/v1/tenants/north/memberships", again).await.status(201);
    assert_eq!(state().await, "void");
}

#[tokio::test]
async fn a_revoked_key_is_gone_and_its_name_and_its_role_are_free() {
    let (_world, admin) = north().await;
    let own = json!({"name": "desk", "permissions": ["user.list"]});
    admin.post("/v1/roles", own).await.status(201);
    let (path, _) = made(&admin, federated("builds", "desk")).await;
    admin.delete("/v1/roles/desk").await.problem(409, "role-in-use");
    assert_eq!(
        admin.post(&format!("{path}/revoke"), json!({"reason": "x"})).await.code,
        204
    );
    for answer in [
        admin.get(&path).await,
        admin.post(&format!("{path}/revoke"), json!({"reason": "x"})).await,
        admin.post(&format!("{path}/rotate"), json!({})).await,
    ] {
        answer.problem(404, "api-key-not-found");
    }
    assert_eq!(admin.get(PATH).await.ok()["items"], json!([]));
    assert_eq!(admin.delete("/v1/roles/desk").await.code, 204);
    made(&admin, federated("builds", "auditor")).await;
    let row = admin.get("/v1/audit?action=api_key.revoke").await.ok();
    assert_eq!(row["items"][0]["before"]["role"], "desk");
}
