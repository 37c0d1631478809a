//! The room's rows: a tenant's rights to regions, in its own transaction.
use super::entry::Right;
use exarch_common_base::{RegionId, TenantId};
use exarch_common_pg::DbError;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// The tenant's right to one region that nobody has ended.
pub(super) async fn right(
    conn: &mut PgConnection,
    tenant: TenantId,
    region: RegionId,
) -> Result<Option<Right>, DbError> {
    Ok(sqlx::query_as!(
        Right,
        r#"SELECT from_at AS "from", until_at AS until, ended_at AS ended FROM gc.entitlement
            WHERE tenant_id = $1 AND region_id = $2 AND ended_at IS NULL"#,
        tenant.uuid(),
        region.uuid(),
    )
    .fetch_optional(conn)
    .await?)
}

/// Which of a tenant's rights are asked for.
pub(super) struct Wanted<'a> {
    pub tenant: TenantId,
    /// Only these regions.
    pub regions: Option<&'a [RegionId]>,
    /// Those too that are not in force.
    pub all: bool,
    pub now: OffsetDateTime,
    pub before: Option<Uuid>,
    pub limit: i64,
}

/// The tenant's rights, one for each region, newest region first.
pub(super) async fn rights(conn: &mut PgConnection, wanted: &Wanted<'_>) -> Result<Vec<(RegionId, Right)>, DbError> {
    let regions: Option<Vec<Uuid>> = wanted.regions.map(|r| r.iter().map(|id| id.uuid()).collect());
    let rows = sqlx::query!(
        "SELECT DISTINCT ON (region_id) region_id, from_at, until_at, ended_at FROM gc.entitlement
          WHERE tenant_id = $1
            AND ($2::uuid[] IS NULL OR region_id = ANY ($2))
            AND ($3 OR (ended_at IS NULL AND from_at <= $4 AND (until_at IS NULL OR until_at > $4)))
            AND ($5::uuid IS NULL OR region_id < $5)
          ORDER BY region_id DESC, ended_at DESC NULLS FIRST, from_at DESC
          LIMIT $6",
        wanted.tenant.uuid(),
        regions.as_deref(),
        wanted.all,
        wanted.now,
        wanted.before,
        wanted.limit,
    )
    .fetch_all(conn)
    .await?;
    let rights = rows.into_iter().map(|r| {
        let right = Right {
            from: r.from_at,
            until: r.until_at,
            ended: r.ended_at,
        };
        (r.region_id.into(), right)
    });
    Ok(rights.collect())
}
