//! Rows of `gw.sealed_key`.
use exarch_common_pg::{DbError, SystemTx};
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
}

/// All keys, newest first. A purpose of a newer version is left out.
pub(super) async fn all(tx: &mut SystemTx) -> Result<Vec<Row>, DbError> {
    let rows =
        sqlx::query!("SELECT purpose, kid, sealed, certificate FROM gw.sealed_key ORDER BY created_at DESC, kid DESC")
            .fetch_all(tx.conn())
            .await?;
    let known = rows.into_iter().filter_map(|row| {
        let purpose = Purpose::ALL.into_iter().find(|p| p.as_str() == row.purpose)?;
        Some(Row {
            purpose,
            kid: row.kid,
            sealed: row.sealed,
            certificate: row.certificate,
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
