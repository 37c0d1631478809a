use super::{OwnRole, Stored};
use exarch_common_base::{RoleId, UserId};
use exarch_common_pg::{DbError, TenantTx};
use time::OffsetDateTime;
use uuid::Uuid;

struct Row {
    id: Uuid,
    name: String,
    scope: String,
    description: String,
    permissions: Vec<String>,
    version: i64,
    created_at: OffsetDateTime,
}

impl From<Row> for OwnRole {
    fn from(row: Row) -> Self {
        Self {
            id: row.id.into(),
            name: row.name,
            scope: row.scope,
            description: row.description,
            permissions: row.permissions,
            version: row.version.cast_unsigned(),
            created_at: row.created_at,
        }
    }
}

/// Roles of the transaction's tenant, newest first, from the one after `after`.
pub async fn page(tx: &mut TenantTx, after: Option<Uuid>, limit: i64) -> Result<Vec<OwnRole>, DbError> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query_as!(
        Row,
        "SELECT id, name, scope, description, permissions, version, created_at FROM gc.role
          WHERE tenant_id = $1 AND ended_at IS NULL AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3",
        tenant,
        after,
        limit
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(OwnRole::from).collect())
}

pub async fn count(tx: &mut TenantTx) -> Result<i64, DbError> {
    let tenant = tx.tenant().uuid();
    // One after the other, so that no two of them both take the last place.
    sqlx::query!("SELECT id FROM gc.tenant WHERE id = $1 FOR NO KEY UPDATE", tenant)
        .fetch_one(tx.conn())
        .await?;
    Ok(sqlx::query_scalar!(
        "SELECT count(*) AS \"count!\" FROM gc.role WHERE tenant_id = $1 AND ended_at IS NULL",
        tenant
    )
    .fetch_one(tx.conn())
    .await?)
}

pub async fn find(tx: &mut TenantTx, name: &str) -> Result<Option<OwnRole>, DbError> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query_as!(
        Row,
        "SELECT id, name, scope, description, permissions, version, created_at FROM gc.role
          WHERE tenant_id = $1 AND name = $2 AND ended_at IS NULL",
        tenant,
        name
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(OwnRole::from))
}

/// The same, locked: against whoever gives it at this moment, too.
pub async fn lock(tx: &mut TenantTx, name: &str) -> Result<Option<OwnRole>, DbError> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query_as!(
        Row,
        "SELECT id, name, scope, description, permissions, version, created_at FROM gc.role
          WHERE tenant_id = $1 AND name = $2 AND ended_at IS NULL FOR UPDATE",
        tenant,
        name
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(OwnRole::from))
}

/// Those of the tenant's own among `names`, held as they are until the transaction ends: one that is being given is not deleted
/// or made to hold more meanwhile.
pub async fn hold(tx: &mut TenantTx, names: &[String]) -> Result<Vec<Stored>, DbError> {
    let tenant = tx.tenant().uuid();
    Ok(sqlx::query_as!(
        Stored,
        "SELECT name, scope, permissions FROM gc.role
          WHERE tenant_id = $1 AND name = ANY($2) AND ended_at IS NULL ORDER BY id FOR SHARE",
        tenant,
        names
    )
    .fetch_all(tx.conn())
    .await?)
}

pub async fn insert(tx: &mut TenantTx, role: &OwnRole, by: UserId) -> Result<(), DbError> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "INSERT INTO gc.role (tenant_id, id, name, scope, description, permissions, created_by, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        tenant,
        role.id.uuid(),
        role.name,
        role.scope,
        role.description,
        &role.permissions,
        by.to_string(),
        role.created_at
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Writes description and permissions; its new version.
pub async fn update(tx: &mut TenantTx, role: &OwnRole, now: OffsetDateTime) -> Result<u64, DbError> {
    let tenant = tx.tenant().uuid();
    let version = sqlx::query_scalar!(
        "UPDATE gc.role SET description = $3, permissions = $4, changed_at = $5
          WHERE tenant_id = $1 AND id = $2 AND ended_at IS NULL RETURNING version",
        tenant,
        role.id.uuid(),
        role.description,
        &role.permissions,
        now
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(version.cast_unsigned())
}

/// How many memberships and invitations that are not over give a role, and keys that were not revoked have it.
pub async fn uses(tx: &mut TenantTx, name: &str, now: OffsetDateTime) -> Result<i64, DbError> {
    let tenant = tx.tenant().uuid();
    Ok(sqlx::query_scalar!(
        "SELECT (SELECT count(*) FROM gc.membership
                  WHERE tenant_id = $1 AND $2 = ANY(roles) AND ended_at IS NULL AND (until_at IS NULL OR until_at > $3))
              + (SELECT count(*) FROM gc.invitation
                  WHERE tenant_id = $1 AND $2 = ANY(roles) AND ended_at IS NULL AND expires_at > $3)
              + (SELECT count(*) FROM gc.api_key
                  WHERE tenant_id = $1 AND role = $2 AND revoked_at IS NULL) AS \"uses!\"",
        tenant,
        name,
        now
    )
    .fetch_one(tx.conn())
    .await?)
}

pub async fn end(tx: &mut TenantTx, id: RoleId, now: OffsetDateTime) -> Result<(), DbError> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "UPDATE gc.role SET ended_at = $3 WHERE tenant_id = $1 AND id = $2 AND ended_at IS NULL",
        tenant,
        id.uuid(),
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
