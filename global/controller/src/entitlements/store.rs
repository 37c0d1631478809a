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

/// Entitlements of the transaction's tenant that were not ended, newest first, from the one after `after`.
pub async fn page(tx: &mut TenantTx, after: Option<Uuid>, limit: i64) -> Result<Vec<Entitlement>, DbError> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query!(
        "SELECT e.id, e.region_id, r.slug, e.from_at, e.until_at, e.clusters, e.hosts, e.leases, e.created_at
           FROM gc.entitlement e JOIN gc.region r ON r.id = e.region_id
          WHERE e.tenant_id = $1 AND e.ended_at IS NULL AND ($2::uuid IS NULL OR e.id < $2)
          ORDER BY e.id DESC LIMIT $3",
        tenant,
        after,
        limit
    )
    .fetch_all(tx.conn())
    .await?;
    // the table checks that no limit is negative
    let count = |n: Option<i32>| n.map(|n| n as u32);
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            Some(Entitlement {
                id: row.id.into(),
                region: RegionName {
                    id: row.region_id.into(),
                    slug: row.slug.parse().ok()?,
                },
                from: row.from_at,
                until: row.until_at,
                limits: Limits {
                    clusters: count(row.clusters),
                    hosts: count(row.hosts),
                    leases: count(row.leases),
                },
                created_at: row.created_at,
            })
        })
        .collect())
}

/// Ends an entitlement; the slug of its region, or nothing when there is none that could be ended.
pub async fn end(tx: &mut TenantTx, id: EntitlementId, now: OffsetDateTime) -> Result<Option<String>, DbError> {
    let tenant = tx.tenant().uuid();
    Ok(sqlx::query_scalar!(
        "UPDATE gc.entitlement e SET ended_at = $3 FROM gc.region r
          WHERE r.id = e.region_id AND e.tenant_id = $1 AND e.id = $2 AND e.ended_at IS NULL RETURNING r.slug",
        tenant,
        id.uuid(),
        now
    )
    .fetch_optional(tx.conn())
    .await?)
}
