//! What runs beside the listener as long as the process lives.
use super::{RetireSecrets, SweepSpent, requests};
use crate::{
    app::App,
    health::{self, KeepProbes},
    passports::{self, EndByTime, Pushes},
};
use anyhow::Context;
use exarch_common_runtime::{Lifecycle, Nudge, Reconcile, Schedule, run_reconciler};

/// Starts the pushes, the probes and the passes that tidy up.
pub fn background(app: &App, life: &Lifecycle) {
    track(app, life, app.federation.pushes.clone(), Pushes::new(app.clone()));
    track(app, life, app.leader.job(), EndByTime(app.clone()));
    track(app, life, app.leader.job(), SweepSpent(app.clone()));
    track(app, life, app.leader.job(), RetireSecrets(app.clone()));
    track(app, life, app.leader.job(), KeepProbes(app.clone()));
    life.track(requests::serve(app.clone(), life.stop()));
    life.track(passports::wake(app.clone(), life.stop()));
    let (app, stop) = (app.clone(), life.stop());
    life.spawn("probes", async move {
        let cron = health::cron(app.settings.probe.period).context("settings.probe.period makes no schedule")?;
        let schedule = Schedule::new(app.ambient.clone()).await?;
        let ending = stop.clone();
        schedule
            .add("probes", &cron, move || health::round(app.clone(), ending.clone()))
            .await?;
        schedule.run(stop).await
    });
}

fn track(app: &App, life: &Lifecycle, nudge: Nudge, pass: impl Reconcile) {
    life.track(run_reconciler(pass, nudge, app.ambient.clone(), life.stop()));
}
