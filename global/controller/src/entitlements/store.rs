use super::{Entitlement, Limits, RegionName};
use exarch_common_base::EntitlementId;
use exarch_common_pg::{DbError, TenantTx};
use time::OffsetDateTime;
use uuid::Uuid;

pub async fn insert(tx: &mut TenantTx, entitlement: &Entitlement, created_by: &str) -> Result<(), DbError> {
    let tenant = tx.tenant().uuid();
    // the ranges are checked where the limits are read
    let limit = |n: Option<u32>| n.map(|n| n as i32);
    sqlx::query!(
        "INSERT INTO gc.entitlement (tenant_id, id, region_id, from_at, until_at, clusters, hosts, leases, created_by,
                                     created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        tenant,
        entitlement.id.uuid(),
        entitlement.region.id.uuid(),
        entitlement.from,
        entitlement.until,
        limit(entitlement.limits.clusters),
        limit(entitlement.limits.hosts),
        limit(entitlement.limits.leases),
        created_by,
        entitlement.created_at
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

struct Row {
    id: Uuid,
    region_id: Uuid,
    slug: String,
    from_at: OffsetDateTime,
    until_at: Option<OffsetDateTime>,
    clusters: Option<i32>,
    hosts: Option<i32>,
    leases: Option<i32>,
    created_at: OffsetDateTime,
    version: i64,
}

impl Row {
    fn read(self) -> Option<Entitlement> {
        // the table checks that no limit is negative
        let count = |n: Option<i32>| n.map(i32::cast_unsigned);
        Some(Entitlement {
            id: self.id.into(),
            region: RegionName {
                id: self.region_id.into(),
                // was one when it was written
                slug: self.slug.parse().ok()?,
            },
            from: self.from_at,
            until: self.until_at,
            limits: Limits {
                clusters: count(self.clusters),
                hosts: count(self.hosts),
                leases: count(self.leases),
            },
            created_at: self.created_at,
            version: self.version.cast_unsigned(),
        })
    }
}

/// Entitlements of the transaction's tenant that were not ended, newest first, from the one after `after`.
pub async fn page(tx: &mut TenantTx, after: Option<Uuid>, limit: i64) -> Result<Vec<Entitlement>, DbError> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query_as!(
        Row,
        "SELECT e.id, e.region_id, r.slug, e.from_at, e.until_at, e.clusters, e.hosts, e.leases, e.created_at, e.version
           FROM gc.entitlement e JOIN gc.region r ON r.id = e.region_id
          WHERE e.tenant_id = $1 AND e.ended_at IS NULL AND ($2::uuid IS NULL OR e.id < $2)
          ORDER BY e.id DESC LIMIT $3",
        tenant,
        after,
        limit
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().filter_map(Row::read).collect())
}

/// One of them.
pub async fn find(tx: &mut TenantTx, id: EntitlementId) -> Result<Option<Entitlement>, DbError> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query_as!(
        Row,
        "SELECT e.id, e.region_id, r.slug, e.from_at, e.until_at, e.clusters, e.hosts, e.leases, e.created_at, e.version
           FROM gc.entitlement e JOIN gc.region r ON r.id = e.region_id
          WHERE e.tenant_id = $1 AND e.id = $2 AND e.ended_at IS NULL",
        tenant,
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.and_then(Row::read))
}

/// One of them, which nobody else changes until the end of the transaction.
pub async fn lock(tx: &mut TenantTx, id: EntitlementId) -> Result<Option<Entitlement>, DbError> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query_as!(
        Row,
        "SELECT e.id, e.region_id, r.slug, e.from_at, e.until_at, e.clusters, e.hosts, e.leases, e.created_at, e.version
           FROM gc.entitlement e JOIN gc.region r ON r.id = e.region_id
          WHERE e.tenant_id = $1 AND e.id = $2 AND e.ended_at IS NULL FOR NO KEY UPDATE OF e",
        tenant,
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.and_then(Row::read))
}

/// Writes end and limits; its new version.
pub async fn update(tx: &mut TenantTx, entitlement: &Entitlement) -> Result<u64, DbError> {
    let tenant = tx.tenant().uuid();
    let limit = |n: Option<u32>| n.map(u32::cast_signed);
    let version = sqlx::query_scalar!(
        "UPDATE gc.entitlement SET until_at = $3, clusters = $4, hosts = $5, leases = $6
          WHERE tenant_id = $1 AND id = $2 AND ended_at IS NULL RETURNING version",
        tenant,
        entitlement.id.uuid(),
        entitlement.until,
        limit(entitlement.limits.clusters),
        limit(entitlement.limits.hosts),
        limit(entitlement.limits.leases)
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(version.cast_unsigned())
}

/// Ends one.
pub async fn end(tx: &mut TenantTx, id: EntitlementId, now: OffsetDateTime) -> Result<(), DbError> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "UPDATE gc.entitlement SET ended_at = $3 WHERE tenant_id = $1 AND id = $2 AND ended_at IS NULL",
        tenant,
        id.uuid(),
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
