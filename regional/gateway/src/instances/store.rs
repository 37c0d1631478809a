//! Rows of `gw.instance`. Their times are the database's, the one clock that all replicas share.
use exarch_common_base::InstanceId;
use exarch_common_pg::{DbError, SystemTx};
use exarch_common_wire::{health::InstanceReport, user_token::Version};
use sqlx::types::Json;
use std::time::Duration;
use time::OffsetDateTime;

fn version(generation: Option<i64>, version: Option<i64>) -> Option<Version> {
    Some(Version(generation?.cast_unsigned(), version?.cast_unsigned()))
}

/// Writes this replica's row, and forgets replicas that have been silent for a day. Answers the database's clock.
pub(super) async fn beat(
    tx: &mut SystemTx,
    started_at: OffsetDateTime,
    me: &InstanceReport,
) -> Result<OffsetDateTime, DbError> {
    let at = sqlx::query_scalar!(
        r#"INSERT INTO gw.instance (id, software, started_at, heartbeat_at, generation, version, vitals)
         VALUES ($1, $2, $3, clock_timestamp(), $4, $5, $6)
         ON CONFLICT ON CONSTRAINT instance_pkey
         DO UPDATE SET heartbeat_at = clock_timestamp(), generation = $4, version = $5, vitals = $6
         RETURNING clock_timestamp() AS "at!""#,
        me.id.uuid(),
        me.software,
        started_at,
        me.passport.map(|v| v.0.cast_signed()),
        me.passport.map(|v| v.1.cast_signed()),
        me.vitals.as_ref().map(Json) as _,
    )
    .fetch_one(tx.conn())
    .await?;
    sqlx::query!("DELETE FROM gw.instance WHERE heartbeat_at < clock_timestamp() - interval '1 day'")
        .execute(tx.conn())
        .await?;
    Ok(at)
}

pub(super) async fn leave(tx: &mut SystemTx, id: InstanceId) -> Result<(), DbError> {
    sqlx::query!("DELETE FROM gw.instance WHERE id = $1", id.uuid())
        .execute(tx.conn())
        .await?;
    Ok(())
}

pub(super) async fn all(tx: &mut SystemTx) -> Result<Vec<InstanceReport>, DbError> {
    let rows = sqlx::query!(
        r#"SELECT id, software, generation, version, vitals,
                  greatest(0, extract(epoch FROM clock_timestamp() - heartbeat_at))::bigint AS "age!"
             FROM gw.instance ORDER BY started_at, id"#
    )
    .fetch_all(tx.conn())
    .await?;
    let reports = rows.into_iter().map(|row| InstanceReport {
        id: row.id.into(),
        software: row.software,
        passport: version(row.generation, row.version),
        heartbeat_age: row.age.cast_unsigned(),
        // What an older or newer version wrote is no reason to fail.
        vitals: row.vitals.and_then(|told| serde_json::from_value(told).ok()),
    });
    Ok(reports.collect())
}

/// The lowest passport among the living replicas; nothing while one of them, or nobody, has any.
pub(super) async fn lowest_applied(tx: &mut SystemTx, alive: Duration) -> Result<Option<Version>, DbError> {
    let row = sqlx::query!(
        "SELECT generation, version FROM gw.instance
          WHERE heartbeat_at >= clock_timestamp() - make_interval(secs => $1)
          ORDER BY generation NULLS FIRST, version NULLS FIRST LIMIT 1",
        alive.as_secs_f64()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.and_then(|row| version(row.generation, row.version)))
}
