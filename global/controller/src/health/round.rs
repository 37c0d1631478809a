//! A round: each region once, spread over the period.
use super::{probe, store};
use crate::app::App;
use exarch_common_base::RegionId;
use exarch_common_pg::SystemTx;
use std::time::Duration;
use tokio::{task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

/// Probes every region that has a gateway. Returns when all of this round is done, within the period; at once when the
/// process ends, since most of a round is waiting for a region's place in the period.
///
/// # Errors
/// The database; regions whose probes were under way are probed nevertheless.
pub async fn round(app: App, stop: CancellationToken) -> anyhow::Result<()> {
    stop.run_until_cancelled(all(app)).await.unwrap_or(Ok(()))
}

async fn all(app: App) -> anyhow::Result<()> {
    let settings = &app.settings.probe;
    let number = number(app.ambient.now().unix_timestamp_nanos(), settings.period);
    let mut tx = SystemTx::begin(&app.app_pool, "probe-round").await?;
    let regions = store::to_probe(tx.conn()).await?;
    tx.rollback().await?;
    // The last one must be done, and those without a tunnel written down, before the next round.
    let spread = settings.period.saturating_sub(settings.timeout * 2);
    let mut probes = JoinSet::new();
    for region in regions {
        probes.spawn(one(app.clone(), region, number, offset(region, spread), spread));
    }
    let mut failed = None;
    while let Some(done) = probes.join_next().await {
        match done {
            Ok(Ok(())) => {}
            Ok(Err(error)) => failed = Some(anyhow::Error::from(error)),
            Err(error) => failed = Some(error.into()),
        }
    }
    failed.map_or(Ok(()), |error| Err(error.context("a region could not be probed")))
}

async fn one(
    app: App,
    region: RegionId,
    round: i64,
    offset: Duration,
    spread: Duration,
) -> Result<(), exarch_common_pg::DbError> {
    let here = |app: &App| !app.federation.tunnels.of(region).is_empty();
    sleep(offset).await;
    if !here(&app) {
        // Another replica may hold it, or it comes back within the round; the leader writes down what is left.
        sleep(spread - offset).await;
    }
    if !here(&app) {
        return probe::unprobed(&app, region, round).await;
    }
    let mut tx = SystemTx::begin(&app.app_pool, "probe-round").await?;
    let mine = store::claim(tx.conn(), region, round).await?;
    tx.commit().await?;
    if mine {
        probe::probe(&app, region, Some(round)).await?;
    }
    Ok(())
}

/// The schedule of a period: one that divides a minute or an hour, so that rounds are the same on every replica.
pub fn cron(period: Duration) -> Option<String> {
    let seconds = Some(period.as_secs()).filter(|s| *s > 0 && period.subsec_nanos() == 0)?;
    match (seconds, seconds / 60) {
        (s, 0) if 60 % s == 0 => Some(format!("*/{s} * * * * *")),
        (s, m) if s % 60 == 0 && m < 60 && 60 % m == 0 => Some(format!("0 */{m} * * * *")),
        _ => None,
    }
}

/// The number of the round at a moment: the same on every replica.
fn number(now_nanos: i128, period: Duration) -> i64 {
    // The schedule may start a round a little early or late.
    let half = (period.as_nanos() / 2) as i128;
    ((now_nanos + half) / period.as_nanos() as i128) as i64
}

/// A region's place in the round, always the same, so that its probes are a period apart.
fn offset(region: RegionId, spread: Duration) -> Duration {
    let bytes = region.uuid().into_bytes();
    // The last bytes of a UUID version 7 are random.
    let draw = u64::from_be_bytes([
        bytes[8], bytes[9], bytes[10], bytes[11], bytes[12], bytes[13], bytes[14], bytes[15],
    ]);
    let nanos = u128::from(draw & (u64::MAX >> 2)) * spread.as_nanos() / u128::from(u64::MAX >> 2);
    Duration::from_nanos(nanos as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use exarch_common_base::Ambient;

    #[test]
    fn places_in_a_round_are_spread_and_lie_within_it() {
        let (ambient, spread) = (Ambient::system(), Duration::from_secs(20));
        let mut quarters = [0; 4];
        for _ in 0..400 {
            let region: RegionId = ambient.id();
            let at = offset(region, spread);
            assert_eq!(at, offset(region, spread));
            assert!(at <= spread);
            quarters[(at.as_millis() as usize / 5000).min(3)] += 1;
        }
        assert!(quarters.iter().all(|n| *n > 50), "{quarters:?}");
    }

    #[test]
    fn periods_that_divide_a_minute_or_an_hour_make_a_schedule() {
        let of = |s| cron(Duration::from_secs(s));
        assert_eq!(of(30).as_deref(), Some("*/30 * * * * *"));
        assert_eq!(of(1).as_deref(), Some("*/1 * * * * *"));
        assert_eq!(of(60).as_deref(), Some("0 */1 * * * *"));
        assert_eq!(of(600).as_deref(), Some("0 */10 * * * *"));
        for odd in [0, 7, 45, 90, 420, 3600] {
            assert_eq!(of(odd), None, "{odd}");
        }
        assert_eq!(cron(Duration::from_millis(1500)), None);
    }

    #[test]
    fn a_round_that_starts_a_little_early_or_late_has_its_own_number() {
        let (period, second) = (Duration::from_secs(30), 1_000_000_000);
        assert_eq!(number(89 * second, period), 3);
        assert_eq!(number(90 * second, period), 3);
        assert_eq!(number(91 * second, period), 3);
        assert_eq!(number(121 * second, period), 4);
    }
}
