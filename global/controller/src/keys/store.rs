use exarch_common_base::KeyId;
use exarch_common_pg::{DbError, SystemTx};
use time::OffsetDateTime;
use uuid::Uuid;

/// A key as it lies in the database.
pub struct SealedKey {
    pub id: Uuid,
    pub purpose: String,
    pub sealed: Vec<u8>,
    pub public: Option<Vec<u8>>,
    pub created_at: OffsetDateTime,
    pub signs_from: OffsetDateTime,
    pub retired_at: Option<OffsetDateTime>,
}

pub async fn all(tx: &mut SystemTx) -> Result<Vec<SealedKey>, DbError> {
    Ok(sqlx::query_as!(
        SealedKey,
        "SELECT id, purpose, sealed, public, created_at, signs_from, retired_at FROM gc.sealed_key ORDER BY signs_from, id"
    )
    .fetch_all(tx.conn())
    .await?)
}

pub async fn insert(tx: &mut SystemTx, key: &SealedKey) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO gc.sealed_key (id, purpose, sealed, public, created_at, signs_from) VALUES ($1, $2, $3, $4, $5, $6)",
        key.id,
        key.purpose,
        key.sealed,
        key.public,
        key.created_at,
        key.signs_from
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Until the end of the transaction nobody else makes or retires keys.
pub async fn lock(tx: &mut SystemTx) -> Result<(), DbError> {
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtext('gc.sealed_key')) AS \"locked!: ()\"")
        .fetch_one(tx.conn())
        .await?;
    Ok(())
}

pub async fn retire(tx: &mut SystemTx, keys: &[KeyId], at: OffsetDateTime) -> Result<u64, DbError> {
    let ids: Vec<Uuid> = keys.iter().map(|key| key.uuid()).collect();
    let done = sqlx::query!(
        "UPDATE gc.sealed_key SET retired_at = $2 WHERE id = ANY($1) AND retired_at IS NULL",
        &ids,
        at
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}

/// Whether there are people whose data was sealed or indexed under keys that should be here.
pub async fn has_people(tx: &mut SystemTx) -> Result<bool, DbError> {
    Ok(sqlx::query_scalar!("SELECT EXISTS (SELECT FROM gc.user) AS \"any!\"")
        .fetch_one(tx.conn())
        .await?)
}
