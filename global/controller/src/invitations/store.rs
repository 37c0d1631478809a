use exarch_common_base::InvitationId;
use exarch_common_pg::{DbError, SystemTx, TenantTx};
use time::OffsetDateTime;
use uuid::Uuid;

pub struct Row {
    pub id: Uuid,
    pub email_sealed: Vec<u8>,
    pub display_name: String,
    pub roles: Vec<String>,
    pub invited_by: Uuid,
    pub created_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
}

pub struct Insert<'a> {
    pub id: InvitationId,
    pub email_sealed: &'a [u8],
    pub email_index: &'a [u8; 32],
    pub display_name: &'a str,
    pub roles: &'a [String],
    pub token_hash: &'a [u8; 32],
    pub invited_by: Uuid,
    pub created_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
}

pub async fn insert(tx: &mut TenantTx, new: &Insert<'_>) -> Result<(), DbError> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "INSERT INTO gc.invitation (tenant_id, id, email_sealed, email_index, display_name, roles, token_hash, invited_by,
                                    created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        tenant,
        new.id.uuid(),
        new.email_sealed,
        &new.email_index[..],
        new.display_name,
        new.roles,
        &new.token_hash[..],
        new.invited_by,
        new.created_at,
        new.expires_at
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Ends whatever invitation waits for an address.
pub async fn end_for_address(tx: &mut TenantTx, email_index: &[u8; 32], now: OffsetDateTime) -> Result<u64, DbError> {
    let tenant = tx.tenant().uuid();
    let done = sqlx::query!(
        "UPDATE gc.invitation SET ended_at = $3 WHERE tenant_id = $1 AND email_index = $2 AND ended_at IS NULL",
        tenant,
        &email_index[..],
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}

/// Those of the transaction's tenant that were neither accepted nor cancelled, newest first, from the one after `after`.
pub async fn page(tx: &mut TenantTx, after: Option<Uuid>, limit: i64) -> Result<Vec<Row>, DbError> {
    let tenant = tx.tenant().uuid();
    Ok(sqlx::query_as!(
        Row,
        "SELECT id, email_sealed, display_name, roles, invited_by, created_at, expires_at FROM gc.invitation
          WHERE tenant_id = $1 AND ended_at IS NULL AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3",
        tenant,
        after,
        limit
    )
    .fetch_all(tx.conn())
    .await?)
}

/// One that was neither accepted nor cancelled, locked until the end of the transaction.
pub async fn lock(tx: &mut TenantTx, id: InvitationId) -> Result<Option<Row>, DbError> {
    let tenant = tx.tenant().uuid();
    Ok(sqlx::query_as!(
        Row,
        "SELECT id, email_sealed, display_name, roles, invited_by, created_at, expires_at FROM gc.invitation
          WHERE tenant_id = $1 AND id = $2 AND ended_at IS NULL FOR UPDATE",
        tenant,
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// The one whose token this is, while it is good; locked until the end of the transaction.
pub async fn lock_by_token(tx: &mut TenantTx, hash: &[u8; 32], now: OffsetDateTime) -> Result<Option<Row>, DbError> {
    let tenant = tx.tenant().uuid();
    Ok(sqlx::query_as!(
        Row,
        "SELECT id, email_sealed, display_name, roles, invited_by, created_at, expires_at FROM gc.invitation
          WHERE tenant_id = $1 AND token_hash = $2 AND ended_at IS NULL AND expires_at > $3 FOR UPDATE",
        tenant,
        &hash[..],
        now
    )
    .fetch_optional(tx.conn())
    .await?)
}

/// Another token in the place of the last one, and somebody else who answers for it.
pub async fn renew(
    tx: &mut TenantTx,
    id: InvitationId,
    token_hash: &[u8; 32],
    invited_by: Uuid,
    expires_at: OffsetDateTime,
) -> Result<(), DbError> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "UPDATE gc.invitation SET token_hash = $3, invited_by = $4, expires_at = $5 WHERE tenant_id = $1 AND id = $2",
        tenant,
        id.uuid(),
        &token_hash[..],
        invited_by,
        expires_at
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Ends one; false when it had ended before.
pub async fn end(tx: &mut TenantTx, id: InvitationId, now: OffsetDateTime) -> Result<bool, DbError> {
    let tenant = tx.tenant().uuid();
    let done = sqlx::query!(
        "UPDATE gc.invitation SET ended_at = $3 WHERE tenant_id = $1 AND id = $2 AND ended_at IS NULL",
        tenant,
        id.uuid(),
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

pub async fn sweep(tx: &mut SystemTx, before: OffsetDateTime) -> Result<u64, DbError> {
    let done = sqlx::query!("DELETE FROM gc.invitation WHERE expires_at < $1", before)
        .execute(tx.conn())
        .await?;
    Ok(done.rows_affected())
}
