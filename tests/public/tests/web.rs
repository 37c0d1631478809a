//! The web app around the API.
use super::world::World;

#[tokio::test]
async fn every_address_outside_the_api_is_the_page_and_a_missing_file_is_not() {
    let world = World::new().await;
    let client = world.anyone();
    let page = client.get("/").await;
    assert_eq!(page.code, 200);
    assert!(page.headers["content-type"].to_str().unwrap().starts_with("text/html"));
    assert!(
        page.headers["content-security-policy"]
            .to_str()
            .unwrap()
            .contains("default-src 'self'")
    );
    assert_eq!(client.get("/regions/eu-north").await.text, page.text);
    assert_eq!(client.get("/assets/missing.js").await.code, 404);
    for api in ["/v1", "/v1/nothing", "/.well-known/nothing", "/federation/v1/join"] {
        client.get(api).await.problem(404, "no-such-route");
    }
    client
        .post("/anything", serde_json::json!({}))
        .await
        .problem(404, "no-such-route");
}

#[tokio::test]
async fn a_page_that_is_known_is_not_sent_again() {
    let world = World::new().await;
    let etag = world.anyone().get("/").await.headers["etag"]
        .to_str()
        .unwrap()
        .to_owned();
    let request = axum::http::Request::get("/").header("if-none-match", etag);
    let request = request.body(axum::body::Body::empty()).unwrap();
    let answer = tower::ServiceExt::oneshot(world.router.clone(), request).await.unwrap();
    assert_eq!(answer.status(), 304);
}
