//! A whole Postgres cluster in a directory, from the binaries the machine has.
//!
//! [`Cluster::ensure`] makes what it finds into what it was asked for, however often it is called and whatever was killed
//! before: a half-made data directory is thrown away, a dead server is started again, a running one is used. Only this
//! machine reaches it: a loopback port and a socket inside the directory, with passwords that never stand on a command
//! line.
mod account;
mod binaries;
mod config;
mod error;
mod postmaster;
mod setup;
mod spec;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use exarch_common_base::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};

use crate::login::{Login, Schema};
use crate::pools::PoolSettings;
use account::Account;
use binaries::Binaries;
pub use error::EmbeddedError;
pub use spec::{ClusterSpec, Durability, Life, Passwords, StopMode};

/// The role that made the cluster.
pub(crate) const SUPERUSER: &str = "postgres";

const START_AT_MOST: Duration = Duration::from_secs(120);
const STOP_AT_MOST: Duration = Duration::from_secs(60);

/// A running cluster.
pub struct Cluster {
    spec: ClusterSpec,
    binaries: Binaries,
    account: Account,
    /// The shells that hold the server; see `WATCHDOG`.
    leashes: Vec<Child>,
}

/// Starts the server ($1, on data $2, logging to $3) and ends it when standard input closes, which the kernel does for
/// whoever holds the other end, however that one died. Then removes $4, if given.
const WATCHDOG: &str = r#"
"$1" -D "$2" >>"$3" 2>&1 </dev/null &
server=$!
echo "$server"
exec >/dev/null
read -r never
kill -QUIT "$server" 2>/dev/null
wait "$server"
[ -z "$4" ] || rm -rf -- "$4"
"#;

impl Cluster {
    /// Makes the cluster be there and run: makes the data directory, starts the server, creates the database and the
    /// logins, each only where that is still to be done. Two callers at once wait for each other.
    ///
    /// # Errors
    /// Each [`EmbeddedError`] says what to do, or which log to read.
    pub async fn ensure(spec: &ClusterSpec) -> Result<Self, EmbeddedError> {
        setup::check_name(&spec.database)?;
        let data = spec.state_dir.join("data");
        let account = Account::choose(spec.account.as_deref(), &data)?;
        account.own_dir(&spec.state_dir)?;
        account.reaches(&spec.state_dir).await?;
        let _alone = lock(&spec.state_dir).await?;
        let binaries = Binaries::find(spec.binaries.as_deref(), postmaster::major_of(&data))?;
        let mut cluster = Self {
            spec: spec.clone(),
            binaries,
            account,
            leashes: Vec::new(),
        };
        if postmaster::major_of(&data).is_none() {
            cluster.init(&data).await?;
        }
        cluster.start().await?;
        cluster.set_up().await?;
        Ok(cluster)
    }

    /// Starts the server if it does not run, or runs with other settings.
    ///
    /// # Errors
    /// As [`ensure`](Self::ensure).
    pub async fn start(&mut self) -> Result<(), EmbeddedError> {
        let data = self.data();
        let sockets = self.socket_dir();
        self.account.own_dir(&sockets)?;
        let settings = config::settings(self.spec.port, &sockets, self.spec.durability);
        let mut changed = false;
        for (file, text) in [("exarch.conf", settings.as_str()), ("pg_hba.conf", config::HBA)] {
            let path = data.join(file);
            changed |= self.account.write(&path, text)?;
        }
        if postmaster::running(&data).is_some() {
            if !changed {
                return self.ready(None).await;
            }
            self.stop(StopMode::Fast).await?;
        }
        postmaster::clear_stale(&data, &sockets).await?;
        self.port_is_free()?;
        let server = match self.spec.life {
            Life::Detached => {
                self.launch_detached(&data).await?;
                None
            }
            Life::WithProcess => Some(self.launch_on_leash(&data, None)?),
            Life::Throwaway => Some(self.launch_on_leash(&data, Some(&self.spec.state_dir.clone()))?),
        };
        self.ready(server).await
    }

    /// Stops the server and waits until it is gone; does nothing when it does not run.
    ///
    /// # Errors
    /// [`EmbeddedError::NotStopped`].
    pub async fn stop(&self, mode: StopMode) -> Result<(), EmbeddedError> {
        Self::stop_in(&self.spec.state_dir, mode).await
    }

    /// Stops whatever server works on the cluster in `state_dir`; does nothing when none does.
    ///
    /// # Errors
    /// [`EmbeddedError::NotStopped`].
    pub async fn stop_in(state_dir: &Path, mode: StopMode) -> Result<(), EmbeddedError> {
        postmaster::stop(&state_dir.join("data"), mode.signal(), STOP_AT_MOST).await
    }

    /// The server's process, if it runs.
    pub fn pid(&self) -> Option<i32> {
        postmaster::running(&self.data())
    }

    /// The file the server writes its log to.
    pub fn log(&self) -> PathBuf {
        self.spec.state_dir.join("postgres.log")
    }

    /// Where the server's socket is.
    pub fn socket_dir(&self) -> PathBuf {
        config::socket_dir(&self.spec.state_dir)
    }

    /// What the cluster was asked to be like.
    pub fn spec(&self) -> &ClusterSpec {
        &self.spec
    }

    /// The URL, with its password, by which `exarch_owner` reaches the database.
    pub fn owner_url(&self) -> SecretString {
        self.url_of(Login::Owner)
    }

    /// The URL, with its password, by which `exarch_app` reaches the database.
    pub fn app_url(&self) -> SecretString {
        self.url_of(Login::App)
    }

    /// The URL, with its password, by which `login` reaches the database.
    pub fn url_of(&self, login: Login) -> SecretString {
        self.url_to(login, &self.spec.database)
    }

    /// The URL, with its password, by which `login` reaches another database of the cluster.
    pub fn url_to(&self, login: Login, database: &str) -> SecretString {
        let secret = self.spec.passwords.of(login).expose_secret();
        let password: String = secret.bytes().map(percent).collect();
        format!(
            "postgres://{}:{password}@127.0.0.1:{}/{database}",
            login.name(),
            self.spec.port
        )
        .into()
    }

    /// How `login` reaches `database`.
    pub fn options_of(&self, login: Login, database: &str) -> PgConnectOptions {
        self.options(login.name(), self.spec.passwords.of(login), database)
    }

    /// Pool settings by which `login` reaches `schema` in `database`.
    pub fn settings_of(&self, login: Login, schema: Schema, database: &str) -> PoolSettings {
        PoolSettings::new(schema, self.options_of(login, database))
    }

    fn options(&self, name: &str, password: &SecretString, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.spec.port)
            .username(name)
            .password(password.expose_secret())
            .database(database)
    }

    fn data(&self) -> PathBuf {
        self.spec.state_dir.join("data")
    }

    /// Makes the data directory under another name first: what is called `data` is whole.
    async fn init(&self, data: &Path) -> Result<(), EmbeddedError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| EmbeddedError::Directory { path, source }
        };
        let unfinished = self.spec.state_dir.join("data.new");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).map_err(failed(&unfinished))?;
        }
        self.account.own_dir(&unfinished)?;
        let password = self.spec.state_dir.join("superuser.new");
        self.account
            .write(&password, self.spec.passwords.superuser.expose_secret())?;
        let mut initdb = self.account.command(self.binaries.path("initdb"));
        initdb.arg("-D").arg(&unfinished).arg("--pwfile").arg(&password);
        initdb.args(["-U", SUPERUSER, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8"]);
        initdb.arg(match self.spec.durability {
            Durability::Durable => "--data-checksums",
            Durability::ForTests => "--no-sync",
        });
        let done = initdb.output().await;
        let removed = fs::remove_file(&password);
        let log = self.spec.state_dir.join("initdb.log");
        let done = done.map_err(failed(&log))?;
        let told = [done.stdout, done.stderr].concat();
        self.account.write(&log, &String::from_utf8_lossy(&told))?;
        removed.map_err(failed(&password))?;
        if !done.status.success() {
            return Err(EmbeddedError::Init { log });
        }
        let conf = unfinished.join("postgresql.conf");
        let text = fs::read_to_string(&conf).map_err(failed(&conf))?;
        self.account
            .write(&conf, &format!("{text}\ninclude_if_exists = 'exarch.conf'\n"))?;
        fs::rename(&unfinished, data).map_err(failed(data))
    }

    fn port_is_free(&self) -> Result<(), EmbeddedError> {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, self.spec.port)) {
            Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => Err(EmbeddedError::PortInUse(self.spec.port)),
            // anything else the server will say better
            _ => Ok(()),
        }
    }

    async fn launch_detached(&self, data: &Path) -> Result<(), EmbeddedError> {
        let mut start = self.account.command(self.binaries.path("pg_ctl"));
        start
            .args(["start", "--silent", "--wait", "--timeout"])
            .arg(START_AT_MOST.as_secs().to_string());
        start
            .arg("-D")
            .arg(data)
            .arg("-l")
            .arg(self.log())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        match start.status().await {
            Ok(status) if status.success() => Ok(()),
            _ => Err(self.not_started()),
        }
    }

    /// Starts the server under a shell that ends it when we end. Answers the server's process.
    fn launch_on_leash(&mut self, data: &Path, then_remove: Option<&Path>) -> Result<i32, EmbeddedError> {
        let mut shell = std::process::Command::new("/bin/sh");
        shell
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LC_ALL", "C")
            .env("TZ", "UTC");
        if let Account::Other { uid, gid, .. } = self.account {
            shell.uid(uid).gid(gid);
        }
        // a group of its own: an interrupt from the terminal reaches us, not the server under us
        shell.current_dir("/").process_group(0);
        shell
            .args(["-c", WATCHDOG, "sh"])
            .arg(self.binaries.path("postgres"))
            .arg(data)
            .arg(self.log());
        shell.arg(then_remove.unwrap_or(Path::new("")));
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut shell = shell.spawn().map_err(|_| self.not_started())?;
        let mut told = String::new();
        let out = shell.stdout.take().expect("piped above");
        let read = BufReader::new(out).read_line(&mut told);
        self.leashes.push(shell);
        match (read, told.trim().parse()) {
            (Ok(_), Ok(pid)) => Ok(pid),
            _ => Err(self.not_started()),
        }
    }

    /// Waits until the server answers; `server` is its process, if it is ours to watch.
    async fn ready(&self, server: Option<i32>) -> Result<(), EmbeddedError> {
        let give_up = Instant::now() + START_AT_MOST;
        loop {
            match self.superuser("postgres").await {
                Ok(conn) => {
                    let _ = conn.close().await;
                    return Ok(());
                }
                Err(sqlx::Error::Database(e)) if e.code().as_deref() == Some("28P01") => {
                    return Err(EmbeddedError::Password(self.spec.state_dir.clone()));
                }
                Err(_) if Instant::now() > give_up || server.is_some_and(|pid| !postmaster::is_alive(pid)) => {
                    return Err(self.not_started());
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    fn not_started(&self) -> EmbeddedError {
        // somebody may have taken the port since we looked
        self.port_is_free()
            .err()
            .unwrap_or(EmbeddedError::Start { log: self.log() })
    }

    /// The superuser's connection, through the socket: whoever else may listen on the port is not met there.
    async fn superuser(&self, database: &str) -> Result<PgConnection, sqlx::Error> {
        let options = self
            .options(SUPERUSER, &self.spec.passwords.superuser, database)
            .socket(self.socket_dir());
        PgConnection::connect_with(&options).await
    }
}

impl Drop for Cluster {
    /// Lets go of a server that lives no longer than this, and waits until it and what it leaves behind are gone, so that
    /// the directory can be used again.
    fn drop(&mut self) {
        for leash in &mut self.leashes {
            drop(leash.stdin.take());
        }
        for leash in &mut self.leashes {
            let _ = leash.wait();
        }
    }
}

fn percent(byte: u8) -> String {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    }
}

/// Held while the state directory is worked on; the kernel lets go of it for whoever dies.
async fn lock(state: &Path) -> Result<fs::File, EmbeddedError> {
    let path = state.join("lock");
    let failed = |source| EmbeddedError::Directory {
        path: path.clone(),
        source,
    };
    let file = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(failed)?;
    tokio::task::spawn_blocking(move || file.lock().map(|()| file))
        .await
        .map_err(|joined| failed(std::io::Error::other(joined)))?
        .map_err(failed)
}
