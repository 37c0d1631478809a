//! A request for each route, pointing at somebody's things.
use super::people::Tenant;
use super::{decided, golden::Names};
use exarch_common_base::{Ambient, BreakGlassId};
use exarch_tests_federation::{Client, EU, Federation};
use reqwest::Method;
use serde_json::{Value, json};

/// Whatever a tenant has in a cluster.
#[derive(Clone)]
pub struct Things {
    pub tenant: String,
    pub cluster: String,
    pub host: String,
    pub resource: String,
    pub workload: String,
    pub agent: String,
    /// One that is revoked again and again.
    pub victim: String,
    pub lease: String,
    pub binding: String,
    pub token: String,
    pub user: String,
    pub membership: String,
    pub entitlement: String,
    pub invitation: String,
    pub role: String,
    pub break_glass: String,
    pub api_key: String,
}

/// How a request that passes is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// As it is: it does no harm, however often.
    Whole,
    /// With a body that is refused behind the gate: the gate alone decides on this route, and the effect would end the matrix.
    Broken,
}

/// One request.
pub struct Probe {
    pub path: String,
    pub body: Option<Value>,
    pub names: Names,
    pub sent: Sent,
}

fn id(made: &Value) -> String {
    made["id"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned()
}

/// A cluster with one of each, and the same for the tenant.
pub async fn things(federation: &Federation, of: &Tenant, name: &str) -> Things {
    let region = &of.admin_in;
    let post = async |path: &str, body: Value| region.post(path, &body).await.ok();
    let cluster = id(&post("/v1/clusters", json!({"name": name})).await);
    let host = id(&post("/v1/hosts", json!({"cluster_id": cluster, "name": name})).await);
    let resource = json!({"cluster_id": cluster, "name": name, "kind": "volume", "ttl_ms": 60_000});
    let resource = id(&post("/v1/resources", resource).await);
    let driver = json!({"kind": "process", "argv": ["x"], "volume": "/v"});
    let workload = json!({"cluster_id": cluster, "name": name, "resource_id": resource, "driver": driver});
    let workload = id(&post("/v1/workloads", workload).await);
    let mut agents = Vec::new();
    for n in ["one", "two"] {
        let body = json!({"cluster_id": cluster, "name": format!("{name}-{n}"), "auto": true});
        let token = post("/v1/bootstrap-tokens", body).await;
        agents.push(federation.agent(EU, token["token"].as_str().unwrap()).await);
    }
    let nonce = federation.nonce();
    let ask = json!({"resource": resource, "actions": ["start"], "nonce": nonce, "wait_ms": 0});
    agents[0].post("/agent/v1/leases", &ask).await.ok();
    let leases = region.get(&format!("/v1/leases?resource_id={resource}")).await.ok();
    let role = format!("{name}-role");
    let body = json!({"name": role, "permissions": ["cluster.list"]});
    of.admin.post("/v1/roles", &body).await.ok();
    let body = json!({"email": format!("{name}@{}.example", of.slug), "display_name": name, "roles": [], "initial_password": true});
    let made = of.admin.post("/v1/users", &body).await.ok();
    let user = made["user"]["id"].as_str().or(made["id"].as_str()).unwrap().to_owned();
    let all = of
        .admin
        .get(&format!("/v1/tenants/{}/memberships?limit=100", of.id))
        .await
        .ok();
    let theirs = all["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|m| m["user"]["id"] == user);
    let membership = id(theirs.unwrap());
    let look = async || {
        let body = json!({"cluster_id": cluster, "user_id": user, "role": "cluster-operator"});
        region.post("/v1/bindings", &body).await.status == 201
    };
    federation
        .until(std::time::Duration::from_secs(20), "the region knows the person", look)
        .await;
    let binding = region.get(&format!("/v1/bindings?user_id={user}")).await.ok();
    Things {
        tenant: of.id.clone(),
        host,
        resource,
        workload,
        agent: agents[0].enrolled.agent.to_string(),
        victim: agents[1].enrolled.agent.to_string(),
        lease: id(&leases["items"][0]),
        binding: id(&binding["items"][0]),
        token: id(&region.get("/v1/bootstrap-tokens").await.ok()["items"][0]),
        user,
        membership,
        entitlement: String::new(),
        invitation: invitation(of, name).await,
        role,
        cluster,
        break_glass: break_glass(federation, &of.id).await,
        api_key: api_key(of, name).await,
    }
}

/// An emergency access that is over: a step of it is refused behind the gate.
async fn break_glass(federation: &Federation, tenant: &str) -> String {
    let id: BreakGlassId = Ambient::system().id();
    let mut database = federation.database("global").await;
    sqlx::query(
        "INSERT INTO gc.break_glass (tenant_id, id, requester, mode, reason, ticket, minutes, rescue, state, requested_at, ended_by,
                                     ended_at)
         SELECT tenant_id, $2, user_id, 'read', 'r', 't', 5, false, 'ended', now(), 'time', now()
           FROM gc.membership WHERE tenant_id = $1::text::uuid LIMIT 1",
    )
    .bind(tenant.trim_start_matches("ten_").to_owned())
    .bind(id.uuid())
    .execute(&mut database)
    .await
    .unwrap();
    id.to_string()
}

async fn made(client: &Client, path: &str, body: Value) -> String {
    id(&decided(async || client.post(path, &body).await).await.ok())
}

/// A new invitation.
pub async fn invitation(of: &Tenant, name: &str) -> String {
    let body = json!({"email": format!("guest-{name}@{}.example", of.slug), "display_name": "Guest", "roles": []});
    made(&of.admin, "/v1/users", body).await
}

/// A new API key.
async fn api_key(of: &Tenant, name: &str) -> String {
    let body = json!({"name": name, "kind": "federated", "role": "read-only"});
    made(&of.admin, "/v1/api-keys", body).await
}

/// A new binding for the person of `things`.
pub async fn binding(of: &Tenant, things: &Things) -> String {
    let body = json!({"cluster_id": things.cluster, "user_id": things.user, "role": "cluster-admin"});
    made(&of.admin_in, "/v1/bindings", body).await
}

/// A new bootstrap token.
pub async fn token(of: &Tenant, things: &Things, name: &str) -> String {
    let body = json!({"cluster_id": things.cluster, "name": name});
    made(&of.admin_in, "/v1/bootstrap-tokens", body).await
}

/// What a route wants to be asked.
fn question(noun: &str) -> &'static str {
    match noun {
        "who-can" => "?permission=cluster.list",
        "federation-who-can" => "?permission=region.list",
        _ => "",
    }
}

/// The request for a route of a region; `unique` is a name that nothing has yet.
pub fn regional(route: &str, things: &Things, unique: &str) -> Option<Probe> {
    let Things {
        cluster,
        host,
        resource,
        workload,
        agent,
        victim,
        lease,
        binding,
        token,
        user,
        ..
    } = things;
    let (method, template) = route.split_once(' ')?;
    let driver = json!({"kind": "process", "argv": ["x"], "volume": "/v"});
    let noun = template.split('/').nth(2)?;
    let one = match noun {
        "clusters" => cluster,
        "hosts" => host,
        "resources" => resource,
        "workloads" => workload,
        "agents" if template.ends_with("/revoke") => victim,
        "agents" => agent,
        "leases" => lease,
        "bindings" => binding,
        "bootstrap-tokens" => token,
        "audit" | "me" | "continuity" | "provider-access" | "who-can" => "",
        _ => return None,
    };
    let named = json!({"name": unique});
    let body = match route {
        "POST /v1/clusters" | "PATCH /v1/clusters/{id}" | "PATCH /v1/hosts/{id}" | "PATCH /v1/agents/{id}" => {
            Some(named)
        }
        "POST /v1/hosts" => Some(json!({"cluster_id": cluster, "name": unique})),
        "POST /v1/resources" => Some(json!({"cluster_id": cluster, "name": unique, "kind": "volume"})),
        "PATCH /v1/resources/{id}" => Some(json!({"ttl_ms": 61_000})),
        "POST /v1/workloads" => {
            Some(json!({"cluster_id": cluster, "name": unique, "resource_id": resource, "driver": driver}))
        }
        "PATCH /v1/workloads/{id}" => Some(json!({"name": unique, "driver": driver})),
        "POST /v1/workloads/{id}/start" => Some(json!({"agent_id": agent, "wait": true})),
        "POST /v1/workloads/{id}/stop" => Some(json!({})),
        "POST /v1/agents/{id}/suspend" | "POST /v1/agents/{id}/revoke" => Some(json!({"reason": "the matrix"})),
        "POST /v1/agents/{id}/approve" | "POST /v1/agents/{id}/resume" | "POST /v1/agents/{id}/re-enrol" => None,
        "POST /v1/bootstrap-tokens" => Some(json!({"cluster_id": cluster, "name": unique})),
        "POST /v1/bindings" => Some(json!({"cluster_id": cluster, "user_id": user, "role": "cluster-operator"})),
        _ if matches!(method, "GET" | "DELETE") => None,
        _ => return None,
    };
    let names = match route {
        "POST /v1/clusters" => Names::Nothing,
        _ if template.contains("{id}") || body.is_some() => Names::Cluster,
        _ => Names::Nothing,
    };
    let sent = match route {
        // It would leave nobody who could be asked for.
        "POST /v1/clusters" => Sent::Broken,
        _ => Sent::Whole,
    };
    Some(Probe {
        path: template.replace("{id}", one) + question(noun),
        body,
        names,
        sent,
    })
}

/// The request for a route of the global.
pub fn global(route: &str, things: &Things, unique: &str) -> Option<Probe> {
    let Things {
        tenant,
        user,
        membership,
        entitlement,
        invitation,
        role,
        break_glass,
        api_key,
        ..
    } = things;
    let (method, template) = route.split_once(' ')?;
    let noun = template.split('/').nth(2)?;
    let one = match noun {
        "tenants" => tenant,
        "users" | "federation-users" => user,
        "invitations" => invitation,
        "break-glass" | "provider-access" => break_glass,
        "api-keys" => api_key,
        "roles" | "audit" | "federation-audit" | "regions" | "permissions" => "",
        "who-can" | "federation-who-can" => "",
        _ => return None,
    };
    let reason = Some(json!({"reason": "the matrix"}));
    let body = match route {
        "POST /v1/users" => {
            Some(json!({"email": format!("{unique}@matrix.example"), "display_name": unique, "roles": []}))
        }
        "PATCH /v1/users/{id}" => Some(json!({"display_name": unique})),
        "POST /v1/tenants/{id}/memberships" => Some(json!({"user_id": user, "roles": ["read-only"]})),
        "PATCH /v1/tenants/{id}/memberships/{membership}" => Some(json!({"roles": ["read-only"]})),
        "PATCH /v1/tenants/{id}/settings" => Some(json!({"second_factor": "optional"})),
        "POST /v1/api-keys" => Some(json!({"name": unique, "kind": "federated", "role": "read-only"})),
        "PATCH /v1/api-keys/{id}" => Some(json!({"name": unique})),
        "POST /v1/api-keys/{id}/rotate" => Some(json!({})),
        "POST /v1/roles" => Some(json!({"name": unique, "permissions": ["cluster.list"]})),
        "PATCH /v1/roles/{name}" => Some(json!({"permissions": ["cluster.read"]})),
        "POST /v1/tenants" => Some(json!({"slug": unique, "name": unique})),
        "PATCH /v1/tenants/{id}" | "PATCH /v1/regions/{slug}" => Some(json!({"name": unique})),
        "POST /v1/tenants/{id}/suspend" => Some(json!({"cause": "hold", "reason": "the matrix"})),
        "POST /v1/tenants/{id}/entitlements" => Some(json!({"region": EU})),
        "PATCH /v1/tenants/{id}/entitlements/{entitlement}" => Some(json!({"clusters": 5})),
        "POST /v1/regions" => Some(json!({"slug": unique, "name": unique, "url": "https://x.example"})),
        "POST /v1/break-glass" => {
            Some(json!({"tenant": tenant, "reason": "the matrix", "ticket": "M-1", "minutes": 5}))
        }
        "POST /v1/federation-users/find" => Some(json!({"email": "ada@acme.example"})),
        "POST /v1/regions/{slug}/join-token" | "POST /v1/invitations/{id}/resend" => None,
        _ if method == "POST" => reason,
        _ => None,
    };
    let names = match noun {
        "roles" if template.contains('{') => Names::Tenant,
        "tenants" | "users" | "invitations" | "provider-access" | "api-keys" if template.contains('{') => Names::Tenant,
        _ => Names::Nothing,
    };
    let sent = match (method, noun) {
        ("POST", "federation-users") if template.ends_with("/find") => Sent::Whole,
        ("POST", "invitations") => Sent::Whole,
        ("POST", "regions") if template.ends_with("/join-token") => Sent::Whole,
        ("POST", _) => Sent::Broken,
        _ => Sent::Whole,
    };
    let path = template
        .replace("{id}", one)
        .replace("{slug}", EU)
        .replace("{name}", role)
        .replace("{membership}", membership)
        .replace("{entitlement}", entitlement)
        .replace("{session}", "ses_00000000000000000000000000000000");
    Some(Probe {
        path: path + question(noun),
        body,
        names,
        sent,
    })
}

/// As it is sent.
pub fn method(route: &str) -> Method {
    route.split(' ').next().and_then(|word| word.parse().ok()).unwrap()
}
