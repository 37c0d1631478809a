//! A tenant that asks everybody for a second factor.
use super::{
    edits::patch,
    world::{Authenticator, Client, PASSWORD, World},
};
use serde_json::{Value, json};

const ADMIN: &str = "admin@north.example";
const PATH: &str = "/v1/tenants/north/settings";

fn demand(word: &str) -> Value {
    json!({ "second_factor": word })
}

/// An administrator with a second factor of their own, signed in with it.
async fn enrolled(world: &World, client: &Client, email: &str) -> Client {
    let begun = client
        .post("/v1/me/totp", json!({"password": PASSWORD}))
        .await
        .status(201);
    let secret = begun["secret"].as_str().unwrap();
    world
        .apps
        .lock()
        .unwrap()
        .insert(email.into(), Authenticator::new(secret));
    let path = format!("/v1/me/totp/{}/verify", begun["id"].as_str().unwrap());
    client.post(&path, json!({"totp": world.code(email)})).await.ok();
    world.signed_in(email, PASSWORD).await
}

/// A tenant in which it is required, and its administrator.
async fn strict(world: &World) -> Client {
    let (_, admin) = world.tenant("north").await;
    let admin = enrolled(world, &admin, ADMIN).await;
    patch(&admin, PATH, "*", demand("required")).await.ok();
    admin
}

#[tokio::test]
async fn who_has_none_enrols_one_and_sessions_without_one_end() {
    let world = World::new().await;
    let (_, admin) = world.tenant("north").await;
    let (_, member) = world.member(&admin, "m@north.example", &["read-only"]).await;
    let pair = world.pair("m@north.example", PASSWORD).await;
    assert_eq!(admin.get(PATH).await.ok(), json!({"second_factor": "optional"}));
    patch(&admin, PATH, "*", demand("required"))
        .await
        .problem(409, "second-factor-missing");
    member.get("/v1/me").await.ok();

    let admin = enrolled(&world, &admin, ADMIN).await;
    patch(&admin, PATH, "*", demand("required")).await.ok();
    admin.get("/v1/me").await.ok();
    member.get("/v1/me").await.problem(401, "unauthenticated");
    let refresh = json!({"refresh_token": pair["refresh_token"]});
    world
        .anyone()
        .post("/v1/auth/refresh", refresh)
        .await
        .problem(401, "refresh-refused");

    let next = world.anyone().sign_in("m@north.example", PASSWORD).await;
    assert!(next.json()["enrolment"]["secret"].is_string(), "{}", next.text);
    let signed_in = world.second_step("m@north.example", next).await.ok();
    assert_eq!(signed_in["recovery_codes"].as_array().unwrap().len(), 10);
    let member = world.anyone().with_token(signed_in["access_token"].as_str().unwrap());
    assert_eq!(member.get("/v1/me/second-factor").await.ok()["required"], true);
    let path = "/v1/me/totp/remove";
    let mut world_moves = json!({"password": PASSWORD});
    world.clock.advance(std::time::Duration::from_secs(90));
    world_moves["totp"] = json!(world.code("m@north.example"));
    member
        .post(path, world_moves.clone())
        .await
        .problem(409, "second-factor-required");

    let rows = admin.get("/v1/audit?action=settings.update").await.ok();
    let row = &rows["items"][0];
    assert_eq!(
        (&row["before"]["second_factor"], &row["after"]["second_factor"]),
        (&json!("optional"), &json!("required"))
    );
    // the first password's, the sign-in after it, and the pair
    assert_eq!(row["after"]["sessions_ended"], 5, "{row}");

    patch(&admin, PATH, "*", demand("optional")).await.ok();
    assert_eq!(member.post(path, world_moves).await.code, 204);
}

#[tokio::test]
async fn a_session_of_one_factor_does_not_cross_into_such_a_tenant() {
    let world = World::new().await;
    let admin = strict(&world).await;
    let (_, south) = world.tenant("south").await;
    let (_, both) = world.member(&south, "both@x.example", &["read-only"]).await;
    let grant = json!({"email": "both@x.example", "roles": ["auditor"]});
    admin.post("/v1/tenants/north/memberships", grant).await.status(201);
    both.get("/v1/me").await.ok();
    both.post("/v1/me/tenant", json!({"tenant": "north"}))
        .await
        .problem(403, "second-factor-needed");
    // from now on a second factor is asked for at each sign-in, into whichever tenant
    let body = json!({"email": "both@x.example", "password": PASSWORD, "session": "token", "tenant": "south"});
    let next = world.anyone().post("/v1/auth/sign-in", body).await;
    assert_eq!(next.json()["next"], "second-factor", "{}", next.text);
    let signed_in = world.second_step("both@x.example", next).await.ok();
    let both = world.anyone().with_token(signed_in["access_token"].as_str().unwrap());
    assert_eq!(both.post("/v1/me/tenant", json!({"tenant": "north"})).await.code, 200);
}

#[tokio::test]
async fn there_twelve_characters_are_enough_and_elsewhere_they_are_not() {
    let world = World::new().await;
    let admin = strict(&world).await;
    let (_, south) = world.tenant("south").await;
    let twelve = "new-words-12";
    for (email, inviter, least) in [("a@x.example", &admin, 12), ("b@x.example", &south, 15)] {
        let body = json!({"email": email, "display_name": "A", "roles": ["read-only"]});
        inviter.post("/v1/users", body).await.status(202);
        let mails = world.post().await;
        let token = mails[0]
            .1
            .lines()
            .find_map(|line| line.split_once("/invite#"))
            .unwrap()
            .1
            .to_owned();
        let shown = world
            .anyone()
            .post("/v1/auth/invitation", json!({"token": token}))
            .await
            .ok();
        assert_eq!(shown["password_characters"], least);
        let accept = |password: &str| {
            let body = json!({"token": token, "new_password": password});
            let anyone = world.anyone();
            async move { anyone.post("/v1/auth/invitation/accept", body).await }
        };
        let refused = accept(&twelve[1..]).await.problem(422, "weak-password");
        let reason = refused["errors"][0]["reason"]
            .as_str()
            .or(refused["detail"].as_str())
            .unwrap()
            .to_owned();
        assert!(reason.contains(&least.to_string()), "{refused}");
        assert_eq!(accept(twelve).await.code, if least == 12 { 200 } else { 422 });
    }
    // and so it is for who is there already
    let world_code = world.anyone().sign_in("a@x.example", twelve).await;
    let signed_in = world.second_step("a@x.example", world_code).await.ok();
    let ada = world.anyone().with_token(signed_in["access_token"].as_str().unwrap());
    world.clock.advance(std::time::Duration::from_secs(90));
    let change = json!({"password": twelve, "totp": world.code("a@x.example"), "new_password": "other-word12"});
    assert_eq!(ada.post("/v1/me/password", change).await.code, 204);
}

#[tokio::test]
async fn a_wrong_code_counts_although_the_password_was_right() {
    let world = World::new().await;
    let (_, admin) = world.tenant("north").await;
    world.member(&admin, "m@north.example", &["read-only"]).await;
    let admin = enrolled(&world, &admin, ADMIN).await;
    patch(&admin, PATH, "*", demand("required")).await.ok();
    for _ in 0..10 {
        let next = world.anyone().sign_in("m@north.example", PASSWORD).await.ok();
        let body = json!({"ticket": next["ticket"], "totp": "000000"});
        world
            .anyone()
            .post("/v1/auth/next", body)
            .await
            .problem(401, "code-refused");
    }
    world
        .anyone()
        .sign_in("m@north.example", PASSWORD)
        .await
        .problem(401, "sign-in-refused");
}

#[tokio::test]
async fn only_administrators_decide_and_nonsense_is_refused() {
    let world = World::new().await;
    let (_, admin) = world.tenant("north").await;
    let (_, auditor) = world.member(&admin, "a@north.example", &["auditor"]).await;
    auditor.get(PATH).await.problem(403, "permission-denied");
    patch(&auditor, PATH, "*", demand("optional"))
        .await
        .problem(403, "permission-denied");
    assert_eq!(patch(&admin, PATH, "*", demand("perhaps")).await.code, 422);
    assert_eq!(patch(&admin, PATH, "*", Value::Null).await.code, 422);
    let rows = admin.get("/v1/audit?action=settings.update").await.ok();
    assert!(
        rows["items"]
            .as_array()
            .unwrap()
            .iter()
            .all(|row| row["outcome"] == "denied"),
        "{rows}"
    );
}
