//! Codes of an app, recovery codes, and who cannot do without.
use super::world::{Answer, Authenticator, Client, OWNER, PASSWORD, World};
use exarch_common_base::ExposeSecret;
use exarch_common_crypto::totp::{self, Secret};
use serde_json::{Value, json};
use std::time::Duration;

/// A member of a tenant with an app, its codes and recovery codes.
struct Enrolled {
    world: World,
    email: &'static str,
    client: Client,
    secret: Secret,
    recovery: Vec<String>,
}

const ADA: &str = "admin@north.example";

async fn enrolled() -> Enrolled {
    let world = World::new().await;
    let (_, client) = world.tenant("north").await;
    let begun = client
        .post("/v1/me/totp", json!({"password": PASSWORD}))
        .await
        .status(201);
    let text = begun["secret"].as_str().unwrap();
    world.apps.lock().unwrap().insert(ADA.into(), Authenticator::new(text));
    let path = format!("/v1/me/totp/{}/verify", begun["id"].as_str().unwrap());
    let codes = client.post(&path, json!({"totp": world.code(ADA)})).await.ok();
    Enrolled {
        email: ADA,
        client,
        secret: Secret::from_base32(text).unwrap(),
        recovery: serde_json::from_value(codes["recovery_codes"].clone()).unwrap(),
        world,
    }
}

impl Enrolled {
    async fn asked(&self) -> Value {
        let next = self.world.anyone().sign_in(self.email, PASSWORD).await.ok();
        assert_eq!(next["next"], "second-factor", "{next}");
        assert!(next.get("enrolment").is_none(), "{next}");
        next["ticket"].clone()
    }

    async fn answer(&self, ticket: &Value, code: &str) -> Answer {
        let body = json!({"ticket": ticket, "totp": code});
        self.world.anyone().post("/v1/auth/next", body).await
    }
}

fn claims(token: &Value) -> Value {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let part = token.as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test]
async fn an_enrolment_opens_nothing_until_a_code_of_it_was_seen() {
    let world = World::new().await;
    let (_, client) = world.tenant("north").await;
    client
        .post("/v1/me/totp", json!({"password": "not the password at all"}))
        .await
        .problem(401, "not-confirmed");
    let begun = client
        .post("/v1/me/totp", json!({"password": PASSWORD}))
        .await
        .status(201);
    let uri = begun["uri"].as_str().unwrap();
    assert!(
        uri.starts_with("otpauth://totp/Exarch:admin%40north%2Eexample?secret="),
        "{uri}"
    );
    let none = client.get("/v1/me/second-factor").await.ok();
    assert_eq!(
        (&none["recovery_codes_left"], &none["required"]),
        (&json!(0), &json!(false))
    );
    assert!(none.get("totp_since").is_none());
    // signing in goes on without it
    world.signed_in(ADA, PASSWORD).await;

    let path = format!("/v1/me/totp/{}/verify", begun["id"].as_str().unwrap());
    let secret = Secret::from_base32(begun["secret"].as_str().unwrap()).unwrap();
    let now = totp::step(world.app.ambient.now().unix_timestamp());
    for wrong in [secret.code(now - 2), secret.code(now + 2), "abc".into()] {
        client
            .post(&path, json!({"totp": wrong}))
            .await
            .problem(401, "code-refused");
    }
    let right = json!({"totp": secret.code(now)});
    let shown = client.post(&path, right.clone()).await.ok();
    assert_eq!(shown["recovery_codes"].as_array().unwrap().len(), 10);
    client.post(&path, right).await.problem(410, "enrolment-expired");
    let mine = client.get("/v1/me/second-factor").await.ok();
    assert_eq!(mine["recovery_codes_left"], 10);
    assert!(mine["totp_since"].is_string());
    let next = world.anyone().sign_in(ADA, PASSWORD).await.ok();
    assert_eq!(next["next"], "second-factor");
}

#[tokio::test]
async fn the_secret_lies_sealed_in_its_place_and_recovery_codes_hashed() {
    let she = enrolled().await;
    let mut conn = she.world.db().superuser().await;
    let row: String = sqlx::query_scalar(
        "SELECT string_agg(t::text, ' ') || (SELECT string_agg(c::text, ' ') FROM gc.recovery_code c) FROM gc.totp t",
    )
    .fetch_one(&mut conn)
    .await
    .unwrap();
    let hexed = she
        .secret
        .expose()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect::<String>();
    for canary in [she.secret.to_base32().expose_secret(), &hexed, &she.recovery[0]] {
        assert!(!row.contains(canary), "{row}");
    }
    // somebody else's secret put in its place opens nothing
    sqlx::query("UPDATE gc.totp t SET secret_sealed = o.secret_sealed FROM gc.totp o WHERE o.id <> t.id")
        .execute(&mut conn)
        .await
        .unwrap();
    let ticket = she.asked().await;
    assert_eq!(she.answer(&ticket, &she.world.code(ADA)).await.code, 500);
}

#[tokio::test]
async fn two_factors_stand_in_the_tokens_and_the_time_is_that_of_the_password() {
    let she = enrolled().await;
    let ticket = she.asked().await;
    let at = she.world.app.ambient.now().unix_timestamp();
    she.world.clock.advance(Duration::from_secs(60));
    let done = she.answer(&ticket, &she.world.code(ADA)).await.ok();
    let claims = claims(&done["access_token"]);
    assert_eq!(claims["amr"], json!(["pwd", "otp", "mfa"]));
    assert_eq!(claims["auth_time"], at);
    assert!(done.get("recovery_codes").is_none());
    let me = she
        .world
        .anyone()
        .with_token(done["access_token"].as_str().unwrap())
        .get("/v1/me")
        .await
        .ok();
    assert_eq!(me["session"]["amr"], json!(["pwd", "otp", "mfa"]));
}

#[tokio::test]
async fn a_code_is_good_for_one_step_around_and_once() {
    let she = enrolled().await;
    she.world.clock.advance(Duration::from_secs(600));
    let now = totp::step(she.world.app.ambient.now().unix_timestamp());
    let ticket = she.asked().await;
    for late in [now - 2, now + 2] {
        she.answer(&ticket, &she.secret.code(late))
            .await
            .problem(401, "code-refused");
    }
    for good in [now + 1, now - 1, now] {
        let ticket = she.asked().await;
        she.answer(&ticket, &she.secret.code(good)).await.ok();
        let again = she.asked().await;
        she.answer(&again, &she.secret.code(good))
            .await
            .problem(401, "code-refused");
    }
}

#[tokio::test]
async fn of_many_who_give_one_code_at_once_one_gets_in() {
    let she = enrolled().await;
    she.world.clock.advance(Duration::from_secs(600));
    let code = she.world.code(ADA);
    let mut tickets = Vec::new();
    for _ in 0..8 {
        tickets.push(she.asked().await);
    }
    let answers = futures_util::future::join_all(tickets.iter().map(|ticket| she.answer(ticket, &code))).await;
    let codes: Vec<u16> = answers.iter().map(|answer| answer.code).collect();
    assert_eq!(codes.iter().filter(|code| **code == 200).count(), 1, "{codes:?}");
    assert!(codes.iter().all(|code| [200, 401].contains(code)), "{codes:?}");
}

#[tokio::test]
async fn of_many_who_answer_one_ticket_at_once_one_gets_in() {
    let she = enrolled().await;
    she.world.clock.advance(Duration::from_secs(600));
    let ticket = she.asked().await;
    let codes = [
        she.world.code(ADA),
        she.world.code(ADA),
        she.recovery[0].clone(),
        she.recovery[1].clone(),
    ];
    let answers = futures_util::future::join_all(codes.iter().map(|code| she.answer(&ticket, code))).await;
    let codes: Vec<u16> = answers.iter().map(|answer| answer.code).collect();
    assert_eq!(codes.iter().filter(|code| **code == 200).count(), 1, "{codes:?}");
}

#[tokio::test]
async fn a_recovery_code_works_once_also_under_concurrency_and_in_any_spelling() {
    let she = enrolled().await;
    let mut tickets = Vec::new();
    for _ in 0..6 {
        tickets.push(she.asked().await);
    }
    let code = she.recovery[0].to_uppercase().replace('-', " ");
    let answers = futures_util::future::join_all(tickets.iter().map(|ticket| she.answer(ticket, &code))).await;
    assert_eq!(answers.iter().filter(|answer| answer.code == 200).count(), 1);
    let left = she.client.get("/v1/me/second-factor").await.ok();
    assert_eq!(left["recovery_codes_left"], 9);
    let used = she.client.get("/v1/me").await.ok();
    assert_eq!(used["user"]["email"], ADA);
    let ticket = she.asked().await;
    she.answer(&ticket, &she.recovery[0]).await.problem(401, "code-refused");
    she.answer(&ticket, &she.recovery[1]).await.ok();
}

#[tokio::test]
async fn wrong_codes_lock_like_wrong_passwords_and_a_right_password_does_not_wipe_them_out() {
    let she = enrolled().await;
    she.world.clock.advance(Duration::from_secs(600));
    for _ in 0..10 {
        let ticket = she.asked().await;
        she.answer(&ticket, "no code").await.problem(401, "code-refused");
    }
    // locked: neither the password nor a ticket from before opens, and the session goes on
    she.world
        .anyone()
        .sign_in(ADA, PASSWORD)
        .await
        .problem(401, "sign-in-refused");
    she.client.get("/v1/me").await.ok();
    let owner = she.world.owner().await;
    let rows = owner.get("/v1/federation-audit?action=user.lock").await.ok();
    assert_eq!(rows["items"].as_array().unwrap().len(), 1, "{rows}");
    she.world.clock.advance(Duration::from_secs(600));
    let ticket = she.asked().await;
    she.answer(&ticket, &she.world.code(ADA)).await.ok();
}

#[tokio::test]
async fn a_ticket_from_before_the_lock_is_refused_with_the_right_code_too() {
    let she = enrolled().await;
    let before = she.asked().await;
    for _ in 0..10 {
        she.world
            .anyone()
            .sign_in(ADA, "not the password at all")
            .await
            .problem(401, "sign-in-refused");
    }
    she.answer(&before, &she.world.code(ADA))
        .await
        .problem(401, "code-refused");
    she.client.get("/v1/me").await.ok();
}

#[tokio::test]
async fn staff_without_a_second_factor_enrol_before_they_get_in() {
    let world = World::new().await;
    let client = world.anyone();
    let next = client.sign_in(OWNER, PASSWORD).await.ok();
    assert_eq!(
        (&next["status"], &next["next"]),
        (&json!("next"), &json!("second-factor"))
    );
    assert!(next.get("access_token").is_none());
    let secret = Secret::from_base32(next["enrolment"]["secret"].as_str().unwrap()).unwrap();
    assert!(
        next["enrolment"]["uri"]
            .as_str()
            .unwrap()
            .starts_with("otpauth://totp/")
    );
    let now = totp::step(world.app.ambient.now().unix_timestamp());
    let answer = |code: &str| json!({"ticket": next["ticket"], "totp": code});
    client
        .post("/v1/auth/next", json!({"ticket": next["ticket"]}))
        .await
        .problem(422, "step-unanswered");
    client
        .post("/v1/auth/next", answer("000000"))
        .await
        .problem(401, "code-refused");
    // a second sign-in gets another secret; the first to be verified is the one that counts
    let other = client.sign_in(OWNER, PASSWORD).await.ok();
    assert_ne!(other["enrolment"]["secret"], next["enrolment"]["secret"]);
    let done = client.post("/v1/auth/next", answer(&secret.code(now))).await.ok();
    assert_eq!(done["status"], "signed-in");
    assert_eq!(done["recovery_codes"].as_array().unwrap().len(), 10);
    assert_eq!(claims(&done["access_token"])["amr"], json!(["pwd", "otp", "mfa"]));
    let stolen = Secret::from_base32(other["enrolment"]["secret"].as_str().unwrap()).unwrap();
    let body = json!({"ticket": other["ticket"], "totp": stolen.code(now)});
    client.post("/v1/auth/next", body).await.problem(410, "ticket-expired");
    // from now on a code is asked for
    let next = client.sign_in(OWNER, PASSWORD).await.ok();
    assert!(
        next["next"] == "second-factor" && next.get("enrolment").is_none(),
        "{next}"
    );
    let staff = client.with_token(done["access_token"].as_str().unwrap());
    let body = json!({"password": PASSWORD, "totp": secret.code(now + 1)});
    staff
        .post("/v1/me/totp/remove", body)
        .await
        .problem(409, "second-factor-required");
    let rows = staff
        .get("/v1/federation-audit?action=user.enrol_second_factor")
        .await
        .ok();
    assert_eq!(rows["items"].as_array().unwrap().len(), 1, "{rows}");
}

#[tokio::test]
async fn a_session_of_one_factor_ends_with_the_first_role_over_the_federation() {
    let world = World::new().await;
    let (_, admin) = world.tenant("north").await;
    let signed_in = world.anyone().sign_in(ADA, PASSWORD).await.ok();
    let id = admin.get("/v1/me").await.ok()["user"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let id: uuid::Uuid = id[4..].parse().unwrap();
    let mut conn = world.db().superuser().await;
    sqlx::query("INSERT INTO gc.staff_binding (id, user_id, role, created_by, created_at) VALUES ($1, $1, 'system-admin', 'test', now())")
        .bind(id)
        .execute(&mut conn)
        .await
        .unwrap();
    admin.get("/v1/me").await.problem(401, "unauthenticated");
    let body = json!({"refresh_token": signed_in["refresh_token"]});
    world
        .anyone()
        .post("/v1/auth/refresh", body)
        .await
        .problem(401, "refresh-refused");
    world.signed_in(ADA, PASSWORD).await.get("/v1/me").await.ok();
}

#[tokio::test]
async fn an_app_is_replaced_by_who_has_the_old_one_and_taken_off_the_same_way() {
    let she = enrolled().await;
    she.world.clock.advance(Duration::from_secs(60));
    let start = |code: Option<&str>| match code {
        Some(code) => json!({"password": PASSWORD, "totp": code}),
        None => json!({"password": PASSWORD}),
    };
    let post = |path: &'static str, body: Value| she.client.post(path, body);
    post("/v1/me/totp", start(None)).await.problem(422, "code-missing");
    post("/v1/me/totp", start(Some("000000")))
        .await
        .problem(401, "not-confirmed");
    let begun = post("/v1/me/totp", start(Some(&she.world.code(ADA)))).await.status(201);
    let new = Secret::from_base32(begun["secret"].as_str().unwrap()).unwrap();
    // the old one stays in use until then
    let ticket = she.asked().await;
    she.answer(&ticket, &she.world.code(ADA)).await.ok();
    let now = totp::step(she.world.app.ambient.now().unix_timestamp());
    let path = format!("/v1/me/totp/{}/verify", begun["id"].as_str().unwrap());
    she.client.post(&path, json!({"totp": new.code(now)})).await.ok();
    let ticket = she.asked().await;
    she.answer(&ticket, &she.world.code(ADA))
        .await
        .problem(401, "code-refused");
    she.answer(&ticket, &she.recovery[2]).await.problem(401, "code-refused");
    she.answer(&ticket, &new.code(now + 1)).await.ok();

    let codes = post("/v1/me/recovery-codes", json!({"totp": new.code(now - 1)}))
        .await
        .ok();
    let recovery = codes["recovery_codes"][0].as_str().unwrap();
    let removed = post("/v1/me/totp/remove", start(Some(recovery))).await;
    assert_eq!(removed.code, 204, "{}", removed.text);
    post("/v1/me/totp/remove", start(None))
        .await
        .problem(409, "no-second-factor");
    she.world.signed_in(ADA, PASSWORD).await;
}

#[tokio::test]
async fn somebody_elses_enrolment_is_nobodys() {
    let she = enrolled().await;
    let begun = she
        .client
        .post(
            "/v1/me/totp",
            json!({"password": PASSWORD, "totp": she.world.code(ADA)}),
        )
        .await
        .status(201);
    let (_, other) = she.world.tenant("south").await;
    let secret = Secret::from_base32(begun["secret"].as_str().unwrap()).unwrap();
    let now = totp::step(she.world.app.ambient.now().unix_timestamp());
    let path = format!("/v1/me/totp/{}/verify", begun["id"].as_str().unwrap());
    let body = json!({"totp": secret.code(now)});
    other.post(&path, body).await.problem(410, "enrolment-expired");
}

#[tokio::test]
async fn on_the_server_itself_a_lost_second_factor_is_taken_away_with_all_sessions() {
    use exarch_global_controller::setup::{RecoverError, reset_second_factor};
    let world = World::new().await;
    let owner = world.owner().await;
    let address = OWNER.parse().unwrap();
    reset_second_factor(&world.app, &address).await.unwrap();
    owner.get("/v1/me").await.problem(401, "unauthenticated");
    let next = world.anyone().sign_in(OWNER, PASSWORD).await.ok();
    assert!(next["enrolment"]["secret"].is_string(), "{next}");
    assert!(matches!(
        reset_second_factor(&world.app, &address).await,
        Err(RecoverError::None)
    ));
    let nobody = "nobody@x.example".parse().unwrap();
    assert!(matches!(
        reset_second_factor(&world.app, &nobody).await,
        Err(RecoverError::Unknown)
    ));
    let audit = world
        .owner()
        .await
        .get("/v1/federation-audit?action=user.reset_second_factor")
        .await
        .ok();
    assert_eq!(audit["items"].as_array().unwrap().len(), 1);
}
