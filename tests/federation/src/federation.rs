//! A box of real processes, and who works in it.
use crate::http::{Answer, Client};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use exarch_common_base::Ambient;
use exarch_common_crypto::totp;
use exarch_common_testkit::federation::{Account, Daemon, FederationFile, Layout, Place};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use std::{
    collections::HashMap,
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, SystemTime},
};
use tokio::{process::Command, sync::Mutex};

/// The provider's owner.
pub const OWNER: &str = "owner@exarch.example";
/// The administrator of acme, who works in both regions.
pub const ADA: &str = "ada@acme.example";
/// The administrator of globex, who works in eu-north alone.
pub const GRACE: &str = "grace@globex.example";
/// A region.
pub const EU: &str = "eu-north";
/// The other region.
pub const US: &str = "us-east";

/// A box in a directory of its own, on ports of its own.
pub struct Federation {
    /// Everything of it lies there.
    pub dir: PathBuf,
    /// Its first port.
    pub base: u16,
    bin: PathBuf,
    ended: AtomicBool,
    tokens: Mutex<HashMap<String, String>>,
    /// Processes of the global and of each gateway.
    pub replicas: u16,
    /// What its processes find in their environment besides.
    pub env: &'static [(&'static str, &'static str)],
    /// Where its programs lie; beside the box's own when it is not said.
    pub programs: Option<PathBuf>,
}

/// The ports of a box, from its first one.
fn ports(base: u16) -> impl Iterator<Item = u16> {
    // Two replicas of each, at most.
    let each = [0, 1, 2, 9, 10, 11, 19];
    [0, 1000, 1100]
        .into_iter()
        .flat_map(move |at| each.map(|n| base + at + n))
}

/// A first port such that all of a box's are free; below those that the system gives out by itself.
pub fn free_base() -> u16 {
    let start = 13_000 + (std::process::id() % 300) as u16 * 20;
    let bases = (0..300).map(|n| 13_000 + (start - 13_000 + n * 20) % 6_000);
    let mut free = bases.filter(|base| ports(*base).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()));
    free.next().expect("this machine has ports for a box")
}

/// A box of a test that failed before its end goes all the same.
impl Drop for Federation {
    fn drop(&mut self) {
        if self.ended.load(Ordering::Relaxed) {
            return;
        }
        let mut down = std::process::Command::new(&self.bin);
        down.arg("down")
            .arg("--dir")
            .arg(&self.dir)
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        // Nobody is left to tell; the failure itself is told.
        let _ = down.status();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl Federation {
    /// Nothing is started yet.
    pub fn reserve(program: &Path) -> Self {
        // Postgres runs under an account of its own, which must be able to pass through.
        let passable = fs::Permissions::from_mode(0o711);
        let dir = tempfile::Builder::new()
            .prefix("exarch-e2e-")
            .permissions(passable)
            .tempdir();
        Self {
            dir: dir.expect("a directory").keep(),
            base: free_base(),
            bin: program.to_owned(),
            ended: AtomicBool::new(false),
            tokens: Mutex::default(),
            replicas: 1,
            env: &[],
            programs: None,
        }
    }

    /// A box that another one has brought up, and takes down.
    pub fn of_another(dir: PathBuf, base: u16, program: PathBuf) -> Self {
        Self {
            dir,
            base,
            bin: program,
            ended: AtomicBool::new(true),
            tokens: Mutex::default(),
            replicas: 1,
            env: &[],
            programs: None,
        }
    }

    /// `exarch-box COMMAND`, to its end.
    pub async fn run(&self, command: &str, more: &[&str]) -> Output {
        let mut run = Command::new(&self.bin);
        run.arg(command).arg("--dir").arg(&self.dir).args(more);
        run.args(["--port-base", &self.base.to_string()]);
        run.envs(self.env.iter().copied());
        if let Some(programs) = &self.programs {
            run.arg("--bin").arg(programs);
        }
        run.stdin(Stdio::null()).output().await.expect("exarch-box can be run")
    }

    /// Brings it up, or what is missing of it.
    ///
    /// # Errors
    /// What the box said.
    pub async fn up(&self) -> Result<(), String> {
        let replicas = self.replicas.to_string();
        let output = self.run("up", &["--detach", "--replicas", &replicas]).await;
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    /// Takes it down and removes it; returns what is still there.
    pub async fn end(&self) -> Vec<String> {
        self.ended.store(true, Ordering::Relaxed);
        let mut left = Vec::new();
        let output = self.run("down", &[]).await;
        if !output.status.success() {
            left.push(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        left.extend(self.processes().into_iter().map(|(pid, what)| format!("{pid} {what}")));
        if left.is_empty()
            && let Err(error) = fs::remove_dir_all(&self.dir)
        {
            left.push(format!("{}: {error}", self.dir.display()));
        }
        left
    }

    /// All processes whose command line names this box's directory.
    pub fn processes(&self) -> Vec<(i32, String)> {
        let mine = self.dir.to_string_lossy().into_owned();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").expect("/proc is there").flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            if line.contains(&mine) {
                found.push((pid, line));
            }
        }
        found
    }

    /// The last errors in each log, for whoever has to find out why.
    pub fn errors(&self) -> Vec<String> {
        let mut found = Vec::new();
        for entry in fs::read_dir(self.dir.join("logs")).into_iter().flatten().flatten() {
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            let is_bad = |line: &&str| line.contains("\"ERROR\"") || line.contains("panicked");
            let bad: Vec<&str> = text.lines().filter(is_bad).collect();
            found.push(format!("{}: {} errors", entry.path().display(), bad.len()));
            found.extend(bad.iter().rev().take(10).rev().map(|line| format!("  {line}")));
        }
        found
    }

    /// What `federation.json` says now.
    pub fn file(&self) -> FederationFile {
        let path = self.layout().federation_file();
        FederationFile::read(&path)
            .expect("federation.json can be read")
            .expect("federation.json is there")
    }

    /// Where everything of the box lies and listens.
    pub fn layout(&self) -> Layout {
        Layout::new(
            &self.dir,
            self.programs
                .as_deref()
                .or(self.bin.parent())
                .expect("programs lie in a folder"),
            self.base,
        )
        .with_replicas(self.replicas)
    }

    /// The global or a region.
    pub fn place(&self, name: &str) -> Place {
        let layout = self.layout();
        let found = layout.places().find(|place| place.name == name).cloned();
        found.expect("the box has this place")
    }

    /// Somebody unknown at the global's public API.
    pub fn global(&self) -> Client {
        Client::new(format!("http://127.0.0.1:{}", self.base))
    }

    /// Somebody unknown at a region's public API.
    pub fn region(&self, slug: &str) -> Client {
        Client::new(format!("http://127.0.0.1:{}", self.place(slug).public))
    }

    /// A place's n-th process, from 1.
    pub fn process(&self, place: &str, n: u16) -> Daemon {
        Daemon::new(&self.dir, &self.replica(place, n).process())
    }

    /// Where a place's n-th process listens.
    pub fn replica(&self, place: &str, n: u16) -> Place {
        let all = self.layout().replicas_of(&self.place(place));
        all[usize::from(n) - 1].clone()
    }

    /// Somebody unknown at the public API of a place's n-th process.
    pub fn at(&self, place: &str, n: u16) -> Client {
        Client::new(self.replica(place, n).url())
    }

    /// The account of an address.
    pub fn account(&self, email: &str) -> Account {
        self.file().account(email).expect("the box has this account").clone()
    }

    /// A new session of tokens: the whole answer.
    pub async fn sign_in(&self, email: &str) -> Value {
        let account = self.account(email);
        let body = json!({"email": email, "password": account.password, "session": "token"});
        let mut answer = self.global().post("/v1/auth/sign-in", &body).await.ok();
        if answer["next"] == "second-factor" {
            let secret = account.totp_secret.expect("the box keeps the secret of the app");
            answer = self.give_code(&answer["ticket"], &secret).await;
        }
        assert_eq!(answer["status"], "signed-in", "{answer}");
        answer
    }

    /// A code works once, and others sign in with the same app: what is used up is waited for.
    async fn give_code(&self, ticket: &Value, secret: &str) -> Value {
        let secret = totp::Secret::from_base32(secret).expect("a secret in base32");
        for ahead in [0, 1, 1, 1] {
            let step = totp::step(Ambient::system().now().unix_timestamp()) + ahead;
            let body = json!({"ticket": ticket, "totp": secret.code(step)});
            let answer = self.global().post("/v1/auth/next", &body).await;
            if answer.status == 200 {
                return answer.ok();
            }
            answer.refused(401, "code-refused");
            if ahead > 0 {
                tokio::time::sleep(Duration::from_secs(15)).await;
            }
        }
        panic!("no code of the app is taken")
    }

    async fn token(&self, key: &str, make: impl Future<Output = Value>) -> String {
        let mut tokens = self.tokens.lock().await;
        if !tokens.contains_key(key) {
            let answer = make.await;
            let token = answer["access_token"].as_str().expect("an access token").to_owned();
            tokens.insert(key.to_owned(), token);
        }
        tokens[key].clone()
    }

    /// An access token for the global, the same for all tests.
    pub async fn access(&self, email: &str) -> String {
        self.token(email, self.sign_in(email)).await
    }

    /// A region token, the same for all tests.
    pub async fn region_token(&self, email: &str, slug: &str) -> String {
        let person = self.person(email).await;
        let exchange = async { person.post(&format!("/v1/regions/{slug}/token"), &json!({})).await.ok() };
        self.token(&format!("{email} {slug}"), exchange).await
    }

    /// A person at the global.
    pub async fn person(&self, email: &str) -> Client {
        self.global().bearer(&self.access(email).await)
    }

    /// A person in a region.
    pub async fn person_in(&self, email: &str, slug: &str) -> Client {
        self.region(slug).bearer(&self.region_token(email, slug).await)
    }

    /// Ada's cluster in a region.
    pub async fn cluster(&self, slug: &str) -> String {
        let clusters = self.person_in(ADA, slug).await.get("/v1/clusters?limit=100").await.ok();
        let items = clusters["items"].as_array().cloned().unwrap_or_default();
        let main = items
            .iter()
            .find(|cluster| cluster["name"] == "main")
            .expect("the box's cluster");
        main["id"].as_str().expect("an id").to_owned()
    }

    /// Whom no row-level security binds: to look behind the curtain, and to make time pass in a row.
    pub async fn database(&self, place: &str) -> PgConnection {
        let place = self.place(place);
        let password = fs::read_to_string(place.secret("postgres-superuser")).expect("the box keeps it");
        let options = PgConnectOptions::new()
            .host("127.0.0.1")
            .port(place.database)
            .username("postgres")
            .password(password.trim())
            .database("exarch");
        PgConnection::connect_with(&options)
            .await
            .expect("the database answers")
    }

    /// What stands behind `link` in the newest mail to an address, once there is one.
    pub async fn mailed(&self, to: &str, link: &str) -> String {
        let dir = self.place("global").dir.join("mail");
        let mut found = None;
        self.until(Duration::from_secs(10), "a mail", async || {
            let mut mails: Vec<(SystemTime, String)> = fs::read_dir(&dir)
                .expect("the box keeps mail")
                .flatten()
                .filter(|entry| entry.path().extension().is_some_and(|is| is == "eml"))
                .map(|entry| {
                    let at = entry.metadata().and_then(|file| file.modified()).expect("a time");
                    (at, fs::read_to_string(entry.path()).expect("a mail can be read"))
                })
                .filter(|(_, mail)| mail.contains(to) && mail.contains(link))
                .collect();
            mails.sort();
            found = mails.pop();
            found.is_some()
        })
        .await;
        let (_, mail) = found.expect("it was found");
        let (_, token) = mail.split_once(link).expect("it has the link");
        token.split_whitespace().next().expect("a token").to_owned()
    }

    /// Asks again until `look` says yes.
    pub async fn until(&self, patience: Duration, what: &str, mut look: impl AsyncFnMut() -> bool) {
        let deadline = tokio::time::Instant::now() + patience;
        while !look().await {
            assert!(
                tokio::time::Instant::now() < deadline,
                "not within {patience:?}: {what}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What an agent asks for a lease with.
    pub fn nonce(&self) -> String {
        B64.encode(Ambient::system().bytes::<16>())
    }

    /// Whether a server says that it is ready.
    pub async fn ready(&self, place: &str) -> bool {
        let ops = Client::new(self.place(place).ops_url());
        ops.try_get("/readyz").await.as_ref().map(Answer::status) == Some(200)
    }
}
