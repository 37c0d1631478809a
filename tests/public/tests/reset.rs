//! A new password by mail, and the mail about a lock.
use super::world::{Answer, OWNER, PASSWORD, World};
use serde_json::json;
use std::{os::unix::fs::PermissionsExt, time::Duration};

const ADMIN: &str = "admin@north.example";
const NEW: &str = "quite another set of words 8";

async fn ask(world: &World, email: &str) -> Answer {
    world
        .anyone()
        .post("/v1/auth/password-reset", json!({"email": email}))
        .await
}

async fn complete(world: &World, token: &str, password: &str) -> Answer {
    let body = json!({"token": token, "new_password": password});
    world.anyone().post("/v1/auth/password-reset/complete", body).await
}

/// The token in the one mail that arrived.
async fn token(world: &World) -> String {
    let mails = world.post().await;
    let [(to, text)] = mails.as_slice() else {
        panic!("{mails:?}")
    };
    assert_eq!(to, ADMIN);
    let line = text.lines().find(|line| line.contains("/reset-password#")).unwrap();
    let (page, token) = line.split_once('#').unwrap();
    assert_eq!(page, "http://localhost:8440/reset-password");
    assert_eq!(token.len(), 43, "32 bytes in base64url: {token}");
    token.to_owned()
}

#[tokio::test]
async fn an_installation_without_mail_says_so_and_promises_no_better_time() {
    let world = World::with(|settings| drop(settings.as_object_mut().unwrap().remove("mail"))).await;
    let answer = ask(&world, ADMIN).await;
    assert!(!answer.headers.contains_key("retry-after"));
    answer.problem(409, "no-mail");
}

#[tokio::test]
async fn a_token_by_mail_sets_a_new_password_once_and_ends_every_session() {
    let world = World::new().await;
    let (_, session) = world.tenant("north").await;
    assert_eq!(ask(&world, " Admin@North.EXAMPLE ").await.code, 202);
    let token = token(&world).await;
    // asking changes nothing
    session.get("/v1/me").await.ok();
    complete(&world, &token, "short").await.problem(422, "weak-password");
    assert_eq!(complete(&world, &token, NEW).await.code, 204);
    session.get("/v1/me").await.problem(401, "unauthenticated");
    complete(&world, &token, NEW).await.problem(410, "token-expired");
    world
        .anyone()
        .sign_in(ADMIN, PASSWORD)
        .await
        .problem(401, "sign-in-refused");
    world.signed_in(ADMIN, NEW).await;
    let rows = world
        .owner()
        .await
        .get("/v1/federation-audit?action=user.reset_password")
        .await
        .ok();
    assert_eq!(rows["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn of_many_who_use_one_token_at_once_one_sets_the_password() {
    let world = World::new().await;
    world.tenant("north").await;
    ask(&world, ADMIN).await;
    let token = token(&world).await;
    let passwords: Vec<String> = (0..6).map(|n| format!("{NEW} and {n}")).collect();
    let answers = futures_util::future::join_all(passwords.iter().map(|new| complete(&world, &token, new))).await;
    let codes: Vec<u16> = answers.iter().map(|answer| answer.code).collect();
    assert_eq!(codes.iter().filter(|code| **code == 204).count(), 1, "{codes:?}");
    assert!(codes.iter().all(|code| [204, 410].contains(code)), "{codes:?}");
}

#[tokio::test]
async fn who_has_no_account_or_a_disabled_one_gets_the_same_answer_and_no_mail() {
    let world = World::new().await;
    world.tenant("north").await;
    let index = world.app.keys.email_index(ADMIN);
    let mut conn = world.db().superuser().await;
    sqlx::query("UPDATE gc.user SET state = 'disabled' WHERE email_index = $1")
        .bind(&index[..])
        .execute(&mut conn)
        .await
        .unwrap();
    let known = ask(&world, OWNER).await;
    for other in ["nobody@north.example", ADMIN] {
        let answer = ask(&world, other).await;
        assert_eq!((answer.code, &answer.text), (known.code, &known.text), "{other}");
    }
    let mails = world.post().await;
    assert_eq!(mails.len(), 1, "{mails:?}");
    assert_eq!(mails[0].0, OWNER);
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM gc.mail")
        .fetch_one(&mut conn)
        .await
        .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn three_an_hour_known_or_not() {
    let world = World::new().await;
    world.tenant("north").await;
    for email in [ADMIN, "nobody@north.example"] {
        for _ in 0..3 {
            assert_eq!(ask(&world, email).await.code, 202);
        }
        let limited = ask(&world, email).await;
        assert_eq!(limited.headers["retry-after"], "3600");
        limited.problem(429, "too-many-requests");
    }
    assert_eq!(world.post().await.len(), 3);
    world.clock.advance(Duration::from_secs(3600));
    assert_eq!(ask(&world, ADMIN).await.code, 202);
}

#[tokio::test]
async fn a_token_ends_after_a_day_and_with_another_ones_use() {
    let world = World::new().await;
    world.tenant("north").await;
    ask(&world, ADMIN).await;
    let first = token(&world).await;
    ask(&world, ADMIN).await;
    let second = token(&world).await;
    assert_ne!(first, second);
    assert_eq!(complete(&world, &second, NEW).await.code, 204);
    complete(&world, &first, NEW).await.problem(410, "token-expired");
    world.clock.advance(Duration::from_secs(3600));
    ask(&world, ADMIN).await;
    let third = token(&world).await;
    world.clock.advance(Duration::from_secs(86_400));
    complete(&world, &third, NEW).await.problem(410, "token-expired");
    complete(&world, "AAAA", NEW).await.problem(410, "token-expired");
}

#[tokio::test]
async fn a_reset_does_not_go_around_the_second_factor() {
    let world = World::new().await;
    world.owner().await;
    ask(&world, OWNER).await;
    let mails = world.post().await;
    let token = mails[0]
        .1
        .lines()
        .find_map(|line| line.split_once("/reset-password#"))
        .unwrap()
        .1
        .to_owned();
    assert_eq!(complete(&world, &token, NEW).await.code, 204);
    let next = world.anyone().sign_in(OWNER, NEW).await.ok();
    assert!(
        next["next"] == "second-factor" && next.get("enrolment").is_none(),
        "{next}"
    );
}

#[tokio::test]
async fn tokens_and_addresses_lie_hashed_and_sealed_and_mail_is_for_its_owner_alone() {
    let world = World::new().await;
    world.tenant("north").await;
    ask(&world, ADMIN).await;
    let mut conn = world.db().superuser().await;
    let waiting: Vec<u8> = sqlx::query_scalar("SELECT sealed FROM gc.mail")
        .fetch_one(&mut conn)
        .await
        .unwrap();
    assert!(!String::from_utf8_lossy(&waiting).contains("north.example"));
    use exarch_common_runtime::Reconcile;
    exarch_global_controller::mail::Mailer(world.app.clone())
        .pass()
        .await
        .unwrap();
    let file = std::fs::read_dir(world.mail.path()).unwrap().next().unwrap().unwrap();
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let token = token(&world).await;
    let row: String = sqlx::query_scalar("SELECT t::text FROM gc.mail_token t")
        .fetch_one(&mut conn)
        .await
        .unwrap();
    assert!(!row.contains(&token), "{row}");
}

#[tokio::test]
async fn a_mail_that_cannot_be_sent_is_tried_again_later() {
    let world = World::new().await;
    world.tenant("north").await;
    ask(&world, ADMIN).await;
    let dir = world.mail.path().to_owned();
    std::fs::remove_dir(&dir).unwrap();
    use exarch_common_runtime::Reconcile;
    let mut mailer = exarch_global_controller::mail::Mailer(world.app.clone());
    assert_eq!(mailer.pass().await.unwrap(), 0);
    std::fs::create_dir(&dir).unwrap();
    assert_eq!(mailer.pass().await.unwrap(), 0, "not before its time");
    world.clock.advance(Duration::from_secs(30));
    assert_eq!(mailer.pass().await.unwrap(), 1);
    assert_eq!(mailer.pass().await.unwrap(), 0);
    let token = token(&world).await;
    assert_eq!(complete(&world, &token, NEW).await.code, 204);
}

#[tokio::test]
async fn a_lock_is_told_once_by_mail_and_a_reset_lifts_it() {
    let world = World::new().await;
    world.tenant("north").await;
    let client = world.anyone();
    for _ in 0..13 {
        client
            .sign_in(ADMIN, "not the password at all")
            .await
            .problem(401, "sign-in-refused");
        client
            .sign_in("nobody@north.example", "not the password at all")
            .await
            .problem(401, "sign-in-refused");
    }
    let mails = world.post().await;
    assert_eq!(mails.len(), 1, "{mails:?}");
    assert_eq!(mails[0].0, ADMIN);
    assert!(mails[0].1.contains("2026-03-01 12:10 UTC"), "{}", mails[0].1);
    ask(&world, ADMIN).await;
    let token = token(&world).await;
    assert_eq!(complete(&world, &token, NEW).await.code, 204);
    world.signed_in(ADMIN, NEW).await;
}
