use exarch_common_base::UserId;
use exarch_common_pg::{DbError, TenantTx};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

pub struct UserRow {
    pub id: Uuid,
    pub email_sealed: Vec<u8>,
    pub display_name: String,
    pub state: String,
}

pub async fn by_id(conn: &mut PgConnection, id: UserId) -> Result<Option<UserRow>, DbError> {
    Ok(by_ids(conn, &[id]).await?.pop())
}

pub async fn by_ids(conn: &mut PgConnection, ids: &[UserId]) -> Result<Vec<UserRow>, DbError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    Ok(sqlx::query_as!(
        UserRow,
        "SELECT id, email_sealed, display_name, state FROM gc.user WHERE id = ANY($1) AND state <> 'deleted'",
        &ids
    )
    .fetch_all(conn)
    .await?)
}

pub async fn by_email(conn: &mut PgConnection, index: &[u8; 32]) -> Result<Option<UserRow>, DbError> {
    Ok(sqlx::query_as!(
        UserRow,
        "SELECT id, email_sealed, display_name, state FROM gc.user WHERE email_index = $1 AND state <> 'deleted'",
        &index[..]
    )
    .fetch_optional(conn)
    .await?)
}

/// A person's state, with the account held until the end of the transaction. The accounts of the provider's administrators
/// are held with it, in one order, so that of two who disable each other one is seen as the last.
pub async fn lock(conn: &mut PgConnection, id: UserId) -> Result<Option<UserRow>, DbError> {
    sqlx::query!(
        "SELECT id FROM gc.user
          WHERE id = $1 OR id IN (SELECT user_id FROM gc.staff_binding WHERE role = 'system-admin' AND ended_at IS NULL)
          ORDER BY id FOR UPDATE",
        id.uuid()
    )
    .fetch_all(&mut *conn)
    .await?;
    by_id(conn, id).await
}

/// Whether somebody else administers the federation without an end.
pub async fn other_system_admin(conn: &mut PgConnection, id: UserId) -> Result<bool, DbError> {
    Ok(sqlx::query_scalar!(
        "SELECT EXISTS (SELECT FROM gc.staff_binding b JOIN gc.user u ON u.id = b.user_id
                         WHERE b.role = 'system-admin' AND b.ended_at IS NULL AND b.until_at IS NULL
                           AND u.state = 'active' AND u.id <> $1) AS \"any!\"",
        id.uuid()
    )
    .fetch_one(conn)
    .await?)
}

pub async fn set_state(conn: &mut PgConnection, id: UserId, state: &str, now: OffsetDateTime) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE gc.user SET state = $2, updated_at = $3 WHERE id = $1",
        id.uuid(),
        state,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub struct Insert<'a> {
    pub id: UserId,
    pub email_sealed: &'a [u8],
    pub email_index: &'a [u8; 32],
    pub display_name: &'a str,
    pub password_hash: &'a str,
    pub must_change_password: bool,
    pub at: OffsetDateTime,
}

pub async fn insert(conn: &mut PgConnection, user: &Insert<'_>) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO gc.user (id, email_sealed, email_index, display_name, password_hash, must_change_password,
                              password_changed_at, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $7)",
        user.id.uuid(),
        user.email_sealed,
        &user.email_index[..],
        user.display_name,
        user.password_hash,
        user.must_change_password,
        user.at
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A member of the transaction's tenant.
pub struct MemberRow {
    pub user: UserRow,
    pub roles: Vec<String>,
    pub version: u64,
}

/// Members of the transaction's tenant, or only the one named, newest person first, from the one after `after`.
pub async fn members(
    tx: &mut TenantTx,
    only: Option<UserId>,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<MemberRow>, DbError> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query!(
        "SELECT u.id, u.email_sealed, u.display_name, u.state, u.version, m.roles
           FROM gc.membership m JOIN gc.user u ON u.id = m.user_id
          WHERE m.tenant_id = $1 AND m.ended_at IS NULL AND u.state <> 'deleted'
            AND ($2::uuid IS NULL OR u.id = $2) AND ($3::uuid IS NULL OR u.id < $3)
          ORDER BY u.id DESC LIMIT $4",
        tenant,
        only.map(|id| id.uuid()),
        after,
        limit
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| MemberRow {
            user: UserRow {
                id: row.id,
                email_sealed: row.email_sealed,
                display_name: row.display_name,
                state: row.state,
            },
            roles: row.roles,
            version: row.version.cast_unsigned(),
        })
        .collect())
}

/// Keeps a person from being changed, and from being made a member of anything, until the end of the transaction.
pub async fn hold(tx: &mut TenantTx, id: UserId) -> Result<(), DbError> {
    sqlx::query!("SELECT id FROM gc.user WHERE id = $1 FOR UPDATE", id.uuid())
        .fetch_optional(tx.conn())
        .await?;
    Ok(())
}

pub async fn set_display_name(tx: &mut TenantTx, id: UserId, name: &str, at: OffsetDateTime) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE gc.user SET display_name = $2, updated_at = $3 WHERE id = $1",
        id.uuid(),
        name,
        at
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
