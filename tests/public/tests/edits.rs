//! What can be edited: on the version one has read, never more than one holds, in the audit as it was and as it is.
use super::world::{Answer, Client, World};
use serde_json::{Value, json};

pub async fn patch(client: &Client, path: &str, version: &str, body: Value) -> Answer {
    let headers = [("if-match", version)];
    client.send_with("PATCH", path, &headers, Some(body.to_string())).await
}

pub fn etag(answer: &Answer) -> String {
    answer.headers["etag"].to_str().unwrap().to_owned()
}

/// The last row of an action in a ledger.
async fn audited(client: &Client, ledger: &str, action: &str) -> Value {
    let rows = client.get(&format!("{ledger}?action={action}")).await.ok();
    rows["items"][0].clone()
}

struct Scene {
    world: World,
    owner: Client,
    admin: Client,
    /// Of a member of the tenant `north`.
    user: String,
    entitlement: String,
    membership: String,
    key: String,
}

async fn scene() -> Scene {
    let world = World::new().await;
    world.region("eu-north").await;
    let (_, admin) = world.tenant("north").await;
    let (user, _) = world.member(&admin, "member@north.example", &["read-only"]).await;
    let owner = world.owner().await;
    let granted = owner
        .post("/v1/tenants/north/entitlements", json!({"region": "eu-north"}))
        .await
        .status(201);
    let memberships = admin.get("/v1/tenants/north/memberships").await.ok();
    let role = json!({"name": "desk", "permissions": ["user.list"]});
    admin.post("/v1/roles", role).await.status(201);
    let key = json!({"name": "builds", "kind": "federated", "role": "read-only"});
    let key = admin.post("/v1/api-keys", key).await.status(201);
    let path = |kind: &str, id: &Value| format!("/v1/tenants/north/{kind}/{}", id.as_str().unwrap());
    Scene {
        entitlement: path("entitlements", &granted["id"]),
        membership: path("memberships", &memberships["items"][0]["id"]),
        key: format!("/v1/api-keys/{}", key["id"].as_str().unwrap()),
        world,
        owner,
        admin,
        user: format!("/v1/users/{user}"),
    }
}

impl Scene {
    /// Everything that can be edited: who may, where, a change, and the same as it is read afterwards.
    fn things(&self) -> Vec<(&Client, String, Value)> {
        vec![
            (&self.owner, "/v1/tenants/north".into(), json!({"name": "North Ltd"})),
            (
                &self.admin,
                "/v1/roles/desk".into(),
                json!({"description": "At the door"}),
            ),
            (
                &self.owner,
                "/v1/regions/eu-north".into(),
                json!({"name": "North", "url": "https://north.example"}),
            ),
            (
                &self.owner,
                self.entitlement.clone(),
                json!({"until": "2027-01-01T00:00:00Z"}),
            ),
            (
                &self.admin,
                self.membership.clone(),
                json!({"roles": ["auditor", "read-only"]}),
            ),
            (&self.admin, self.user.clone(), json!({"display_name": "Renamed"})),
            (
                &self.admin,
                self.key.clone(),
                json!({"name": "nightly", "cidrs": ["192.0.2.0/24"], "expires_at": "2027-01-01T00:00:00Z"}),
            ),
        ]
    }
}

#[tokio::test]
async fn a_change_is_made_on_the_version_that_was_read_and_on_no_other() {
    let scene = scene().await;
    for (who, path, change) in scene.things() {
        let read = who.get(&path).await;
        let (first, before) = (etag(&read), read.ok());
        who.send("PATCH", &path, Some(change.to_string()))
            .await
            .problem(428, "precondition-required");
        patch(who, &path, "\"99\"", change.clone())
            .await
            .problem(412, "precondition-failed");
        assert_eq!(who.get(&path).await.ok(), before, "{path}");
        let changed = patch(who, &path, &first, change.clone()).await;
        let second = etag(&changed);
        let changed = changed.ok();
        for (member, value) in change.as_object().unwrap() {
            assert_eq!(&changed[member], value, "{path} {member}");
        }
        assert_ne!(first, second, "{path}");
        let read = who.get(&path).await;
        assert_eq!(etag(&read), second, "{path}");
        assert_eq!(read.ok(), changed, "{path}");
        // whoever read the first version does not overwrite the second
        patch(who, &path, &first, change)
            .await
            .problem(412, "precondition-failed");
    }
}

#[tokio::test]
async fn who_names_no_version_is_told_so_before_what_the_state_refuses() {
    let scene = scene().await;
    let why = json!({"reason": "a test"});
    scene.owner.post("/v1/tenants/north/delete", why).await.ok();
    let (owner, change) = (&scene.owner, json!({}));
    for path in ["/v1/tenants/north", &scene.entitlement] {
        owner
            .send("PATCH", path, Some(change.to_string()))
            .await
            .problem(428, "precondition-required");
        patch(owner, path, "\"99\"", change.clone())
            .await
            .problem(412, "precondition-failed");
        patch(owner, path, "*", change.clone())
            .await
            .problem(409, "tenant-deleting");
    }
}

#[tokio::test]
async fn of_two_changes_on_one_version_one_is_made() {
    let scene = scene().await;
    for (who, path, change) in scene.things() {
        let version = etag(&who.get(&path).await);
        let (a, b) = tokio::join!(
            patch(who, &path, &version, change.clone()),
            patch(who, &path, &version, change)
        );
        let mut codes = [a.code, b.code];
        codes.sort_unstable();
        assert_eq!(codes, [200, 412], "{path}");
    }
}

#[tokio::test]
async fn the_audit_has_each_change_as_it_was_and_as_it_is() {
    let scene = scene().await;
    for (who, path, change) in scene.things() {
        let version = etag(&who.get(&path).await);
        patch(who, &path, &version, change).await.ok();
    }
    let provider = "/v1/federation-audit";
    let row = audited(&scene.owner, provider, "tenant.update").await;
    assert_eq!(
        (&row["before"]["name"], &row["after"]["name"]),
        (&json!("north"), &json!("North Ltd"))
    );
    assert_eq!(
        audited(&scene.admin, "/v1/audit", "tenant.update").await["after"],
        row["after"]
    );
    let row = audited(&scene.owner, provider, "region.update").await;
    assert_eq!(
        (&row["before"]["url"], &row["after"]["url"]),
        (&json!("http://r"), &json!("https://north.example"))
    );
    for (client, ledger) in [(&scene.owner, provider), (&scene.admin, "/v1/audit")] {
        let row = audited(client, ledger, "entitlement.update").await;
        assert_eq!(row["before"]["until"], Value::Null);
        assert!(row["after"]["until"].is_number(), "{row}");
    }
    let row = audited(&scene.admin, "/v1/audit", "membership.update").await;
    assert_eq!(
        (&row["before"]["roles"], &row["after"]["roles"]),
        (&json!(["read-only"]), &json!(["auditor", "read-only"]))
    );
    let row = audited(&scene.admin, "/v1/audit", "user.update").await;
    assert_eq!(row["after"]["display_name"], "Renamed");
}

#[tokio::test]
async fn nobody_gives_by_a_change_what_they_do_not_hold() {
    let scene = scene().await;
    let version = etag(&scene.admin.get(&scene.membership).await);
    let change = json!({"roles": ["system-admin"]});
    patch(&scene.admin, &scene.membership, &version, change)
        .await
        .problem(422, "invalid-membership");
    // who may read memberships and give none changes none
    let (_, auditor) = scene
        .world
        .member(&scene.admin, "auditor@north.example", &["auditor"])
        .await;
    patch(&auditor, &scene.membership, &version, json!({"roles": ["auditor"]}))
        .await
        .problem(403, "permission-denied");
    patch(&auditor, &scene.user, "*", json!({"display_name": "x"}))
        .await
        .problem(403, "permission-denied");
}

#[tokio::test]
async fn the_last_administrator_stays_one() {
    let scene = scene().await;
    let memberships = scene.admin.get("/v1/tenants/north/memberships").await.ok();
    let items = memberships["items"].as_array().unwrap();
    let own = items
        .iter()
        .find(|item| item["roles"] == json!(["tenant-admin"]))
        .unwrap();
    let own = format!("/v1/tenants/north/memberships/{}", own["id"].as_str().unwrap());
    for change in [json!({"roles": ["auditor"]}), json!({"until": "2027-01-01T00:00:00Z"})] {
        patch(&scene.admin, &own, "*", change)
            .await
            .problem(409, "last-administrator");
    }
    patch(&scene.admin, &scene.membership, "*", json!({"roles": ["tenant-admin"]}))
        .await
        .ok();
    patch(&scene.admin, &own, "*", json!({"roles": ["read-only"]}))
        .await
        .ok();
    // what was taken away is gone with the answer
    patch(&scene.admin, &own, "*", json!({"roles": ["tenant-admin"]}))
        .await
        .problem(403, "permission-denied");
}

#[tokio::test]
async fn what_is_left_out_stays_and_null_takes_away() {
    let scene = scene().await;
    let (owner, path) = (&scene.owner, &scene.entitlement);
    let limits = json!({"until": "2027-01-01T00:00:00Z", "limits": {"clusters": 3, "hosts": 5}});
    patch(owner, path, "*", limits).await.ok();
    let changed = patch(owner, path, "*", json!({"limits": {"hosts": null}})).await.ok();
    assert_eq!(changed["limits"], json!({"clusters": 3}));
    assert_eq!(changed["until"], "2027-01-01T00:00:00Z");
    let changed = patch(owner, path, "*", json!({"until": null})).await.ok();
    assert!(changed.get("until").is_none(), "{changed}");
    for (bad, pointer) in [
        (json!({"until": "2026-01-01T00:00:00Z"}), "/until"),
        (json!({"limits": {"leases": 1_000_001}}), "/limits/leases"),
        (json!({"region": "eu-south"}), "/region"),
    ] {
        let refused = patch(owner, path, "*", bad).await.status(422);
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{refused}");
    }
    let region = "/v1/regions/eu-north";
    let console = json!({"console_url": "https://console.example"});
    patch(owner, region, "*", console).await.ok();
    let changed = patch(owner, region, "*", json!({"console_url": null})).await.ok();
    assert_eq!(changed["console_url"], changed["url"]);
    for bad in [
        json!({"url": "javascript:alert(1)"}),
        json!({"name": " "}),
        json!({"slug": "other"}),
    ] {
        patch(owner, region, "*", bad).await.status(422);
    }
}

#[tokio::test]
async fn who_belongs_to_others_too_is_not_renamed_by_one_of_them() {
    let scene = scene().await;
    let (_, south) = scene.world.tenant("south").await;
    let body = json!({"email": "member@north.example", "roles": ["read-only"]});
    south.post("/v1/tenants/south/memberships", body).await.status(201);
    for admin in [&scene.admin, &south] {
        patch(admin, &scene.user, "*", json!({"display_name": "Mine"}))
            .await
            .problem(409, "person-of-others");
    }
}

#[tokio::test]
async fn a_deletion_can_name_the_version_it_means() {
    let scene = scene().await;
    for (who, path) in [(&scene.admin, &scene.membership), (&scene.owner, &scene.entitlement)] {
        let version = etag(&who.get(path).await);
        who.send_with("DELETE", path, &[("if-match", "\"99\"")], None)
            .await
            .problem(412, "precondition-failed");
        who.send_with("DELETE", path, &[("if-match", &version)], None)
            .await
            .status(204);
        who.get(path).await.status(404);
        patch(who, path, "*", json!({})).await.status(404);
    }
}

#[tokio::test]
async fn every_step_of_a_life_is_another_version() {
    let scene = scene().await;
    let version = etag(&scene.owner.get("/v1/tenants/north").await);
    let hold = json!({"cause": "hold", "reason": "a test"});
    scene.owner.post("/v1/tenants/north/suspend", hold).await.ok();
    patch(&scene.owner, "/v1/tenants/north", &version, json!({"name": "x"}))
        .await
        .problem(412, "precondition-failed");
}
