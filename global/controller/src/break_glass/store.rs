use super::grant::{Grant, Mode, State};
use exarch_common_base::{BreakGlassId, Slug, UserId};
use exarch_common_pg::{DbError, SweepPool, SystemTx, TenantTx};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

struct Row {
    tenant_id: Uuid,
    tenant_slug: String,
    id: Uuid,
    requester: Uuid,
    mode: String,
    reason: String,
    ticket: String,
    minutes: i32,
    rescue: bool,
    state: String,
    requested_at: OffsetDateTime,
    seconded_by: Option<Uuid>,
    decided_by: Option<Uuid>,
    decided_at: Option<OffsetDateTime>,
    from_at: Option<OffsetDateTime>,
    until_at: Option<OffsetDateTime>,
    ended_by: Option<String>,
    ended_at: Option<OffsetDateTime>,
}

impl Row {
    fn read(self) -> Option<Grant> {
        // was one when it was written
        let tenant_slug: Slug = self.tenant_slug.parse().ok()?;
        Some(Grant {
            id: self.id.into(),
            tenant: self.tenant_id.into(),
            tenant_slug,
            requester: self.requester.into(),
            mode: if self.mode == "write" { Mode::Write } else { Mode::Read },
            reason: self.reason,
            ticket: self.ticket,
            minutes: u16::try_from(self.minutes).ok()?,
            rescue: self.rescue,
            state: State::parse(&self.state),
            requested_at: self.requested_at,
            seconded_by: self.seconded_by.map(UserId::from),
            decided_by: self.decided_by.map(UserId::from),
            decided_at: self.decided_at,
            from: self.from_at,
            until: self.until_at,
            ended_by: self.ended_by,
            ended_at: self.ended_at,
        })
    }
}

/// All of them, of all tenants, newest first, from the one after `after`.
pub async fn page(pool: &SweepPool, after: Option<Uuid>, limit: i64) -> Result<Vec<Grant>, DbError> {
    let mut tx = SystemTx::begin(pool, "list-break-glass").await?;
    let rows = sqlx::query_as!(
        Row,
        "SELECT b.tenant_id, t.slug AS tenant_slug, b.id, b.requester, b.mode, b.reason, b.ticket, b.minutes, b.rescue, b.state,
                b.requested_at, b.seconded_by, b.decided_by, b.decided_at, b.from_at, b.until_at, b.ended_by, b.ended_at
           FROM gc.break_glass b JOIN gc.tenant t ON t.id = b.tenant_id
          WHERE $1::uuid IS NULL OR b.id < $1 ORDER BY b.id DESC LIMIT $2",
        after,
        limit
    )
    .fetch_all(tx.conn())
    .await?;
    tx.rollback().await?;
    Ok(rows.into_iter().filter_map(Row::read).collect())
}

/// One of them, of whichever tenant.
pub async fn find(pool: &SweepPool, id: BreakGlassId) -> Result<Option<Grant>, DbError> {
    let mut tx = SystemTx::begin(pool, "find-break-glass").await?;
    let row = sqlx::query_as!(
        Row,
        "SELECT b.tenant_id, t.slug AS tenant_slug, b.id, b.requester, b.mode, b.reason, b.ticket, b.minutes, b.rescue, b.state,
                b.requested_at, b.seconded_by, b.decided_by, b.decided_at, b.from_at, b.until_at, b.ended_by, b.ended_at
           FROM gc.break_glass b JOIN gc.tenant t ON t.id = b.tenant_id
          WHERE b.id = $1",
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    tx.rollback().await?;
    Ok(row.and_then(Row::read))
}

/// Those that the clock has ended: requests made before `asked_before`, and grants.
pub async fn over(pool: &SweepPool, asked_before: OffsetDateTime, now: OffsetDateTime) -> Result<Vec<Grant>, DbError> {
    let mut tx = SystemTx::begin(pool, "end-break-glass").await?;
    let rows = sqlx::query_as!(
        Row,
        "SELECT b.tenant_id, t.slug AS tenant_slug, b.id, b.requester, b.mode, b.reason, b.ticket, b.minutes, b.rescue, b.state,
                b.requested_at, b.seconded_by, b.decided_by, b.decided_at, b.from_at, b.until_at, b.ended_by, b.ended_at
           FROM gc.break_glass b JOIN gc.tenant t ON t.id = b.tenant_id
          WHERE (b.state = 'requested' AND b.requested_at <= $1) OR (b.state = 'approved' AND b.until_at <= $2)
          ORDER BY b.id",
        asked_before,
        now
    )
    .fetch_all(tx.conn())
    .await?;
    tx.rollback().await?;
    Ok(rows.into_iter().filter_map(Row::read).collect())
}

/// One of the transaction's tenant, which nobody else changes until its end.
pub async fn lock(tx: &mut TenantTx, id: BreakGlassId) -> Result<Option<Grant>, DbError> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query_as!(
        Row,
        "SELECT b.tenant_id, t.slug AS tenant_slug, b.id, b.requester, b.mode, b.reason, b.ticket, b.minutes, b.rescue, b.state,
                b.requested_at, b.seconded_by, b.decided_by, b.decided_at, b.from_at, b.until_at, b.ended_by, b.ended_at
           FROM gc.break_glass b JOIN gc.tenant t ON t.id = b.tenant_id
          WHERE b.tenant_id = $1 AND b.id = $2 FOR UPDATE OF b",
        tenant,
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.and_then(Row::read))
}

/// Whether somebody has one in the transaction's tenant that is not over.
pub async fn open(
    tx: &mut TenantTx,
    requester: UserId,
    asked_after: OffsetDateTime,
    now: OffsetDateTime,
) -> Result<bool, DbError> {
    let tenant = tx.tenant().uuid();
    Ok(sqlx::query_scalar!(
        "SELECT EXISTS (SELECT FROM gc.break_glass
                         WHERE tenant_id = $1 AND requester = $2
                           AND ((state = 'requested' AND requested_at > $3) OR (state = 'approved' AND until_at > $4)))
           AS \"open!\"",
        tenant,
        requester.uuid(),
        asked_after,
        now
    )
    .fetch_one(tx.conn())
    .await?)
}

pub async fn insert(tx: &mut TenantTx, grant: &Grant) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO gc.break_glass (tenant_id, id, requester, mode, reason, ticket, minutes, rescue, requested_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        grant.tenant.uuid(),
        grant.id.uuid(),
        grant.requester.uuid(),
        grant.mode.as_str(),
        grant.reason,
        grant.ticket,
        i32::from(grant.minutes),
        grant.rescue,
        grant.requested_at
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Writes what can change.
pub async fn save(tx: &mut TenantTx, grant: &Grant) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE gc.break_glass SET state = $3, seconded_by = $4, decided_by = $5, decided_at = $6, from_at = $7, until_at = $8,
                                   ended_by = $9, ended_at = $10
          WHERE tenant_id = $1 AND id = $2",
        grant.tenant.uuid(),
        grant.id.uuid(),
        grant.state.as_str(),
        grant.seconded_by.map(UserId::uuid),
        grant.decided_by.map(UserId::uuid),
        grant.decided_at,
        grant.from,
        grant.until,
        grant.ended_by,
        grant.ended_at
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// How many people but `but` hold one of `roles` over the federation and may sign in.
pub async fn others(
    conn: &mut PgConnection,
    roles: &[String],
    but: Option<UserId>,
    now: OffsetDateTime,
) -> Result<i64, DbError> {
    Ok(sqlx::query_scalar!(
        "SELECT count(DISTINCT b.user_id) AS \"others!\" FROM gc.staff_binding b JOIN gc.user u ON u.id = b.user_id
          WHERE b.role = ANY($1) AND b.user_id IS DISTINCT FROM $2 AND b.ended_at IS NULL AND (b.until_at IS NULL OR b.until_at > $3)
            AND u.state = 'active'",
        roles,
        but.map(UserId::uuid),
        now
    )
    .fetch_one(conn)
    .await?)
}
