use rustix::process::Signal;
use std::path::PathBuf;

use exarch_common_base::{Ambient, SecretString};

use crate::login::Login;

/// What a cluster should be like.
#[derive(Clone)]
pub struct ClusterSpec {
    /// Where everything of it lies: data, socket, log.
    pub state_dir: PathBuf,
    /// The loopback port.
    pub port: u16,
    /// The database to make.
    pub database: String,
    /// Everybody's passwords; they are set anew at each `ensure`, the superuser's excepted.
    pub passwords: Passwords,
    /// Whether what was committed must outlive a crash of the machine.
    pub durability: Durability,
    /// How long the server runs.
    pub life: Life,
    /// The account it runs as when we are root; `postgres`, else `nobody`, unless given.
    pub account: Option<String>,
    /// Where the binaries are, when not where distributions put them.
    pub binaries: Option<PathBuf>,
}

impl ClusterSpec {
    /// A durable cluster that outlives this process.
    pub fn new(state_dir: impl Into<PathBuf>, port: u16, database: impl Into<String>, passwords: Passwords) -> Self {
        Self {
            state_dir: state_dir.into(),
            port,
            database: database.into(),
            passwords,
            durability: Durability::Durable,
            life: Life::Detached,
            account: None,
            binaries: None,
        }
    }
}

/// The passwords of the superuser and of each login.
#[derive(Clone)]
pub struct Passwords {
    /// The cluster's own superuser, for setting up.
    pub superuser: SecretString,
    /// `exarch_owner`
    pub owner: SecretString,
    /// `exarch_app`
    pub app: SecretString,
    /// `exarch_sweep`
    pub sweep: SecretString,
    /// `exarch_renew`
    pub renew: SecretString,
    /// `exarch_operator`
    pub operator: SecretString,
}

impl Passwords {
    /// Random ones of 192 bits. Keeping them is the caller's part.
    pub fn generate(ambient: &Ambient) -> Self {
        let next = || {
            let hex: String = ambient.bytes::<24>().iter().map(|byte| format!("{byte:02x}")).collect();
            SecretString::from(hex)
        };
        Self {
            superuser: next(),
            owner: next(),
            app: next(),
            sweep: next(),
            renew: next(),
            operator: next(),
        }
    }

    /// That of `login`.
    pub fn of(&self, login: Login) -> &SecretString {
        match login {
            Login::Owner => &self.owner,
            Login::App => &self.app,
            Login::Sweep => &self.sweep,
            Login::Renew => &self.renew,
            Login::Operator => &self.operator,
        }
    }
}

/// Whether what was committed must outlive a crash of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Yes.
    Durable,
    /// No: nothing is flushed. A crash of the server alone loses nothing; one of the machine may lose all.
    ForTests,
}

/// How long the server runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// Until it is stopped.
    Detached,
    /// As long as the [`Cluster`](super::Cluster), which ends with this process at the latest, however that ends.
    WithProcess,
    /// The same; then the state directory is removed as well.
    Throwaway,
}

/// How a server ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopMode {
    /// Open transactions are undone, everything is written out.
    Fast,
    /// At once, as in a crash; the next start recovers.
    Immediate,
}

impl StopMode {
    pub(super) const fn signal(self) -> Signal {
        match self {
            Self::Fast => Signal::INT,
            Self::Immediate => Signal::QUIT,
        }
    }
}
