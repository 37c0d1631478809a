//! Two tenants on every route for people: what belongs to one is told from nothing by no answer that the other gets. A route
//! without a probe fails here.
use super::{Actor, Limits, World, store, told, whole};
use crate::router;
use axum::http::Method;
use exarch_common_authz::Role;
use exarch_common_base::{
    AgentId, BindingId, ClusterId, DecisionId, HostId, LeaseId, ResourceId, TenantId, TokenId, UserId, WorkloadId,
};
use exarch_common_http::{Gate, Problem, RouteKind};
use exarch_common_pg::TenantTx;
use serde_json::{Value, json};
use uuid::Uuid;

/// Whatever a tenant can have.
struct Things {
    cluster: ClusterId,
    host: HostId,
    resource: ResourceId,
    workload: WorkloadId,
    agent: AgentId,
    lease: LeaseId,
    token: TokenId,
    binding: BindingId,
    user: UserId,
    decision: DecisionId,
}

/// One request that names things of a tenant. `route` is the template it is for.
struct Probe {
    method: Method,
    route: &'static str,
    path: String,
    body: Option<Value>,
}

fn probe(method: Method, route: &'static str, id: &str, body: Option<Value>) -> Probe {
    Probe {
        method,
        route,
        path: route.replace("{id}", id),
        body,
    }
}

/// At least one request for each route for people.
fn probes(things: &Things, name: &str) -> Vec<Probe> {
    let Things {
        cluster,
        host,
        resource,
        workload,
        agent,
        lease,
        token,
        binding,
        user,
        decision,
    } = things;
    let get = |route, id: &dyn ToString| probe(Method::GET, route, &id.to_string(), None);
    let post = |route, id: &dyn ToString, body| probe(Method::POST, route, &id.to_string(), Some(body));
    let patch = |route, id: &dyn ToString, body| probe(Method::PATCH, route, &id.to_string(), Some(body));
    let delete = |route, id: &dyn ToString| probe(Method::DELETE, route, &id.to_string(), None);
    let filtered = |route: &'static str, query: String| Probe {
        path: format!("{route}?{query}"),
        ..probe(Method::GET, route, "", None)
    };
    let driver = json!({ "kind": "process", "argv": ["x"], "volume": "/v" });
    let mut all = vec![
        get("/v1/clusters/{id}", cluster),
        post("/v1/clusters", &"", json!({ "name": name })),
        patch("/v1/clusters/{id}", cluster, json!({ "name": name })),
        delete("/v1/clusters/{id}", cluster),
        get("/v1/hosts/{id}", host),
        patch("/v1/hosts/{id}", host, json!({ "name": name })),
        delete("/v1/hosts/{id}", host),
        post("/v1/hosts", &"", json!({ "cluster_id": cluster, "name": name })),
        get("/v1/resources/{id}", resource),
        post(
            "/v1/resources",
            &"",
            json!({ "cluster_id": cluster, "name": name, "kind": "volume" }),
        ),
        patch("/v1/resources/{id}", resource, json!({ "name": name, "ttl_ms": 6000 })),
        delete("/v1/resources/{id}", resource),
        get("/v1/workloads/{id}", workload),
        patch(
            "/v1/workloads/{id}",
            workload,
            json!({ "name": name, "driver": driver }),
        ),
        delete("/v1/workloads/{id}", workload),
        post(
            "/v1/workloads",
            &"",
            json!({ "cluster_id": cluster, "name": name, "resource_id": resource, "driver": driver }),
        ),
        post(
            "/v1/workloads/{id}/start",
            workload,
            json!({ "agent_id": agent, "wait": true }),
        ),
        post("/v1/workloads/{id}/stop", workload, json!({ "agent_id": agent })),
        get("/v1/agents/{id}", agent),
        patch("/v1/agents/{id}", agent, json!({ "name": name })),
        post("/v1/agents/{id}/approve", agent, json!({})),
        post("/v1/agents/{id}/suspend", agent, json!({ "reason": "probed" })),
        post("/v1/agents/{id}/resume", agent, json!({})),
        post("/v1/agents/{id}/re-enrol", agent, json!({})),
        post("/v1/agents/{id}/revoke", agent, json!({ "reason": "probed" })),
        delete("/v1/agents/{id}", agent),
        post(
            "/v1/bootstrap-tokens",
            &"",
            json!({ "cluster_id": cluster, "host_id": host, "auto": true }),
        ),
        delete("/v1/bootstrap-tokens/{id}", token),
        get("/v1/bindings/{id}", binding),
        delete("/v1/bindings/{id}", binding),
        post(
            "/v1/bindings",
            &"",
            json!({ "cluster_id": cluster, "user_id": user, "role": "cluster-operator" }),
        ),
        filtered("/v1/bindings", format!("user_id={user}")),
        get("/v1/decisions/{id}", decision),
        get("/v1/leases/{id}", lease),
        filtered("/v1/leases", format!("resource_id={resource}")),
        filtered("/v1/who-can", format!("permission=lease.list&cluster_id={cluster}")),
        filtered("/v1/who-can", "permission=lease.list".to_owned()),
        filtered("/v1/audit", format!("target_id={cluster}")),
    ];
    for route in ["/v1/hosts", "/v1/resources", "/v1/workloads", "/v1/bindings"] {
        all.push(filtered(route, format!("cluster_id={cluster}")));
    }
    for route in [
        "/v1/clusters",
        "/v1/hosts",
        "/v1/resources",
        "/v1/workloads",
        "/v1/agents",
        "/v1/bindings",
        "/v1/bootstrap-tokens",
        "/v1/leases",
        "/v1/audit",
        "/v1/provider-access",
    ] {
        all.push(get(route, &""));
    }
    all
}

#[derive(Clone)]
struct Nobody;

impl Gate for Nobody {
    async fn admit(&self, _: RouteKind, _: &mut axum::http::request::Parts) -> Result<(), Problem> {
        Err(crate::gate::unauthenticated())
    }
}

#[tokio::test]
async fn what_belongs_to_one_tenant_is_told_from_nothing_by_no_answer_to_another() {
    let world = World::new().await;
    let (a, b) = (
        world.tenant("a", Limits::default()),
        world.tenant("b", Limits::default()),
    );
    let (prober, owner) = (world.person(a, Role::TenantAdmin), world.person(b, Role::TenantAdmin));
    let theirs = things(&world, b, &owner).await;
    let nothing = Things {
        cluster: Uuid::from_u128(1).into(),
        host: Uuid::from_u128(1).into(),
        resource: Uuid::from_u128(1).into(),
        workload: Uuid::from_u128(1).into(),
        agent: Uuid::from_u128(1).into(),
        lease: Uuid::from_u128(1).into(),
        token: Uuid::from_u128(1).into(),
        binding: Uuid::from_u128(1).into(),
        user: Uuid::from_u128(1).into(),
        decision: Uuid::from_u128(1).into(),
    };
    let before = owner.get("/v1/audit?limit=100").await.expect(200);
    let (theirs, nothing) = (probes(&theirs, "one"), probes(&nothing, "two"));
    for route in router::public(Nobody).table() {
        let permission = match route.kind {
            RouteKind::Needs(permission) => permission.name(),
            RouteKind::SelfOnly if route.path.contains('{') => "one's own",
            _ => continue,
        };
        let of_route = |probe: &&Probe| probe.method == route.method && probe.route == route.path;
        let (theirs, nothing): (Vec<_>, Vec<_>) = (
            theirs.iter().filter(of_route).collect(),
            nothing.iter().filter(of_route).collect(),
        );
        let name = format!("{} {} ({permission})", route.method, route.path);
        assert!(
            !theirs.is_empty() || route.path == "/v1/continuity",
            "{name} has no probe"
        );
        for (theirs, nothing) in theirs.into_iter().zip(nothing) {
            let (found, none) = (send(&prober, theirs).await, send(&prober, nothing).await);
            assert_eq!(found.0, none.0, "{name}: {} or {}", found.1, none.1);
            let text = found.1.to_string();
            assert!(
                !text.contains("secret") || route.path == "/v1/clusters",
                "{name}: {text}"
            );
            if found.0 >= 400 {
                assert!(matches!(found.0, 403 | 404), "{name}: {text}");
                assert_eq!(told(found.1), told(none.1), "{name}");
            }
        }
    }
    let after = owner.get("/v1/audit?limit=100").await.expect(200);
    assert_eq!(after, before, "something of theirs was changed");
}

async fn send(actor: &Actor<'_>, probe: &Probe) -> (u16, Value) {
    let body = probe.body.as_ref().map(Value::to_string);
    // a condition that whatever is there would meet
    let condition = [("if-match", "*")];
    let answer = actor
        .send_with(probe.method.clone(), &probe.path, &condition, body)
        .await;
    (answer.status.as_u16(), answer.body)
}

async fn things(world: &World, tenant: TenantId, owner: &Actor<'_>) -> Things {
    let cluster = owner.cluster("secret").await;
    let resource = owner.resource(cluster, "secret").await;
    let agent = world.agent(tenant, cluster, "secret").await;
    let driver = json!({ "kind": "process", "argv": ["secret"], "volume": "/secret" });
    let workload = json!({ "cluster_id": cluster, "name": "secret", "resource_id": resource, "driver": driver });
    let workload = owner.post("/v1/workloads", workload).await.expect(201);
    let token = world.app.ambient.id();
    let mut tx = TenantTx::begin(&world.app.app_pool, &whole(tenant)).await.unwrap();
    store::insert_token(&mut tx, token, cluster, "secret").await;
    tx.commit().await.unwrap();
    let user = world.member(tenant, "Secret");
    let binding = json!({ "cluster_id": cluster, "user_id": user, "role": "cluster-operator" });
    let binding = owner.post("/v1/bindings", binding).await.expect(201);
    let refused = world.person(tenant, Role::ReadOnly).get("/v1/audit").await.expect(403);
    Things {
        cluster,
        host: owner.host(cluster, "secret").await,
        resource,
        workload: workload["id"].as_str().unwrap().parse().unwrap(),
        agent: agent.caller.id,
        lease: world.lease(resource, &agent).await,
        token,
        binding: binding["id"].as_str().unwrap().parse().unwrap(),
        user,
        decision: refused["decision_id"].as_str().unwrap().parse().unwrap(),
    }
}
