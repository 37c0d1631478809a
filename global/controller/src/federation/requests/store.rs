//! Rows of `gc.region_request`. Their times are the database's, the one clock that all replicas share.
use super::CHANNEL;
use exarch_common_base::{InstanceId, RegionId};
use exarch_common_pg::DbError;
use sqlx::PgConnection;
use std::time::Duration;
use uuid::Uuid;

/// A request that was taken.
pub(super) struct Request {
    pub id: Uuid,
    pub region: RegionId,
    pub path: String,
    pub content_type: String,
    pub body: Vec<u8>,
    /// How long it is waited for yet.
    pub left: Duration,
}

/// What became of a request.
pub(super) enum Outcome {
    /// The region answered with a status and a body.
    Answered(u16, Vec<u8>),
    /// The holder has no answer that it believes.
    Failed(String),
    /// Nobody took it: nothing was done, and nothing will be.
    NotTaken,
    /// Somebody took it.
    Unanswered,
}

async fn wake(conn: &mut PgConnection) -> Result<(), DbError> {
    sqlx::query!("SELECT pg_notify($1, '')", CHANNEL)
        .fetch_one(conn)
        .await?;
    Ok(())
}

pub(super) async fn ask(
    conn: &mut PgConnection,
    id: Uuid,
    region: RegionId,
    path: &str,
    content_type: &str,
    body: &[u8],
    limit: Duration,
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO gc.region_request (id, region_id, path, content_type, body, until)
         VALUES ($1, $2, $3, $4, $5, clock_timestamp() + make_interval(secs => $6))",
        id,
        region.uuid(),
        path,
        content_type,
        body,
        limit.as_secs_f64(),
    )
    .execute(&mut *conn)
    .await?;
    wake(conn).await
}

/// The answer, and the row is gone; nothing while there is none.
pub(super) async fn answer(conn: &mut PgConnection, id: Uuid) -> Result<Option<Outcome>, DbError> {
    let row = sqlx::query!(
        "DELETE FROM gc.region_request WHERE id = $1 AND answered_at IS NOT NULL RETURNING status, answer, failure",
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| outcome(row.status, row.answer, row.failure)))
}

/// The row is gone, answered or not.
pub(super) async fn withdraw(conn: &mut PgConnection, id: Uuid) -> Result<Outcome, DbError> {
    let row = sqlx::query!(
        "DELETE FROM gc.region_request WHERE id = $1 RETURNING taken_by, answered_at, status, answer, failure",
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(match row {
        Some(row) if row.answered_at.is_some() => outcome(row.status, row.answer, row.failure),
        Some(row) if row.taken_by.is_none() => Outcome::NotTaken,
        _ => Outcome::Unanswered,
    })
}

fn outcome(status: Option<i32>, answer: Option<Vec<u8>>, failure: Option<String>) -> Outcome {
    match status.and_then(|status| u16::try_from(status).ok()).zip(answer) {
        Some((status, body)) => Outcome::Answered(status, body),
        None => Outcome::Failed(failure.unwrap_or_default()),
    }
}

/// Takes the request that waits longest of those about `regions`; no other replica gets it.
pub(super) async fn take(
    conn: &mut PgConnection,
    me: InstanceId,
    regions: &[RegionId],
) -> Result<Option<Request>, DbError> {
    let regions: Vec<Uuid> = regions.iter().map(|region| region.uuid()).collect();
    let row = sqlx::query!(
        r#"UPDATE gc.region_request SET taken_by = $1
          WHERE id = (SELECT id FROM gc.region_request
                       WHERE taken_by IS NULL AND region_id = ANY ($2) AND until > clock_timestamp()
                       ORDER BY until LIMIT 1 FOR UPDATE SKIP LOCKED)
          RETURNING id, region_id, path, content_type, body,
                    extract(epoch FROM until - clock_timestamp())::float8 AS "left!""#,
        me.uuid(),
        &regions,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Request {
        id: row.id,
        region: row.region_id.into(),
        path: row.path,
        content_type: row.content_type,
        body: row.body,
        left: Duration::from_secs_f64(row.left.max(0.0)),
    }))
}

pub(super) async fn write(
    conn: &mut PgConnection,
    id: Uuid,
    answer: Option<(i32, &[u8])>,
    failure: Option<&str>,
) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE gc.region_request SET answered_at = clock_timestamp(), status = $2, answer = $3, failure = $4 WHERE id = $1",
        id,
        answer.map(|(status, _)| status),
        answer.map(|(_, body)| body),
        failure,
    )
    .execute(&mut *conn)
    .await?;
    wake(conn).await
}

pub(super) async fn sweep(conn: &mut PgConnection) -> Result<u64, DbError> {
    let swept = sqlx::query!("DELETE FROM gc.region_request WHERE until < clock_timestamp() - interval '1 minute'")
        .execute(conn)
        .await?;
    Ok(swept.rows_affected())
}
