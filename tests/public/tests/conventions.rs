//! What holds for every answer, whatever was asked: headers, methods, media types.
use super::world::{Answer, World};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

const HEADERS: [(&str, &str); 6] = [
    ("strict-transport-security", "max-age=63072000; includeSubDomains"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    (
        "content-security-policy",
        "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'",
    ),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-store"),
];

fn has_the_headers(what: &str, answer: &Answer) {
    for (name, value) in HEADERS {
        let values: Vec<_> = answer.headers.get_all(name).iter().collect();
        assert_eq!(values, [value], "{what}: {name}");
    }
    let id = answer.headers["x-request-id"].to_str().unwrap();
    assert!(id.starts_with("req_"), "{what}");
    if answer.code >= 400 && !answer.text.is_empty() {
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{what}");
        let problem = answer.json();
        assert_eq!(
            (&problem["status"], &problem["request_id"]),
            (&json!(answer.code), &json!(id)),
            "{what}"
        );
        assert!(
            problem["detail"].as_str().is_some_and(|told| told.ends_with('.')),
            "{what}: {problem}"
        );
    }
}

#[tokio::test]
async fn every_class_of_answer_has_the_headers_and_every_refusal_is_a_problem() {
    let world = World::new().await;
    world.region("eu-north").await;
    let owner = world.owner().await;
    let (_, admin) = world.tenant("north").await;
    let grant = "/v1/tenants/north/entitlements";
    let region = r#"{"region": "eu-north"}"#;
    let json = ("content-type", "application/json");
    let large = format!("\"{}\"", "a".repeat(1024 * 1024));
    let anyone = world.anyone();
    for (who, method, path, headers, body, code) in [
        (&owner, "GET", "/v1/tenants", &[][..], None, 200),
        (&owner, "HEAD", "/v1/tenants", &[], None, 200),
        (
            &owner,
            "GET",
            "/v1/tenants",
            &[("accept", "text/event-stream; q=0")],
            None,
            200,
        ),
        (&owner, "POST", grant, &[], Some(region), 201),
        (&owner, "POST", grant, &[], Some("{"), 400),
        (&owner, "GET", "/v1/tenants?limit=0", &[], None, 400),
        (&anyone, "GET", "/v1/tenants", &[], None, 401),
        (&admin, "GET", "/v1/tenants", &[], None, 403),
        (&owner, "GET", "/v1/tenants/nowhere", &[], None, 404),
        (&owner, "GET", "/v1/nothing", &[], None, 404),
        (&owner, "HEAD", "/v1/nothing", &[], None, 404),
        (&owner, "DELETE", "/v1/tenants", &[], None, 405),
        (&owner, "POST", grant, &[], Some(region), 409),
        (
            &owner,
            "PATCH",
            "/v1/tenants/north",
            &[("if-match", "\"99\"")],
            Some("{}"),
            412,
        ),
        (&owner, "POST", grant, &[], Some(&*large), 413),
        (
            &owner,
            "POST",
            grant,
            &[("content-type", "text/plain")],
            Some(region),
            415,
        ),
        (&owner, "POST", grant, &[], Some(r#"{"region": 1}"#), 422),
        (&owner, "PATCH", "/v1/tenants/north", &[], Some("{}"), 428),
        (
            &owner,
            "DELETE",
            "/v1/me/sessions/ses_00000000000000000000000000000000",
            &[],
            None,
            404,
        ),
    ] {
        let typed = headers.iter().any(|(name, _)| *name == "content-type");
        let mut headers = headers.to_vec();
        if body.is_some() && !typed {
            headers.push(json);
        }
        let answer = who.exactly(method, path, &headers, body.map(str::to_owned)).await;
        let what = format!("{method} {path} {code}");
        assert_eq!(answer.code, code, "{what}: {}", answer.text);
        has_the_headers(&what, &answer);
    }
}

#[tokio::test]
async fn a_path_takes_its_own_methods_and_head_and_says_so_to_every_other() {
    let world = World::empty().await;
    let mut paths: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for entry in &world.table {
        let methods = paths.entry(&entry.path).or_default();
        methods.insert(entry.method.to_string());
        if entry.method == "GET" {
            methods.insert("HEAD".into());
        }
    }
    let anyone = world.anyone();
    for (path, methods) in paths {
        let path = path.replace(['{', '}'], "");
        let strange = ["OPTIONS", "TRACE", "PUT", "CONNECT", "BREW"];
        for method in strange.into_iter().filter(|method| !methods.contains(*method)) {
            let answer = anyone.exactly(method, &path, &[], None).await;
            assert_eq!(answer.code, 405, "{method} {path}: {}", answer.text);
            has_the_headers(&format!("{method} {path}"), &answer);
            let allowed = answer.headers["allow"].to_str().unwrap();
            let allowed: BTreeSet<String> = allowed.split(',').map(|one| one.trim().to_owned()).collect();
            assert_eq!(allowed, methods, "{path}");
        }
    }
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let world = World::new().await;
    let owner = world.owner().await;
    world.region("eu-north").await;
    for path in ["/v1/tenants", "/v1/regions/eu-north", "/v1/nothing", "/openapi.json"] {
        let (get, head) = (
            owner.exactly("GET", path, &[], None).await,
            owner.exactly("HEAD", path, &[], None).await,
        );
        assert_eq!((head.code, &*head.text), (get.code, ""), "{path}");
        for name in ["content-type", "etag", "cache-control"] {
            assert_eq!(head.headers.get(name), get.headers.get(name), "{path} {name}");
        }
    }
}
