//! The ledger of what the provider did to a tenant.
use super::{PASSWORD, scene};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};

/// What the provider does to a tenant from outside: each is read by the tenant. A route that is not here fails.
#[tokio::test]
async fn no_act_of_the_provider_on_a_tenant_escapes_its_ledger() {
    let scene = scene().await;
    let north = "/v1/tenants/north";
    let reason = json!({"reason": "x"});
    let mut acted = BTreeSet::new();
    let mut grant = String::new();
    let mut entitlement = String::new();
    let acts = [
        ("PATCH /v1/tenants/{id}", json!({"name": "North"}), "tenant.update"),
        (
            "POST /v1/tenants/{id}/suspend",
            json!({"cause": "hold", "reason": "x"}),
            "tenant.suspend",
        ),
        ("POST /v1/tenants/{id}/resume", reason.clone(), "tenant.resume"),
        ("POST /v1/tenants/{id}/delete", reason.clone(), "tenant.delete"),
        ("POST /v1/tenants/{id}/restore", reason.clone(), "tenant.restore"),
        (
            "POST /v1/tenants/{id}/entitlements",
            json!({"region": "eu-north"}),
            "entitlement.grant",
        ),
        (
            "PATCH /v1/tenants/{id}/entitlements/{entitlement}",
            json!({"until": "2030-01-01T00:00:00Z"}),
            "entitlement.update",
        ),
        (
            "DELETE /v1/tenants/{id}/entitlements/{entitlement}",
            Value::Null,
            "entitlement.revoke",
        ),
        ("POST /v1/break-glass", scene.wanted("read"), "break_glass.request"),
        ("POST /v1/break-glass/{id}/approve", Value::Null, "break_glass.approve"),
        ("POST /v1/break-glass/{id}/end", reason.clone(), "break_glass.end"),
        ("POST /v1/break-glass", scene.wanted("read"), "break_glass.request"),
        ("POST /v1/break-glass/{id}/deny", reason.clone(), "break_glass.deny"),
    ];
    for (route, body, action) in acts {
        scene.world.clock.advance(Duration::from_millis(2));
        let (method, template) = route.split_once(' ').unwrap();
        let path = match template.strip_prefix("/v1/tenants/{id}") {
            Some(rest) => format!("{north}{}", rest.replace("{entitlement}", &entitlement)),
            None => template.replace("{id}", &grant),
        };
        let who = if template.ends_with("/approve") || template.ends_with("/deny") {
            &scene.second
        } else {
            &scene.first
        };
        let body = (!body.is_null()).then(|| body.to_string());
        let answer = who.send_with(method, &path, &[("if-match", "*")], body).await;
        assert!(answer.code < 300, "{route}: {}", answer.text);
        let id = answer.json()["id"].as_str().unwrap_or_default().to_owned();
        match &id[..id.len().min(4)] {
            "bgl_" => grant = id,
            "ent_" => entitlement = id,
            _ => {}
        }
        assert_eq!(scene.ledger(&scene.tenant).await[0], action, "{route}");
        acted.insert(route.to_owned());
    }
    // the first one of all
    let made = scene
        .first
        .post("/v1/tenants", json!({"slug": "west", "name": "West"}))
        .await
        .status(201);
    assert_eq!(scene.ledger(made["id"].as_str().unwrap()).await, ["tenant.create"]);
    acted.insert("POST /v1/tenants".to_owned());
    // and what is done to a person of the tenant
    let admin = scene.admin.get("/v1/me").await.ok();
    let (user, session) = (
        admin["user"]["id"].as_str().unwrap(),
        admin["session"]["id"].as_str().unwrap(),
    );
    let person = format!("/v1/federation-users/{user}");
    assert_eq!(
        scene.first.delete(&format!("{person}/sessions/{session}")).await.code,
        204
    );
    assert_eq!(scene.ledger(&scene.tenant).await[0], "session.revoke");
    scene.world.signed_in("admin@north.example", PASSWORD).await;
    scene.first.delete(&format!("{person}/sessions")).await.ok();
    assert_eq!(
        scene.ledger(&scene.tenant).await[..2],
        ["session.revoke", "session.revoke"]
    );
    scene
        .first
        .post(&format!("{person}/disable"), reason.clone())
        .await
        .ok();
    assert_eq!(scene.ledger(&scene.tenant).await[0], "user.disable");
    let table = scene.world.table.iter().filter(|entry| {
        let system = entry
            .kind
            .permission()
            .is_some_and(|permission| permission.scope().as_str() == "system");
        let of_tenant = ["/v1/tenants", "/v1/break-glass"]
            .iter()
            .any(|room| entry.path.starts_with(room));
        system && of_tenant && entry.method != "GET"
    });
    let table: BTreeSet<_> = table.map(|entry| format!("{} {}", entry.method, entry.path)).collect();
    assert_eq!(acted, table);
}
