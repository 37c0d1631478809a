//! Rows of `gw.workload`, `gw.assignment` and `gw.assignment_version`.
use super::{
    Assigned, Desired, Workload,
    waiters::CHANNEL,
    workload::{Reported, WorkloadDriver},
};
use crate::paging::{OfCluster, Window};
use exarch_common_base::{AgentId, ClusterId, Fence, ResourceId, Slug, TenantId, WorkloadId};
use exarch_common_pg::{DbError, SystemTx, TenantTx};
use exarch_common_wire::agent::{Assignment, AssignmentStatus, Assignments, WorkloadState};
use sqlx::types::Json;
use std::collections::HashMap;
use time::OffsetDateTime;
use uuid::Uuid;

pub(super) struct NewRow<'a> {
    pub(super) id: WorkloadId,
    pub(super) cluster: ClusterId,
    pub(super) name: &'a Slug,
    pub(super) resource: ResourceId,
    pub(super) driver: &'a WorkloadDriver,
    pub(super) now: OffsetDateTime,
}

struct Row {
    id: Uuid,
    cluster_id: Uuid,
    name: String,
    resource_id: Uuid,
    driver: Json<WorkloadDriver>,
    version: i64,
    created_at: OffsetDateTime,
}

pub(super) async fn insert(tx: &mut TenantTx, new: NewRow<'_>) -> Result<Workload, DbError> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query_as!(
        Row,
        r#"INSERT INTO gw.workload (tenant_id, cluster_id, id, name, resource_id, driver, created_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7)
           RETURNING id, cluster_id, name, resource_id, driver AS "driver: Json<WorkloadDriver>", version, created_at"#,
        tenant,
        new.cluster.uuid(),
        new.id.uuid(),
        new.name.as_str(),
        new.resource.uuid(),
        Json(new.driver) as _,
        new.now,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(row.with(Vec::new()))
}

pub(super) async fn find(tx: &mut TenantTx, id: WorkloadId) -> Result<Option<Workload>, DbError> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query_as!(
        Row,
        r#"SELECT id, cluster_id, name, resource_id, driver AS "driver: Json<WorkloadDriver>", version, created_at
             FROM gw.workload WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL"#,
        tenant,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(with_agents(tx, row.into_iter().collect()).await?.pop())
}

/// The same, with its version raised, and locked against other changes until the transaction ends.
pub(super) async fn touch(tx: &mut TenantTx, id: WorkloadId) -> Result<Option<Workload>, DbError> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query_as!(
        Row,
        r#"UPDATE gw.workload SET version = version + 1 WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL
           RETURNING id, cluster_id, name, resource_id, driver AS "driver: Json<WorkloadDriver>", version, created_at"#,
        tenant,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(with_agents(tx, row.into_iter().collect()).await?.pop())
}

/// The same as it is, locked in the same way.
pub(super) async fn lock(tx: &mut TenantTx, id: WorkloadId) -> Result<Option<Workload>, DbError> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query_as!(
        Row,
        r#"SELECT id, cluster_id, name, resource_id, driver AS "driver: Json<WorkloadDriver>", version, created_at
             FROM gw.workload WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL FOR NO KEY UPDATE"#,
        tenant,
        id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(with_agents(tx, row.into_iter().collect()).await?.pop())
}

/// The name of an agent that runs the workload or is to run it. One that was told to stop runs it until it says that it has
/// stopped, or until it has no lease on the resource any more: what runs, runs under a lease.
pub(super) async fn runs_on(tx: &mut TenantTx, workload: &Workload) -> Result<Option<String>, DbError> {
    let tenant = tx.tenant().uuid();
    let agent = sqlx::query_scalar!(
        "SELECT g.name
           FROM gw.assignment a JOIN gw.agent g ON g.tenant_id = a.tenant_id AND g.id = a.agent_id
          WHERE a.tenant_id = $1 AND a.workload_id = $2
            AND (a.desired <> 'stop'
                 OR (a.reported_at IS NULL OR a.reported_at < a.changed_at OR a.state IN ('waiting', 'running'))
                    AND EXISTS (SELECT FROM gw.lease l
                                 WHERE l.tenant_id = a.tenant_id AND l.resource_id = $3 AND l.agent_id = a.agent_id
                                   AND l.state IN ('active', 'revoking')))
          ORDER BY a.agent_id LIMIT 1",
        tenant,
        workload.id.uuid(),
        workload.resource_id.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(agent)
}

/// What may change of a workload.
pub(super) struct Spec {
    pub(super) name: String,
    pub(super) driver: WorkloadDriver,
}

/// Another specification for a locked workload.
pub(super) async fn save(tx: &mut TenantTx, locked: Workload, spec: Spec) -> Result<Workload, DbError> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query_as!(
        Row,
        r#"UPDATE gw.workload SET name = $3, driver = $4, version = version + 1 WHERE tenant_id = $1 AND id = $2
           RETURNING id, cluster_id, name, resource_id, driver AS "driver: Json<WorkloadDriver>", version, created_at"#,
        tenant,
        locked.id.uuid(),
        spec.name,
        Json(&spec.driver) as _,
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(row.with(locked.agents))
}

/// Deletes a locked workload.
pub(super) async fn delete(tx: &mut TenantTx, id: WorkloadId, now: OffsetDateTime) -> Result<(), DbError> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "UPDATE gw.workload SET deleted_at = $3, version = version + 1 WHERE tenant_id = $1 AND id = $2",
        tenant,
        id.uuid(),
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Those of the window, newest first.
pub(super) async fn page(tx: &mut TenantTx, filter: OfCluster, window: Window) -> Result<Vec<Workload>, DbError> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT id, cluster_id, name, resource_id, driver AS "driver: Json<WorkloadDriver>", version, created_at
             FROM gw.workload
            WHERE tenant_id = $1 AND id < $2 AND ($3::uuid IS NULL OR cluster_id = $3) AND deleted_at IS NULL
            ORDER BY id DESC LIMIT $4"#,
        tenant,
        window.before,
        filter.cluster_id.map(ClusterId::uuid),
        window.rows,
    )
    .fetch_all(tx.conn())
    .await?;
    with_agents(tx, rows).await
}

/// Whether an agent of the cluster is active; it stays so until the transaction ends. Nothing when there is no such agent.
pub(super) async fn agent_is_active(
    tx: &mut TenantTx,
    cluster: ClusterId,
    agent: AgentId,
) -> Result<Option<bool>, DbError> {
    let tenant = tx.tenant().uuid();
    let state = sqlx::query_scalar!(
        "SELECT state FROM gw.agent WHERE tenant_id = $1 AND cluster_id = $2 AND id = $3 FOR SHARE",
        tenant,
        cluster.uuid(),
        agent.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(state.map(|word| word == "active"))
}

/// Says what is asked of the workload on an agent of its cluster.
pub(super) async fn assign(
    tx: &mut TenantTx,
    workload: &Workload,
    agent: AgentId,
    desired: Desired,
    now: OffsetDateTime,
) -> Result<(), DbError> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "INSERT INTO gw.assignment (tenant_id, cluster_id, workload_id, agent_id, desired, changed_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (tenant_id, workload_id, agent_id) DO UPDATE
           SET desired = excluded.desired, changed_at = excluded.changed_at",
        tenant,
        workload.cluster_id.uuid(),
        workload.id.uuid(),
        agent.uuid(),
        desired.as_str(),
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Asks that the workload stop on one agent, or on all; answers on which it was asked to run until now.
pub(super) async fn stop(
    tx: &mut TenantTx,
    workload: WorkloadId,
    agent: Option<AgentId>,
    now: OffsetDateTime,
) -> Result<Vec<AgentId>, DbError> {
    let tenant = tx.tenant().uuid();
    let agents = sqlx::query_scalar!(
        "UPDATE gw.assignment SET desired = 'stop', changed_at = $4
          WHERE tenant_id = $1 AND workload_id = $2 AND ($3::uuid IS NULL OR agent_id = $3) AND desired <> 'stop'
         RETURNING agent_id",
        tenant,
        workload.uuid(),
        agent.map(AgentId::uuid),
        now,
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(agents.into_iter().map(AgentId::from).collect())
}

/// Raises the version of the agents' assignments, and wakes whoever waits for that once the transaction is committed.
pub(super) async fn tell(tx: &mut TenantTx, cluster: ClusterId, agents: &[AgentId]) -> Result<(), DbError> {
    let tenant = tx.tenant().uuid();
    let agents: Vec<Uuid> = agents.iter().map(|agent| agent.uuid()).collect();
    // in one order everywhere, so that no two transactions wait for each other
    sqlx::query!(
        "INSERT INTO gw.assignment_version AS v (tenant_id, cluster_id, agent_id, version)
         SELECT $1, $2, agent, 1 FROM unnest($3::uuid[]) AS agent ORDER BY agent
         ON CONFLICT (tenant_id, agent_id) DO UPDATE SET version = v.version + 1",
        tenant,
        cluster.uuid(),
        &agents,
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!("SELECT pg_notify($1, '') AS told", CHANNEL)
        .fetch_one(tx.conn())
        .await?;
    Ok(())
}

/// What should run on an agent. The version is read first: what changes in between comes with the next one.
pub(super) async fn assignments(tx: &mut TenantTx, agent: AgentId) -> Result<Assignments, DbError> {
    let tenant = tx.tenant().uuid();
    let version = sqlx::query_scalar!(
        "SELECT version FROM gw.assignment_version WHERE tenant_id = $1 AND agent_id = $2",
        tenant,
        agent.uuid(),
    )
    .fetch_optional(tx.conn())
    .await?;
    let rows = sqlx::query!(
        r#"SELECT w.id, w.name, w.resource_id, w.driver AS "driver: Json<WorkloadDriver>"
             FROM gw.assignment a
             JOIN gw.workload w ON w.tenant_id = a.tenant_id AND w.id = a.workload_id
            WHERE a.tenant_id = $1 AND a.agent_id = $2 AND a.desired <> 'stop'
            ORDER BY w.id"#,
        tenant,
        agent.uuid(),
    )
    .fetch_all(tx.conn())
    .await?;
    let items = rows.into_iter().map(|row| Assignment {
        workload: row.id.into(),
        name: row.name,
        resource: row.resource_id.into(),
        driver: row.driver.0.for_agent(),
    });
    Ok(Assignments {
        version: version.map_or(0, i64::unsigned_abs),
        items: items.collect(),
    })
}

/// The versions of those agents' assignments; agents that never had any are left out.
pub(super) async fn versions(
    tx: &mut SystemTx,
    agents: impl Iterator<Item = (TenantId, AgentId)>,
) -> Result<Vec<((TenantId, AgentId), u64)>, DbError> {
    let (tenants, agents): (Vec<Uuid>, Vec<Uuid>) = agents.map(|(tenant, agent)| (tenant.uuid(), agent.uuid())).unzip();
    let rows = sqlx::query!(
        "SELECT v.tenant_id, v.agent_id, v.version
           FROM unnest($1::uuid[], $2::uuid[]) AS waiting (tenant_id, agent_id)
           JOIN gw.assignment_version v ON v.tenant_id = waiting.tenant_id AND v.agent_id = waiting.agent_id",
        &tenants,
        &agents,
    )
    .fetch_all(tx.conn())
    .await?;
    let versions = rows.into_iter();
    Ok(versions
        .map(|row| ((row.tenant_id.into(), row.agent_id.into()), row.version.unsigned_abs()))
        .collect())
}

/// Keeps what an agent says of a workload; false when it is not assigned to that agent.
pub(super) async fn report(
    tx: &mut TenantTx,
    agent: AgentId,
    status: &AssignmentStatus,
    now: OffsetDateTime,
) -> Result<bool, DbError> {
    let tenant = tx.tenant().uuid();
    let done = sqlx::query!(
        "UPDATE gw.assignment SET state = $4, detail = $5, fence_epoch = $6, fence_generation = $7, reported_at = $8
          WHERE tenant_id = $1 AND workload_id = $2 AND agent_id = $3",
        tenant,
        status.workload.uuid(),
        agent.uuid(),
        status.state.as_str(),
        status.detail,
        status.fence.map(|fence| fence.epoch as i64),
        status.fence.map(|fence| fence.generation as i64),
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

async fn with_agents(tx: &mut TenantTx, rows: Vec<Row>) -> Result<Vec<Workload>, DbError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let tenant = tx.tenant().uuid();
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let assigned = sqlx::query!(
        "SELECT a.workload_id, a.agent_id, g.name, a.desired, a.changed_at, a.state, a.detail, a.fence_epoch,
                a.fence_generation, a.reported_at
           FROM gw.assignment a JOIN gw.agent g ON g.tenant_id = a.tenant_id AND g.id = a.agent_id
          WHERE a.tenant_id = $1 AND a.workload_id = ANY ($2)
          ORDER BY a.agent_id",
        tenant,
        &ids,
    )
    .fetch_all(tx.conn())
    .await?;
    let mut agents: HashMap<Uuid, Vec<Assigned>> = HashMap::new();
    for row in assigned {
        let state = row
            .state
            .as_deref()
            .map(|word| WorkloadState::parse(word).ok_or_else(|| damaged(word)));
        let fence = row.fence_epoch.zip(row.fence_generation);
        let reported = match (state.transpose()?, row.detail, row.reported_at) {
            (Some(state), Some(detail), Some(at)) => Some(Reported {
                state,
                detail,
                fence: fence.map(|(epoch, generation)| Fence::new(epoch.unsigned_abs(), generation.unsigned_abs())),
                at,
            }),
            _ => None,
        };
        agents.entry(row.workload_id).or_default().push(Assigned {
            agent_id: row.agent_id.into(),
            agent: row.name,
            desired: Desired::parse(&row.desired).ok_or_else(|| damaged(&row.desired))?,
            changed_at: row.changed_at,
            reported,
        });
    }
    let workloads = rows.into_iter().map(|row| {
        let agents = agents.remove(&row.id).unwrap_or_default();
        row.with(agents)
    });
    Ok(workloads.collect())
}

impl Row {
    fn with(self, agents: Vec<Assigned>) -> Workload {
        Workload {
            id: self.id.into(),
            cluster_id: self.cluster_id.into(),
            name: self.name,
            resource_id: self.resource_id.into(),
            driver: self.driver.0,
            agents,
            version: self.version.unsigned_abs(),
            created_at: self.created_at,
        }
    }
}

fn damaged(word: &str) -> DbError {
    sqlx::Error::Decode(format!("an assignment with the unknown word {word}").into()).into()
}
