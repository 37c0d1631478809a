//! Signing in, step by step.
use super::world::{OWNER, PASSWORD, World};
use exarch_global_controller::{keys, setup};
use serde_json::{Value, json};
use std::time::Duration;

/// Status, headers that a client could look at, and the body without what is new in each answer.
fn seen(answer: super::world::Answer) -> (u16, Option<String>, Value) {
    let mut body = answer.json();
    body.as_object_mut().unwrap().remove("request_id");
    let challenge = answer
        .headers
        .get("www-authenticate")
        .map(|v| v.to_str().unwrap().to_owned());
    (answer.code, challenge, body)
}

#[tokio::test]
async fn unknown_wrong_locked_and_disabled_are_one_answer() {
    let world = World::new().await;
    let (_, admin) = world.tenant("north").await;
    world.member(&admin, "locked@north.example", &["read-only"]).await;
    world.member(&admin, "gone@north.example", &["read-only"]).await;
    let mut conn = world.db().superuser().await;
    let gone = world.app.keys.email_index("gone@north.example");
    sqlx::query("UPDATE gc.user SET state = 'disabled' WHERE email_index = $1")
        .bind(&gone[..])
        .execute(&mut conn)
        .await
        .unwrap();
    let client = world.anyone();
    let unknown = seen(client.sign_in("nobody@north.example", PASSWORD).await);
    assert_eq!(unknown.0, 401);
    let mut others = vec![
        client.sign_in(OWNER, "not the password at all").await,
        client.sign_in("gone@north.example", PASSWORD).await,
        client.sign_in("no address", PASSWORD).await,
        client.sign_in(OWNER, &"x".repeat(257)).await,
    ];
    for _ in 0..10 {
        others.push(client.sign_in("locked@north.example", "not the password at all").await);
    }
    // right, and locked by now
    others.push(client.sign_in("locked@north.example", PASSWORD).await);
    for other in others {
        assert_eq!(seen(other), unknown);
    }
}

#[tokio::test]
async fn ten_failures_lock_for_ten_minutes_and_leave_sessions_alone() {
    let world = World::new().await;
    let session = world.owner().await;
    let client = world.anyone();
    for _ in 0..10 {
        client
            .sign_in(OWNER, "not the password at all")
            .await
            .problem(401, "sign-in-refused");
    }
    client.sign_in(OWNER, PASSWORD).await.problem(401, "sign-in-refused");
    session.get("/v1/me").await.ok();
    let rows = session.get("/v1/federation-audit?action=user.lock").await.ok();
    assert_eq!(rows["items"].as_array().unwrap().len(), 1, "{rows}");
    world.clock.advance(Duration::from_secs(599));
    client.sign_in(OWNER, PASSWORD).await.problem(401, "sign-in-refused");
    world.clock.advance(Duration::from_secs(1));
    world.signed_in(OWNER, PASSWORD).await;
    // forgiven: nine more do not lock
    for _ in 0..9 {
        client
            .sign_in(OWNER, "not the password at all")
            .await
            .problem(401, "sign-in-refused");
    }
    world.clock.advance(Duration::from_secs(60));
    world.signed_in(OWNER, PASSWORD).await;
}

#[tokio::test]
async fn an_address_is_one_however_it_is_spelled() {
    let world = World::new().await;
    world.signed_in(" Owner@Provider.EXAMPLE ", PASSWORD).await;
}

#[tokio::test]
async fn staff_without_a_tenant_sign_in_with_none_in_force() {
    let world = World::new().await;
    let me = world.owner().await.get("/v1/me").await.ok();
    assert_eq!(me["user"]["email"], OWNER);
    assert_eq!((&me["system"], &me["tenants"]), (&json!(["system-admin"]), &json!([])));
    assert!(me.get("tenant").is_none());
    world.owner().await.get("/v1/users").await.problem(403, "no-tenant");
}

#[tokio::test]
async fn a_browser_gets_a_cookie_and_no_token() {
    let world = World::new().await;
    let mut client = world.anyone();
    let body = json!({"email": OWNER, "password": PASSWORD, "session": "cookie"});
    let answer = client.post("/v1/auth/sign-in", body).await;
    assert!(
        !answer.headers.contains_key("set-cookie"),
        "the second factor comes first"
    );
    let answer = world.second_step(OWNER, answer).await;
    let cookie = answer.headers["set-cookie"].to_str().unwrap().to_owned();
    let attributes: Vec<&str> = cookie.split("; ").collect();
    assert!(attributes[0].starts_with("__Host-exarch-global="), "{cookie}");
    for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"] {
        assert!(attributes.contains(&attribute), "{cookie}");
    }
    let answer = answer.ok();
    assert_eq!(answer["status"], "signed-in");
    assert!(answer.get("access_token").is_none() && answer.get("refresh_token").is_none());

    client.cookie = Some(attributes[0].to_owned());
    let me = client.get("/v1/me").await.ok();
    assert_eq!(me["session"]["kind"], "cookie");
    let token = client.post("/v1/me/token", json!({})).await.ok();
    let bearer = world.anyone().with_token(token["access_token"].as_str().unwrap());
    bearer.get("/v1/me").await.ok();

    let out = client.post("/v1/auth/sign-out", json!({})).await;
    assert!(out.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(out.code, 204);
    client.get("/v1/me").await.problem(401, "unauthenticated");
    bearer.get("/v1/me").await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_session_ends_at_its_time() {
    let world = World::new().await;
    let (_, user) = world.tenant("north").await;
    let client = world.browser(OWNER).await;
    world.clock.advance(Duration::from_secs(8 * 3600 - 1));
    client.get("/v1/me").await.ok();
    world.clock.advance(Duration::from_secs(1));
    client.get("/v1/me").await.problem(401, "unauthenticated");
    // an access token ends long before
    user.get("/v1/me").await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn an_initial_password_is_changed_at_the_first_sign_in() {
    let world = World::new().await;
    let body = json!({"slug": "north", "name": "North", "admin": {"email": "a@n.example", "display_name": "A"}});
    let made = world.owner().await.post("/v1/tenants", body).await.status(201);
    let initial = made["admin"]["initial_password"].as_str().unwrap();
    let client = world.anyone();
    let next = client.sign_in("a@n.example", initial).await.ok();
    assert_eq!(
        (&next["status"], &next["next"]),
        (&json!("next"), &json!("change-password"))
    );
    let answer = |new: Value| json!({"ticket": next["ticket"], "new_password": new});
    for weak in ["short", "passwordpassword", "a@n.example", initial] {
        client
            .post("/v1/auth/next", answer(json!(weak)))
            .await
            .problem(422, "weak-password");
    }
    client
        .post("/v1/auth/next", json!({"ticket": next["ticket"]}))
        .await
        .problem(422, "step-unanswered");
    let done = client.post("/v1/auth/next", answer(json!(PASSWORD))).await.ok();
    assert_eq!(done["tenant"]["slug"], "north");
    let me = client
        .clone()
        .with_token(done["access_token"].as_str().unwrap())
        .get("/v1/me")
        .await
        .ok();
    assert_eq!(me["roles"], json!(["tenant-admin"]));
    // once
    client
        .post("/v1/auth/next", answer(json!("another three words 8")))
        .await
        .problem(410, "ticket-expired");
    client
        .sign_in("a@n.example", initial)
        .await
        .problem(401, "sign-in-refused");
    world.signed_in("a@n.example", PASSWORD).await;
}

#[tokio::test]
async fn a_ticket_ends_after_five_minutes_and_a_made_up_one_is_none() {
    let world = World::new().await;
    let body = json!({"slug": "north", "name": "North", "admin": {"email": "a@n.example", "display_name": "A"}});
    let made = world.owner().await.post("/v1/tenants", body).await.status(201);
    let client = world.anyone();
    let next = client
        .sign_in("a@n.example", made["admin"]["initial_password"].as_str().unwrap())
        .await
        .ok();
    let answer = |ticket: &Value| json!({"ticket": ticket, "new_password": PASSWORD});
    client
        .post("/v1/auth/next", answer(&json!("AAAA")))
        .await
        .problem(410, "ticket-expired");
    world.clock.advance(Duration::from_secs(300));
    client
        .post("/v1/auth/next", answer(&next["ticket"]))
        .await
        .problem(410, "ticket-expired");
}

#[tokio::test]
async fn somebody_with_several_tenants_is_asked_and_then_remembered() {
    let world = World::new().await;
    let (_, north) = world.tenant("north").await;
    let (south_id, south) = world.tenant("south").await;
    world.member(&north, "both@x.example", &["read-only"]).await;
    let grant = json!({"email": "both@x.example", "roles": ["auditor"]});
    south.post("/v1/tenants/south/memberships", grant).await.status(201);
    // north was in force at the first sign-in; forget it
    let mut conn = world.db().superuser().await;
    sqlx::query("UPDATE gc.user SET last_tenant_id = NULL")
        .execute(&mut conn)
        .await
        .unwrap();

    let client = world.anyone();
    let asked = client.sign_in("both@x.example", PASSWORD).await.ok();
    assert_eq!(asked["next"], "select-tenant");
    let slugs: Vec<_> = asked["tenants"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t["slug"].clone())
        .collect();
    assert_eq!(slugs, [json!("north"), json!("south")]);
    let choose = |tenant: &str| json!({"ticket": asked["ticket"], "tenant": tenant});
    client
        .post("/v1/auth/next", choose("west"))
        .await
        .problem(404, "tenant-not-found");
    let chosen = client.post("/v1/auth/next", choose(&south_id)).await.ok();
    assert_eq!(chosen["tenant"]["slug"], "south");
    // the last one is chosen from now on, and one may ask for another
    let again = client.sign_in("both@x.example", PASSWORD).await.ok();
    assert_eq!(again["tenant"]["slug"], "south");
    let body =
        |tenant: &str| json!({"email": "both@x.example", "password": PASSWORD, "session": "token", "tenant": tenant});
    let named = client.post("/v1/auth/sign-in", body("north")).await.ok();
    assert_eq!(named["tenant"]["slug"], "north");
    client
        .post("/v1/auth/sign-in", body("west"))
        .await
        .problem(404, "tenant-not-found");
}

#[tokio::test]
async fn somebody_without_a_tenant_is_told_so() {
    let world = World::new().await;
    let (_, admin) = world.tenant("north").await;
    let (user, client) = world.member(&admin, "m@n.example", &["read-only"]).await;
    let list = admin.get("/v1/tenants/north/memberships").await.ok();
    let mine = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|m| m["user"]["id"] == user.as_str())
        .unwrap();
    let path = format!("/v1/tenants/north/memberships/{}", mine["id"].as_str().unwrap());
    assert_eq!(admin.delete(&path).await.code, 204);
    client.get("/v1/me").await.problem(401, "unauthenticated");
    world
        .anyone()
        .sign_in("m@n.example", PASSWORD)
        .await
        .problem(403, "no-tenant");
}

#[tokio::test]
async fn the_first_owner_is_made_once() {
    let world = World::new().await;
    let other = "second@provider.example".parse().unwrap();
    let refused = setup::first_owner(&world.app, other, PASSWORD.to_owned().into()).await;
    assert!(matches!(refused, Err(setup::SetupError::Done)), "{refused:?}");
    let mut conn = world.db().superuser().await;
    let people: i64 = sqlx::query_scalar("SELECT count(*) FROM gc.user")
        .fetch_one(&mut conn)
        .await
        .unwrap();
    assert_eq!(people, 1);
    let again = keys::make_missing(&world.app.ambient, &world.app.app_pool, &world.app.sealer).await;
    assert_eq!(again.unwrap(), keys::Made::Nothing);
}

#[tokio::test]
async fn of_two_setups_at_once_one_makes_the_owner() {
    let world = World::empty().await;
    let one = |email: &str| setup::first_owner(&world.app, email.parse().unwrap(), PASSWORD.to_owned().into());
    let (a, b) = tokio::join!(one("a@p.example"), one("b@p.example"));
    assert_eq!(u8::from(a.is_ok()) + u8::from(b.is_ok()), 1, "{a:?} {b:?}");
}

#[tokio::test]
async fn keys_that_went_missing_are_never_made_anew() {
    let world = World::new().await;
    let mut conn = world.db().superuser().await;
    sqlx::query("DELETE FROM gc.sealed_key WHERE purpose = 'email-index'")
        .execute(&mut conn)
        .await
        .unwrap();
    let app = &world.app;
    let made = keys::make_missing(&app.ambient, &app.app_pool, &app.sealer).await;
    assert!(matches!(made, Err(keys::KeysError::Lost("email-index"))), "{made:?}");
    sqlx::query("DELETE FROM gc.sealed_key")
        .execute(&mut conn)
        .await
        .unwrap();
    let made = keys::make_missing(&app.ambient, &app.app_pool, &app.sealer).await;
    assert!(matches!(made, Err(keys::KeysError::Lost(_))), "{made:?}");
}

#[tokio::test]
async fn addresses_lie_sealed_and_passwords_hashed() {
    let world = World::new().await;
    let mut conn = world.db().superuser().await;
    let row: String = sqlx::query_scalar("SELECT u::text || encode(email_sealed, 'escape') FROM gc.user u")
        .fetch_one(&mut conn)
        .await
        .unwrap();
    assert!(
        !row.contains("owner@") && !row.contains(PASSWORD) && row.contains("$pbkdf2-sha512$"),
        "{row}"
    );
}
