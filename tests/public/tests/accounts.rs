//! The end of an account: everywhere at once, by the provider alone, and back again.
use super::world::{OWNER, PASSWORD, World};
use serde_json::{Value, json};

const REASON: &str = "left the company";

async fn section_of(world: &World, tenant: &str) -> String {
    let mut conn = world.db().superuser().await;
    let bytes: Vec<u8> = sqlx::query_scalar("SELECT contents FROM gc.passport_section WHERE id = 'tenant/' || $1")
        .bind(tenant)
        .fetch_one(&mut conn)
        .await
        .unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn a_disabled_account_is_over_everywhere_at_once_and_can_come_back() {
    let world = World::new().await;
    let owner = world.owner().await;
    let region = json!({"slug": "eu-north", "name": "EU North", "url": "https://eu.example"});
    owner.post("/v1/regions", region).await.status(201);
    let (tenant, north) = world.tenant("north").await;
    let entitlements = format!("/v1/tenants/{tenant}/entitlements");
    owner
        .post(&entitlements, json!({"region": "eu-north"}))
        .await
        .status(201);
    let (user, member) = world.member(&north, "m@x.example", &["read-only"]).await;
    assert!(!section_of(&world, &tenant).await.contains("disabled"));

    let found = owner
        .post("/v1/federation-users/find", json!({"email": "M@x.example"}))
        .await
        .ok();
    assert_eq!((&found["id"], &found["state"]), (&json!(user), &json!("active")));
    let path = format!("/v1/federation-users/{user}");
    let step = |what: &str| (format!("{path}/{what}"), json!({ "reason": REASON }));
    let (disable, body) = step("disable");
    let after = owner.post(&disable, body.clone()).await.ok();
    assert_eq!(after["state"], "disabled");
    assert_eq!(owner.get(&path).await.ok(), after);

    member.get("/v1/me").await.problem(401, "unauthenticated");
    let sign_in = json!({"email": "m@x.example", "password": PASSWORD, "session": "token"});
    let refused = world.anyone().post("/v1/auth/sign-in", sign_in.clone()).await;
    let unknown = json!({"email": "nobody@x.example", "password": PASSWORD, "session": "token"});
    let never = world.anyone().post("/v1/auth/sign-in", unknown).await;
    assert_eq!(
        (refused.code, refused.json()["type"].clone()),
        (never.code, never.json()["type"].clone()),
        "disabled and unknown are one answer"
    );
    assert!(section_of(&world, &tenant).await.contains("disabled"));
    owner.post(&disable, body.clone()).await.problem(409, "user-state");
    // both ledgers tell of it, with the reason
    for (reader, ledger) in [(&owner, "/v1/federation-audit"), (&north, "/v1/audit")] {
        let rows = reader.get(&format!("{ledger}?action=user.disable")).await.ok();
        let rows = rows["items"].as_array().unwrap();
        assert_eq!(rows.len(), 1, "{ledger}");
        assert_eq!(rows[0]["reason"], REASON);
        assert_eq!(rows[0]["after"], json!({"state": "disabled"}));
    }

    let (enable, body) = step("enable");
    assert_eq!(owner.post(&enable, body.clone()).await.ok()["state"], "active");
    owner.post(&enable, body).await.problem(409, "user-state");
    member.get("/v1/me").await.problem(401, "unauthenticated");
    let back = world.anyone().post("/v1/auth/sign-in", sign_in).await.ok();
    assert_eq!(back["status"], "signed-in");
    assert!(!section_of(&world, &tenant).await.contains("disabled"));
}

#[tokio::test]
async fn nobody_but_the_provider_ends_an_account_and_never_the_last_administrators() {
    let world = World::new().await;
    let owner = world.owner().await;
    let (_, north) = world.tenant("north").await;
    let (user, _) = world.member(&north, "m@x.example", &["tenant-admin"]).await;
    let reason = json!({ "reason": REASON });
    let refused = north
        .post(&format!("/v1/federation-users/{user}/disable"), reason.clone())
        .await;
    refused.problem(403, "permission-denied");
    let mine = owner.get("/v1/me").await.ok()["user"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let own = owner
        .post(&format!("/v1/federation-users/{mine}/disable"), reason.clone())
        .await;
    own.problem(409, "own-account");

    // A second member of the staff who is no administrator for good does not make the owner one of several.
    let mut conn = world.db().superuser().await;
    let other = uuid::Uuid::parse_str(&user[4..]).unwrap();
    sqlx::query(
        "INSERT INTO gc.staff_binding (id, user_id, role, created_by, created_at, until_at)
         VALUES ($1, $1, 'system-admin', 'test', '2026-03-01', '2027-03-01')",
    )
    .bind(other)
    .execute(&mut conn)
    .await
    .unwrap();
    let second = world.signed_in("m@x.example", PASSWORD).await;
    let last = second
        .post(&format!("/v1/federation-users/{mine}/disable"), reason.clone())
        .await;
    last.problem(409, "last-administrator");
    owner.get("/v1/me").await.ok();
    sqlx::query("UPDATE gc.staff_binding SET until_at = NULL WHERE user_id = $1")
        .bind(other)
        .execute(&mut conn)
        .await
        .unwrap();
    // Each ends the other's account at the same time: one of them is the last and stays.
    let (one, two) = (
        format!("/v1/federation-users/{mine}/disable"),
        format!("/v1/federation-users/{user}/disable"),
    );
    let (a, b) = tokio::join!(second.post(&one, reason.clone()), owner.post(&two, reason));
    assert_eq!(
        [a.code, b.code].iter().filter(|code| **code == 200).count(),
        1,
        "{} {}",
        a.text,
        b.text
    );
    let active: i64 = sqlx::query_scalar("SELECT count(*) FROM gc.user WHERE state = 'active'")
        .fetch_one(&mut conn)
        .await
        .unwrap();
    assert!(active >= 2, "the tenant's first administrator and one of the two");
}

#[tokio::test]
async fn an_account_that_is_not_there_is_not_found() {
    let world = World::new().await;
    let owner = world.owner().await;
    let nobody: Value = json!({"email": "nobody@x.example"});
    let find = owner.post("/v1/federation-users/find", nobody).await;
    find.problem(404, "user-not-found");
    let path = "/v1/federation-users/usr_00000000000000000000000000000000";
    owner.get(path).await.problem(404, "user-not-found");
    let step = owner
        .post(&format!("{path}/disable"), json!({ "reason": REASON }))
        .await;
    step.problem(404, "user-not-found");
    let found = owner
        .post("/v1/federation-users/find", json!({ "email": OWNER }))
        .await
        .ok();
    assert_eq!(found["email"], OWNER);
}
