//! What the region knows of itself, for the global's probe.
use super::store;
use crate::app::App;
use exarch_common_crypto::pki::Peer;
use exarch_common_pg::{DbError, SystemTx};
use exarch_common_wire::{
    PROTOCOL,
    health::{DatabaseIdentity, InstanceReport, Probe, ProbeAnswer},
};
use std::collections::BTreeMap;

/// Answers a probe; a database that is away makes the answer poorer, not absent.
pub(super) async fn answer(app: &App, probe: Probe) -> ProbeAnswer {
    let database = database(app).await;
    if let Err(cause) = &database {
        tracing::warn!(%cause, "probed while the database is away");
    }
    let database = database.ok();
    let index = app.directory.current();
    let version = index.as_ref().map(|index| index.version());
    let (instances, (agents, leases)) = match &database {
        Some(_) => (
            app.instances.report(app).await.unwrap_or_default(),
            census(app).await.unwrap_or_default(),
        ),
        None => Default::default(),
    };
    let now = app.ambient.now();
    ProbeAnswer {
        challenge: probe.challenge,
        software: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: PROTOCOL,
        clock_ms: (now.unix_timestamp_nanos() / 1_000_000) as i64,
        database_us: database.as_ref().map(|(us, _)| *us),
        database: database.map(|(_, identity)| identity),
        passport: version.zip(app.directory.age()),
        certificate_days: Peer::read(&app.secrets.certificate()).map_or(0, |c| (c.not_after - now).whole_days()),
        agents,
        leases,
        tunnel_age: app.federation.tunnel_age(app.ambient.boot()).unwrap_or_default(),
        entitlement_digest: index
            .as_ref()
            .map(|index| index.entitlement_digest().to_owned())
            .unwrap_or_default(),
        instances: if instances.is_empty() {
            vec![InstanceReport {
                id: app.instances.id(),
                software: env!("CARGO_PKG_VERSION").to_owned(),
                passport: version,
                heartbeat_age: 0,
            }]
        } else {
            instances
        },
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
