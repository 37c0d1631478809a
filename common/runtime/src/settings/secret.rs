//! Secrets come from files that nobody else can read.
use exarch_common_base::SecretString;
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

const MAX: u64 = 64 * 1024;

/// The path of a file that holds one secret. The secret itself is read when it is needed and never kept here.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretFile(PathBuf);

/// Why a secret cannot be used. No variant holds any of it.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// Not there, or not for us.
    #[error("the file {} cannot be read: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A folder, a device, a pipe.
    #[error("{} is not a file", .0.display())]
    NotAFile(PathBuf),
    /// Others may read or change it.
    #[error("the file {} has mode {mode:04o}: others may read it; run chmod 600 on it", path.display())]
    Mode {
        /// Which file.
        path: PathBuf,
        /// Permission bits.
        mode: u32,
    },
    /// Somebody else could replace it.
    #[error("the file {} belongs to user {owner}, neither to this process's user nor to root", path.display())]
    Owner {
        /// Which file.
        path: PathBuf,
        /// User id.
        owner: u32,
    },
    /// Nothing in it.
    #[error("the file {} is empty", .0.display())]
    Empty(PathBuf),
    /// No text, or far too long.
    #[error("the file {} holds no text of at most {MAX} bytes", .0.display())]
    NotText(PathBuf),
    /// A word out of an example.
    #[error("the file {} holds a word that everybody knows; make a random one", .0.display())]
    WellKnown(PathBuf),
}

const WELL_KNOWN: [&str; 10] = [
    "admin",
    "change-me",
    "changeme",
    "default",
    "example",
    "exarch",
    "password",
    "postgres",
    "secret",
    "test",
];

impl SecretFile {
    /// The secret in the file at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Reads it; one newline at the end is not part of it.
    pub fn read(&self) -> Result<SecretString, SecretFileError> {
        let path = || self.0.clone();
        let unreadable = |source| SecretFileError::Read { path: path(), source };
        // Opened first and looked at by descriptor: what is checked is what is read.
        let mut file = File::open(&self.0).map_err(unreadable)?;
        let meta = file.metadata().map_err(unreadable)?;
        if !meta.is_file() {
            return Err(SecretFileError::NotAFile(path()));
        }
        let mode = meta.mode() & 0o7777;
        if mode & 0o077 != 0 && !(mode & 0o037 == 0 && is_credential(&self.0)) {
            return Err(SecretFileError::Mode { path: path(), mode });
        }
        if meta.uid() != 0 && meta.uid() != rustix::process::geteuid().as_raw() {
            return Err(SecretFileError::Owner {
                path: path(),
                owner: meta.uid(),
            });
        }
        if meta.len() > MAX {
            return Err(SecretFileError::NotText(path()));
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(meta.len() as usize));
        file.by_ref().take(MAX).read_to_end(&mut bytes).map_err(unreadable)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| SecretFileError::NotText(path()))?;
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.trim().is_empty() {
            return Err(SecretFileError::Empty(path()));
        }
        if WELL_KNOWN.contains(&text.trim().to_ascii_lowercase().as_str()) || is_one_letter(text) {
            return Err(SecretFileError::WellKnown(path()));
        }
        Ok(text.to_owned().into())
    }
}

/// A key of nothing but zeros, as examples have it, is one letter in base64 and in hexadecimal.
fn is_one_letter(text: &str) -> bool {
    let text = text.trim().trim_end_matches('=');
    text.len() > 1 && text.bytes().all(|b| Some(b) == text.bytes().next())
}

/// Whether the file is one that systemd made for this service alone. It gives the service's user access by an access list, whose
/// mask shows as the group's bits; nobody else passes the directory.
fn is_credential(path: &Path) -> bool {
    std::env::var_os("CREDENTIALS_DIRECTORY").is_some_and(|dir| path.parent() == Some(Path::new(&dir)))
}

impl fmt::Debug for SecretFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretFile({})", self.0.display())
    }
}
