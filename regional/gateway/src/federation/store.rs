//! The region's identity, the numbers of used requests, and where the database stands.
use crate::app::Region;
use exarch_common_base::{RegionId, Slug};
use exarch_common_pg::{DbError, SystemTx};
use exarch_common_wire::health::DatabaseIdentity;
use std::collections::BTreeMap;
use time::{Duration, OffsetDateTime};

/// The region, once it has joined; a slug that cannot be read counts as not joined.
pub(crate) async fn region(tx: &mut SystemTx) -> Result<Option<Region>, DbError> {
    let row = sqlx::query!("SELECT id, slug, name, global_addr, issuer, federation_ca FROM gw.region")
        .fetch_optional(tx.conn())
        .await?;
    Ok(row.and_then(|row| {
        Some(Region {
            id: RegionId::from(row.id),
            slug: row.slug.parse::<Slug>().ok()?,
            name: row.name,
            global_addr: row.global_addr,
            issuer: row.issuer,
            federation_ca: row.federation_ca,
        })
    }))
}

pub(super) async fn insert_region(tx: &mut SystemTx, region: &Region, now: OffsetDateTime) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO gw.region (id, slug, name, global_addr, issuer, federation_ca, joined_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        region.id.uuid(),
        region.slug.as_str(),
        region.name,
        region.global_addr,
        region.issuer,
        region.federation_ca,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Forgets numbers whose tokens are dead.
pub(super) async fn sweep_spent(tx: &mut SystemTx, now: OffsetDateTime) -> Result<u64, DbError> {
    let done = sqlx::query!(
        "DELETE FROM gw.service_jti WHERE spent_at < $1",
        now - Duration::seconds(121)
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}

/// Where the database stands.
pub(super) async fn database_identity(tx: &mut SystemTx) -> Result<DatabaseIdentity, DbError> {
    let row = sqlx::query!(
        r#"SELECT (SELECT system_identifier FROM pg_control_system())::text AS "system!",
                  left(pg_walfile_name(pg_current_wal_lsn()), 8) AS "timeline!",
                  pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint AS "wal!",
                  epoch
             FROM gw.region_state"#
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(DatabaseIdentity {
        system: row.system,
        timeline: u32::from_str_radix(&row.timeline, 16).unwrap_or_default(),
        wal: row.wal.cast_unsigned(),
        epoch: row.epoch.cast_unsigned(),
    })
}

/// Agents by state, and leases that are active, over all tenants: numbers alone. By `exarch_sweep`.
pub(super) async fn census(tx: &mut SystemTx) -> Result<(BTreeMap<String, u64>, u64), DbError> {
    let agents = sqlx::query!(r#"SELECT state, count(*) AS "many!" FROM gw.agent GROUP BY state"#)
        .fetch_all(tx.conn())
        .await?;
    let leases = sqlx::query_scalar!(r#"SELECT count(*) AS "many!" FROM gw.lease WHERE state = 'active'"#)
        .fetch_one(tx.conn())
        .await?;
    let agents = agents.into_iter().map(|row| (row.state, row.many.cast_unsigned()));
    Ok((agents.collect(), leases.cast_unsigned()))
}
