//! What every room is handed: one value, cheap to clone.
use crate::{
    audit::{self, Refusals},
    break_glass::EndBreakGlass,
    federation::{self, Federation},
    gate::Rates,
    instances::{self, Instances, Leader},
    keys::{Keys, Rotation},
    mail::{Mailer, Outbound},
    passports,
    sessions::Swept,
    settings::Settings,
    sign_in::SigningIn,
};
use arc_swap::ArcSwap;
use exarch_common_base::Ambient;
use exarch_common_crypto::{password::Hasher, seal::Sealer};
use exarch_common_http::{
    repeats::Answers,
    watch::{WatchLimits, Watches},
};
use exarch_common_pg::{AppPool, PoolSettings, SweepPool, Wakeups};
use exarch_common_runtime::{Lifecycle, Nudge, run_reconciler};
use std::{ops::Deref, sync::Arc};

/// What the database tells of changes: by triggers, see the migration that makes it tell, and what replicas tell each other.
const CHANNELS: &[&str] = &[
    passports::CHANNEL,
    federation::REQUESTS,
    "gc_access",
    "gc_api_key",
    "gc_audit",
    "gc_break_glass",
    "gc_entitlement",
    "gc_invitation",
    "gc_membership",
    "gc_probe",
    "gc_region",
    "gc_role",
    "gc_session",
    "gc_tenant",
    "gc_user",
];
const ACCESS: &[&str] = &["gc_access"];

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
    /// Wakes whoever waits for a change by another replica.
    pub wakeups: Arc<Wakeups>,
    /// Seals what lies in the database.
    pub sealer: Arc<Sealer>,
    /// What was answered to requests that may be repeated.
    pub answers: Answers,
    /// Lists that are watched.
    pub watches: Watches,
    /// The keys of the installation.
    pub keys: Keys,
    /// Hashing and limits of sign-ins.
    pub signing_in: SigningIn,
    /// How much each tenant asked for within the last minute.
    pub rates: Rates,
    /// Refusals that wait for the audit.
    pub refusals: Refusals,
    /// Where mail goes.
    pub outbound: ArcSwap<Outbound>,
    /// Wakes who sends it.
    pub mail_nudge: Nudge,
    /// What the rooms of the federation share.
    pub federation: Federation,
    /// This replica among the others.
    pub instances: Instances,
    /// This replica as a leader.
    pub leader: Leader,
}

/// The whole controller, as a handler sees it.
#[derive(Clone)]
pub struct App(Arc<Parts>);

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// The pools of a controller. Clones share them.
#[derive(Clone)]
pub struct Pools {
    /// `exarch_app`.
    pub app: AppPool,
    /// `exarch_sweep`.
    pub sweep: SweepPool,
    /// Where to listen for notifications: past a pooler.
    pub listen: PoolSettings,
}

impl App {
    /// Puts the parts together. Call it inside the runtime.
    pub fn new(
        ambient: Ambient,
        settings: Settings,
        pools: Pools,
        sealer: Sealer,
        keys: Keys,
        hasher: Hasher,
        outbound: Outbound,
    ) -> Self {
        let sealer = Arc::new(sealer);
        let wakeups = Arc::new(Wakeups::listen(&pools.listen, CHANNELS));
        let instances = Instances::new(&ambient);
        Self(Arc::new(Parts {
            watches: Watches::new(wakeups.clone(), ACCESS, WatchLimits::default()),
            answers: Answers::new(ambient.clone(), pools.app.clone(), sealer.clone()),
            signing_in: SigningIn::new(hasher, &settings.sign_in),
            rates: Rates::new(&settings.limits),
            refusals: Refusals::default(),
            outbound: ArcSwap::from_pointee(outbound),
            mail_nudge: Nudge::new(),
            federation: Federation::default(),
            leader: Leader::new(instances.id(), pools.app.clone()),
            instances,
            wakeups,
            app_pool: pools.app,
            sweep_pool: pools.sweep,
            ambient,
            settings,
            sealer,
            keys,
        }))
    }

    /// Starts what runs beside requests, until the process stops.
    pub fn background(&self, life: &Lifecycle) {
        instances::background(self, life);
        let (app, ambient, stop) = (self.clone(), self.ambient.clone(), life.stop());
        life.track(audit::write_refusals(app.clone(), stop.clone()));
        let (watches, ending) = (self.watches.clone(), stop.clone());
        life.track(async move {
            ending.cancelled().await;
            watches.end();
        });
        life.track(run_reconciler(
            Rotation(app.clone()),
            self.leader.job(),
            ambient.clone(),
            stop.clone(),
        ));
        if self.outbound.load().is_on() {
            let (mailer, nudge) = (Mailer(app.clone()), self.mail_nudge.clone());
            life.track(run_reconciler(mailer, nudge, ambient.clone(), stop.clone()));
        }
        let over = EndBreakGlass(app.clone());
        life.track(run_reconciler(over, self.leader.job(), ambient.clone(), stop.clone()));
        life.track(run_reconciler(Swept(app), self.leader.job(), ambient, stop));
        federation::background(self, life);
    }
}
