//! Rows of `gw.resource`.
use super::{Resource, ResourceKind};
use crate::paging::{OfCluster, Window};
use exarch_common_base::{ClusterId, ResourceId, Slug};
use exarch_common_pg::{DbError, TenantTx};
use time::OffsetDateTime;
use uuid::Uuid;

pub(super) struct NewRow<'a> {
    pub(super) id: ResourceId,
    pub(super) cluster: ClusterId,
    pub(super) name: &'a Slug,
    pub(super) kind: ResourceKind,
    pub(super) ttl_ms: u64,
    pub(super) now: OffsetDateTime,
}

pub(super) async fn insert(tx: &mut TenantTx, new: NewRow<'_>) -> Result<Resource, DbError> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query_as!(
        Row,
        "INSERT INTO gw.resource (tenant_id, cluster_id, id, name, kind, ttl_ms, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         RETURNING id, cluster_id, name, kind, ttl_ms, version, created_at",
        tenant,
        new.cluster.uuid(),
        new.id.uuid(),
        new.name.as_str(),
        new.kind.as_str(),
        new.ttl_ms as i64,
        new.now,
    )
    .fetch_one(tx.conn())
    .await?;
    row.read()
}

pub(super) async fn find(tx: &mut TenantTx, id: ResourceId) -> Result<Option<Resource>, DbError> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query_as!(
        Row,
        "SELECT id, cluster_id, name, kind, ttl_ms, version, created_at FROM gw.resource
          WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL",
        tenant,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(Row::read).transpose()
}

/// The resource, locked until the transaction ends against other changes, [`hold`], and grants of a lease on it.
pub(super) async fn lock(tx: &mut TenantTx, id: ResourceId) -> Result<Option<Resource>, DbError> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query_as!(
        Row,
        "SELECT id, cluster_id, name, kind, ttl_ms, version, created_at FROM gw.resource
          WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL FOR NO KEY UPDATE",
        tenant,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(Row::read).transpose()
}

/// Whether the resource is there, in this cluster; it stays so until the transaction ends.
pub(super) async fn hold(tx: &mut TenantTx, cluster: ClusterId, id: ResourceId) -> Result<bool, DbError> {
    let tenant = tx.tenant().uuid();
    let found = sqlx::query_scalar!(
        "SELECT id FROM gw.resource
          WHERE tenant_id = $1 AND cluster_id = $2 AND id = $3 AND deleted_at IS NULL FOR SHARE",
        tenant,
        cluster.uuid(),
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(found.is_some())
}

/// What may change of a locked resource.
pub(super) async fn save(tx: &mut TenantTx, id: ResourceId, name: &str, ttl_ms: u64) -> Result<Resource, DbError> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query_as!(
        Row,
        "UPDATE gw.resource SET name = $3, ttl_ms = $4, version = version + 1 WHERE tenant_id = $1 AND id = $2
         RETURNING id, cluster_id, name, kind, ttl_ms, version, created_at",
        tenant,
        id.uuid(),
        name,
        ttl_ms as i64,
    )
    .fetch_one(tx.conn())
    .await?;
    row.read()
}

/// Deletes a locked resource. Its row stays, and with it those of its leases: the highest fence is in the newest of them.
pub(super) async fn delete(tx: &mut TenantTx, id: ResourceId, now: OffsetDateTime) -> Result<(), DbError> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "UPDATE gw.resource SET deleted_at = $3, version = version + 1 WHERE tenant_id = $1 AND id = $2",
        tenant,
        id.uuid(),
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The name of a workload that runs under a lease on the resource.
pub(super) async fn used_by(tx: &mut TenantTx, resource: &Resource) -> Result<Option<String>, DbError> {
    let tenant = tx.tenant().uuid();
    let name = sqlx::query_scalar!(
        "SELECT name FROM gw.workload
          WHERE tenant_id = $1 AND cluster_id = $2 AND resource_id = $3 AND deleted_at IS NULL ORDER BY id LIMIT 1",
        tenant,
        resource.cluster_id.uuid(),
        resource.id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(name)
}

/// Those of the window, newest first.
pub(super) async fn page(tx: &mut TenantTx, filter: OfCluster, window: Window) -> Result<Vec<Resource>, DbError> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query_as!(
        Row,
        "SELECT id, cluster_id, name, kind, ttl_ms, version, created_at FROM gw.resource
          WHERE tenant_id = $1 AND id < $2 AND ($3::uuid IS NULL OR cluster_id = $3) AND deleted_at IS NULL
          ORDER BY id DESC LIMIT $4",
        tenant,
        window.before,
        filter.cluster_id.map(ClusterId::uuid),
        window.rows,
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(Row::read).collect()
}

struct Row {
    id: Uuid,
    cluster_id: Uuid,
    name: String,
    kind: String,
    ttl_ms: i64,
    version: i64,
    created_at: OffsetDateTime,
}

impl Row {
    fn read(self) -> Result<Resource, DbError> {
        let kind = ResourceKind::parse(&self.kind)
            .ok_or_else(|| sqlx::Error::Decode(format!("a resource of the unknown kind {}", self.kind).into()))?;
        Ok(Resource {
            id: self.id.into(),
            cluster_id: self.cluster_id.into(),
            name: self.name,
            kind,
            ttl_ms: self.ttl_ms.unsigned_abs(),
            version: self.version.unsigned_abs(),
            created_at: self.created_at,
        })
    }
}
