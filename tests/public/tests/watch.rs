//! Lists as streams: what changes is told within a second, to those alone who may see it, and no longer than they may.
use super::world::{Client, World};
use axum::body::BodyDataStream;
use futures_util::StreamExt;
use serde_json::{Value, json};
use std::time::Duration;

/// Longer than anything here takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A stream, and what arrived of it and was not looked at.
struct Stream {
    body: BodyDataStream,
    arrived: String,
}

impl Stream {
    async fn open(client: &Client, path: &str) -> Self {
        let (head, body) = client.stream(path).await;
        assert_eq!(head.status, 200, "{path}");
        assert_eq!(head.headers["content-type"], "text/event-stream");
        assert_eq!(head.headers["cache-control"], "no-store");
        Self {
            body: body.into_data_stream(),
            arrived: String::new(),
        }
    }

    /// The next event, or nothing at the end of the stream.
    async fn event(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((block, rest)) = self.arrived.split_once("\n\n") {
                let block = block.to_owned();
                self.arrived = rest.to_owned();
                let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
                let Some(name) = field("event:") else { continue };
                let data = serde_json::from_str(field("data:").unwrap()).unwrap();
                return Some((name.to_owned(), data));
            }
            let more = tokio::time::timeout(PATIENCE, self.body.next()).await;
            let more = more.expect("an event within reasonable time")?.unwrap();
            self.arrived.push_str(std::str::from_utf8(&more).unwrap());
        }
    }

    async fn expect(&mut self, name: &str) -> Value {
        let (told, data) = self.event().await.expect("an event and not the end");
        assert_eq!(told, name, "{data}");
        data
    }
}

async fn user(admin: &Client, email: &str) -> Value {
    let body = json!({"email": email, "display_name": "New", "roles": ["read-only"], "initial_password": true});
    admin.post("/v1/users", body).await.status(201)
}

#[tokio::test]
async fn a_stream_begins_with_the_page_and_tells_what_comes_changes_and_goes() {
    let world = World::new().await;
    let (_, admin) = world.tenant("north").await;
    let path = "/v1/tenants/north/memberships";
    let mut stream = Stream::open(&admin, path).await;
    assert_eq!(stream.expect("page").await, admin.get(path).await.ok());
    world.clock.advance(Duration::from_millis(2));
    user(&admin, "new@north.example").await;
    let added = stream.expect("added").await;
    assert_eq!(added["user"]["email"], "new@north.example");
    assert_eq!(added, admin.get(path).await.ok()["items"][0]);
    admin
        .delete(&format!("{path}/{}", added["id"].as_str().unwrap()))
        .await
        .status(204);
    assert_eq!(stream.expect("removed").await, added);
}

#[tokio::test]
async fn what_another_replica_changes_is_told_within_a_second() {
    let world = World::new().await;
    let owner = world.owner().await;
    let mut stream = Stream::open(&owner.at(&world.replica().await), "/v1/tenants").await;
    stream.expect("page").await;
    // once before the clock runs: connections are made, statements prepared
    for slug in ["one", "two"] {
        world.clock.advance(Duration::from_millis(2));
        owner
            .post("/v1/tenants", json!({"slug": slug, "name": "x"}))
            .await
            .status(201);
        let committed = std::time::Instant::now();
        assert_eq!(stream.expect("added").await["slug"], slug);
        assert!(
            committed.elapsed() < Duration::from_secs(1),
            "{:?}",
            committed.elapsed()
        );
    }
}

#[tokio::test]
async fn what_the_provider_does_to_a_tenant_is_told_to_it_as_it_happens_and_to_no_other() {
    let world = World::new().await;
    let (_, north) = world.tenant("north").await;
    let (_, south) = world.tenant("south").await;
    let (mut told, mut other) = (
        Stream::open(&north, "/v1/provider-access").await,
        Stream::open(&south, "/v1/provider-access").await,
    );
    told.expect("page").await;
    other.expect("page").await;
    let owner = world.owner().await;
    for tenant in ["north", "south"] {
        let body = json!({"cause": "hold", "reason": format!("of {tenant}")});
        let path = format!("/v1/tenants/{tenant}/suspend");
        owner.post(&path, body).await.ok();
    }
    assert_eq!(told.expect("added").await["reason"], "of north");
    assert_eq!(other.expect("added").await["reason"], "of south");
}

#[tokio::test]
async fn a_stream_tells_nothing_of_another_tenant() {
    let world = World::new().await;
    let (_, north) = world.tenant("north").await;
    let (_, south) = world.tenant("south").await;
    south
        .send_with("GET", "/v1/tenants/north/memberships", STREAM, None)
        .await
        .problem(404, "tenant-not-found");
    south
        .send_with("GET", "/v1/tenants", STREAM, None)
        .await
        .problem(403, "permission-denied");
    let mut streams = Vec::new();
    for path in ["/v1/users", "/v1/audit", "/v1/me/sessions"] {
        let mut stream = Stream::open(&south, path).await;
        let page = stream.expect("page").await;
        assert!(!page.to_string().contains("north"), "{path}");
        streams.push((path, stream));
    }
    world.clock.advance(Duration::from_millis(2));
    user(&north, "new@north.example").await;
    world.clock.advance(Duration::from_millis(2));
    // what comes next on each stream is one's own
    user(&south, "new@south.example").await;
    world.signed_in("admin@south.example", super::world::PASSWORD).await;
    for (path, mut stream) in streams {
        let added = stream.expect("added").await.to_string();
        assert!(!added.contains("north"), "{path}: {added}");
    }
}

#[tokio::test]
async fn a_stream_ends_with_the_session_the_membership_or_the_role_behind_it() {
    let world = World::new().await;
    let (_, admin) = world.tenant("north").await;

    let second = world.signed_in("admin@north.example", super::world::PASSWORD).await;
    let mut stream = Stream::open(&second, "/v1/users").await;
    stream.expect("page").await;
    second.post("/v1/auth/sign-out", Value::Null).await.status(204);
    assert_eq!(stream.expect("end").await["type"], "urn:exarch:problem:unauthenticated");
    assert_eq!(stream.event().await, None);

    let (_, member) = world.member(&admin, "member@north.example", &["read-only"]).await;
    let mut stream = Stream::open(&member, "/v1/me/regions").await;
    stream.expect("page").await;
    let memberships = admin.get("/v1/tenants/north/memberships").await.ok();
    let id = memberships["items"][0]["id"].as_str().unwrap().to_owned();
    admin
        .delete(&format!("/v1/tenants/north/memberships/{id}"))
        .await
        .status(204);
    assert_eq!(stream.expect("end").await["status"], 401);

    let owner = world.owner().await;
    let mut stream = Stream::open(&owner, "/v1/regions").await;
    stream.expect("page").await;
    world.unbind_staff().await;
    let end = stream.expect("end").await;
    assert_eq!(
        (&end["status"], &end["type"]),
        (&json!(403), &json!("urn:exarch:problem:permission-denied"))
    );
    assert!(end["request_id"].as_str().unwrap().starts_with("req_"), "{end}");
}

#[tokio::test]
async fn a_stream_ends_with_its_access_token() {
    let world = World::new().await;
    let (_, admin) = world.tenant("north").await;
    let mut stream = Stream::open(&admin, "/v1/users").await;
    stream.expect("page").await;
    world.clock.advance(Duration::from_secs(15 * 60 + 31));
    assert_eq!(stream.expect("end").await["status"], 401);
}

#[tokio::test]
async fn one_caller_has_so_many_streams_and_others_go_on() {
    let world = World::new().await;
    let (_, north) = world.tenant("north").await;
    let (_, south) = world.tenant("south").await;
    let mut open = Vec::new();
    for _ in 0..16 {
        open.push(Stream::open(&north, "/v1/users").await);
    }
    let refused = north.send_with("GET", "/v1/users", STREAM, None).await;
    assert!(refused.headers.contains_key("retry-after"));
    refused.problem(429, "too-many-requests");
    north.get("/v1/users").await.ok();
    Stream::open(&south, "/v1/users").await;
    // one that is closed makes room
    open.pop();
    let deadline = std::time::Instant::now() + PATIENCE;
    while north.stream("/v1/users").await.0.status != 200 {
        assert!(std::time::Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_stop_ends_every_stream() {
    let world = World::new().await;
    let owner = world.owner().await;
    let mut stream = Stream::open(&owner, "/v1/tenants").await;
    stream.expect("page").await;
    world.app.watches.end();
    assert_eq!(stream.expect("end").await["type"], "urn:exarch:problem:watch-over");
    assert_eq!(stream.event().await, None);
}

#[tokio::test]
async fn a_list_is_the_same_under_every_other_name_of_its_media_type() {
    let world = World::new().await;
    let owner = world.owner().await;
    for accept in ["application/json", "*/*", "text/html", "text/event-stream-x"] {
        let answer = owner.send_with("GET", "/v1/tenants", &[("accept", accept)], None).await;
        assert_eq!(answer.headers["content-type"], "application/json", "{accept}");
        answer.ok();
    }
    // HEAD has no body that could be a stream
    let head = owner.send_with("HEAD", "/v1/tenants", STREAM, None).await;
    assert_eq!((head.code, &*head.text), (200, ""));
}

/// Every list can be watched, and each of its items is known by an id or a slug.
#[tokio::test]
async fn every_list_is_described_as_one_that_streams() {
    let world = World::empty().await;
    let doc = world.anyone().get("/openapi.json").await.ok();
    let resolve = |schema: &Value| match schema["$ref"].as_str() {
        Some(path) => doc.pointer(path.trim_start_matches('#')).unwrap().clone(),
        None => schema.clone(),
    };
    let mut lists = 0;
    for (path, item) in doc["paths"].as_object().unwrap() {
        let operation = &item["get"];
        let parameters = operation["parameters"].as_array();
        if !parameters.is_some_and(|all| all.iter().any(|p| p["name"] == "page_token")) {
            continue;
        }
        lists += 1;
        let content = &operation["responses"]["200"]["content"];
        assert!(content.get("text/event-stream").is_some(), "{path}");
        let page = resolve(&content["application/json"]["schema"]);
        let item = resolve(&page["properties"]["items"]["items"]).to_string();
        assert!(
            item.contains("\"id\":") || item.contains("\"slug\":") || item.contains("$ref"),
            "{path}: {item}"
        );
    }
    assert!(lists >= 11, "{lists}");
}

const STREAM: &[(&str, &str)] = &[("accept", "text/event-stream")];
