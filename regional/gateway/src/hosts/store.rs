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
        "SELECT id, cluster_id, name, version, created_at FROM gw.host WHERE tenant_id = $1 AND id = $2",
        tenant,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(Host::from))
}

/// Those of the window, newest first.
pub(super) async fn page(tx: &mut TenantTx, filter: OfCluster, window: Window) -> Result<Vec<Host>, DbError> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query_as!(
        Row,
        "SELECT id, cluster_id, name, version, created_at FROM gw.host
          WHERE tenant_id = $1 AND id < $2 AND ($3::uuid IS NULL OR cluster_id = $3) ORDER BY id DESC LIMIT $4",
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
