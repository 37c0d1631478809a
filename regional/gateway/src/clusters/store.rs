//! Rows of `gw.cluster`.
use super::Cluster;
use crate::paging::Window;
use exarch_common_base::{ClusterId, Slug};
use exarch_common_pg::{AppPool, DbError, InTenant, TenantTx, read_once};
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

pub(super) async fn find(pool: &AppPool, caller: &impl InTenant, id: ClusterId) -> Result<Option<Cluster>, DbError> {
    let row = read_once(pool, caller, |conn, context| {
        let query = sqlx::query_as!(
            Row,
            "SELECT id, name, version, created_at FROM gw.cluster
              WHERE (SELECT gw.entered($1, $2, $3, $4)) AND tenant_id = $1 AND id = $5",
            context.tenant,
            context.all_clusters,
            &context.clusters,
            context.actor,
            id.uuid(),
        );
        Box::pin(query.fetch_optional(conn))
    });
    Ok(row.await?.map(Cluster::from))
}

/// Those of the window, newest first.
pub(super) async fn page(pool: &AppPool, caller: &impl InTenant, window: Window) -> Result<Vec<Cluster>, DbError> {
    let rows = read_once(pool, caller, |conn, context| {
        let query = sqlx::query_as!(
            Row,
            "SELECT id, name, version, created_at FROM gw.cluster
              WHERE (SELECT gw.entered($1, $2, $3, $4)) AND tenant_id = $1 AND id < $5 ORDER BY id DESC LIMIT $6",
            context.tenant,
            context.all_clusters,
            &context.clusters,
            context.actor,
            window.before,
            window.rows,
        );
        Box::pin(query.fetch_all(conn))
    });
    Ok(rows.await?.into_iter().map(Cluster::from).collect())
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
