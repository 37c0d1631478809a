//! The profile: who is signed in where, kept in one file for each name, for this person's eyes alone.
//!
//! The file is replaced whole and only under the lock beside it, so that of two commands at one time neither sees half a
//! file nor spends a refresh token that the other one has spent.
use crate::keyring::{Keyring, KeyringError};
use exarch_common_base::{ExposeSecret, SecretString, Slug};
use rustix::{
    fs::{FlockOperation, flock},
    process::geteuid,
};
use serde::{Deserialize, Serialize, Serializer};
use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};
use time::OffsetDateTime;

/// Why the profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// There is nowhere to keep it.
    #[error("there is no place for the profile: set HOME or EXARCH_CONFIG_HOME")]
    NoPlace,
    /// Others could read or change it.
    #[error("{path} can be read or changed by others: run `chmod {mode} {path}` and consider its contents known")]
    Loose {
        /// The file or directory.
        path: String,
        /// The mode it should have.
        mode: &'static str,
    },
    /// It is somebody else's, or no plain file.
    #[error("{0} is not yours, or not a plain file")]
    Foreign(String),
    /// It is no profile.
    #[error("{path} cannot be read as a profile ({reason}): remove it and sign in again")]
    Malformed {
        /// The file.
        path: String,
        /// In one clause.
        reason: String,
    },
    /// What the keyring of the desktop holds cannot be had.
    #[error("{0}: unlock it, or sign in again with EXARCH_KEYRING=off")]
    Keyring(#[from] KeyringError),
    /// The file system refused.
    #[error("cannot use {path}: {source}")]
    Io {
        /// The file or directory.
        path: String,
        /// The cause.
        source: io::Error,
    },
}

/// What is kept under one name.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Profile {
    /// Address of the global.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub global: Option<String>,
    /// Who signed in last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The session, if somebody is signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Session>,
}

/// A session at the global and what was exchanged for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Session {
    /// The person.
    pub user: String,
    /// The tenant in force; none for staff without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantRef>,
    /// When it began, by the clock here: one session of a person is told from the next by it.
    #[serde(with = "time::serde::rfc3339")]
    pub since: OffsetDateTime,
    /// Good once. It lies in the keyring of the desktop where it is not here.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "exposed_if_here")]
    pub refresh_token: Option<SecretString>,
    /// For the global.
    pub access: Token,
    /// What is known of regions, by slug.
    #[serde(default)]
    pub regions: BTreeMap<Slug, Region>,
}

/// A tenant by its names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantRef {
    /// Its id.
    pub id: String,
    /// Its slug.
    pub slug: String,
}

/// A bearer token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Token {
    /// The token.
    #[serde(serialize_with = "exposed")]
    pub token: SecretString,
    /// Its end, by the clock here.
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
}

/// A region: its address outlives the token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Region {
    /// Where it is reached.
    pub url: String,
    /// The token for it.
    pub token: Token,
}

fn exposed<S: Serializer>(secret: &SecretString, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(secret.expose_secret())
}

fn exposed_if_here<S: Serializer>(secret: &Option<SecretString>, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_some(&secret.as_ref().map(ExposeSecret::expose_secret))
}

/// Where one profile is kept.
#[derive(Clone, Debug)]
pub struct Store {
    dir: PathBuf,
    name: Slug,
    keyring: Keyring,
}

/// Where a refresh token lies.
#[derive(Debug)]
pub enum Kept {
    /// In the keyring.
    Keyring,
    /// In the profile's file; with the reason where the keyring did not take it.
    File(Option<KeyringError>),
}

/// The profile while nobody else changes it.
#[derive(Debug)]
pub struct Locked {
    store: Store,
    _lock: File,
}

/// `exarch` in `EXARCH_CONFIG_HOME` (for scripts), in `XDG_CONFIG_HOME` or in `~/.config`.
pub fn directory() -> Result<PathBuf, ProfileError> {
    place(|name| env::var_os(name).filter(|value| !value.is_empty()))
}

fn place(variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, ProfileError> {
    let own = variable("EXARCH_CONFIG_HOME").map(PathBuf::from);
    let shared = || {
        let path = variable("XDG_CONFIG_HOME").map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    };
    let home = || variable("HOME").map(|home| Path::new(&home).join(".config"));
    let parent = own.or_else(shared).or_else(home).ok_or(ProfileError::NoPlace)?;
    Ok(parent.join("exarch"))
}

impl Store {
    /// The profile `name` in `dir`.
    pub fn new(dir: PathBuf, name: Slug) -> Self {
        Self {
            keyring: Keyring::new(&dir, &name),
            dir,
            name,
        }
    }

    fn file(&self, ending: &str) -> PathBuf {
        self.dir.join(format!("{}.{ending}", self.name))
    }

    /// The profile as it is; an empty one where there is none.
    pub fn load(&self) -> Result<Profile, ProfileError> {
        let path = self.file("json");
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Profile::default()),
            Err(e) => return Err(io_at(&path)(e)),
        };
        self.private_directory()?;
        // Of what is open, not of what the name names meanwhile.
        let meta = file.metadata().map_err(io_at(&path))?;
        private(&path, &meta, meta.is_file(), "600")?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(io_at(&path))?;
        serde_json::from_str(&text).map_err(|e| ProfileError::Malformed {
            path: path.display().to_string(),
            // Where, never what: the line may hold a token.
            reason: format!("line {}, column {}", e.line(), e.column()),
        })
    }

    /// Waits until nobody else changes the profile.
    pub async fn lock(&self) -> Result<Locked, ProfileError> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(&self.dir).map_err(io_at(&self.dir))?;
        self.private_directory()?;
        let path = self.file("lock");
        let lock = private_file(&path).map_err(io_at(&path))?;
        // Another command may hold it while it waits for an answer of the global: off this thread.
        let waiting = tokio::task::spawn_blocking(move || flock(&lock, FlockOperation::LockExclusive).map(|()| lock));
        let locked = waiting.await.map_err(io::Error::other);
        let lock = locked
            .and_then(|locked| locked.map_err(io::Error::from))
            .map_err(io_at(&path))?;
        Ok(Locked {
            store: self.clone(),
            _lock: lock,
        })
    }

    fn private_directory(&self) -> Result<(), ProfileError> {
        let meta = fs::metadata(&self.dir).map_err(io_at(&self.dir))?;
        private(&self.dir, &meta, meta.is_dir(), "700")
    }
}

impl Locked {
    /// The profile as it is.
    pub fn load(&self) -> Result<Profile, ProfileError> {
        self.store.load()
    }

    /// The refresh token of a session, wherever it lies.
    ///
    /// # Errors
    /// The keyring that holds it cannot be reached.
    pub async fn refresh_token(&self, session: &Session) -> Result<SecretString, ProfileError> {
        match &session.refresh_token {
            Some(token) => Ok(token.clone()),
            None => Ok(self.store.keyring.get().await?),
        }
    }

    /// Keeps a profile with a session that has begun or gone on: the refresh token in the keyring where there is one, so that
    /// the file does without it. It is kept by the one or the other when this returns.
    pub async fn save_session(&self, profile: &mut Profile) -> Result<Kept, ProfileError> {
        let mut kept = Kept::File(None);
        if let Some(session) = &mut profile.session
            && let Some(token) = &session.refresh_token
        {
            match self.store.keyring.put(token).await {
                Ok(true) => {
                    session.refresh_token = None;
                    kept = Kept::Keyring;
                }
                Ok(false) => {}
                Err(cause) => kept = Kept::File(Some(cause)),
            }
        }
        self.save(profile)?;
        Ok(kept)
    }

    /// Keeps the profile without its session, and nothing of that in the keyring. What the keyring says to it, if that failed.
    ///
    /// # Errors
    /// The file is as it was.
    pub async fn forget_session(&self) -> Result<Option<KeyringError>, ProfileError> {
        let mut profile = self.load()?;
        let Some(session) = profile.session.take() else {
            return Ok(None);
        };
        self.save(&profile)?;
        if session.refresh_token.is_some() {
            return Ok(None);
        }
        Ok(self.store.keyring.forget().await.err())
    }

    /// Puts the profile in the place of the one before: all of it is on disk when this returns.
    pub fn save(&self, profile: &Profile) -> Result<(), ProfileError> {
        let (path, new) = (self.store.file("json"), self.store.file("json.new"));
        let text = serde_json::to_vec_pretty(profile).map_err(|e| io_at(&path)(io::Error::other(e)))?;
        let write = || {
            // One that a command left behind when it was killed.
            match fs::remove_file(&new) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&new, &path)?;
            File::open(&self.store.dir)?.sync_all()
        };
        write().map_err(io_at(&path))
    }
}

fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

fn private(path: &Path, meta: &fs::Metadata, right_kind: bool, mode: &'static str) -> Result<(), ProfileError> {
    if !right_kind || meta.uid() != geteuid().as_raw() {
        return Err(ProfileError::Foreign(path.display().to_string()));
    }
    if meta.mode() & 0o077 != 0 {
        return Err(ProfileError::Loose {
            path: path.display().to_string(),
            mode,
        });
    }
    Ok(())
}

/// The secret in a file that nobody else can read; a pipe will do.
pub fn secret_file(path: &Path) -> Result<SecretString, ProfileError> {
    let mut file = File::open(path).map_err(io_at(path))?;
    let meta = file.metadata().map_err(io_at(path))?;
    if meta.is_file() && meta.mode() & 0o077 != 0 {
        return Err(ProfileError::Loose {
            path: path.display().to_string(),
            mode: "600",
        });
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(io_at(path))?;
    Ok(crate::terminal::without_end(&text).into())
}

fn io_at(path: &Path) -> impl Fn(io::Error) -> ProfileError + '_ {
    |source| ProfileError::Io {
        path: path.display().to_string(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};
    use time::macros::datetime;

    fn store(root: &tempfile::TempDir) -> Store {
        Store::new(root.path().join("exarch"), "default".parse().unwrap())
    }

    fn profile() -> Profile {
        let until = datetime!(2026-06-01 12:15 UTC);
        let token = |text: &str| Token {
            token: text.into(),
            expires_at: until,
        };
        Profile {
            global: Some("http://localhost:8440".into()),
            email: Some("ada@acme.example".into()),
            session: Some(Session {
                user: "usr_1".into(),
                tenant: None,
                since: until,
                refresh_token: Some("exr_secret".into()),
                access: token("access"),
                regions: BTreeMap::from([(
                    "eu-north".parse().unwrap(),
                    Region {
                        url: "http://127.0.0.1:9440".into(),
                        token: token("region"),
                    },
                )]),
            }),
        }
    }

    async fn saved(root: &tempfile::TempDir) -> Store {
        let store = store(root);
        store.lock().await.unwrap().save(&profile()).unwrap();
        store
    }

    #[tokio::test]
    async fn a_profile_reads_back_and_is_for_its_owner_alone() {
        let root = tempfile::tempdir().unwrap();
        let store = saved(&root).await;
        let read = store.load().unwrap().session.unwrap();
        assert_eq!(read.refresh_token.unwrap().expose_secret(), "exr_secret");
        assert_eq!(read.regions.len(), 1);
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&store.dir), 0o700);
        for file in fs::read_dir(&store.dir).unwrap() {
            assert_eq!(mode(&file.unwrap().path()), 0o600);
        }
    }

    #[tokio::test]
    async fn a_profile_that_others_can_read_is_refused_and_so_is_its_directory() {
        let root = tempfile::tempdir().unwrap();
        let store = saved(&root).await;
        let loosen = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o601] {
            loosen(&store.file("json"), mode);
            assert!(
                matches!(store.load(), Err(ProfileError::Loose { mode: "600", .. })),
                "{mode:o}"
            );
        }
        loosen(&store.file("json"), 0o600);
        for mode in [0o750, 0o705, 0o710] {
            loosen(&store.dir, mode);
            assert!(
                matches!(store.load(), Err(ProfileError::Loose { mode: "700", .. })),
                "{mode:o}"
            );
            assert!(
                matches!(store.lock().await, Err(ProfileError::Loose { mode: "700", .. })),
                "{mode:o}"
            );
        }
        loosen(&store.dir, 0o700);
        assert!(store.load().is_ok());
    }

    #[tokio::test]
    async fn what_a_killed_command_left_behind_is_in_nobodys_way() {
        let root = tempfile::tempdir().unwrap();
        let store = saved(&root).await;
        fs::write(store.file("json.new"), "half a fi").unwrap();
        store.lock().await.unwrap().save(&profile()).unwrap();
        assert!(store.load().unwrap().session.is_some());
        assert!(!store.file("json.new").exists());
    }

    #[tokio::test]
    async fn a_broken_profile_is_told_without_its_contents() {
        let root = tempfile::tempdir().unwrap();
        let store = saved(&root).await;
        fs::write(
            store.file("json"),
            r#"{"session": {"refresh_token": "exr_secret", "user": 7}}"#,
        )
        .unwrap();
        let told = store.load().unwrap_err().to_string();
        assert!(told.contains("sign in again") && !told.contains("exr_secret"), "{told}");
        assert!(!format!("{:?}", profile()).contains("exr_secret"));
    }

    #[test]
    fn a_secret_in_a_file_that_others_can_read_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), " pass word \n").unwrap();
        assert_eq!(secret_file(file.path()).unwrap().expose_secret(), " pass word ");
        fs::set_permissions(file.path(), Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(secret_file(file.path()), Err(ProfileError::Loose { .. })));
    }

    #[test]
    fn the_place_is_the_scripts_own_or_that_of_the_desktop() {
        let at = |set: &[(&str, &str)]| {
            let set: BTreeMap<String, OsString> = set
                .iter()
                .map(|(name, value)| ((*name).to_owned(), OsString::from(value)))
                .collect();
            place(|name| set.get(name).cloned())
                .ok()
                .map(|path| path.display().to_string())
        };
        let all = [("EXARCH_CONFIG_HOME", "/a"), ("XDG_CONFIG_HOME", "/b"), ("HOME", "/c")];
        assert_eq!(at(&all).as_deref(), Some("/a/exarch"));
        assert_eq!(at(&all[1..]).as_deref(), Some("/b/exarch"));
        assert_eq!(at(&all[2..]).as_deref(), Some("/c/.config/exarch"));
        assert_eq!(
            at(&[("XDG_CONFIG_HOME", "relative"), ("HOME", "/c")]).as_deref(),
            Some("/c/.config/exarch")
        );
        assert_eq!(at(&[]), None);
    }
}
