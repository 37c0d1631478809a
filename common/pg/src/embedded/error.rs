use std::path::PathBuf;

/// Why there is no cluster.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// No server binaries of a version that will do.
    #[error("no PostgreSQL {}{wanted} server found; install it (Debian: postgresql, Fedora: postgresql-server) or name its \
             bin directory", if *exactly { "" } else { "≥ " })]
    NoBinaries {
        /// The version looked for.
        wanted: u32,
        /// Whether a newer one will not do, because there is data of that version.
        exactly: bool,
    },
    /// Root has nobody to step down to.
    #[error("PostgreSQL does not run as root and there is no account {0}; create one or name another")]
    NoAccount(String),
    /// The account cannot get at its directory.
    #[error("account {account} cannot pass through {}; choose a directory elsewhere, or allow it (chmod o+x)", parent.display())]
    Unreachable {
        /// The account.
        account: String,
        /// The directory in its way.
        parent: PathBuf,
    },
    /// A file or directory could not be made.
    #[error("{} cannot be prepared", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Somebody else listens there.
    #[error("port {0} on 127.0.0.1 is in use by another program; choose another port")]
    PortInUse(u16),
    /// The data directory could not be made.
    #[error("initdb failed; see {}", log.display())]
    Init {
        /// What to read.
        log: PathBuf,
    },
    /// The server did not start.
    #[error("PostgreSQL did not start; see {}", log.display())]
    Start {
        /// What to read.
        log: PathBuf,
    },
    /// A process of an earlier server does not end.
    #[error("process {pid} still works in {}; end it first", data.display())]
    Orphan {
        /// The process.
        pid: i32,
        /// The data directory.
        data: PathBuf,
    },
    /// The server does not stop.
    #[error("PostgreSQL (process {pid}) does not stop")]
    NotStopped {
        /// The server.
        pid: i32,
    },
    /// The superuser's password is not the one the cluster was made with.
    #[error("the superuser password given is not the one of the cluster in {}", .0.display())]
    Password(PathBuf),
    /// A name that would have to be quoted.
    #[error("{0:?} will not do as a database name; use lower-case letters, digits and _")]
    DatabaseName(String),
    /// Setting up roles and databases failed.
    #[error("setting up the cluster failed; see {}", log.display())]
    Setup {
        /// What to read.
        log: PathBuf,
        /// What the server said.
        #[source]
        source: sqlx::Error,
    },
}
