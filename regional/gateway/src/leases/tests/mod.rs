mod breaks;
mod deletion;
mod grants;
mod outage;
mod renewals;
mod sweeps;

use super::{GrantError, HeldBy, request};
use crate::{
    agents::{
        AgentCaller,
        testing::{agent_row, process},
    },
    app::App,
    testing::{Actor, Limits, World},
};
use exarch_common_authz::Role;
use exarch_common_base::{ClusterId, ResourceId, TenantId};
use exarch_common_wire::{
    agent::{Granted, Held, HeldBatch, RequestLease},
    grant::Action,
};
use serde_json::{Value, json};

/// A tenant with a cluster, a volume and the agents of two hosts.
struct Scene<'w> {
    world: &'w World,
    tenant: TenantId,
    admin: Actor<'w>,
    cluster: ClusterId,
    volume: ResourceId,
    one: AgentCaller,
    two: AgentCaller,
}

impl<'w> Scene<'w> {
    async fn new(world: &'w World) -> Self {
        Self::of(world, "a", Limits::default()).await
    }

    async fn of(world: &'w World, slug: &str, limits: Limits) -> Self {
        let tenant = world.tenant(slug, limits);
        let admin = world.person(tenant, Role::TenantAdmin);
        let cluster = admin.cluster("edge").await;
        let one = agent_row(world, tenant, cluster, "edge-1").await;
        let two = agent_row(world, tenant, cluster, "edge-2").await;
        Self {
            world,
            tenant,
            cluster,
            volume: volume(&admin, cluster, "v1", 30_000).await,
            admin,
            one: process(tenant, cluster, one, 1),
            two: process(tenant, cluster, two, 1),
        }
    }

    fn app(&self) -> &App {
        &self.world.app
    }

    /// The leases of the volume as people see them, newest first.
    async fn leases(&self) -> Vec<Value> {
        let path = format!("/v1/leases?resource_id={}", self.volume);
        let page = self.admin.get(&path).await.expect(200);
        page["items"].as_array().unwrap().clone()
    }

    /// What the audit says was done to leases, oldest first.
    async fn audit(&self) -> Vec<(String, String)> {
        let page = self
            .admin
            .get("/v1/audit?target_kind=lease&limit=100")
            .await
            .expect(200);
        let rows = page["items"].as_array().unwrap().iter().rev();
        rows.map(|row| {
            let fence = row["after"]["fence"].as_str().unwrap().to_owned();
            (row["action"].as_str().unwrap().to_owned(), fence)
        })
        .collect()
    }
}

async fn volume(admin: &Actor<'_>, cluster: ClusterId, name: &str, ttl_ms: u64) -> ResourceId {
    let body = json!({ "cluster_id": cluster, "name": name, "kind": "volume", "ttl_ms": ttl_ms });
    let made = admin.post("/v1/resources", body).await.expect(201);
    made["id"].as_str().unwrap().parse().unwrap()
}

fn ask(resource: ResourceId, wait_ms: u64) -> RequestLease {
    RequestLease {
        resource,
        actions: vec![Action::Start],
        nonce: "n".to_owned(),
        wait_ms,
    }
}

async fn granted(app: &App, agent: &AgentCaller, resource: ResourceId) -> Granted {
    request(app, agent, &ask(resource, 0)).await.expect("a grant")
}

/// Who holds it, according to the refusal.
async fn held(app: &App, agent: &AgentCaller, resource: ResourceId) -> HeldBy {
    match request(app, agent, &ask(resource, 0)).await {
        Err(GrantError::Held(by)) => by,
        other => panic!("{other:?}"),
    }
}

fn name_of(resource: ResourceId, granted: &Granted) -> Held {
    Held {
        lease: granted.lease,
        resource,
        fence: granted.fence,
    }
}

fn batch(leases: impl IntoIterator<Item = Held>) -> HeldBatch {
    HeldBatch {
        leases: leases.into_iter().collect(),
    }
}
