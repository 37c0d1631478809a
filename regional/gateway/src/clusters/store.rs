//! Rows of `gw.cluster`.
use super::Cluster;
use crate::paging::Window;
use exarch_common_base::{ClusterId, Slug};
use exarch_common_pg::{DbError, TenantTx};
use time::OffsetDateTime;
use uuid::Uuid;

pub(super) async fn insert(
    tx: &mut TenantTx,
    id: ClusterId,
    name: &Slug,
    now: OffsetDateTime,
) -> Result<Cluster, DbError> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query_as!(
        Row,
        "INSERT INTO gw.cluster (tenant_id, id, name, created_at) VALUES ($1, $2, $3, $4)
         RETURNING id, name, version, created_at",
        tenant,
        id.uuid(),
        name.as_str(),
        now,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(row.into())
}

pub(super) async fn find(tx: &mut TenantTx, id: ClusterId) -> Result<Option<Cluster>, DbError> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query_as!(
        Row,
        "SELECT id, name, version, created_at FROM gw.cluster WHERE tenant_id = $1 AND id = $2",
        tenant,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(Cluster::from))
}

/// Those of the window, newest first.
pub(super) async fn page(tx: &mut TenantTx, window: Window) -> Result<Vec<Cluster>, DbError> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query_as!(
        Row,
        "SELECT id, name, version, created_at FROM gw.cluster
          WHERE tenant_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
        tenant,
        window.before,
        window.rows,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(Cluster::from).collect())
}

struct Row {
    id: Uuid,
    name: String,
    version: i64,
    created_at: OffsetDateTime,
}

impl From<Row> for Cluster {
    fn from(row: Row) -> Self {
        Self {
            id: row.id.into(),
            name: row.name,
            version: row.version.unsigned_abs(),
            created_at: row.created_at,
        }
    }
}
