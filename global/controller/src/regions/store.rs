//! The room's rows: regions and join tokens.
use super::{LifeCycle, Region};
use exarch_common_base::{RegionId, Slug, TokenId, UserId};
use exarch_common_pg::DbError;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

struct Row {
    id: Uuid,
    slug: String,
    name: String,
    url: String,
    console_url: Option<String>,
    lifecycle: String,
    version: i64,
}

fn unreadable(source: impl std::error::Error + Send + Sync + 'static) -> DbError {
    DbError::Other(sqlx::Error::Decode(Box::new(source)))
}

impl TryFrom<Row> for Region {
    type Error = DbError;

    fn try_from(row: Row) -> Result<Self, DbError> {
        Ok(Self {
            id: row.id.into(),
            slug: row.slug.parse().map_err(unreadable)?,
            name: row.name,
            url: row.url,
            console_url: row.console_url,
            lifecycle: row.lifecycle.parse().map_err(unreadable)?,
            version: row.version.cast_unsigned(),
        })
    }
}

pub(super) async fn insert(conn: &mut PgConnection, region: &Region, now: OffsetDateTime) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO gc.region (id, slug, name, url, console_url, lifecycle, registered_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        region.id.uuid(),
        region.slug.as_str(),
        region.name,
        region.url,
        region.console_url,
        region.lifecycle.as_str(),
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn by_slug(conn: &mut PgConnection, slug: &Slug) -> Result<Option<Region>, DbError> {
    let row = sqlx::query_as!(
        Row,
        "SELECT id, slug, name, url, console_url, lifecycle, version FROM gc.region WHERE slug = $1",
        slug.as_str()
    )
    .fetch_optional(conn)
    .await?;
    row.map(Region::try_from).transpose()
}

/// The region of a slug, which nobody else changes until the end of the transaction.
pub(super) async fn lock_by_slug(conn: &mut PgConnection, slug: &Slug) -> Result<Option<Region>, DbError> {
    let row = sqlx::query_as!(
        Row,
        "SELECT id, slug, name, url, console_url, lifecycle, version FROM gc.region WHERE slug = $1 FOR NO KEY UPDATE",
        slug.as_str()
    )
    .fetch_optional(conn)
    .await?;
    row.map(Region::try_from).transpose()
}

/// Writes name and places; its new version.
pub(super) async fn update(conn: &mut PgConnection, region: &Region) -> Result<u64, DbError> {
    let version = sqlx::query_scalar!(
        "UPDATE gc.region SET name = $2, url = $3, console_url = $4 WHERE id = $1 RETURNING version",
        region.id.uuid(),
        region.name,
        region.url,
        region.console_url
    )
    .fetch_one(conn)
    .await?;
    Ok(version.cast_unsigned())
}

pub(super) async fn by_ids(conn: &mut PgConnection, ids: &[RegionId]) -> Result<Vec<Region>, DbError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query_as!(
        Row,
        "SELECT id, slug, name, url, console_url, lifecycle, version FROM gc.region WHERE id = ANY ($1) ORDER BY id DESC",
        &ids
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Region::try_from).collect()
}

/// Newest first.
pub(super) async fn page(conn: &mut PgConnection, before: Option<Uuid>, limit: i64) -> Result<Vec<Region>, DbError> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT id, slug, name, url, console_url, lifecycle, version FROM gc.region
          WHERE $1::uuid IS NULL OR id < $1 ORDER BY id DESC LIMIT $2",
        before,
        limit
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Region::try_from).collect()
}

/// Where a region stands, its row locked.
pub(super) async fn lock(conn: &mut PgConnection, region: RegionId) -> Result<Option<LifeCycle>, DbError> {
    let word = sqlx::query_scalar!(
        "SELECT lifecycle FROM gc.region WHERE id = $1 FOR NO KEY UPDATE",
        region.uuid()
    )
    .fetch_optional(conn)
    .await?;
    word.map(|w| w.parse().map_err(unreadable)).transpose()
}

/// Whether a region is joining, without a lock.
pub(super) async fn is_joining(conn: &mut PgConnection, region: RegionId) -> Result<bool, DbError> {
    let found = sqlx::query_scalar!(
        "SELECT lifecycle FROM gc.region WHERE id = $1 AND lifecycle = 'joining'",
        region.uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(found.is_some())
}

pub(super) async fn set_active(
    conn: &mut PgConnection,
    region: RegionId,
    to: LifeCycle,
    now: OffsetDateTime,
) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE gc.region SET lifecycle = $2, activated_at = $3 WHERE id = $1",
        region.uuid(),
        to.as_str(),
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn set_lifecycle(conn: &mut PgConnection, region: RegionId, to: LifeCycle) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE gc.region SET lifecycle = $2 WHERE id = $1",
        region.uuid(),
        to.as_str()
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn set_removed(
    conn: &mut PgConnection,
    region: RegionId,
    tombstone: &[u8],
    now: OffsetDateTime,
) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE gc.region SET tombstone = $2, removed_at = $3 WHERE id = $1",
        region.uuid(),
        tombstone,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn tombstone(conn: &mut PgConnection, region: RegionId) -> Result<Option<Vec<u8>>, DbError> {
    let found = sqlx::query_scalar!(
        r#"SELECT tombstone AS "tombstone!" FROM gc.region WHERE id = $1 AND tombstone IS NOT NULL"#,
        region.uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(found)
}

/// A join token to be kept.
pub(super) struct NewToken {
    pub id: TokenId,
    pub region: RegionId,
    pub hash: [u8; 32],
    pub created_by: UserId,
    pub created_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
}

pub(super) async fn insert_token(conn: &mut PgConnection, token: &NewToken) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO gc.join_token (id, region_id, hash, created_by, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
        token.id.uuid(),
        token.region.uuid(),
        token.hash.as_slice(),
        token.created_by.uuid(),
        token.created_at,
        token.expires_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends the tokens of a region that nobody used.
pub(super) async fn supersede_tokens(
    conn: &mut PgConnection,
    region: RegionId,
    now: OffsetDateTime,
) -> Result<u64, DbError> {
    let ended = sqlx::query!(
        "UPDATE gc.join_token SET superseded_at = $2
          WHERE region_id = $1 AND used_at IS NULL AND superseded_at IS NULL",
        region.uuid(),
        now
    )
    .execute(conn)
    .await?;
    Ok(ended.rows_affected())
}
