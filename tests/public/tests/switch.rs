//! The tenant in force is changed deliberately, and what was made for the old one ends.
use super::world::{Answer, PASSWORD, World};
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

fn in_force(answer: &Answer) -> Option<&str> {
    answer
        .headers
        .get("exarch-tenant")
        .map(|tenant| tenant.to_str().unwrap())
}

#[tokio::test]
async fn every_answer_to_somebody_in_a_tenant_says_which() {
    let world = World::new().await;
    let (north, admin) = world.tenant("north").await;
    let (south, other) = world.tenant("south").await;
    let mail = "both@x.example";
    world.member(&admin, mail, &["read-only"]).await;
    let grant = json!({"email": mail, "roles": ["auditor"]});
    other.post("/v1/tenants/south/memberships", grant).await.status(201);
    let both = world.signed_in(mail, PASSWORD).await;
    for (path, code) in [
        ("/v1/me", 200),
        ("/v1/users", 403),
        ("/v1/roles/none", 403),
        ("/v1/me/sessions", 200),
    ] {
        let answer = both.get(path).await;
        assert_eq!((answer.code, in_force(&answer)), (code, Some(north.as_str())), "{path}");
    }
    let absent = admin.get("/v1/users/usr_00000000000000000000000000000000").await;
    assert_eq!((absent.code, in_force(&absent)), (404, Some(north.as_str())));
    let (watched, _) = admin.stream("/v1/users").await;
    assert_eq!(watched.headers["exarch-tenant"], north.as_str());
    let new = both.post("/v1/me/tenant", json!({"tenant": "south"})).await.ok();
    let there = both.with_token(new["access_token"].as_str().unwrap());
    assert_eq!(in_force(&there.get("/v1/audit").await), Some(south.as_str()));
    for nowhere in [world.owner().await, world.anyone()] {
        assert_eq!(in_force(&nowhere.get("/v1/me").await), None);
    }
}

#[tokio::test]
async fn a_refresh_token_made_for_one_tenant_is_worth_nothing_in_another() {
    let world = World::new().await;
    let (north, admin) = world.tenant("north").await;
    let (_, other) = world.tenant("south").await;
    let mail = "both@x.example";
    world.member(&admin, mail, &["read-only"]).await;
    let grant = json!({"email": mail, "roles": ["auditor"]});
    other.post("/v1/tenants/south/memberships", grant).await.status(201);
    let client = world.anyone();
    let pair = client.sign_in(mail, PASSWORD).await.ok();
    let refresh = json!({"refresh_token": pair["refresh_token"], "tenant": "south"});
    assert!(matches!(client.post("/v1/auth/refresh", refresh).await.code, 400 | 422));
    let refresh = json!({"refresh_token": pair["refresh_token"]});
    let next = client.post("/v1/auth/refresh", refresh).await.ok();
    let again = client.clone().with_token(next["access_token"].as_str().unwrap());
    let me = again.get("/v1/me").await;
    assert_eq!(in_force(&me), Some(north.as_str()));
    assert_eq!(me.json()["roles"], json!(["read-only"]));
    // what only the role in the other tenant gives, this pair does not give
    again.get("/v1/audit").await.problem(403, "permission-denied");
}
