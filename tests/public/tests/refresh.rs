//! Refresh tokens: once each, the same pair again within the grace, and the end of the session for a copy.
use super::world::{Client, OWNER, PASSWORD, World};
use exarch_common_wire::{names, user_token};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};

async fn pair(world: &World) -> Value {
    world.pair(OWNER, PASSWORD).await
}

fn refresh_body(pair: &Value) -> Value {
    json!({"refresh_token": pair["refresh_token"]})
}

async fn refresh(client: &Client, pair: &Value) -> super::world::Answer {
    client.post("/v1/auth/refresh", refresh_body(pair)).await
}

fn claims(world: &World, pair: &Value) -> user_token::Claims {
    let now = world.app.ambient.now();
    let token = pair["access_token"].as_str().unwrap();
    let keys = |kid: &str| world.app.keys.verifier(kid, now);
    user_token::verify(
        token,
        keys,
        &world.app.keys.issuer(),
        names::GLOBAL,
        now.unix_timestamp(),
        30,
    )
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_uses_at_once_give_one_new_pair() {
    let world = World::new().await;
    let first = pair(&world).await;
    world.clock.advance(Duration::from_secs(60));
    let uses = (0..100).map(|_| {
        let (client, body) = (world.anyone(), refresh_body(&first));
        tokio::spawn(async move { client.post("/v1/auth/refresh", body).await.ok() })
    });
    let mut tokens = BTreeSet::new();
    let mut access = BTreeSet::new();
    for used in uses.collect::<Vec<_>>() {
        let given = used.await.unwrap();
        let claims = claims(&world, &given);
        tokens.insert(given["refresh_token"].as_str().unwrap().to_owned());
        access.insert((claims.jti, claims.iat, claims.exp));
    }
    assert_eq!((tokens.len(), access.len()), (1, 1), "{tokens:?} {access:?}");
    let mut conn = world.db().superuser().await;
    let number: i32 = sqlx::query_scalar("SELECT number FROM gc.refresh_family")
        .fetch_one(&mut conn)
        .await
        .unwrap();
    assert_eq!(number, 2);
    assert!(!tokens.contains(first["refresh_token"].as_str().unwrap()));
}

#[tokio::test]
async fn within_the_grace_the_same_pair_comes_again_and_the_chain_goes_on() {
    let world = World::new().await;
    let client = world.anyone();
    let first = pair(&world).await;
    let second = refresh(&client, &first).await.ok();
    world.clock.advance(Duration::from_secs(9));
    let again = refresh(&client, &first).await.ok();
    assert_eq!(again["refresh_token"], second["refresh_token"]);
    let (a, b) = (claims(&world, &second), claims(&world, &again));
    assert_eq!((a.jti, a.iat, a.exp), (b.jti, b.iat, b.exp));
    assert_eq!(again["expires_in"], 15 * 60 - 9);
    let third = refresh(&client, &second).await.ok();
    assert_ne!(third["refresh_token"], second["refresh_token"]);
}

#[tokio::test]
async fn a_copy_used_after_the_grace_ends_the_session_and_is_audited() {
    let world = World::new().await;
    let client = world.anyone();
    let first = pair(&world).await;
    let second = refresh(&client, &first).await.ok();
    world.clock.advance(Duration::from_secs(10));
    refresh(&client, &first).await.problem(401, "refresh-refused");
    refresh(&client, &second).await.problem(401, "refresh-refused");
    let bearer = world.anyone().with_token(second["access_token"].as_str().unwrap());
    bearer.get("/v1/me").await.problem(401, "unauthenticated");
    let rows = world
        .owner()
        .await
        .get("/v1/federation-audit?action=session.revoke")
        .await
        .ok();
    assert_eq!(rows["items"].as_array().unwrap().len(), 1);
    assert_eq!(rows["items"][0]["outcome"], "denied");
}

#[tokio::test]
async fn another_client_with_a_used_token_ends_the_session_within_the_grace() {
    let world = World::new().await;
    let first = pair(&world).await;
    let second = refresh(&world.anyone(), &first).await.ok();
    let thief = world.anyone().with_agent("thief/1");
    refresh(&thief, &first).await.problem(401, "refresh-refused");
    refresh(&world.anyone(), &second).await.problem(401, "refresh-refused");
}

#[tokio::test]
async fn a_token_that_was_altered_or_made_up_is_refused_and_harms_nobody() {
    let world = World::new().await;
    let client = world.anyone();
    let first = pair(&world).await;
    let token = first["refresh_token"].as_str().unwrap();
    for at in 4..token.len() {
        let mut bytes = token.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let altered = json!({"refresh_token": String::from_utf8(bytes).unwrap()});
        client
            .post("/v1/auth/refresh", altered)
            .await
            .problem(401, "refresh-refused");
    }
    for other in ["", "exr_", "x", first["access_token"].as_str().unwrap()] {
        let body = json!({"refresh_token": other});
        client
            .post("/v1/auth/refresh", body)
            .await
            .problem(401, "refresh-refused");
    }
    refresh(&client, &first).await.ok();
}

#[tokio::test]
async fn a_refresh_does_not_outlive_its_session_or_its_own_time() {
    let world = World::new().await;
    let client = world.anyone();
    let first = pair(&world).await;
    // staff: 8 h
    world.clock.advance(Duration::from_secs(8 * 3600 - 60));
    let last = refresh(&client, &first).await.ok();
    assert_eq!(last["expires_in"], 60);
    world.clock.advance(Duration::from_secs(60));
    refresh(&client, &last).await.problem(401, "refresh-refused");
}

#[tokio::test]
async fn a_disabled_person_refreshes_nothing() {
    let world = World::new().await;
    let first = pair(&world).await;
    let mut conn = world.db().superuser().await;
    sqlx::query("UPDATE gc.user SET state = 'disabled'")
        .execute(&mut conn)
        .await
        .unwrap();
    refresh(&world.anyone(), &first).await.problem(401, "refresh-refused");
    let bearer = world.anyone().with_token(first["access_token"].as_str().unwrap());
    bearer.get("/v1/me").await.problem(401, "unauthenticated");
}
