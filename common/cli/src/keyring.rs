//! The keyring of the desktop, for the one secret that lasts: the refresh token. It is reached over the session bus by the
//! Secret Service interface of freedesktop.org, which GNOME's keyring, KWallet and KeePassXC serve. Where there is no such bus,
//! as in a script or over SSH, the token lies in the profile, a file for its owner's eyes alone.
use exarch_common_base::{ExposeSecret, SecretString, Slug};
use secret_service::{EncryptionType, SecretService};
use std::{collections::HashMap, env, path::Path, time::Duration};

/// A bus without a keyring behind it may take its time to say so.
const ANSWER: Duration = Duration::from_secs(5);
/// A person has to find the password that opens it.
const UNLOCK: Duration = Duration::from_secs(120);

/// Why the keyring did not do it.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// It said so.
    #[error("the keyring of this desktop: {0}")]
    Refused(#[from] secret_service::Error),
    /// It said nothing.
    #[error("the keyring of this desktop does not answer")]
    Silent,
    /// It answers, and has nothing of ours.
    #[error("the keyring of this desktop does not hold this session")]
    Missing,
    /// What it has is no text.
    #[error("what the keyring of this desktop holds for this session is no token")]
    Foreign,
}

/// Where the token of one profile lies.
#[derive(Clone, Debug)]
pub struct Keyring {
    directory: String,
    profile: String,
}

/// Whether the person wants none: `EXARCH_KEYRING=off`.
fn unwanted() -> bool {
    env::var_os("EXARCH_KEYRING").is_some_and(|value| value == "off")
}

/// Whether there may be one.
fn has_bus() -> bool {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty());
    set("DBUS_SESSION_BUS_ADDRESS").is_some()
        || set("XDG_RUNTIME_DIR").is_some_and(|dir| Path::new(&dir).join("bus").exists())
}

async fn within<T>(
    limit: Duration,
    asked: impl Future<Output = Result<T, secret_service::Error>>,
) -> Result<T, KeyringError> {
    let answered = tokio::time::timeout(limit, asked).await;
    Ok(answered.map_err(|_| KeyringError::Silent)??)
}

impl Keyring {
    /// For the profile `name` in `directory`.
    pub fn new(directory: &Path, name: &Slug) -> Self {
        Self {
            directory: directory.display().to_string(),
            profile: name.to_string(),
        }
    }

    fn attributes(&self) -> HashMap<&str, &str> {
        HashMap::from([
            ("application", "exarch"),
            ("directory", self.directory.as_str()),
            ("profile", self.profile.as_str()),
        ])
    }

    /// Keeps the token, in the place of the one before. False where there is no keyring, or none is wanted.
    ///
    /// # Errors
    /// [`KeyringError`]; the token is not kept then.
    pub async fn put(&self, token: &SecretString) -> Result<bool, KeyringError> {
        if unwanted() || !has_bus() {
            return Ok(false);
        }
        // The bus is a socket of this person's own: a cipher on it would guard against nobody.
        let service = match within(ANSWER, SecretService::connect(EncryptionType::Plain)).await {
            Ok(service) => service,
            Err(KeyringError::Refused(secret_service::Error::Unavailable)) => return Ok(false),
            Err(e) => return Err(e),
        };
        let collection = match within(ANSWER, service.get_default_collection()).await {
            Ok(collection) => collection,
            Err(KeyringError::Refused(secret_service::Error::NoResult)) => return Ok(false),
            Err(e) => return Err(e),
        };
        within(UNLOCK, collection.unlock()).await?;
        let label = format!("Exarch session ({})", self.profile);
        let bytes = token.expose_secret().as_bytes();
        let kept = collection.create_item(&label, self.attributes(), bytes, true, "text/plain");
        within(ANSWER, kept).await?;
        Ok(true)
    }

    /// The token.
    ///
    /// # Errors
    /// [`KeyringError`].
    pub async fn get(&self) -> Result<SecretString, KeyringError> {
        let service = within(ANSWER, SecretService::connect(EncryptionType::Plain)).await?;
        let found = within(ANSWER, service.search_items(self.attributes())).await?;
        let item = found.unlocked.into_iter().chain(found.locked).next();
        let item = item.ok_or(KeyringError::Missing)?;
        within(UNLOCK, item.unlock()).await?;
        let bytes = within(ANSWER, item.get_secret()).await?;
        let text = String::from_utf8(bytes).map_err(|_| KeyringError::Foreign)?;
        Ok(text.into())
    }

    /// Forgets the token.
    ///
    /// # Errors
    /// [`KeyringError`].
    pub async fn forget(&self) -> Result<(), KeyringError> {
        let service = within(ANSWER, SecretService::connect(EncryptionType::Plain)).await?;
        let found = within(ANSWER, service.search_items(self.attributes())).await?;
        for item in found.unlocked.iter().chain(&found.locked) {
            within(UNLOCK, item.delete()).await?;
        }
        Ok(())
    }
}
