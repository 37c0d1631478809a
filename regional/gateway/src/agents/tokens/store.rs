//! Rows of `gw.bootstrap_token`.
use super::TokensOf;
use crate::{
    agents::{
        shown::TokenOut,
        store::one,
        token::{TokenState, Use},
    },
    paging::{OfCluster, Window},
};
use exarch_common_base::{AgentId, ClusterId, HostId, TokenId};
use exarch_common_pg::{DbError, TenantTx};
use time::OffsetDateTime;
use uuid::Uuid;

/// A bootstrap token as it lies here.
pub(in crate::agents) struct StoredToken {
    pub(in crate::agents) cluster: ClusterId,
    pub(in crate::agents) host: Option<HostId>,
    pub(in crate::agents) name: Option<String>,
    pub(in crate::agents) auto: bool,
    /// The one agent that it lets in again.
    pub(in crate::agents) agent: Option<AgentId>,
    pub(in crate::agents) expires_at: OffsetDateTime,
    pub(in crate::agents) hash: Vec<u8>,
    pub(in crate::agents) state: TokenState,
}

/// The token, locked until the transaction ends: of all who come with it at a time, one comes first.
pub(in crate::agents) async fn lock(
    tx: &mut TenantTx,
    id: TokenId,
    now: OffsetDateTime,
) -> Result<Option<StoredToken>, DbError> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query!(
        "SELECT cluster_id, host_id, name, auto, agent_id, hash, expires_at, revoked_at, spent_at, spent_from, spent_agent
           FROM gw.bootstrap_token WHERE tenant_id = $1 AND id = $2 FOR UPDATE",
        tenant,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| StoredToken {
        cluster: row.cluster_id.into(),
        host: row.host_id.map(HostId::from),
        name: row.name,
        auto: row.auto,
        agent: row.agent_id.map(AgentId::from),
        expires_at: row.expires_at,
        hash: row.hash,
        state: TokenState::of(
            first_use(row.spent_at, row.spent_from, row.spent_agent),
            row.revoked_at.is_some(),
            row.expires_at,
            now,
        ),
    }))
}

fn first_use(at: Option<OffsetDateTime>, from: Option<String>, agent: Option<Uuid>) -> Option<Use> {
    Some(Use {
        at: at?,
        from: from?,
        agent: agent?.into(),
    })
}

/// A token to be made.
pub(in crate::agents) struct NewToken<'a> {
    pub(in crate::agents) id: TokenId,
    pub(in crate::agents) cluster: ClusterId,
    pub(in crate::agents) host: Option<HostId>,
    pub(in crate::agents) name: Option<&'a str>,
    pub(in crate::agents) auto: bool,
    pub(in crate::agents) agent: Option<AgentId>,
    pub(in crate::agents) hash: [u8; 32],
    pub(in crate::agents) by: String,
    pub(in crate::agents) now: OffsetDateTime,
    pub(in crate::agents) expires_at: OffsetDateTime,
}

pub(in crate::agents) async fn insert(tx: &mut TenantTx, new: NewToken<'_>) -> Result<(), DbError> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "INSERT INTO gw.bootstrap_token (tenant_id, cluster_id, id, host_id, name, auto, hash, created_at, created_by,
                                         expires_at, agent_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        tenant,
        new.cluster.uuid(),
        new.id.uuid(),
        new.host.map(HostId::uuid),
        new.name,
        new.auto,
        new.hash.as_slice(),
        new.now,
        new.by,
        new.expires_at,
        new.agent.map(AgentId::uuid),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(in crate::agents) async fn spend(tx: &mut TenantTx, id: TokenId, by: &Use) -> Result<(), DbError> {
    let tenant = tx.tenant().uuid();
    let done = sqlx::query!(
        "UPDATE gw.bootstrap_token SET spent_at = $3, spent_from = $4, spent_agent = $5
          WHERE tenant_id = $1 AND id = $2 AND spent_at IS NULL AND revoked_at IS NULL",
        tenant,
        id.uuid(),
        by.at,
        by.from,
        by.agent.uuid(),
    )
    .execute(tx.conn())
    .await?;
    one(done.rows_affected())
}

/// Takes an open token back; whether it was open.
pub(in crate::agents) async fn revoke(tx: &mut TenantTx, id: TokenId, now: OffsetDateTime) -> Result<bool, DbError> {
    let tenant = tx.tenant().uuid();
    let done = sqlx::query!(
        "UPDATE gw.bootstrap_token SET revoked_at = $3
          WHERE tenant_id = $1 AND id = $2 AND spent_at IS NULL AND revoked_at IS NULL",
        tenant,
        id.uuid(),
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Takes back the open tokens of `whose`; answers which.
pub(in crate::agents) async fn revoke_of(
    tx: &mut TenantTx,
    whose: TokensOf,
    now: OffsetDateTime,
) -> Result<Vec<TokenId>, DbError> {
    let tenant = tx.tenant().uuid();
    let (agent, host, cluster) = match whose {
        TokensOf::Agent(id) => (Some(id.uuid()), None, None),
        TokensOf::Host(id) => (None, Some(id.uuid()), None),
        TokensOf::Cluster(id) => (None, None, Some(id.uuid())),
    };
    let ids = sqlx::query_scalar!(
        "UPDATE gw.bootstrap_token SET revoked_at = $2
          WHERE tenant_id = $1 AND (agent_id = $3 OR host_id = $4 OR cluster_id = $5)
            AND spent_at IS NULL AND revoked_at IS NULL
         RETURNING id",
        tenant,
        now,
        agent,
        host,
        cluster,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(ids.into_iter().map(TokenId::from).collect())
}

/// Those of the window, newest first.
pub(in crate::agents) async fn page(
    tx: &mut TenantTx,
    filter: OfCluster,
    window: Window,
    now: OffsetDateTime,
) -> Result<Vec<TokenOut>, DbError> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query!(
        "SELECT id, cluster_id, host_id, name, auto, created_at, created_by, expires_at, revoked_at, spent_at, spent_from,
                spent_agent
           FROM gw.bootstrap_token
          WHERE tenant_id = $1 AND id < $2 AND ($3::uuid IS NULL OR cluster_id = $3) ORDER BY id DESC LIMIT $4",
        tenant,
        window.before,
        filter.cluster_id.map(ClusterId::uuid),
        window.rows,
    )
    .fetch_all(tx.conn())
    .await?;
    let tokens = rows.into_iter().map(|row| {
        let spent = first_use(row.spent_at, row.spent_from, row.spent_agent);
        TokenOut {
            id: row.id.into(),
            cluster_id: row.cluster_id.into(),
            host_id: row.host_id.map(HostId::from),
            name: row.name,
            auto: row.auto,
            state: TokenState::of(spent.clone(), row.revoked_at.is_some(), row.expires_at, now).as_str(),
            created_at: row.created_at,
            created_by: row.created_by,
            expires_at: row.expires_at,
            spent_at: row.spent_at,
            spent_from: spent.as_ref().map(|first| first.from.clone()),
            spent_by: spent.map(|first| first.agent),
        }
    });
    Ok(tokens.collect())
}
