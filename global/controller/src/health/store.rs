//! The room's rows: how regions are, and every probe.
use super::machine::{Health, Machine, Outcome};
use exarch_common_base::{ProbeId, RegionId};
use exarch_common_pg::DbError;
use exarch_common_wire::health::{DatabaseIdentity, ProbeAnswer};
use serde_json::Value;
use sqlx::{PgConnection, types::Json};
use std::time::Duration;
use time::{Date, OffsetDateTime};
use uuid::Uuid;

/// What one probe came to, to be written down.
pub(super) struct Probed {
    pub outcome: Outcome,
    pub reason: Option<String>,
    pub latency: Option<Duration>,
    pub skew_ms: Option<i64>,
    pub answer: Option<ProbeAnswer>,
    /// The highest identity of the region's database.
    pub database: Option<DatabaseIdentity>,
}

/// How a region is, as of its last probe.
#[derive(Clone, Debug)]
pub struct Present {
    /// Which.
    pub region: RegionId,
    /// One word.
    pub health: Health,
    /// What fails.
    pub reason: Option<String>,
    /// When it was asked last.
    pub last_probe_at: Option<OffsetDateTime>,
    /// When it answered last.
    pub last_answer_at: Option<OffsetDateTime>,
    /// How long the last answer took, microseconds.
    pub latency_us: Option<i64>,
    /// Its clock less ours, milliseconds.
    pub skew_ms: Option<i64>,
    /// Its last answer.
    pub answer: Option<ProbeAnswer>,
}

fn health(word: &str) -> Health {
    // A newer version's word: no claim is made.
    word.parse().unwrap_or(Health::Unknown)
}

pub(super) async fn insert_health(conn: &mut PgConnection, region: RegionId) -> Result<(), DbError> {
    sqlx::query!("INSERT INTO gc.region_health (region_id) VALUES ($1)", region.uuid())
        .execute(conn)
        .await?;
    Ok(())
}

/// The regions that have a gateway.
pub(super) async fn to_probe(conn: &mut PgConnection) -> Result<Vec<RegionId>, DbError> {
    let ids = sqlx::query_scalar!("SELECT id FROM gc.region WHERE lifecycle IN ('joining', 'active', 'draining')")
        .fetch_all(conn)
        .await?;
    Ok(ids.into_iter().map(RegionId::from).collect())
}

/// Whether this replica is the one that probes the region in this round.
pub(super) async fn claim(conn: &mut PgConnection, region: RegionId, round: i64) -> Result<bool, DbError> {
    let claimed = sqlx::query!(
        "UPDATE gc.region_health SET round = $2 WHERE region_id = $1 AND round < $2",
        region.uuid(),
        round
    )
    .execute(conn)
    .await?;
    Ok(claimed.rows_affected() == 1)
}

pub(super) async fn database_seen(
    conn: &mut PgConnection,
    region: RegionId,
) -> Result<Option<DatabaseIdentity>, DbError> {
    let seen = sqlx::query_scalar!(
        r#"SELECT database AS "database: Json<DatabaseIdentity>" FROM gc.region_health WHERE region_id = $1"#,
        region.uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(seen.flatten().map(|Json(seen)| seen))
}

/// What the last probes came to, and the last round; its row locked.
pub(super) async fn machine(conn: &mut PgConnection, region: RegionId) -> Result<Option<(Machine, i64)>, DbError> {
    let row = sqlx::query!(
        "SELECT state, misses, goods, round FROM gc.region_health WHERE region_id = $1 FOR UPDATE",
        region.uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|r| {
        let machine = Machine {
            health: health(&r.state),
            misses: r.misses.cast_unsigned(),
            goods: r.goods.cast_unsigned(),
        };
        (machine, r.round)
    }))
}

pub(super) async fn record(
    conn: &mut PgConnection,
    id: ProbeId,
    region: RegionId,
    probed: &Probed,
    after: Machine,
    now: OffsetDateTime,
) -> Result<(), DbError> {
    let micros = probed.latency.map(|l| i64::try_from(l.as_micros()).unwrap_or(i64::MAX));
    let answer = probed.answer.as_ref().map(Json);
    let count = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
    sqlx::query!(
        "INSERT INTO gc.probe (id, region_id, at, outcome, health, reason, latency_us, skew_ms, answer)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        id.uuid(),
        region.uuid(),
        now,
        probed.outcome.as_str(),
        after.health.as_str(),
        probed.reason,
        micros,
        probed.skew_ms,
        answer as _,
    )
    .execute(&mut *conn)
    .await?;
    // Figures of a silent region stay what they were.
    sqlx::query!(
        "UPDATE gc.region_health SET state = $2, misses = $3, goods = $4, reason = $5, last_probe_at = $6,
                last_answer_at = CASE WHEN $10 THEN $6 ELSE last_answer_at END,
                latency_us = coalesce($7, latency_us), skew_ms = coalesce($8, skew_ms),
                answer = coalesce($9, answer), database = $11
          WHERE region_id = $1",
        region.uuid(),
        after.health.as_str(),
        count(after.misses),
        count(after.goods),
        probed.reason,
        now,
        micros,
        probed.skew_ms,
        answer as _,
        probed.answer.is_some(),
        probed.database.as_ref().map(Json) as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn present(conn: &mut PgConnection, regions: &[RegionId]) -> Result<Vec<Present>, DbError> {
    let ids: Vec<Uuid> = regions.iter().map(|r| r.uuid()).collect();
    let rows = sqlx::query!(
        "SELECT region_id, state, reason, last_probe_at, last_answer_at, latency_us, skew_ms, answer
           FROM gc.region_health WHERE region_id = ANY ($1)",
        &ids,
    )
    .fetch_all(conn)
    .await?;
    let all = rows.into_iter().map(|r| Present {
        region: r.region_id.into(),
        health: health(&r.state),
        reason: r.reason,
        last_probe_at: r.last_probe_at,
        last_answer_at: r.last_answer_at,
        latency_us: r.latency_us,
        skew_ms: r.skew_ms,
        // An answer that an older version wrote down is no reason to fail.
        answer: r.answer.and_then(|a| serde_json::from_value(a).ok()),
    });
    Ok(all.collect())
}

/// A probe as it was written down.
pub(super) struct ProbeRow {
    pub id: ProbeId,
    pub at: OffsetDateTime,
    pub outcome: String,
    pub health: String,
    pub reason: Option<String>,
    pub latency_us: Option<i64>,
    pub skew_ms: Option<i64>,
    pub answer: Option<Value>,
}

/// The probes of a region, newest first.
pub(super) async fn probes(
    conn: &mut PgConnection,
    region: RegionId,
    before: Option<Uuid>,
    limit: i64,
) -> Result<Vec<ProbeRow>, DbError> {
    Ok(sqlx::query_as!(
        ProbeRow,
        "SELECT id, at, outcome, health, reason, latency_us, skew_ms, answer FROM gc.probe
          WHERE region_id = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3",
        region.uuid(),
        before,
        limit,
    )
    .fetch_all(conn)
    .await?)
}

/// The probes of one slot of time.
pub(super) struct SlotRow {
    /// Its number.
    pub slot: i32,
    pub good: i64,
    pub failing: i64,
    pub missed: i64,
    /// Median of the answered ones.
    pub latency_us: Option<f64>,
    pub latency_most_us: Option<i64>,
}

/// The probes of a region from `from` until before `until`, in slots of `step` seconds, in order.
pub(super) async fn slots(
    conn: &mut PgConnection,
    region: RegionId,
    from: OffsetDateTime,
    until: OffsetDateTime,
    step: i64,
) -> Result<Vec<SlotRow>, DbError> {
    Ok(sqlx::query_as!(
        SlotRow,
        r#"SELECT floor(extract(epoch FROM at - $2) / $4::bigint)::int AS "slot!",
                  count(*) FILTER (WHERE outcome = 'good') AS "good!",
                  count(*) FILTER (WHERE outcome = 'failing') AS "failing!",
                  count(*) FILTER (WHERE outcome = 'missed') AS "missed!",
                  percentile_cont(0.5) WITHIN GROUP (ORDER BY latency_us) AS latency_us,
                  max(latency_us) AS latency_most_us
             FROM gc.probe WHERE region_id = $1 AND at >= $2 AND at < $3
            GROUP BY 1 ORDER BY 1"#,
        region.uuid(),
        from,
        until,
        step,
    )
    .fetch_all(conn)
    .await?)
}

pub(super) async fn keep_partitions(conn: &mut PgConnection, today: Date, keep_from: Date) -> Result<(), DbError> {
    sqlx::query!("SELECT gc.probe_partitions($1, $2)", today, keep_from)
        .fetch_one(conn)
        .await?;
    Ok(())
}
