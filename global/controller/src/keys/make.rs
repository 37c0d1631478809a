//! Makes the keys that are missing, once.
use super::{KeysError, Purpose, sealed, store};
use exarch_common_base::Ambient;
use exarch_common_crypto::{
    pki::Ca,
    seal::Sealer,
    sign::{Algorithm, SigningKey},
};
use exarch_common_pg::{AppPool, SystemTx};
use time::Duration;

const CA_LIFE: Duration = Duration::days(10 * 365);

/// What [`make_missing`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// All keys.
    All,
    /// None: they are there.
    Nothing,
}

/// Makes all keys if there are none. Two callers at once wait for each other, and the second makes nothing.
///
/// # Errors
/// [`KeysError::Lost`] when some are there and others not, or when there are people without keys: what was sealed under the
/// missing ones would be lost for good.
pub async fn make_missing(ambient: &Ambient, pool: &AppPool, sealer: &Sealer) -> Result<Made, KeysError> {
    let mut tx = SystemTx::begin(pool, "keys").await?;
    store::lock(&mut tx).await?;
    let there = store::all(&mut tx).await?;
    let missing = Purpose::ALL
        .into_iter()
        .find(|purpose| !there.iter().any(|key| key.purpose == purpose.as_str()));
    let Some(missing) = missing else {
        return Ok(Made::Nothing);
    };
    if !there.is_empty() || store::has_people(&mut tx).await? {
        return Err(KeysError::Lost(missing.as_str()));
    }
    let now = ambient.now();
    let user = SigningKey::generate(Algorithm::Es256)?;
    let authority = SigningKey::generate(Algorithm::Ed25519)?;
    let ca_key = SigningKey::generate(Algorithm::Es384)?;
    let ca = Ca::create(ambient, "Exarch federation", &ca_key, CA_LIFE)?;
    let public = |key: &SigningKey| Some(key.public().raw().to_vec());
    let keys = [
        (Purpose::UserSigning, user.pkcs8(), public(&user)),
        (Purpose::Authority, authority.pkcs8(), public(&authority)),
        (Purpose::FederationCa, ca_key.pkcs8(), Some(ca.der().to_vec())),
        (Purpose::EmailIndex, &ambient.bytes::<32>(), None),
        (Purpose::Refresh, &ambient.bytes::<32>(), None),
    ];
    for (purpose, secret, public) in keys {
        store::insert(&mut tx, &sealed(ambient, sealer, purpose, secret, public, now)).await?;
    }
    tx.commit().await?;
    Ok(Made::All)
}
