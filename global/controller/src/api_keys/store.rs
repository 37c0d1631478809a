//! The room's rows.
use super::{ApiKey, Owner};
use exarch_common_base::{KeyId, MembershipId, RegionId, Slug, TenantId};
use exarch_common_pg::{DbError, SystemTx, TenantTx};
use exarch_common_wire::api_key::Verifier;
use time::{Date, OffsetDateTime};
use uuid::Uuid;

struct Row {
    id: Uuid,
    name: String,
    kind: String,
    region_id: Option<Uuid>,
    membership_id: Uuid,
    user_id: Uuid,
    gone: bool,
    role: String,
    cidrs: Vec<String>,
    expires_at: Option<OffsetDateTime>,
    verifier: Vec<u8>,
    rotated_at: Option<OffsetDateTime>,
    previous: Option<Vec<u8>>,
    previous_until: Option<OffsetDateTime>,
    last_used_on: Option<Date>,
    version: i64,
    created_at: OffsetDateTime,
}

/// A digest in the database is 32 bytes long.
fn verifier(bytes: &[u8]) -> Result<Verifier, DbError> {
    bytes
        .try_into()
        .map(Verifier)
        .map_err(|e| DbError::Other(sqlx::Error::Decode(Box::new(e))))
}

impl TryFrom<Row> for ApiKey {
    type Error = DbError;

    fn try_from(row: Row) -> Result<Self, DbError> {
        let previous = row.previous.as_deref().map(verifier).transpose()?;
        Ok(Self {
            id: row.id.into(),
            name: row.name,
            kind: row.kind,
            region: row.region_id.map(Into::into),
            owner: Owner {
                membership: row.membership_id.into(),
                user: row.user_id.into(),
                gone: row.gone,
            },
            role: row.role,
            cidrs: row.cidrs,
            expires_at: row.expires_at,
            verifier: verifier(&row.verifier)?,
            rotated_at: row.rotated_at,
            previous: previous.zip(row.previous_until),
            last_used_on: row.last_used_on,
            version: row.version.cast_unsigned(),
            created_at: row.created_at,
        })
    }
}

/// Keys of the transaction's tenant that were not revoked, newest first, from the one after `after`.
pub async fn page(
    tx: &mut TenantTx,
    after: Option<Uuid>,
    limit: i64,
    now: OffsetDateTime,
) -> Result<Vec<ApiKey>, DbError> {
    let tenant = tx.tenant().uuid();
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT k.id, k.name, k.kind, k.region_id, k.membership_id, m.user_id,
                  (m.ended_at IS NOT NULL OR m.until_at <= $4 OR u.state <> 'active') IS TRUE AS "gone!",
                  k.role, k.cidrs, k.expires_at, k.verifier, k.rotated_at, k.previous, k.previous_until, k.last_used_on,
                  k.version, k.created_at
             FROM gc.api_key k JOIN gc.membership m ON m.tenant_id = k.tenant_id AND m.id = k.membership_id
             JOIN gc.user u ON u.id = m.user_id
            WHERE k.tenant_id = $1 AND k.revoked_at IS NULL AND ($2::uuid IS NULL OR k.id < $2)
            ORDER BY k.id DESC LIMIT $3"#,
        tenant,
        after,
        limit,
        now
    )
    .fetch_all(tx.conn())
    .await?;
    rows.into_iter().map(ApiKey::try_from).collect()
}

pub async fn find(tx: &mut TenantTx, id: KeyId, now: OffsetDateTime) -> Result<Option<ApiKey>, DbError> {
    let tenant = tx.tenant().uuid();
    let row = sqlx::query_as!(
        Row,
        r#"SELECT k.id, k.name, k.kind, k.region_id, k.membership_id, m.user_id,
                  (m.ended_at IS NOT NULL OR m.until_at <= $3 OR u.state <> 'active') IS TRUE AS "gone!",
                  k.role, k.cidrs, k.expires_at, k.verifier, k.rotated_at, k.previous, k.previous_until, k.last_used_on,
                  k.version, k.created_at
             FROM gc.api_key k JOIN gc.membership m ON m.tenant_id = k.tenant_id AND m.id = k.membership_id
             JOIN gc.user u ON u.id = m.user_id
            WHERE k.tenant_id = $1 AND k.id = $2 AND k.revoked_at IS NULL"#,
        tenant,
        id.uuid(),
        now
    )
    .fetch_optional(tx.conn())
    .await?;
    row.map(ApiKey::try_from).transpose()
}

/// The same, locked.
pub async fn lock(tx: &mut TenantTx, id: KeyId, now: OffsetDateTime) -> Result<Option<ApiKey>, DbError> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "SELECT id FROM gc.api_key WHERE tenant_id = $1 AND id = $2 FOR UPDATE",
        tenant,
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    find(tx, id, now).await
}

/// How many there are that were not revoked; one counts after the other, so that no two both take the last place.
pub async fn count(tx: &mut TenantTx) -> Result<i64, DbError> {
    let tenant = tx.tenant().uuid();
    sqlx::query!("SELECT id FROM gc.tenant WHERE id = $1 FOR NO KEY UPDATE", tenant)
        .fetch_one(tx.conn())
        .await?;
    Ok(sqlx::query_scalar!(
        "SELECT count(*) AS \"count!\" FROM gc.api_key WHERE tenant_id = $1 AND revoked_at IS NULL",
        tenant
    )
    .fetch_one(tx.conn())
    .await?)
}

/// The region of a slug, where the tenant has a right to it that is not over.
pub async fn region(tx: &mut TenantTx, slug: &Slug, now: OffsetDateTime) -> Result<Option<RegionId>, DbError> {
    let tenant = tx.tenant().uuid();
    let id = sqlx::query_scalar!(
        "SELECT r.id FROM gc.region r JOIN gc.entitlement e ON e.region_id = r.id
          WHERE e.tenant_id = $1 AND r.slug = $2 AND r.lifecycle <> 'removed' AND e.ended_at IS NULL
            AND (e.until_at IS NULL OR e.until_at > $3)",
        tenant,
        slug.as_str(),
        now
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(id.map(RegionId::from))
}

/// Whether the membership stands, held until the transaction ends: nobody ends it while a key is put on it.
pub async fn hold_owner(tx: &mut TenantTx, owner: MembershipId) -> Result<bool, DbError> {
    let tenant = tx.tenant().uuid();
    let found = sqlx::query!(
        "SELECT id FROM gc.membership WHERE tenant_id = $1 AND id = $2 AND ended_at IS NULL FOR SHARE",
        tenant,
        owner.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(found.is_some())
}

pub async fn insert(tx: &mut TenantTx, key: &ApiKey, by: &str) -> Result<(), DbError> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "INSERT INTO gc.api_key (tenant_id, id, name, kind, region_id, membership_id, role, cidrs, expires_at, verifier,
                                 created_by, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        tenant,
        key.id.uuid(),
        key.name,
        key.kind,
        key.region.map(|region| region.uuid()),
        key.owner.membership.uuid(),
        key.role,
        &key.cidrs,
        key.expires_at,
        &key.verifier.0[..],
        by,
        key.created_at
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Writes name, ranges and end; its new version.
pub async fn update(tx: &mut TenantTx, key: &ApiKey) -> Result<u64, DbError> {
    let tenant = tx.tenant().uuid();
    let version = sqlx::query_scalar!(
        "UPDATE gc.api_key SET name = $3, cidrs = $4, expires_at = $5
          WHERE tenant_id = $1 AND id = $2 AND revoked_at IS NULL RETURNING version",
        tenant,
        key.id.uuid(),
        key.name,
        &key.cidrs,
        key.expires_at
    )
    .fetch_one(tx.conn())
    .await?;
    Ok(version.cast_unsigned())
}

/// Writes the secret and what is left of the one before.
pub async fn rotate(tx: &mut TenantTx, key: &ApiKey) -> Result<(), DbError> {
    let tenant = tx.tenant().uuid();
    let (previous, until) = key.previous.clone().unzip();
    sqlx::query!(
        "UPDATE gc.api_key SET verifier = $3, rotated_at = $4, previous = $5, previous_until = $6
          WHERE tenant_id = $1 AND id = $2 AND revoked_at IS NULL",
        tenant,
        key.id.uuid(),
        &key.verifier.0[..],
        key.rotated_at,
        previous.as_ref().map(|verifier| &verifier.0[..]),
        until
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Whose key it is, across tenants. With the sweep login.
pub async fn tenant_of(tx: &mut SystemTx, id: KeyId) -> Result<Option<TenantId>, DbError> {
    let tenant = sqlx::query_scalar!(
        "SELECT tenant_id FROM gc.api_key WHERE id = $1 AND revoked_at IS NULL",
        id.uuid()
    )
    .fetch_optional(tx.conn())
    .await?;
    Ok(tenant.map(TenantId::from))
}

/// Writes down that a key was used.
pub async fn used(tx: &mut TenantTx, id: KeyId, on: Date) -> Result<(), DbError> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "UPDATE gc.api_key SET last_used_on = $3 WHERE tenant_id = $1 AND id = $2",
        tenant,
        id.uuid(),
        on
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The same of a key of that region. With the sweep login.
pub async fn used_in(tx: &mut SystemTx, region: RegionId, id: KeyId, on: Date) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE gc.api_key SET last_used_on = $3
          WHERE id = $2 AND region_id = $1 AND (last_used_on IS NULL OR last_used_on < $3)",
        region.uuid(),
        id.uuid(),
        on
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub async fn revoke(tx: &mut TenantTx, id: KeyId, now: OffsetDateTime) -> Result<(), DbError> {
    let tenant = tx.tenant().uuid();
    sqlx::query!(
        "UPDATE gc.api_key SET revoked_at = $3 WHERE tenant_id = $1 AND id = $2 AND revoked_at IS NULL",
        tenant,
        id.uuid(),
        now
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}
