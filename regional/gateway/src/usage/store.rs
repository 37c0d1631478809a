//! Rows of `gw.usage`.
use super::Counted;
use exarch_common_pg::{DbError, TenantTx};

/// Adds one to the count of `what` and answers the new count; the row is locked until the transaction ends.
pub(super) async fn add_one(tx: &mut TenantTx, what: Counted) -> Result<i64, DbError> {
    let tenant = tx.tenant().uuid();
    let (clusters, hosts) = what.one();
    let row = sqlx::query!(
        "INSERT INTO gw.usage AS usage (tenant_id, clusters, hosts) VALUES ($1, $2, $3)
         ON CONFLICT (tenant_id) DO UPDATE
           SET clusters = usage.clusters + excluded.clusters, hosts = usage.hosts + excluded.hosts
         RETURNING clusters, hosts",
        tenant,
        clusters,
        hosts,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(match what {
        Counted::Clusters => row.clusters,
        Counted::Hosts => row.hosts,
    })
}

/// Takes one from the count of `what`; the row is locked until the transaction ends.
pub(super) async fn remove_one(tx: &mut TenantTx, what: Counted) -> Result<(), DbError> {
    let tenant = tx.tenant().uuid();
    let (clusters, hosts) = what.one();
    sqlx::query!(
        "UPDATE gw.usage SET clusters = clusters - $2, hosts = hosts - $3 WHERE tenant_id = $1",
        tenant,
        clusters,
        hosts,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
