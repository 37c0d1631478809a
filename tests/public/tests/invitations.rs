//! Coming into a tenant by mail.
use super::world::{Answer, Client, OWNER, PASSWORD, World};
use serde_json::{Value, json};
use std::time::Duration;

const GUEST: &str = "guest@elsewhere.example";

fn whom(email: &str, roles: &[&str]) -> Value {
    json!({"email": email, "display_name": "Guest", "roles": roles})
}

/// Invites; the invitation as it was answered, and the token of the mail.
async fn invited(world: &World, admin: &Client, email: &str, roles: &[&str]) -> (Value, String) {
    let invitation = admin.post("/v1/users", whom(email, roles)).await.status(202);
    (invitation, token(world, email).await)
}

/// The token of the one mail that has arrived.
async fn token(world: &World, email: &str) -> String {
    let mails = world.post().await;
    let [(to, text)] = mails.as_slice() else {
        panic!("{} mails", mails.len())
    };
    assert_eq!(to, email);
    let (_, token) = text.lines().find_map(|line| line.split_once("/invite#")).unwrap();
    token.to_owned()
}

async fn accept(world: &World, token: &str, password: Option<&str>) -> Answer {
    let mut body = json!({"token": token});
    if let Some(password) = password {
        body["new_password"] = json!(password);
    }
    world.anyone().post("/v1/auth/invitation/accept", body).await
}

async fn look(world: &World, token: &str) -> Answer {
    world
        .anyone()
        .post("/v1/auth/invitation", json!({"token": token}))
        .await
}

async fn waiting(admin: &Client) -> Vec<Value> {
    let list = admin.get("/v1/invitations").await.ok();
    list["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn somebody_new_chooses_a_password_and_works_in_the_tenant() {
    let world = World::new().await;
    let (_, admin) = world.tenant("north").await;
    let (invitation, token) = invited(&world, &admin, GUEST, &["auditor"]).await;
    assert_eq!(invitation["state"], "pending", "{invitation}");
    let listed = waiting(&admin).await;
    assert_eq!(listed, std::slice::from_ref(&invitation));
    assert_eq!(listed[0]["invited_by"]["email"], "admin@north.example");

    let shown = look(&world, &token).await.ok();
    assert_eq!(
        (
            &shown["tenant"]["slug"],
            &shown["email"],
            &shown["has_account"],
            &shown["password_characters"]
        ),
        (&json!("north"), &json!(GUEST), &json!(false), &json!(15))
    );
    accept(&world, &token, None).await.problem(422, "password-missing");
    for weak in ["short", "passwordpassword", GUEST] {
        let refused = accept(&world, &token, Some(weak)).await.problem(422, "weak-password");
        assert_eq!(refused["errors"][0]["pointer"], "/new_password", "{refused}");
    }
    let accepted = accept(&world, &token, Some(PASSWORD)).await.ok();
    assert_eq!(
        (&accepted["email"], &accepted["tenant"]["slug"]),
        (&json!(GUEST), &json!("north"))
    );
    accept(&world, &token, Some(PASSWORD))
        .await
        .problem(410, "token-expired");
    look(&world, &token).await.problem(410, "token-expired");
    assert!(waiting(&admin).await.is_empty());

    let me = world.signed_in(GUEST, PASSWORD).await.get("/v1/me").await.ok();
    assert_eq!(
        (&me["tenant"]["slug"], &me["roles"]),
        (&json!("north"), &json!(["auditor"]))
    );
    let rows = admin.get("/v1/audit").await.ok();
    let actions: Vec<_> = rows["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["action"].as_str().unwrap())
        .collect();
    for action in ["user.invite", "user.create", "membership.grant", "invitation.accept"] {
        assert!(actions.contains(&action), "{action}: {actions:?}");
    }
    assert!(!rows.to_string().contains(GUEST), "an address is in the audit");
}

#[tokio::test]
async fn who_has_an_account_is_invited_by_the_same_answer_and_keeps_their_password() {
    let world = World::new().await;
    let (_, north) = world.tenant("north").await;
    let (_, south) = world.tenant("south").await;
    let (_, guest) = world.member(&north, GUEST, &["read-only"]).await;
    let unlike = |mut answer: Value| {
        for differs in ["id", "email", "created_at", "expires_at"] {
            answer[differs] = Value::Null;
        }
        answer
    };
    let (known, known_mail) = invited(&world, &south, GUEST, &["auditor"]).await;
    let (unknown, _) = invited(&world, &south, "nobody@elsewhere.example", &["auditor"]).await;
    assert_eq!(unlike(known), unlike(unknown));

    assert_eq!(look(&world, &known_mail).await.ok()["has_account"], true);
    accept(&world, &known_mail, Some("quite another set of words 8"))
        .await
        .problem(422, "account-exists");
    accept(&world, &known_mail, None).await.ok();
    let me = guest.get("/v1/me").await.ok();
    assert_eq!(me["tenants"].as_array().unwrap().len(), 2, "{me}");
    assert_eq!(guest.post("/v1/me/tenant", json!({"tenant": "south"})).await.code, 200);
    // who is in is in
    south
        .post("/v1/users", whom(GUEST, &["auditor"]))
        .await
        .problem(409, "already-a-member");
}

#[tokio::test]
async fn another_mail_takes_the_place_of_the_last_and_a_cancelled_one_opens_nothing() {
    let world = World::new().await;
    let (_, admin) = world.tenant("north").await;
    let (first, old) = invited(&world, &admin, GUEST, &["auditor"]).await;
    let path = format!("/v1/invitations/{}", first["id"].as_str().unwrap());
    world.clock.advance(Duration::from_secs(60));
    let again = admin.post(&format!("{path}/resend"), Value::Null).await.ok();
    assert_eq!(again["id"], first["id"]);
    assert_ne!(again["expires_at"], first["expires_at"]);
    let new = token(&world, GUEST).await;
    look(&world, &old).await.problem(410, "token-expired");
    look(&world, &new).await.ok();

    // to invite the same address anew replaces the one that waits
    world.clock.advance(Duration::from_secs(60));
    let (second, newest) = invited(&world, &admin, GUEST, &["read-only"]).await;
    assert_eq!(waiting(&admin).await, std::slice::from_ref(&second));
    look(&world, &new).await.problem(410, "token-expired");

    let path = format!("/v1/invitations/{}", second["id"].as_str().unwrap());
    assert_eq!(admin.delete(&path).await.code, 204);
    admin.delete(&path).await.problem(404, "invitation-not-found");
    admin
        .post(&format!("{path}/resend"), Value::Null)
        .await
        .problem(404, "invitation-not-found");
    accept(&world, &newest, Some(PASSWORD))
        .await
        .problem(410, "token-expired");
    world
        .anyone()
        .sign_in(GUEST, PASSWORD)
        .await
        .problem(401, "sign-in-refused");
}

#[tokio::test]
async fn an_invitation_ends_after_a_day_is_shown_as_expired_and_goes_after_a_week() {
    let world = World::new().await;
    let (_, admin) = world.tenant("north").await;
    let (_, mail) = invited(&world, &admin, GUEST, &["auditor"]).await;
    world.clock.advance(Duration::from_secs(86_400));
    accept(&world, &mail, Some(PASSWORD))
        .await
        .problem(410, "token-expired");
    let admin = world.signed_in("admin@north.example", PASSWORD).await;
    assert_eq!(waiting(&admin).await[0]["state"], "expired");
    use exarch_common_runtime::Reconcile;
    let mut sweep = exarch_global_controller::sessions::Swept(world.app.clone());
    sweep.pass().await.unwrap();
    assert_eq!(waiting(&admin).await.len(), 1);
    world.clock.advance(Duration::from_secs(7 * 86_400 + 1));
    sweep.pass().await.unwrap();
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM gc.invitation")
        .fetch_one(&mut world.db().superuser().await)
        .await
        .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn an_invitation_is_worth_what_its_maker_may_still_give() {
    let world = World::new().await;
    let (_, admin) = world.tenant("north").await;
    let (_, second) = world.member(&admin, "second@north.example", &["tenant-admin"]).await;
    let (_, mail) = invited(&world, &second, GUEST, &["tenant-admin"]).await;
    look(&world, &mail).await.ok();
    let memberships = admin.get("/v1/tenants/north/memberships").await.ok();
    let of_second = memberships["items"].as_array().unwrap().iter();
    let of_second = of_second
        .clone()
        .find(|row| row["user"]["email"] == "second@north.example")
        .unwrap();
    let path = format!("/v1/tenants/north/memberships/{}", of_second["id"].as_str().unwrap());
    assert_eq!(admin.delete(&path).await.code, 204);
    accept(&world, &mail, Some(PASSWORD))
        .await
        .problem(410, "token-expired");
    // somebody who may takes it over
    let waiting = waiting(&admin).await;
    let path = format!("/v1/invitations/{}/resend", waiting[0]["id"].as_str().unwrap());
    admin.post(&path, Value::Null).await.ok();
    let mail = token(&world, GUEST).await;
    world
        .owner()
        .await
        .post(
            "/v1/tenants/north/suspend",
            json!({"cause": "billing", "reason": "unpaid"}),
        )
        .await
        .ok();
    accept(&world, &mail, Some(PASSWORD))
        .await
        .problem(410, "token-expired");
    world
        .owner()
        .await
        .post("/v1/tenants/north/resume", json!({"reason": "paid"}))
        .await
        .ok();
    accept(&world, &mail, Some(PASSWORD)).await.ok();
}

#[tokio::test]
async fn nobody_invites_into_more_than_they_hold_and_readers_invite_nobody() {
    let world = World::new().await;
    let (_, admin) = world.tenant("north").await;
    let (_, reader) = world.member(&admin, "r@north.example", &["read-only"]).await;
    reader
        .post("/v1/users", whom(GUEST, &["read-only"]))
        .await
        .problem(403, "permission-denied");
    reader.get("/v1/invitations").await.problem(403, "permission-denied");
    admin
        .post("/v1/users", whom(GUEST, &["system-admin"]))
        .await
        .problem(422, "invalid-membership");
    assert!(world.post().await.is_empty());
}

#[tokio::test]
async fn three_an_hour_from_one_tenant_and_to_one_address_from_all() {
    let world = World::new().await;
    let (_, north) = world.tenant("north").await;
    let (_, south) = world.tenant("south").await;
    for _ in 0..3 {
        north.post("/v1/users", whom(GUEST, &["auditor"])).await.status(202);
    }
    north
        .post("/v1/users", whom(GUEST, &["auditor"]))
        .await
        .problem(429, "too-many-requests");
    assert_eq!(world.post().await.len(), 3);
    // what north did neither hinders south nor shows to it; the mail waits for its turn
    south.post("/v1/users", whom(GUEST, &["auditor"])).await.status(202);
    assert!(world.post().await.is_empty());
    world.clock.advance(Duration::from_secs(3600));
    let mail = token(&world, GUEST).await;
    assert_eq!(look(&world, &mail).await.ok()["tenant"]["slug"], "south");
}

#[tokio::test]
async fn of_many_who_accept_at_once_one_comes_in() {
    let world = World::new().await;
    let (_, admin) = world.tenant("north").await;
    let (_, mail) = invited(&world, &admin, GUEST, &["auditor"]).await;
    let answers = futures_util::future::join_all((0..6).map(|_| accept(&world, &mail, Some(PASSWORD)))).await;
    let codes: Vec<u16> = answers.iter().map(|answer| answer.code).collect();
    assert_eq!(codes.iter().filter(|code| **code == 200).count(), 1, "{codes:?}");
    assert!(codes.iter().all(|code| [200, 409, 410].contains(code)), "{codes:?}");
    let people = admin.get("/v1/users").await.ok();
    assert_eq!(people["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_token_is_good_as_it_is_and_in_its_tenant_alone() {
    let world = World::new().await;
    let (north, admin) = world.tenant("north").await;
    let (south, _) = world.tenant("south").await;
    let (_, mail) = invited(&world, &admin, GUEST, &["auditor"]).await;
    let moved = mail.replace(&north, &south);
    assert_ne!(moved, mail);
    let (tenant, secret) = mail.split_once('.').unwrap();
    let swapped: String = secret
        .chars()
        .map(|c| {
            if c.is_ascii_lowercase() {
                c.to_ascii_uppercase()
            } else {
                c.to_ascii_lowercase()
            }
        })
        .collect();
    for wrong in [
        moved,
        format!("{mail}A"),
        mail[..mail.len() - 1].to_owned(),
        secret.to_owned(),
        format!("{tenant}.{swapped}"),
        format!("{tenant}."),
        tenant.to_owned(),
        String::new(),
    ] {
        look(&world, &wrong).await.problem(410, "token-expired");
        accept(&world, &wrong, Some(PASSWORD))
            .await
            .problem(410, "token-expired");
    }
    look(&world, &mail).await.ok();
}

#[tokio::test]
async fn address_and_token_lie_sealed_and_hashed_and_open_in_no_other_row() {
    let world = World::new().await;
    let (_, admin) = world.tenant("north").await;
    let (_, mail) = invited(&world, &admin, GUEST, &["auditor"]).await;
    world.clock.advance(Duration::from_millis(2));
    invited(&world, &admin, "other@elsewhere.example", &["auditor"]).await;
    let mut conn = world.db().superuser().await;
    let rows: String = sqlx::query_scalar("SELECT string_agg(i::text, ' ') FROM gc.invitation i")
        .fetch_one(&mut conn)
        .await
        .unwrap();
    let secret = mail.split_once('.').unwrap().1;
    assert!(!rows.contains("elsewhere") && !rows.contains(secret), "{rows}");
    sqlx::query(
        "UPDATE gc.invitation SET email_sealed = (SELECT email_sealed FROM gc.invitation ORDER BY id DESC LIMIT 1)",
    )
    .execute(&mut conn)
    .await
    .unwrap();
    assert_eq!(look(&world, &mail).await.code, 500);
}

#[tokio::test]
async fn a_disabled_account_does_not_come_in_and_whoever_invites_is_not_told() {
    let world = World::new().await;
    let (_, north) = world.tenant("north").await;
    let (_, south) = world.tenant("south").await;
    world.member(&north, GUEST, &["read-only"]).await;
    sqlx::query("UPDATE gc.user SET state = 'disabled' WHERE email_index = $1")
        .bind(&world.app.keys.email_index(GUEST)[..])
        .execute(&mut world.db().superuser().await)
        .await
        .unwrap();
    let (_, mail) = invited(&world, &south, GUEST, &["auditor"]).await;
    accept(&world, &mail, None).await.problem(409, "user-disabled");
    // staff are invited like everybody else, by somebody else
    let (_, mail) = invited(&world, &south, OWNER, &["auditor"]).await;
    accept(&world, &mail, None).await.ok();
}

#[tokio::test]
async fn a_repeated_request_invites_once() {
    let world = World::new().await;
    let (_, admin) = world.tenant("north").await;
    let key = [("idempotency-key", "k-1")];
    let body = whom(GUEST, &["auditor"]).to_string();
    let first = admin.send_with("POST", "/v1/users", &key, Some(body.clone())).await;
    let again = admin.send_with("POST", "/v1/users", &key, Some(body)).await;
    assert_eq!((again.code, &again.text), (202, &first.text));
    assert_eq!(world.post().await.len(), 1);
    assert_eq!(waiting(&admin).await.len(), 1);
}
