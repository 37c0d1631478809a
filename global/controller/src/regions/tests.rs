//! The registry as staff use it.
use crate::tests::World;
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
