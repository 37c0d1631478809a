//! A gateway on a database of its own, and people and agents who call it without signing in.
//!
//! Everything from the routes down is real. Only authentication is replaced: [`TestGate`] finds who calls in a header and
//! then asks the policy what the real gate asks.
#![allow(dead_code, reason = "a room uses what it needs")]
mod caller;
mod changes;
mod gate;
mod isolation;
mod region;
pub(crate) mod store;
pub(crate) mod stream;
mod watching;

pub(crate) use self::caller::{Actor, Agent, Answer, told, whole};

use self::{
    gate::{Known, TestGate},
    region::{authority, join, open, patient, sealer},
    stream::Stream,
};
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
use exarch_common_base::{Ambient, ClusterId, HostId, Id, LeaseId, ManualClock, ResourceId, TenantId, UserId};
use exarch_common_crypto::{
    seal::Sealer,
    sign::{Algorithm, SigningKey},
};
use exarch_common_http::{Gate, InForce, Problem, RouteKind, layers, repeats::Answers, watch::Watches};
use exarch_common_pg::{
    AppPool, Clusters, InTenant, Login, Migrations, OwnerPool, PoolSettings, RenewPool, Schema, SweepPool, SystemTx,
    TenantContext, TenantTx, embedded::Cluster,
};
use exarch_common_testkit::{
    cut::Cut,
    db::{TestDb, throwaway_cluster},
};
use exarch_common_wire::{
    federation::{AuthorityKey, HandedSecret, Joined},
    grant::Incarnation,
    passport::{Authority, Contents, Entitlement, Keys, Membership, Revocations, Tenant, User},
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
        Self::of(app, db, clock)
    }

    /// With a wire to its database that can be made to break.
    pub(crate) async fn breaking() -> (Self, Cut) {
        let (ambient, clock) = Ambient::manual(datetime!(2026-01-01 12:00 UTC), 1);
        let db = TestDb::regional().await;
        let cut = Cut::to(&db.settings(Login::App)).await.unwrap();
        let app = join(&|login| cut.through(patient(&db)(login)), &ambient).await;
        (Self::of(app, db, clock), cut)
    }

    fn of(app: App, db: TestDb, clock: ManualClock) -> Self {
        let ambient = app.ambient.clone();
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
            custom_roles: Vec::new(),
            api_keys: Vec::new(),
        };
        self.tenants.lock().unwrap().insert(id, (Version::default(), tenant));
        self.publish();
        id
    }

    /// Somebody of a tenant, with no role in the whole of it.
    pub(crate) fn member(&self, tenant: TenantId, name: &str) -> UserId {
        let user = self.app.ambient.id();
        let membership = Membership {
            id: Some(self.app.ambient.id()),
            user,
            roles: Vec::new(),
            until: None,
            break_glass: None,
        };
        self.alter(tenant, |tenant| {
            tenant.users.push(User {
                id: user,
                display_name: name.to_owned(),
                state: "active".to_owned(),
            });
            tenant.memberships.push(membership);
        });
        user
    }

    /// The listener for people of another replica.
    pub(crate) fn listener(&self, app: &App) -> Router {
        let gate = TestGate {
            app: app.clone(),
            known: self.gate.known.clone(),
        };
        let options = layers::LayerOptions::new(app.ambient.clone(), "test");
        layers::standard(router::public(gate).split().0.with_state(app.clone()), &options)
    }

    /// Nobody knows `actor` any more.
    pub(crate) fn forget(&self, actor: &Actor<'_>) {
        self.gate.known.lock().unwrap()[actor.who.unwrap()] = Known::Nobody;
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
            .bindings(bindings.iter().cloned())
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
