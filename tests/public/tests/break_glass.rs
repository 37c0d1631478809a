//! Emergency access: asked for by one, approved by another, seen by the tenant.
mod ledger;

use super::{
    edits::{etag, patch},
    world::{Client, PASSWORD, World},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use exarch_common_runtime::Reconcile;
use exarch_global_controller::{
    break_glass::EndBreakGlass,
    setup::{self, StaffError},
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};

/// A customer, and two people of the provider.
struct Scene {
    world: World,
    tenant: String,
    admin: Client,
    first: Client,
    second: Client,
}

async fn scene() -> Scene {
    let world = World::new().await;
    world.region("eu-north").await;
    let (tenant, admin) = world.tenant("north").await;
    let second = staff(&world, "house").await;
    Scene {
        first: world.owner().await,
        world,
        tenant,
        admin,
        second,
    }
}

/// One more person of the provider, who administers a tenant of that name too.
async fn staff(world: &World, slug: &str) -> Client {
    world.tenant(slug).await;
    let email = format!("admin@{slug}.example");
    setup::add_staff(
        &world.app,
        email.parse().unwrap(),
        "system-admin".parse().unwrap(),
        None,
    )
    .await
    .unwrap();
    world.signed_in(&email, PASSWORD).await
}

impl Scene {
    fn wanted(&self, mode: &str) -> Value {
        json!({"tenant": "north", "mode": mode, "reason": "it burns", "ticket": "INC-7", "minutes": 10})
    }

    /// Asked for by the first, approved by the second.
    async fn approved(&self, mode: &str) -> String {
        self.world.clock.advance(Duration::from_millis(2));
        let asked = self.first.post("/v1/break-glass", self.wanted(mode)).await.status(201);
        let id = asked["id"].as_str().unwrap().to_owned();
        let path = format!("/v1/break-glass/{id}/approve");
        let approved = self.second.send("POST", &path, None).await.ok();
        assert_eq!(approved["state"], "approved", "{approved}");
        id
    }

    /// The first, in the tenant; ends the session that was there before.
    async fn entered(&self) -> Client {
        let new = self.first.post("/v1/me/tenant", json!({"tenant": "north"})).await.ok();
        self.world.anyone().with_token(new["access_token"].as_str().unwrap())
    }

    /// What the tenant's ledger says was done last, whether or not anybody of the tenant may read.
    async fn ledger(&self, tenant: &str) -> Vec<String> {
        let mut conn = self.world.db().superuser().await;
        sqlx::query_scalar(
            "SELECT action FROM gc.audit WHERE tenant_id = $1::text::uuid
                AND (break_glass_id IS NOT NULL OR 'provider' = ANY (flags)) ORDER BY seq DESC",
        )
        .bind(tenant.trim_start_matches("ten_").to_owned())
        .fetch_all(&mut conn)
        .await
        .unwrap()
    }
}

fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

#[tokio::test]
async fn another_person_approves_and_the_tenant_reads_all_of_it() {
    let scene = scene().await;
    scene.first.get("/v1/audit").await.problem(403, "no-tenant");
    let grant = scene.approved("read").await;
    // nobody comes in but on purpose
    assert!(scene.first.get("/v1/me").await.ok().get("tenant").is_none());
    let new = scene.first.post("/v1/me/tenant", json!({"tenant": "north"})).await.ok();
    let token = new["access_token"].as_str().unwrap();
    assert_eq!(claims(token)["bg"], grant.as_str());
    let inside = scene.world.anyone().with_token(token);
    let me = inside.get("/v1/me").await.ok();
    assert_eq!(
        (&me["tenant"]["slug"], &me["roles"]),
        (&json!("north"), &json!(["bg-read"]))
    );
    assert_eq!(me["break_glass"]["id"], grant.as_str());
    assert_eq!(me["session"]["expires_at"], me["break_glass"]["until"]);
    inside.get("/v1/audit").await.ok();
    inside.get("/v1/users").await.problem(403, "permission-denied");
    inside
        .get("/v1/provider-access")
        .await
        .problem(403, "permission-denied");

    let rows = scene.admin.get("/v1/provider-access?limit=100").await.ok();
    let rows = rows["items"].as_array().unwrap();
    let done: Vec<_> = rows.iter().map(|row| row["action"].as_str().unwrap()).collect();
    assert_eq!(
        done,
        [
            "break_glass.access",
            "break_glass.access",
            "session.begin",
            "break_glass.approve",
            "break_glass.request",
            "tenant.create",
            "membership.grant",
            "user.create",
        ]
    );
    for row in &rows[..5] {
        assert_eq!(row["break_glass_id"], grant.as_str(), "{row}");
    }
    assert_eq!(rows[0]["target"]["id"], "GET /v1/audit");
    assert_eq!(rows[4]["reason"], "it burns");
    assert_eq!(rows[5]["flags"], json!(["provider"]));
    // in the provider's own audit too
    let of_provider = scene.second.get("/v1/federation-audit?limit=3").await.ok();
    let done = of_provider["items"].as_array().unwrap().iter();
    let done: Vec<_> = done.map(|row| row["action"].as_str().unwrap()).collect();
    assert_eq!(done[..2], ["break_glass.enter", "session.end"], "{done:?}");
    // and no list of members shows it
    let members = scene.admin.get("/v1/tenants/north/memberships").await.ok();
    assert_eq!(members["items"].as_array().unwrap().len(), 1);
    assert_eq!(
        scene.admin.get("/v1/users").await.ok()["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn nobody_decides_on_their_own_request_and_one_person_alone_has_no_break_glass() {
    let world = World::new().await;
    world.tenant("north").await;
    let wanted = json!({"tenant": "north", "reason": "r", "ticket": "t", "minutes": 5});
    let owner = world.owner().await;
    let told = owner
        .post("/v1/break-glass", wanted)
        .await
        .problem(409, "no-second-person");
    assert!(
        told["detail"].as_str().unwrap().contains("the federation has 0"),
        "{told}"
    );

    let scene = scene().await;
    for minutes in [0, 61] {
        let body = json!({"tenant": "north", "reason": "r", "ticket": "t", "minutes": minutes});
        scene
            .first
            .post("/v1/break-glass", body)
            .await
            .problem(422, "invalid-break-glass");
    }
    let asked = scene
        .first
        .post("/v1/break-glass", scene.wanted("read"))
        .await
        .status(201);
    let path = format!("/v1/break-glass/{}", asked["id"].as_str().unwrap());
    scene
        .first
        .send("POST", &format!("{path}/approve"), None)
        .await
        .problem(403, "own-request");
    scene
        .first
        .post(&format!("{path}/deny"), json!({"reason": "x"}))
        .await
        .problem(403, "own-request");
    scene
        .first
        .post("/v1/break-glass", scene.wanted("read"))
        .await
        .problem(409, "break-glass-open");
    scene
        .first
        .post("/v1/me/tenant", json!({"tenant": "north"}))
        .await
        .problem(404, "tenant-not-found");
    let denied = scene
        .second
        .post(&format!("{path}/deny"), json!({"reason": "no"}))
        .await
        .ok();
    assert_eq!(denied["state"], "denied");
    scene
        .second
        .send("POST", &format!("{path}/approve"), None)
        .await
        .problem(409, "break-glass-state");
    // what is over makes room; unanswered for an hour it is over
    let asked = scene
        .first
        .post("/v1/break-glass", scene.wanted("read"))
        .await
        .status(201);
    scene.world.clock.advance(Duration::from_secs(3600));
    let second = scene.world.signed_in("admin@house.example", PASSWORD).await;
    let path = format!("/v1/break-glass/{}", asked["id"].as_str().unwrap());
    assert_eq!(second.get(&path).await.ok()["state"], "expired");
    second
        .send("POST", &format!("{path}/approve"), None)
        .await
        .problem(409, "break-glass-state");
}

#[tokio::test]
async fn either_side_ends_it_at_once_and_the_clock_does() {
    let scene = scene().await;
    let grant = scene.approved("read").await;
    let inside = scene.entered().await;
    inside.get("/v1/audit").await.ok();
    let end = format!("/v1/provider-access/{grant}/end");
    inside
        .post(&end, json!({"reason": "x"}))
        .await
        .problem(403, "permission-denied");
    assert_eq!(scene.admin.post(&end, json!({"reason": "enough"})).await.code, 204);
    inside.get("/v1/audit").await.problem(401, "unauthenticated");
    scene
        .admin
        .post(&end, json!({"reason": "x"}))
        .await
        .problem(409, "break-glass-state");
    assert_eq!(scene.ledger(&scene.tenant).await[0], "break_glass.end");

    scene.world.clock.advance(Duration::from_secs(60));
    let scene = Scene {
        first: scene.world.owner().await,
        ..scene
    };
    let grant = scene.approved("read").await;
    let inside = scene.entered().await;
    let path = format!("/v1/break-glass/{grant}/end");
    scene.second.post(&path, json!({"reason": "done"})).await.ok();
    inside.get("/v1/audit").await.problem(401, "unauthenticated");

    scene.world.clock.advance(Duration::from_secs(60));
    let scene = Scene {
        first: scene.world.owner().await,
        ..scene
    };
    let grant = scene.approved("read").await;
    let inside = scene.entered().await;
    scene.world.clock.advance(Duration::from_secs(599));
    inside.get("/v1/audit").await.ok();
    scene.world.clock.advance(Duration::from_secs(1));
    inside.get("/v1/audit").await.problem(401, "unauthenticated");
    let mut over = EndBreakGlass(scene.world.app.clone());
    assert_eq!(over.pass().await.unwrap(), 1);
    assert_eq!(over.pass().await.unwrap(), 0);
    let owner = scene.world.owner().await;
    let told = owner.get(&format!("/v1/break-glass/{grant}")).await.ok();
    assert_eq!((&told["state"], &told["ended_by"]), (&json!("ended"), &json!("time")));
    assert_eq!(scene.ledger(&scene.tenant).await[0], "break_glass.end");
    owner
        .post("/v1/me/tenant", json!({"tenant": "north"}))
        .await
        .problem(404, "tenant-not-found");
}

#[tokio::test]
async fn nobody_gives_it_and_whoever_came_by_it_lets_nobody_in_who_is_more_or_themselves() {
    let scene = scene().await;
    let (user, _) = scene.world.member(&scene.admin, "m@n.example", &["read-only"]).await;
    for role in ["bg-read", "bg-write"] {
        let body = json!({"email": "admin@house.example", "roles": [role]});
        let path = "/v1/tenants/north/memberships";
        scene.admin.post(path, body).await.problem(422, "invalid-membership");
        let body = json!({"name": role, "permissions": ["user.list"]});
        scene.admin.post("/v1/roles", body).await.problem(409, "role-exists");
        scene
            .admin
            .get(&format!("/v1/roles/{role}"))
            .await
            .problem(404, "role-not-found");
    }
    let members = scene.admin.get("/v1/tenants/north/memberships").await.ok();
    let of = |who: &str| {
        let all = members["items"].as_array().unwrap().iter();
        let one = all
            .clone()
            .find(|m| (m["user"]["id"] == user.as_str()) == (who == "member"));
        format!("/v1/tenants/north/memberships/{}", one.unwrap()["id"].as_str().unwrap())
    };
    let (of_admin, of_member) = (of("admin"), of("member"));
    let tag = etag(&scene.admin.get(&of_admin).await);

    scene.approved("write").await;
    let inside = scene.entered().await;
    let path = "/v1/tenants/north/memberships";
    for (email, role, problem) in [
        (super::world::OWNER, "read-only", "own-invitation"),
        ("admin@house.example", "tenant-admin", "role-not-held"),
    ] {
        let body = json!({"email": email, "roles": [role]});
        inside.post(path, body).await.problem(403, problem);
    }
    let body = json!({"email": super::world::OWNER, "display_name": "Me", "roles": ["read-only"]});
    inside.post("/v1/users", body).await.problem(403, "own-invitation");
    // nobody loses their place or their role by it
    inside.delete(&of_member).await.problem(403, "permission-denied");
    patch(&inside, &of_admin, &tag, json!({"roles": ["read-only"]}))
        .await
        .problem(403, "role-not-held");
    let body =
        json!({"email": "new@n.example", "display_name": "New", "roles": ["read-only"], "initial_password": true});
    inside.post("/v1/users", body).await.status(201);
    assert_eq!(
        scene.ledger(&scene.tenant).await[..3],
        ["membership.grant", "user.create", "break_glass.access"]
    );
}

#[tokio::test]
async fn the_state_of_the_tenant_binds_the_provider_too() {
    let scene = scene().await;
    scene.approved("read").await;
    let inside = scene.entered().await;
    let suspend = json!({"cause": "incident", "reason": "x"});
    scene.second.post("/v1/tenants/north/suspend", suspend).await.ok();
    inside.get("/v1/audit").await.problem(401, "unauthenticated");
    scene
        .second
        .post(
            "/v1/break-glass",
            json!({"tenant": "north", "reason": "r", "ticket": "t", "minutes": 5}),
        )
        .await
        .problem(409, "tenant-state");
}

#[tokio::test]
async fn a_tenant_that_nobody_administers_takes_two_others_and_its_members_hear_of_it_a_day_before() {
    let scene = scene().await;
    scene.world.member(&scene.admin, "m@n.example", &["read-only"]).await;
    let admin = scene.admin.get("/v1/me").await.ok()["user"]["id"].clone();
    let disable = format!("/v1/federation-users/{}/disable", admin.as_str().unwrap());
    scene.second.post(&disable, json!({"reason": "left"})).await.ok();
    scene
        .first
        .post("/v1/break-glass", scene.wanted("write"))
        .await
        .problem(409, "no-second-person");
    let third = staff(&scene.world, "annex").await;
    let asked = scene
        .first
        .post("/v1/break-glass", scene.wanted("write"))
        .await
        .status(201);
    assert_eq!(asked["rescue"], true);
    let path = format!("/v1/break-glass/{}/approve", asked["id"].as_str().unwrap());
    let seconded = scene.second.send("POST", &path, None).await.ok();
    assert_eq!(seconded["state"], "requested");
    scene
        .second
        .send("POST", &path, None)
        .await
        .problem(409, "second-approval");
    let approved = third.send("POST", &path, None).await.ok();
    assert_eq!(approved["state"], "approved");
    let mail = scene.world.post().await;
    let told: BTreeSet<_> = mail.iter().map(|(to, _)| to.as_str()).collect();
    assert_eq!(told, BTreeSet::from(["admin@north.example", "m@n.example"]));
    assert!(
        mail[0].1.contains("INC-7") && mail[0].1.contains("it burns"),
        "{}",
        mail[0].1
    );
    scene
        .first
        .post("/v1/me/tenant", json!({"tenant": "north"}))
        .await
        .problem(404, "tenant-not-found");
    scene.world.clock.advance(Duration::from_secs(24 * 3600 + 1));
    let scene = Scene {
        first: scene.world.owner().await,
        ..scene
    };
    let inside = scene.entered().await;
    let body = json!({"email": "m@n.example", "roles": ["tenant-admin"]});
    inside
        .post("/v1/tenants/north/memberships", body)
        .await
        .problem(409, "already-a-member");
    let body =
        json!({"email": "next@n.example", "display_name": "Next", "roles": ["tenant-admin"], "initial_password": true});
    inside.post("/v1/users", body).await.status(201);
}

#[tokio::test]
async fn further_staff_are_made_on_the_server_with_a_second_factor_and_once() {
    let world = World::new().await;
    world.tenant("house").await;
    let role = || "system-admin".parse().unwrap();
    let add = async |email: &str, password: Option<&str>| {
        let password = password.map(|password| password.to_owned().into());
        setup::add_staff(&world.app, email.parse().unwrap(), role(), password).await
    };
    let unknown = add("new@provider.example", None).await;
    assert!(matches!(unknown, Err(StaffError::Unknown)), "{unknown:?}");
    let weak = add("new@provider.example", Some("short")).await;
    assert!(matches!(weak, Err(StaffError::Password(_))), "{weak:?}");
    let known = add("admin@house.example", Some(PASSWORD)).await;
    assert!(matches!(known, Err(StaffError::HasAccount)), "{known:?}");
    add("new@provider.example", Some(PASSWORD)).await.unwrap();
    let again = add("new@provider.example", None).await;
    assert!(matches!(again, Err(StaffError::Already)), "{again:?}");
    let asked = world.anyone().sign_in("new@provider.example", PASSWORD).await.ok();
    assert_eq!(asked["next"], "second-factor");
    let new = world.signed_in("new@provider.example", PASSWORD).await;
    assert_eq!(new.get("/v1/me").await.ok()["system"], json!(["system-admin"]));
}
