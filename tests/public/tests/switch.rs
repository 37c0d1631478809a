//! The tenant in force is changed deliberately, and what was made for the old one ends.
use super::world::{PASSWORD, World};
use serde_json::json;

#[tokio::test]
async fn a_switch_ends_the_pair_for_the_old_tenant() {
    let world = World::new().await;
    let (_, north) = world.tenant("north").await;
    let (_, south) = world.tenant("south").await;
    world.member(&north, "both@x.example", &["read-only"]).await;
    let grant = json!({"email": "both@x.example", "roles": ["auditor"]});
    south.post("/v1/tenants/south/memberships", grant).await.status(201);
    let client = world.anyone();
    let old = client.sign_in("both@x.example", PASSWORD).await.ok();
    assert_eq!(old["tenant"]["slug"], "north");
    let in_north = client.clone().with_token(old["access_token"].as_str().unwrap());
    in_north
        .post("/v1/me/tenant", json!({"tenant": "west"}))
        .await
        .problem(404, "tenant-not-found");

    let new = in_north.post("/v1/me/tenant", json!({"tenant": "south"})).await.ok();
    assert_eq!(new["tenant"]["slug"], "south");
    let in_south = client.clone().with_token(new["access_token"].as_str().unwrap());
    let me = in_south.get("/v1/me").await.ok();
    assert_eq!(
        (&me["tenant"]["slug"], &me["roles"]),
        (&json!("south"), &json!(["auditor"]))
    );
    in_north.get("/v1/me").await.problem(401, "unauthenticated");
    let body = json!({"refresh_token": old["refresh_token"]});
    client
        .post("/v1/auth/refresh", body)
        .await
        .problem(401, "refresh-refused");
    let body = json!({"refresh_token": new["refresh_token"]});
    client.post("/v1/auth/refresh", body).await.ok();
    in_north
        .post("/v1/me/tenant", json!({"tenant": "north"}))
        .await
        .problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_switch_does_not_prolong_the_session() {
    let world = World::new().await;
    let (_, admin) = world.tenant("north").await;
    let before = admin.get("/v1/me").await.ok();
    world.clock.advance(std::time::Duration::from_secs(600));
    let new = admin.post("/v1/me/tenant", json!({"tenant": "north"})).await.ok();
    let after = admin
        .clone()
        .with_token(new["access_token"].as_str().unwrap())
        .get("/v1/me")
        .await
        .ok();
    for what in ["expires_at", "auth_time", "amr"] {
        assert_eq!(before["session"][what], after["session"][what]);
    }
    assert_ne!(before["session"]["id"], after["session"]["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_switches_at_once_one_wins() {
    let world = World::new().await;
    let (_, admin) = world.tenant("north").await;
    let switch = || admin.post("/v1/me/tenant", json!({"tenant": "north"}));
    let (a, b) = tokio::join!(switch(), switch());
    let mut codes = [a.code, b.code];
    codes.sort_unstable();
    assert_eq!(codes, [200, 401]);
}
