//! A gateway on a database of its own, and people and agents who call it without signing in.
//!
//! Everything from the routes down is real. Only authentication is replaced: [`TestGate`] finds who calls in a header and
//! then asks the policy what the real gate asks.
#![allow(dead_code, reason = "a room uses what it needs")]
mod isolation;
pub(crate) mod store;

use crate::{
    agents::AgentCaller,
    app::{App, Pools, Region},
    audit::Origin,
    directory::{Directory, Index},
    gate::UserCaller,
    router,
    secrets::{self, Secrets},
    settings::Settings,
};
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode, header, request::Parts},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_authz::{Binding, Caller, On, Principal, Role, TenantState, policy};
use exarch_common_base::{Ambient, ClusterId, HostId, Id, LeaseId, ManualClock, ResourceId, TenantId};
use exarch_common_crypto::{
    seal::Sealer,
    sign::{Algorithm, SigningKey},
};
use exarch_common_http::{Gate, Problem, RouteKind, layers};
use exarch_common_pg::{
    AppPool, Clusters, InTenant, Login, Migrations, OwnerPool, PoolSettings, RenewPool, Schema, SweepPool, SystemTx,
    TenantContext, TenantTx, embedded::Cluster,
};
use exarch_common_testkit::db::{TestDb, throwaway_cluster};
use exarch_common_wire::{
    federation::{AuthorityKey, HandedSecret, Joined},
    grant::Incarnation,
    passport::{Authority, Contents, Entitlement, Keys, Revocations, Tenant},
    user_token::Version,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    ops::Deref,
    sync::{Arc, Mutex},
    time::Duration,
};
use time::macros::datetime;
use tower::ServiceExt;

const WHO: &str = "x-test-caller";

/// A gateway and its database.
pub(crate) struct World {
    pub(crate) app: App,
    pub(crate) db: TestDb,
    pub(crate) clock: ManualClock,
    gate: TestGate,
    public: Router,
    agents: Router,
    tenants: Mutex<BTreeMap<TenantId, (Version, Tenant)>>,
    replicas: Mutex<Vec<App>>,
}

impl World {
    /// Two tenants may be made in it; it knows none yet.
    pub(crate) async fn new() -> Self {
        let (ambient, clock) = Ambient::manual(datetime!(2026-01-01 12:00 UTC), 1);
        Self::with(ambient, clock).await
    }

    /// The same, begun at another time: one whose clock is moved up to the present meets handshakes, which know no other.
    pub(crate) async fn begun(start: time::OffsetDateTime) -> Self {
        let (ambient, clock) = Ambient::manual(start, 1);
        Self::with(ambient, clock).await
    }

    /// The same on the clocks of this machine.
    pub(crate) async fn in_real_time() -> Self {
        let unused = ManualClock::new(datetime!(2026-01-01 12:00 UTC));
        Self::with(Ambient::system(), unused).await
    }

    async fn with(ambient: Ambient, clock: ManualClock) -> Self {
        let db = TestDb::regional().await;
        let app = join(&patient(&db), &ambient).await;
        let gate = TestGate {
            app: app.clone(),
            known: Arc::default(),
        };
        let options = layers::LayerOptions {
            timeout: Duration::from_secs(60),
            ..layers::LayerOptions::new(ambient, "test")
        };
        let serve = |router: Router<App>| layers::standard(router.with_state(app.clone()), &options);
        Self {
            public: serve(router::public(gate.clone()).split().0),
            agents: serve(router::agents(gate.clone()).split().0),
            tenants: Mutex::default(),
            replicas: Mutex::default(),
            app,
            db,
            clock,
            gate,
        }
    }

    /// A tenant entitled to this region.
    pub(crate) fn tenant(&self, slug: &str, limits: Limits) -> TenantId {
        let id: TenantId = self.app.ambient.id();
        let tenant = Tenant {
            id,
            slug: slug.parse().unwrap(),
            name: slug.to_owned(),
            state: TenantState::Active.as_str().to_owned(),
            entitlement: Entitlement {
                id: self.app.ambient.id(),
                from: 0,
                until: None,
                clusters: limits.clusters,
                hosts: limits.hosts,
                leases: limits.leases,
            },
            users: Vec::new(),
            memberships: Vec::new(),
        };
        self.tenants.lock().unwrap().insert(id, (Version::default(), tenant));
        self.publish();
        id
    }

    /// The next passport says something else of a tenant.
    pub(crate) fn alter(&self, tenant: TenantId, change: impl FnOnce(&mut Tenant)) {
        change(&mut self.tenants.lock().unwrap().get_mut(&tenant).unwrap().1);
        self.publish();
    }

    fn publish(&self) {
        let tenants = self.tenants.lock().unwrap();
        let contents = Contents {
            keys: Keys::default(),
            authority: Authority {
                current: authority(),
                next: None,
            },
            revocations: Revocations::default(),
            tenants: tenants.clone(),
        };
        let index = || Index::build(Version::default(), &contents).unwrap();
        self.app.directory.put(index());
        for replica in self.replicas.lock().unwrap().iter() {
            replica.directory.put(index());
        }
    }

    /// Another replica of the gateway: the same database and clock, a memory of its own.
    pub(crate) async fn replica(&self) -> App {
        let app = open(&patient(&self.db), &self.app.ambient, self.app.region.clone()).await;
        self.replicas.lock().unwrap().push(app.clone());
        self.publish();
        app
    }

    /// The region's agents have another authority from now on; replicas learn of it at their start.
    pub(crate) async fn next_agent_ca(&self) {
        let mut tx = SystemTx::begin(&self.app.app_pool, "test").await.unwrap();
        let key = SigningKey::generate(Algorithm::Es384).unwrap();
        secrets::next_agent_ca(&mut tx, &sealer(), &self.app.ambient, &key)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    /// The gateway of another region that knows the same tenants, on a cluster of its own that may be stopped.
    pub(crate) async fn apart(&self) -> (App, Cluster) {
        let cluster = throwaway_cluster().await.unwrap();
        let settings = |login| PoolSettings {
            acquire_timeout: Duration::from_secs(1),
            ..cluster.settings_of(login, Schema::Regional, "exarch")
        };
        let owner = OwnerPool::connect(cluster.settings_of(Login::Owner, Schema::Regional, "exarch"))
            .await
            .unwrap();
        Migrations::regional().up(&owner).await.unwrap();
        owner.close().await;
        let app = join(&settings, &self.app.ambient).await;
        self.replicas.lock().unwrap().push(app.clone());
        self.publish();
        (app, cluster)
    }

    /// A person with `role` in the whole of `tenant`.
    pub(crate) fn person(&self, tenant: TenantId, role: Role) -> Actor<'_> {
        self.bound(tenant, &[Binding::new(role, On::Tenant(tenant))])
    }

    /// A person with `role` in one cluster alone.
    pub(crate) fn cluster_person(&self, tenant: TenantId, cluster: ClusterId, role: Role) -> Actor<'_> {
        self.cluster_people(tenant, &[(cluster, role)])
    }

    /// A person with a role in each of several clusters.
    pub(crate) fn cluster_people(&self, tenant: TenantId, roles: &[(ClusterId, Role)]) -> Actor<'_> {
        let bindings = roles
            .iter()
            .map(|&(cluster, role)| Binding::new(role, On::Cluster(tenant, cluster)));
        self.bound(tenant, &bindings.collect::<Vec<_>>())
    }

    fn bound(&self, tenant: TenantId, bindings: &[Binding]) -> Actor<'_> {
        let caller = Caller::of(Principal::User(self.app.ambient.id()))
            .tenant(tenant, TenantState::Active)
            .bindings(bindings.iter().copied())
            .build(self.app.ambient.now());
        Actor {
            world: self,
            router: &self.public,
            who: Some(self.gate.learn(Known::Person(tenant, caller))),
        }
    }

    /// An active agent of a cluster.
    pub(crate) async fn agent(&self, tenant: TenantId, cluster: ClusterId, name: &str) -> Agent<'_> {
        let caller = AgentCaller {
            id: self.app.ambient.id(),
            tenant,
            cluster,
            name: name.into(),
            incarnation: Incarnation::new(self.app.ambient.bytes()),
            origin: Origin::default(),
        };
        let mut tx = self.tx(&caller).await;
        store::insert_agent(&mut tx, &caller).await;
        tx.commit().await.unwrap();
        Agent {
            actor: Actor {
                world: self,
                router: &self.agents,
                who: Some(self.gate.learn(Known::Agent(caller.clone()))),
            },
            caller,
        }
    }

    /// The lease on `resource`, held by `agent` from now on.
    pub(crate) async fn lease(&self, resource: ResourceId, agent: &Agent<'_>) -> LeaseId {
        let id = self.app.ambient.id();
        let mut tx = self.tx(&agent.caller).await;
        store::insert_lease(&mut tx, id, resource, &agent.caller).await;
        tx.commit().await.unwrap();
        id
    }

    /// Runs `sql` in the tenant and answers how many rows it touched.
    pub(crate) async fn run(&self, tenant: TenantId, sql: &'static str) -> u64 {
        let mut tx = self.tx(&whole(tenant)).await;
        let rows = store::run(&mut tx, sql).await;
        tx.commit().await.unwrap();
        rows
    }

    async fn tx(&self, who: &impl InTenant) -> TenantTx {
        TenantTx::begin(&self.app.app_pool, who).await.unwrap()
    }

    /// Whoever has no token.
    pub(crate) fn anonymous(&self) -> Actor<'_> {
        Actor {
            world: self,
            router: &self.public,
            who: None,
        }
    }
}

/// What a tenant may have; open where absent.
#[derive(Clone, Copy, Default)]
pub(crate) struct Limits {
    pub(crate) clusters: Option<u32>,
    pub(crate) hosts: Option<u32>,
    pub(crate) leases: Option<u32>,
}

/// Somebody who calls.
#[derive(Clone, Copy)]
pub(crate) struct Actor<'w> {
    world: &'w World,
    router: &'w Router,
    who: Option<usize>,
}

/// An agent, and how it calls.
pub(crate) struct Agent<'w> {
    pub(crate) caller: AgentCaller,
    actor: Actor<'w>,
}

impl<'w> Deref for Agent<'w> {
    type Target = Actor<'w>;

    fn deref(&self) -> &Actor<'w> {
        &self.actor
    }
}

/// The context of a whole tenant.
pub(crate) fn whole(tenant: TenantId) -> TenantContext {
    TenantContext {
        tenant,
        clusters: Clusters::All,
        actor: "test".to_owned(),
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// The body of an answer with this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        self.body
    }

    /// The document of a problem with this status and name.
    #[track_caller]
    pub(crate) fn problem(self, status: u16, slug: &str) -> Value {
        let body = self.expect(status);
        assert_eq!(body["type"], format!("urn:exarch:problem:{slug}"), "{body}");
        body
    }
}

impl Actor<'_> {
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(body.to_string())).await
    }

    /// A new cluster of the caller's tenant.
    pub(crate) async fn cluster(&self, name: &str) -> ClusterId {
        self.made("/v1/clusters", json!({ "name": name })).await
    }

    /// A new host in it.
    pub(crate) async fn host(&self, cluster: ClusterId, name: &str) -> HostId {
        self.made("/v1/hosts", json!({ "cluster_id": cluster, "name": name }))
            .await
    }

    /// A new volume in it.
    pub(crate) async fn resource(&self, cluster: ClusterId, name: &str) -> ResourceId {
        let body = json!({ "cluster_id": cluster, "name": name, "kind": "volume" });
        self.made("/v1/resources", body).await
    }

    async fn made<I: Id>(&self, path: &str, body: Value) -> I {
        let made = self.post(path, body).await.expect(201);
        made["id"].as_str().unwrap().parse().unwrap()
    }

    /// Each request is a millisecond after the one before, so that the ids of what they make are in order.
    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<String>) -> Answer {
        self.world.clock.advance(Duration::from_millis(1));
        let mut request = Request::builder().method(method).uri(path);
        if let Some(who) = self.who {
            request = request.header(WHO, who.to_string());
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request.body(body.map_or_else(Body::empty, Body::from)).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let body = match bytes.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&bytes).unwrap(),
        };
        Answer {
            status: head.status,
            headers: head.headers,
            body,
        }
    }
}

/// A problem without what differs from request to request.
pub(crate) fn told(mut problem: Value) -> Value {
    let members = problem.as_object_mut().unwrap();
    members.remove("request_id");
    members.remove("decision_id");
    problem
}

#[derive(Clone)]
struct TestGate {
    app: App,
    known: Arc<Mutex<Vec<Known>>>,
}

#[derive(Clone)]
enum Known {
    Person(TenantId, Caller),
    Agent(AgentCaller),
}

impl TestGate {
    fn learn(&self, who: Known) -> usize {
        let mut known = self.known.lock().unwrap();
        known.push(who);
        known.len() - 1
    }
}

impl Gate for TestGate {
    async fn admit(&self, kind: RouteKind, parts: &mut Parts) -> Result<(), Problem> {
        let who = parts
            .headers
            .get(WHO)
            .and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
        let known = who.and_then(|who| self.known.lock().unwrap().get(who).cloned());
        match (known, kind) {
            (Some(Known::Agent(agent)), RouteKind::Agent) => {
                parts.extensions.insert(agent);
            }
            (Some(Known::Person(tenant, caller)), RouteKind::SelfOnly | RouteKind::Needs(_)) => {
                let caller = UserCaller {
                    caller,
                    tenant,
                    decided_offline: false,
                    ids: self.app.ambient.clone(),
                    origin: Origin::of(parts),
                    refusals: self.app.refusals.clone(),
                };
                if let RouteKind::Needs(permission) = kind {
                    let target = caller.widest(permission.scope());
                    policy::allows(&caller, permission, target).map_err(|refusal| caller.refused(&refusal))?;
                }
                parts.extensions.insert(caller);
            }
            (_, RouteKind::Public) => {}
            _ => return Err(crate::gate::unauthenticated()),
        }
        Ok(())
    }
}

/// A region that has just joined, and its gateway.
async fn join(reach: &impl Fn(Login) -> PoolSettings, ambient: &Ambient) -> App {
    let region = Region {
        id: ambient.id(),
        slug: "eu-north".parse().unwrap(),
        name: "North".to_owned(),
        global_addr: "localhost:8441".to_owned(),
        issuer: "http://localhost:8440".to_owned(),
        federation_ca: Vec::new(),
    };
    let secret = |kid: &str| HandedSecret {
        kid: kid.to_owned(),
        secret: B64.encode([8; 32]),
    };
    let joined = Joined {
        region: region.id,
        slug: region.slug.clone(),
        name: region.name.clone(),
        certificate: String::new(),
        federation_ca: String::new(),
        authority: authority(),
        issuer: "http://localhost:8440".to_owned(),
        up: secret("up"),
        down: secret("down"),
    };
    let pool = AppPool::lazy(PoolSettings {
        acquire_timeout: Duration::from_secs(20),
        ..reach(Login::App)
    });
    let mut tx = SystemTx::begin(&pool, "test").await.unwrap();
    secrets::region_key(&mut tx, &sealer(), ambient).await.unwrap();
    secrets::keep_joined(&mut tx, &sealer(), ambient, &joined, &[0])
        .await
        .unwrap();
    tx.commit().await.unwrap();
    open(reach, ambient, region).await
}

/// How the gateway of a test reaches its database. On a busy machine a connection may be long in coming.
fn patient(db: &TestDb) -> impl Fn(Login) -> PoolSettings {
    |login| PoolSettings {
        acquire_timeout: Duration::from_secs(20),
        ..db.settings(login)
    }
}

/// One replica on a database that has joined.
async fn open(reach: &impl Fn(Login) -> PoolSettings, ambient: &Ambient, region: Region) -> App {
    let pools = Pools {
        app: AppPool::lazy(reach(Login::App)),
        sweep: SweepPool::lazy(reach(Login::Sweep)),
        renew: RenewPool::lazy(reach(Login::Renew)),
        listen: reach(Login::App),
    };
    let secrets = Secrets::load(&pools.app, &Arc::new(sealer())).await.unwrap();
    let directory = Directory::without_disk(ambient.clone(), region.id, pools.app.clone());
    App::new(ambient.clone(), settings(), pools, region, secrets, directory)
}

fn sealer() -> Sealer {
    Sealer::new(&vec![7; 32].into()).unwrap()
}

fn authority() -> AuthorityKey {
    AuthorityKey {
        kid: "1".to_owned(),
        public: B64.encode([0; 32]),
    }
}

fn settings() -> Settings {
    serde_json::from_value(json!({
        "public": { "url": "http://127.0.0.1:9440" },
        "agents": { "names": ["localhost"], "url": "https://127.0.0.1:9441" },
        "database": { "app_url_file": "/nowhere", "sweep_url_file": "/nowhere", "renew_url_file": "/nowhere" },
        "keys": { "master_file": "/nowhere" },
        "state": { "dir": "/nowhere" },
    }))
    .unwrap()
}
