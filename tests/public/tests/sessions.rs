//! Who is signed in where, and ending it.
use super::world::{Client, OWNER, PASSWORD, World};
use serde_json::Value;
use std::time::Duration;

async fn listed(client: &Client, path: &str) -> Vec<Value> {
    let list = client.get(path).await.ok();
    list["items"].as_array().unwrap().clone()
}

fn id(row: &Value) -> &str {
    row["id"].as_str().unwrap()
}

async fn another(world: &World, email: &str, agent: &str) -> Client {
    // ids made in one millisecond have no order
    world.clock.advance(Duration::from_millis(2));
    let client = world.anyone().with_agent(agent);
    let answer = client.sign_in(email, PASSWORD).await;
    let answer = world.second_step(email, answer).await.ok();
    client.with_token(answer["access_token"].as_str().unwrap())
}

const ADMIN: &str = "admin@north.example";

#[tokio::test]
async fn one_sees_ones_sessions_and_ends_one_or_all_others() {
    let world = World::new().await;
    let (_, first) = world.tenant("north").await;
    let laptop = another(&world, ADMIN, "laptop/1").await;
    let phone = another(&world, ADMIN, "phone/1").await;
    let mine = listed(&laptop, "/v1/me/sessions").await;
    assert_eq!(mine.len(), 4, "with the one of the first password: {mine:?}");
    let agents: Vec<_> = mine.iter().map(|row| row["user_agent"].as_str().unwrap()).collect();
    assert_eq!(agents, ["phone/1", "laptop/1", "tests/1", "tests/1"]);
    let current: Vec<_> = mine.iter().map(|row| row["current"].as_bool().unwrap()).collect();
    assert_eq!(current, [false, true, false, false]);

    let path = format!("/v1/me/sessions/{}", id(&mine[0]));
    assert_eq!(laptop.delete(&path).await.code, 204);
    phone.get("/v1/me").await.problem(401, "unauthenticated");
    laptop.delete(&path).await.problem(404, "session-not-found");
    first.get("/v1/me").await.ok();
    let ended = laptop.delete("/v1/me/sessions").await.ok();
    assert_eq!(ended["ended"], 2);
    first.get("/v1/me").await.problem(401, "unauthenticated");
    assert_eq!(listed(&laptop, "/v1/me/sessions").await.len(), 1);
    let rows = laptop.get("/v1/audit?action=session.revoke").await.ok();
    assert_eq!(rows["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn somebody_elses_session_is_not_there() {
    let world = World::new().await;
    let (_, north) = world.tenant("north").await;
    let (_, south) = world.tenant("south").await;
    let theirs = listed(&north, "/v1/me/sessions").await;
    let path = format!("/v1/me/sessions/{}", id(&theirs[0]));
    south.delete(&path).await.problem(404, "session-not-found");
    north.get("/v1/me").await.ok();
}

#[tokio::test]
async fn an_administrator_sees_and_ends_those_in_the_tenant_and_no_others() {
    let world = World::new().await;
    let (_, north) = world.tenant("north").await;
    let (_, south) = world.tenant("south").await;
    let (user, in_north) = world.member(&north, "both@x.example", &["read-only"]).await;
    let grant = serde_json::json!({"email": "both@x.example", "roles": ["auditor"]});
    south.post("/v1/tenants/south/memberships", grant).await.status(201);
    let body =
        serde_json::json!({"email": "both@x.example", "password": PASSWORD, "session": "token", "tenant": "south"});
    let answer = world.anyone().post("/v1/auth/sign-in", body).await.ok();
    let in_south = world.anyone().with_token(answer["access_token"].as_str().unwrap());

    let path = format!("/v1/users/{user}/sessions");
    let seen = listed(&south, &path).await;
    assert_eq!(seen.len(), 1);
    let of_north = listed(&in_north, "/v1/me/sessions").await;
    let foreign = of_north.iter().find(|row| id(row) != id(&seen[0])).unwrap();
    south
        .delete(&format!("{path}/{}", id(foreign)))
        .await
        .problem(404, "session-not-found");
    assert_eq!(south.delete(&path).await.ok()["ended"], 1);
    in_south.get("/v1/me").await.problem(401, "unauthenticated");
    in_north.get("/v1/me").await.ok();
    in_north.get(&path).await.problem(403, "permission-denied");
}

#[tokio::test]
async fn staff_end_anybodys_and_it_stands_in_the_providers_audit() {
    let world = World::new().await;
    let (_, north) = world.tenant("north").await;
    let (user, member) = world.member(&north, "m@x.example", &["read-only"]).await;
    let owner = world.owner().await;
    let path = format!("/v1/federation-users/{user}/sessions");
    let seen = listed(&owner, &path).await;
    assert!(seen.len() >= 2, "{seen:?}");
    let me = member.get("/v1/me").await.ok();
    assert_eq!(owner.delete(&format!("{path}/{}", id(&me["session"]))).await.code, 204);
    member.get("/v1/me").await.problem(401, "unauthenticated");
    let rest = owner.delete(&path).await.ok();
    assert_eq!(rest["ended"], seen.len() - 1);
    let rows = owner.get("/v1/federation-audit?action=session.revoke").await.ok();
    assert_eq!(rows["items"].as_array().unwrap().len(), 2);
    north.get(&path).await.problem(403, "permission-denied");
}

#[tokio::test]
async fn what_was_ended_stands_in_the_passports_revocations_in_the_same_moment() {
    let world = World::new().await;
    let owner = world.owner().await;
    let body = serde_json::json!({"slug": "eu", "name": "EU", "url": "https://eu.example"});
    owner.post("/v1/regions", body).await.status(201);
    let other = world.signed_in(OWNER, PASSWORD).await;
    let session = listed(&other, "/v1/me/sessions")
        .await
        .into_iter()
        .find(|row| row["current"] == true)
        .unwrap();
    let revocations = || async {
        let mut conn = world.db().superuser().await;
        let bytes: Vec<u8> = sqlx::query_scalar("SELECT contents FROM gc.passport_section WHERE id = 'revocations'")
            .fetch_one(&mut conn)
            .await
            .unwrap();
        bytes
    };
    let raw = uuid::Uuid::parse_str(&id(&session)[4..]).unwrap();
    let holds = |bytes: &[u8]| {
        let text = id(&session).as_bytes();
        bytes.windows(16).any(|part| part == raw.as_bytes()) || bytes.windows(text.len()).any(|part| part == text)
    };
    assert!(!holds(&revocations().await));
    assert_eq!(
        owner.delete(&format!("/v1/me/sessions/{}", id(&session))).await.code,
        204
    );
    assert!(holds(&revocations().await));
}

#[tokio::test]
async fn a_session_lasts_eight_hours_for_staff_and_seven_days_for_others() {
    let world = World::new().await;
    let (_, user) = world.tenant("north").await;
    let of = |me: &Value| {
        let at = |key: &str| {
            let text = me["session"][key].as_str().unwrap();
            time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).unwrap()
        };
        (at("expires_at") - at("auth_time")).whole_hours()
    };
    assert_eq!(of(&world.owner().await.get("/v1/me").await.ok()), 8);
    assert_eq!(of(&user.get("/v1/me").await.ok()), 7 * 24);
}

#[tokio::test]
async fn one_more_than_are_allowed_ends_the_oldest_here_and_in_the_regions() {
    let world = World::with(|settings| settings["sessions"] = serde_json::json!({"per_person": 3})).await;
    world.region("eu-north").await;
    let (_, first) = world.tenant("north").await;
    let second = another(&world, ADMIN, "second/1").await;
    first.get("/v1/me").await.ok();
    // with the one of the first password there are three
    let third = another(&world, ADMIN, "third/1").await;
    first.get("/v1/me").await.ok();
    let fourth = another(&world, ADMIN, "fourth/1").await;
    first.get("/v1/me").await.problem(401, "unauthenticated");
    for client in [&second, &third, &fourth] {
        client.get("/v1/me").await.ok();
    }
    assert_eq!(listed(&fourth, "/v1/me/sessions").await.len(), 3);
    let begun = fourth.get("/v1/audit?action=session.begin").await.ok();
    assert_eq!(begun["items"][0]["after"]["displaced"], 1, "{begun}");
    // a switch makes its own room
    let (_, south) = world.tenant("south").await;
    let grant = serde_json::json!({"email": ADMIN, "roles": ["auditor"]});
    south.post("/v1/tenants/south/memberships", grant).await.status(201);
    assert_eq!(
        fourth
            .post("/v1/me/tenant", serde_json::json!({"tenant": "south"}))
            .await
            .code,
        200
    );
    second.get("/v1/me").await.ok();
}

#[tokio::test]
async fn of_many_who_sign_in_at_once_no_more_than_allowed_stay() {
    let world = World::with(|settings| settings["sessions"] = serde_json::json!({"per_person": 3})).await;
    world.tenant("north").await;
    let answers = futures_util::future::join_all((0..9).map(|_| {
        let client = world.anyone();
        async move { client.sign_in(ADMIN, PASSWORD).await.code }
    }))
    .await;
    assert!(answers.iter().all(|code| *code == 200), "{answers:?}");
    let alive: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM gc.session s JOIN gc.user u ON u.id = s.user_id
          WHERE u.email_index = $1 AND s.ended_at IS NULL",
    )
    .bind(&world.app.keys.email_index(ADMIN)[..])
    .fetch_one(&mut world.db().superuser().await)
    .await
    .unwrap();
    assert_eq!(alive, 3);
}
