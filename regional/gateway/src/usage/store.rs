//! Rows of `gw.usage`.
use super::Counted;
use exarch_common_pg::{DbError, TenantTx};

/// Adds one to the count of `what` and answers the new count; the row is locked until the transaction ends.
pub(super) async fn add_one(tx: &mut TenantTx, what: Counted) -> Result<i64, DbError> {
    let tenant = tx.tenant().uuid();
    let (clusters, hosts) = match what {
        Counted::Clusters => (1, 0),
        Counted::Hosts => (0, 1),
    };
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
