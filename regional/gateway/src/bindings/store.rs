//! Rows of `gw.binding`.
use super::{binding::Stored, local::Held};
use crate::paging::Window;
use exarch_common_base::{BindingId, ClusterId, TenantId, UserId};
use exarch_common_pg::{AppPool, DbError, SweepPool, SystemTx, TenantTx};
use time::OffsetDateTime;
use uuid::Uuid;

/// A row that changed.
pub(super) struct Changed {
    pub(super) tenant: TenantId,
    pub(super) user: UserId,
    pub(super) held: Held,
    pub(super) ended: bool,
    pub(super) seq: i64,
}

/// How many changes of bindings there were.
pub(super) async fn version(pool: &AppPool) -> Result<i64, DbError> {
    let mut tx = SystemTx::begin(pool, "bindings-version").await?;
    let version = sqlx::query_scalar!("SELECT bindings FROM gw.local_version")
        .fetch_one(tx.conn())
        .await?;
    tx.rollback().await?;
    Ok(version)
}

/// Those that changed later than the `after`th change; with none known, those that have not ended. Changes take turns until they
/// are committed, so that none is seen later than one with a higher number.
pub(super) async fn changed(pool: &SweepPool, after: i64) -> Result<Vec<Changed>, DbError> {
    let mut tx = SystemTx::begin(pool, "bindings").await?;
    let rows = sqlx::query!(
        r#"SELECT tenant_id, cluster_id, id, user_id, membership_id, role, until_at, ended_at IS NOT NULL AS "ended!", seq
             FROM gw.binding WHERE seq > $1 AND ($1 > 0 OR ended_at IS NULL) ORDER BY seq"#,
        after
    )
    .fetch_all(tx.conn())
    .await?;
    tx.rollback().await?;
    let changed = rows.into_iter().map(|row| Changed {
        tenant: row.tenant_id.into(),
        user: row.user_id.into(),
        held: Held {
            id: row.id.into(),
            cluster: row.cluster_id.into(),
            membership: row.membership_id.into(),
            role: row.role,
            until: row.until_at,
        },
        ended: row.ended,
        seq: row.seq,
    });
    Ok(changed.collect())
}

/// Those of the transaction's tenant that had been made at `at` and not taken away.
pub(super) async fn then(tx: &mut TenantTx, at: OffsetDateTime) -> Result<Vec<Changed>, DbError> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query!(
        "SELECT tenant_id, cluster_id, id, user_id, membership_id, role, until_at, seq FROM gw.binding
          WHERE tenant_id = $1 AND created_at <= $2 AND (ended_at IS NULL OR ended_at > $2)",
        tenant,
        at
    )
    .fetch_all(tx.conn())
    .await?;
    let then = rows.into_iter().map(|row| Changed {
        tenant: row.tenant_id.into(),
        user: row.user_id.into(),
        held: Held {
            id: row.id.into(),
            cluster: row.cluster_id.into(),
            membership: row.membership_id.into(),
            role: row.role,
            until: row.until_at,
        },
        ended: false,
        seq: row.seq,
    });
    Ok(then.collect())
}

struct Row {
    id: Uuid,
    cluster_id: Uuid,
    user_id: Uuid,
    membership_id: Uuid,
    role: String,
    until_at: Option<OffsetDateTime>,
    created_by: String,
    created_at: OffsetDateTime,
}

impl From<Row> for Stored {
    fn from(row: Row) -> Self {
        Self {
            id: row.id.into(),
            cluster: row.cluster_id.into(),
            user: row.user_id.into(),
            membership: row.membership_id.into(),
            role: row.role,
            until: row.until_at,
            created_by: row.created_by,
            created_at: row.created_at,
        }
    }
}

/// A new one, in the place of one that has expired.
pub(super) async fn insert(tx: &mut TenantTx, new: &Stored) -> Result<(), DbError> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "UPDATE gw.binding SET ended_at = until_at
          WHERE tenant_id = $1 AND cluster_id = $2 AND user_id = $3 AND role = $4 AND ended_at IS NULL AND until_at <= $5",
        tenant,
        new.cluster.uuid(),
        new.user.uuid(),
        new.role,
        new.created_at
    )
    .execute(tx.conn())
    .await?;
    sqlx::query!(
        "INSERT INTO gw.binding (tenant_id, cluster_id, id, user_id, membership_id, role, until_at, created_by, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        tenant,
        new.cluster.uuid(),
        new.id.uuid(),
        new.user.uuid(),
        new.membership.uuid(),
        new.role,
        new.until,
        new.created_by,
        new.created_at
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn find(tx: &mut TenantTx, id: BindingId) -> Result<Option<Stored>, DbError> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query_as!(
        Row,
        "SELECT id, cluster_id, user_id, membership_id, role, until_at, created_by, created_at FROM gw.binding
          WHERE tenant_id = $1 AND id = $2 AND ended_at IS NULL",
        tenant,
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(Stored::from))
}

/// The same, locked until the transaction ends.
pub(super) async fn lock(tx: &mut TenantTx, id: BindingId) -> Result<Option<Stored>, DbError> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query_as!(
        Row,
        "SELECT id, cluster_id, user_id, membership_id, role, until_at, created_by, created_at FROM gw.binding
          WHERE tenant_id = $1 AND id = $2 AND ended_at IS NULL FOR UPDATE",
        tenant,
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(Stored::from))
}

/// Those of the window that have not ended, newest first.
pub(super) async fn page(
    tx: &mut TenantTx,
    cluster: Option<ClusterId>,
    user: Option<UserId>,
    window: Window,
) -> Result<Vec<Stored>, DbError> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query_as!(
        Row,
        "SELECT id, cluster_id, user_id, membership_id, role, until_at, created_by, created_at FROM gw.binding
          WHERE tenant_id = $1 AND id < $2 AND ended_at IS NULL
            AND ($3::uuid IS NULL OR cluster_id = $3) AND ($4::uuid IS NULL OR user_id = $4)
          ORDER BY id DESC LIMIT $5",
        tenant,
        window.before,
        cluster.map(ClusterId::uuid),
        user.map(UserId::uuid),
        window.rows
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(Stored::from).collect())
}

pub(super) async fn end(tx: &mut TenantTx, id: BindingId, by: &str, now: OffsetDateTime) -> Result<(), DbError> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "UPDATE gw.binding SET ended_at = $3, ended_by = $4 WHERE tenant_id = $1 AND id = $2 AND ended_at IS NULL",
        tenant,
        id.uuid(),
        now,
        by
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn end_in(
    tx: &mut TenantTx,
    cluster: ClusterId,
    by: &str,
    now: OffsetDateTime,
) -> Result<u64, DbError> {
    let tenant = tx.tenant().uuid();
    let ended = sqlx::query!(
        "UPDATE gw.binding SET ended_at = $3, ended_by = $4
          WHERE tenant_id = $1 AND cluster_id = $2 AND ended_at IS NULL",
        tenant,
        cluster.uuid(),
        now,
        by
    )
    .execute(tx.conn())
    .await?;
    Ok(ended.rows_affected())
}
