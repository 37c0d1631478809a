//! Rows of `gw.agent` and `gw.agent_key`.
use super::{
    agent::AgentState,
    shown::{AgentFilter, AgentOut},
};
use crate::paging::Window;
use exarch_common_base::{AgentId, ClusterId, HostId, Slug, TenantId};
use exarch_common_pg::{DbError, SystemTx, TenantTx};
use std::{collections::HashMap, sync::Arc};
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

/// Those of `agents` that may be connected, and with which key.
pub(super) async fn active(tx: &mut SystemTx, agents: &[AgentId]) -> Result<HashMap<AgentId, Vec<u8>>, DbError> {
    let ids: Vec<Uuid> = agents.iter().map(|agent| agent.uuid()).collect();
    let rows = sqlx::query!(
        "SELECT id, public_key FROM gw.agent WHERE id = ANY ($1) AND state = 'active'",
        &ids
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(|row| (row.id.into(), row.public_key)).collect())
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
    pub(super) version: u64,
}

/// The agent, locked until the transaction ends.
pub(super) async fn lock_agent(tx: &mut TenantTx, id: AgentId) -> Result<Option<Locked>, DbError> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query!(
        "SELECT cluster_id, name, state, epoch, public_key, csr, certificate, certificate_until, version
           FROM gw.agent
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
            version: row.version.unsigned_abs(),
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

/// Another name for a locked agent.
pub(super) async fn rename(tx: &mut TenantTx, id: AgentId, name: &Slug) -> Result<(), DbError> {
    let tenant = tx.tenant().uuid();
    let done = sqlx::query!(
        "UPDATE gw.agent SET name = $3, version = version + 1 WHERE tenant_id = $1 AND id = $2",
        tenant,
        id.uuid(),
        name.as_str(),
    )
    .execute(tx.conn())
    .await?;
    one(done.rows_affected())
}

pub(super) async fn set_state(tx: &mut TenantTx, id: AgentId, state: AgentState) -> Result<(), DbError> {
    let tenant = tx.tenant().uuid();
    let done = sqlx::query!(
        "UPDATE gw.agent SET state = $3, version = version + 1 WHERE tenant_id = $1 AND id = $2",
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
         UPDATE gw.agent SET state = $3, epoch = epoch + 1, version = version + 1 WHERE tenant_id = $1 AND id = $2",
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
                  a.software, a.clock_skew_ms, a.last_seen_at, a.version, s.opened_from AS "opened_from?"
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
                version: row.version.unsigned_abs(),
            })
        })
        .collect()
}

fn state(word: &str) -> Result<AgentState, DbError> {
    AgentState::parse(word).ok_or_else(|| damaged(format!("an agent in the unknown state {word}")))
}

pub(super) fn damaged(what: String) -> DbError {
    sqlx::Error::Decode(what.into()).into()
}

/// A row that was read under its lock was there a moment ago.
pub(super) fn one(rows: u64) -> Result<(), DbError> {
    if rows == 1 {
        Ok(())
    } else {
        Err(sqlx::Error::RowNotFound.into())
    }
}
