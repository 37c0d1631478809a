//! Who may enter where, and with what.
use crate::tests::{Gateway, World, until};
use exarch_common_authz::Role;
use exarch_common_wire::{names, user_token};
use serde_json::json;

mod keys;

async fn active(world: &World, slug: &str) -> (Gateway, impl Sized + use<>) {
    let gateway = world.region(slug).await;
    let (down, up) = (gateway.down().await, gateway.up().await);
    let push = up.poll(None).await;
    up.acknowledge(up.version(&push)).await;
    until("it is active", || async {
        world.lifecycle(gateway.id).await == "active"
    })
    .await;
    (gateway, down)
}

#[tokio::test]
async fn a_person_enters_a_region_with_a_token_that_is_good_there_alone() {
    let world = World::new().await;
    let (north, _n) = active(&world, "eu-north").await;
    let tenant = world.tenant("acme").await;
    world.entitle(tenant, north.id).await;
    let user = world.user("Ada").await;
    world.member(tenant, user, &[]).await;
    let ada = world.sign_in(user, Some(tenant), &[Role::TenantAdmin]).await;
    let told = ada.post("/v1/regions/eu-north/token", json!({})).await;
    assert_eq!(told.status, 200, "{told:?}");
    assert_eq!(told.body["region_state"], "healthy");
    assert_eq!(told.body["region"]["url"], "http://eu-north.localhost:9440");
    assert!(told.body["last_seen"].is_string());
    assert_eq!(told.body["expires_in"], 900);
    let token = told.body["access_token"].as_str().unwrap();
    let now = world.app.ambient.now();
    let key = |kid: &str| world.app.keys.verifier(kid, now);
    let at =
        |audience: &str| user_token::verify(token, key, "http://localhost:8440", audience, now.unix_timestamp(), 30);
    let claims = at(&names::region(north.id)).unwrap();
    assert!(at(names::GLOBAL).is_err());
    assert_eq!(
        (claims.sub, claims.tid, claims.sid),
        (user, Some(tenant), ada.session.id)
    );
    assert_eq!(claims.roles, ["tenant-admin"]);
    let region = claims.region.unwrap();
    assert_eq!(
        (region.rid, region.sxp),
        (north.id, ada.session.expires_at.unix_timestamp())
    );
    let push = north.up().await.poll(None).await;
    let section = push.entries.iter().find(|e| e.id.starts_with("tenant/")).unwrap();
    assert_eq!(region.ten_v, section.version);
    // At the global it opens nothing.
    let stolen = crate::tests::Person {
        token: token.to_owned(),
        ..ada.clone()
    };
    assert_eq!(stolen.get("/v1/me").await.status, 401);
}

#[tokio::test]
async fn whoever_is_not_entitled_hears_that_there_is_no_such_region() {
    let world = World::new().await;
    let ((north, _n), (east, _e)) = (active(&world, "eu-north").await, active(&world, "us-east").await);
    let (acme, other) = (world.tenant("acme").await, world.tenant("other").await);
    world.entitle(acme, north.id).await;
    let entitlement = world.entitle(acme, east.id).await;
    world.entitle(other, north.id).await;
    let (ada, bob) = (world.user("Ada").await, world.user("Bob").await);
    world.member(acme, ada, &[]).await;
    world.member(acme, bob, &[east.id]).await;
    let ada = world.sign_in(ada, Some(acme), &[]).await;
    let bob = world.sign_in(bob, Some(acme), &[]).await;
    let slugs = async |person: &crate::tests::Person| {
        let told = person.get("/v1/me/regions").await;
        assert_eq!(told.status, 200, "{told:?}");
        let items = told.body["items"].as_array().unwrap().clone();
        let mut slugs: Vec<_> = items.iter().map(|i| i["slug"].as_str().unwrap().to_owned()).collect();
        slugs.sort();
        slugs
    };
    assert_eq!(slugs(&ada).await, ["eu-north", "us-east"]);
    assert_eq!(slugs(&bob).await, ["us-east"], "his membership is narrowed");
    let nowhere = ada.post("/v1/regions/nowhere/token", json!({})).await;
    assert_eq!((nowhere.status, nowhere.problem()), (404, "region-not-found"));
    let refused = bob.post("/v1/regions/eu-north/token", json!({})).await;
    assert_eq!((refused.status, refused.problem()), (404, "region-not-found"));
    assert_eq!(refused.body["detail"], nowhere.body["detail"]);
    world.end_entitlement(acme, entitlement).await;
    assert_eq!(ada.post("/v1/regions/us-east/token", json!({})).await.status, 404);
    assert_eq!(slugs(&ada).await, ["eu-north"]);
    assert!(slugs(&bob).await.is_empty());
    // Staff have no business in a region without a tenant.
    let staff = world.staff().await;
    assert_eq!(staff.post("/v1/regions/eu-north/token", json!({})).await.status, 404);
    assert!(slugs(&staff).await.is_empty());
}

#[tokio::test]
async fn a_region_that_is_not_in_service_is_told_apart_from_one_that_is_none_of_ones_own() {
    let world = World::new().await;
    let (registered, _) = world.register("eu-north").await;
    let joining = world.region("us-east").await;
    let tenant = world.tenant("acme").await;
    world.entitle(tenant, registered).await;
    world.entitle(tenant, joining.id).await;
    let user = world.user("Ada").await;
    world.member(tenant, user, &[]).await;
    let ada = world.sign_in(user, Some(tenant), &[]).await;
    for (slug, state) in [("eu-north", "registered"), ("us-east", "joining")] {
        let refused = ada.post(&format!("/v1/regions/{slug}/token"), json!({})).await;
        assert_eq!((refused.status, refused.problem()), (409, "region-not-in-service"));
        assert_eq!(refused.body["region_state"], state);
    }
    world.set_lifecycle(registered, "removed").await;
    assert_eq!(ada.post("/v1/regions/eu-north/token", json!({})).await.status, 409);
    world.set_lifecycle(joining.id, "draining").await;
    let draining = ada.post("/v1/regions/us-east/token", json!({})).await;
    assert_eq!(
        (draining.status, draining.body["region_state"].as_str()),
        (200, Some("draining"))
    );
    assert!(draining.body["last_seen"].is_null(), "it was never probed");
}

#[tokio::test]
async fn what_is_greyed_out_says_why() {
    let world = World::new().await;
    let ((north, _n), (registered, _)) = (active(&world, "eu-north").await, world.register("us-east").await);
    let (later, ended) = (world.register("later").await.0, world.register("ended").await.0);
    let tenant = world.tenant("acme").await;
    for region in [north.id, registered, later] {
        world.entitle(tenant, region).await;
    }
    let gone = world.entitle(tenant, ended).await;
    world.end_entitlement(tenant, gone).await;
    let sql = "UPDATE gc.entitlement SET from_at = now() + interval '1 day' WHERE tenant_id = $1 AND region_id = $2";
    world.change(tenant, sql, &[later.uuid()]).await;
    let user = world.user("Ada").await;
    world.member(tenant, user, &[]).await;
    let ada = world.sign_in(user, Some(tenant), &[]).await;
    let plain = ada.get("/v1/me/regions").await.body;
    let entitled: Vec<_> = plain["items"].as_array().unwrap().iter().map(|i| &i["slug"]).collect();
    assert_eq!(
        entitled,
        ["us-east", "eu-north"],
        "newest first, and those in force alone"
    );
    let all = ada.get("/v1/me/regions?include=unavailable").await.body;
    let reason = |slug: &str| {
        let items = all["items"].as_array().unwrap();
        items.iter().find(|i| i["slug"] == slug).unwrap()["reason"].clone()
    };
    assert!(reason("eu-north").is_null());
    assert!(reason("us-east").as_str().unwrap().contains("registered"));
    assert!(reason("later").as_str().unwrap().contains("later"));
    assert!(reason("ended").as_str().unwrap().contains("ended"));
    assert_eq!(ada.post("/v1/regions/later/token", json!({})).await.status, 404);
    assert_eq!(ada.get("/v1/me/regions?include=everything").await.status, 400);
    let first = ada.get("/v1/me/regions?limit=1").await.body;
    let next = first["next_page_token"].as_str().unwrap();
    let second = ada.get(&format!("/v1/me/regions?limit=1&page_token={next}")).await.body;
    assert_eq!(second["items"][0]["slug"], "eu-north");
    assert!(second["next_page_token"].is_null());
}

#[tokio::test]
async fn a_region_token_outlives_neither_the_session_nor_the_entitlement() {
    let world = World::new().await;
    let (north, _n) = active(&world, "eu-north").await;
    let tenant = world.tenant("acme").await;
    world.entitle(tenant, north.id).await;
    let user = world.user("Ada").await;
    world.member(tenant, user, &[]).await;
    let ada = world.sign_in(user, Some(tenant), &[]).await;
    let sql = "UPDATE gc.entitlement SET until_at = now() + interval '5 minutes' WHERE tenant_id = $1";
    world.change(tenant, sql, &[]).await;
    let told = ada.post("/v1/regions/eu-north/token", json!({})).await;
    let left = told.body["expires_in"].as_i64().unwrap();
    assert!((290..=300).contains(&left), "{left}");
    ada.post("/v1/auth/sign-out", json!({})).await;
    assert_eq!(ada.post("/v1/regions/eu-north/token", json!({})).await.status, 401);
}
