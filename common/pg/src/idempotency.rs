//! Records of requests that may be repeated: the table `idempotency`, which both schemas have.
//!
//! The record is written in the transaction of the effect, by the commit itself: there is no effect without its record, and
//! no record without its effect. What is in it is sealed by whoever keeps it.
use crate::{
    error::DbError,
    pools::AppPool,
    tx::{Clusters, SystemTx, TenantContext, TenantTx, Transaction},
};
use exarch_common_base::TenantId;
use sqlx::AssertSqlSafe;
use time::OffsetDateTime;

/// Whose record it is. What belongs to no tenant is kept under one that stands for the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordKey {
    /// The tenant.
    pub tenant: TenantId,
    /// Unique within it: made of caller, route and key.
    pub id: [u8; 32],
}

/// The sealed record, unless there is none or its time is over.
///
/// # Errors
/// [`DbError`].
pub async fn find(pool: &AppPool, key: &RecordKey, now: OffsetDateTime) -> Result<Option<Vec<u8>>, DbError> {
    let context = TenantContext {
        tenant: key.tenant,
        clusters: Clusters::Only(Vec::new()),
        actor: "system:idempotency".to_owned(),
    };
    let mut tx = TenantTx::begin(pool, &context).await?;
    let sql = format!(
        "SELECT sealed FROM {}.idempotency WHERE tenant_id = $1 AND id = $2 AND expires_at > $3",
        pool.schema().name()
    );
    let found = sqlx::query_scalar(AssertSqlSafe(sql))
        .bind(key.tenant.uuid())
        .bind(key.id.as_slice())
        .bind(now)
        .fetch_optional(tx.conn())
        .await?;
    tx.rollback().await?;
    Ok(found)
}

/// Commits the transaction with the record in it. False, and nothing was done, when another request under the same key came
/// first; it is waited for until it has ended.
///
/// # Errors
/// As [`TenantTx::commit`].
pub async fn commit_with<T: Transaction>(
    mut tx: T,
    key: &RecordKey,
    sealed: &[u8],
    now: OffsetDateTime,
    expires_at: OffsetDateTime,
) -> Result<bool, DbError> {
    let schema = tx.schema().name();
    if tx.in_force() != Some(key.tenant) {
        // the record is the last thing in this transaction: nothing comes after it under the wrong tenant
        let sql = format!("SELECT {schema}.enter($1, false, '{{}}', {schema}.actor())");
        sqlx::query(AssertSqlSafe(sql))
            .bind(key.tenant.uuid())
            .execute(tx.connection())
            .await?;
    }
    let sql = format!(
        "INSERT INTO {schema}.idempotency AS kept (tenant_id, id, sealed, expires_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (tenant_id, id) DO UPDATE SET sealed = $3, expires_at = $4 WHERE kept.expires_at <= $5"
    );
    let written = sqlx::query(AssertSqlSafe(sql))
        .bind(key.tenant.uuid())
        .bind(key.id.as_slice())
        .bind(sealed)
        .bind(expires_at)
        .bind(now)
        .execute(tx.connection())
        .await?;
    if written.rows_affected() == 0 {
        return Ok(false);
    }
    tx.finish().await?;
    Ok(true)
}

/// Removes the records whose time is over; how many there were. For the sweep login.
///
/// # Errors
/// [`DbError`].
pub async fn sweep(tx: &mut SystemTx, now: OffsetDateTime) -> Result<u64, DbError> {
    let sql = format!("DELETE FROM {}.idempotency WHERE expires_at <= $1", tx.schema().name());
    let swept = sqlx::query(AssertSqlSafe(sql)).bind(now).execute(tx.conn()).await?;
    Ok(swept.rows_affected())
}
