//! Two tenants on every route: what is one's never shows to the other, and a route without a probe here fails.
use super::world::{Client, World};
use exarch_common_http::RouteKind;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What the other tenant's administrator is answered.
enum Probe {
    /// Asks for something of the first tenant: 404, as if it were not there.
    Hidden(String, Value),
    /// A list: holds nothing of the first tenant.
    Own,
    /// The same, of what a query asks for.
    OwnOf(&'static str),
    /// For the provider's people alone.
    Staff(String, Value),
    /// No tenant's: public, or about oneself.
    Nobodys,
}

struct Scene {
    tenant: String,
    user: String,
    membership: String,
    entitlement: String,
    invitation: String,
    break_glass: String,
    key: String,
    decision: String,
}

fn probe(route: &str, scene: &Scene) -> Option<Probe> {
    use Probe::{Hidden, Nobodys, Own, OwnOf, Staff};
    let Scene {
        tenant,
        user,
        membership,
        entitlement,
        invitation,
        break_glass,
        key,
        decision,
    } = scene;
    let of_tenant = format!("/v1/tenants/{tenant}");
    Some(match route {
        "GET /v1/who-can" => OwnOf("/v1/who-can?permission=user.list"),
        "GET /v1/decisions/{id}" => Hidden(format!("/v1/decisions/{decision}"), Value::Null),
        "GET /v1/federation-who-can" => Staff("/v1/federation-who-can?permission=tenant.read".into(), Value::Null),
        "GET /v1/users"
        | "GET /v1/audit"
        | "GET /v1/invitations"
        | "GET /v1/roles"
        | "GET /v1/provider-access"
        | "GET /v1/api-keys" => Own,
        "POST /v1/provider-access/{id}/end" => {
            Hidden(format!("/v1/provider-access/{break_glass}/end"), json!({"reason": "x"}))
        }
        "GET /v1/break-glass" => Staff("/v1/break-glass".into(), Value::Null),
        "POST /v1/break-glass" => Staff(
            "/v1/break-glass".into(),
            json!({"tenant": tenant, "reason": "x", "ticket": "x", "minutes": 5}),
        ),
        "GET /v1/break-glass/{id}" | "POST /v1/break-glass/{id}/approve" => Staff(
            route.split_once(' ').unwrap_or_default().1.replace("{id}", break_glass),
            Value::Null,
        ),
        "POST /v1/break-glass/{id}/deny" | "POST /v1/break-glass/{id}/end" => {
            Staff(route[5..].replace("{id}", break_glass), json!({"reason": "x"}))
        }
        "POST /v1/roles" | "POST /v1/api-keys" => Nobodys,
        "GET /v1/roles/{name}" | "DELETE /v1/roles/{name}" => Hidden("/v1/roles/of-north".into(), Value::Null),
        "PATCH /v1/roles/{name}" => Hidden("/v1/roles/of-north".into(), json!({"permissions": ["user.list"]})),
        "GET /v1/api-keys/{id}" => Hidden(format!("/v1/api-keys/{key}"), Value::Null),
        "PATCH /v1/api-keys/{id}" => Hidden(format!("/v1/api-keys/{key}"), json!({"name": "x"})),
        "POST /v1/api-keys/{id}/rotate" => Hidden(format!("/v1/api-keys/{key}/rotate"), json!({})),
        "POST /v1/api-keys/{id}/revoke" => Hidden(format!("/v1/api-keys/{key}/revoke"), json!({"reason": "x"})),
        "POST /v1/invitations/{id}/resend" => Hidden(format!("/v1/invitations/{invitation}/resend"), Value::Null),
        "DELETE /v1/invitations/{id}" => Hidden(format!("/v1/invitations/{invitation}"), Value::Null),
        "GET /v1/tenants/{id}/settings" => Hidden(format!("{of_tenant}/settings"), Value::Null),
        "PATCH /v1/tenants/{id}/settings" => {
            Hidden(format!("{of_tenant}/settings"), json!({"second_factor": "optional"}))
        }
        "POST /v1/users" => Nobodys,
        "GET /v1/users/{id}" => Hidden(format!("/v1/users/{user}"), Value::Null),
        "PATCH /v1/users/{id}" => Hidden(format!("/v1/users/{user}"), json!({"display_name": "x"})),
        "GET /v1/users/{id}/sessions" | "DELETE /v1/users/{id}/sessions" => {
            Hidden(format!("/v1/users/{user}/sessions"), Value::Null)
        }
        "DELETE /v1/users/{id}/sessions/{session}" => Hidden(
            format!("/v1/users/{user}/sessions/ses_00000000000000000000000000000000"),
            Value::Null,
        ),
        "GET /v1/federation-users/{id}/sessions" | "DELETE /v1/federation-users/{id}/sessions" => {
            Staff(format!("/v1/federation-users/{user}/sessions"), Value::Null)
        }
        "DELETE /v1/federation-users/{id}/sessions/{session}" => Staff(
            format!("/v1/federation-users/{user}/sessions/ses_00000000000000000000000000000000"),
            Value::Null,
        ),
        "POST /v1/federation-users/find" => Staff(
            "/v1/federation-users/find".into(),
            json!({"email": "member@north.example"}),
        ),
        "GET /v1/federation-users/{id}" => Staff(format!("/v1/federation-users/{user}"), Value::Null),
        "POST /v1/federation-users/{id}/disable" | "POST /v1/federation-users/{id}/enable" => {
            Staff(route[5..].replace("{id}", user), json!({"reason": "x"}))
        }
        "GET /v1/me/sessions" => Own,
        "GET /v1/tenants/{id}/memberships" => Hidden(format!("{of_tenant}/memberships"), Value::Null),
        "POST /v1/tenants/{id}/memberships" => Hidden(
            format!("{of_tenant}/memberships"),
            json!({"user_id": user, "roles": ["read-only"]}),
        ),
        "GET /v1/tenants/{id}/memberships/{membership}" | "DELETE /v1/tenants/{id}/memberships/{membership}" => {
            Hidden(format!("{of_tenant}/memberships/{membership}"), Value::Null)
        }
        "PATCH /v1/tenants/{id}/memberships/{membership}" => Hidden(
            format!("{of_tenant}/memberships/{membership}"),
            json!({"roles": ["read-only"]}),
        ),
        "GET /v1/tenants" | "GET /v1/federation-audit" => Staff(route[4..].to_owned(), Value::Null),
        "POST /v1/tenants" => Staff("/v1/tenants".into(), json!({"slug": "x", "name": "x"})),
        "GET /v1/tenants/{id}" => Staff(of_tenant, Value::Null),
        "PATCH /v1/tenants/{id}" => Staff(of_tenant, json!({"name": "x"})),
        "POST /v1/tenants/{id}/suspend" => {
            Staff(format!("{of_tenant}/suspend"), json!({"cause": "hold", "reason": "x"}))
        }
        "POST /v1/tenants/{id}/resume" | "POST /v1/tenants/{id}/delete" | "POST /v1/tenants/{id}/restore" => {
            Staff(route[5..].replace("{id}", tenant), json!({"reason": "x"}))
        }
        "GET /v1/tenants/{id}/entitlements" => Staff(format!("{of_tenant}/entitlements"), Value::Null),
        "POST /v1/tenants/{id}/entitlements" => {
            Staff(format!("{of_tenant}/entitlements"), json!({"region": "eu-north"}))
        }
        "GET /v1/tenants/{id}/entitlements/{entitlement}" | "DELETE /v1/tenants/{id}/entitlements/{entitlement}" => {
            Staff(format!("{of_tenant}/entitlements/{entitlement}"), Value::Null)
        }
        "PATCH /v1/tenants/{id}/entitlements/{entitlement}" => Staff(
            format!("{of_tenant}/entitlements/{entitlement}"),
            json!({"until": null}),
        ),
        "GET /v1/regions" => Staff("/v1/regions".into(), Value::Null),
        "POST /v1/regions" => Staff(
            "/v1/regions".into(),
            json!({"slug": "x", "name": "x", "url": "https://x.example"}),
        ),
        "GET /v1/regions/{slug}" => Staff("/v1/regions/eu-north".into(), Value::Null),
        "PATCH /v1/regions/{slug}" => Staff("/v1/regions/eu-north".into(), json!({"name": "x"})),
        "GET /v1/regions/{slug}/probes" => Staff("/v1/regions/eu-north/probes".into(), Value::Null),
        "GET /v1/regions/{slug}/probes/summary" => Staff("/v1/regions/eu-north/probes/summary".into(), Value::Null),
        "POST /v1/regions/{slug}/drain" => Staff("/v1/regions/eu-north/drain".into(), json!({"reason": "x"})),
        "POST /v1/regions/{slug}/resume" => Staff("/v1/regions/eu-north/resume".into(), json!({"reason": "x"})),
        "POST /v1/regions/{slug}/remove" => Staff("/v1/regions/eu-north/remove".into(), json!({"reason": "x"})),
        "POST /v1/regions/{slug}/join-token" => Staff("/v1/regions/eu-north/join-token".into(), Value::Null),
        "GET /v1/me/regions" => Own,
        "POST /v1/regions/{slug}/token" => Hidden("/v1/regions/eu-north/token".into(), Value::Null),
        "POST /v1/auth/sign-in"
        | "POST /v1/auth/next"
        | "POST /v1/auth/refresh"
        | "POST /v1/auth/sign-out"
        | "GET /v1/me"
        | "GET /v1/permissions"
        | "POST /v1/me/tenant"
        | "POST /v1/me/token"
        | "GET /v1/me/second-factor"
        | "POST /v1/me/totp"
        | "POST /v1/me/totp/{id}/verify"
        | "POST /v1/me/totp/remove"
        | "POST /v1/me/recovery-codes"
        | "DELETE /v1/me/sessions"
        | "DELETE /v1/me/sessions/{id}"
        | "POST /v1/me/device/look"
        | "POST /v1/me/device/approve"
        | "POST /v1/me/device/deny"
        | "POST /oauth2/device_authorization"
        | "POST /oauth2/token"
        | "POST /v1/auth/password-reset"
        | "POST /v1/auth/invitation"
        | "POST /v1/auth/invitation/accept"
        | "POST /v1/me/password"
        | "POST /v1/auth/password-reset/complete"
        | "GET /.well-known/jwks.json"
        | "GET /openapi.json" => Nobodys,
        _ => return None,
    })
}

async fn scene(world: &World) -> (Scene, Client, Value) {
    world.region("eu-north").await;
    let (tenant, north) = world.tenant("north").await;
    let (user, member) = world.member(&north, "member@north.example", &["read-only"]).await;
    let owner = world.owner().await;
    let path = format!("/v1/tenants/{tenant}/entitlements");
    let entitlement = owner.post(&path, json!({"region": "eu-north"})).await.status(201);
    let memberships = north.get("/v1/tenants/north/memberships").await.ok();
    let invite = json!({"email": "guest@north.example", "display_name": "Guest", "roles": ["read-only"]});
    let invitation = north.post("/v1/users", invite).await.status(202);
    let role = json!({"name": "of-north", "permissions": ["user.list"]});
    north.post("/v1/roles", role).await.status(201);
    let key = json!({"name": "of-north", "kind": "federated", "role": "read-only"});
    let key = north.post("/v1/api-keys", key).await.status(201);
    let refused = member.get("/v1/audit").await.problem(403, "permission-denied");
    let scene = Scene {
        decision: refused["decision_id"].as_str().unwrap().to_owned(),
        key: key["id"].as_str().unwrap().to_owned(),
        invitation: invitation["id"].as_str().unwrap().to_owned(),
        break_glass: break_glass(world, &tenant).await,
        tenant,
        user,
        membership: memberships["items"][0]["id"].as_str().unwrap().to_owned(),
        entitlement: entitlement["id"].as_str().unwrap().to_owned(),
    };
    (scene, north, memberships)
}

/// A request of the owner's that waits.
async fn break_glass(world: &World, tenant: &str) -> String {
    let id: exarch_common_base::BreakGlassId = world.app.ambient.id();
    let mut conn = world.db().superuser().await;
    sqlx::query(
        "INSERT INTO gc.break_glass (tenant_id, id, requester, mode, reason, ticket, minutes, rescue, requested_at)
         SELECT $1::text::uuid, $2, first_owner, 'read', 'r', 't', 5, false, $3 FROM gc.installation",
    )
    .bind(tenant.trim_start_matches("ten_").to_owned())
    .bind(id.uuid())
    .bind(world.app.ambient.now())
    .execute(&mut conn)
    .await
    .unwrap();
    id.to_string()
}

async fn send(client: &Client, method: &str, path: &str, body: &Value) -> super::world::Answer {
    let body = (!body.is_null()).then(|| body.to_string());
    client.send(method, path, body).await
}

#[tokio::test]
async fn what_is_one_tenants_never_shows_to_another() {
    let world = World::new().await;
    let (scene, north, memberships) = scene(&world).await;
    let (tenant, user) = (scene.tenant.clone(), scene.user.clone());
    let (_, south) = world.tenant("south").await;
    let mut unprobed = BTreeSet::new();
    for entry in &world.table {
        let route = format!("{} {}", entry.method, entry.path);
        let method = entry.method.as_str();
        match probe(&route, &scene) {
            None => {
                unprobed.insert(route);
            }
            Some(Probe::Nobodys) => {}
            Some(list @ (Probe::Own | Probe::OwnOf(_))) => {
                let path = if let Probe::OwnOf(path) = list {
                    path
                } else {
                    &entry.path
                };
                let answer = south.get(path).await;
                assert_eq!(answer.code, 200, "{route}");
                for foreign in [
                    &tenant,
                    &user,
                    &scene.membership,
                    &scene.invitation,
                    &scene.key,
                    "north",
                ] {
                    assert!(
                        !answer.text.contains(foreign),
                        "{route} tells of {foreign}: {}",
                        answer.text
                    );
                }
            }
            Some(Probe::Hidden(path, body)) => {
                let answer = send(&south, method, &path, &body).await;
                assert_eq!(answer.code, 404, "{route}: {}", answer.text);
                // the same as for what never was
                let nothing = path
                    .replace(&tenant, "nowhere")
                    .replace(&user, "usr_00000000000000000000000000000000")
                    .replace(&scene.key, "key_00000000000000000000000000000000")
                    .replace(&scene.invitation, "inv_00000000000000000000000000000000")
                    .replace(&scene.break_glass, "bgl_00000000000000000000000000000000")
                    .replace(&scene.decision, "dec_00000000000000000000000000000000");
                let never = send(&south, method, &nothing, &body).await;
                assert_eq!(
                    (answer.json()["type"].clone(), never.code),
                    (never.json()["type"].clone(), 404)
                );
            }
            Some(Probe::Staff(path, body)) => {
                assert_eq!(send(&south, method, &path, &body).await.code, 403, "{route}");
                assert_eq!(send(&north, method, &path, &body).await.code, 403, "{route}");
            }
        }
    }
    assert!(unprobed.is_empty(), "no probe for {unprobed:?}");
    // nothing of all that changed anything
    let after = north.get("/v1/tenants/north/memberships").await.ok();
    assert_eq!(after, memberships);
}

/// Authority over the federation is no sight of what is a tenant's.
#[tokio::test]
async fn staff_without_a_place_in_a_tenant_read_none_of_its_rows() {
    let world = World::new().await;
    let (scene, ..) = scene(&world).await;
    let owner = world.owner().await;
    for entry in &world.table {
        let route = format!("{} {}", entry.method, entry.path);
        let answer = match probe(&route, &scene) {
            Some(Probe::Own) => owner.get(&entry.path).await,
            Some(Probe::Hidden(path, body)) => {
                let answer = send(&owner, entry.method.as_str(), &path, &body).await;
                assert!(matches!(answer.code, 403 | 404), "{route}: {}", answer.text);
                answer
            }
            // accounts belong to no tenant, and whoever finds one learns of no tenant by it
            Some(Probe::Staff(path, _)) if entry.method == "GET" => owner.get(&path).await,
            _ => continue,
        };
        for row in [&scene.membership, &scene.invitation, "of-north", "guest@north.example"] {
            assert!(!answer.text.contains(row), "{route} tells of {row}: {}", answer.text);
        }
    }
}

#[tokio::test]
async fn without_credentials_every_route_but_the_public_ones_is_401() {
    let world = World::new().await;
    let anyone = world.anyone();
    for entry in &world.table {
        if entry.kind == RouteKind::Public {
            continue;
        }
        let path = entry.path.replace("{id}", "north").replace(['{', '}'], "");
        let answer = anyone.send(entry.method.as_str(), &path, None).await;
        assert_eq!(answer.code, 401, "{} {}", entry.method, entry.path);
        let bearer = anyone.clone().with_token("not-a-token");
        let answer = bearer.send(entry.method.as_str(), &path, Some("{".into())).await;
        assert_eq!(
            answer.code, 401,
            "the gate stands before the body: {} {}",
            entry.method, entry.path
        );
    }
}
