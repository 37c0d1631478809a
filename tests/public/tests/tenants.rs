//! Tenants, their people, their regions: who may make and end what.
use super::world::World;
use serde_json::json;

#[tokio::test]
async fn a_tenant_comes_with_its_first_administrator() {
    let world = World::new().await;
    let owner = world.owner().await;
    let body = json!({"slug": "north", "name": "North Ltd", "admin": {"email": "A@N.example", "display_name": "Ada"}});
    let made = owner.post("/v1/tenants", body.clone()).await.status(201);
    assert_eq!((&made["slug"], &made["state"]), (&json!("north"), &json!("active")));
    assert_eq!(made["admin"]["email"], "a@n.example");
    assert!(made["admin"]["initial_password"].as_str().unwrap().len() > 20);
    owner.post("/v1/tenants", body).await.problem(409, "slug-taken");
    let id = made["id"].as_str().unwrap();
    for key in [id, "north"] {
        let read = owner.get(&format!("/v1/tenants/{key}")).await.ok();
        assert_eq!(read["id"], id);
        assert!(read.get("admin").is_none());
    }
    owner.get("/v1/tenants/south").await.problem(404, "tenant-not-found");
    owner.get("/v1/tenants/No%20Slug").await.status(404);
}

#[tokio::test]
async fn staff_cannot_invite_themselves_and_a_reserved_slug_is_refused() {
    let world = World::new().await;
    let owner = world.owner().await;
    let body =
        |slug: &str, email: &str| json!({"slug": slug, "name": "x", "admin": {"email": email, "display_name": "x"}});
    owner
        .post("/v1/tenants", body("mine", super::world::OWNER))
        .await
        .problem(403, "own-invitation");
    owner
        .post("/v1/tenants", body("provider", "a@x.example"))
        .await
        .problem(422, "reserved-slug");
    assert_eq!(owner.get("/v1/tenants").await.ok()["items"], json!([]));
}

#[tokio::test]
async fn somebody_known_becomes_administrator_without_a_new_password() {
    let world = World::new().await;
    world.tenant("north").await;
    let body = json!({"slug": "south", "name": "S", "admin": {"email": "admin@north.example", "display_name": "x"}});
    let made = world.owner().await.post("/v1/tenants", body).await.status(201);
    assert!(made["admin"].get("initial_password").is_none());
    assert_eq!(made["admin"]["display_name"], "Admin");
}

#[tokio::test]
async fn nobody_gives_what_they_do_not_hold() {
    let world = World::new().await;
    let (_, admin) = world.tenant("north").await;
    let (user, auditor) = world.member(&admin, "auditor@n.example", &["auditor"]).await;
    let path = "/v1/tenants/north/memberships";
    auditor
        .post(path, json!({"user_id": user, "roles": ["read-only"]}))
        .await
        .problem(403, "permission-denied");
    let invite = |roles: serde_json::Value| json!({"email": "n@n.example", "display_name": "N", "roles": roles, "initial_password": true});
    for (roles, slug) in [
        (json!(["system-admin"]), "invalid-membership"),
        (json!(["cluster-admin"]), "invalid-membership"),
        (json!(["no-such-role"]), "invalid-membership"),
    ] {
        admin.post("/v1/users", invite(roles)).await.problem(422, slug);
    }
    admin
        .post("/v1/users", invite(json!(["auditor", "read-only", "auditor"])))
        .await
        .status(201);
    admin
        .post("/v1/users", invite(json!(["auditor"])))
        .await
        .problem(409, "email-taken");
    // staff hold nothing in a tenant, and are not told of it
    let owner = world.owner().await;
    owner.get(path).await.problem(403, "no-tenant");
    owner
        .post(path, json!({"user_id": user, "roles": ["read-only"]}))
        .await
        .problem(403, "no-tenant");
}

#[tokio::test]
async fn a_membership_is_one_and_ends_with_its_sessions() {
    let world = World::new().await;
    let (_, admin) = world.tenant("north").await;
    let (user, client) = world.member(&admin, "m@n.example", &["read-only"]).await;
    let path = "/v1/tenants/north/memberships";
    let again = json!({"user_id": user, "roles": ["auditor"]});
    admin.post(path, again.clone()).await.problem(409, "already-a-member");
    let list = admin.get(path).await.ok();
    let mine = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|m| m["user"]["id"] == user.as_str())
        .unwrap();
    assert_eq!(mine["roles"], json!(["read-only"]));
    let one = format!("{path}/{}", mine["id"].as_str().unwrap());
    assert_eq!(admin.delete(&one).await.code, 204);
    admin.delete(&one).await.problem(404, "membership-not-found");
    client.get("/v1/me").await.problem(401, "unauthenticated");
    // and may begin again, as another membership
    let new = admin.post(path, again).await.status(201);
    assert_ne!(new["id"], mine["id"]);
    let me = world
        .signed_in("m@n.example", super::world::PASSWORD)
        .await
        .get("/v1/me")
        .await
        .ok();
    assert_eq!(me["roles"], json!(["auditor"]));
}

#[tokio::test]
async fn a_membership_with_an_end_is_over_at_its_time() {
    let world = World::new().await;
    let (_, admin) = world.tenant("north").await;
    let (_, other) = world.tenant("south").await;
    let (user, _) = world.member(&other, "m@n.example", &["read-only"]).await;
    let grant = |until: &str| json!({"user_id": user, "roles": ["auditor"], "until": until});
    let path = "/v1/tenants/north/memberships";
    admin
        .post(path, grant("2026-03-01T12:00:00Z"))
        .await
        .problem(422, "invalid-membership");
    admin.post(path, grant("2026-03-01T12:05:00Z")).await.status(201);
    let body =
        json!({"email": "m@n.example", "password": super::world::PASSWORD, "session": "token", "tenant": "north"});
    let pair = world.anyone().post("/v1/auth/sign-in", body).await.ok();
    let client = world.anyone().with_token(pair["access_token"].as_str().unwrap());
    client.get("/v1/audit").await.ok();
    world.clock.advance(std::time::Duration::from_secs(300));
    client.get("/v1/audit").await.problem(401, "unauthenticated");
    let body = json!({"refresh_token": pair["refresh_token"]});
    world
        .anyone()
        .post("/v1/auth/refresh", body)
        .await
        .problem(401, "refresh-refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_keeps_an_administrator() {
    let world = World::new().await;
    let (_, admin) = world.tenant("north").await;
    let path = "/v1/tenants/north/memberships";
    let first = admin.get(path).await.ok()["items"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    admin
        .delete(&format!("{path}/{first}"))
        .await
        .problem(409, "last-administrator");
    let (_, second) = world.member(&admin, "second@n.example", &["tenant-admin"]).await;
    let list = admin.get(path).await.ok();
    let of_second = list["items"][0]["id"].as_str().unwrap().to_owned();
    assert_ne!(of_second, first);
    // each ends the other's at the same time: one of them stays
    let (one, other) = (format!("{path}/{of_second}"), format!("{path}/{first}"));
    let (a, b) = tokio::join!(admin.delete(&one), second.delete(&other));
    assert_eq!(u8::from(a.code == 204) + u8::from(b.code == 204), 1, "{a:?} {b:?}");
}

#[tokio::test]
async fn an_entitlement_is_granted_once_and_ends() {
    let world = World::new().await;
    world.region("eu-north").await;
    let (tenant, admin) = world.tenant("north").await;
    let owner = world.owner().await;
    let path = format!("/v1/tenants/{tenant}/entitlements");
    let grant = json!({"region": "eu-north", "limits": {"clusters": 3}});
    let made = owner.post(&path, grant.clone()).await.status(201);
    assert_eq!(
        (&made["region"]["slug"], &made["limits"]),
        (&json!("eu-north"), &json!({"clusters": 3}))
    );
    owner.post(&path, grant.clone()).await.problem(409, "already-entitled");
    owner
        .post(&path, json!({"region": "mars"}))
        .await
        .problem(422, "invalid-entitlement");
    let past = json!({"region": "eu-north", "until": "2020-01-01T00:00:00Z"});
    owner.post(&path, past).await.problem(422, "invalid-entitlement");
    owner
        .post(&path, json!({"region": "eu-north", "limits": {"hosts": 1_000_001}}))
        .await
        .problem(422, "invalid-entitlement");
    owner
        .post("/v1/tenants/south/entitlements", grant)
        .await
        .problem(404, "tenant-not-found");
    assert_eq!(owner.get(&path).await.ok()["items"].as_array().unwrap().len(), 1);
    for (method, path) in [
        ("GET", path.clone()),
        ("DELETE", format!("{path}/{}", made["id"].as_str().unwrap())),
    ] {
        admin.send(method, &path, None).await.problem(403, "permission-denied");
    }
    let one = format!("{path}/{}", made["id"].as_str().unwrap());
    assert_eq!(owner.delete(&one).await.code, 204);
    owner.delete(&one).await.problem(404, "entitlement-not-found");
    assert_eq!(owner.get(&path).await.ok()["items"], json!([]));
}

#[tokio::test]
async fn pages_follow_one_another_without_a_gap() {
    let world = World::new().await;
    let owner = world.owner().await;
    for n in 0..5 {
        owner
            .post("/v1/tenants", json!({"slug": format!("t{n}"), "name": "x"}))
            .await
            .status(201);
        world.clock.advance(std::time::Duration::from_millis(2));
    }
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let page = owner.get(&format!("/v1/tenants?limit=2{token}")).await.ok();
        seen.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|t| t["slug"].as_str().unwrap().to_owned()),
        );
        match page["next_page_token"].as_str() {
            Some(next) => token = format!("&page_token={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ["t4", "t3", "t2", "t1", "t0"]);
    for bad in ["limit=0", "limit=101", "page_token=x", "unknown=1", "limit=1&limit=2"] {
        owner
            .get(&format!("/v1/tenants?{bad}"))
            .await
            .problem(400, "malformed-query");
    }
}

#[tokio::test]
async fn a_suspended_tenant_reads_and_writes_what_its_state_leaves() {
    let world = World::new().await;
    let (tenant, admin) = world.tenant("north").await;
    let (_, reader) = world.member(&admin, "r@n.example", &["read-only"]).await;
    let mut conn = world.db().superuser().await;
    let mut suspend = async |state: &str| {
        let id: exarch_common_base::TenantId = tenant.parse().unwrap();
        sqlx::query("UPDATE gc.tenant SET state = $2 WHERE id = $1")
            .bind(id.uuid())
            .bind(state)
            .execute(&mut conn)
            .await
            .unwrap();
    };
    let invite = json!({"email": "n@n.example", "display_name": "N", "roles": ["read-only"], "initial_password": true});
    suspend("suspended(billing)").await;
    admin.get("/v1/users").await.ok();
    admin
        .post("/v1/users", invite.clone())
        .await
        .problem(402, "tenant-suspended");
    suspend("suspended(incident)").await;
    admin.get("/v1/users").await.ok();
    admin
        .post("/v1/users", invite.clone())
        .await
        .problem(403, "tenant-suspended");
    reader.get("/v1/me").await.problem(401, "unauthenticated");
    suspend("deleted").await;
    admin.get("/v1/me").await.problem(401, "unauthenticated");
    suspend("active").await;
    admin.post("/v1/users", invite).await.status(201);
    reader.get("/v1/me").await.ok();
}

#[tokio::test]
async fn a_tenant_goes_through_its_life_with_a_reason_for_each_step() {
    let world = World::new().await;
    let (id, admin) = world.tenant("north").await;
    let (_, reader) = world.member(&admin, "r@n.example", &["read-only"]).await;
    let owner = world.owner().await;
    let step =
        async |action: &str, body: serde_json::Value| owner.post(&format!("/v1/tenants/north/{action}"), body).await;
    let why = json!({"reason": "asked for by the customer"});
    let suspend = |cause: &str| json!({"cause": cause, "reason": "asked for by the customer"});

    let restored = step("restore", why.clone()).await.problem(409, "tenant-state");
    assert_eq!(restored["detail"], "north is active: it is not being deleted.");
    assert_eq!(
        step("suspend", suspend("billing")).await.ok()["state"],
        "suspended(billing)"
    );
    // reads go on, writes are 402, for the administrator too
    admin.get("/v1/users").await.ok();
    let invite = json!({"email": "n@n.example", "display_name": "N", "roles": ["auditor"]});
    assert_eq!(admin.post("/v1/users", invite).await.code, 402);
    step("suspend", suspend("billing")).await.problem(409, "tenant-state");
    assert_eq!(
        step("suspend", suspend("incident")).await.ok()["state"],
        "suspended(incident)"
    );
    admin.get("/v1/users").await.ok();
    // an incident leaves those who neither administer nor audit without the tenant
    assert!(reader.get("/v1/me").await.code >= 400);

    assert_eq!(step("suspend", suspend("hold")).await.ok()["state"], "suspended(hold)");
    let held = step("delete", why.clone()).await.problem(409, "tenant-state");
    assert_eq!(held["detail"], "north is suspended(hold): resume it first.");
    step("resume", why.clone()).await.ok();
    step("resume", why.clone()).await.problem(409, "tenant-state");
    let deleting = step("delete", why.clone()).await.ok();
    assert_eq!((&deleting["state"], &deleting["id"]), (&json!("deleting"), &json!(id)));
    admin.get("/v1/users").await.problem(403, "tenant-deleting");
    for (action, body) in [
        ("suspend", suspend("hold")),
        ("resume", why.clone()),
        ("delete", why.clone()),
    ] {
        step(action, body).await.problem(409, "tenant-state");
    }
    assert_eq!(step("restore", why.clone()).await.ok()["state"], "suspended(hold)");
    assert_eq!(step("resume", why.clone()).await.ok()["state"], "active");
    admin.get("/v1/users").await.ok();

    // the customer reads in its own audit what was done to it, and why; the provider in its own
    for (reader, path) in [(&admin, "/v1/audit"), (&owner, "/v1/federation-audit")] {
        let audit = reader.get(&format!("{path}?limit=100")).await.ok();
        let steps: Vec<_> = audit["items"]
            .as_array()
            .unwrap()
            .iter()
            .rev()
            .filter(|row| {
                row["target"]["kind"] == "tenant" && row["outcome"] == "ok" && row["action"] != "tenant.create"
            })
            .map(|row| (row["action"].as_str().unwrap(), row["reason"].as_str().unwrap()))
            .collect();
        let expected = ["suspend", "suspend", "suspend", "resume", "delete", "restore", "resume"];
        let expected: Vec<_> = expected.iter().map(|a| format!("tenant.{a}")).collect();
        assert_eq!(
            steps.iter().map(|(action, _)| *action).collect::<Vec<_>>(),
            expected,
            "{path}"
        );
        assert!(
            steps.iter().all(|(_, reason)| *reason == "asked for by the customer"),
            "{path}"
        );
    }
    for body in [
        json!({"reason": ""}),
        json!({"cause": "hold"}),
        json!({"cause": "fun", "reason": "x"}),
    ] {
        assert!([400, 422].contains(&step("suspend", body).await.code));
    }
}

#[tokio::test]
async fn of_many_steps_at_once_one_is_taken() {
    let world = World::new().await;
    world.tenant("north").await;
    let owner = world.owner().await;
    let all = (0..10).map(|_| owner.post("/v1/tenants/north/delete", json!({"reason": "x"})));
    let codes: Vec<u16> = futures_util::future::join_all(all)
        .await
        .iter()
        .map(|answer| answer.code)
        .collect();
    assert_eq!(codes.iter().filter(|code| **code == 200).count(), 1, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| **code == 409).count(), 9, "{codes:?}");
}

#[tokio::test]
async fn staff_search_the_register_by_slug_name_and_state() {
    let world = World::new().await;
    let owner = world.owner().await;
    let tenants = [
        ("acme", "Acme Logistics"),
        ("globex", "Globex 100%"),
        ("north", "The Acme of the North"),
    ];
    for (slug, name) in tenants {
        // ids made in one millisecond have no order
        world.clock.advance(std::time::Duration::from_millis(2));
        owner
            .post("/v1/tenants", json!({"slug": slug, "name": name}))
            .await
            .status(201);
    }
    let suspension = json!({"cause": "billing", "reason": "An unpaid bill."});
    owner.post("/v1/tenants/north/suspend", suspension).await.ok();
    for (query, found) in [
        ("search=ACME", vec!["north", "acme"]),
        ("search=0%25", vec!["globex"]),
        ("search=_", vec![]),
        ("state=suspended", vec!["north"]),
        ("search=acme&state=active", vec!["acme"]),
        ("state=deleted", vec![]),
    ] {
        let answer = owner.get(&format!("/v1/tenants?{query}")).await.ok();
        let items = answer["items"].as_array().unwrap();
        let slugs: Vec<_> = items.iter().map(|tenant| tenant["slug"].as_str().unwrap()).collect();
        assert_eq!(slugs, found, "{query}");
    }
    let first = owner.get("/v1/tenants?search=acme&limit=1").await.ok();
    let next = first["next_page_token"].as_str().unwrap();
    let second = owner
        .get(&format!("/v1/tenants?search=acme&limit=1&page_token={next}"))
        .await
        .ok();
    assert_eq!(
        (&second["items"][0]["slug"], second.get("next_page_token")),
        (&json!("acme"), None)
    );
    owner
        .get("/v1/tenants?state=gone")
        .await
        .problem(400, "malformed-query");
}
