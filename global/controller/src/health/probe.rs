//! One probe of one region: ask, judge, write down.
use super::{
    judge::{self, Judgement},
    machine::{Health, Outcome},
    store::{self, Probed},
};
use crate::{
    app::App,
    federation::{self, down},
    passports, regions,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_base::RegionId;
use exarch_common_pg::{DbError, SystemTx};
use exarch_common_wire::{
    federation::paths,
    health::{DatabaseIdentity, Probe, ProbeAnswer},
};
use std::time::Duration;

/// Probes a region at once, outside the round, unless a probe is under way: when it comes back, and when it has applied its
/// first passport. One that cannot do well yet, for want of a tunnel or a passport, is left to the round.
pub async fn probe_soon(app: App, region: RegionId) {
    let outcome = async {
        if !federation::reachable(&app, region).await? || !has_passport(&app, region).await? {
            return Ok(None);
        }
        probe(&app, region, None).await
    };
    if let Err(error) = outcome.await {
        tracing::warn!(%region, %error, "a probe could not be written down");
    }
}

async fn has_passport(app: &App, region: RegionId) -> Result<bool, DbError> {
    let mut tx = SystemTx::begin(&app.app_pool, "probe").await?;
    let standing = passports::standings(tx.conn(), &[region]).await?;
    tx.rollback().await?;
    Ok(standing.iter().any(|s| s.acknowledged.is_some()))
}

/// Probes a region and writes down what it came to; does nothing while a probe of it is under way. A probe of a round is
/// written down while its round is the last one: a replica that was stopped meanwhile has nothing to say any more.
pub(super) async fn probe(app: &App, region: RegionId, round: Option<i64>) -> Result<Option<Outcome>, DbError> {
    let Some(_place) = app.federation.probing.begin(region) else {
        return Ok(None);
    };
    let seen = seen(app, region).await?;
    let probed = match ask(app, region, seen.clone()).await {
        Ok(answered) => answered,
        Err(Silence::Busy) => return Ok(None),
        Err(Silence::Missed(reason)) => missed(reason, seen),
    };
    let mut tx = SystemTx::begin(&app.app_pool, "probe").await?;
    let changed = record(app, &mut tx, region, &probed, round).await?;
    tx.commit().await?;
    if let Some(change) = changed {
        tell(region, &probed, change);
    }
    if probed.outcome == Outcome::Good {
        regions::activate_if_due(app, region).await?;
    }
    Ok(Some(probed.outcome))
}

/// Of a region that nobody has probed in this round, by the leader: one that no replica holds a tunnel of had no chance to
/// answer, and one that another holds is asked by it.
pub(super) async fn unprobed(app: &App, region: RegionId, round: i64) -> Result<(), DbError> {
    let Some(mut tx) = app.leader.begin(&app.app_pool, "probe").await? else {
        return Ok(());
    };
    if !store::claim(tx.conn(), region, round).await? {
        return Ok(());
    }
    if app.instances.another_holds(&mut tx, region).await? {
        tx.commit().await?;
        return probe(app, region, Some(round)).await.map(drop);
    }
    let seen = store::database_seen(tx.conn(), region).await?;
    let probed = missed("It has no tunnel to the global.".to_owned(), seen);
    let changed = record(app, &mut tx, region, &probed, Some(round)).await?;
    tx.commit().await?;
    if let Some(change) = changed {
        tell(region, &probed, change);
    }
    Ok(())
}

async fn seen(app: &App, region: RegionId) -> Result<Option<DatabaseIdentity>, DbError> {
    let mut tx = SystemTx::begin(&app.app_pool, "probe").await?;
    let seen = store::database_seen(tx.conn(), region).await?;
    tx.rollback().await?;
    Ok(seen)
}

fn missed(reason: String, database: Option<DatabaseIdentity>) -> Probed {
    Probed {
        outcome: Outcome::Missed,
        reason: Some(reason),
        latency: None,
        skew_ms: None,
        answer: None,
        database,
    }
}

/// Why there is no answer.
enum Silence {
    /// Another replica has a probe of the region under way.
    Busy,
    /// None that can be believed, in a sentence.
    Missed(String),
}

impl From<String> for Silence {
    fn from(reason: String) -> Self {
        Self::Missed(reason)
    }
}

/// The answer, judged; or why there is none that can be believed.
async fn ask(app: &App, region: RegionId, seen: Option<DatabaseIdentity>) -> Result<Probed, Silence> {
    let probe = Probe {
        challenge: B64.encode(app.ambient.bytes::<16>()),
        seen,
    };
    let body = serde_json::to_vec(&probe).map_err(|e| e.to_string())?;
    let clock = || (app.ambient.now().unix_timestamp_nanos() / 1_000_000) as i64;
    let (sent, started) = (clock(), app.ambient.boot());
    let limit = app.settings.probe.timeout;
    let answer = down::call(app, region, paths::PROBE, "application/json", body.into(), limit)
        .await
        .map_err(|e| match e {
            down::CallFailure::Busy => Silence::Busy,
            other => Silence::Missed(sentence(&other)),
        })?;
    let (received, latency) = (clock(), app.ambient.boot().since(started));
    if !answer.status.is_success() {
        return Err(format!("It answered the probe with status {}.", answer.status.as_u16()).into());
    }
    let told: ProbeAnswer =
        serde_json::from_slice(&answer.body).map_err(|_| "Its answer to the probe cannot be read.".to_owned())?;
    if told.challenge != probe.challenge {
        return Err("It answered another challenge than it was asked.".to_owned().into());
    }
    Ok(answered(told, latency, sent, received, probe.seen.as_ref()))
}

fn answered(told: ProbeAnswer, latency: Duration, sent: i64, received: i64, seen: Option<&DatabaseIdentity>) -> Probed {
    let judgement: Judgement = judge::judge(&told, sent, received, seen);
    Probed {
        outcome: if judgement.failing.is_empty() {
            Outcome::Good
        } else {
            Outcome::Failing
        },
        reason: judgement.reason(),
        latency: Some(latency),
        skew_ms: Some(judgement.skew_ms),
        answer: Some(told),
        database: judgement.database,
    }
}

fn sentence(failure: &down::CallFailure) -> String {
    match failure {
        down::CallFailure::NoTunnel => "It has no tunnel to the global.".to_owned(),
        other => format!("The probe failed: {other}."),
    }
}

/// Writes a probe down; answers the health before and after it, or nothing where there was nothing to write.
async fn record(
    app: &App,
    tx: &mut SystemTx,
    region: RegionId,
    probed: &Probed,
    round: Option<i64>,
) -> Result<Option<(Health, Health)>, DbError> {
    let Some((before, last)) = store::machine(tx.conn(), region).await? else {
        return Ok(None);
    };
    if round.is_some_and(|round| round < last) {
        return Ok(None);
    }
    let after = before.after(probed.outcome);
    store::record(tx.conn(), app.ambient.id(), region, probed, after, app.ambient.now()).await?;
    Ok(Some((before.health, after.health)))
}

/// What was written down, for metrics and the log.
fn tell(region: RegionId, probed: &Probed, (before, after): (Health, Health)) {
    metrics::counter!("exarch_probes_total", "outcome" => probed.outcome.as_str()).increment(1);
    if let Some(latency) = probed.latency {
        metrics::histogram!("exarch_probe_seconds").record(latency);
    }
    if let Some(skew_ms) = probed.skew_ms.filter(|ms| ms.abs() > judge::SKEW_ALARM_MS) {
        metrics::counter!("exarch_region_clock_alarms_total").increment(1);
        tracing::error!(%region, skew_ms, "a region's clock and ours differ");
    }
    if after != before {
        let reason = probed.reason.as_deref().unwrap_or_default();
        let (from, to) = (before.as_str(), after.as_str());
        match after {
            Health::Healthy => tracing::info!(%region, from, to, "a region's health changed"),
            _ => tracing::warn!(%region, from, to, reason, "a region's health changed"),
        }
    }
}
