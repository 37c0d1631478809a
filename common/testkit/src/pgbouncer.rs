//! A pooler for tests, where the machine has one.
use exarch_common_base::{ExposeSecret, SecretString};
use std::{
    fs,
    io::{self, Write, stderr},
    net::{Ipv4Addr, TcpStream},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// How a pooler is set up.
#[derive(Clone, Debug)]
pub struct Setup {
    /// `session`, `transaction` or `statement`.
    pub pool_mode: &'static str,
    /// What is run before a session is handed on.
    pub server_reset_query: &'static str,
    /// Sessions with the database for each login.
    pub pool_size: u32,
}

impl Default for Setup {
    /// The one that is usable.
    fn default() -> Self {
        Self {
            pool_mode: "session",
            server_reset_query: "DISCARD ALL",
            pool_size: 60,
        }
    }
}

/// A running `pgbouncer` in front of one Postgres; ended with the value.
pub struct Pgbouncer {
    dir: tempfile::TempDir,
    program: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl Pgbouncer {
    /// One for the logins of `urls` (`postgres://login:password@host:port/database`); nothing where the machine has no
    /// `pgbouncer`, which is told as what was not checked.
    ///
    /// # Panics
    /// It does not start.
    pub fn in_front_of(urls: &[SecretString], port: u16, setup: &Setup) -> Option<Self> {
        let Some(program) = find() else {
            // Past the harness, which keeps to itself what a good test prints.
            let _ = writeln!(
                stderr(),
                "NOT CHECKED: a pooler in front of the database, while there is no pgbouncer on this machine"
            );
            return None;
        };
        let dir = tempfile::Builder::new()
            .prefix("exarch-pgbouncer-")
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir()
            .expect("a directory");
        let mut bouncer = Self {
            dir,
            program,
            port,
            child: None,
        };
        bouncer.configure(urls, setup).expect("the pooler's settings");
        bouncer.start();
        Some(bouncer)
    }

    fn configure(&self, urls: &[SecretString], setup: &Setup) -> io::Result<()> {
        let mut users = String::new();
        let mut server = String::new();
        for url in urls {
            let rest = url.expose_secret().split_once("://").map_or("", |(_, rest)| rest);
            let (login, place) = rest.rsplit_once('@').unwrap_or_default();
            let (name, password) = login.split_once(':').unwrap_or_default();
            users.push_str(&format!("\"{name}\" \"{password}\"\n"));
            let place = place.split(['/', '?']).next().unwrap_or_default();
            let (host, port) = place.rsplit_once(':').unwrap_or((place, "5432"));
            server = format!("host={host} port={port}");
        }
        let at = |name: &str| self.dir.path().join(name).display().to_string();
        let settings = format!(
            "[databases]\n* = {server}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {}\nunix_socket_dir =\n\
             auth_type = scram-sha-256\nauth_file = {}\npool_mode = {}\nserver_reset_query = {}\ndefault_pool_size = {}\n\
             max_client_conn = 500\nquery_wait_timeout = 5\nserver_login_retry = 1\n",
            self.port,
            at("users.txt"),
            setup.pool_mode,
            setup.server_reset_query,
            setup.pool_size,
        );
        // Passwords of a test's own database, in a directory that is gone with the test.
        for (name, text) in [("users.txt", &users), ("pgbouncer.ini", &settings)] {
            fs::write(self.dir.path().join(name), text)?;
            fs::set_permissions(self.dir.path().join(name), fs::Permissions::from_mode(0o644))?;
        }
        Ok(())
    }

    /// Starts it, or starts it again.
    ///
    /// # Panics
    /// It does not start.
    pub fn start(&mut self) {
        let mut command = Command::new(&self.program);
        command
            .arg("-q")
            .arg(self.dir.path().join("pgbouncer.ini"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // It refuses to be root.
        if rustix::process::geteuid().is_root() {
            let (uid, gid) = account("postgres")
                .or_else(|| account("nobody"))
                .expect("an account that is not root");
            command.uid(uid).gid(gid);
        }
        self.child = Some(command.spawn().expect("pgbouncer can be run"));
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            assert!(Instant::now() < deadline, "pgbouncer does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// The same URL through the pooler.
    pub fn through(&self, url: &SecretString) -> SecretString {
        let text = url.expose_secret();
        let (before, rest) = text.rsplit_once('@').unwrap_or(("", text));
        let database = rest.split_once('/').map_or("", |(_, database)| database);
        format!("{before}@127.0.0.1:{}/{database}", self.port).into()
    }
}

impl Drop for Pgbouncer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/bin")]);
    folders
        .map(|folder| folder.join("pgbouncer"))
        .find(|file| file.is_file())
}

fn account(name: &str) -> Option<(u32, u32)> {
    let accounts = fs::read_to_string(Path::new("/etc/passwd")).ok()?;
    let line = accounts.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}
