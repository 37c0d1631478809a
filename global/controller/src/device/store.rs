use super::grant::{Grant, State};
use crate::sessions::Session;
use exarch_common_base::{TenantId, UserId};
use exarch_common_pg::{DbError, SystemTx};
use exarch_common_wire::audit::Source;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

pub struct New<'a> {
    pub id: Uuid,
    pub device_hash: [u8; 32],
    pub user_hash: [u8; 32],
    pub client: &'a str,
    pub source: &'a Source,
    pub created_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
    pub interval: u32,
}

pub async fn insert(conn: &mut PgConnection, new: &New<'_>) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO gc.device_grant (id, device_hash, user_hash, client, address, user_agent, created_at, expires_at,
                                      interval_s)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        new.id,
        &new.device_hash[..],
        &new.user_hash[..],
        new.client,
        new.source.address,
        new.source.user_agent,
        new.created_at,
        new.expires_at,
        new.interval as i32
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Who let the program in, and how they had signed in.
pub struct Approved {
    pub user: UserId,
    pub tenant: Option<TenantId>,
    pub amr: Vec<String>,
    pub auth_time: OffsetDateTime,
    pub session_end: OffsetDateTime,
}

pub struct Locked {
    pub id: Uuid,
    pub client: String,
    pub grant: Grant,
    pub approved: Option<Approved>,
}

/// A grant under its lock: questions of the program come one after the other.
pub async fn lock(conn: &mut PgConnection, device_hash: &[u8; 32]) -> Result<Option<Locked>, DbError> {
    let row = sqlx::query!(
        "SELECT id, client, state, expires_at, interval_s, polled_at, user_id, tenant, amr, auth_time, session_end
           FROM gc.device_grant WHERE device_hash = $1 FOR UPDATE",
        &device_hash[..]
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.and_then(|row| {
        let approved = || {
            Some(Approved {
                user: row.user_id?.into(),
                tenant: row.tenant.map(TenantId::from),
                amr: row.amr.clone()?,
                auth_time: row.auth_time?,
                session_end: row.session_end?,
            })
        };
        Some(Locked {
            id: row.id,
            approved: approved(),
            grant: Grant {
                state: State::ALL.into_iter().find(|state| state.as_str() == row.state)?,
                expires_at: row.expires_at,
                interval: row.interval_s as u32,
                polled_at: row.polled_at,
            },
            client: row.client,
        })
    }))
}

pub async fn save(conn: &mut PgConnection, id: Uuid, grant: &Grant) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE gc.device_grant SET state = $2, interval_s = $3, polled_at = $4 WHERE id = $1",
        id,
        grant.state.as_str(),
        grant.interval as i32,
        grant.polled_at
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A program that waits.
pub struct Asking {
    pub id: Uuid,
    pub client: String,
    pub address: Option<String>,
    pub user_agent: Option<String>,
    pub created_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
}

pub async fn asking(
    conn: &mut PgConnection,
    user_hash: &[u8; 32],
    now: OffsetDateTime,
) -> Result<Option<Asking>, DbError> {
    Ok(sqlx::query_as!(
        Asking,
        "SELECT id, client, address, user_agent, created_at, expires_at FROM gc.device_grant
          WHERE user_hash = $1 AND state = 'pending' AND expires_at > $2",
        &user_hash[..],
        now
    )
    .fetch_optional(conn)
    .await?)
}

pub struct Answer<'a> {
    pub state: State,
    pub session: &'a Session,
}

/// Answers a grant; false when it was answered before.
pub async fn answer(conn: &mut PgConnection, id: Uuid, answer: &Answer<'_>) -> Result<bool, DbError> {
    let session = answer.session;
    let done = sqlx::query!(
        "UPDATE gc.device_grant
            SET state = $2, user_id = $3, tenant = $4, amr = $5, auth_time = $6, session_end = $7
          WHERE id = $1 AND state = 'pending'",
        id,
        answer.state.as_str(),
        session.user.uuid(),
        session.tenant.map(|tenant| tenant.uuid()),
        &session.amr,
        session.auth_time,
        session.expires_at
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub async fn sweep(tx: &mut SystemTx, before: OffsetDateTime) -> Result<u64, DbError> {
    let done = sqlx::query!("DELETE FROM gc.device_grant WHERE expires_at < $1", before)
        .execute(tx.conn())
        .await?;
    Ok(done.rows_affected())
}
