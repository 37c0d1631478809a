//! The keys of the installation: users' token keys, the authority that signs passports, the federation's certificate
//! authority, and two secrets of the global alone. They lie in the database, sealed under the master key; here they are
//! opened once and read without a lock. Wrong or missing keys beside existing data are a reason not to start, never to begin
//! anew.
mod jwks;
mod make;
mod ring;
mod rotate;
mod state;
mod store;

pub use make::{Made, make_missing};
pub use ring::{Ring, UserKey};
pub use rotate::Rotation;
pub use state::{State, check, report, state};

use crate::app::App;
use arc_swap::ArcSwap;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use exarch_common_base::{Ambient, ExposeSecret, KeyId, SecretSlice};
use exarch_common_crypto::{
    mac,
    pki::{Ca, PkiError},
    seal::{Place, SealError, Sealer},
    sign::{Algorithm, KeyError, PublicKey, SigningKey},
};
use exarch_common_http::Api;
use exarch_common_pg::{AppPool, DbError, SystemTx};
use exarch_common_wire::{federation::AuthorityKey, passport};
use std::sync::Arc;
use time::OffsetDateTime;

/// Why there are no keys to work with.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// Setup has not run.
    #[error("the installation has no keys yet; run `exarch-global setup`")]
    NotMade,
    /// Some are missing although they were made once.
    #[error("the key for {0} is missing although there is data; restore gc.sealed_key from a backup")]
    Lost(&'static str),
    /// Not the master key that they were sealed under, or damaged.
    #[error("the key {id} for {purpose} does not open; is settings.keys.master_file the right one?")]
    Sealed {
        /// Which.
        id: KeyId,
        /// What it is for.
        purpose: String,
        /// Why.
        #[source]
        cause: SealError,
    },
    /// Opened, and not what it should be.
    #[error("a stored key is not what it should be")]
    Key(#[from] KeyError),
    /// The certificate authority's certificate.
    #[error("the federation's certificate authority is damaged")]
    Ca(#[from] PkiError),
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// The key that signs passports, and its id.
#[derive(Debug)]
pub struct Authority {
    /// As manifests name it.
    pub kid: String,
    /// On Ed25519.
    pub key: SigningKey,
}

struct Loaded {
    /// When the store was asked last.
    at: OffsetDateTime,
    ring: Ring,
    authority: Arc<Authority>,
    federation_ca: Arc<Ca>,
    email_index: SecretSlice<u8>,
    refresh: SecretSlice<u8>,
}

/// All keys, as they were when they were last read. Cheap to clone.
#[derive(Clone)]
pub struct Keys {
    loaded: Arc<ArcSwap<Loaded>>,
    issuer: Arc<str>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}

impl Keys {
    /// Opens the stored keys.
    ///
    /// # Errors
    /// [`KeysError`]; [`KeysError::NotMade`] alone is healed by waiting.
    pub async fn load(ambient: &Ambient, pool: &AppPool, sealer: &Sealer, issuer: &str) -> Result<Self, KeysError> {
        let mut tx = SystemTx::begin(pool, "keys").await?;
        let loaded = open_all(&mut tx, sealer, ambient.now()).await?;
        tx.rollback().await?;
        Ok(Self {
            loaded: Arc::new(ArcSwap::from_pointee(loaded)),
            issuer: issuer.into(),
        })
    }

    /// Reads them again: this or another replica may have made a new one.
    ///
    /// # Errors
    /// As [`Keys::load`]; the present ones stay.
    pub async fn reload(&self, ambient: &Ambient, tx: &mut SystemTx, sealer: &Sealer) -> Result<(), KeysError> {
        let loaded = open_all(tx, sealer, ambient.now()).await?;
        self.loaded.store(Arc::new(loaded));
        Ok(())
    }

    /// Who users' tokens say made them: the public address.
    pub fn issuer(&self) -> String {
        self.issuer.to_string()
    }

    /// The passport's section of keys that verify users' tokens: all that are not retired, also those whose end is set.
    pub fn passport_keys(&self) -> passport::Keys {
        let loaded = self.loaded.load();
        let key = |key: &Arc<UserKey>| passport::UserKey {
            kid: key.kid(),
            public: URL_SAFE_NO_PAD.encode(key.key.public().raw()),
        };
        passport::Keys {
            issuer: self.issuer(),
            keys: loaded.ring.published(loaded.at).map(key).collect(),
        }
    }

    /// The passport's section about the authority itself.
    pub fn passport_authority(&self) -> passport::Authority {
        passport::Authority {
            current: self.authority_key(),
            next: None,
        }
    }

    /// The authority's public key, as regions keep it.
    pub fn authority_key(&self) -> AuthorityKey {
        let authority = self.authority();
        AuthorityKey {
            kid: authority.kid.clone(),
            public: URL_SAFE_NO_PAD.encode(authority.key.public().raw()),
        }
    }

    /// The users' keys.
    pub fn users(&self) -> Ring {
        self.loaded.load().ring.clone()
    }

    /// The key that signs users' tokens now.
    ///
    /// # Errors
    /// [`KeysError::NotMade`] when the time of none has come.
    pub fn signer(&self, now: OffsetDateTime) -> Result<Arc<UserKey>, KeysError> {
        self.loaded.load().ring.signer(now).cloned().ok_or(KeysError::NotMade)
    }

    /// What verifies users' tokens that name `kid`.
    pub fn verifier(&self, kid: &str, now: OffsetDateTime) -> Option<PublicKey> {
        self.loaded.load().ring.verifier(kid, now)
    }

    /// The cluster authority.
    pub fn authority(&self) -> Arc<Authority> {
        self.loaded.load().authority.clone()
    }

    /// The federation's certificate authority.
    pub fn federation_ca(&self) -> Arc<Ca> {
        self.loaded.load().federation_ca.clone()
    }

    /// The blind index of a normalised address.
    pub fn email_index(&self, email: &str) -> [u8; 32] {
        mac::hmac_sha256(self.loaded.load().email_index.expose_secret(), email.as_bytes())
    }

    /// The key of a family of refresh tokens.
    pub fn refresh_family(&self, salt: &[u8]) -> [u8; 32] {
        mac::hmac_sha256(self.loaded.load().refresh.expose_secret(), salt)
    }
}

/// What a stored key is for; the words in the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Purpose {
    UserSigning,
    Authority,
    FederationCa,
    EmailIndex,
    Refresh,
}

impl Purpose {
    const ALL: [Self; 5] = [
        Self::UserSigning,
        Self::Authority,
        Self::FederationCa,
        Self::EmailIndex,
        Self::Refresh,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::UserSigning => "user-signing",
            Self::Authority => "authority",
            Self::FederationCa => "federation-ca",
            Self::EmailIndex => "email-index",
            Self::Refresh => "refresh",
        }
    }
}

fn place(row: &str) -> Place<'_> {
    Place {
        table: "gc.sealed_key",
        column: "sealed",
        row,
    }
}

async fn open_all(tx: &mut SystemTx, sealer: &Sealer, now: OffsetDateTime) -> Result<Loaded, KeysError> {
    let rows = store::all(tx).await?;
    let people = store::has_people(tx).await?;
    let of = |purpose: Purpose| rows.iter().filter(move |row| row.purpose == purpose.as_str());
    let open = |row: &store::SealedKey| {
        let id = KeyId::from(row.id);
        sealer
            .open(place(&id.to_string()), &row.sealed)
            .map_err(|cause| KeysError::Sealed {
                id,
                purpose: row.purpose.clone(),
                cause,
            })
    };
    let newest = |purpose: Purpose| {
        of(purpose).next_back().ok_or(if people || !rows.is_empty() {
            KeysError::Lost(purpose.as_str())
        } else {
            KeysError::NotMade
        })
    };
    newest(Purpose::UserSigning)?;
    let ring = of(Purpose::UserSigning)
        .map(|row| {
            Ok(UserKey {
                id: row.id.into(),
                key: SigningKey::from_pkcs8(Algorithm::Es256, &open(row)?)?,
                signs_from: row.signs_from,
                retired_at: row.retired_at,
            })
        })
        .collect::<Result<Vec<_>, KeysError>>()?;
    let authority = newest(Purpose::Authority)?;
    let ca = newest(Purpose::FederationCa)?;
    let ca_key = SigningKey::from_pkcs8(Algorithm::Es384, &open(ca)?)?;
    Ok(Loaded {
        at: now,
        ring: Ring::new(ring),
        authority: Arc::new(Authority {
            kid: KeyId::from(authority.id).to_string(),
            key: SigningKey::from_pkcs8(Algorithm::Ed25519, &open(authority)?)?,
        }),
        federation_ca: Arc::new(Ca::load(ca.public.as_deref().unwrap_or_default(), &ca_key)?),
        email_index: open(newest(Purpose::EmailIndex)?)?.to_vec().into(),
        refresh: open(newest(Purpose::Refresh)?)?.to_vec().into(),
    })
}

fn sealed(
    ambient: &Ambient,
    sealer: &Sealer,
    purpose: Purpose,
    secret: &[u8],
    public: Option<Vec<u8>>,
    signs_from: OffsetDateTime,
) -> store::SealedKey {
    let id: KeyId = ambient.id();
    store::SealedKey {
        id: id.uuid(),
        purpose: purpose.as_str().to_owned(),
        sealed: sealer.seal(ambient, place(&id.to_string()), secret),
        public,
        created_at: ambient.now(),
        signs_from,
        retired_at: None,
    }
}

/// The room's routes.
pub fn routes(api: Api<App>) -> Api<App> {
    jwks::routes(api)
}
