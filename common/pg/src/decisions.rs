//! Refusals as they were decided: the table `decision`, which both schemas have. They are written in batches, each with one
//! statement however many there are, and are swept when nobody asks for them any more.
use crate::{
    error::DbError,
    tx::{SystemTx, Transaction},
};
use exarch_common_base::DecisionId;
use sqlx::{AssertSqlSafe, Row as _};
use time::OffsetDateTime;
use uuid::Uuid;

/// For how long they are kept.
pub const KEPT: time::Duration = time::Duration::days(7);
/// Removed by one statement at most, so that none holds rows for long.
const AT_ONCE: i64 = 10_000;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Its id.
    pub id: DecisionId,
    /// When.
    pub at: OffsetDateTime,
    /// What was decided, as JSON.
    pub record: String,
}

/// Keeps those of the tenant in force.
///
/// # Errors
/// [`DbError`].
pub async fn keep(tx: &mut impl Transaction, decisions: &[Decision]) -> Result<(), DbError> {
    let Some(tenant) = tx.in_force().filter(|_| !decisions.is_empty()) else {
        return Ok(());
    };
    let sql = format!(
        "INSERT INTO {}.decision (tenant_id, id, at, record)
         SELECT $1, id, at, record::jsonb FROM unnest($2::uuid[], $3::timestamptz[], $4::text[]) AS kept (id, at, record)",
        tx.schema().name()
    );
    let ids: Vec<Uuid> = decisions.iter().map(|decision| decision.id.uuid()).collect();
    let times: Vec<OffsetDateTime> = decisions.iter().map(|decision| decision.at).collect();
    let records: Vec<&str> = decisions.iter().map(|decision| decision.record.as_str()).collect();
    sqlx::query(AssertSqlSafe(sql))
        .bind(tenant.uuid())
        .bind(ids)
        .bind(times)
        .bind(records)
        .execute(tx.connection())
        .await?;
    Ok(())
}

/// One of the tenant in force.
///
/// # Errors
/// [`DbError`].
pub async fn find(tx: &mut impl Transaction, id: DecisionId) -> Result<Option<Decision>, DbError> {
    let Some(tenant) = tx.in_force() else {
        return Ok(None);
    };
    let sql = format!(
        "SELECT at, record::text FROM {}.decision WHERE tenant_id = $1 AND id = $2",
        tx.schema().name()
    );
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(tenant.uuid())
        .bind(id.uuid())
        .fetch_optional(tx.connection())
        .await?;
    let read = |row: sqlx::postgres::PgRow| {
        Ok::<_, sqlx::Error>(Decision {
            id,
            at: row.try_get(0)?,
            record: row.try_get(1)?,
        })
    };
    Ok(row.map(read).transpose()?)
}

/// Removes those whose time is over; how many there were. For the sweep login.
///
/// # Errors
/// [`DbError`].
pub async fn sweep(tx: &mut SystemTx, now: OffsetDateTime) -> Result<u64, DbError> {
    let schema = tx.schema().name();
    let sql = format!(
        "DELETE FROM {schema}.decision WHERE (tenant_id, id) IN
           (SELECT tenant_id, id FROM {schema}.decision WHERE at < $1 ORDER BY at LIMIT $2)"
    );
    let swept = sqlx::query(AssertSqlSafe(sql))
        .bind(now - KEPT)
        .bind(AT_ONCE)
        .execute(tx.conn())
        .await?;
    Ok(swept.rows_affected())
}
