use super::{Emergency, Membership, Seat, TenantBrief};
use crate::roles::Stored;
use exarch_common_authz::{Role, TenantState};
use exarch_common_base::{BreakGlassId, MembershipId, TenantId, UserId};
use exarch_common_pg::{DbError, SweepPool, SystemTx, TenantTx};
use sqlx::{PgConnection, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;

/// A slug in the database was one when it was written.
fn brief(id: Uuid, slug: &str, name: String, state: &str, second_factor_required: bool) -> Option<TenantBrief> {
    let Ok(state) = state.parse::<TenantState>();
    Some(TenantBrief {
        id: id.into(),
        slug: slug.parse().ok()?,
        name,
        state,
        second_factor_required,
    })
}

fn ids<T: From<Uuid>>(ids: Option<Vec<Uuid>>) -> Option<Vec<T>> {
    ids.map(|ids| ids.into_iter().map(T::from).collect())
}

struct Row {
    id: Uuid,
    user_id: Uuid,
    roles: Vec<String>,
    regions: Option<Vec<Uuid>>,
    until_at: Option<OffsetDateTime>,
    created_by: String,
    created_at: OffsetDateTime,
    version: i64,
}

impl From<Row> for Membership {
    fn from(row: Row) -> Self {
        Self {
            id: row.id.into(),
            user: row.user_id.into(),
            roles: row.roles,
            regions: ids(row.regions),
            until: row.until_at,
            created_by: row.created_by,
            created_at: row.created_at,
            version: row.version.cast_unsigned(),
        }
    }
}

/// The person's place in the transaction's tenant.
pub async fn seat(tx: &mut TenantTx, user: UserId, now: OffsetDateTime) -> Result<Option<Seat>, DbError> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query!(
        r#"SELECT t.id, t.slug, t.name, t.state, t.second_factor_required, m.id AS membership, m.roles, m.regions, m.until_at,
                (SELECT coalesce(jsonb_agg(jsonb_build_object('name', r.name, 'scope', r.scope, 'permissions', r.permissions)), '[]')
                   FROM gc.role r
                  WHERE r.tenant_id = m.tenant_id AND r.name = ANY(m.roles) AND r.ended_at IS NULL) AS "custom!: Json<Vec<Stored>>"
           FROM gc.membership m JOIN gc.tenant t ON t.id = m.tenant_id
          WHERE m.tenant_id = $1 AND m.user_id = $2 AND m.ended_at IS NULL AND (m.until_at IS NULL OR m.until_at > $3)"#,
        tenant,
        user.uuid(),
        now
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.and_then(|row| {
        Some(Seat {
            tenant: brief(row.id, &row.slug, row.name, &row.state, row.second_factor_required)?,
            membership: Some(row.membership.into()),
            roles: Stored::among(row.custom.0, &row.roles),
            regions: ids(row.regions),
            until: row.until_at,
            emergency: None,
        })
    }))
}

/// All places of a person, across tenants.
pub async fn seats(pool: &SweepPool, user: UserId, now: OffsetDateTime) -> Result<Vec<Seat>, DbError> {
    let mut tx = SystemTx::begin(pool, "tenants-of-a-person").await?;
    let rows = sqlx::query!(
        r#"SELECT t.id, t.slug, t.name, t.state, t.second_factor_required, m.id AS membership, m.roles, m.regions, m.until_at,
                (SELECT coalesce(jsonb_agg(jsonb_build_object('name', r.name, 'scope', r.scope, 'permissions', r.permissions)), '[]')
                   FROM gc.role r
                  WHERE r.tenant_id = m.tenant_id AND r.name = ANY(m.roles) AND r.ended_at IS NULL) AS "custom!: Json<Vec<Stored>>"
           FROM gc.membership m JOIN gc.tenant t ON t.id = m.tenant_id
          WHERE m.user_id = $1 AND m.ended_at IS NULL AND (m.until_at IS NULL OR m.until_at > $2)
          ORDER BY t.slug"#,
        user.uuid(),
        now
    )
    .fetch_all(tx.conn())
    .await?;
    tx.rollback().await?;
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            Some(Seat {
                tenant: brief(row.id, &row.slug, row.name, &row.state, row.second_factor_required)?,
                membership: Some(row.membership.into()),
                roles: Stored::among(row.custom.0, &row.roles),
                regions: ids(row.regions),
                until: row.until_at,
                emergency: None,
            })
        })
        .collect())
}

/// A place by an approved break-glass, as stored.
struct EmergencyRow {
    id: Uuid,
    slug: String,
    name: String,
    state: String,
    second_factor_required: bool,
    break_glass: Uuid,
    mode: String,
    rescue: bool,
    until_at: Option<OffsetDateTime>,
}

impl EmergencyRow {
    fn seat(self) -> Option<Seat> {
        let role = if self.mode == "write" {
            Role::BgWrite
        } else {
            Role::BgRead
        };
        Some(Seat {
            tenant: brief(self.id, &self.slug, self.name, &self.state, self.second_factor_required)?,
            membership: None,
            roles: vec![role.into()],
            regions: None,
            until: Some(self.until_at?),
            emergency: Some(Emergency {
                id: self.break_glass.into(),
                rescues: self.rescue,
            }),
        })
    }
}

/// The place that the person has in the transaction's tenant by break-glass: by this one, or by any.
pub async fn emergency(
    tx: &mut TenantTx,
    user: UserId,
    by: Option<BreakGlassId>,
    now: OffsetDateTime,
) -> Result<Option<Seat>, DbError> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query_as!(
        EmergencyRow,
        "SELECT t.id, t.slug, t.name, t.state, t.second_factor_required, b.id AS break_glass, b.mode, b.rescue, b.until_at
           FROM gc.break_glass b JOIN gc.tenant t ON t.id = b.tenant_id
          WHERE b.tenant_id = $1 AND b.requester = $2 AND ($3::uuid IS NULL OR b.id = $3)
            AND b.state = 'approved' AND b.from_at <= $4 AND b.until_at > $4
          ORDER BY b.until_at DESC LIMIT 1",
        tenant,
        user.uuid(),
        by.map(BreakGlassId::uuid),
        now
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.and_then(EmergencyRow::seat))
}

/// All places that the person has by break-glass, across tenants, the one that lasts longest first.
pub async fn emergencies(pool: &SweepPool, user: UserId, now: OffsetDateTime) -> Result<Vec<Seat>, DbError> {
    let mut tx = SystemTx::begin(pool, "tenants-of-a-person").await?;
    let rows = sqlx::query_as!(
        EmergencyRow,
        "SELECT t.id, t.slug, t.name, t.state, t.second_factor_required, b.id AS break_glass, b.mode, b.rescue, b.until_at
           FROM gc.break_glass b JOIN gc.tenant t ON t.id = b.tenant_id
          WHERE b.requester = $1 AND b.state = 'approved' AND b.from_at <= $2 AND b.until_at > $2
          ORDER BY b.until_at DESC",
        user.uuid(),
        now
    )
    .fetch_all(tx.conn())
    .await?;
    tx.rollback().await?;
    Ok(rows.into_iter().filter_map(EmergencyRow::seat).collect())
}

/// Regions as they are written.
fn regions(membership: &Membership) -> Option<Vec<Uuid>> {
    let regions = membership.regions.as_ref();
    regions.map(|regions| regions.iter().map(|region| region.uuid()).collect())
}

pub async fn insert(conn: &mut PgConnection, tenant: TenantId, membership: &Membership) -> Result<(), DbError> {
    let regions = regions(membership);
    sqlx::query!(
        "INSERT INTO gc.membership (tenant_id, id, user_id, roles, regions, until_at, created_by, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        tenant.uuid(),
        membership.id.uuid(),
        membership.user.uuid(),
        &membership.roles,
        regions.as_deref(),
        membership.until,
        membership.created_by,
        membership.created_at
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Memberships of the transaction's tenant that have not ended, newest first, from the one after `after`.
pub async fn page(tx: &mut TenantTx, after: Option<Uuid>, limit: i64) -> Result<Vec<Membership>, DbError> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query_as!(
        Row,
        "SELECT id, user_id, roles, regions, until_at, created_by, created_at, version FROM gc.membership
          WHERE tenant_id = $1 AND ended_at IS NULL AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3",
        tenant,
        after,
        limit
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(rows.into_iter().map(Membership::from).collect())
}

/// One of them, locked together with all others of administrators, so that the last one is seen as such.
pub async fn lock(tx: &mut TenantTx, id: MembershipId) -> Result<Option<Membership>, DbError> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "SELECT id FROM gc.membership WHERE tenant_id = $1 AND ended_at IS NULL AND (id = $2 OR 'tenant-admin' = ANY(roles))
          ORDER BY id FOR UPDATE",
        tenant,
        id.uuid()
    )
    .fetch_all(tx.conn())
    .await?;
    find(tx, id).await
}

/// One of them.
pub async fn find(tx: &mut TenantTx, id: MembershipId) -> Result<Option<Membership>, DbError> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query_as!(
        Row,
        "SELECT id, user_id, roles, regions, until_at, created_by, created_at, version FROM gc.membership
          WHERE tenant_id = $1 AND id = $2 AND ended_at IS NULL",
        tenant,
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.map(Membership::from))
}

/// Writes roles, regions and end; its new version.
pub async fn update(tx: &mut TenantTx, membership: &Membership, now: OffsetDateTime) -> Result<u64, DbError> {
    let tenant = tx.tenant().uuid();
    let regions = regions(membership);
    let version = sqlx::query_scalar!(
        "UPDATE gc.membership SET roles = $3, regions = $4, until_at = $5, changed_at = $6
          WHERE tenant_id = $1 AND id = $2 AND ended_at IS NULL RETURNING version",
        tenant,
        membership.id.uuid(),
        &membership.roles,
        regions.as_deref(),
        membership.until,
        now
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(version.cast_unsigned())
}

/// Whether whoever signs in with an address is a member of the transaction's tenant.
pub async fn has_address(tx: &mut TenantTx, email_index: &[u8; 32], now: OffsetDateTime) -> Result<bool, DbError> {
    let tenant = tx.tenant().uuid();
    Ok(sqlx::query_scalar!(
        "SELECT EXISTS (SELECT FROM gc.membership m JOIN gc.user u ON u.id = m.user_id
                         WHERE m.tenant_id = $1 AND u.email_index = $2 AND m.ended_at IS NULL
                           AND (m.until_at IS NULL OR m.until_at > $3)) AS \"any!\"",
        tenant,
        &email_index[..],
        now
    )
    .fetch_one(tx.conn())
    .await?)
}

/// Whether somebody else than `id` administers the transaction's tenant without an end.
pub async fn other_admin(tx: &mut TenantTx, id: MembershipId) -> Result<bool, DbError> {
    let tenant = tx.tenant().uuid();
    Ok(sqlx::query_scalar!(
        "SELECT EXISTS (SELECT FROM gc.membership m JOIN gc.user u ON u.id = m.user_id
                         WHERE m.tenant_id = $1 AND m.id <> $2 AND m.ended_at IS NULL AND m.until_at IS NULL
                           AND 'tenant-admin' = ANY(m.roles) AND u.state = 'active') AS \"any!\"",
        tenant,
        id.uuid()
    )
    .fetch_one(tx.conn())
    .await?)
}

/// Whether somebody administers the transaction's tenant.
pub async fn is_administered(tx: &mut TenantTx, now: OffsetDateTime) -> Result<bool, DbError> {
    let tenant = tx.tenant().uuid();
    Ok(sqlx::query_scalar!(
        "SELECT EXISTS (SELECT FROM gc.membership m JOIN gc.user u ON u.id = m.user_id
                         WHERE m.tenant_id = $1 AND m.ended_at IS NULL AND (m.until_at IS NULL OR m.until_at > $2)
                           AND 'tenant-admin' = ANY(m.roles) AND u.state = 'active') AS \"any!\"",
        tenant,
        now
    )
    .fetch_one(tx.conn())
    .await?)
}

/// Everybody who is a member of the transaction's tenant.
pub async fn members(tx: &mut TenantTx, now: OffsetDateTime) -> Result<Vec<UserId>, DbError> {
    let tenant = tx.tenant().uuid();
    let users = sqlx::query_scalar!(
        "SELECT user_id FROM gc.membership
          WHERE tenant_id = $1 AND ended_at IS NULL AND (until_at IS NULL OR until_at > $2)",
        tenant,
        now
    )
    .fetch_all(tx.conn())
    .await?;
    Ok(users.into_iter().map(UserId::from).collect())
}

pub async fn end(tx: &mut TenantTx, id: MembershipId, now: OffsetDateTime) -> Result<(), DbError> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "UPDATE gc.membership SET ended_at = $3 WHERE tenant_id = $1 AND id = $2 AND ended_at IS NULL",
        tenant,
        id.uuid(),
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
