//! Rows of the replicas, of their tunnels and of the leader. Their times are the database's, the one clock that all replicas
//! share.
use super::leadership::{LOST, Leadership};
use exarch_common_base::{InstanceId, RegionId};
use exarch_common_pg::DbError;
use sqlx::PgConnection;
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

/// Writes this replica's row, and forgets replicas that have been silent for a day.
pub(super) async fn beat(conn: &mut PgConnection, id: InstanceId, started_at: OffsetDateTime) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO gc.instance (id, software, started_at, heartbeat_at) VALUES ($1, $2, $3, clock_timestamp())
         ON CONFLICT (id) DO UPDATE SET heartbeat_at = clock_timestamp()",
        id.uuid(),
        env!("CARGO_PKG_VERSION"),
        started_at,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!("DELETE FROM gc.instance WHERE heartbeat_at < clock_timestamp() - interval '1 day'")
        .execute(conn)
        .await?;
    Ok(())
}

/// From now on the replica holds tunnels of these regions, and of no other.
pub(super) async fn hold(
    conn: &mut PgConnection,
    id: InstanceId,
    regions: &[RegionId],
    now: OffsetDateTime,
) -> Result<(), DbError> {
    let regions: Vec<Uuid> = regions.iter().map(|region| region.uuid()).collect();
    sqlx::query!(
        "DELETE FROM gc.tunnel WHERE instance_id = $1 AND region_id <> ALL ($2)",
        id.uuid(),
        &regions,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "INSERT INTO gc.tunnel (region_id, instance_id, since) SELECT region, $1, $3 FROM unnest($2::uuid[]) AS region
         ON CONFLICT (region_id, instance_id) DO NOTHING",
        id.uuid(),
        &regions,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn leave(conn: &mut PgConnection, id: InstanceId) -> Result<(), DbError> {
    sqlx::query!("DELETE FROM gc.instance WHERE id = $1", id.uuid())
        .execute(conn)
        .await?;
    Ok(())
}

pub(super) async fn another_holds(
    conn: &mut PgConnection,
    me: InstanceId,
    region: RegionId,
    alive: Duration,
) -> Result<bool, DbError> {
    Ok(sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM gc.tunnel t JOIN gc.instance i ON i.id = t.instance_id
                           WHERE t.region_id = $1 AND i.id <> $2
                             AND i.heartbeat_at >= clock_timestamp() - make_interval(secs => $3)) AS "any!""#,
        region.uuid(),
        me.uuid(),
        alive.as_secs_f64(),
    )
    .fetch_one(conn)
    .await?)
}

pub(super) async fn leadership(conn: &mut PgConnection) -> Result<Leadership, DbError> {
    let row = sqlx::query!(
        r#"SELECT term, holder, extract(epoch FROM clock_timestamp() - heartbeat_at)::float8 AS silent FROM gc.leader"#
    )
    .fetch_one(conn)
    .await?;
    Ok(Leadership {
        term: row.term,
        holder: row.holder.map(InstanceId::from),
        silent: row.silent.map(|secs| Duration::from_secs_f64(secs.max(0.0))),
    })
}

/// Goes on in a term, unless it is over.
pub(super) async fn keep(conn: &mut PgConnection, me: InstanceId, term: i64) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "UPDATE gc.leader SET heartbeat_at = clock_timestamp() WHERE term = $2 AND holder = $1",
        me.uuid(),
        term,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Begins the term after `term`, unless another did or its leader was heard meanwhile.
pub(super) async fn take(conn: &mut PgConnection, me: InstanceId, term: i64) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "UPDATE gc.leader SET term = term + 1, holder = $1, heartbeat_at = clock_timestamp()
          WHERE term = $2
            AND (holder IS NULL OR heartbeat_at < clock_timestamp() - make_interval(secs => $3))",
        me.uuid(),
        term,
        LOST.as_secs_f64(),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn resign(conn: &mut PgConnection, me: InstanceId, term: i64) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE gc.leader SET holder = NULL WHERE term = $2 AND holder = $1",
        me.uuid(),
        term,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Holds the term until the end of the transaction. Should the process stop in the middle of it, the database ends the
/// transaction after five seconds, and the place is free.
pub(super) async fn hold_term(conn: &mut PgConnection, me: InstanceId, term: i64) -> Result<bool, DbError> {
    let mine = sqlx::query!(
        "SELECT set_config('idle_in_transaction_session_timeout', '5000', true)
           FROM gc.leader WHERE term = $2 AND holder = $1 FOR KEY SHARE",
        me.uuid(),
        term,
    )
    .fetch_optional(conn)
    .await?;
    Ok(mine.is_some())
}
