//! What an operator may set, with defaults and ranges.
use exarch_common_pg::{PoolSettings, Schema};
use exarch_common_runtime::settings::{Check, Log, SecretFile, Stop, Validate, duration};
use exarch_common_wire::passport::TierLimits;
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, path::PathBuf, time::Duration};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// All settings of a gateway.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// People and their software.
    pub public: Public,
    /// Agents.
    pub agents: Agents,
    /// Liveness, readiness, metrics.
    #[serde(default)]
    pub ops: Ops,
    /// The region's Postgres.
    pub database: Database,
    /// Keys.
    pub keys: Keys,
    /// What lies on this replica's disk.
    pub state: State,
    /// The way to the global.
    #[serde(default)]
    pub federation: Federation,
    /// What age leaves of a passport.
    #[serde(default)]
    pub passport: Passport,
    /// Leases.
    #[serde(default)]
    pub leases: Leases,
    /// The way to the end.
    #[serde(default)]
    pub stop: Stop,
    /// The log.
    #[serde(default)]
    pub log: Log,
}

/// The listener for people.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Public {
    /// Address and port; plain HTTP, so on loopback only.
    #[serde(default = "Public::listen")]
    pub listen: SocketAddr,
    /// Where people reach it.
    pub url: String,
    /// Where the region's console is reached.
    #[serde(default)]
    pub console_url: Option<String>,
}

impl Public {
    fn listen() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 9440))
    }
}

/// The listener for agents.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agents {
    /// Address and port; TLS with client certificates.
    #[serde(default = "Agents::listen")]
    pub listen: SocketAddr,
    /// Names and addresses by which agents reach it, for its certificate.
    pub names: Vec<String>,
    /// Where agents reach it; told in the line that enrols one.
    pub url: String,
    /// Where they reach the region's other replicas; told there as well.
    #[serde(default)]
    pub other_urls: Vec<String>,
    /// Life of an agent's certificate; it is renewed after a third of it.
    #[serde(default = "Agents::certificate", with = "duration")]
    pub certificate: Duration,
}

impl Agents {
    fn listen() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 9441))
    }

    fn certificate() -> Duration {
        7 * DAY
    }
}

/// The ops listener.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ops {
    /// Address and port; plain HTTP, so on loopback only.
    pub listen: SocketAddr,
}

impl Default for Ops {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 9449)),
        }
    }
}

/// One login a file; each holds a URL with its password.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// `exarch_app`.
    pub app_url_file: SecretFile,
    /// `exarch_sweep`.
    pub sweep_url_file: SecretFile,
    /// `exarch_renew`.
    pub renew_url_file: SecretFile,
    /// `exarch_owner`: for `migrate` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_url_file: Option<SecretFile>,
    /// The database's own address, `postgres://host:port/database`, where the files lead to a pooler: what needs a session of
    /// its own goes there, with the login of its file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direct_url: Option<String>,
    /// Connections of `exarch_app` at most.
    #[serde(default = "Database::max_connections")]
    pub max_connections: u32,
}

impl Database {
    fn max_connections() -> u32 {
        16
    }

    /// How the login whose URL is in `file` reaches the database for requests.
    ///
    /// # Errors
    /// The file cannot be used, or holds no URL of Postgres.
    pub fn pool(&self, file: &SecretFile) -> anyhow::Result<PoolSettings> {
        let mut pool = PoolSettings::from_url(Schema::Regional, &file.read()?)?;
        pool.application_name = "exarch-gateway".to_owned();
        Ok(pool)
    }

    /// How it reaches the database itself, where there is a pooler between: to listen, to migrate.
    ///
    /// # Errors
    /// The file cannot be used, or holds no URL of Postgres.
    pub fn direct(&self, file: &SecretFile) -> anyhow::Result<PoolSettings> {
        let pool = self.pool(file)?;
        match &self.direct_url {
            None => Ok(pool),
            Some(url) => Ok(pool.direct(url)?),
        }
    }
}

/// Keys.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// Base64 of the 32 bytes under which everything secret in the database is sealed.
    pub master_file: SecretFile,
}

/// The state directory.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Of this replica alone.
    pub dir: PathBuf,
}

/// The tunnel.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Federation {
    /// Host and port of each federation listener of the global, where it has several replicas; when one cannot be reached the
    /// next is tried. Without any, the one at which the region joined.
    pub addresses: Vec<String>,
    /// From one poll of the passport to the next at the latest.
    #[serde(with = "duration")]
    pub poll: Duration,
    /// Longest wait between two attempts to reach the global.
    #[serde(with = "duration")]
    pub retry: Duration,
    /// How long a service secret is in force before another follows it.
    #[serde(with = "duration")]
    pub secret_rotation: Duration,
}

impl Default for Federation {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            poll: Duration::from_secs(30),
            retry: Duration::from_secs(15),
            secret_rotation: 30 * DAY,
        }
    }
}

/// Ages up to which a passport is fresh, stale and old.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Passport {
    /// Everything works.
    #[serde(with = "duration")]
    pub fresh: Duration,
    /// What is dangerous stops.
    #[serde(with = "duration")]
    pub stale: Duration,
    /// Writes stop; beyond it all users.
    #[serde(with = "duration")]
    pub old: Duration,
}

impl Default for Passport {
    fn default() -> Self {
        Self {
            fresh: 15 * MINUTE,
            stale: DAY,
            old: 3 * DAY,
        }
    }
}

impl Passport {
    /// The limits in seconds.
    pub fn limits(&self) -> TierLimits {
        TierLimits {
            fresh: self.fresh.as_secs(),
            stale: self.stale.as_secs(),
            old: self.old.as_secs(),
        }
    }
}

/// Leases.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Leases {
    /// Of resources that do not say otherwise.
    #[serde(with = "duration")]
    pub ttl: Duration,
}

impl Default for Leases {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(30),
        }
    }
}

impl Validate for Settings {
    fn validate(&self, check: &mut Check) {
        check.section("public", &self.public);
        check.section("agents", &self.agents);
        check.section("ops", &self.ops);
        check.section("database", &self.database);
        check.section("keys", &self.keys);
        check.section("state", &self.state);
        check.section("federation", &self.federation);
        check.section("passport", &self.passport);
        check.section("leases", &self.leases);
        check.section("stop", &self.stop);
        check.section("log", &self.log);
    }
}

fn loopback(check: &mut Check, addr: SocketAddr) {
    if !addr.ip().to_canonical().is_loopback() {
        check.refuse(
            "listen",
            "speaks plain HTTP and must be a loopback address, as 127.0.0.1",
        );
    }
}

fn url(check: &mut Check, key: &str, url: &str, schemes: &[&str]) {
    check.no_password(key, url);
    if !schemes.iter().any(|scheme| url.starts_with(scheme)) || url.ends_with('/') {
        check.refuse(
            key,
            format!("must start with {} and not end in /", schemes.join(" or ")),
        );
    }
}

impl Validate for Public {
    fn validate(&self, check: &mut Check) {
        loopback(check, self.listen);
        url(check, "url", &self.url, &["https://", "http://"]);
        if let Some(console) = &self.console_url {
            url(check, "console_url", console, &["https://", "http://"]);
        }
    }
}

impl Validate for Agents {
    fn validate(&self, check: &mut Check) {
        if self.names.is_empty() {
            check.refuse("names", "must hold at least one name or address of this listener");
        }
        url(check, "url", &self.url, &["https://"]);
        for other in &self.other_urls {
            url(check, "other_urls", other, &["https://"]);
        }
        check.duration("certificate", self.certificate, HOUR..=30 * DAY);
    }
}

impl Validate for Ops {
    fn validate(&self, check: &mut Check) {
        loopback(check, self.listen);
    }
}

impl Validate for Database {
    fn validate(&self, check: &mut Check) {
        check.secret("app_url_file", &self.app_url_file);
        check.secret("sweep_url_file", &self.sweep_url_file);
        check.secret("renew_url_file", &self.renew_url_file);
        if let Some(url) = &self.direct_url {
            check.database("direct_url", url);
        }
        check.range("max_connections", self.max_connections, 2..=512);
    }
}

impl Validate for Keys {
    fn validate(&self, check: &mut Check) {
        check.secret("master_file", &self.master_file);
    }
}

impl Validate for State {
    fn validate(&self, check: &mut Check) {
        if !self.dir.is_dir() {
            check.refuse("dir", format!("= {} is not a folder", self.dir.display()));
        }
    }
}

impl Validate for Federation {
    fn validate(&self, check: &mut Check) {
        let is_address = |text: &String| {
            let parts = text.rsplit_once(':');
            parts.is_some_and(|(host, port)| !host.is_empty() && !host.contains('/') && port.parse::<u16>().is_ok())
        };
        if !self.addresses.iter().all(is_address) {
            check.refuse("addresses", "must each be host:port");
        }
        check.duration("poll", self.poll, Duration::from_secs(1)..=5 * MINUTE);
        check.duration("retry", self.retry, Duration::from_secs(1)..=MINUTE);
        // Not below: the one before is accepted for a day, and each was to be the only one in force for a while.
        check.duration("secret_rotation", self.secret_rotation, 2 * DAY..=365 * DAY);
    }
}

impl Validate for Passport {
    fn validate(&self, check: &mut Check) {
        for (key, value) in [("fresh", self.fresh), ("stale", self.stale), ("old", self.old)] {
            check.duration(key, value, 5 * MINUTE..=7 * DAY);
        }
        if self.fresh > self.stale || self.stale > self.old {
            check.refuse("fresh", "must not be above stale, nor stale above old");
        }
    }
}

impl Validate for Leases {
    fn validate(&self, check: &mut Check) {
        check.duration("ttl", self.ttl, Duration::from_secs(5)..=5 * MINUTE);
    }
}
