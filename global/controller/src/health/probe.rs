//! One probe of one region: ask, judge, write down.
use super::{
    judge::{self, Judgement},
    machine::{Health, Outcome},
    store::{self, Probed},
};
use crate::{app::App, federation::down, passports, regions};
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
        if app.federation.tunnels.of(region).is_empty() || !has_passport(&app, region).await? {
            return Ok(None);
        }
        probe(&app, region).await
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

/// Probes a region and writes down what it came to; does nothing while a probe of it is under way.
pub(super) async fn probe(app: &App, region: RegionId) -> Result<Option<Outcome>, DbError> {
    let Some(_place) = app.federation.probing.begin(region) else {
        return Ok(None);
    };
    let seen = seen(app, region).await?;
    let probed = match ask(app, region, seen.clone()).await {
        Ok(answered) => answered,
        Err(reason) => missed(reason, seen),
    };
    record(app, region, probed).await.map(Some)
}

/// The region had no chance to answer: nobody holds a tunnel of it.
pub(super) async fn miss(app: &App, region: RegionId) -> Result<(), DbError> {
    let Some(_place) = app.federation.probing.begin(region) else {
        return Ok(());
    };
    let seen = seen(app, region).await?;
    let probed = missed("It has no tunnel to the global.".to_owned(), seen);
    record(app, region, probed).await.map(|_| ())
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

/// The answer, judged; or why there is none that can be believed.
async fn ask(app: &App, region: RegionId, seen: Option<DatabaseIdentity>) -> Result<Probed, String> {
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
        .map_err(|e| sentence(&e))?;
    let (received, latency) = (clock(), app.ambient.boot().since(started));
    if !answer.status.is_success() {
        return Err(format!("It answered the probe with status {}.", answer.status.as_u16()));
    }
    let told: ProbeAnswer =
        serde_json::from_slice(&answer.body).map_err(|_| "Its answer to the probe cannot be read.".to_owned())?;
    if told.challenge != probe.challenge {
        return Err("It answered another challenge than it was asked.".to_owned());
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

async fn record(app: &App, region: RegionId, probed: Probed) -> Result<Outcome, DbError> {
    let now = app.ambient.now();
    let outcome = probed.outcome;
    let mut tx = SystemTx::begin(&app.app_pool, "probe").await?;
    let Some(before) = store::machine(tx.conn(), region).await? else {
        return Ok(outcome);
    };
    let after = before.after(outcome);
    store::record(tx.conn(), app.ambient.id(), region, &probed, after, now).await?;
    tx.commit().await?;
    metrics::counter!("exarch_probes_total", "outcome" => outcome.as_str()).increment(1);
    if let Some(latency) = probed.latency {
        metrics::histogram!("exarch_probe_seconds").record(latency);
    }
    if let Some(skew_ms) = probed.skew_ms.filter(|ms| ms.abs() > judge::SKEW_ALARM_MS) {
        metrics::counter!("exarch_region_clock_alarms_total").increment(1);
        tracing::error!(%region, skew_ms, "a region's clock and ours differ");
    }
    if after.health != before.health {
        let reason = probed.reason.as_deref().unwrap_or_default();
        let (from, to) = (before.health.as_str(), after.health.as_str());
        match after.health {
            Health::Healthy => tracing::info!(%region, from, to, "a region's health changed"),
            _ => tracing::warn!(%region, from, to, reason, "a region's health changed"),
        }
    }
    if outcome == Outcome::Good {
        regions::activate_if_due(app, region).await?;
    }
    Ok(outcome)
}
