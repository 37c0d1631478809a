//! Why something was refused, and who could do a thing when.
use super::{
    edits::{etag, patch},
    world::{Client, World},
};
use exarch_common_runtime::Reconcile;
use exarch_global_controller::{audit, sessions::Swept};
use serde_json::{Value, json};
use std::time::Duration;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio_util::sync::CancellationToken;

/// Writes what waits.
async fn write(world: &World) {
    let stop = CancellationToken::new();
    stop.cancel();
    audit::write_refusals(world.app.clone(), stop).await;
}

fn path(refused: &Value) -> String {
    format!("/v1/decisions/{}", refused["decision_id"].as_str().unwrap())
}

#[tokio::test]
async fn who_was_refused_is_told_why_and_who_reads_the_audit_who_could_help() {
    let world = World::new().await;
    let (tenant, admin) = world.tenant("north").await;
    let (_, south) = world.tenant("south").await;
    let (_, reader) = world.member(&admin, "r@n.example", &["read-only"]).await;
    let (_, other) = world.member(&admin, "o@n.example", &["read-only"]).await;
    let (_, auditor) = world.member(&admin, "a@n.example", &["auditor"]).await;
    let refused = reader.get("/v1/users").await.problem(403, "permission-denied");
    let unwritten = reader.get(&path(&refused)).await.ok();
    write(&world).await;
    let told = reader.get(&path(&refused)).await.ok();
    assert_eq!(told, unwritten);
    assert_eq!(
        (&told["permission"], &told["reason"]),
        (&json!("user.list"), &json!("not-held"))
    );
    assert_eq!(told["missing"], json!(["tenant-admin"]));
    assert_eq!(told["target"], json!({"kind": "tenant", "tenant_id": tenant}));
    assert_eq!(told["givers"], json!({"permission": "membership.grant"}));
    assert_eq!(
        (&told["replay_agrees"], &told["allowed_now"]),
        (&json!(true), &json!(false))
    );
    let whole = auditor.get(&path(&refused)).await.ok();
    let givers = whole["givers"]["people"].as_array().unwrap();
    assert_eq!(givers.len(), 1, "{whole}");
    assert_eq!(givers[0]["id"], admin.get("/v1/me").await.ok()["user"]["id"]);
    for stranger in [&other, &south, &world.owner().await] {
        stranger.get(&path(&refused)).await.problem(404, "decision-not-found");
    }
    world
        .anyone()
        .get(&path(&refused))
        .await
        .problem(401, "unauthenticated");
}

#[tokio::test]
async fn what_the_provider_refused_is_for_those_who_read_its_audit() {
    let world = World::new().await;
    let owner = world.owner().await;
    // without a tenant in force nothing of a tenant's is to be had, and the system's permissions are held by staff
    let (_, admin) = world.tenant("north").await;
    let refused = admin.get("/v1/tenants").await.problem(403, "permission-denied");
    assert_eq!(
        admin.get(&path(&refused)).await.ok()["missing"],
        json!(["system-admin", "provider-operator"])
    );
    world.unbind_staff().await;
    let refused = owner.get("/v1/tenants").await.problem(403, "permission-denied");
    write(&world).await;
    let told = owner.get(&path(&refused)).await.ok();
    assert_eq!((&told["target"]["kind"], &told["held"]), (&json!("system"), &json!([])));
    admin.get(&path(&refused)).await.problem(404, "decision-not-found");
}

#[tokio::test]
async fn decisions_are_kept_for_seven_days() {
    let world = World::new().await;
    let (_, admin) = world.tenant("north").await;
    let (_, reader) = world.member(&admin, "r@n.example", &["read-only"]).await;
    reader.get("/v1/users").await.problem(403, "permission-denied");
    write(&world).await;
    let kept = async || world.dump("gc.decision").await.len();
    world.clock.advance(Duration::from_secs(7 * 24 * 3600 - 60));
    assert!(world.app.leader.campaign().await.unwrap());
    Swept(world.app.clone()).pass().await.unwrap();
    assert_eq!(kept().await, 1);
    world.clock.advance(Duration::from_secs(120));
    Swept(world.app.clone()).pass().await.unwrap();
    assert_eq!(kept().await, 0);
}

/// The ids of those who may, in the order of their roles' names.
async fn who(client: &Client, query: &str) -> Vec<(String, String)> {
    let answer = client.get(&format!("/v1/who-can?{query}")).await.ok();
    let people = answer["people"].as_array().unwrap().iter();
    let pairs = people.map(|able| {
        let role = able["through"][0]["role"].as_str().unwrap().to_owned();
        (role, able["id"].as_str().unwrap().to_owned())
    });
    let mut pairs: Vec<_> = pairs.collect();
    pairs.sort();
    pairs
}

fn at(time: OffsetDateTime) -> String {
    format!("at={}", time.format(&Rfc3339).unwrap())
}

#[tokio::test]
async fn it_is_known_who_could_do_a_thing_at_a_time_that_is_past() {
    let world = World::new().await;
    let (tenant, admin) = world.tenant("north").await;
    let boss = admin.get("/v1/me").await.ok()["user"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let now = || world.app.ambient.now();
    let minute = || world.clock.advance(Duration::from_secs(60));
    minute();
    let alone = now();
    minute();
    let role = json!({"name": "clerk", "permissions": ["user.list"]});
    admin.post("/v1/roles", role).await.status(201);
    let (clerk, _) = world.member(&admin, "c@n.example", &["clerk"]).await;
    let joined = now();
    minute();
    let tag = etag(&admin.get("/v1/roles/clerk").await);
    patch(&admin, "/v1/roles/clerk", &tag, json!({"permissions": ["role.list"]}))
        .await
        .ok();
    let narrowed = now();
    minute();
    let list = admin.get("/v1/tenants/north/memberships").await.ok();
    let mine = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|m| m["user"]["id"] == clerk.as_str())
        .unwrap();
    let membership = format!("/v1/tenants/{tenant}/memberships/{}", mine["id"].as_str().unwrap());
    let tag = etag(&admin.get(&membership).await);
    patch(&admin, &membership, &tag, json!({"roles": ["auditor"]}))
        .await
        .ok();
    let promoted = now();
    minute();
    admin.delete(&membership).await.status(204);
    let left = now();

    let own = vec![("tenant-admin".to_owned(), boss.clone())];
    let with = |role: &str| {
        let mut both = own.clone();
        both.insert(0, (role.to_owned(), clerk.clone()));
        both
    };
    for (permission, time, expected) in [
        ("user.list", alone, own.clone()),
        ("user.list", joined, with("clerk")),
        ("role.list", joined, own.clone()),
        ("user.list", narrowed, own.clone()),
        ("role.list", narrowed, with("clerk")),
        ("role.list", promoted, own.clone()),
        ("audit.list", promoted, with("auditor")),
        ("audit.list", left, own.clone()),
    ] {
        let query = format!("permission={permission}&{}", at(time));
        assert_eq!(who(&admin, &query).await, expected, "{permission} at {time}");
    }
    assert_eq!(who(&admin, "permission=audit.list").await, own);
    let long_ago = format!(
        "/v1/who-can?permission=user.list&{}",
        at(alone - time::Duration::days(1))
    );
    let unknown = admin.get(&long_ago).await.problem(422, "not-known");
    assert!(unknown["since"].is_string(), "{unknown}");
}

#[tokio::test]
async fn an_account_or_a_tenant_that_was_out_of_order_could_do_nothing() {
    let world = World::new().await;
    let (tenant, admin) = world.tenant("north").await;
    let (auditor, _) = world.member(&admin, "a@n.example", &["auditor"]).await;
    let owner = world.owner().await;
    let minute = || world.clock.advance(Duration::from_secs(60));
    let (before, reason) = (world.app.ambient.now(), json!({"reason": "lost laptop"}));
    minute();
    owner
        .post(&format!("/v1/federation-users/{auditor}/disable"), reason.clone())
        .await;
    let disabled = world.app.ambient.now();
    minute();
    owner
        .post(&format!("/v1/federation-users/{auditor}/enable"), reason)
        .await;
    minute();
    let suspend = json!({"cause": "billing", "reason": "unpaid"});
    owner.post(&format!("/v1/tenants/{tenant}/suspend"), suspend).await;
    let count = async |permission: &str, time: OffsetDateTime| {
        who(&admin, &format!("permission={permission}&{}", at(time)))
            .await
            .len()
    };
    assert_eq!(count("audit.list", before).await, 2);
    assert_eq!(count("audit.list", disabled).await, 1);
    assert_eq!(count("audit.list", world.app.ambient.now()).await, 2);
    assert_eq!(count("user.invite", disabled).await, 1);
    assert_eq!(count("user.invite", world.app.ambient.now()).await, 0);
}

#[tokio::test]
async fn who_may_run_the_federation_is_known_to_those_who_look_after_its_people() {
    let world = World::new().await;
    let owner = world.owner().await;
    let path = "/v1/federation-who-can?permission=region.register";
    let answer = owner.get(path).await.ok();
    assert_eq!(answer["people"].as_array().unwrap().len(), 1, "{answer}");
    assert_eq!(answer["people"][0]["through"][0]["role"], "system-admin");
    owner
        .get("/v1/federation-who-can?permission=user.list")
        .await
        .problem(422, "invalid-question");
    let (_, admin) = world.tenant("north").await;
    admin.get(path).await.problem(403, "permission-denied");
    admin
        .get("/v1/who-can?permission=region.list")
        .await
        .problem(422, "invalid-question");
    let (_, reader) = world.member(&admin, "r@n.example", &["read-only"]).await;
    reader
        .get("/v1/who-can?permission=user.list")
        .await
        .problem(403, "permission-denied");
}
