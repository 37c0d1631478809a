//! Creating requests with an `Idempotency-Key`: carried out once, answered the same, on every replica.
use super::world::{Answer, Client, PASSWORD, World};
use exarch_common_runtime::Reconcile;
use exarch_global_controller::sessions::Swept;
use serde_json::{Value, json};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn post(client: &Client, key: &str, path: &str, body: &Value) -> Answer {
    let headers = [("idempotency-key", key)];
    client.send_with("POST", path, &headers, Some(body.to_string())).await
}

struct Scene {
    world: World,
    tenant: String,
    admin: Client,
    owner: Client,
}

async fn scene() -> Scene {
    let world = World::new().await;
    world.region("eu-north").await;
    let (tenant, admin) = world.tenant("north").await;
    let owner = world.owner().await;
    Scene {
        world,
        tenant,
        admin,
        owner,
    }
}

impl Scene {
    async fn rows(&self, action: &str) -> usize {
        let path = format!("/v1/federation-audit?action={action}");
        self.owner.get(&path).await.ok()["items"].as_array().unwrap().len()
    }

    fn entitlements(&self) -> String {
        format!("/v1/tenants/{}/entitlements", self.tenant)
    }
}

#[tokio::test]
async fn a_repeat_gets_the_answer_of_the_first_request_and_has_no_effect() {
    let scene = scene().await;
    let (path, body) = (scene.entitlements(), json!({"region": "eu-north"}));
    let first = post(&scene.owner, "k-1", &path, &body).await;
    // a replica of its own: nothing is kept in memory
    let other = scene.world.replica().await;
    for client in [&scene.owner, &scene.owner.at(&other)] {
        let again = post(client, "k-1", &path, &body).await;
        assert_eq!((again.code, &again.text), (201, &first.text));
        assert_eq!(again.headers["content-type"], first.headers["content-type"]);
    }
    assert_eq!(scene.rows("entitlement.grant").await, 1);
    // without the key, or under another one, it is a request of its own
    scene
        .owner
        .post(&path, body.clone())
        .await
        .problem(409, "already-entitled");
    post(&scene.owner, "k-2", &path, &body)
        .await
        .problem(409, "already-entitled");
}

#[tokio::test]
async fn another_body_under_the_same_key_is_refused() {
    let scene = scene().await;
    let path = scene.entitlements();
    post(&scene.owner, "k", &path, &json!({"region": "eu-north"}))
        .await
        .status(201);
    let other = json!({"region": "eu-north", "limits": {"clusters": 1}});
    post(&scene.owner, "k", &path, &other)
        .await
        .problem(422, "idempotency-key-reused");
}

#[tokio::test]
async fn what_failed_is_not_kept() {
    let scene = scene().await;
    let (path, body) = (scene.entitlements(), json!({"region": "eu-south"}));
    post(&scene.owner, "k", &path, &body)
        .await
        .problem(422, "invalid-entitlement");
    scene.world.region("eu-south").await;
    post(&scene.owner, "k", &path, &body).await.status(201);
}

#[tokio::test]
async fn a_key_that_is_none_is_refused_before_anything_happens() {
    let scene = scene().await;
    for key in ["", "a b", &"k".repeat(129)] {
        post(&scene.owner, key, &scene.entitlements(), &json!({"region": "eu-north"}))
            .await
            .problem(400, "malformed-idempotency-key");
    }
    assert_eq!(scene.rows("entitlement.grant").await, 0);
}

#[tokio::test]
async fn the_key_of_one_caller_says_nothing_to_another() {
    let scene = scene().await;
    let body = json!({"email": "shared@north.example", "display_name": "Shared", "roles": ["read-only"], "initial_password": true});
    post(&scene.admin, "k", "/v1/users", &body).await.status(201);
    // another tenant's administrator with the same key and body carries out a request of their own
    let (_, south) = scene.world.tenant("south").await;
    post(&south, "k", "/v1/users", &body).await.problem(409, "email-taken");
    // and so does a colleague in the same tenant
    let (_, colleague) = scene
        .world
        .member(&scene.admin, "second@north.example", &["tenant-admin"])
        .await;
    post(&colleague, "k", "/v1/users", &body)
        .await
        .problem(409, "email-taken");
}

#[tokio::test]
async fn the_answer_is_kept_for_a_day_and_swept_then() {
    let scene = scene().await;
    let (path, body) = (scene.entitlements(), json!({"region": "eu-north"}));
    let first = post(&scene.owner, "k", &path, &body).await.status(201);
    scene.world.clock.advance(DAY - Duration::from_secs(1));
    let owner = scene.world.owner().await;
    assert_eq!(post(&owner, "k", &path, &body).await.status(201), first);
    scene.world.clock.advance(Duration::from_secs(1));
    // over, but not swept yet: the key is free again
    let ended = format!("{path}/{}", first["id"].as_str().unwrap());
    owner.delete(&ended).await.status(204);
    let second = post(&owner, "k", &path, &body).await.status(201);
    assert_ne!(second["id"], first["id"]);
    let mut swept = Swept(scene.world.app.clone());
    swept.pass().await.unwrap();
    assert_eq!(scene.world.dump("gc.idempotency").await.len(), 1);
    scene.world.clock.advance(DAY);
    swept.pass().await.unwrap();
    assert_eq!(scene.world.dump("gc.idempotency").await.len(), 0);
}

#[tokio::test]
async fn of_many_at_once_one_has_the_effect_and_all_get_its_answer() {
    let scene = scene().await;
    let (path, body) = (scene.entitlements(), json!({"region": "eu-north"}));
    let replicas = [scene.owner.clone(), scene.owner.at(&scene.world.replica().await)];
    let mut all = tokio::task::JoinSet::new();
    for n in 0..12 {
        let (client, path, body) = (replicas[n % 2].clone(), path.clone(), body.clone());
        all.spawn(async move { post(&client, "k", &path, &body).await });
    }
    let answers = all.join_all().await;
    for answer in &answers {
        assert_eq!((answer.code, &answer.text), (201, &answers[0].text));
    }
    assert_eq!(scene.rows("entitlement.grant").await, 1);
}

#[tokio::test]
async fn a_secret_is_shown_once_and_its_repeat_names_what_was_made() {
    let scene = scene().await;
    let owner = &scene.owner;
    let region = json!({"slug": "us-east", "name": "US East", "url": "https://us.example:9440"});
    let tenant = json!({"slug": "south", "name": "South",
                        "admin": {"email": "admin@south.example", "display_name": "Admin"}});
    let user =
        json!({"email": "new@north.example", "display_name": "New", "roles": ["read-only"], "initial_password": true});
    let totp = json!({"password": PASSWORD});
    for (client, path, body, secret, id) in [
        (owner, "/v1/regions", &region, "/join_token/token", "/region/id"),
        (owner, "/v1/tenants", &tenant, "/admin/initial_password", "/id"),
        (&scene.admin, "/v1/users", &user, "/initial_password", "/id"),
        (&scene.admin, "/v1/me/totp", &totp, "/secret", "/id"),
    ] {
        let first = post(client, "k", path, body).await.status(201);
        let secret = first.pointer(secret).unwrap().as_str().unwrap();
        let again = post(client, "k", path, body).await;
        assert!(!again.text.contains(secret), "{path}");
        let again = again.problem(409, "secret-already-shown");
        assert_eq!(Some(&again["id"]), first.pointer(id), "{path}");
    }
    let path = "/v1/regions/us-east/join-token";
    post(owner, "k", path, &Value::Null).await.status(201);
    post(owner, "k", path, &Value::Null)
        .await
        .problem(409, "secret-already-shown");
    assert_eq!(scene.rows("region.create-join-token").await, 1);
}

#[tokio::test]
async fn nothing_that_was_asked_or_answered_lies_open_in_the_database() {
    let scene = scene().await;
    let body = json!({"email": "plain@north.example", "display_name": "Plain", "roles": ["read-only"], "initial_password": true});
    let made = post(&scene.admin, "key-in-the-clear", "/v1/users", &body)
        .await
        .status(201);
    let (_, south) = scene.world.tenant("south").await;
    let membership = json!({"email": "plain@north.example", "roles": ["read-only"]});
    post(&south, "k", "/v1/tenants/south/memberships", &membership)
        .await
        .status(201);
    let kept = scene.world.dump("gc.idempotency").await;
    assert_eq!(kept.len(), 2);
    for secret in [
        "plain@north.example",
        "key-in-the-clear",
        made["initial_password"].as_str().unwrap(),
    ] {
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert!(
            kept.iter().all(|row| !row.contains(secret) && !row.contains(&hex)),
            "{secret}"
        );
    }
}

#[tokio::test]
async fn who_lost_the_permission_gets_no_answer_of_before() {
    let scene = scene().await;
    let (user, colleague) = scene
        .world
        .member(&scene.admin, "second@north.example", &["tenant-admin"])
        .await;
    let body = json!({"email": "admin@south.example", "roles": ["read-only"]});
    scene.world.tenant("south").await;
    post(&colleague, "k", "/v1/tenants/north/memberships", &body)
        .await
        .status(201);
    let members = scene.admin.get("/v1/tenants/north/memberships").await.ok();
    let theirs = members["items"].as_array().unwrap().iter();
    let theirs = theirs.clone().find(|m| m["user"]["id"] == json!(user)).unwrap()["id"].clone();
    let theirs = format!("/v1/tenants/north/memberships/{}", theirs.as_str().unwrap());
    scene.admin.delete(&theirs).await.status(204);
    post(&colleague, "k", "/v1/tenants/north/memberships", &body)
        .await
        .problem(401, "unauthenticated");
}

/// Every route that answers 201 takes a key; what its repeat is answered is in the description.
#[tokio::test]
async fn the_description_says_of_every_creating_route_what_its_repeat_is_answered() {
    let world = World::empty().await;
    let doc = world.anyone().get("/openapi.json").await.ok();
    let mut creating = Vec::new();
    for (path, item) in doc["paths"].as_object().unwrap() {
        let operation = &item["post"];
        if operation["responses"].get("201").is_none() {
            assert!(operation.get("x-exarch-repeat").is_none(), "{path}");
            continue;
        }
        let word = operation["x-exarch-repeat"].as_str().unwrap_or("none");
        creating.push(format!("{path} {word}"));
        let parameters = operation["parameters"].as_array().unwrap();
        assert!(parameters.iter().any(|p| p["name"] == "Idempotency-Key"), "{path}");
        for status in ["409", "422"] {
            let said = operation["responses"][status]["description"].as_str().unwrap();
            assert!(said.contains("Idempotency-Key"), "{path} {status}: {said}");
        }
    }
    creating.sort();
    assert_eq!(
        creating,
        [
            "/v1/api-keys secret-already-shown",
            "/v1/api-keys/{id}/rotate secret-already-shown",
            "/v1/break-glass same-answer",
            "/v1/me/totp secret-already-shown",
            "/v1/regions secret-already-shown",
            "/v1/regions/{slug}/join-token secret-already-shown",
            "/v1/roles same-answer",
            "/v1/tenants secret-already-shown",
            "/v1/tenants/{id}/entitlements same-answer",
            "/v1/tenants/{id}/memberships same-answer",
            "/v1/users secret-already-shown",
        ]
    );
}
