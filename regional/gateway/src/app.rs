//! What every room is handed: one value, cheap to clone.
use crate::{
    audit::Refusals, directory::Directory, federation::Federation, secrets::Secrets, sessions::Verified,
    settings::Settings,
};
use exarch_common_base::{Ambient, RegionId, Slug};
use exarch_common_pg::{AppPool, PoolSettings, RenewPool, SweepPool, Wakeups};
use exarch_common_runtime::Lifecycle;
use std::{ops::Deref, sync::Arc};

/// Channels of the database on which replicas wake each other. A lost notification is repaired by polling.
pub const CHANNELS: &[&str] = &[
    "gw_passport",
    // rooms add theirs below
];

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
    pub wakeups: Wakeups,
    /// This region.
    pub region: Region,
    /// Its keys.
    pub secrets: Secrets,
    /// Tenants and people.
    pub directory: Directory,
    /// The way to the global.
    pub federation: Federation,
    /// Tokens that were verified.
    pub verified: Verified,
    /// Refusals on their way into the audit.
    pub refusals: Refusals,
    // rooms add theirs below
}

/// The pools of a gateway.
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

impl App {
    /// Puts the parts together. Call it inside the runtime.
    pub fn new(ambient: Ambient, settings: Settings, pools: Pools, region: Region, secrets: Secrets) -> Self {
        Self(Arc::new(Parts {
            federation: Federation::default(),
            verified: Verified::default(),
            refusals: Refusals::default(),
            directory: Directory::new(ambient.clone(), settings.passport.limits()),
            wakeups: Wakeups::listen(&pools.listen, CHANNELS),
            app_pool: pools.app,
            sweep_pool: pools.sweep,
            renew_pool: pools.renew,
            ambient,
            settings,
            region,
            secrets,
        }))
    }

    /// Starts what runs beside requests, until the process stops.
    pub fn background(&self, life: &Lifecycle) {
        let (app, stop) = (self.clone(), life.stop());
        life.spawn("audit-refusals", async move {
            Refusals::keep(app, stop).await;
            Ok(())
        });
        // rooms add theirs below
    }
}
