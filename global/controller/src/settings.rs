//! What an operator sets, with the defaults and ranges of the design.
use anyhow::Context;
use exarch_common_pg::{PoolSettings, Schema};
use exarch_common_runtime::settings::{Check, Log, SecretFile, Stop, Validate, duration};
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, ops::RangeInclusive, path::PathBuf, time::Duration};

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}
const MINUTE: u64 = 60;
const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

fn between(low: u64, high: u64) -> RangeInclusive<Duration> {
    seconds(low)..=seconds(high)
}

/// The whole file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The listener for people.
    #[serde(default)]
    pub public: Public,
    /// The listener for gateways.
    #[serde(default)]
    pub federation: Federation,
    /// The listener for operators' tools.
    #[serde(default)]
    pub ops: Ops,
    /// Where the database is.
    pub database: Database,
    /// Secrets of the installation.
    pub keys: KeyFiles,
    /// Probing the regions.
    #[serde(default)]
    pub probe: Probe,
    /// Tokens' lives.
    #[serde(default)]
    pub tokens: Tokens,
    /// Sessions' lives.
    #[serde(default)]
    pub sessions: Sessions,
    /// Signing in.
    #[serde(default)]
    pub sign_in: SignIn,
    /// Mail to people.
    #[serde(default)]
    pub mail: Mail,
    /// How much one may ask for.
    #[serde(default)]
    pub limits: Limits,
    /// The way to the end.
    #[serde(default)]
    pub stop: Stop,
    /// The log.
    #[serde(default)]
    pub log: Log,
}

/// The listener for people.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Public {
    /// Plain HTTP, so a loopback address only.
    pub listen: SocketAddr,
    /// As people reach it, without a slash at the end; the issuer of tokens.
    pub url: String,
}

impl Default for Public {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8440)),
            url: "http://localhost:8440".into(),
        }
    }
}

/// The listener for gateways.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Federation {
    /// TLS 1.3.
    pub listen: SocketAddr,
    /// The names and addresses in its certificate.
    pub names: Vec<String>,
    /// As gateways reach it.
    pub url: String,
}

impl Default for Federation {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8441)),
            names: vec!["localhost".into(), "127.0.0.1".into()],
            url: "https://localhost:8441".into(),
        }
    }
}

/// The listener for operators' tools.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ops {
    /// A loopback address.
    pub listen: SocketAddr,
}

impl Default for Ops {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8449)),
        }
    }
}

/// Where the database is: a file for each login, holding `postgres://login:password@host:port/database`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// `exarch_app`'s.
    pub app_url_file: SecretFile,
    /// `exarch_sweep`'s.
    pub sweep_url_file: SecretFile,
    /// `exarch_owner`'s; only migrations need it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_url_file: Option<SecretFile>,
    /// The database's own address, `postgres://host:port/database`, where the files lead to a pooler: what needs a session of
    /// its own goes there, with the login of its file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direct_url: Option<String>,
    /// Connections of each pool.
    #[serde(default = "connections")]
    pub max_connections: u32,
}

impl Database {
    /// How the login whose URL is in `file` reaches the database for requests.
    ///
    /// # Errors
    /// The file cannot be used, or holds no URL of Postgres.
    pub fn pool(&self, file: &SecretFile) -> anyhow::Result<PoolSettings> {
        let mut pool = PoolSettings::from_url(Schema::Global, &file.read()?)
            .with_context(|| format!("the file {}", file.path().display()))?
            .max_connections(self.max_connections);
        pool.application_name = "exarch-global".to_owned();
        Ok(pool)
    }

    /// How it reaches the database itself, where there is a pooler between: to listen, to lead, to migrate.
    ///
    /// # Errors
    /// The file cannot be used, or holds no URL of Postgres.
    pub fn direct(&self, file: &SecretFile) -> anyhow::Result<PoolSettings> {
        let pool = self.pool(file)?;
        match &self.direct_url {
            None => Ok(pool),
            Some(url) => pool.direct(url).context("settings.database.direct_url"),
        }
    }
}

fn connections() -> u32 {
    16
}

/// Secrets of the installation.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyFiles {
    /// 32 bytes in base64, under which the keys in the database are sealed.
    pub master_file: SecretFile,
    /// Mixed into every password.
    pub pepper_file: SecretFile,
}

/// Probing the regions.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Probe {
    /// One round.
    #[serde(with = "duration")]
    pub period: Duration,
    /// For one answer.
    #[serde(with = "duration")]
    pub timeout: Duration,
}

impl Default for Probe {
    fn default() -> Self {
        Self {
            period: seconds(30),
            timeout: seconds(5),
        }
    }
}

/// Tokens' lives.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tokens {
    /// Access tokens, for the global and for regions.
    #[serde(with = "duration")]
    pub access: Duration,
    /// Refresh tokens.
    #[serde(with = "duration")]
    pub refresh: Duration,
    /// How long the same pair is given again.
    #[serde(with = "duration")]
    pub refresh_grace: Duration,
    /// How long a user signing key signs.
    #[serde(with = "duration")]
    pub key_rotation: Duration,
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            access: seconds(15 * MINUTE),
            refresh: seconds(7 * DAY),
            refresh_grace: seconds(10),
            key_rotation: seconds(90 * DAY),
        }
    }
}

/// Sessions' lives, from the sign-in on, and how many there may be.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sessions {
    /// Of the provider's people.
    #[serde(with = "duration")]
    pub staff: Duration,
    /// Of everybody else.
    #[serde(with = "duration")]
    pub user: Duration,
    /// How many a person may have at a time; one more ends the oldest.
    pub per_person: u32,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            staff: seconds(8 * HOUR),
            user: seconds(7 * DAY),
            per_person: 100,
        }
    }
}

/// Signing in.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SignIn {
    /// Life of a ticket between two steps.
    #[serde(with = "duration")]
    pub ticket: Duration,
    /// Tries an account may make in a minute, per replica.
    pub per_minute: u32,
    /// Threads that hash passwords.
    pub hashing_threads: u32,
    /// Passwords that may wait for them.
    pub hashing_queue: u32,
}

impl Default for SignIn {
    fn default() -> Self {
        Self {
            ticket: seconds(5 * MINUTE),
            per_minute: 10,
            hashing_threads: 2,
            hashing_queue: 32,
        }
    }
}

/// Mail to people.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mail {
    /// `off`, `file` or `smtp`.
    pub transport: MailTransport,
    /// Who writes, as `Exarch <no-reply@exarch.example>`.
    pub from: String,
    /// With `file`: a directory, a file for each mail; for development.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
    /// With `smtp`: the server's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// With `smtp`: another port than the usual one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// With `smtp`: `implicit` or `starttls`; there is no third.
    pub tls: MailTls,
    /// With `smtp`: the login, where the server wants one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Its password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<SecretFile>,
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            transport: MailTransport::Off,
            from: "Exarch <no-reply@localhost>".into(),
            dir: None,
            host: None,
            port: None,
            tls: MailTls::Implicit,
            username: None,
            password_file: None,
        }
    }
}

/// Where mail goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailTransport {
    /// Nowhere.
    Off,
    /// Into a directory.
    File,
    /// To a server.
    Smtp,
}

/// How a mail server is reached: never without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailTls {
    /// From the first byte on, port 465.
    Implicit,
    /// After `STARTTLS`, port 587; a server that does not offer it is not used.
    Starttls,
}

/// How much one may ask for, per replica.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests of a tenant's people in a minute.
    pub tenant_per_minute: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            tenant_per_minute: 1000,
        }
    }
}

fn url(check: &mut Check, key: &str, url: &str, schemes: &[&str]) {
    check.no_password(key, url);
    let good = schemes.iter().any(|scheme| url.starts_with(scheme)) && !url.ends_with('/');
    if !good {
        check.refuse(
            key,
            format!("must begin with {} and not end with a slash", schemes.join(" or ")),
        );
    }
}

impl Validate for Settings {
    fn validate(&self, check: &mut Check) {
        check.section("public", &self.public);
        check.section("federation", &self.federation);
        check.section("ops", &self.ops);
        check.section("database", &self.database);
        check.section("keys", &self.keys);
        check.section("probe", &self.probe);
        check.section("tokens", &self.tokens);
        check.section("sessions", &self.sessions);
        check.section("sign_in", &self.sign_in);
        check.section("mail", &self.mail);
        check.section("limits", &self.limits);
        check.section("stop", &self.stop);
        check.section("log", &self.log);
    }
}

impl Validate for Public {
    fn validate(&self, check: &mut Check) {
        loopback(check, &self.listen);
        url(check, "url", &self.url, &["http://", "https://"]);
    }
}

impl Validate for Federation {
    fn validate(&self, check: &mut Check) {
        if self.names.is_empty() {
            check.refuse("names", "is empty: gateways could not verify the listener");
        }
        url(check, "url", &self.url, &["https://"]);
    }
}

impl Validate for Ops {
    fn validate(&self, check: &mut Check) {
        loopback(check, &self.listen);
    }
}

fn loopback(check: &mut Check, listen: &SocketAddr) {
    if !listen.ip().is_loopback() {
        check.refuse("listen", "must be a loopback address: this listener speaks plain HTTP");
    }
}

impl Validate for Database {
    fn validate(&self, check: &mut Check) {
        check.secret("app_url_file", &self.app_url_file);
        check.secret("sweep_url_file", &self.sweep_url_file);
        if let Some(url) = &self.direct_url {
            check.database("direct_url", url);
        }
        check.range("max_connections", self.max_connections, 2..=200);
    }
}

impl Validate for KeyFiles {
    fn validate(&self, check: &mut Check) {
        check.secret("master_file", &self.master_file);
        check.secret("pepper_file", &self.pepper_file);
    }
}

impl Validate for Probe {
    fn validate(&self, check: &mut Check) {
        check.duration("period", self.period, between(1, 10 * MINUTE));
        check.duration("timeout", self.timeout, Duration::from_millis(100)..=seconds(30));
        if crate::health::cron(self.period).is_none() {
            check.refuse("period", "must divide a minute or an hour evenly, as 10s, 30s or 5m");
        }
        if self.timeout * 2 >= self.period {
            check.refuse("timeout", "must be less than half of probe.period");
        }
    }
}

impl Validate for Tokens {
    fn validate(&self, check: &mut Check) {
        check.duration("access", self.access, between(MINUTE, HOUR));
        check.duration("refresh", self.refresh, between(HOUR, 30 * DAY));
        check.duration("refresh_grace", self.refresh_grace, between(0, 30));
        check.duration("key_rotation", self.key_rotation, between(DAY, 365 * DAY));
    }
}

impl Validate for Sessions {
    fn validate(&self, check: &mut Check) {
        check.duration("staff", self.staff, between(5 * MINUTE, 30 * DAY));
        check.duration("user", self.user, between(5 * MINUTE, 30 * DAY));
        check.range("per_person", self.per_person, 1..=10_000);
    }
}

impl Validate for Mail {
    fn validate(&self, check: &mut Check) {
        if self.transport == MailTransport::File && !self.dir.as_ref().is_some_and(|dir| dir.is_dir()) {
            check.refuse("dir", "must name a directory when mail.transport is file");
        }
        if self.transport == MailTransport::Smtp && self.host.is_none() {
            check.refuse("host", "must name the server when mail.transport is smtp");
        }
        if self.username.is_some() != self.password_file.is_some() {
            check.refuse("password_file", "goes with mail.username: give both or neither");
        }
        if let Some(file) = &self.password_file {
            check.secret("password_file", file);
        }
    }
}

impl Validate for Limits {
    fn validate(&self, check: &mut Check) {
        check.range("tenant_per_minute", self.tenant_per_minute, 60..=1_000_000);
    }
}

impl Validate for SignIn {
    fn validate(&self, check: &mut Check) {
        check.duration("ticket", self.ticket, between(MINUTE, 15 * MINUTE));
        check.range("per_minute", self.per_minute, 1..=1000);
        check.range("hashing_threads", self.hashing_threads, 1..=64);
        check.range("hashing_queue", self.hashing_queue, 0..=10_000);
    }
}
