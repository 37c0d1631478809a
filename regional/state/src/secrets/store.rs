//! Rows of `gw.sealed_key`.
use exarch_common_pg::{DbError, SystemTx};
use exarch_common_wire::federation::Direction;
use time::OffsetDateTime;

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The region's key at the global; its certificate is the global's.
    RegionTls,
    /// The authority of the region's agents.
    AgentCa,
    /// Signs grants.
    Grant,
    /// Signs agents' session tokens.
    AgentSession,
    /// Secret of the gateway's requests.
    ServiceUp,
    /// Secret of the global's requests.
    ServiceDown,
}

impl Purpose {
    const ALL: [Self; 6] = [
        Self::RegionTls,
        Self::AgentCa,
        Self::Grant,
        Self::AgentSession,
        Self::ServiceUp,
        Self::ServiceDown,
    ];

    /// The word in the database.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::RegionTls => "region-tls",
            Self::AgentCa => "agent-ca",
            Self::Grant => "grant",
            Self::AgentSession => "agent-session",
            Self::ServiceUp => "service-up",
            Self::ServiceDown => "service-down",
        }
    }
}

/// One sealed key.
pub(super) struct Row {
    pub(super) purpose: Purpose,
    pub(super) kid: String,
    pub(super) sealed: Vec<u8>,
    pub(super) certificate: Option<Vec<u8>>,
    pub(super) created_at: OffsetDateTime,
}

/// A service secret that the global has not acknowledged yet.
pub(super) struct NextRow {
    pub(super) direction: Direction,
    pub(super) kid: String,
    pub(super) sealed: Vec<u8>,
}

/// All keys that are not retired, newest first. A purpose of a newer version is left out.
pub(super) async fn all(tx: &mut SystemTx) -> Result<Vec<Row>, DbError> {
    let rows = sqlx::query!(
        "SELECT purpose, kid, sealed, certificate, created_at FROM gw.sealed_key
              WHERE retired_at IS NULL ORDER BY created_at DESC, kid DESC"
    )
    .fetch_all(tx.conn())
    .await?;
    let known = rows.into_iter().filter_map(|row| {
        let purpose = Purpose::ALL.into_iter().find(|p| p.as_str() == row.purpose)?;
        Some(Row {
            purpose,
            kid: row.kid,
            sealed: row.sealed,
            certificate: row.certificate,
            created_at: row.created_at,
        })
    });
    Ok(known.collect())
}

/// Waits until no other replica makes keys, until the end of the transaction.
pub(super) async fn take_turn(tx: &mut SystemTx) -> Result<(), DbError> {
    sqlx::query!("SELECT one FROM gw.region_state FOR UPDATE")
        .fetch_one(tx.conn())
        .await?;
    Ok(())
}

pub(super) async fn insert(
    tx: &mut SystemTx,
    purpose: Purpose,
    kid: &str,
    sealed: &[u8],
    certificate: Option<&[u8]>,
    now: OffsetDateTime,
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO gw.sealed_key (purpose, kid, sealed, certificate, created_at) VALUES ($1, $2, $3, $4, $5)",
        purpose.as_str(),
        kid,
        sealed,
        certificate,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The region has one TLS key; this is its certificate from now on.
pub(super) async fn set_region_certificate(tx: &mut SystemTx, der: &[u8]) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE gw.sealed_key SET certificate = $1 WHERE purpose = 'region-tls'",
        der
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The secrets that follow; at most one a direction.
pub(super) async fn next(tx: &mut SystemTx) -> Result<Vec<NextRow>, DbError> {
    let rows = sqlx::query!("SELECT direction, kid, sealed FROM gw.next_secret")
        .fetch_all(tx.conn())
        .await?;
    let known = rows.into_iter().filter_map(|row| {
        let direction = Direction::ALL.into_iter().find(|d| d.as_str() == row.direction)?;
        Some(NextRow {
            direction,
            kid: row.kid,
            sealed: row.sealed,
        })
    });
    Ok(known.collect())
}

pub(super) async fn insert_next(
    tx: &mut SystemTx,
    direction: Direction,
    kid: &str,
    sealed: &[u8],
    now: OffsetDateTime,
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO gw.next_secret (direction, kid, sealed, made_at) VALUES ($1, $2, $3, $4)",
        direction.as_str(),
        kid,
        sealed,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// Whether the one that follows was this one; it is gone then.
pub(super) async fn take_next(tx: &mut SystemTx, direction: Direction, kid: &str) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "DELETE FROM gw.next_secret WHERE direction = $1 AND kid = $2",
        direction.as_str(),
        kid,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Retires the service secrets that were followed by another before `followed`. The newest of a direction never is.
pub(super) async fn retire(tx: &mut SystemTx, followed: OffsetDateTime, now: OffsetDateTime) -> Result<u64, DbError> {
    let done = sqlx::query!(
        "UPDATE gw.sealed_key AS old SET retired_at = $2
          WHERE old.purpose IN ('service-up', 'service-down') AND old.retired_at IS NULL
            AND EXISTS (SELECT FROM gw.sealed_key AS new
                         WHERE new.purpose = old.purpose AND new.retired_at IS NULL
                           AND (new.created_at, new.kid) > (old.created_at, old.kid) AND new.created_at <= $1)",
        followed,
        now,
    )
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected())
}
