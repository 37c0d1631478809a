//! The region's own keys and secrets: made in the region, sealed in its database, shared by its replicas.
//!
//! The private half of nothing in here leaves the region. A value that does not open (another master key, a row that was
//! altered or moved) ends the start: never a new, empty store in place of one that is locked.
mod service;
mod store;

pub use service::ServiceKeys;

use arc_swap::ArcSwap;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_base::{Ambient, ExposeSecret, SecretSlice, SecretString};
use exarch_common_crypto::{
    pki::{self, Ca, Peer, PkiError},
    seal::{Place, SealError, Sealer},
    sign::{Algorithm, KeyError, SigningKey},
    tls::Identity,
};
use exarch_common_pg::{AppPool, DbError, SystemTx};
use exarch_common_wire::{agent::GrantKey, federation::Joined};
use std::sync::Arc;
use store::{NextRow, Purpose, Row};
use time::Duration;
use zeroize::Zeroizing;

/// Life of the agents' authority.
const AGENT_CA_LIFE: Duration = Duration::days(2 * 365);

/// Why the region's keys cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The master key is no key.
    #[error("the master key file must hold the base64 of exactly 32 bytes")]
    Master,
    /// A value in the database does not open.
    #[error("the key {purpose}/{kid} in the database cannot be opened with the configured master key: {source}")]
    Locked {
        /// What the key is for.
        purpose: &'static str,
        /// Its id.
        kid: String,
        /// Why.
        source: SealError,
    },
    /// A value that opens and is none of ours.
    #[error("the key {0} in the database is damaged")]
    Damaged(&'static str),
    /// A key that there must be.
    #[error("the database holds no key for {0}; has this region joined a federation?")]
    Missing(&'static str),
    /// The cryptographic module refused.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<KeyError> for SecretsError {
    fn from(e: KeyError) -> Self {
        Self::Pki(e.into())
    }
}

/// A signing key and its id.
#[derive(Debug)]
pub struct NamedKey {
    /// Its key id.
    pub kid: String,
    /// The key.
    pub key: SigningKey,
}

/// A secret and its id.
pub struct NamedSecret {
    /// Its key id.
    pub kid: String,
    /// 32 random bytes.
    pub secret: SecretSlice<u8>,
}

impl std::fmt::Debug for NamedSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NamedSecret({})", self.kid)
    }
}

/// All of them, opened.
pub struct Secrets {
    region_tls: SigningKey,
    certificate: ArcSwap<Vec<u8>>,
    agent_ca: Ca,
    agent_roots: Vec<Vec<u8>>,
    grant: NamedKey,
    session: NamedSecret,
    service: ArcSwap<ServiceKeys>,
    sealer: Arc<Sealer>,
}

/// The master key of the file.
///
/// # Errors
/// [`SecretsError::Master`].
pub fn sealer(master: &SecretString) -> Result<Sealer, SecretsError> {
    let raw = base64::engine::general_purpose::STANDARD
        .decode(master.expose_secret().trim())
        .map(Zeroizing::new)
        .map_err(|_| SecretsError::Master)?;
    Sealer::new(&raw.to_vec().into()).map_err(|_| SecretsError::Master)
}

impl Secrets {
    /// Opens all keys of a region that has joined.
    ///
    /// # Errors
    /// [`SecretsError`]; none of them is healed by making a new key.
    pub async fn load(pool: &AppPool, sealer: &Arc<Sealer>) -> Result<Self, SecretsError> {
        let mut tx = SystemTx::begin(pool, "open-keys").await?;
        let rows = store::all(&mut tx).await?;
        let next = store::next(&mut tx).await?;
        tx.rollback().await?;
        let region_tls = newest(&rows, Purpose::RegionTls)?;
        let agent_ca = newest(&rows, Purpose::AgentCa)?;
        let grant = newest(&rows, Purpose::Grant)?;
        let session = newest(&rows, Purpose::AgentSession)?;
        let certificate = |row: &Row| {
            row.certificate
                .clone()
                .ok_or(SecretsError::Missing(row.purpose.as_str()))
        };
        Ok(Self {
            certificate: ArcSwap::from_pointee(certificate(region_tls)?),
            region_tls: signing(sealer, region_tls, Algorithm::Es384)?,
            agent_ca: Ca::load(&certificate(agent_ca)?, &signing(sealer, agent_ca, Algorithm::Es384)?)?,
            agent_roots: rows
                .iter()
                .filter(|row| row.purpose == Purpose::AgentCa)
                .filter_map(|row| row.certificate.clone())
                .take(2)
                .collect(),
            grant: NamedKey {
                kid: grant.kid.clone(),
                key: signing(sealer, grant, Algorithm::Es256)?,
            },
            session: NamedSecret {
                kid: session.kid.clone(),
                secret: open(sealer, session)?.to_vec().into(),
            },
            service: ArcSwap::from_pointee(ServiceKeys::open(sealer, &rows, &next)?),
            sealer: sealer.clone(),
        })
    }

    /// Signs grants (ES256).
    pub fn grant_key(&self) -> &NamedKey {
        &self.grant
    }

    /// All keys whose grants are good, for guards to pin.
    pub fn grant_keys(&self) -> Vec<GrantKey> {
        vec![GrantKey {
            kid: self.grant.kid.clone(),
            public: B64.encode(self.grant.key.public().raw()),
        }]
    }

    /// The authority of the region's agents.
    pub fn agent_ca(&self) -> &Ca {
        &self.agent_ca
    }

    /// The authorities whose certificates agents may show: the present one and the one before it. DER.
    pub fn agent_roots(&self) -> &[Vec<u8>] {
        &self.agent_roots
    }

    /// Signs agents' session tokens (HS256).
    pub fn session_key(&self) -> &NamedSecret {
        &self.session
    }

    /// The region's certificate, DER.
    pub fn certificate(&self) -> Arc<Vec<u8>> {
        self.certificate.load_full()
    }

    /// What the gateway shows the global.
    pub fn identity(&self) -> Identity {
        Identity {
            chain: vec![self.certificate().to_vec()],
            key: Zeroizing::new(self.region_tls.pkcs8().to_vec()),
        }
    }

    /// A signing request of the same key, for renewal.
    ///
    /// # Errors
    /// The library refused.
    pub fn signing_request(&self) -> Result<Vec<u8>, PkiError> {
        pki::request(&self.region_tls)
    }

    /// Takes over a renewed certificate, in the database and here. One that is not for this region's key is refused: the
    /// old one stays.
    ///
    /// # Errors
    /// It is no certificate, is for another key or another name, or cannot be stored.
    pub async fn renew(&self, pool: &AppPool, der: Vec<u8>) -> Result<(), SecretsError> {
        let (new, old) = (Peer::read(&der)?, Peer::read(&self.certificate())?);
        if new.public_key != old.public_key || new.identity() != old.identity() || new.not_after < old.not_after {
            return Err(SecretsError::Damaged("region-tls"));
        }
        let mut tx = SystemTx::begin(pool, "renew-certificate").await?;
        store::set_region_certificate(&mut tx, &der).await?;
        tx.commit().await?;
        self.certificate.store(Arc::new(der));
        Ok(())
    }
}

/// The region's TLS key: the one in the database, or a new one in it. It is there before a request of it is sent, so that a
/// repeated join asks with the same key.
///
/// # Errors
/// [`SecretsError`].
pub async fn region_key(tx: &mut SystemTx, sealer: &Sealer, ambient: &Ambient) -> Result<SigningKey, SecretsError> {
    store::take_turn(tx).await?;
    let rows = store::all(tx).await?;
    if let Ok(row) = newest(&rows, Purpose::RegionTls) {
        return signing(sealer, row, Algorithm::Es384);
    }
    let key = SigningKey::generate(Algorithm::Es384)?;
    keep(tx, sealer, ambient, Purpose::RegionTls, "1", key.pkcs8(), None).await?;
    Ok(key)
}

/// Stores what joining brought, and makes the region's own keys.
///
/// # Errors
/// [`SecretsError`].
pub async fn keep_joined(
    tx: &mut SystemTx,
    sealer: &Sealer,
    ambient: &Ambient,
    joined: &Joined,
    certificate: &[u8],
) -> Result<Ca, SecretsError> {
    store::set_region_certificate(tx, certificate).await?;
    for (purpose, handed) in [(Purpose::ServiceUp, &joined.up), (Purpose::ServiceDown, &joined.down)] {
        let secret = B64.decode(&handed.secret).map(Zeroizing::new).ok();
        let secret = secret
            .filter(|secret| secret.len() == 32)
            .ok_or(SecretsError::Damaged(purpose.as_str()))?;
        keep(tx, sealer, ambient, purpose, &handed.kid, &secret, None).await?;
    }
    let ca_key = SigningKey::generate(Algorithm::Es384)?;
    let name = format!("Exarch agents of {}", joined.slug);
    let ca = Ca::create(ambient, &name, &ca_key, AGENT_CA_LIFE)?;
    keep(
        tx,
        sealer,
        ambient,
        Purpose::AgentCa,
        "1",
        ca_key.pkcs8(),
        Some(ca.der()),
    )
    .await?;
    let grant = SigningKey::generate(Algorithm::Es256)?;
    let kid = B64.encode(ambient.bytes::<9>());
    keep(tx, sealer, ambient, Purpose::Grant, &kid, grant.pkcs8(), None).await?;
    let kid = B64.encode(ambient.bytes::<9>());
    let session = Zeroizing::new(ambient.bytes::<32>());
    keep(
        tx,
        sealer,
        ambient,
        Purpose::AgentSession,
        &kid,
        session.as_slice(),
        None,
    )
    .await?;
    Ok(ca)
}

/// Another authority for agents beside the one there is.
///
/// # Errors
/// [`SecretsError`].
#[cfg(feature = "testing")]
pub async fn next_agent_ca(
    tx: &mut SystemTx,
    sealer: &Sealer,
    ambient: &Ambient,
    key: &SigningKey,
) -> Result<(), SecretsError> {
    let ca = Ca::create(ambient, "Exarch agents", key, AGENT_CA_LIFE)?;
    let kid = B64.encode(ambient.bytes::<9>());
    keep(tx, sealer, ambient, Purpose::AgentCa, &kid, key.pkcs8(), Some(ca.der())).await
}

async fn keep(
    tx: &mut SystemTx,
    sealer: &Sealer,
    ambient: &Ambient,
    purpose: Purpose,
    kid: &str,
    plain: &[u8],
    certificate: Option<&[u8]>,
) -> Result<(), SecretsError> {
    let row = row_key(purpose, kid);
    let sealed = sealer.seal(ambient, place(&row), plain);
    Ok(store::insert(tx, purpose, kid, &sealed, certificate, ambient.now()).await?)
}

fn row_key(purpose: Purpose, kid: &str) -> String {
    format!("{}/{kid}", purpose.as_str())
}

fn place(row: &str) -> Place<'_> {
    Place {
        table: "gw.sealed_key",
        column: "sealed",
        row,
    }
}

/// Rows come newest first.
fn newest(rows: &[Row], purpose: Purpose) -> Result<&Row, SecretsError> {
    rows.iter()
        .find(|row| row.purpose == purpose)
        .ok_or(SecretsError::Missing(purpose.as_str()))
}

fn open(sealer: &Sealer, row: &Row) -> Result<Zeroizing<Vec<u8>>, SecretsError> {
    sealer
        .open(place(&row_key(row.purpose, &row.kid)), &row.sealed)
        .map_err(|source| SecretsError::Locked {
            purpose: row.purpose.as_str(),
            kid: row.kid.clone(),
            source,
        })
}

fn signing(sealer: &Sealer, row: &Row, algorithm: Algorithm) -> Result<SigningKey, SecretsError> {
    SigningKey::from_pkcs8(algorithm, &open(sealer, row)?).map_err(|_| SecretsError::Damaged(row.purpose.as_str()))
}
