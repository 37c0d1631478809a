//! Rows of `gw.host`.
use super::Host;
use crate::paging::{OfCluster, Window};
use exarch_common_base::{ClusterId, HostId, Slug};
use exarch_common_pg::{DbError, TenantTx};
use time::OffsetDateTime;
use uuid::Uuid;

pub(super) async fn insert(
    tx: &mut TenantTx,
    id: HostId,
    cluster: ClusterId,
    name: &Slug,
    now: OffsetDateTime,
) -> Result<Host, DbError> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query_as!(
        Row,
        "INSERT INTO gw.host (tenant_id, cluster_id, id, name, created_at) VALUES ($1, $2, $3, $4, $5)
         RETURNING id, cluster_id, name, version, created_at",
        tenant,
        cluster.uuid(),
        id.uuid(),
        name.as_str(),
        now,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(row.into())
}

pub(super) async fn find(tx: &mut TenantTx, id: HostId) -> Result<Option<Host>, DbError> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query_as!(
        Row,
        "SELECT id, cluster_id, name, version, created_at FROM gw.host
          WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL",
        tenant,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(Host::from))
}

/// The host, locked until the transaction ends against other changes and against [`hold`].
pub(super) async fn lock(tx: &mut TenantTx, id: HostId) -> Result<Option<Host>, DbError> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query_as!(
        Row,
        "SELECT id, cluster_id, name, version, created_at FROM gw.host
          WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL FOR NO KEY UPDATE",
        tenant,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(Host::from))
}

/// Whether the host is there, in this cluster; it stays so until the transaction ends.
pub(super) async fn hold(tx: &mut TenantTx, cluster: ClusterId, id: HostId) -> Result<bool, DbError> {
    let tenant = tx.tenant().uuid();
    let found = sqlx::query_scalar!(
        "SELECT id FROM gw.host
          WHERE tenant_id = $1 AND cluster_id = $2 AND id = $3 AND deleted_at IS NULL FOR SHARE",
        tenant,
        cluster.uuid(),
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(found.is_some())
}

/// Another name for a locked host.
pub(super) async fn rename(tx: &mut TenantTx, id: HostId, name: &Slug) -> Result<Host, DbError> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query_as!(
        Row,
        "UPDATE gw.host SET name = $3, version = version + 1 WHERE tenant_id = $1 AND id = $2
         RETURNING id, cluster_id, name, version, created_at",
        tenant,
        id.uuid(),
        name.as_str(),
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(row.into())
}

/// Deletes a locked host.
pub(super) async fn delete(tx: &mut TenantTx, id: HostId, now: OffsetDateTime) -> Result<(), DbError> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "UPDATE gw.host SET deleted_at = $3, version = version + 1 WHERE tenant_id = $1 AND id = $2",
        tenant,
        id.uuid(),
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The name of the agent that is enrolled for the host, neither revoked nor removed.
pub(super) async fn agent_on(tx: &mut TenantTx, id: HostId) -> Result<Option<String>, DbError> {
    let tenant = tx.tenant().uuid();
    let name = sqlx::query_scalar!(
        "SELECT name FROM gw.agent WHERE tenant_id = $1 AND host_id = $2 AND state NOT IN ('revoked', 'removed')",
        tenant,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(name)
}

/// Those of the window, newest first.
pub(super) async fn page(tx: &mut TenantTx, filter: OfCluster, window: Window) -> Result<Vec<Host>, DbError> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query_as!(
        Row,
        "SELECT id, cluster_id, name, version, created_at FROM gw.host
          WHERE tenant_id = $1 AND id < $2 AND ($3::uuid IS NULL OR cluster_id = $3) AND deleted_at IS NULL
          ORDER BY id DESC LIMIT $4",
        tenant,
        window.before,
        filter.cluster_id.map(ClusterId::uuid),
        window.rows,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(Host::from).collect())
}

struct Row {
    id: Uuid,
    cluster_id: Uuid,
    name: String,
    version: i64,
    created_at: OffsetDateTime,
}

impl From<Row> for Host {
    fn from(row: Row) -> Self {
        Self {
            id: row.id.into(),
            cluster_id: row.cluster_id.into(),
            name: row.name,
            version: row.version.unsigned_abs(),
            created_at: row.created_at,
        }
    }
}
