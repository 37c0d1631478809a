//! Rows of `gw.lease`.
use super::{
    lease::{Holder, Lease, LeaseState},
    observe::Version,
    shown::{LeaseFilter, LeaseOut},
};
use crate::paging::Window;
use exarch_common_base::{AgentId, ClusterId, Fence, LeaseId, ResourceId, TenantId};
use exarch_common_pg::{DbError, Statement, SystemTx, TenantTx};
use exarch_common_wire::{agent::Held, grant::Action, grant::Incarnation};
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

/// The channel on which replicas tell each other that a lease has ended.
pub(super) const CHANNEL: &str = "gw_lease";

/// The newest lease of a resource, and whose it is.
pub(super) struct Found {
    pub(super) lease: Lease,
    /// The holder's name.
    pub(super) name: String,
}

/// What a grant stands on.
pub(super) struct Ground {
    /// How long a lease on the resource lasts.
    pub(super) ttl: Duration,
    /// Whether the asking agent is active.
    pub(super) active: bool,
    /// The region's.
    pub(super) epoch: u64,
}

struct Row {
    id: Uuid,
    resource_id: Uuid,
    agent_id: Uuid,
    name: String,
    incarnation: Vec<u8>,
    actions: Vec<String>,
    epoch: i64,
    generation: i64,
    seq: i64,
    ttl_ms: i64,
    state: String,
    granted_at: OffsetDateTime,
    expires_at: OffsetDateTime,
}

macro_rules! newest {
    ($tx:ident, $resource:ident, $lock:tt) => {{
        let tenant = $tx.tenant().uuid();
        let row = sqlx::query_as!(
            Row,
            "SELECT l.id, l.resource_id, l.agent_id, a.name, l.incarnation, l.actions, l.epoch, l.generation,
                    l.seq, l.ttl_ms, l.state, l.granted_at, l.expires_at
               FROM gw.lease l JOIN gw.agent a ON a.tenant_id = l.tenant_id AND a.id = l.agent_id
              WHERE l.tenant_id = $1 AND l.resource_id = $2
              ORDER BY l.epoch DESC, l.generation DESC LIMIT 1"
                + $lock,
            tenant,
            $resource.uuid(),
        )
        .fetch_optional($tx.conn())
        .await?;
        row.map(Row::read).transpose()
    }};
}

/// The newest lease of a resource, as it is at this moment.
pub(super) async fn newest(tx: &mut TenantTx, resource: ResourceId) -> Result<Option<Found>, DbError> {
    newest!(tx, resource, "")
}

/// The same, locked until the transaction ends: neither a renewal nor a release comes in between. Ask for
/// [`lock_ground`] first, in a statement of its own: this one must begin after that lock was had.
pub(super) async fn lock_newest(tx: &mut TenantTx, resource: ResourceId) -> Result<Option<Found>, DbError> {
    newest!(tx, resource, " FOR UPDATE OF l")
}

/// Locks a resource of the agent's cluster against other grants, and the state of the agent against change, until the
/// transaction ends; from here on its commit waits for the disk, whatever the server is set to. Nothing when there is no
/// such resource there.
pub(super) async fn lock_ground(
    tx: &mut TenantTx,
    agent: AgentId,
    cluster: ClusterId,
    resource: ResourceId,
) -> Result<Option<Ground>, DbError> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query!(
        r#"SELECT r.ttl_ms, a.state, s.epoch, set_config('synchronous_commit', 'on', true) AS durable
             FROM gw.resource r
             JOIN gw.agent a ON a.tenant_id = r.tenant_id AND a.cluster_id = r.cluster_id AND a.id = $4
            CROSS JOIN gw.region_state s
            WHERE r.tenant_id = $1 AND r.cluster_id = $2 AND r.id = $3 AND r.deleted_at IS NULL
              FOR NO KEY UPDATE OF r FOR SHARE OF a"#,
        tenant,
        cluster.uuid(),
        resource.uuid(),
        agent.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(|row| Ground {
        ttl: millis(row.ttl_ms),
        active: row.state == "active",
        epoch: row.epoch.unsigned_abs(),
    }))
}

pub(super) async fn insert(tx: &mut TenantTx, cluster: ClusterId, lease: &Lease) -> Result<(), DbError> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "INSERT INTO gw.lease (tenant_id, cluster_id, id, resource_id, agent_id, incarnation, actions, epoch, generation,
                               seq, ttl_ms, state, granted_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        tenant,
        cluster.uuid(),
        lease.id.uuid(),
        lease.resource.uuid(),
        lease.holder.agent.uuid(),
        lease.holder.incarnation.bytes().as_slice(),
        &words(&lease.actions),
        lease.fence.epoch as i64,
        lease.fence.generation as i64,
        lease.seq as i64,
        lease.ttl.as_millis() as i64,
        lease.state.as_str(),
        lease.granted_at,
        lease.expires_at,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Saves what changes while a lease is held. The row is locked.
pub(super) async fn save_held(tx: &mut TenantTx, lease: &Lease) -> Result<(), DbError> {
    let tenant = tx.tenant().uuid();
    let done = sqlx::query!(
        "UPDATE gw.lease SET seq = $3, actions = $4, expires_at = $5 WHERE tenant_id = $1 AND id = $2 AND state = 'active'",
        tenant,
        lease.id.uuid(),
        lease.seq as i64,
        &words(&lease.actions),
        lease.expires_at,
    )
    .execute(tx.conn())
    .await?;
    one(done.rows_affected())
}

/// Saves the end of a lease and tells all replicas. The row is locked.
pub(super) async fn save_ended(tx: &mut TenantTx, lease: &Lease, now: OffsetDateTime) -> Result<(), DbError> {
    let tenant = tx.tenant().uuid();
    let done = sqlx::query!(
        "UPDATE gw.lease SET state = $3, ended_at = $4
          WHERE tenant_id = $1 AND id = $2 AND state IN ('active', 'revoking')",
        tenant,
        lease.id.uuid(),
        lease.state.as_str(),
        now,
    )
    .execute(tx.conn())
    .await?;
    one(done.rows_affected())?;
    sqlx::query!("SELECT pg_notify($1, '') AS told", CHANNEL)
        .fetch_one(tx.conn())
        .await?;
    Ok(())
}

/// The highest fence given for each of `resources` that has one and exists in the transaction's context.
pub(super) async fn highest_fences(
    tx: &mut TenantTx,
    resources: &[ResourceId],
) -> Result<Vec<(ResourceId, Fence)>, DbError> {
    let tenant = tx.tenant().uuid();
    let ids: Vec<Uuid> = resources.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query!(
        "SELECT DISTINCT ON (resource_id) resource_id, epoch, generation FROM gw.lease
          WHERE tenant_id = $1 AND resource_id = ANY ($2)
          ORDER BY resource_id, epoch DESC, generation DESC",
        tenant,
        &ids,
    )
    .fetch_all(tx.conn())
    .await?;
    let fences = rows
        .into_iter()
        .map(|row| (row.resource_id.into(), fence(row.epoch, row.generation)));
    Ok(fences.collect())
}

/// How many leases are held in the transaction's context.
pub(super) async fn count_held(tx: &mut TenantTx) -> Result<u64, DbError> {
    let tenant = tx.tenant().uuid();
    let held = sqlx::query_scalar!(
        r#"SELECT count(*) AS "held!" FROM gw.lease WHERE tenant_id = $1 AND state IN ('active', 'revoking')"#,
        tenant
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(held.unsigned_abs())
}

/// Those of `ids` that `holder` has or had, locked until the transaction ends, which waits for the disk as a grant does.
pub(super) async fn lock_of_holder(tx: &mut TenantTx, holder: &Holder, ids: &[LeaseId]) -> Result<Vec<Found>, DbError> {
    let tenant = tx.tenant().uuid();
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    sqlx::query!("SELECT set_config('synchronous_commit', 'on', true) AS durable")
        .fetch_one(tx.conn())
        .await?;
    // in one order everywhere, so that no two transactions wait for each other
    let rows = sqlx::query_as!(
        Row,
        "SELECT l.id, l.resource_id, l.agent_id, a.name, l.incarnation, l.actions, l.epoch, l.generation,
                l.seq, l.ttl_ms, l.state, l.granted_at, l.expires_at
           FROM gw.lease l JOIN gw.agent a ON a.tenant_id = l.tenant_id AND a.id = l.agent_id
          WHERE l.tenant_id = $1 AND l.id = ANY ($2) AND l.agent_id = $3 AND l.incarnation = $4
          ORDER BY l.id FOR UPDATE OF l",
        tenant,
        &ids,
        holder.agent.uuid(),
        holder.incarnation.bytes().as_slice(),
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(Row::read).collect()
}

/// One lease to renew, as its verified holder names it.
pub(super) struct Renewal {
    pub(super) tenant: TenantId,
    pub(super) holder: Holder,
    pub(super) held: Held,
}

/// Renews all that are exactly as named, active, and granted after `oldest`. Answers for each, in order, whether it was
/// renewed and the state that the lease with that name had before.
pub(super) async fn renew(
    statement: &mut Statement,
    asks: &[Renewal],
    oldest: OffsetDateTime,
    now: OffsetDateTime,
) -> Result<Vec<(bool, Option<LeaseState>)>, DbError> {
    fn column<T>(asks: &[Renewal], of: impl Fn(&Renewal) -> T) -> Vec<T> {
        asks.iter().map(of).collect()
    }
    // `locked` takes the rows in one order: the same leases may be renewed through another replica at the same time.
    // `durable` makes this commit wait for the disk; being joined, it is not left out.
    let rows = sqlx::query!(
        r#"WITH ask AS (
               SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::bytea[], $6::bigint[], $7::bigint[])
                 WITH ORDINALITY AS a (tenant_id, id, resource_id, agent_id, incarnation, epoch, generation, nr)
           ), named AS (
               SELECT a.nr, l.tenant_id, l.id, l.state FROM ask a JOIN gw.lease l
                   ON l.tenant_id = a.tenant_id AND l.id = a.id AND l.resource_id = a.resource_id
                  AND l.agent_id = a.agent_id AND l.incarnation = a.incarnation
                  AND l.epoch = a.epoch AND l.generation = a.generation
           ), locked AS MATERIALIZED (
               SELECT l.tenant_id, l.id FROM gw.lease l
                WHERE (l.tenant_id, l.id) IN (SELECT tenant_id, id FROM named)
                  AND l.state = 'active' AND l.granted_at > $8
                ORDER BY l.tenant_id, l.id FOR UPDATE OF l
           ), renewed AS (
               UPDATE gw.lease l SET seq = l.seq + 1, expires_at = $9::timestamptz + l.ttl_ms * interval '1 millisecond'
                 FROM locked k, (SELECT set_config('synchronous_commit', 'on', true)) AS durable
                WHERE l.tenant_id = k.tenant_id AND l.id = k.id AND l.state = 'active'
               RETURNING l.tenant_id, l.id
           )
           SELECT r.id IS NOT NULL AS "renewed!", n.state AS "state?"
             FROM ask a
             LEFT JOIN named n ON n.nr = a.nr
             LEFT JOIN renewed r ON r.tenant_id = n.tenant_id AND r.id = n.id
            ORDER BY a.nr"#,
        &column(asks, |r| r.tenant.uuid()),
        &column(asks, |r| r.held.lease.uuid()),
        &column(asks, |r| r.held.resource.uuid()),
        &column(asks, |r| r.holder.agent.uuid()),
        &column(asks, |r| r.holder.incarnation.bytes().to_vec()),
        &column(asks, |r| r.held.fence.epoch as i64),
        &column(asks, |r| r.held.fence.generation as i64),
        oldest,
        now,
    )
    .fetch_all(statement.conn())
    .await?;
    rows.into_iter()
        .map(|row| Ok((row.renewed, row.state.map(|word| state(&word)).transpose()?)))
        .collect()
}

/// What an observer sees of one lease.
pub(super) struct Sight {
    pub(super) tenant: TenantId,
    pub(super) cluster: ClusterId,
    pub(super) resource: ResourceId,
    pub(super) version: Version,
}

/// All leases of the region that somebody may be acting on.
pub(super) async fn current(tx: &mut SystemTx) -> Result<Vec<Sight>, DbError> {
    let rows = sqlx::query!(
        "SELECT tenant_id, cluster_id, resource_id, epoch, generation, seq, ttl_ms FROM gw.lease
          WHERE state IN ('active', 'revoking')"
    )
    .fetch_all(tx.conn())
    .await?;
    let sights = rows.into_iter().map(|row| Sight {
        tenant: row.tenant_id.into(),
        cluster: row.cluster_id.into(),
        resource: row.resource_id.into(),
        version: Version {
            fence: fence(row.epoch, row.generation),
            seq: row.seq.unsigned_abs(),
            ttl: millis(row.ttl_ms),
        },
    });
    Ok(sights.collect())
}

/// Those of the window, newest first.
pub(super) async fn page(tx: &mut TenantTx, filter: &LeaseFilter, window: Window) -> Result<Vec<LeaseOut>, DbError> {
    shown(tx, filter, window, None).await
}

/// One lease, if it exists in the transaction's context.
pub(super) async fn find(tx: &mut TenantTx, id: LeaseId) -> Result<Option<LeaseOut>, DbError> {
    let all = Window {
        before: Uuid::max(),
        rows: 1,
    };
    Ok(shown(tx, &LeaseFilter::default(), all, Some(id)).await?.pop())
}

async fn shown(
    tx: &mut TenantTx,
    filter: &LeaseFilter,
    window: Window,
    id: Option<LeaseId>,
) -> Result<Vec<LeaseOut>, DbError> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query!(
        "SELECT l.id, l.cluster_id, l.resource_id, r.name AS resource, l.agent_id, a.name AS agent, l.incarnation, l.actions,
                l.epoch, l.generation, l.seq, l.ttl_ms, l.state, l.granted_at, l.expires_at, l.ended_at
           FROM gw.lease l
           JOIN gw.resource r ON r.tenant_id = l.tenant_id AND r.id = l.resource_id
           JOIN gw.agent a ON a.tenant_id = l.tenant_id AND a.id = l.agent_id
          WHERE l.tenant_id = $1 AND l.id < $2
            AND ($3::uuid IS NULL OR l.resource_id = $3)
            AND ($4::uuid IS NULL OR l.agent_id = $4)
            AND ($5::text IS NULL OR l.state = $5)
            AND ($6::uuid IS NULL OR l.id = $6)
          ORDER BY l.id DESC LIMIT $7",
        tenant,
        window.before,
        filter.resource_id.map(ResourceId::uuid),
        filter.agent_id.map(AgentId::uuid),
        filter.state.map(LeaseState::as_str),
        id.map(LeaseId::uuid),
        window.rows,
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(LeaseOut {
                id: row.id.into(),
                cluster_id: row.cluster_id.into(),
                resource_id: row.resource_id.into(),
                resource: row.resource,
                agent_id: row.agent_id.into(),
                agent: row.agent,
                incarnation: incarnation(&row.incarnation)?,
                actions: row.actions,
                fence: fence(row.epoch, row.generation),
                seq: row.seq.unsigned_abs(),
                ttl_ms: row.ttl_ms.unsigned_abs(),
                state: state(&row.state)?,
                granted_at: row.granted_at,
                expires_at: row.expires_at,
                ended_at: row.ended_at,
                remaining_ms: None,
            })
        })
        .collect()
}

impl Row {
    fn read(self) -> Result<Found, DbError> {
        let lease = Lease {
            id: self.id.into(),
            resource: self.resource_id.into(),
            holder: Holder {
                agent: self.agent_id.into(),
                incarnation: incarnation(&self.incarnation)?,
            },
            actions: self.actions.iter().map(|word| action(word)).collect::<Result<_, _>>()?,
            fence: fence(self.epoch, self.generation),
            seq: self.seq.unsigned_abs(),
            ttl: millis(self.ttl_ms),
            state: state(&self.state)?,
            granted_at: self.granted_at,
            expires_at: self.expires_at,
        };
        Ok(Found { lease, name: self.name })
    }
}

fn words(actions: &[Action]) -> Vec<String> {
    actions.iter().map(|action| action.as_str().to_owned()).collect()
}

fn action(word: &str) -> Result<Action, DbError> {
    Action::parse(word).ok_or_else(|| damaged("action", word))
}

fn state(word: &str) -> Result<LeaseState, DbError> {
    LeaseState::parse(word).ok_or_else(|| damaged("state", word))
}

fn incarnation(bytes: &[u8]) -> Result<Incarnation, DbError> {
    let bytes = bytes
        .try_into()
        .map_err(|_| damaged("incarnation", "of another length"))?;
    Ok(Incarnation::new(bytes))
}

fn damaged(what: &str, word: &str) -> DbError {
    sqlx::Error::Decode(format!("a lease with the unknown {what} {word}").into()).into()
}

fn fence(epoch: i64, generation: i64) -> Fence {
    Fence::new(epoch.unsigned_abs(), generation.unsigned_abs())
}

fn millis(ms: i64) -> Duration {
    Duration::from_millis(ms.unsigned_abs())
}

/// A row that was read under its lock was there a moment ago.
fn one(rows: u64) -> Result<(), DbError> {
    if rows == 1 {
        Ok(())
    } else {
        Err(sqlx::Error::RowNotFound.into())
    }
}
