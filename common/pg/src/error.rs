use std::{borrow::Cow, io};

use crate::login::UnfitLogin;

/// Why the database did not do what it was asked, sorted by what a caller can do about it.
///
/// The texts name no row, no value and no address: the cause is kept as the source, for the log at the edge.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// Cannot be reached, is starting or stopping, has no connection free or took longer than allowed: try again later.
    #[error("the database is not available")]
    Unavailable(#[source] sqlx::Error),
    /// A named constraint refused the change.
    #[error("the change conflicts with {constraint}")]
    Conflict {
        /// The constraint's name in the schema.
        constraint: String,
        /// Which kind of constraint it is.
        kind: ConflictKind,
        /// The database's own report, for the log.
        #[source]
        source: sqlx::Error,
    },
    /// Two transactions met; running the whole transaction again is right.
    #[error("the change met another one; repeat it")]
    Serialization(#[source] sqlx::Error),
    /// The login of this pool may not serve.
    #[error(transparent)]
    Unfit(#[from] UnfitLogin),
    /// The address of the database cannot be understood. (The address itself may hold a password and is not repeated.)
    #[error("the database URL is malformed")]
    Url,
    /// Anything else: a fault of ours.
    #[error("the database refused a statement")]
    Other(#[source] sqlx::Error),
}

/// The kind of the constraint that refused a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConflictKind {
    /// A unique key or primary key.
    Unique,
    /// A foreign key.
    ForeignKey,
    /// A check.
    Check,
    /// An exclusion constraint.
    Exclusion,
}

impl DbError {
    /// The name of the constraint that refused the change, if one did.
    pub fn constraint(&self) -> Option<&str> {
        match self {
            Self::Conflict { constraint, .. } => Some(constraint),
            _ => None,
        }
    }

    /// True when the same request may succeed later without any change.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// The text with its cause, for the log of whoever runs the server; never for a caller.
    pub fn told(&self) -> String {
        use std::error::Error;
        match self.source() {
            Some(cause) => format!("{self}: {cause}"),
            None => self.to_string(),
        }
    }

    /// The SQLSTATE, if the database itself answered.
    pub fn code(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Unavailable(e) | Self::Serialization(e) | Self::Other(e) | Self::Conflict { source: e, .. } => {
                e.as_database_error()?.code()
            }
            Self::Unfit(_) | Self::Url => None,
        }
    }
}

impl From<sqlx::Error> for DbError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        match &error {
            // The last one: whoever accepts there and hangs up, or speaks otherwise, is a balancer without a database behind it.
            E::Io(_) | E::Tls(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed | E::Protocol(_) => {
                Self::Unavailable(error)
            }
            E::Database(report) => {
                let code = report.code().unwrap_or_default();
                let kind = match &*code {
                    "23505" => Some(ConflictKind::Unique),
                    "23503" | "23001" => Some(ConflictKind::ForeignKey),
                    "23514" => Some(ConflictKind::Check),
                    "23P01" => Some(ConflictKind::Exclusion),
                    _ => None,
                };
                match (kind, report.constraint()) {
                    (Some(kind), Some(name)) => Self::Conflict {
                        constraint: name.to_owned(),
                        kind,
                        source: error,
                    },
                    _ if matches!(&*code, "40001" | "40P01") => Self::Serialization(error),
                    _ if is_outage(&code) => Self::Unavailable(error),
                    _ => Self::Other(error),
                }
            }
            _ => Self::Other(error),
        }
    }
}

/// SQLSTATEs that speak of the server's condition and not of the statement.
fn is_outage(code: &str) -> bool {
    // 08 connection, 28 sign-in refused, 3D000 no such database, 53 resources and connections used up, 57P0x shutting
    // down or starting, 58 the server's own disk; time limits on statements, locks and idle transactions; a read-only
    // standby after a fail-over
    ["08", "28", "53", "57P0", "58"]
        .iter()
        .any(|class| code.starts_with(class))
        || matches!(code, "3D000" | "57014" | "55P03" | "25P03" | "25006")
}

/// The database has been asked and does not answer.
pub(crate) fn silent() -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "the database does not answer"))
}

/// True when the connection itself is gone, so that a statement that opens a transaction may go to another one.
pub(crate) fn connection_is_gone(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) => true,
        sqlx::Error::Database(report) => {
            let code = report.code().unwrap_or_default();
            code.starts_with("08") || matches!(&*code, "57P01" | "57P02" | "57P04" | "57P05" | "25P03")
        }
        _ => false,
    }
}

/// Gives a constraint's refusal the name it has in the room.
pub trait OnConstraint<T> {
    /// Turns the refusal by constraint `name` into `refusal()`; every other error passes through `From<DbError>`.
    ///
    /// # Errors
    /// `refusal()`, or whatever `E` makes of another [`DbError`].
    fn on_constraint<E: From<DbError>>(self, name: &str, refusal: impl FnOnce() -> E) -> Result<T, E>;
}

impl<T, X: Into<DbError>> OnConstraint<T> for Result<T, X> {
    fn on_constraint<E: From<DbError>>(self, name: &str, refusal: impl FnOnce() -> E) -> Result<T, E> {
        self.map_err(|error| match error.into() {
            DbError::Conflict { constraint, .. } if constraint == name => refusal(),
            other => other.into(),
        })
    }
}
