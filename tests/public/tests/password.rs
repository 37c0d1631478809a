//! Changing one's own password.
use super::world::{OWNER, PASSWORD, World};
use serde_json::json;

const ADMIN: &str = "admin@north.example";
const NEW: &str = "quite another set of words 8";

#[tokio::test]
async fn a_new_password_needs_the_old_one_and_ends_every_other_session() {
    let world = World::new().await;
    let (_, here) = world.tenant("north").await;
    let elsewhere = world.signed_in(ADMIN, PASSWORD).await;
    let change = async |old: &str, new: &str| {
        let body = json!({"password": old, "new_password": new});
        here.post("/v1/me/password", body).await
    };
    change("not the password at all", NEW)
        .await
        .problem(401, "not-confirmed");
    for weak in ["short", PASSWORD, ADMIN, "passwordpassword"] {
        change(PASSWORD, weak).await.problem(422, "weak-password");
    }
    elsewhere.get("/v1/me").await.ok();
    assert_eq!(change(PASSWORD, NEW).await.code, 204);
    here.get("/v1/me").await.ok();
    elsewhere.get("/v1/me").await.problem(401, "unauthenticated");
    world
        .anyone()
        .sign_in(ADMIN, PASSWORD)
        .await
        .problem(401, "sign-in-refused");
    world.signed_in(ADMIN, NEW).await;
    let rows = world
        .owner()
        .await
        .get("/v1/federation-audit?action=user.change_password")
        .await
        .ok();
    assert_eq!(rows["items"][0]["after"]["sessions_ended"], 2, "{rows}");
}

#[tokio::test]
async fn who_has_a_second_factor_gives_a_code_of_it_too() {
    let world = World::new().await;
    let owner = world.owner().await;
    let mut body = json!({"password": PASSWORD, "new_password": NEW});
    owner
        .post("/v1/me/password", body.clone())
        .await
        .problem(422, "code-missing");
    body["totp"] = json!("000000");
    owner
        .post("/v1/me/password", body.clone())
        .await
        .problem(401, "not-confirmed");
    body["totp"] = json!(world.code(OWNER));
    assert_eq!(owner.post("/v1/me/password", body).await.code, 204);
}

#[tokio::test]
async fn a_link_that_waits_in_a_mailbox_does_not_undo_it() {
    let world = World::new().await;
    let (_, admin) = world.tenant("north").await;
    world
        .anyone()
        .post("/v1/auth/password-reset", json!({"email": ADMIN}))
        .await
        .status(202);
    let mails = world.post().await;
    let token = mails[0]
        .1
        .lines()
        .find_map(|line| line.split_once("/reset-password#"))
        .unwrap()
        .1
        .to_owned();
    let body = json!({"password": PASSWORD, "new_password": NEW});
    assert_eq!(admin.post("/v1/me/password", body).await.code, 204);
    let body = json!({"token": token, "new_password": "a third set of words, 9"});
    world
        .anyone()
        .post("/v1/auth/password-reset/complete", body)
        .await
        .problem(410, "token-expired");
}
