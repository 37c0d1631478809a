//! Databases for tests: one throw-away cluster a test process, one database a test.
//!
//! A database is a copy of a migrated template, which takes a few hundredths of a second. The cluster lives as long as the
//! process: when that ends, by whatever end, the server is stopped and its directory removed.

use std::collections::HashMap;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

use exarch_common_base::{Ambient, SecretString};
use exarch_common_pg::embedded::{Cluster, ClusterSpec, Durability, EmbeddedError, Life, Passwords};
use exarch_common_pg::{
    AppPool, Login, Migrations, OperatorPool, OwnerPool, PoolSettings, RenewPool, Schema, SweepPool,
};
use sqlx::PgConnection;
use tokio::sync::OnceCell;

static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
static TEMPLATES: tokio::sync::Mutex<Option<HashMap<&'static str, String>>> = tokio::sync::Mutex::const_new(None);
static NEXT: AtomicU32 = AtomicU32::new(0);
/// Databases whose tests have ended; the next test removes them.
static DONE: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// A database of one test, migrated, in the process's cluster.
///
/// Every method that can fail panics with the reason: it runs in tests alone.
pub struct TestDb {
    cluster: &'static Cluster,
    schema: Schema,
    name: String,
}

impl TestDb {
    /// A region's.
    pub async fn regional() -> Self {
        Self::new(Schema::Regional).await
    }

    /// The global controller's.
    pub async fn global() -> Self {
        Self::new(Schema::Global).await
    }

    /// One with the migrations of `schema`.
    pub async fn new(schema: Schema) -> Self {
        let cluster = CLUSTER
            .get_or_init(async || throwaway_cluster().await.expect("a throw-away cluster"))
            .await;
        let done = std::mem::take(&mut *DONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
        for name in done {
            cluster
                .drop_database(&name)
                .await
                .expect("removing a database of an earlier test");
        }
        // held while copying: a template being copied allows no second copy
        let mut templates = TEMPLATES.lock().await;
        let templates = templates.get_or_insert_default();
        if !templates.contains_key(schema.name()) {
            let template = format!("template_{}", schema.name());
            cluster
                .create_database(&template, None)
                .await
                .expect("a template database");
            let pool = OwnerPool::connect(cluster.settings_of(Login::Owner, schema, &template))
                .await
                .expect("its owner");
            Migrations::of(schema).up(&pool).await.expect("the migrations");
            pool.close().await;
            templates.insert(schema.name(), template);
        }
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        cluster
            .create_database(&name, Some(&templates[schema.name()]))
            .await
            .expect("a database for this test");
        Self { cluster, schema, name }
    }

    /// The database's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The cluster it is in, which it shares with the other tests of the process. Do not stop it; a test of outages makes
    /// its own by [`throwaway_cluster`].
    pub fn cluster(&self) -> &'static Cluster {
        self.cluster
    }

    /// Settings by which `login` reaches the database.
    pub fn settings(&self, login: Login) -> PoolSettings {
        self.cluster
            .settings_of(login, self.schema, &self.name)
            .max_connections(4)
    }

    /// The URL by which `login` reaches the database.
    pub fn url(&self, login: Login) -> SecretString {
        self.cluster.url_to(login, &self.name)
    }

    /// `exarch_app`'s pool.
    pub async fn app(&self) -> AppPool {
        AppPool::connect(self.settings(Login::App))
            .await
            .expect("exarch_app's pool")
    }

    /// `exarch_sweep`'s pool.
    pub async fn sweep(&self) -> SweepPool {
        SweepPool::connect(self.settings(Login::Sweep))
            .await
            .expect("exarch_sweep's pool")
    }

    /// `exarch_renew`'s pool.
    pub async fn renew(&self) -> RenewPool {
        RenewPool::connect(self.settings(Login::Renew))
            .await
            .expect("exarch_renew's pool")
    }

    /// `exarch_operator`'s pool.
    pub async fn operator(&self) -> OperatorPool {
        OperatorPool::connect(self.settings(Login::Operator))
            .await
            .expect("exarch_operator's pool")
    }

    /// `exarch_owner`'s pool.
    pub async fn owner(&self) -> OwnerPool {
        OwnerPool::connect(self.settings(Login::Owner))
            .await
            .expect("exarch_owner's pool")
    }

    /// A connection of the superuser, who sees every row.
    pub async fn superuser(&self) -> PgConnection {
        self.cluster
            .superuser_conn(&self.name)
            .await
            .expect("the superuser's connection")
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        DONE.lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .push(std::mem::take(&mut self.name));
    }
}

/// A cluster of its own for one test, empty but for the database `exarch`; gone with the process.
///
/// # Errors
/// What [`Cluster::ensure`] says, the port excepted: another is tried.
pub async fn throwaway_cluster() -> Result<Cluster, EmbeddedError> {
    let mut tries = 0;
    loop {
        let spec = throwaway_spec();
        match Cluster::ensure(&spec).await {
            // somebody took the port between our looking and the server's
            Err(EmbeddedError::PortInUse(_)) if tries < 5 => tries += 1,
            other => return other,
        }
    }
}

/// What [`throwaway_cluster`] makes: a new directory, a free port, random passwords, nothing flushed.
pub fn throwaway_spec() -> ClusterSpec {
    let ambient = Ambient::system();
    // not tempfile: the server's watchdog removes the directory, after this process is gone
    let dir: PathBuf = std::env::temp_dir().join(format!("exarch-test-{}", ambient.uuid().simple()));
    let mut spec = ClusterSpec::new(dir, free_port(), "exarch", Passwords::generate(&ambient));
    spec.durability = Durability::ForTests;
    spec.life = Life::Throwaway;
    spec
}

/// A loopback port that nobody has at this moment and that this process was not told before. Not one the system would give
/// out for port 0: those also go to every connection somebody opens.
pub fn free_port() -> u16 {
    static FIRST: OnceLock<u16> = OnceLock::new();
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let first = *FIRST.get_or_init(|| u16::from_le_bytes(Ambient::system().bytes()) % PORTS);
    loop {
        let port = 20_000 + (first + GIVEN.fetch_add(1, Ordering::Relaxed) % PORTS) % PORTS;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// How many ports, from 20,000 on, are tried: up to where Linux begins to give out its own.
const PORTS: u16 = 12_000;
