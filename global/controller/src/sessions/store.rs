use super::{Session, SessionKind, family::Family};
use crate::second_factor;
use exarch_common_authz::Role;
use exarch_common_base::{BreakGlassId, SessionId, TenantId, UserId};
use exarch_common_pg::DbError;
use exarch_common_wire::audit::Source;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// A live session of an active person, and the person's roles over the federation.
pub struct Found {
    pub session: Session,
    pub staff: Vec<(Role, Option<OffsetDateTime>)>,
}

impl Found {
    /// Whether the session has what its roles ask for: whose role reaches over the federation works with two factors only, also
    /// when the role came after the sign-in. And who has no such role any more is in no tenant by break-glass.
    pub fn is_enough(&self, now: OffsetDateTime) -> bool {
        let staff = self.staff.iter().any(|(_, until)| until.is_none_or(|end| now < end));
        match staff {
            true => second_factor::is_mfa(&self.session.amr),
            false => self.session.break_glass.is_none(),
        }
    }
}

/// What to look for.
pub enum Key<'a> {
    Id(SessionId),
    Cookie(&'a [u8; 32]),
    Family(Uuid),
}

pub async fn find(conn: &mut PgConnection, key: Key<'_>, now: OffsetDateTime) -> Result<Option<Found>, DbError> {
    let (id, cookie, family) = match key {
        Key::Id(id) => (Some(id.uuid()), None, None),
        Key::Cookie(hash) => (None, Some(&hash[..]), None),
        Key::Family(family) => (None, None, Some(family)),
    };
    let row = sqlx::query!(
        "SELECT s.id, s.user_id, s.tenant, s.break_glass, s.kind, s.amr, s.auth_time, s.expires_at,
                coalesce((SELECT array_agg(b.role ORDER BY b.role) FROM gc.staff_binding b
                           WHERE b.user_id = s.user_id AND b.ended_at IS NULL), '{}') AS \"roles!\",
                coalesce((SELECT array_agg(b.until_at ORDER BY b.role) FROM gc.staff_binding b
                           WHERE b.user_id = s.user_id AND b.ended_at IS NULL), '{}')
                  AS \"untils!: Vec<Option<OffsetDateTime>>\"
           FROM gc.session s JOIN gc.user u ON u.id = s.user_id
          WHERE (s.id = $1 OR s.cookie_hash = $2 OR s.id = (SELECT session_id FROM gc.refresh_family WHERE id = $4))
            AND s.ended_at IS NULL AND s.expires_at > $3 AND u.state = 'active'",
        id,
        cookie,
        now,
        family
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Found {
        session: Session {
            id: row.id.into(),
            user: row.user_id.into(),
            tenant: row.tenant.map(TenantId::from),
            break_glass: row.break_glass.map(BreakGlassId::from),
            // the table checks the words
            kind: if row.kind == "cookie" {
                SessionKind::Cookie
            } else {
                SessionKind::Token
            },
            amr: row.amr,
            auth_time: row.auth_time,
            expires_at: row.expires_at,
        },
        // a role that this build does not know gives nothing
        staff: row
            .roles
            .iter()
            .zip(row.untils)
            .filter_map(|(role, until)| Some((role.parse().ok()?, until)))
            .collect(),
    }))
}

pub async fn insert(
    conn: &mut PgConnection,
    session: &Session,
    source: &Source,
    cookie: Option<&[u8; 32]>,
    now: OffsetDateTime,
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO gc.session (id, user_id, tenant, kind, cookie_hash, amr, auth_time, created_at, expires_at, address,
                                 user_agent, break_glass)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        session.id.uuid(),
        session.user.uuid(),
        session.tenant.map(|t| t.uuid()),
        session.kind.as_str(),
        cookie.map(|hash| &hash[..]),
        &session.amr,
        session.auth_time,
        now,
        session.expires_at,
        source.address,
        source.user_agent,
        session.break_glass.map(BreakGlassId::uuid)
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends a session; false when it had ended before.
pub async fn end(conn: &mut PgConnection, id: SessionId, reason: &str, now: OffsetDateTime) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "UPDATE gc.session SET ended_at = $2, ended_reason = $3 WHERE id = $1 AND ended_at IS NULL",
        id.uuid(),
        now,
        reason
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// A session as a list has it.
pub struct Listed {
    pub id: Uuid,
    pub kind: String,
    pub tenant: Option<Uuid>,
    pub amr: Vec<String>,
    pub created_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
    pub address: Option<String>,
    pub user_agent: Option<String>,
}

/// A person's sessions that are not over, in one tenant if it is named, newest first, from the one after `after`.
pub async fn list(
    conn: &mut PgConnection,
    user: UserId,
    tenant: Option<TenantId>,
    now: OffsetDateTime,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Listed>, DbError> {
    Ok(sqlx::query_as!(
        Listed,
        "SELECT id, kind, tenant, amr, created_at, expires_at, address, user_agent FROM gc.session
          WHERE user_id = $1 AND ended_at IS NULL AND expires_at > $3
            AND ($2::uuid IS NULL OR tenant = $2) AND ($4::uuid IS NULL OR id < $4)
          ORDER BY id DESC LIMIT $5",
        user.uuid(),
        tenant.map(|tenant| tenant.uuid()),
        now,
        after,
        limit
    )
    .fetch_all(conn)
    .await?)
}

/// Ends a person's sessions: those in one tenant, one alone, all but one, or all. How many there were.
pub async fn end_of_user(
    conn: &mut PgConnection,
    user: UserId,
    tenant: Option<TenantId>,
    only: Option<SessionId>,
    but: Option<SessionId>,
    reason: &str,
    now: OffsetDateTime,
) -> Result<u64, DbError> {
    let done = sqlx::query!(
        "UPDATE gc.session SET ended_at = $5, ended_reason = $6
          WHERE user_id = $1 AND ended_at IS NULL AND expires_at > $5
            AND ($2::uuid IS NULL OR tenant = $2) AND ($3::uuid IS NULL OR id = $3) AND ($4::uuid IS NULL OR id <> $4)",
        user.uuid(),
        tenant.map(|tenant| tenant.uuid()),
        only.map(|id| id.uuid()),
        but.map(|id| id.uuid()),
        now,
        reason
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

pub async fn staff_roles(conn: &mut PgConnection, user: UserId, now: OffsetDateTime) -> Result<Vec<Role>, DbError> {
    let names = sqlx::query_scalar!(
        "SELECT role FROM gc.staff_binding
          WHERE user_id = $1 AND ended_at IS NULL AND (until_at IS NULL OR until_at > $2) ORDER BY role",
        user.uuid(),
        now
    )
    .fetch_all(conn)
    .await?;
    Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
}

/// Ends a person's sessions in one tenant.
pub async fn end_in_tenant(
    conn: &mut PgConnection,
    user: UserId,
    tenant: TenantId,
    reason: &str,
    now: OffsetDateTime,
) -> Result<u64, DbError> {
    let done = sqlx::query!(
        "UPDATE gc.session SET ended_at = $3, ended_reason = $4
          WHERE user_id = $1 AND tenant = $2 AND ended_at IS NULL",
        user.uuid(),
        tenant.uuid(),
        now,
        reason
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Ends the sessions that are in a tenant by a break-glass.
pub async fn end_of_break_glass(
    conn: &mut PgConnection,
    tenant: TenantId,
    grant: BreakGlassId,
    now: OffsetDateTime,
) -> Result<u64, DbError> {
    let done = sqlx::query!(
        "UPDATE gc.session SET ended_at = $3, ended_reason = 'break-glass-ended'
          WHERE tenant = $1 AND break_glass = $2 AND ended_at IS NULL",
        tenant.uuid(),
        grant.uuid(),
        now
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Until the end of the transaction nobody else begins a session of this person.
pub async fn lock_person(conn: &mut PgConnection, user: UserId) -> Result<(), DbError> {
    sqlx::query!("SELECT id FROM gc.user WHERE id = $1 FOR NO KEY UPDATE", user.uuid())
        .fetch_optional(conn)
        .await?;
    Ok(())
}

/// Ends a person's oldest sessions until `keep` are left, at most; how many there were. A session that somebody else is ending at this moment is left to them.
pub async fn end_oldest(conn: &mut PgConnection, user: UserId, keep: i64, now: OffsetDateTime) -> Result<u64, DbError> {
    let done = sqlx::query!(
        "UPDATE gc.session SET ended_at = $3, ended_reason = 'displaced'
          WHERE id IN (SELECT id FROM gc.session
                        WHERE id IN (SELECT id FROM gc.session
                                      WHERE user_id = $1 AND ended_at IS NULL AND expires_at > $3
                                      ORDER BY created_at DESC, id DESC OFFSET $2)
                          FOR UPDATE SKIP LOCKED)",
        user.uuid(),
        keep,
        now
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Ends the sessions in a tenant whose methods lack one.
pub async fn end_single_factor(
    conn: &mut PgConnection,
    tenant: TenantId,
    method: &str,
    now: OffsetDateTime,
) -> Result<u64, DbError> {
    let done = sqlx::query!(
        "UPDATE gc.session SET ended_at = $3, ended_reason = 'second-factor-required'
          WHERE tenant = $1 AND NOT ($2 = ANY (amr)) AND ended_at IS NULL AND expires_at > $3",
        tenant.uuid(),
        method,
        now
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// The access token that was given with the last refresh token.
#[derive(Clone, Debug)]
pub struct Access {
    pub jti: String,
    pub iat: i64,
    pub exp: i64,
}

pub async fn insert_family(
    conn: &mut PgConnection,
    id: Uuid,
    session: SessionId,
    salt: &[u8; 32],
    expires_at: OffsetDateTime,
    access: &Access,
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO gc.refresh_family (id, session_id, salt, expires_at, access_jti, access_iat, access_exp)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        id,
        session.uuid(),
        &salt[..],
        expires_at,
        access.jti,
        access.iat,
        access.exp
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A family under its lock: uses of its tokens come one after the other.
pub struct Locked {
    pub salt: Vec<u8>,
    pub family: Family,
    pub access: Access,
}

pub async fn lock_family(conn: &mut PgConnection, id: Uuid) -> Result<Option<Locked>, DbError> {
    let row = sqlx::query!(
        "SELECT salt, number, rotated_at, rotated_by, expires_at, access_jti, access_iat, access_exp,
                revoked_at
           FROM gc.refresh_family WHERE id = $1 FOR UPDATE",
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Locked {
        salt: row.salt,
        family: Family {
            number: row.number as u32,
            // nobody's hash when it has another length: then nothing is given again
            rotated: row
                .rotated_at
                .zip(row.rotated_by)
                .map(|(at, by)| (at, by.try_into().unwrap_or_default())),
            expires_at: row.expires_at,
            revoked: row.revoked_at.is_some(),
        },
        access: Access {
            jti: row.access_jti,
            iat: row.access_iat,
            exp: row.access_exp,
        },
    }))
}

pub async fn rotate_family(conn: &mut PgConnection, id: Uuid, family: &Family, access: &Access) -> Result<(), DbError> {
    let (at, by) = family.rotated.map_or((None, None), |(at, by)| (Some(at), Some(by)));
    sqlx::query!(
        "UPDATE gc.refresh_family
            SET number = $2, rotated_at = $3, rotated_by = $4, expires_at = $5,
                access_jti = $6, access_iat = $7, access_exp = $8
          WHERE id = $1",
        id,
        family.number as i32,
        at,
        by.as_ref().map(|by| &by[..]),
        family.expires_at,
        access.jti,
        access.iat,
        access.exp
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn revoke_family(conn: &mut PgConnection, id: Uuid, now: OffsetDateTime) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE gc.refresh_family SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL",
        id,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Removes sessions whose time was over at `before`, with their families.
pub async fn sweep(conn: &mut PgConnection, before: OffsetDateTime) -> Result<u64, DbError> {
    let done = sqlx::query!("DELETE FROM gc.session WHERE expires_at < $1", before)
        .execute(conn)
        .await?;
    Ok(done.rows_affected())
}
