//! The two ways to rows.
//!
//! Both open the transaction and set its context in one round trip: `BEGIN; SELECT gw.enter(…)` as one simple query. A
//! simple query takes no parameters, so the context is written into its text; every value in it is spelled in
//! hexadecimal digits, dashes and commas alone, whatever a caller put in.
//!
//! Between `BEGIN` and the answer to it the library does not yet know that a transaction is open. Were such a connection
//! given back (the request was cancelled, or the context function failed) the next user would find the previous
//! transaction still open, with the previous tenant in force. So a connection on which the opening did not finish is
//! closed, never given back.

use std::fmt::Write as _;
use std::sync::Arc;

use exarch_common_base::{ClusterId, TenantId};
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgTransactionManager;
use sqlx::{AssertSqlSafe, PgConnection, Postgres, SqlSafeStr, SqlStr};
use sqlx_core::transaction::TransactionManager;

use crate::error::{self, DbError};
use crate::login::Schema;
use crate::pools::{AppPool, Role, RolePool, Serving};

/// Which clusters of the tenant a caller sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clusters {
    /// All of the tenant's.
    All,
    /// These alone; none when empty.
    Only(Vec<ClusterId>),
}

/// On whose behalf a transaction runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantContext {
    /// The tenant in force.
    pub tenant: TenantId,
    /// The clusters in sight.
    pub clusters: Clusters,
    /// Who acts, for triggers and the server's own log: an id, never a name.
    pub actor: String,
}

/// A caller with a tenant in force.
pub trait InTenant {
    /// The context its transactions run in.
    fn tenant_context(&self) -> TenantContext;
}

impl InTenant for TenantContext {
    fn tenant_context(&self) -> TenantContext {
        self.clone()
    }
}

/// A transaction of one tenant: the only way to a tenant's rows. Dropped without [`commit`](Self::commit), it is rolled
/// back.
#[derive(Debug)]
pub struct TenantTx {
    open: Open,
    context: TenantContext,
}

impl TenantTx {
    /// Opens a transaction with the caller's tenant, clusters and actor in force.
    ///
    /// # Errors
    /// [`DbError::Unavailable`] within the pool's acquire timeout; [`DbError::Unfit`].
    pub async fn begin(pool: &AppPool, caller: &impl InTenant) -> Result<Self, DbError> {
        let context = caller.tenant_context();
        let open = Open::begin(pool, enter(pool.schema(), Some(&context), &context.actor)).await?;
        Ok(Self { open, context })
    }

    /// Where statements run.
    pub fn conn(&mut self) -> &mut PgConnection {
        &mut self.open.conn
    }

    /// The tenant in force.
    pub fn tenant(&self) -> TenantId {
        self.context.tenant
    }

    /// The whole context in force.
    pub fn context(&self) -> &TenantContext {
        &self.context
    }

    /// Makes the changes last.
    ///
    /// # Errors
    /// A deferred constraint's [`DbError::Conflict`], [`DbError::Serialization`], or [`DbError::Unavailable`], after
    /// which it is unknown whether the changes were made.
    pub async fn commit(self) -> Result<(), DbError> {
        self.open.commit().await
    }

    /// Undoes the changes and waits until the database has done so.
    ///
    /// # Errors
    /// [`DbError::Unavailable`]; the changes are undone then, too.
    pub async fn rollback(self) -> Result<(), DbError> {
        self.open.rollback().await
    }
}

/// A transaction of no tenant: the only way across tenants and to tables of no tenant. For `exarch_app` the tenants'
/// tables are empty in it. Dropped without [`commit`](Self::commit), it is rolled back.
#[derive(Debug)]
pub struct SystemTx {
    open: Open,
    reason: &'static str,
}

impl SystemTx {
    /// Opens a transaction without a tenant. `reason` says what for; it becomes the actor `system:<reason>`.
    ///
    /// # Errors
    /// [`DbError::Unavailable`] within the pool's acquire timeout; [`DbError::Unfit`].
    pub async fn begin<R: Serving>(pool: &RolePool<R>, reason: &'static str) -> Result<Self, DbError> {
        let open = Open::begin(pool, enter(pool.schema(), None, &format!("system:{reason}"))).await?;
        Ok(Self { open, reason })
    }

    /// Where statements run.
    pub fn conn(&mut self) -> &mut PgConnection {
        &mut self.open.conn
    }

    /// What the transaction is for.
    pub fn reason(&self) -> &'static str {
        self.reason
    }

    /// Makes the changes last.
    ///
    /// # Errors
    /// As [`TenantTx::commit`].
    pub async fn commit(self) -> Result<(), DbError> {
        self.open.commit().await
    }

    /// Undoes the changes and waits until the database has done so.
    ///
    /// # Errors
    /// [`DbError::Unavailable`]; the changes are undone then, too.
    pub async fn rollback(self) -> Result<(), DbError> {
        self.open.rollback().await
    }
}

/// Either transaction, for what stands in both kinds.
pub trait Transaction: Send + Sized {
    /// The schema it works in.
    fn schema(&self) -> Schema;
    /// The tenant in force, if there is one.
    fn in_force(&self) -> Option<TenantId>;
    /// Where statements run.
    fn connection(&mut self) -> &mut PgConnection;
    /// Makes the changes last.
    ///
    /// # Errors
    /// As [`TenantTx::commit`].
    fn finish(self) -> impl Future<Output = Result<(), DbError>> + Send;
}

impl Transaction for TenantTx {
    fn schema(&self) -> Schema {
        self.open.schema
    }

    fn in_force(&self) -> Option<TenantId> {
        Some(self.context.tenant)
    }

    fn connection(&mut self) -> &mut PgConnection {
        self.conn()
    }

    fn finish(self) -> impl Future<Output = Result<(), DbError>> + Send {
        self.commit()
    }
}

impl Transaction for SystemTx {
    fn schema(&self) -> Schema {
        self.open.schema
    }

    fn in_force(&self) -> Option<TenantId> {
        None
    }

    fn connection(&mut self) -> &mut PgConnection {
        self.conn()
    }

    fn finish(self) -> impl Future<Output = Result<(), DbError>> + Send {
        self.commit()
    }
}

/// Runs `work` in a transaction of the caller's tenant: committed when it answers `Ok`, rolled back when it does not.
///
/// # Errors
/// What `work` answers, or the [`DbError`] of opening or committing.
pub async fn rls_transaction<T, E, F>(pool: &AppPool, caller: &impl InTenant, work: F) -> Result<T, E>
where
    E: From<DbError>,
    F: AsyncFnOnce(&mut TenantTx) -> Result<T, E>,
{
    let mut tx = TenantTx::begin(pool, caller).await?;
    let answer = work(&mut tx).await?;
    tx.commit().await?;
    Ok(answer)
}

/// The statement that opens a transaction and sets its context.
fn enter(schema: Schema, context: Option<&TenantContext>, actor: &str) -> SqlStr {
    let mut sql = String::with_capacity(256);
    let _ = write!(sql, "BEGIN; SELECT {}.enter(", schema.name());
    let _ = match context {
        Some(context) => write!(sql, "'{}'", context.tenant.uuid()),
        None => write!(sql, "NULL"),
    };
    match context.map(|c| &c.clusters) {
        Some(Clusters::All) => sql.push_str(", true, '{}', "),
        Some(Clusters::Only(clusters)) => {
            sql.push_str(", false, '{");
            for (at, cluster) in clusters.iter().enumerate() {
                let _ = write!(sql, "{}{}", if at == 0 { "" } else { "," }, cluster.uuid());
            }
            sql.push_str("}', ");
        }
        None => sql.push_str(", false, '{}', "),
    }
    sql.push_str("pg_catalog.convert_from('\\x");
    for byte in actor.bytes() {
        let _ = write!(sql, "{byte:02x}");
    }
    sql.push_str("'::bytea, 'UTF8'))");
    AssertSqlSafe(Arc::<str>::from(sql)).into_sql_str()
}

/// A connection in a transaction whose beginning the library knows of; rolled back when dropped.
#[derive(Debug)]
struct Open {
    conn: PoolConnection<Postgres>,
    schema: Schema,
}

impl Open {
    /// Runs the opening statement on a connection of the pool. Connections that died while they were idle are thrown
    /// away and the next one is taken: nothing has run yet, so nothing is repeated. A database that does not answer it within
    /// the pool's acquire timeout is away: on a silent wire no limit of the database's own would ever be heard of.
    async fn begin<R: Role>(pool: &RolePool<R>, statement: SqlStr) -> Result<Self, DbError> {
        let mut left = pool.settings().max_connections;
        loop {
            let mut opening = Opening(Some(pool.acquire().await?));
            let conn = opening.0.as_mut().expect("taken only after the opening");
            let begun = PgTransactionManager::begin(conn, Some(statement.clone()));
            let begun = tokio::time::timeout(pool.settings().acquire_timeout, begun).await;
            match begun.map_err(|_| error::silent())? {
                Ok(()) => {
                    return Ok(Self {
                        conn: opening.0.take().expect("taken only here"),
                        schema: pool.schema(),
                    });
                }
                Err(error) if left > 0 && error::connection_is_gone(&error) => left -= 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn commit(mut self) -> Result<(), DbError> {
        Ok(PgTransactionManager::commit(&mut self.conn).await?)
    }

    async fn rollback(mut self) -> Result<(), DbError> {
        Ok(PgTransactionManager::rollback(&mut self.conn).await?)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // the roll-back is written before whatever the connection is used for next, in the pool or after it
        while PgTransactionManager::get_transaction_depth(&self.conn) > 0 {
            PgTransactionManager::start_rollback(&mut self.conn);
        }
    }
}

/// A connection on which a transaction is being opened; closed unless the opening finished.
struct Opening(Option<PoolConnection<Postgres>>);

impl Drop for Opening {
    fn drop(&mut self) {
        if let Some(conn) = &mut self.0 {
            conn.close_on_drop();
        }
    }
}
