//! Federated keys: from where their regions are listed to a token for one of them, and no further.
use super::*;
use crate::tests::Person;
use axum::http::Method;
use exarch_common_wire::key_token;
use serde_json::Value;

/// A tenant with an administrator who has made a federated key.
struct Keyed {
    world: World,
    north: Gateway,
    _north: Box<dyn std::any::Any>,
    ada: Person,
    key: Person,
    id: String,
    tenant: exarch_common_base::TenantId,
}

async fn keyed(change: Value) -> Keyed {
    let world = World::new().await;
    let (north, down) = active(&world, "eu-north").await;
    let tenant = world.tenant("acme").await;
    world.entitle(tenant, north.id).await;
    let user = world.user("Ada").await;
    world.member(tenant, user, &[]).await;
    let ada = world.sign_in(user, Some(tenant), &[Role::TenantAdmin]).await;
    let mut body = json!({"name": "builds", "kind": "federated", "role": "auditor"});
    for (member, value) in change.as_object().unwrap() {
        body[member] = value.clone();
    }
    let made = ada.post("/v1/api-keys", body).await;
    assert_eq!(made.status, 201, "{made:?}");
    let secret = |told: &Value| told["secret"].as_str().unwrap().to_owned();
    Keyed {
        key: Person {
            token: secret(&made.body),
            ..ada.clone()
        },
        id: made.body["id"].as_str().unwrap().to_owned(),
        world,
        north,
        _north: Box::new(down),
        ada,
        tenant,
    }
}

const ENTER: &str = "/v1/regions/eu-north/token";

impl Keyed {
    async fn enters(&self) -> (u16, String) {
        let told = self.key.post(ENTER, json!({})).await;
        (told.status, told.problem().to_owned())
    }
}

fn refused() -> (u16, String) {
    (401, "unauthenticated".to_owned())
}

#[tokio::test]
async fn a_federated_key_gets_a_token_that_names_it_for_one_region() {
    let k = keyed(json!({})).await;
    let told = k.key.post(ENTER, json!({})).await;
    assert_eq!(told.status, 200, "{told:?}");
    assert_eq!(told.body["expires_in"], 900);
    let token = told.body["access_token"].as_str().unwrap();
    let now = k.world.app.ambient.now();
    let key = |kid: &str| k.world.app.keys.verifier(kid, now);
    let at = |region| key_token::verify(token, key, "http://localhost:8440", region, now.unix_timestamp(), 30);
    let claims = at(k.north.id).unwrap();
    assert_eq!((claims.sub.to_string(), claims.tid), (k.id.clone(), k.tenant));
    assert!(at(k.world.app.ambient.id()).is_err());
    let mine = k.key.get("/v1/me/regions").await;
    assert_eq!(mine.body["items"][0]["slug"], "eu-north", "{mine:?}");
    // the region knows the key, and nothing by which it could be told from another secret
    let push = k.north.up().await.poll(None).await;
    let section = push
        .sections
        .iter()
        .find(|(id, _)| id.starts_with("tenant/"))
        .unwrap()
        .1;
    let holds = |text: &str| section.0.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(holds(&k.id) && !holds("verifier") && !holds("192.0.2.0"));
    // its last use is known
    let read = k.ada.get(&format!("/v1/api-keys/{}", k.id)).await;
    assert_eq!(read.body["last_used_on"], now.date().to_string());
    // the token is good for nothing here
    let stolen = Person {
        token: token.to_owned(),
        ..k.ada.clone()
    };
    for path in ["/v1/me", "/v1/me/regions", "/v1/api-keys"] {
        assert_eq!(stolen.get(path).await.status, 401, "{path}");
    }
}

#[tokio::test]
async fn a_key_opens_two_doors_of_the_global_and_no_other() {
    let k = keyed(json!({"role": "tenant-admin"})).await;
    let (_, table) = crate::router::public(k.world.app.clone());
    for entry in table {
        if entry.kind == exarch_common_http::RouteKind::Public {
            continue;
        }
        let path = entry.path.replace("{slug}", "eu-north").replace(['{', '}'], "");
        let told = k.key.ask(entry.method.clone(), &path).await;
        match (entry.method.clone(), entry.path.as_str()) {
            (Method::GET, "/v1/me/regions") | (Method::POST, "/v1/regions/{slug}/token") => {
                assert_eq!(told.status, 200, "{path}");
            }
            _ => assert_eq!(
                (told.status, told.problem()),
                (401, "unauthenticated"),
                "{} {path}",
                entry.method
            ),
        }
    }
}

#[tokio::test]
async fn a_key_ends_at_once_with_its_owner_its_secret_and_itself() {
    let k = keyed(json!({})).await;
    let (tenant, world) = (k.tenant, &k.world);
    assert_eq!(k.enters().await.0, 200);
    let user = k.ada.session.user.uuid();
    for (gone, back) in [
        (
            "UPDATE gc.api_key SET expires_at = now() WHERE tenant_id = $1",
            "UPDATE gc.api_key SET expires_at = NULL WHERE tenant_id = $1",
        ),
        (
            "UPDATE gc.membership SET until_at = now() WHERE tenant_id = $1",
            "UPDATE gc.membership SET until_at = NULL WHERE tenant_id = $1",
        ),
        (
            "UPDATE gc.tenant SET state = 'suspended(incident)' WHERE id = $1",
            "UPDATE gc.tenant SET state = 'active' WHERE id = $1",
        ),
    ] {
        // in an incident the key of a role that may not read then is nobody's
        if gone.contains("incident") {
            world
                .change(
                    tenant,
                    "UPDATE gc.api_key SET role = 'read-only' WHERE tenant_id = $1",
                    &[],
                )
                .await;
        }
        world.change(tenant, gone, &[]).await;
        assert_eq!(k.enters().await, refused(), "{gone}");
        world.change(tenant, back, &[]).await;
        assert_eq!(k.enters().await.0, 200, "{back}");
    }
    let rotated = k.ada.post(&format!("/v1/api-keys/{}/rotate", k.id), json!({})).await;
    assert_eq!(rotated.status, 201, "{rotated:?}");
    assert_eq!(k.enters().await.0, 200, "the secret before is good for a day");
    let sql = "UPDATE gc.api_key SET previous_until = now() WHERE tenant_id = $1";
    world.change(tenant, sql, &[]).await;
    assert_eq!(k.enters().await, refused());
    let next = Person {
        token: rotated.body["secret"].as_str().unwrap().to_owned(),
        ..k.ada.clone()
    };
    assert_eq!(next.post(ENTER, json!({})).await.status, 200);
    // who leaves and comes back has no old keys
    let sql = "UPDATE gc.membership SET ended_at = now() WHERE tenant_id = $1 AND user_id = $2";
    world.change(tenant, sql, &[user]).await;
    world.member(tenant, k.ada.session.user, &[]).await;
    assert_eq!(next.post(ENTER, json!({})).await.status, 401);
}

#[tokio::test]
async fn a_key_that_names_addresses_is_good_from_there_alone_and_a_revoked_one_nowhere() {
    let k = keyed(json!({"cidrs": ["192.0.2.0/24"]})).await;
    // a connection of which nothing is known comes from nowhere
    assert_eq!(k.enters().await, refused());
    let from = async |address: &str, claimed: &str| k.key.ask_from(address, claimed, ENTER).await.status;
    assert_eq!(from("192.0.2.1", "203.0.113.9").await, 200);
    assert_eq!(from("203.0.113.9", "192.0.2.1").await, 401);
    let revoked = k
        .ada
        .post(&format!("/v1/api-keys/{}/revoke", k.id), json!({"reason": "x"}))
        .await;
    assert_eq!(revoked.status, 204);
    assert_eq!(from("192.0.2.1", "203.0.113.9").await, 401);
}

#[tokio::test]
async fn a_regional_key_is_nothing_here_and_its_last_use_is_what_its_region_tells() {
    let k = keyed(json!({"kind": "regional", "region": "eu-north"})).await;
    assert_eq!(k.enters().await, refused());
    let id = k.id.parse().unwrap();
    let today = k.world.app.ambient.now().unix_timestamp() / 86_400;
    let read = async || k.ada.get(&format!("/v1/api-keys/{}", k.id)).await.body["last_used_on"].clone();
    let tell = async |region, day| {
        crate::api_keys::used_in(&k.world.app, region, &[(id, day)].into())
            .await
            .unwrap();
    };
    // what another region tells of it is nothing
    tell(k.world.app.ambient.id(), today).await;
    assert_eq!(read().await, Value::Null);
    tell(k.north.id, today - 1).await;
    let yesterday = read().await;
    assert!(yesterday.is_string());
    // the day does not go back, and never lies ahead
    tell(k.north.id, today - 2).await;
    assert_eq!(read().await, yesterday);
    tell(k.north.id, i64::MAX).await;
    assert_eq!(read().await, yesterday);
    tell(k.north.id, today + 400).await;
    assert_eq!(read().await, k.world.app.ambient.now().date().to_string());
}
