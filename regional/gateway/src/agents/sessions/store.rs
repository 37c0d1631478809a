//! Rows of `gw.agent_session` and `gw.agent_challenge`.
use crate::agents::{
    agent::Chain,
    store::{damaged, one},
};
use exarch_common_base::{AgentId, ClusterId};
use exarch_common_pg::{DbError, TenantTx};
use time::OffsetDateTime;

/// Begins the chain of an agent, or gives it another first link as long as none was used. Whether none was.
pub(in crate::agents) async fn begin_chain(
    tx: &mut TenantTx,
    cluster: ClusterId,
    id: AgentId,
    hash: [u8; 32],
) -> Result<bool, DbError> {
    let tenant = tx.tenant().uuid();
    let done = sqlx::query!(
        "INSERT INTO gw.agent_session AS s (tenant_id, cluster_id, agent_id, chain_hash) VALUES ($1, $2, $3, $4)
         ON CONFLICT (tenant_id, agent_id) DO UPDATE SET chain_hash = $4 WHERE s.position = 1",
        tenant,
        cluster.uuid(),
        id.uuid(),
        hash.as_slice(),
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The chain of an agent and its last answer, sealed.
pub(in crate::agents) struct StoredChain {
    pub(in crate::agents) chain: Chain,
    pub(in crate::agents) answer: Option<Vec<u8>>,
    pub(in crate::agents) opened_from: Option<String>,
}

/// The chain, locked until the transaction ends.
pub(in crate::agents) async fn lock_chain(tx: &mut TenantTx, id: AgentId) -> Result<Option<StoredChain>, DbError> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query!(
        "SELECT position, chain_hash, request_hash, answer, opened_from FROM gw.agent_session
          WHERE tenant_id = $1 AND agent_id = $2 FOR UPDATE",
        tenant,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(|row| {
        Ok(StoredChain {
            chain: Chain {
                position: row.position.unsigned_abs(),
                hash: hash(&row.chain_hash)?,
                request: row.request_hash.as_deref().map(hash).transpose()?,
            },
            answer: row.answer,
            opened_from: row.opened_from,
        })
    })
    .transpose()
}

/// What an opening leaves behind.
pub(in crate::agents) struct Opened<'a> {
    pub(in crate::agents) chain: Chain,
    pub(in crate::agents) request: [u8; 32],
    pub(in crate::agents) answer: &'a [u8],
    pub(in crate::agents) from: &'a str,
    pub(in crate::agents) at: OffsetDateTime,
    pub(in crate::agents) jti: &'a str,
    pub(in crate::agents) jti_until: OffsetDateTime,
}

pub(in crate::agents) async fn advance(tx: &mut TenantTx, id: AgentId, opened: Opened<'_>) -> Result<(), DbError> {
    let tenant = tx.tenant().uuid();
    let done = sqlx::query!(
        "UPDATE gw.agent_session SET position = $3, chain_hash = $4, request_hash = $5, answer = $6, opened_from = $7,
                                     opened_at = $8, jti = $9, jti_until = $10
          WHERE tenant_id = $1 AND agent_id = $2",
        tenant,
        id.uuid(),
        opened.chain.position as i64,
        opened.chain.hash.as_slice(),
        opened.request.as_slice(),
        opened.answer,
        opened.from,
        opened.at,
        opened.jti,
        opened.jti_until,
    )
    .execute(tx.conn())
    .await?;
    one(done.rows_affected())
}

/// Keeps a challenge, and drops those of the agent that are over.
pub(in crate::agents) async fn insert_challenge(
    tx: &mut TenantTx,
    cluster: ClusterId,
    agent: AgentId,
    hash: [u8; 32],
    now: OffsetDateTime,
    expires_at: OffsetDateTime,
) -> Result<(), DbError> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "WITH over AS (DELETE FROM gw.agent_challenge WHERE tenant_id = $1 AND agent_id = $3 AND expires_at <= $5)
         INSERT INTO gw.agent_challenge (tenant_id, cluster_id, agent_id, hash, expires_at) VALUES ($1, $2, $3, $4, $6)",
        tenant,
        cluster.uuid(),
        agent.uuid(),
        hash.as_slice(),
        now,
        expires_at,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Spends a challenge; whether it was there and in time.
pub(in crate::agents) async fn take_challenge(
    tx: &mut TenantTx,
    agent: AgentId,
    hash: [u8; 32],
    now: OffsetDateTime,
) -> Result<bool, DbError> {
    let tenant = tx.tenant().uuid();
    let done = sqlx::query!(
        "DELETE FROM gw.agent_challenge WHERE tenant_id = $1 AND agent_id = $2 AND hash = $3 AND expires_at > $4",
        tenant,
        agent.uuid(),
        hash.as_slice(),
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

fn hash(bytes: &[u8]) -> Result<[u8; 32], DbError> {
    bytes
        .try_into()
        .map_err(|_| damaged("a hash of a session that has not 32 bytes".to_owned()))
}
