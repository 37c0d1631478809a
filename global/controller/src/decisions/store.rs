//! `gc.history` and `gc.state_history` as they were at a time.
use crate::roles::Stored;
use exarch_common_base::TenantId;
use exarch_common_pg::{DbError, SystemTx, TenantTx};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// Somebody's place in a tenant.
pub struct Member {
    pub user_id: Uuid,
    pub display_name: String,
    pub roles: Vec<String>,
    pub until_at: Option<OffsetDateTime>,
}

/// Somebody's role over the federation.
pub struct StaffRole {
    pub user_id: Uuid,
    pub display_name: String,
    pub role: String,
    pub until_at: Option<OffsetDateTime>,
}

/// Since when something is known of the transaction's tenant.
pub async fn since(tx: &mut TenantTx) -> Result<Option<OffsetDateTime>, DbError> {
    let tenant = tx.tenant().uuid();
    Ok(
        sqlx::query_scalar!("SELECT min(at) FROM gc.history WHERE tenant_id = $1", tenant)
            .fetch_one(tx.conn())
            .await?,
    )
}

pub async fn tenant_state(
    conn: &mut PgConnection,
    tenant: TenantId,
    at: OffsetDateTime,
) -> Result<Option<String>, DbError> {
    Ok(sqlx::query_scalar!(
        "SELECT state FROM gc.state_history WHERE kind = 'tenant' AND subject = $1 AND at <= $2 ORDER BY seq DESC LIMIT 1",
        tenant.uuid(),
        at
    )
    .fetch_optional(conn)
    .await?)
}

/// Those with a place in the transaction's tenant whose account was in order.
pub async fn members(tx: &mut TenantTx, at: OffsetDateTime) -> Result<Vec<Member>, DbError> {
    let tenant = tx.tenant().uuid();
    Ok(sqlx::query_as!(
        Member,
        r#"WITH was AS (SELECT DISTINCT ON (subject) state FROM gc.history
                         WHERE tenant_id = $1 AND kind = 'membership' AND at <= $2 ORDER BY subject, seq DESC)
           SELECT u.id AS user_id, u.display_name,
                  ARRAY(SELECT jsonb_array_elements_text(was.state -> 'roles')) AS "roles!",
                  (was.state ->> 'until')::timestamptz AS until_at
             FROM was JOIN gc.user u ON u.id = (was.state ->> 'user')::uuid
            WHERE (was.state ->> 'until')::timestamptz > $2 IS NOT FALSE
              AND (SELECT s.state FROM gc.state_history s
                    WHERE s.kind = 'user' AND s.subject = u.id AND s.at <= $2 ORDER BY s.seq DESC LIMIT 1) = 'active'"#,
        tenant,
        at
    )
    .fetch_all(tx.conn())
    .await?)
}

/// The roles of the transaction's tenant's own.
pub async fn custom_roles(tx: &mut TenantTx, at: OffsetDateTime) -> Result<Vec<Stored>, DbError> {
    let tenant = tx.tenant().uuid();
    Ok(sqlx::query_as!(
        Stored,
        r#"WITH was AS (SELECT DISTINCT ON (subject) state FROM gc.history
                         WHERE tenant_id = $1 AND kind = 'role' AND at <= $2 ORDER BY subject, seq DESC)
           SELECT state ->> 'name' AS "name!", state ->> 'scope' AS "scope!",
                  ARRAY(SELECT jsonb_array_elements_text(state -> 'permissions')) AS "permissions!"
             FROM was WHERE state IS NOT NULL"#,
        tenant,
        at
    )
    .fetch_all(tx.conn())
    .await?)
}

/// Roles over the federation of people whose account was in order.
pub async fn staff(tx: &mut SystemTx, at: OffsetDateTime) -> Result<Vec<StaffRole>, DbError> {
    Ok(sqlx::query_as!(
        StaffRole,
        "SELECT u.id AS user_id, u.display_name, b.role, b.until_at
           FROM gc.staff_binding b JOIN gc.user u ON u.id = b.user_id
          WHERE b.created_at <= $1 AND (b.ended_at IS NULL OR b.ended_at > $1)
            AND (SELECT s.state FROM gc.state_history s
                  WHERE s.kind = 'user' AND s.subject = u.id AND s.at <= $1 ORDER BY s.seq DESC LIMIT 1) = 'active'",
        at
    )
    .fetch_all(tx.conn())
    .await?)
}
