//! Bodies are read strictly, and headers that some frameworks obey change nothing.
use super::world::{OWNER, PASSWORD, World};
use axum::{body::Body, http::Request};
use tower::ServiceExt;

#[tokio::test]
async fn what_two_readers_could_understand_differently_is_refused() {
    let world = World::new().await;
    let client = world.anyone();
    let good = format!(r#""email":"{OWNER}","password":"{PASSWORD}","session":"token""#);
    let cases = [
        (format!("{{{good}}}"), 200),
        (format!("{{{good},\"admin\":true}}"), 422),
        (format!("{{{good},\"email\":\"x@y\"}}"), 400),
        (format!("{{{good}"), 400),
        (format!("[{{{good}}}]"), 422),
        ("[".repeat(40) + &"]".repeat(40), 400),
        (good.replace("\"token\"", "\"both\""), 400),
        (format!("{{{}}}", good.replace("\"token\"", "\"both\"")), 422),
        (format!("{{{}}}", good.replace(OWNER, "a\\u0000b")), 422),
        (format!("{{{}}}", good.replace(&format!("\"{OWNER}\""), "7")), 422),
        ("{}".to_owned(), 422),
        (String::new(), 400),
        (format!("{{{good}, \"tenant\": \"{}\"}}", "x".repeat(2 << 20)), 413),
    ];
    for (body, code) in cases {
        let shown: String = body.chars().take(120).collect();
        let answer = client.send("POST", "/v1/auth/sign-in", Some(body)).await;
        assert_eq!(answer.code, code, "{shown}: {}", answer.text);
        if code != 200 {
            assert_eq!(answer.headers["content-type"], "application/problem+json");
            assert!(answer.json()["request_id"].is_string());
        }
    }
}

#[tokio::test]
async fn a_tenant_that_asks_too_much_is_told_to_wait_and_others_are_not() {
    let world = World::new().await;
    let (_, north) = world.tenant("north").await;
    let (_, south) = world.tenant("south").await;
    let mut limited = None;
    for _ in 0..600 {
        let answer = north.get("/v1/me").await;
        if answer.code != 200 {
            limited = Some(answer);
            break;
        }
    }
    let limited = limited.expect("300 in a minute are too many");
    assert!(limited.headers.contains_key("retry-after"));
    limited.problem(429, "too-many-requests");
    south.get("/v1/me").await.ok();
    world.owner().await.get("/v1/me").await.ok();
}

#[tokio::test]
async fn another_media_type_method_or_override_is_refused_or_ignored() {
    let world = World::new().await;
    let send = async |request: Request<Body>| world.router.clone().oneshot(request).await.unwrap().status().as_u16();
    let form = Request::post("/v1/auth/sign-in").header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(send(form.body("email=x".into()).unwrap()).await, 415);
    assert_eq!(
        send(Request::put("/v1/auth/sign-in").body("".into()).unwrap()).await,
        405
    );
    let disguised = Request::get("/v1/auth/sign-out").header("x-http-method-override", "POST");
    assert_eq!(send(disguised.body("".into()).unwrap()).await, 405);
    let token = world.owner().await.token.unwrap();
    let cross = Request::post("/v1/auth/sign-out")
        .header("authorization", format!("Bearer {token}"))
        .header("sec-fetch-site", "cross-site")
        .header("origin", "http://evil.example");
    assert_eq!(send(cross.body("".into()).unwrap()).await, 403);
    let mine = Request::get("/v1/me").header("authorization", format!("Bearer {token}"));
    assert_eq!(send(mine.body("".into()).unwrap()).await, 200);
}
