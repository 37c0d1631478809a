use sqlx::PgConnection;
use std::time::Duration;

/// The logins of the database, each with rights of its own and member of none of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Login {
    /// Owns the schema and migrates it; never serves.
    Owner,
    /// Serves requests under row-level security.
    App,
    /// Background passes over all tenants.
    Sweep,
    /// Renews leases, nothing else.
    Renew,
    /// The regional operators' views.
    Operator,
}

impl Login {
    /// All logins, in the order in which they are created.
    pub const ALL: [Login; 5] = [Login::Owner, Login::App, Login::Sweep, Login::Renew, Login::Operator];

    /// The role's name in Postgres.
    pub const fn name(self) -> &'static str {
        match self {
            Login::Owner => "exarch_owner",
            Login::App => "exarch_app",
            Login::Sweep => "exarch_sweep",
            Login::Renew => "exarch_renew",
            Login::Operator => "exarch_operator",
        }
    }
}

/// The two schemas: the global controller's and a region's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Schema {
    /// `gc`, in the global database.
    Global,
    /// `gw`, in each region's database.
    Regional,
}

impl Schema {
    /// The schema's name in Postgres.
    pub const fn name(self) -> &'static str {
        match self {
            Schema::Global => "gc",
            Schema::Regional => "gw",
        }
    }
}

/// Why a login may not do what its pool is for. Row-level security would not hold for it, or it has no rights at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnfitLogin {
    /// Row-level security does not bind a superuser.
    #[error("database login {0} is a superuser; connect as {1}")]
    Superuser(String, &'static str),
    /// Row-level security does not bind a role with BYPASSRLS.
    #[error("database login {0} bypasses row-level security; run ALTER ROLE {0} NOBYPASSRLS, or connect as {1}")]
    BypassesRowSecurity(String, &'static str),
    /// Members of another role can take its rights.
    #[error("database login {login} is a member of {of}; run REVOKE {of} FROM {login}, or connect as {expected}")]
    Member {
        /// The login that was used.
        login: String,
        /// A role it is a member of.
        of: String,
        /// The login this pool wants.
        expected: &'static str,
    },
    /// An owner can switch row-level security off.
    #[error("database login {login} owns {object} in schema {schema}; connect as {expected}")]
    Owns {
        /// The login that was used.
        login: String,
        /// One of the things it owns.
        object: String,
        /// The schema looked at.
        schema: &'static str,
        /// The login this pool wants.
        expected: &'static str,
    },
    /// Policies and grants are written for one name.
    #[error("database login {login} is not {expected}")]
    Name {
        /// The login that was used.
        login: String,
        /// The login this pool wants.
        expected: &'static str,
    },
}

/// Sets the limits of a session (its longest statement, and the longest pause in a transaction, whose locks a process that hangs
/// must not hold for ever), and looks up who is connected; `Ok(Err(_))` says why that login may not be `expected`.
///
/// Limits are set here, in the round trip that is needed anyway, because a pooler refuses what it does not know in the
/// startup message.
pub(crate) async fn check(
    conn: &mut PgConnection,
    schema: Schema,
    expected: Login,
    longest_statement: Duration,
) -> Result<Result<(), UnfitLogin>, sqlx::Error> {
    type Row = (String, bool, bool, Option<String>, Option<String>, String, String);
    let (login, superuser, bypasses, member_of, owned, ..): Row = sqlx::query_as(
        "SELECT r.rolname::text, r.rolsuper, r.rolbypassrls,
                (SELECT m.roleid::regrole::text FROM pg_catalog.pg_auth_members m WHERE m.member = r.oid LIMIT 1),
                (SELECT o.name FROM (
                     SELECT 'the schema' AS name FROM pg_catalog.pg_namespace n WHERE n.nspname = $1 AND n.nspowner = r.oid
                     UNION ALL
                     SELECT c.oid::regclass::text FROM pg_catalog.pg_class c
                       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                      WHERE n.nspname = $1 AND c.relowner = r.oid
                     UNION ALL
                     SELECT p.oid::regprocedure::text FROM pg_catalog.pg_proc p
                       JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
                      WHERE n.nspname = $1 AND p.proowner = r.oid) AS o LIMIT 1),
                set_config('statement_timeout', $2, false),
                set_config('idle_in_transaction_session_timeout', '60000', false)
           FROM pg_catalog.pg_roles r WHERE r.rolname = session_user",
    )
    .bind(schema.name())
    .bind(longest_statement.as_millis().to_string())
    .fetch_one(conn)
    .await?;
    let name = expected.name();
    if superuser {
        return Ok(Err(UnfitLogin::Superuser(login, name)));
    }
    if bypasses {
        return Ok(Err(UnfitLogin::BypassesRowSecurity(login, name)));
    }
    if let Some(of) = member_of {
        return Ok(Err(UnfitLogin::Member {
            login,
            of,
            expected: name,
        }));
    }
    if let (Some(object), true) = (owned, expected != Login::Owner) {
        return Ok(Err(UnfitLogin::Owns {
            login,
            object,
            schema: schema.name(),
            expected: name,
        }));
    }
    if login != name {
        return Ok(Err(UnfitLogin::Name { login, expected: name }));
    }
    Ok(Ok(()))
}
