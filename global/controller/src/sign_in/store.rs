use super::{answer::Step, attempts::Attempts};
use crate::sessions::SessionKind;
use exarch_common_authz::Role;
use exarch_common_base::{TenantId, UserId};
use exarch_common_pg::{DbError, SystemTx};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// A person as far as signing in goes.
#[derive(Clone, Debug)]
pub struct Account {
    pub id: UserId,
    pub active: bool,
    pub password_hash: Option<String>,
    pub must_change_password: bool,
    pub last_tenant: Option<TenantId>,
    pub staff: Vec<Role>,
    pub email_index: [u8; 32],
    /// Whether there is an authenticator app in use.
    pub second_factor: bool,
}

impl Account {
    /// Whether a password alone is not enough.
    pub fn needs_second_factor(&self) -> bool {
        self.second_factor || !self.staff.is_empty()
    }
}

/// By address or by id.
pub async fn account(
    conn: &mut PgConnection,
    email_index: Option<&[u8; 32]>,
    id: Option<UserId>,
    now: OffsetDateTime,
) -> Result<Option<Account>, DbError> {
    let row = sqlx::query!(
        "SELECT u.id, u.state, u.password_hash, u.must_change_password, u.last_tenant_id, u.email_index,
                EXISTS (SELECT FROM gc.totp t WHERE t.user_id = u.id AND t.verified_at IS NOT NULL)
                  AS \"second_factor!\",
                coalesce((SELECT array_agg(b.role ORDER BY b.role) FROM gc.staff_binding b
                           WHERE b.user_id = u.id AND b.ended_at IS NULL AND (b.until_at IS NULL OR b.until_at > $3)),
                         '{}') AS \"staff!\"
           FROM gc.user u WHERE u.email_index = $1 OR u.id = $2",
        email_index.map(|index| &index[..]),
        id.map(|id| id.uuid()),
        now
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Account {
        id: row.id.into(),
        active: row.state == "active",
        password_hash: row.password_hash,
        must_change_password: row.must_change_password,
        last_tenant: row.last_tenant_id.map(TenantId::from),
        staff: row.staff.iter().filter_map(|role| role.parse().ok()).collect(),
        // the table checks the length
        email_index: row.email_index.try_into().unwrap_or_default(),
        second_factor: row.second_factor,
    }))
}

/// What is remembered of an address, locked until the end of the transaction.
pub async fn lock_attempts(
    conn: &mut PgConnection,
    email_index: &[u8; 32],
    now: OffsetDateTime,
) -> Result<Attempts, DbError> {
    let row = sqlx::query!(
        "INSERT INTO gc.sign_in_attempt (email_index, updated_at) VALUES ($1, $2)
         ON CONFLICT (email_index) DO UPDATE SET updated_at = $2
         RETURNING failures, locked_until, locks",
        &email_index[..],
        now
    )
    .fetch_one(conn)
    .await?;
    Ok(Attempts {
        failures: row.failures,
        locked_until: row.locked_until,
        locks: row.locks as u32,
    })
}

pub async fn save_attempts(
    conn: &mut PgConnection,
    email_index: &[u8; 32],
    attempts: &Attempts,
) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE gc.sign_in_attempt SET failures = $2, locked_until = $3, locks = $4 WHERE email_index = $1",
        &email_index[..],
        &attempts.failures,
        attempts.locked_until,
        attempts.locks as i32
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn set_password(
    conn: &mut PgConnection,
    user: UserId,
    hash: &str,
    now: OffsetDateTime,
) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE gc.user SET password_hash = $2, must_change_password = false, password_changed_at = $3, updated_at = $3
          WHERE id = $1",
        user.uuid(),
        hash,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The same password under today's parameters; nothing if it was changed meanwhile.
pub async fn rehash(conn: &mut PgConnection, user: UserId, old: &str, new: &str) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE gc.user SET password_hash = $3 WHERE id = $1 AND password_hash = $2",
        user.uuid(),
        old,
        new
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn set_last_tenant(conn: &mut PgConnection, user: UserId, tenant: TenantId) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE gc.user SET last_tenant_id = $2 WHERE id = $1 AND last_tenant_id IS DISTINCT FROM $2",
        user.uuid(),
        tenant.uuid()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What a ticket stands for.
#[derive(Clone, Debug)]
pub struct Ticket {
    pub user: UserId,
    pub step: Step,
    pub kind: SessionKind,
    pub tenant: Option<String>,
    pub amr: Vec<String>,
    pub auth_time: OffsetDateTime,
    pub expires_at: OffsetDateTime,
    /// What is enrolled by the step.
    pub totp: Option<Uuid>,
}

pub async fn insert_ticket(conn: &mut PgConnection, hash: &[u8; 32], ticket: &Ticket) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO gc.sign_in_ticket (hash, user_id, step, session_kind, tenant, amr, auth_time, expires_at,
                                        totp_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        &hash[..],
        ticket.user.uuid(),
        ticket.step.as_str(),
        ticket.kind.as_str(),
        ticket.tenant,
        &ticket.amr,
        ticket.auth_time,
        ticket.expires_at,
        ticket.totp
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Spends a ticket; nothing when it is spent, over or none of ours.
pub async fn spend_ticket(
    conn: &mut PgConnection,
    hash: &[u8; 32],
    now: OffsetDateTime,
) -> Result<Option<Ticket>, DbError> {
    let row = sqlx::query!(
        "UPDATE gc.sign_in_ticket SET used_at = $2 WHERE hash = $1 AND used_at IS NULL AND expires_at > $2
         RETURNING user_id, step, session_kind, tenant, amr, auth_time, expires_at, totp_id",
        &hash[..],
        now
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.and_then(|row| {
        Some(Ticket {
            user: row.user_id.into(),
            step: [Step::SecondFactor, Step::SelectTenant, Step::ChangePassword]
                .into_iter()
                .find(|step| step.as_str() == row.step)?,
            kind: [SessionKind::Cookie, SessionKind::Token]
                .into_iter()
                .find(|kind| kind.as_str() == row.session_kind)?,
            tenant: row.tenant,
            amr: row.amr,
            auth_time: row.auth_time,
            expires_at: row.expires_at,
            totp: row.totp_id,
        })
    }))
}

pub async fn sweep(tx: &mut SystemTx, tickets: OffsetDateTime, attempts: OffsetDateTime) -> Result<u64, DbError> {
    let spent = sqlx::query!("DELETE FROM gc.sign_in_ticket WHERE expires_at < $1", tickets)
        .execute(tx.conn())
        .await?;
    let idle = sqlx::query!("DELETE FROM gc.sign_in_attempt WHERE updated_at < $1", attempts)
        .execute(tx.conn())
        .await?;
    Ok(spent.rows_affected() + idle.rows_affected())
}
