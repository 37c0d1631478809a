//! What may be set on a host: in a file, in the environment, or by the flags that are as old as the agent.
use exarch_common_runtime::settings::{Check, Log, Validate, duration};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};

/// All settings of an agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What lies on this host's disk.
    pub state: StateDir,
    /// The region.
    #[serde(default)]
    pub region: Region,
    /// What runs here.
    #[serde(default)]
    pub workloads: Workloads,
    /// The way to the end.
    #[serde(default)]
    pub stop: Stop,
    /// The log.
    #[serde(default)]
    pub log: Log,
}

/// The state directory.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateDir {
    /// For the key and the state of this agent alone; made at the first use.
    pub dir: PathBuf,
}

/// The region.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Region {
    /// The listeners for agents of all replicas of the gateway, `https://host:port`, instead of those given at the enrolment.
    pub gateways: Vec<String>,
}

/// What runs on this host.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Workloads {
    /// The guard's program; the one beside this program where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guard: Option<PathBuf>,
}

/// The way to the end, after the first signal.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stop {
    /// For workloads to end and their leases to be released.
    #[serde(with = "duration")]
    pub grace: Duration,
}

impl Default for Stop {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(20),
        }
    }
}

impl Validate for Settings {
    fn validate(&self, check: &mut Check) {
        check.section("state", &self.state);
        check.section("region", &self.region);
        check.section("stop", &self.stop);
        check.section("log", &self.log);
    }
}

impl Validate for StateDir {
    fn validate(&self, check: &mut Check) {
        if self.dir.exists() && !self.dir.is_dir() {
            check.refuse("dir", format!("= {} is not a folder", self.dir.display()));
        }
    }
}

impl Validate for Region {
    fn validate(&self, check: &mut Check) {
        let is_address = |text: &String| text.starts_with("https://") && !text.ends_with('/');
        if !self.gateways.iter().all(is_address) {
            check.refuse("gateways", "must each start with https:// and not end in /");
        }
    }
}

impl Validate for Stop {
    fn validate(&self, check: &mut Check) {
        check.duration("grace", self.grace, Duration::from_secs(1)..=Duration::from_secs(300));
    }
}
