//! The room's rows: certificates, secrets, spent numbers, join tokens.
use super::PeerCaller;
use crate::regions::{LifeCycle, join_token::JoinToken};
use exarch_common_base::{RegionId, TokenId};
use exarch_common_http::Problem;
use exarch_common_pg::{DbError, OnConstraint};
use sqlx::PgConnection;
use time::OffsetDateTime;

/// A secret as it is kept.
#[derive(Clone, Debug)]
pub struct SealedSecret {
    /// Its key id.
    pub kid: String,
    /// Sealed for its row.
    pub sealed: Vec<u8>,
    /// Whether anything was signed with it yet.
    pub used: bool,
}

/// A region whose certificate is in force, and its secrets.
#[derive(Debug)]
pub(super) struct KnownPeer {
    pub secrets: Vec<SealedSecret>,
}

/// What a certificate stands for: nothing, unless it was given to this region, is not revoked, and the region has a gateway.
pub(super) async fn known_certificate(
    conn: &mut PgConnection,
    region: RegionId,
    thumbprint: &[u8; 32],
) -> Result<bool, DbError> {
    let lifecycle = sqlx::query_scalar!(
        "SELECT r.lifecycle FROM gc.region_certificate c JOIN gc.region r ON r.id = c.region_id
          WHERE c.thumbprint = $1 AND c.region_id = $2 AND c.revoked_at IS NULL",
        thumbprint,
        region.uuid(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(lifecycle.is_some_and(|word| word.parse().is_ok_and(LifeCycle::has_gateway)))
}

pub(super) async fn known_peer(
    conn: &mut PgConnection,
    region: RegionId,
    thumbprint: &[u8; 32],
) -> Result<Option<KnownPeer>, DbError> {
    if !known_certificate(&mut *conn, region, thumbprint).await? {
        return Ok(None);
    }
    let secrets = secrets(conn, region, super::secrets::UP).await?;
    Ok(Some(KnownPeer { secrets }))
}

/// The secrets of a direction in force, newest first.
pub(super) async fn secrets(
    conn: &mut PgConnection,
    region: RegionId,
    direction: &str,
) -> Result<Vec<SealedSecret>, DbError> {
    Ok(sqlx::query_as!(
        SealedSecret,
        r#"SELECT kid, sealed, first_used_at IS NOT NULL AS "used!" FROM gc.service_secret
          WHERE region_id = $1 AND direction = $2 AND retired_at IS NULL ORDER BY created_at DESC, kid DESC"#,
        region.uuid(),
        direction,
    )
    .fetch_all(conn)
    .await?)
}

pub(super) async fn insert_secret(
    conn: &mut PgConnection,
    region: RegionId,
    direction: &str,
    secret: &SealedSecret,
    now: OffsetDateTime,
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO gc.service_secret (region_id, direction, kid, sealed, created_at) VALUES ($1, $2, $3, $4, $5)",
        region.uuid(),
        direction,
        secret.kid,
        secret.sealed,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes down that a secret was used for the first time.
pub(super) async fn first_use(
    conn: &mut PgConnection,
    region: RegionId,
    direction: &str,
    kid: &str,
    now: OffsetDateTime,
) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE gc.service_secret SET first_used_at = $4
          WHERE region_id = $1 AND direction = $2 AND kid = $3 AND first_used_at IS NULL",
        region.uuid(),
        direction,
        kid,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Until the end of the transaction nobody else changes the region's secrets.
pub(super) async fn lock_region(conn: &mut PgConnection, region: RegionId) -> Result<(), DbError> {
    sqlx::query_scalar!(
        "SELECT id FROM gc.region WHERE id = $1 FOR NO KEY UPDATE",
        region.uuid()
    )
    .fetch_one(conn)
    .await?;
    Ok(())
}

/// Ends all certificates and secrets of a region.
pub(super) async fn forget(conn: &mut PgConnection, region: RegionId, now: OffsetDateTime) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE gc.region_certificate SET revoked_at = $2 WHERE region_id = $1 AND revoked_at IS NULL",
        region.uuid(),
        now,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "UPDATE gc.service_secret SET retired_at = $2 WHERE region_id = $1 AND retired_at IS NULL",
        region.uuid(),
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A secret that was retired.
pub(super) struct RetiredSecret {
    pub region: RegionId,
    pub direction: String,
    pub kid: String,
}

/// Retires the secrets that were followed before `followed`: those of the gateway when it has used the one that follows,
/// ours when the gateway has handed that over. The newest of a region and direction never is.
pub(super) async fn retire_secrets(
    conn: &mut PgConnection,
    followed: OffsetDateTime,
    now: OffsetDateTime,
) -> Result<Vec<RetiredSecret>, DbError> {
    let rows = sqlx::query!(
        "UPDATE gc.service_secret AS old SET retired_at = $2
          WHERE old.retired_at IS NULL
            AND EXISTS (SELECT FROM gc.service_secret AS new
                         WHERE new.region_id = old.region_id AND new.direction = old.direction AND new.retired_at IS NULL
                           AND (new.created_at, new.kid) > (old.created_at, old.kid)
                           AND CASE new.direction WHEN 'down' THEN new.created_at ELSE new.first_used_at END <= $1)
        RETURNING old.region_id, old.direction, old.kid",
        followed,
        now,
    )
    .fetch_all(conn)
    .await?;
    let retired = rows.into_iter().map(|row| RetiredSecret {
        region: row.region_id.into(),
        direction: row.direction,
        kid: row.kid,
    });
    Ok(retired.collect())
}

/// A certificate that was given out.
pub(super) struct Given<'a> {
    pub region: RegionId,
    pub thumbprint: [u8; 32],
    pub serial: &'a [u8],
    pub public_key: &'a [u8],
    pub not_after: OffsetDateTime,
}

pub(super) async fn insert_certificate(
    conn: &mut PgConnection,
    given: &Given<'_>,
    now: OffsetDateTime,
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO gc.region_certificate (thumbprint, region_id, serial, public_key, issued_at, not_after)
         VALUES ($1, $2, $3, $4, $5, $6)",
        given.thumbprint.as_slice(),
        given.region.uuid(),
        given.serial,
        given.public_key,
        now,
        given.not_after,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Spends the number of a request with an effect, in the transaction of the effect.
///
/// # Errors
/// The one 401 when it was spent before, by whichever replica, before or after whatever restart.
pub async fn spend(conn: &mut PgConnection, caller: &PeerCaller, now: OffsetDateTime) -> Result<(), Problem> {
    sqlx::query!(
        "INSERT INTO gc.service_jti (region_id, jti, spent_at) VALUES ($1, $2, $3)",
        caller.region.uuid(),
        caller.jti,
        now,
    )
    .execute(conn)
    .await
    .map(|_| ())
    .on_constraint("service_jti_pkey", super::gate::replayed)
}

/// Forgets numbers spent before `before`.
pub(super) async fn sweep_spent(conn: &mut PgConnection, before: OffsetDateTime) -> Result<u64, DbError> {
    let swept = sqlx::query!("DELETE FROM gc.service_jti WHERE spent_at < $1", before)
        .execute(conn)
        .await?;
    Ok(swept.rows_affected())
}

/// A join token with the region that it is for, both locked.
#[derive(Debug)]
pub(super) struct Joining {
    pub token_id: TokenId,
    pub token: JoinToken,
    pub region: RegionId,
    pub slug: String,
    pub name: String,
    pub lifecycle: String,
}

/// Locks the region before the token, as the making of another token does.
pub(super) async fn joining(conn: &mut PgConnection, hash: &[u8; 32]) -> Result<Option<Joining>, DbError> {
    let region = sqlx::query!(
        "SELECT id, slug, name, lifecycle FROM gc.region
          WHERE id = (SELECT region_id FROM gc.join_token WHERE hash = $1) FOR NO KEY UPDATE",
        hash.as_slice(),
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(region) = region else { return Ok(None) };
    let token = sqlx::query!(
        "SELECT id, expires_at, superseded_at, used_at, used_from FROM gc.join_token WHERE hash = $1",
        hash.as_slice(),
    )
    .fetch_one(conn)
    .await?;
    Ok(Some(Joining {
        token_id: token.id.into(),
        token: JoinToken {
            expires_at: token.expires_at,
            superseded_at: token.superseded_at,
            used: token.used_at.zip(token.used_from),
        },
        region: region.id.into(),
        slug: region.slug,
        name: region.name,
        lifecycle: region.lifecycle,
    }))
}

/// The key with which a region joined.
pub(super) async fn joined_key(conn: &mut PgConnection, region: RegionId) -> Result<Option<Vec<u8>>, DbError> {
    Ok(sqlx::query_scalar!(
        "SELECT public_key FROM gc.region_certificate WHERE region_id = $1 ORDER BY issued_at LIMIT 1",
        region.uuid(),
    )
    .fetch_optional(conn)
    .await?)
}

pub(super) async fn use_token(
    conn: &mut PgConnection,
    token: TokenId,
    from: &str,
    now: OffsetDateTime,
) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE gc.join_token SET used_at = $2, used_from = $3 WHERE id = $1",
        token.uuid(),
        now,
        from,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn set_joining(
    conn: &mut PgConnection,
    region: RegionId,
    to: LifeCycle,
    protocol: i32,
    now: OffsetDateTime,
) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE gc.region SET lifecycle = $2, protocol = $3, joined_at = $4 WHERE id = $1",
        region.uuid(),
        to.as_str(),
        protocol,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes down the fingerprint of a region's agent authority; answers the one that was there.
pub(super) async fn set_agent_ca(
    conn: &mut PgConnection,
    region: RegionId,
    fingerprint: &str,
) -> Result<Option<String>, DbError> {
    let before = sqlx::query_scalar!(
        "SELECT agent_ca FROM gc.region WHERE id = $1 FOR NO KEY UPDATE",
        region.uuid()
    )
    .fetch_one(&mut *conn)
    .await?;
    sqlx::query!(
        "UPDATE gc.region SET agent_ca = $2 WHERE id = $1",
        region.uuid(),
        fingerprint
    )
    .execute(conn)
    .await?;
    Ok(before)
}
