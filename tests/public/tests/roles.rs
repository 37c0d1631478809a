//! Roles that a tenant makes for itself.
use super::{
    edits::{etag, patch},
    world::{Client, World},
};
use serde_json::{Value, json};

async fn made(admin: &Client, name: &str, permissions: &[&str]) -> Value {
    let body = json!({"name": name, "permissions": permissions});
    admin.post("/v1/roles", body).await.status(201)
}

async fn version(client: &Client, path: &str) -> String {
    etag(&client.get(path).await)
}

#[tokio::test]
async fn a_role_gives_what_it_names_at_once_and_no_more() {
    let world = World::new().await;
    let (_, admin) = world.tenant("north").await;
    let role = made(&admin, "front-desk", &["user.list", "user.read"]).await;
    assert_eq!((&role["kind"], &role["scope"]), (&json!("custom"), &json!("tenant")));
    let (_, clerk) = world.member(&admin, "clerk@n.example", &["front-desk"]).await;
    assert_eq!(clerk.get("/v1/me").await.ok()["roles"], json!(["front-desk"]));
    clerk.get("/v1/users").await.ok();
    clerk.get("/v1/audit").await.problem(403, "permission-denied");
    clerk.get("/v1/roles").await.problem(403, "permission-denied");
    let path = "/v1/roles/front-desk";
    let change = json!({"permissions": ["audit.list"]}).to_string();
    admin
        .send("PATCH", path, Some(change))
        .await
        .problem(428, "precondition-required");
    let tag = version(&admin, path).await;
    let changed = patch(&admin, path, &tag, json!({"permissions": ["audit.list"]}))
        .await
        .ok();
    assert_eq!(changed["permissions"], json!(["audit.list"]));
    clerk.get("/v1/users").await.problem(403, "permission-denied");
    clerk.get("/v1/audit").await.ok();
    patch(&admin, path, &tag, json!({"description": "x"}))
        .await
        .problem(412, "precondition-failed");
    let held = clerk.get("/v1/permissions").await.ok();
    let held = held["items"].as_array().unwrap().iter().filter(|p| p["held"] == true);
    assert_eq!(held.map(|p| &p["name"]).collect::<Vec<_>>(), ["audit.list"]);
}

#[tokio::test]
async fn a_role_that_somebody_has_or_is_invited_to_stays() {
    let world = World::new().await;
    let (_, admin) = world.tenant("north").await;
    made(&admin, "clerk", &["user.list"]).await;
    let path = "/v1/roles/clerk";
    let (user, _) = world.member(&admin, "clerk@n.example", &["clerk"]).await;
    admin.delete(path).await.problem(409, "role-in-use");
    let list = admin.get("/v1/tenants/north/memberships").await.ok();
    let all = list["items"].as_array().unwrap();
    let mine = all.iter().find(|m| m["user"]["id"] == user.as_str()).unwrap();
    let membership = format!("/v1/tenants/north/memberships/{}", mine["id"].as_str().unwrap());
    assert_eq!(admin.delete(&membership).await.code, 204);
    let invite = json!({"email": "guest@n.example", "display_name": "Guest", "roles": ["clerk"]});
    let invitation = admin.post("/v1/users", invite).await.status(202);
    admin.delete(path).await.problem(409, "role-in-use");
    let invitation = format!("/v1/invitations/{}", invitation["id"].as_str().unwrap());
    assert_eq!(admin.delete(&invitation).await.code, 204);
    assert_eq!(admin.delete(path).await.code, 204);
    admin.get(path).await.problem(404, "role-not-found");
    // Its name is free, and stands for what the new one holds.
    let new = made(&admin, "clerk", &["audit.list"]).await;
    assert_eq!(new["permissions"], json!(["audit.list"]));
}

#[tokio::test]
async fn nobody_makes_a_role_into_more_than_they_hold() {
    let world = World::new().await;
    let (_, admin) = world.tenant("north").await;
    let desk = [
        "role.list",
        "role.read",
        "role.create",
        "role.update",
        "membership.list",
        "membership.grant",
        "user.list",
    ];
    made(&admin, "desk", &desk).await;
    made(&admin, "host", &["user.list", "user.invite"]).await;
    let (_, clerk) = world.member(&admin, "clerk@n.example", &["desk"]).await;
    made(&clerk, "lister", &["user.list"]).await;
    for permissions in [json!(["user.invite"]), json!(["user.list", "cluster.create"])] {
        let body = json!({"name": "more", "permissions": permissions});
        clerk
            .post("/v1/roles", body.clone())
            .await
            .problem(403, "permission-not-held");
        let tag = version(&clerk, "/v1/roles/lister").await;
        let change = json!({"permissions": permissions});
        patch(&clerk, "/v1/roles/lister", &tag, change)
            .await
            .problem(403, "permission-not-held");
    }
    // Nor takes away what they could not give.
    let tag = version(&clerk, "/v1/roles/host").await;
    patch(&clerk, "/v1/roles/host", &tag, json!({"permissions": ["user.list"]}))
        .await
        .problem(403, "permission-not-held");
    let (user, _) = world.member(&admin, "other@n.example", &["lister"]).await;
    let list = clerk.get("/v1/tenants/north/memberships").await.ok();
    let all = list["items"].as_array().unwrap();
    let other = all.iter().find(|m| m["user"]["id"] == user.as_str()).unwrap();
    let path = format!("/v1/tenants/north/memberships/{}", other["id"].as_str().unwrap());
    let tag = version(&clerk, &path).await;
    patch(&clerk, &path, &tag, json!({"roles": ["host"]}))
        .await
        .problem(403, "role-not-held");
    patch(&clerk, &path, &tag, json!({"roles": ["lister", "desk"]}))
        .await
        .ok();
}

#[tokio::test]
async fn what_is_no_role_is_refused_by_name() {
    let world = World::new().await;
    let (_, admin) = world.tenant("north").await;
    for (body, at) in [
        (json!({"name": "x", "permissions": []}), "/permissions"),
        (json!({"name": "x", "permissions": ["*"]}), "/permissions/0"),
        (
            json!({"name": "x", "permissions": ["user.list", "user.*"]}),
            "/permissions/1",
        ),
        (json!({"name": "x", "permissions": ["tenant.delete"]}), "/permissions/0"),
        (
            json!({"name": "x", "scope": "cluster", "permissions": ["user.list"]}),
            "/permissions/0",
        ),
    ] {
        let problem = admin.post("/v1/roles", body.clone()).await.problem(422, "invalid-role");
        assert_eq!(problem["errors"][0]["pointer"], at, "{body}");
    }
    for name in ["auditor", "cluster-admin", "system-admin", "regional-operator"] {
        let body = json!({"name": name, "permissions": ["user.list"]});
        admin.post("/v1/roles", body).await.problem(409, "role-exists");
    }
    made(&admin, "x", &["user.list"]).await;
    let again = json!({"name": "x", "permissions": ["user.list"]});
    admin.post("/v1/roles", again).await.problem(409, "role-exists");
    let tag = version(&admin, "/v1/roles/auditor").await;
    patch(&admin, "/v1/roles/auditor", &tag, json!({"permissions": ["user.list"]}))
        .await
        .problem(409, "role-preset");
    admin.delete("/v1/roles/auditor").await.problem(409, "role-preset");
    admin.delete("/v1/roles/nobodys").await.problem(404, "role-not-found");
    // ids made in one millisecond have no order
    world.clock.advance(std::time::Duration::from_millis(2));
    // One of cluster scope is not given in the whole tenant.
    let body = json!({"name": "runner", "scope": "cluster", "permissions": ["workload.start"]});
    admin.post("/v1/roles", body).await.status(201);
    let invite = json!({"email": "a@n.example", "display_name": "A", "roles": ["runner"], "initial_password": true});
    admin.post("/v1/users", invite).await.problem(422, "invalid-membership");
    // The list has all of them, its own first.
    let all = admin.get("/v1/roles").await.ok();
    let names: Vec<_> = all["items"].as_array().unwrap().iter().map(|r| &r["name"]).collect();
    assert_eq!(
        names,
        [
            "runner",
            "x",
            "tenant-admin",
            "security-analyst",
            "auditor",
            "read-only",
            "cluster-admin",
            "cluster-operator"
        ]
    );
}
