//! What every room is handed: one value, cheap to clone.
use crate::{
    agents::Agents,
    audit::Refusals,
    bindings::Bindings,
    decisions::Forget,
    directory::{self, Directory},
    federation::{self, Federation},
    instances::{self, Instances},
    leases::Leases,
    repeats,
    secrets::{Secrets, SecretsError},
    sessions::{KeyUses, Verified},
    settings::Settings,
    workloads::{self, Waiters},
};
use exarch_common_base::{Ambient, RegionId, Slug};
use exarch_common_crypto::seal::Sealer;
use exarch_common_http::{
    repeats::Answers,
    serve::Connections,
    watch::{WatchLimits, Watches},
};
use exarch_common_pg::{AppPool, DbError, PoolSettings, RenewPool, SweepPool, SystemTx, Wakeups};
use exarch_common_runtime::{Lifecycle, Nudge, run_reconciler};
use std::{ops::Deref, sync::Arc, time::Duration};

/// Channels of the database on which replicas wake each other. A lost notification is repaired by polling.
pub const CHANNELS: &[&str] = &[
    "gw_passport",
    "gw_agent",
    "gw_lease",
    workloads::CHANNEL,
    // what lists show: told by triggers, see the migration `watch`
    "gw_list_agent",
    "gw_list_audit",
    "gw_list_binding",
    "gw_list_bootstrap_token",
    "gw_list_cluster",
    "gw_list_host",
    "gw_list_lease",
    "gw_list_resource",
    "gw_list_workload",
    // rooms add theirs below
];

/// Who may do what comes by the passport.
const ACCESS: &[&str] = &["gw_passport"];

/// This region as the global registered it.
#[derive(Clone, Debug)]
pub struct Region {
    /// Its id, for ever.
    pub id: RegionId,
    /// Its slug.
    pub slug: Slug,
    /// Its name for people.
    pub name: String,
    /// Host and port of the global's federation listener.
    pub global_addr: String,
    /// Issuer of user tokens, as told when the region joined; the passport's is the one that counts.
    pub issuer: String,
    /// The federation's authority, DER.
    pub federation_ca: Vec<u8>,
}

/// Everything that lives as long as the process.
pub struct Parts {
    /// Clocks and randomness.
    pub ambient: Ambient,
    /// Settings, checked.
    pub settings: Settings,
    /// Requests.
    pub app_pool: AppPool,
    /// Background passes over all tenants.
    pub sweep_pool: SweepPool,
    /// The renewal of leases.
    pub renew_pool: RenewPool,
    /// Wakes whoever waits for a change by another replica.
    pub wakeups: Arc<Wakeups>,
    /// What was answered to requests that may be repeated.
    pub answers: Answers,
    /// Lists that are watched.
    pub watches: Watches,
    /// This region.
    pub region: Region,
    /// Its keys.
    pub secrets: Secrets,
    /// Tenants and people.
    pub directory: Directory,
    /// The way to the global.
    pub federation: Federation,
    /// Roles in single clusters.
    pub bindings: Bindings,
    /// This replica among the others.
    pub instances: Instances,
    /// Open connections of agents: revoking one ends its connection.
    pub agent_connections: Connections,
    /// Tokens that were verified.
    pub verified: Verified,
    /// When API keys were used last.
    pub key_uses: KeyUses,
    /// Refusals on their way into the audit.
    pub refusals: Refusals,
    /// What is known of agents.
    pub agents: Agents,
    /// What was seen of leases.
    pub leases: Leases,
    /// Agents that wait for a change of their assignments.
    pub assignments: Waiters,
    // rooms add theirs below
}

/// The pools of a gateway. Clones share them.
#[derive(Clone)]
pub struct Pools {
    /// `exarch_app`.
    pub app: AppPool,
    /// `exarch_sweep`.
    pub sweep: SweepPool,
    /// `exarch_renew`.
    pub renew: RenewPool,
    /// Where to listen for notifications.
    pub listen: PoolSettings,
}

/// The whole gateway, as a handler sees it.
#[derive(Clone)]
pub struct App(Arc<Parts>);

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// Why a gateway cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no region yet.
    #[error(
        "this gateway has not joined a federation; run `exarch-gateway join` with the line that `exarch region register` printed"
    )]
    NotJoined,
    /// The region's keys.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The directory.
    #[error(transparent)]
    Directory(#[from] directory::OpenError),
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// A second after a change at the latest, also one of which no notification came, those who watch are told of it, or that they
/// may watch no more.
fn watching() -> WatchLimits {
    WatchLimits {
        period: Duration::from_secs(1),
        ..WatchLimits::default()
    }
}

impl App {
    /// Opens the gateway of a region that has joined, by what its database and this replica's disk hold. Call it inside the
    /// runtime.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(
        ambient: Ambient,
        settings: Settings,
        sealer: &Arc<Sealer>,
        pools: Pools,
    ) -> Result<Self, OpenError> {
        let mut tx = SystemTx::begin(&pools.app, "open").await?;
        let region = federation::region(&mut tx).await?.ok_or(OpenError::NotJoined)?;
        tx.rollback().await?;
        let directory = Directory::open(
            ambient.clone(),
            settings.passport.limits(),
            region.id,
            pools.app.clone(),
            &settings.state.dir,
        )
        .await?;
        let secrets = Secrets::load(&pools.app, sealer).await?;
        Ok(Self::new(
            ambient,
            settings,
            sealer.clone(),
            pools,
            region,
            secrets,
            directory,
        ))
    }

    /// Puts the parts together. Call it inside the runtime.
    pub(crate) fn new(
        ambient: Ambient,
        settings: Settings,
        sealer: Arc<Sealer>,
        pools: Pools,
        region: Region,
        secrets: Secrets,
        directory: Directory,
    ) -> Self {
        let wakeups = Arc::new(Wakeups::listen(&pools.listen, CHANNELS));
        Self(Arc::new(Parts {
            answers: Answers::new(ambient.clone(), pools.app.clone(), sealer),
            watches: Watches::new(wakeups.clone(), ACCESS, watching()),
            secrets,
            directory,
            federation: Federation::default(),
            bindings: Bindings::default(),
            instances: Instances::new(&ambient),
            agent_connections: Connections::new(),
            key_uses: KeyUses::default(),
            verified: Verified::default(),
            refusals: Refusals::default(),
            agents: Agents::new(&ambient),
            leases: Leases::default(),
            assignments: Waiters::default(),
            wakeups,
            app_pool: pools.app,
            sweep_pool: pools.sweep,
            renew_pool: pools.renew,
            ambient,
            settings,
            region,
        }))
    }

    /// Starts what runs beside requests, until the process stops.
    pub fn background(&self, life: &Lifecycle) {
        let (watches, ending) = (self.watches.clone(), life.stop());
        life.track(async move {
            ending.cancelled().await;
            watches.end();
        });
        repeats::background(self, life);
        federation::background(self, life);
        instances::background(self, life);
        Agents::background(self, life);
        Leases::background(self, life);
        let (app, stop) = (self.clone(), life.stop());
        life.spawn("audit-refusals", async move {
            Refusals::keep(app, stop).await;
            Ok(())
        });
        let (app, stop) = (self.clone(), life.stop());
        life.spawn("wake-agents", async move {
            Waiters::keep(app, stop).await;
            Ok(())
        });
        let forget = Forget(self.clone());
        life.track(run_reconciler(forget, Nudge::new(), self.ambient.clone(), life.stop()));
        // rooms add theirs below
    }
}
