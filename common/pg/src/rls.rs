//! Reads the catalogue and names every object that breaks a rule of row-level security.
//!
//! The boundary between tenants is in the database, so what the database holds is checked, not what the migrations meant:
//! by `doctor rls` on a server, by a test on every schema.

mod no_tenant;

use std::fmt;

use sqlx::{Connection, PgConnection};

use crate::error::DbError;
use crate::login::Schema;

/// What the catalogue cannot tell.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The schema to look at.
    pub schema: Schema,
    /// The tables that belong to no tenant, without their schema. Every other table must have a `tenant_id`.
    pub no_tenant: &'a [&'a str],
    /// The tables whose rows are only ever added.
    pub append_only: &'a [&'a str],
}

impl Expected<'static> {
    /// What the migrations of a schema make.
    pub const fn of(schema: Schema) -> Self {
        Self {
            schema,
            no_tenant: match schema {
                Schema::Global => no_tenant::AT_THE_GLOBAL,
                Schema::Regional => no_tenant::IN_A_REGION,
            },
            append_only: &["audit"],
        }
    }
}

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which rule.
    pub rule: Rule,
    /// What breaks it: a table, view, function or login.
    pub object: String,
    /// The part of the object meant, if there is one: a policy, a key, a privilege.
    pub detail: String,
}

macro_rules! rules {
    ($($(#[$doc:meta])* $rule:ident $key:literal $broken:literal, $remedy:literal;)*) => {
        /// The rules.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Rule {
            $($(#[$doc])* $rule,)*
        }

        impl Rule {
            /// All rules.
            pub const ALL: &'static [Rule] = &[$(Rule::$rule),*];

            /// The rule's stable name.
            pub const fn name(self) -> &'static str {
                match self { $(Rule::$rule => $key,)* }
            }

            /// What is the matter with an object that breaks it.
            pub const fn broken(self) -> &'static str {
                match self { $(Rule::$rule => $broken,)* }
            }

            /// What to do about it.
            pub const fn remedy(self) -> &'static str {
                match self { $(Rule::$rule => $remedy,)* }
            }
        }
    };
}

rules! {
    /// The schema is there.
    SchemaAbsent "schema_absent" "the schema does not exist", "run `migrate up`";
    /// All logins are there.
    LoginAbsent "login_absent" "the login does not exist", "create the roles";
    /// Row security binds the login.
    LoginUnbound "login_unbound" "row-level security does not bind the login, or it inherits",
        "ALTER ROLE … NOSUPERUSER NOBYPASSRLS NOINHERIT";
    /// The login is a member of nothing.
    LoginMember "login_member" "the login is a member of another role", "REVOKE that role from it";
    /// The login owns nothing.
    LoginOwns "login_owns" "it belongs to a login that serves", "ALTER … OWNER TO exarch_owner";
    /// The login creates nothing.
    LoginCreates "login_creates" "the login may create objects in the schema", "REVOKE CREATE ON SCHEMA … FROM it";
    /// A table without a tenant is known as one.
    Unlisted "unlisted" "the table has no tenant_id and is not listed as one of no tenant",
        "add tenant_id and protect() the table, or list it";
    /// The list says what is.
    ListedWithTenant "listed_with_tenant" "the table is listed as one of no tenant but has a tenant_id",
        "take it off the list";
    /// The lists name tables.
    ListedAbsent "listed_absent" "a table is listed that does not exist", "take it off the list";
    /// `tenant_id uuid NOT NULL`.
    TenantColumn "tenant_column" "tenant_id is not uuid NOT NULL", "ALTER COLUMN tenant_id SET NOT NULL";
    /// Foreign tables know no row security.
    ForeignTable "foreign_table" "a foreign table cannot be put under row-level security", "drop it";
    /// Row security is on.
    NotEnabled "not_enabled" "row-level security is off", "ALTER TABLE … ENABLE ROW LEVEL SECURITY";
    /// Row security binds the owner.
    NotForced "not_forced" "row-level security is not forced", "ALTER TABLE … FORCE ROW LEVEL SECURITY";
    /// The tenant policy.
    TenantPolicy "tenant_policy"
        "there is no restrictive policy FOR ALL TO exarch_app on exactly tenant_id = (SELECT tenant_id())",
        "create the table's policies with protect()";
    /// The cluster policy.
    ClusterPolicy "cluster_policy"
        "the table has a cluster_id, but no restrictive policy FOR ALL TO exarch_app on exactly the clusters in sight",
        "create the table's policies with protect()";
    /// A policy names whom it is for.
    PolicyForAll "policy_for_all" "a policy is for PUBLIC", "ALTER POLICY … TO the login it is meant for";
    /// Keys start with the tenant.
    Key "key" "a unique key does not start with tenant_id", "make tenant_id its first column";
    /// An index starts with the tenant.
    NoIndex "no_index" "no index starts with tenant_id", "create one";
    /// Foreign keys include the tenant.
    ForeignKey "foreign_key" "a foreign key to a tenant's table does not include tenant_id",
        "make it FOREIGN KEY (tenant_id, …) REFERENCES … (tenant_id, …)";
    /// Views ask with the rights of who reads them.
    View "view" "the view reads with its owner's rights", "ALTER VIEW … SET (security_invoker = true)";
    /// Materialized views have no row security.
    MaterializedView "materialized_view" "a login that serves can read a materialized view, which has no row security",
        "REVOKE it";
    /// Functions run with the rights of who calls them.
    Definer "definer" "a SECURITY DEFINER function has no fixed search_path or no comment that gives the reason",
        "make it SECURITY INVOKER, or ALTER FUNCTION … SET search_path = pg_catalog and COMMENT ON it";
    /// The context functions are the ones of the first migration.
    ContextFunction "context_function" "a context function is missing, is not STABLE or does not read '' as unset",
        "create it as the first migration does";
    /// Some privileges go round row security.
    GrantedBeyond "granted_beyond" "a login that serves has a privilege that row-level security does not bound", "REVOKE it";
    /// Nothing is for everybody.
    GrantedToAll "granted_to_all" "a privilege is granted to PUBLIC", "REVOKE it, and GRANT it to who needs it";
    /// Those who see all tenants see chosen columns.
    GrantedWhole "granted_whole" "a login other than exarch_app may read or change all columns of a tenant's table",
        "REVOKE it, and GRANT it on the columns that are needed";
    /// Rows that are only added stay.
    RowsChange "rows_change" "rows that should only ever be added can be changed",
        "REVOKE UPDATE and DELETE, and call append_only() for the table (and for each partition)";
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.object)?;
        if !self.detail.is_empty() {
            write!(f, " ({})", self.detail)?;
        }
        write!(f, ": {}; {}", self.rule.broken(), self.rule.remedy())
    }
}

/// All broken rules, by object; none in a sound schema. Changes nothing; any login may ask.
///
/// # Errors
/// [`DbError`] when the catalogue cannot be read.
pub async fn audit(conn: &mut PgConnection, expected: Expected<'_>) -> Result<Vec<Finding>, DbError> {
    let mut tx = conn.begin().await?;
    // names of the schema's objects are spelled with their schema, whatever path the connection has
    sqlx::query("SET LOCAL search_path = pg_catalog")
        .execute(&mut *tx)
        .await?;
    let rows: Vec<(String, String, String)> = sqlx::query_as(include_str!("rls.sql"))
        .bind(expected.schema.name())
        .bind(expected.no_tenant)
        .bind(expected.append_only)
        .fetch_all(&mut *tx)
        .await?;
    tx.rollback().await?;
    let named = |(name, object, detail): (String, String, String)| {
        let rule = Rule::ALL.iter().copied().find(|rule| rule.name() == name);
        Finding {
            rule: rule.expect("rls.sql names rules of this file alone"),
            object,
            detail,
        }
    };
    Ok(rows.into_iter().map(named).collect())
}
