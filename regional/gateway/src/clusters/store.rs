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
              WHERE (SELECT gw.entered($1, $2, $3, $4)) AND tenant_id = $1 AND id = $5 AND deleted_at IS NULL",
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

/// The cluster, locked until the transaction ends against other changes and against [`hold`].
pub(super) async fn lock(tx: &mut TenantTx, id: ClusterId) -> Result<Option<Cluster>, DbError> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query_as!(
        Row,
        "SELECT id, name, version, created_at FROM gw.cluster
          WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL FOR NO KEY UPDATE",
        tenant,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(Cluster::from))
}

/// Whether the cluster is there; it stays so until the transaction ends.
pub(super) async fn hold(tx: &mut TenantTx, id: ClusterId) -> Result<bool, DbError> {
    let tenant = tx.tenant().uuid();
    let found = sqlx::query_scalar!(
        "SELECT id FROM gw.cluster WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL FOR SHARE",
        tenant,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(found.is_some())
}

/// Whether there is or was such a cluster.
pub(super) async fn was(tx: &mut TenantTx, id: ClusterId) -> Result<bool, DbError> {
    let tenant = tx.tenant().uuid();
    let found = sqlx::query_scalar!(
        "SELECT EXISTS (SELECT FROM gw.cluster WHERE tenant_id = $1 AND id = $2) AS \"was!\"",
        tenant,
        id.uuid(),
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(found)
}

/// Another name for a locked cluster.
pub(super) async fn rename(tx: &mut TenantTx, id: ClusterId, name: &Slug) -> Result<Cluster, DbError> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query_as!(
        Row,
        "UPDATE gw.cluster SET name = $3, version = version + 1 WHERE tenant_id = $1 AND id = $2
         RETURNING id, name, version, created_at",
        tenant,
        id.uuid(),
        name.as_str(),
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(row.into())
}

/// Deletes a locked cluster.
pub(super) async fn delete(tx: &mut TenantTx, id: ClusterId, now: OffsetDateTime) -> Result<(), DbError> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "UPDATE gw.cluster SET deleted_at = $3, version = version + 1 WHERE tenant_id = $1 AND id = $2",
        tenant,
        id.uuid(),
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// What is left in a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) hosts: i64,
    /// Those that are neither revoked nor removed.
    pub(super) agents: i64,
    pub(super) resources: i64,
    pub(super) workloads: i64,
}

pub(super) async fn contents(tx: &mut TenantTx, id: ClusterId) -> Result<Contents, DbError> {
    let tenant = tx.tenant().uuid();
    let contents = sqlx::query_as!(
        Contents,
        r#"SELECT (SELECT count(*) FROM gw.host
                    WHERE tenant_id = $1 AND cluster_id = $2 AND deleted_at IS NULL) AS "hosts!",
                  (SELECT count(*) FROM gw.agent
                    WHERE tenant_id = $1 AND cluster_id = $2 AND state NOT IN ('revoked', 'removed')) AS "agents!",
                  (SELECT count(*) FROM gw.resource
                    WHERE tenant_id = $1 AND cluster_id = $2 AND deleted_at IS NULL) AS "resources!",
                  (SELECT count(*) FROM gw.workload
                    WHERE tenant_id = $1 AND cluster_id = $2 AND deleted_at IS NULL) AS "workloads!""#,
        tenant,
        id.uuid(),
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(contents)
}

/// Those of the window, newest first.
pub(super) async fn page(pool: &AppPool, caller: &impl InTenant, window: Window) -> Result<Vec<Cluster>, DbError> {
    let rows = read_once(pool, caller, |conn, context| {
        let query = sqlx::query_as!(
            Row,
            "SELECT id, name, version, created_at FROM gw.cluster
              WHERE (SELECT gw.entered($1, $2, $3, $4)) AND tenant_id = $1 AND id < $5
                AND deleted_at IS NULL ORDER BY id DESC LIMIT $6",
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
