//! The registry as staff use it.
use crate::tests::{World, until};
use axum::http::StatusCode;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_wire::{federation::paths, tombstone::Tombstone};
use serde_json::json;

fn region(slug: &str) -> serde_json::Value {
    json!({"slug": slug, "name": "EU North", "url": "https://eu.example:9440"})
}

#[tokio::test]
async fn a_region_is_registered_once_and_its_token_is_shown_once_and_kept_as_a_hash() {
    let world = World::new().await;
    let staff = world.staff().await;
    let told = staff.post("/v1/regions", region("eu-north")).await;
    assert_eq!(told.status, 201);
    let token = told.body["join_token"]["token"].as_str().unwrap();
    let line = told.body["join_token"]["line"].as_str().unwrap();
    let pin = world.app.keys.federation_ca().pin().to_string();
    assert_eq!(
        line,
        format!("exarch-gateway join --global https://localhost:8441 --ca-pin {pin} --token-file -")
    );
    assert!(!line.contains(token));
    let shown = &told.body["region"];
    assert_eq!(
        (shown["lifecycle"].as_str(), shown["health"].as_str()),
        (Some("registered"), Some("unknown"))
    );
    assert_eq!(shown["console_url"], "https://eu.example:9440");
    assert_eq!(shown["passport"]["version"], 1);
    assert!(!world.dump_join_tokens().await.contains(token));
    assert_eq!(world.audit("region.register").await, [("ok".to_owned(), None)]);
    let again = staff.post("/v1/regions", region("eu-north")).await;
    assert_eq!((again.status, again.problem()), (409, "region-slug-taken"));
}

#[tokio::test]
async fn the_slug_of_a_removed_region_is_never_used_again() {
    let world = World::new().await;
    let (id, _) = world.register("eu-north").await;
    world.set_lifecycle(id, "removed").await;
    let again = world.staff().await.post("/v1/regions", region("eu-north")).await;
    assert_eq!((again.status, again.problem()), (409, "region-slug-taken"));
    assert!(
        world
            .delete_as_the_server("gc.region")
            .await
            .contains("permission denied")
    );
}

#[tokio::test]
async fn what_cannot_be_a_region_is_refused_by_name() {
    let world = World::new().await;
    let staff = world.staff().await;
    for (change, pointer) in [
        (json!({"slug": "EU"}), "/slug"),
        (json!({"name": " "}), "/name"),
        (json!({"url": "javascript:alert(1)"}), "/url"),
        (json!({"console_url": "https://eu.example/path"}), "/console_url"),
        (json!({"lifecycle": "active"}), "/lifecycle"),
    ] {
        let mut body = region("eu-north");
        body.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        let told = staff.post("/v1/regions", body).await;
        assert_eq!(
            (told.status, told.body["errors"][0]["pointer"].as_str()),
            (422, Some(pointer)),
            "{told:?}"
        );
    }
    assert!(world.audit("region.register").await.is_empty());
}

#[tokio::test]
async fn regions_are_listed_newest_first_and_to_staff_alone() {
    let world = World::new().await;
    for slug in ["a", "b", "c"] {
        world.register(slug).await;
    }
    let staff = world.staff().await;
    let first = staff.get("/v1/regions?limit=2").await.body;
    let slugs = |page: &serde_json::Value| {
        let items = page["items"].as_array().unwrap();
        items
            .iter()
            .map(|i| i["slug"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(slugs(&first), ["c", "b"]);
    let next = first["next_page_token"].as_str().unwrap();
    let second = staff.get(&format!("/v1/regions?limit=2&page_token={next}")).await.body;
    assert_eq!(slugs(&second), ["a"]);
    assert_eq!(staff.get("/v1/regions/b").await.body["slug"], "b");
    assert_eq!(staff.get("/v1/regions/d").await.status, 404);
    let tenant = world.tenant("acme").await;
    let user = world.user("Ada").await;
    world.member(tenant, user, &[]).await;
    let ada = world.sign_in(user, Some(tenant), &[]).await;
    for path in ["/v1/regions", "/v1/regions/b"] {
        assert_eq!(ada.get(path).await.status, 403, "{path}");
    }
    assert_eq!(ada.post("/v1/regions", region("mine")).await.status, 403);
    assert_eq!(ada.post("/v1/regions/b/join-token", json!({})).await.status, 403);
}

#[tokio::test]
async fn a_region_in_service_is_drained_before_it_is_removed_and_comes_back_from_it() {
    let world = World::new().await;
    let staff = world.staff().await;
    let gateway = world.region("eu-north").await;
    world.set_lifecycle(gateway.id, "active").await;
    let step = async |action: &str| {
        let path = format!("/v1/regions/eu-north/{action}");
        staff.post(&path, json!({"reason": "Moved."})).await
    };
    let refused = step("remove").await;
    assert_eq!((refused.status, refused.problem()), (409, "region-state"));
    assert_eq!(refused.body["detail"], "eu-north is active: drain it first.");
    let draining = step("drain").await;
    assert_eq!(
        (draining.status, &draining.body["lifecycle"]),
        (200, &json!("draining"))
    );
    assert_eq!(step("drain").await.problem(), "region-state");

    let acme = world.tenant("acme").await;
    let grant = async |region: &str| {
        let path = format!("/v1/tenants/{acme}/entitlements");
        staff.post(&path, json!({"region": region})).await
    };
    assert_eq!(grant("eu-north").await.problem(), "region-draining");
    let resumed = step("resume").await;
    assert_eq!((resumed.status, &resumed.body["lifecycle"]), (200, &json!("active")));
    assert_eq!(grant("eu-north").await.status, 201);
    assert_eq!(world.audit("region.drain").await.len(), 1);
    assert_eq!(world.audit("region.resume").await.len(), 1);
    let reasonless = staff.post("/v1/regions/eu-north/drain", json!({})).await;
    assert_eq!(reasonless.status, 422);
}

#[tokio::test]
async fn a_region_is_removed_when_nobody_is_entitled_to_it_and_learns_it_by_its_tombstone() {
    let world = World::new().await;
    let staff = world.staff().await;
    let (gateway, there) = (world.region("eu-north").await, world.region("us-east").await);
    world.set_lifecycle(gateway.id, "draining").await;
    let acme = world.tenant("acme").await;
    let entitlement = world.entitle(acme, gateway.id).await;
    let (_down, up, other) = (gateway.down().await, gateway.up().await, there.up().await);
    until("its tunnel is up", || async {
        !world.app.federation.tunnels.of(gateway.id).is_empty()
    })
    .await;
    let remove = || staff.post("/v1/regions/eu-north/remove", json!({"reason": "Sold."}));
    let refused = remove().await;
    assert_eq!((refused.status, refused.problem()), (409, "region-entitled"));
    assert_eq!(world.lifecycle(gateway.id).await, "draining");
    up.poll(None).await;

    world.end_entitlement(acme, entitlement).await;
    let removed = remove().await;
    assert_eq!(
        (removed.status, &removed.body["lifecycle"]),
        (200, &json!("removed")),
        "{removed:?}"
    );
    assert_eq!(world.audit("region.remove").await.len(), 1);
    assert_eq!(remove().await.problem(), "region-state");
    until("its tunnel has ended", || async {
        world.app.federation.tunnels.of(gateway.id).is_empty()
    })
    .await;

    let told = up.get(paths::PASSPORT).await;
    assert_eq!(
        (told.status, told.problem().as_str()),
        (StatusCode::GONE, "region-removed")
    );
    let signed = B64.decode(told.json()["tombstone"].as_str().unwrap()).unwrap();
    let authority = world.app.keys.authority();
    let read = Tombstone::read(&signed, gateway.id, |kid| {
        (kid == authority.kid).then(|| authority.key.public())
    });
    assert_eq!(read.unwrap().removed_at, world.app.ambient.now().unix_timestamp());
    other.poll(None).await;
}
