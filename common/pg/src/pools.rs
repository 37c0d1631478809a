use std::marker::PhantomData;
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use exarch_common_base::{ExposeSecret, SecretString};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection, PgPool, Postgres};

use crate::error::{self, DbError};
use crate::login::{self, Login, Schema, UnfitLogin};

/// A connection that was used this recently is handed out without asking whether it still lives. Opening a transaction
/// finds out by itself; see `tx::open`.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);

/// How long a database that can be reached takes to let somebody in, at most.
const PROBE: Duration = Duration::from_secs(1);

/// How one login reaches its database.
#[derive(Clone)]
pub struct PoolSettings {
    /// Which schema the login works in.
    pub schema: Schema,
    /// Address, login, password, TLS.
    pub options: PgConnectOptions,
    /// Connections at most. (8)
    pub max_connections: u32,
    /// The longest a statement may run; zero for no limit. (5 s)
    pub statement_timeout: Duration,
    /// The longest a request waits for a connection before it is told that there is no database. (2 s)
    pub acquire_timeout: Duration,
    /// How the connections show up in `pg_stat_activity`.
    pub application_name: String,
}

impl PoolSettings {
    /// The defaults, for connections to where `options` say.
    pub fn new(schema: Schema, options: PgConnectOptions) -> Self {
        Self {
            schema,
            options,
            max_connections: 8,
            statement_timeout: Duration::from_secs(5),
            acquire_timeout: Duration::from_secs(2),
            application_name: "exarch".to_owned(),
        }
    }

    /// The defaults, for connections to `url` (`postgres://login:password@host:port/database`).
    ///
    /// # Errors
    /// [`DbError::Url`] when it is not such a URL.
    pub fn from_url(schema: Schema, url: &SecretString) -> Result<Self, DbError> {
        let text = url.expose_secret();
        // The driver takes any scheme, and would then wait for a server that speaks another language.
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err(DbError::Url);
        }
        let options = PgConnectOptions::from_str(text).map_err(|_| DbError::Url)?;
        Ok(Self::new(schema, options))
    }

    /// The same with another number of connections.
    #[must_use]
    pub fn max_connections(mut self, max: u32) -> Self {
        self.max_connections = max;
        self
    }

    /// The same login straight to the database, where these settings lead to a pooler: `url` is the database's own address,
    /// `postgres://host:port/database`.
    ///
    /// # Errors
    /// [`DbError::Url`] when it is no such address.
    pub fn direct(mut self, url: &str) -> Result<Self, DbError> {
        let place = Self::from_url(self.schema, &url.to_owned().into())?.options;
        let mut options = self.options.host(place.get_host()).port(place.get_port());
        if let Some(database) = place.get_database() {
            options = options.database(database);
        }
        if url.contains("sslmode=") {
            options = options.ssl_mode(place.get_ssl_mode());
        }
        self.options = options;
        Ok(self)
    }

    /// How every connection of ours begins. Nothing but the driver's own needs is asked for in the startup message, because a
    /// pooler refuses what it does not know there; the session's limits are set by [`login::check`].
    pub(crate) fn connect_options(&self) -> PgConnectOptions {
        let options = self.options.clone().extra_float_digits(None);
        options.application_name(&self.application_name)
    }
}

/// Which login a pool signs in as.
pub trait Role: Send + Sync + 'static {
    /// The login.
    const LOGIN: Login;
}

/// A login that serves, as opposed to the owner.
pub trait Serving: Role {}

macro_rules! role {
    ($(#[$doc:meta])* $role:ident, $pool:ident $(, $serving:ident)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub enum $role {}
        impl Role for $role {
            const LOGIN: Login = Login::$role;
        }
        $(impl $serving for $role {})?
        $(#[$doc])*
        pub type $pool = RolePool<$role>;
    };
}
role!(/** `exarch_owner`: migrations only. */ Owner, OwnerPool);
role!(/** `exarch_app`: requests, under row-level security. */ App, AppPool, Serving);
role!(/** `exarch_sweep`: background passes over all tenants. */ Sweep, SweepPool, Serving);
role!(/** `exarch_renew`: the renewal of leases. */ Renew, RenewPool, Serving);
role!(/** `exarch_operator`: the regional operators' views. */ Operator, OperatorPool, Serving);

/// The connections of one login. Cloning shares them.
///
/// The pool itself is not handed out: rows are reached through [`TenantTx`](crate::TenantTx),
/// [`SystemTx`](crate::SystemTx) and, for the renewal alone, [`RolePool::statement`].
pub struct RolePool<R> {
    pool: PgPool,
    settings: Arc<PoolSettings>,
    unfit: Arc<Mutex<Option<UnfitLogin>>>,
    role: PhantomData<R>,
}

impl<R> Clone for RolePool<R> {
    fn clone(&self) -> Self {
        Self {
            pool: self.pool.clone(),
            settings: self.settings.clone(),
            unfit: self.unfit.clone(),
            role: PhantomData,
        }
    }
}

impl<R> std::fmt::Debug for RolePool<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RolePool")
            .field("pool", &self.pool)
            .finish_non_exhaustive()
    }
}

impl<R: Role> RolePool<R> {
    /// Connects once, checks the login and answers the pool.
    ///
    /// # Errors
    /// [`DbError::Unfit`] when the login is a superuser, bypasses row-level security, is a member of a role, owns things
    /// in the schema (unless it is the owner's pool) or is not the one this pool is for; [`DbError::Unavailable`].
    pub async fn connect(settings: PoolSettings) -> Result<Self, DbError> {
        let first = tokio::time::timeout(settings.acquire_timeout, async {
            let mut conn = PgConnection::connect_with(&settings.connect_options()).await?;
            let fit = login::check(&mut conn, settings.schema, R::LOGIN, settings.statement_timeout).await?;
            conn.close().await?;
            Ok::<_, sqlx::Error>(fit)
        });
        first.await.map_err(|_| sqlx::Error::PoolTimedOut)???;
        Ok(Self::lazy(settings))
    }

    /// Answers the pool without connecting: a server can start while its database is down. Each new connection is
    /// checked as [`connect`](Self::connect) does, before anything else runs on it. Call it inside the runtime.
    pub fn lazy(settings: PoolSettings) -> Self {
        let unfit = Arc::new(Mutex::new(None));
        let found = unfit.clone();
        let (schema, limit) = (settings.schema, settings.statement_timeout);
        let pool = PgPoolOptions::new()
            .max_connections(settings.max_connections)
            .acquire_timeout(settings.acquire_timeout)
            .test_before_acquire(false)
            .before_acquire(|conn, used| {
                Box::pin(async move {
                    if used.idle_for > TRUSTED_IDLE {
                        conn.ping().await?;
                    }
                    Ok(true)
                })
            })
            .after_connect(move |conn, _| {
                let found = found.clone();
                Box::pin(async move {
                    let fit = login::check(conn, schema, R::LOGIN, limit).await?;
                    let refused = fit.err();
                    let answer = match &refused {
                        Some(reason) => Err(sqlx::Error::Configuration(Box::new(reason.clone()))),
                        None => Ok(()),
                    };
                    *found.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = refused;
                    answer
                })
            })
            .connect_lazy_with(settings.connect_options());
        Self {
            pool,
            settings: Arc::new(settings),
            unfit,
            role: PhantomData,
        }
    }

    /// The schema this pool works in.
    pub fn schema(&self) -> Schema {
        self.settings.schema
    }

    /// How the pool was set up.
    pub fn settings(&self) -> &PoolSettings {
        &self.settings
    }

    /// From now on connections are made as `settings` say: another address, or another password. Those in use finish their work.
    pub fn reconnect(&self, settings: &PoolSettings) {
        self.pool.set_connect_options(settings.connect_options());
        // Those that idle are of before, and would be handed out once more.
        let pool = self.pool.clone();
        while let Some(mut conn) = pool.try_acquire() {
            conn.close_on_drop();
        }
    }

    /// One round trip to the database, and how long it took.
    ///
    /// # Errors
    /// [`DbError::Unavailable`], or [`DbError::Unfit`].
    pub async fn ping(&self) -> Result<Duration, DbError> {
        let mut conn = self.acquire().await?;
        let start = Instant::now();
        let answer = tokio::time::timeout(self.settings.acquire_timeout, conn.ping()).await;
        if let Err(error) = answer.unwrap_or_else(|_| Err(error::silent())) {
            conn.close_on_drop();
            return Err(error.into());
        }
        Ok(start.elapsed())
    }

    /// Why the database cannot be reached, found out by a connection beside the pool; nothing when it can. Of a pool that could
    /// give no connection in time nobody learns whether the database or the many who use it are to blame.
    pub async fn unreachable(&self) -> Option<String> {
        let options = self.pool.connect_options();
        match tokio::time::timeout(PROBE, PgConnection::connect_with(&options)).await {
            Ok(Ok(conn)) => {
                // it has answered; whether it hears the farewell does not matter
                let _ = tokio::time::timeout(PROBE, conn.close()).await;
                None
            }
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("it does not answer within {} s", PROBE.as_secs())),
        }
    }

    /// Connections open, and how many of them are idle.
    pub fn usage(&self) -> (u32, usize) {
        (self.pool.size(), self.pool.num_idle())
    }

    /// Waits for the connections in use and closes all.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    pub(crate) async fn acquire(&self) -> Result<PoolConnection<Postgres>, DbError> {
        self.pool.acquire().await.map_err(|error| match error {
            // sqlx tries a connection that failed its check again until time is up: tell the reason instead
            sqlx::Error::PoolTimedOut => match self.unfit.lock().unwrap_or_else(|p| p.into_inner()).clone() {
                Some(unfit) => DbError::Unfit(unfit),
                None => DbError::Unavailable(error),
            },
            other => other.into(),
        })
    }
}

impl RenewPool {
    /// A connection for one statement that commits by itself: a third of the round trips of a transaction, for the
    /// hottest statement there is.
    ///
    /// # Errors
    /// [`DbError::Unavailable`], or [`DbError::Unfit`].
    pub async fn statement(&self) -> Result<Statement, DbError> {
        Ok(Statement(self.acquire().await?))
    }
}

/// A connection for one statement outside a transaction; see [`RolePool::statement`].
#[derive(Debug)]
pub struct Statement(PoolConnection<Postgres>);

impl Statement {
    /// Where the statement runs.
    pub fn conn(&mut self) -> &mut PgConnection {
        &mut self.0
    }

    /// The statement had no answer in time, and was given up: what its connection still brings is for nobody.
    pub fn unanswered(mut self) -> DbError {
        self.0.close_on_drop();
        error::silent().into()
    }
}
