//! Rows that a test needs and that come about by other people's hands: an enrolled agent, a lease, a bootstrap token.
use crate::agents::AgentCaller;
use exarch_common_base::{ClusterId, LeaseId, ResourceId, TokenId};
use exarch_common_pg::TenantTx;

/// An active agent.
pub(crate) async fn insert_agent(tx: &mut TenantTx, agent: &AgentCaller) {
    sqlx::query(
        "INSERT INTO gw.agent (tenant_id, cluster_id, id, name, state, public_key, csr, enrolled_at, enrolled_from)
         VALUES ($1, $2, $3, $4, 'active', $5, '', now(), 'a test')",
    )
    .bind(agent.tenant.uuid())
    .bind(agent.cluster.uuid())
    .bind(agent.id.uuid())
    .bind(&*agent.name)
    .bind(agent.id.uuid().as_bytes().as_slice())
    .execute(tx.conn())
    .await
    .expect("an agent");
}

/// An active lease of 30 s, with the first fence.
pub(crate) async fn insert_lease(tx: &mut TenantTx, id: LeaseId, resource: ResourceId, holder: &AgentCaller) {
    sqlx::query(
        "INSERT INTO gw.lease (tenant_id, cluster_id, id, resource_id, agent_id, incarnation, actions, epoch, generation,
                               seq, ttl_ms, state, granted_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, '{start}', 1, 1, 1, 30000, 'active', now(), now() + interval '30 s')",
    )
    .bind(holder.tenant.uuid())
    .bind(holder.cluster.uuid())
    .bind(id.uuid())
    .bind(resource.uuid())
    .bind(holder.id.uuid())
    .bind(holder.incarnation.bytes().as_slice())
    .execute(tx.conn())
    .await
    .expect("a lease");
}

/// A token that was not used yet.
pub(crate) async fn insert_token(tx: &mut TenantTx, id: TokenId, cluster: ClusterId, name: &str) {
    let tenant = tx.tenant().uuid();
    sqlx::query(
        "INSERT INTO gw.bootstrap_token (tenant_id, cluster_id, id, name, auto, hash, created_at, created_by, expires_at)
         VALUES ($1, $2, $3, $4, true, sha256('x'), now(), 'a test', now() + interval '1 hour')",
    )
    .bind(tenant)
    .bind(cluster.uuid())
    .bind(id.uuid())
    .bind(name)
    .execute(tx.conn())
    .await
    .expect("a bootstrap token");
}

/// Runs `sql` and answers how many rows it touched.
pub(crate) async fn run(tx: &mut TenantTx, sql: &'static str) -> u64 {
    let done = sqlx::raw_sql(sql).execute(tx.conn()).await;
    done.expect("a statement of a test").rows_affected()
}
