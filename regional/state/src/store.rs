//! The numbers of the global's requests that had an effect.
use exarch_common_pg::{DbError, SystemTx};
use time::OffsetDateTime;

/// Uses up the number of a request; false when it was used before, on whichever replica.
pub async fn spend(tx: &mut SystemTx, jti: &str, now: OffsetDateTime) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "INSERT INTO gw.service_jti (jti, spent_at) VALUES ($1, $2) ON CONFLICT ON CONSTRAINT service_jti_pkey DO NOTHING",
        jti,
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}
