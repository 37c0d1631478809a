use exarch_common_base::UserId;
use exarch_common_pg::{DbError, SystemTx};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

pub async fn insert(conn: &mut PgConnection, id: Uuid, sealed: &[u8], now: OffsetDateTime) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO gc.mail (id, sealed, created_at, next_at) VALUES ($1, $2, $3, $3)",
        id,
        sealed,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub struct Waiting {
    pub id: Uuid,
    pub sealed: Vec<u8>,
    pub created_at: OffsetDateTime,
    pub tries: i32,
}

/// The mail that is due longest, until the end of the transaction nobody else's.
pub async fn take_due(conn: &mut PgConnection, now: OffsetDateTime) -> Result<Option<Waiting>, DbError> {
    Ok(sqlx::query_as!(
        Waiting,
        "SELECT id, sealed, created_at, tries FROM gc.mail WHERE next_at <= $1
          ORDER BY next_at LIMIT 1 FOR UPDATE SKIP LOCKED",
        now
    )
    .fetch_optional(conn)
    .await?)
}

pub async fn delete(conn: &mut PgConnection, id: Uuid) -> Result<(), DbError> {
    sqlx::query!("DELETE FROM gc.mail WHERE id = $1", id)
        .execute(conn)
        .await?;
    Ok(())
}

pub async fn postpone(conn: &mut PgConnection, id: Uuid, until: OffsetDateTime) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE gc.mail SET next_at = $2, tries = tries + 1 WHERE id = $1",
        id,
        until
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// When mail was asked for an address, locked until the end of the transaction.
pub async fn lock_limit(
    conn: &mut PgConnection,
    email_index: &[u8; 32],
    kind: &str,
    now: OffsetDateTime,
) -> Result<Vec<OffsetDateTime>, DbError> {
    Ok(sqlx::query_scalar!(
        "INSERT INTO gc.mail_limit (email_index, kind, updated_at) VALUES ($1, $2, $3)
         ON CONFLICT (email_index, kind) DO UPDATE SET updated_at = $3 RETURNING asked",
        &email_index[..],
        kind,
        now
    )
    .fetch_one(conn)
    .await?)
}

pub async fn save_limit(
    conn: &mut PgConnection,
    email_index: &[u8; 32],
    kind: &str,
    asked: &[OffsetDateTime],
) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE gc.mail_limit SET asked = $3 WHERE email_index = $1 AND kind = $2",
        &email_index[..],
        kind,
        asked
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn insert_reset(
    conn: &mut PgConnection,
    hash: &[u8; 32],
    user: UserId,
    expires_at: OffsetDateTime,
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO gc.mail_token (hash, user_id, expires_at) VALUES ($1, $2, $3)
         ON CONFLICT (hash) DO NOTHING",
        &hash[..],
        user.uuid(),
        expires_at
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whose password a token resets; it stays good.
///
/// # Errors
/// The database.
pub async fn find_reset(
    conn: &mut PgConnection,
    hash: &[u8; 32],
    now: OffsetDateTime,
) -> Result<Option<UserId>, DbError> {
    let user = sqlx::query_scalar!(
        "SELECT user_id FROM gc.mail_token WHERE hash = $1 AND used_at IS NULL AND expires_at > $2",
        &hash[..],
        now
    )
    .fetch_optional(conn)
    .await?;
    Ok(user.map(UserId::from))
}

/// Uses a token up; false when it was used before, or is over.
///
/// # Errors
/// The database.
pub async fn spend_reset(conn: &mut PgConnection, hash: &[u8; 32], now: OffsetDateTime) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "UPDATE gc.mail_token SET used_at = $2 WHERE hash = $1 AND used_at IS NULL AND expires_at > $2",
        &hash[..],
        now
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Uses up whatever else could reset a person's password.
///
/// # Errors
/// The database.
pub async fn expire_resets(conn: &mut PgConnection, user: UserId, now: OffsetDateTime) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE gc.mail_token SET used_at = $2 WHERE user_id = $1 AND used_at IS NULL",
        user.uuid(),
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn sweep(tx: &mut SystemTx, before: OffsetDateTime) -> Result<u64, DbError> {
    let tokens = sqlx::query!("DELETE FROM gc.mail_token WHERE expires_at < $1", before)
        .execute(tx.conn())
        .await?;
    let limits = sqlx::query!("DELETE FROM gc.mail_limit WHERE updated_at < $1", before)
        .execute(tx.conn())
        .await?;
    Ok(tokens.rows_affected() + limits.rows_affected())
}
