use super::{
    Tenant, TenantKey,
    settings::{Demand, Settings},
};
use exarch_common_authz::TenantState;
use exarch_common_base::TenantId;
use exarch_common_pg::{DbError, TenantTx};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

struct Row {
    id: Uuid,
    slug: String,
    name: String,
    state: String,
    state_since: OffsetDateTime,
    created_at: OffsetDateTime,
    version: i64,
}

impl Row {
    fn read(self) -> Option<Tenant> {
        let Ok(state) = self.state.parse::<TenantState>();
        Some(Tenant {
            id: self.id.into(),
            // was one when it was written
            slug: self.slug.parse().ok()?,
            name: self.name,
            state,
            state_since: self.state_since,
            created_at: self.created_at,
            version: self.version.cast_unsigned(),
        })
    }
}

pub async fn find(conn: &mut PgConnection, key: &TenantKey) -> Result<Option<Tenant>, DbError> {
    let (id, slug) = match key {
        TenantKey::Id(id) => (Some(id.uuid()), None),
        TenantKey::Slug(slug) => (None, Some(slug.as_str())),
    };
    let row = sqlx::query_as!(
        Row,
        "SELECT id, slug, name, state, state_since, created_at, version FROM gc.tenant WHERE id = $1 OR slug = $2",
        id,
        slug
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.and_then(Row::read))
}

/// Which tenants are asked for.
pub struct Wanted<'a> {
    /// A part of the slug or of the name, in capitals or not.
    pub search: Option<&'a str>,
    /// The state, without its cause.
    pub standing: Option<&'a str>,
}

pub async fn page(
    conn: &mut PgConnection,
    wanted: &Wanted<'_>,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Tenant>, DbError> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT id, slug, name, state, state_since, created_at, version FROM gc.tenant
          WHERE ($1::uuid IS NULL OR id < $1)
            AND ($3::text IS NULL OR strpos(slug, lower($3)) > 0 OR strpos(lower(name), lower($3)) > 0)
            AND ($4::text IS NULL OR split_part(state, '(', 1) = $4)
          ORDER BY id DESC LIMIT $2",
        after,
        limit,
        wanted.search,
        wanted.standing
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().filter_map(Row::read).collect())
}

/// The transaction's tenant, which nobody else changes until its end.
pub async fn lock(tx: &mut TenantTx) -> Result<Option<Tenant>, DbError> {
    let id = tx.tenant().uuid();
    let row = sqlx::query_as!(
        Row,
        "SELECT id, slug, name, state, state_since, created_at, version FROM gc.tenant WHERE id = $1 FOR UPDATE",
        id
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(row.and_then(Row::read))
}

/// Its new version.
pub async fn set_name(tx: &mut TenantTx, name: &str, at: OffsetDateTime) -> Result<u64, DbError> {
    let id = tx.tenant().uuid();
    let version = sqlx::query_scalar!(
        "UPDATE gc.tenant SET name = $2, updated_at = $3 WHERE id = $1 RETURNING version",
        id,
        name,
        at
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(version.cast_unsigned())
}

pub async fn set_state(tx: &mut TenantTx, state: TenantState, at: OffsetDateTime) -> Result<(), DbError> {
    let id = tx.tenant().uuid();
    sqlx::query!(
        "UPDATE gc.tenant SET state = $2, state_since = $3, updated_at = $3 WHERE id = $1",
        id,
        state.as_str(),
        at
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub async fn insert(
    conn: &mut PgConnection,
    tenant: &Tenant,
    first_admin_at: Option<OffsetDateTime>,
    created_by: &str,
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO gc.tenant (id, slug, name, state, state_since, first_admin_at, created_by, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)",
        tenant.id.uuid(),
        tenant.slug.as_str(),
        tenant.name,
        tenant.state.as_str(),
        tenant.state_since,
        first_admin_at,
        created_by,
        tenant.created_at
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What a tenant has decided; nobody else changes it until the end of the transaction.
pub async fn lock_settings(conn: &mut PgConnection, tenant: TenantId) -> Result<Option<(Settings, u64)>, DbError> {
    let row = sqlx::query!(
        "SELECT second_factor_required, settings_version FROM gc.tenant WHERE id = $1 FOR NO KEY UPDATE",
        tenant.uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| {
        let second_factor = match row.second_factor_required {
            true => Demand::Required,
            false => Demand::Optional,
        };
        (Settings { second_factor }, row.settings_version.cast_unsigned())
    }))
}

pub async fn save_settings(
    conn: &mut PgConnection,
    tenant: TenantId,
    settings: &Settings,
    at: OffsetDateTime,
) -> Result<u64, DbError> {
    let version = sqlx::query_scalar!(
        "UPDATE gc.tenant SET second_factor_required = $2, updated_at = $3 WHERE id = $1 RETURNING settings_version",
        tenant.uuid(),
        settings.second_factor == Demand::Required,
        at
    )
    .fetch_one(conn)
    .await?;
    Ok(version.cast_unsigned())
}
