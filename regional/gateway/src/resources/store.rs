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
          WHERE tenant_id = $1 AND id = $2",
        tenant,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(Row::read).transpose()
}

/// Those of the window, newest first.
pub(super) async fn page(tx: &mut TenantTx, filter: OfCluster, window: Window) -> Result<Vec<Resource>, DbError> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query_as!(
        Row,
        "SELECT id, cluster_id, name, kind, ttl_ms, version, created_at FROM gw.resource
          WHERE tenant_id = $1 AND id < $2 AND ($3::uuid IS NULL OR cluster_id = $3) ORDER BY id DESC LIMIT $4",
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
