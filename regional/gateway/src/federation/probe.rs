//! What the region knows of itself, for the global's probe: each replica, and the worst of them.
use super::store;
use crate::{app::App, instances::Worst};
use exarch_common_pg::{DbError, SystemTx};
use exarch_common_wire::health::{DatabaseIdentity, Probe, ProbeAnswer};
use std::collections::BTreeMap;

/// Answers a probe; a database that is away makes the answer poorer, not absent.
pub(super) async fn answer(app: &App, probe: Probe) -> ProbeAnswer {
    let database = database(app).await;
    if let Err(cause) = &database {
        tracing::warn!(%cause, "probed while the database is away");
    }
    let database = database.ok();
    let index = app.directory.current();
    let (others, (agents, leases)) = match &database {
        Some(_) => (
            app.instances.report(app).await.unwrap_or_default(),
            census(app).await.unwrap_or_default(),
        ),
        None => Default::default(),
    };
    let me = app.instances.myself(app);
    let worst = Worst::of(&me, &others);
    let mut instances = others;
    if !instances.iter().any(|one| one.id == me.id) {
        instances.push(me);
    }
    ProbeAnswer {
        challenge: probe.challenge,
        instance: Some(app.instances.id()),
        software: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: worst.protocol,
        clock_ms: (app.ambient.now().unix_timestamp_nanos() / 1_000_000) as i64,
        database_us: database.as_ref().map(|(us, _)| worst.database_us.max(*us)),
        database: database.map(|(_, identity)| identity),
        passport: worst.passport,
        certificate_days: worst.certificate_days,
        agents,
        leases,
        tunnel_age: worst.tunnel_age,
        entitlement_digest: index
            .as_ref()
            .map(|index| index.entitlement_digest().to_owned())
            .unwrap_or_default(),
        instances,
    }
}

async fn database(app: &App) -> Result<(u64, DatabaseIdentity), DbError> {
    let latency = app.app_pool.ping().await?;
    let mut tx = SystemTx::begin(&app.app_pool, "probe").await?;
    let identity = store::database_identity(&mut tx).await?;
    tx.rollback().await?;
    Ok((latency.as_micros() as u64, identity))
}

async fn census(app: &App) -> Result<(BTreeMap<String, u64>, u64), DbError> {
    let mut tx = SystemTx::begin(&app.sweep_pool, "census").await?;
    let census = store::census(&mut tx).await?;
    tx.rollback().await?;
    Ok(census)
}
