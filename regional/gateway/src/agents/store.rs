//! Rows of `gw.agent`, `gw.agent_session`, `gw.agent_challenge` and `gw.bootstrap_token`.
use super::{
    agent::{AgentState, Chain},
    shown::{AgentFilter, AgentOut, TokenOut},
    token::{TokenState, Use},
};
use crate::paging::{OfCluster, Window};
use exarch_common_base::{AgentId, ClusterId, HostId, TenantId, TokenId};
use exarch_common_pg::{DbError, SystemTx, TenantTx};
use std::sync::Arc;
use time::OffsetDateTime;
use uuid::Uuid;

/// The channel on which replicas tell each other that something was taken from an agent.
pub(super) const CHANNEL: &str = "gw_agent";

/// What decides whether an agent is let in.
#[derive(Clone, Debug)]
pub(super) struct Standpoint {
    pub(super) tenant: TenantId,
    pub(super) cluster: ClusterId,
    pub(super) name: Arc<str>,
    pub(super) state: AgentState,
    pub(super) epoch: i64,
    pub(super) public_key: Vec<u8>,
    /// The one session token that lives.
    pub(super) jti: Option<String>,
}

/// The agent of this id, whosever it is. Nothing also when two tenants have one: an ambiguous name is nobody's.
pub(super) async fn standpoint(tx: &mut SystemTx, agent: AgentId) -> Result<Option<Standpoint>, DbError> {
    let mut rows = sqlx::query!(
        r#"SELECT a.tenant_id, a.cluster_id, a.name, a.state, a.epoch, a.public_key, s.jti AS "jti?"
             FROM gw.agent a LEFT JOIN gw.agent_session s ON s.tenant_id = a.tenant_id AND s.agent_id = a.id
            WHERE a.id = $1 LIMIT 2"#,
        agent.uuid(),
    )
    .fetch_all(tx.conn())
    .await?;
    let (Some(row), true) = (rows.pop(), rows.is_empty()) else {
        return Ok(None);
    };
    Ok(Some(Standpoint {
        tenant: row.tenant_id.into(),
        cluster: row.cluster_id.into(),
        name: row.name.into(),
        state: state(&row.state)?,
        epoch: row.epoch,
        public_key: row.public_key,
        jti: row.jti,
    }))
}

/// Those of `agents` that may be connected.
pub(super) async fn active(tx: &mut SystemTx, agents: &[AgentId]) -> Result<Vec<AgentId>, DbError> {
    let ids: Vec<Uuid> = agents.iter().map(|agent| agent.uuid()).collect();
    let rows = sqlx::query_scalar!("SELECT id FROM gw.agent WHERE id = ANY ($1) AND state = 'active'", &ids)
        .fetch_all(tx.conn())
        .await?;
    Ok(rows.into_iter().map(AgentId::from).collect())
}

/// A bootstrap token as it lies here.
pub(super) struct StoredToken {
    pub(super) cluster: ClusterId,
    pub(super) host: Option<HostId>,
    pub(super) name: Option<String>,
    pub(super) auto: bool,
    /// The one agent that it lets in again.
    pub(super) agent: Option<AgentId>,
    pub(super) expires_at: OffsetDateTime,
    pub(super) hash: Vec<u8>,
    pub(super) state: TokenState,
}

/// The token, locked until the transaction ends: of all who come with it at a time, one comes first.
pub(super) async fn lock_token(
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
pub(super) struct NewToken<'a> {
    pub(super) id: TokenId,
    pub(super) cluster: ClusterId,
    pub(super) host: Option<HostId>,
    pub(super) name: Option<&'a str>,
    pub(super) auto: bool,
    pub(super) agent: Option<AgentId>,
    pub(super) hash: [u8; 32],
    pub(super) by: String,
    pub(super) now: OffsetDateTime,
    pub(super) expires_at: OffsetDateTime,
}

pub(super) async fn insert_token(tx: &mut TenantTx, new: NewToken<'_>) -> Result<(), DbError> {
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

pub(super) async fn spend_token(tx: &mut TenantTx, id: TokenId, by: &Use) -> Result<(), DbError> {
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
pub(super) async fn revoke_token(tx: &mut TenantTx, id: TokenId, now: OffsetDateTime) -> Result<bool, DbError> {
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

/// Takes back the open tokens that let `agent` in again: the newest counts.
pub(super) async fn revoke_tokens_of(tx: &mut TenantTx, agent: AgentId, now: OffsetDateTime) -> Result<(), DbError> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "UPDATE gw.bootstrap_token SET revoked_at = $3
          WHERE tenant_id = $1 AND agent_id = $2 AND spent_at IS NULL AND revoked_at IS NULL",
        tenant,
        agent.uuid(),
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn tokens(
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

/// An agent to be let in.
pub(super) struct NewAgent<'a> {
    pub(super) id: AgentId,
    pub(super) cluster: ClusterId,
    pub(super) host: Option<HostId>,
    pub(super) name: &'a str,
    pub(super) state: AgentState,
    pub(super) public_key: &'a [u8],
    pub(super) csr: &'a [u8],
    pub(super) now: OffsetDateTime,
    pub(super) from: &'a str,
}

pub(super) async fn insert_agent(tx: &mut TenantTx, new: NewAgent<'_>) -> Result<(), DbError> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "INSERT INTO gw.agent (tenant_id, cluster_id, id, host_id, name, state, public_key, csr, enrolled_at, enrolled_from)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        tenant,
        new.cluster.uuid(),
        new.id.uuid(),
        new.host.map(HostId::uuid),
        new.name,
        new.state.as_str(),
        new.public_key,
        new.csr,
        new.now,
        new.from,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// An agent, locked.
pub(super) struct Locked {
    pub(super) cluster: ClusterId,
    pub(super) name: String,
    pub(super) state: AgentState,
    pub(super) epoch: i64,
    pub(super) public_key: Vec<u8>,
    pub(super) csr: Vec<u8>,
    pub(super) certificate: Option<(Vec<u8>, OffsetDateTime)>,
}

/// The agent, locked until the transaction ends.
pub(super) async fn lock_agent(tx: &mut TenantTx, id: AgentId) -> Result<Option<Locked>, DbError> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query!(
        "SELECT cluster_id, name, state, epoch, public_key, csr, certificate, certificate_until FROM gw.agent
          WHERE tenant_id = $1 AND id = $2 FOR NO KEY UPDATE",
        tenant,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(|row| {
        Ok(Locked {
            cluster: row.cluster_id.into(),
            name: row.name,
            state: state(&row.state)?,
            epoch: row.epoch,
            public_key: row.public_key,
            csr: row.csr,
            certificate: row.certificate.zip(row.certificate_until),
        })
    })
    .transpose()
}

/// Whether an agent of the tenant had this key before.
pub(super) async fn key_is_retired(tx: &mut TenantTx, public_key: &[u8]) -> Result<bool, DbError> {
    let tenant = tx.tenant().uuid();
    let retired = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM gw.agent_key WHERE tenant_id = $1 AND public_key = $2) AS "retired!""#,
        tenant,
        public_key,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(retired)
}

/// Another key for a locked agent, which is active then: the old one is retired, and with it all that was bound to it.
pub(super) async fn replace_key(
    tx: &mut TenantTx,
    id: AgentId,
    public_key: &[u8],
    csr: &[u8],
    now: OffsetDateTime,
) -> Result<(), DbError> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "INSERT INTO gw.agent_key (tenant_id, cluster_id, agent_id, public_key, retired_at)
         SELECT tenant_id, cluster_id, id, public_key, $3 FROM gw.agent WHERE tenant_id = $1 AND id = $2",
        tenant,
        id.uuid(),
        now,
    )
    .execute(tx.conn())
    .await?;
    put_out(tx, id, AgentState::Active).await?;
    let done = sqlx::query!(
        "UPDATE gw.agent SET public_key = $3, csr = $4, certificate = NULL, certificate_until = NULL
          WHERE tenant_id = $1 AND id = $2",
        tenant,
        id.uuid(),
        public_key,
        csr,
    )
    .execute(tx.conn())
    .await?;
    one(done.rows_affected())?;
    sqlx::query!(
        "UPDATE gw.agent_session SET position = 1, request_hash = NULL, answer = NULL, opened_from = NULL, opened_at = NULL
          WHERE tenant_id = $1 AND agent_id = $2",
        tenant,
        id.uuid(),
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn set_state(tx: &mut TenantTx, id: AgentId, state: AgentState) -> Result<(), DbError> {
    let tenant = tx.tenant().uuid();
    let done = sqlx::query!(
        "UPDATE gw.agent SET state = $3 WHERE tenant_id = $1 AND id = $2",
        tenant,
        id.uuid(),
        state.as_str(),
    )
    .execute(tx.conn())
    .await?;
    one(done.rows_affected())
}

/// Puts an agent out: its state, a new epoch that ends all its tokens, and no session; tells all replicas.
pub(super) async fn put_out(tx: &mut TenantTx, id: AgentId, state: AgentState) -> Result<(), DbError> {
    let tenant = tx.tenant().uuid();
    let done = sqlx::query!(
        "WITH ended AS (UPDATE gw.agent_session SET jti = NULL, jti_until = NULL WHERE tenant_id = $1 AND agent_id = $2)
         UPDATE gw.agent SET state = $3, epoch = epoch + 1 WHERE tenant_id = $1 AND id = $2",
        tenant,
        id.uuid(),
        state.as_str(),
    )
    .execute(tx.conn())
    .await?;
    one(done.rows_affected())?;
    sqlx::query!("SELECT pg_notify($1, '') AS told", CHANNEL)
        .fetch_one(tx.conn())
        .await?;
    Ok(())
}

pub(super) async fn set_certificate(
    tx: &mut TenantTx,
    id: AgentId,
    der: &[u8],
    until: OffsetDateTime,
) -> Result<(), DbError> {
    let tenant = tx.tenant().uuid();
    let done = sqlx::query!(
        "UPDATE gw.agent SET certificate = $3, certificate_until = $4 WHERE tenant_id = $1 AND id = $2",
        tenant,
        id.uuid(),
        der,
        until,
    )
    .execute(tx.conn())
    .await?;
    one(done.rows_affected())
}

/// Begins the chain of an agent, or gives it another first link as long as none was used. Whether none was.
pub(super) async fn begin_chain(
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
pub(super) struct StoredChain {
    pub(super) chain: Chain,
    pub(super) answer: Option<Vec<u8>>,
    pub(super) opened_from: Option<String>,
}

/// The chain, locked until the transaction ends.
pub(super) async fn lock_chain(tx: &mut TenantTx, id: AgentId) -> Result<Option<StoredChain>, DbError> {
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
pub(super) struct Opened<'a> {
    pub(super) chain: Chain,
    pub(super) request: [u8; 32],
    pub(super) answer: &'a [u8],
    pub(super) from: &'a str,
    pub(super) at: OffsetDateTime,
    pub(super) jti: &'a str,
    pub(super) jti_until: OffsetDateTime,
}

pub(super) async fn advance(tx: &mut TenantTx, id: AgentId, opened: Opened<'_>) -> Result<(), DbError> {
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
pub(super) async fn insert_challenge(
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
pub(super) async fn take_challenge(
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

pub(super) async fn heard(
    tx: &mut TenantTx,
    id: AgentId,
    software: &str,
    skew_ms: i64,
    now: OffsetDateTime,
) -> Result<(), DbError> {
    let tenant = tx.tenant().uuid();
    let done = sqlx::query!(
        "UPDATE gw.agent SET software = $3, clock_skew_ms = $4, last_seen_at = $5 WHERE tenant_id = $1 AND id = $2",
        tenant,
        id.uuid(),
        software,
        skew_ms,
        now,
    )
    .execute(tx.conn())
    .await?;
    one(done.rows_affected())
}

/// Those of the window, newest first.
pub(super) async fn page(tx: &mut TenantTx, filter: &AgentFilter, window: Window) -> Result<Vec<AgentOut>, DbError> {
    shown(tx, filter, window, None).await
}

/// One agent, if it exists in the transaction's context.
pub(super) async fn find(tx: &mut TenantTx, id: AgentId) -> Result<Option<AgentOut>, DbError> {
    let all = Window {
        before: Uuid::max(),
        rows: 1,
    };
    Ok(shown(tx, &AgentFilter::default(), all, Some(id)).await?.pop())
}

async fn shown(
    tx: &mut TenantTx,
    filter: &AgentFilter,
    window: Window,
    id: Option<AgentId>,
) -> Result<Vec<AgentOut>, DbError> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query!(
        r#"SELECT a.id, a.cluster_id, a.host_id, a.name, a.state, a.enrolled_at, a.enrolled_from, a.certificate_until,
                  a.software, a.clock_skew_ms, a.last_seen_at, s.opened_from AS "opened_from?"
             FROM gw.agent a LEFT JOIN gw.agent_session s ON s.tenant_id = a.tenant_id AND s.agent_id = a.id
            WHERE a.tenant_id = $1 AND a.id < $2
              AND ($3::uuid IS NULL OR a.cluster_id = $3)
              AND (a.state = $4 OR $4::text IS NULL AND (a.state <> 'removed' OR $5::uuid IS NOT NULL))
              AND ($5::uuid IS NULL OR a.id = $5)
            ORDER BY a.id DESC LIMIT $6"#,
        tenant,
        window.before,
        filter.cluster_id.map(ClusterId::uuid),
        filter.state.map(AgentState::as_str),
        id.map(AgentId::uuid),
        window.rows,
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(AgentOut {
                id: row.id.into(),
                cluster_id: row.cluster_id.into(),
                host_id: row.host_id.map(HostId::from),
                name: row.name,
                state: state(&row.state)?,
                enrolled_at: row.enrolled_at,
                enrolled_from: row.enrolled_from,
                session_from: row.opened_from,
                certificate_until: row.certificate_until,
                software: row.software,
                clock_skew_ms: row.clock_skew_ms,
                last_seen_at: row.last_seen_at,
            })
        })
        .collect()
}

fn state(word: &str) -> Result<AgentState, DbError> {
    AgentState::parse(word).ok_or_else(|| damaged(format!("an agent in the unknown state {word}")))
}

fn hash(bytes: &[u8]) -> Result<[u8; 32], DbError> {
    bytes
        .try_into()
        .map_err(|_| damaged("a hash of a session that has not 32 bytes".to_owned()))
}

fn damaged(what: String) -> DbError {
    sqlx::Error::Decode(what.into()).into()
}

/// A row that was read under its lock was there a moment ago.
fn one(rows: u64) -> Result<(), DbError> {
    if rows == 1 {
        Ok(())
    } else {
        Err(sqlx::Error::RowNotFound.into())
    }
}
