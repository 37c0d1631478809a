//! `federation.json`: how outside tools attach to a box. Its form is stable; members may be added.
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// URLs with passwords.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Database {
    /// As `exarch_owner`.
    pub owner_url: String,
    /// As `exarch_app`.
    pub app_url: String,
}

/// One process of the global controller or of a gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaEntry {
    /// Of its public listener.
    pub url: String,
    /// Of its federation listener, or that for agents.
    pub inner_url: String,
    /// Of its ops listener.
    pub ops_url: String,
    /// It.
    pub pid: i32,
}

/// The global controller.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GlobalEntry {
    /// `http://localhost:8440`.
    pub url: String,
    /// `https://localhost:8441`.
    pub federation_url: String,
    /// `http://127.0.0.1:8449`.
    pub ops_url: String,
    /// PEM of the federation's authority.
    pub ca: PathBuf,
    /// Its directory.
    pub state_dir: PathBuf,
    /// Its database.
    pub database: Database,
    /// Its processes.
    pub pids: Vec<i32>,
    /// Each process that serves, the first one included.
    #[serde(default)]
    pub replicas: Vec<ReplicaEntry>,
}

/// A region.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionEntry {
    /// `eu-north`.
    pub slug: String,
    /// `reg_…`.
    pub id: String,
    /// By address, `http://127.0.0.1:9440`.
    pub url: String,
    /// By name, `http://eu-north.localhost:9440`.
    pub console_url: String,
    /// `https://127.0.0.1:9441`.
    pub agents_url: String,
    /// `http://127.0.0.1:9449`.
    pub ops_url: String,
    /// PEM of the region's agent authority.
    pub ca: PathBuf,
    /// Its directory.
    pub state_dir: PathBuf,
    /// Its database.
    pub database: Database,
    /// Its processes.
    pub pids: Vec<i32>,
    /// Each process that serves, the first one included.
    #[serde(default)]
    pub replicas: Vec<ReplicaEntry>,
}

/// A person who can sign in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// With this address.
    pub email: String,
    /// And this password.
    pub password: String,
    /// And this second factor, if enrolled: base32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub totp_secret: Option<String>,
    /// The tenant's slug; none for the provider's staff.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Roles.
    pub roles: Vec<String>,
    /// Regions that the account may enter.
    pub regions: Vec<String>,
}

/// An agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentEntry {
    /// Its name.
    pub name: String,
    /// `agt_…`.
    pub id: String,
    /// The region's slug.
    pub region: String,
    /// The tenant's slug.
    pub tenant: String,
    /// The cluster's name.
    pub cluster: String,
    /// Its directory.
    pub state_dir: PathBuf,
    /// Its process.
    pub pid: i32,
}

/// The whole file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FederationFile {
    /// The global controller.
    pub global: GlobalEntry,
    /// The regions.
    pub regions: Vec<RegionEntry>,
    /// People.
    pub accounts: Vec<Account>,
    /// Agents.
    pub agents: Vec<AgentEntry>,
}

impl FederationFile {
    /// Reads it; `None` when there is none.
    ///
    /// # Errors
    /// The disk, or another form.
    pub fn read(path: &Path) -> io::Result<Option<Self>> {
        match fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(io::Error::other),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Writes it whole, 0600.
    ///
    /// # Errors
    /// The disk.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        write_private(path, &serde_json::to_vec_pretty(self).map_err(io::Error::other)?)
    }

    /// How many processes of the global and of each gateway there are.
    pub fn replicas(&self) -> u16 {
        u16::try_from(self.global.replicas.len()).unwrap_or(1).max(1)
    }

    /// The account of an address.
    pub fn account(&self, email: &str) -> Option<&Account> {
        self.accounts.iter().find(|a| a.email == email)
    }
}

/// Replaces a file whole, readable by its owner alone.
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let next = path.with_extension("next");
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&next)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&next, path)
}
