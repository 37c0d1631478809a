use exarch_common_base::UserId;
use exarch_common_pg::{DbError, SystemTx};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

pub struct Factor {
    pub id: Uuid,
    pub secret_sealed: Vec<u8>,
    pub verified_at: Option<OffsetDateTime>,
}

pub async fn insert(
    conn: &mut PgConnection,
    id: Uuid,
    user: UserId,
    secret_sealed: &[u8],
    now: OffsetDateTime,
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO gc.totp (id, user_id, secret_sealed, created_at) VALUES ($1, $2, $3, $4)",
        id,
        user.uuid(),
        secret_sealed,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn verified(conn: &mut PgConnection, user: UserId) -> Result<Option<Factor>, DbError> {
    Ok(sqlx::query_as!(
        Factor,
        "SELECT id, secret_sealed, verified_at FROM gc.totp WHERE user_id = $1 AND verified_at IS NOT NULL",
        user.uuid()
    )
    .fetch_optional(conn)
    .await?)
}

/// An enrolment of this person that was begun after `since`, locked until the end of the transaction.
pub async fn pending(
    conn: &mut PgConnection,
    id: Uuid,
    user: UserId,
    since: OffsetDateTime,
) -> Result<Option<Factor>, DbError> {
    Ok(sqlx::query_as!(
        Factor,
        "SELECT id, secret_sealed, verified_at FROM gc.totp
          WHERE id = $1 AND user_id = $2 AND verified_at IS NULL AND created_at > $3 FOR UPDATE",
        id,
        user.uuid(),
        since
    )
    .fetch_optional(conn)
    .await?)
}

/// Puts an enrolment in force.
pub async fn verify(conn: &mut PgConnection, id: Uuid, now: OffsetDateTime) -> Result<(), DbError> {
    sqlx::query!("UPDATE gc.totp SET verified_at = $2 WHERE id = $1", id, now)
        .execute(conn)
        .await?;
    Ok(())
}

pub async fn delete_verified(conn: &mut PgConnection, user: UserId) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "DELETE FROM gc.totp WHERE user_id = $1 AND verified_at IS NOT NULL",
        user.uuid()
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Uses a step; false when it was used before. Of two who come at once the second waits here and is told so.
pub async fn use_step(conn: &mut PgConnection, id: Uuid, step: i64, now: OffsetDateTime) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "INSERT INTO gc.totp_used_step (totp_id, step, used_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        id,
        step,
        now
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Uses a recovery code; false when it was used before or never was.
pub async fn use_recovery_code(
    conn: &mut PgConnection,
    user: UserId,
    hash: &[u8; 32],
    now: OffsetDateTime,
) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "UPDATE gc.recovery_code SET used_at = $3 WHERE user_id = $1 AND hash = $2 AND used_at IS NULL",
        user.uuid(),
        &hash[..],
        now
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub async fn recovery_codes_left(conn: &mut PgConnection, user: UserId) -> Result<i64, DbError> {
    Ok(sqlx::query_scalar!(
        "SELECT count(*) AS \"left!\" FROM gc.recovery_code WHERE user_id = $1 AND used_at IS NULL",
        user.uuid()
    )
    .fetch_one(conn)
    .await?)
}

pub async fn delete_recovery_codes(conn: &mut PgConnection, user: UserId) -> Result<(), DbError> {
    sqlx::query!("DELETE FROM gc.recovery_code WHERE user_id = $1", user.uuid())
        .execute(conn)
        .await?;
    Ok(())
}

pub async fn insert_recovery_codes(
    conn: &mut PgConnection,
    user: UserId,
    hashes: &[[u8; 32]],
    now: OffsetDateTime,
) -> Result<(), DbError> {
    let hashes: Vec<Vec<u8>> = hashes.iter().map(|hash| hash.to_vec()).collect();
    sqlx::query!(
        "INSERT INTO gc.recovery_code (user_id, hash, created_at) SELECT $1, hash, $3 FROM unnest($2::bytea[]) AS hash",
        user.uuid(),
        &hashes,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn sweep(tx: &mut SystemTx, pending: OffsetDateTime, used: OffsetDateTime) -> Result<u64, DbError> {
    let unfinished = sqlx::query!(
        "DELETE FROM gc.totp WHERE verified_at IS NULL AND created_at < $1",
        pending
    )
    .execute(tx.conn())
    .await?;
    let steps = sqlx::query!("DELETE FROM gc.totp_used_step WHERE used_at < $1", used)
        .execute(tx.conn())
        .await?;
    Ok(unfinished.rows_affected() + steps.rows_affected())
}
