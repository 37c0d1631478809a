//! Sections that every process has.
use super::{Check, Validate, duration};
use crate::telemetry::{self, LogFormat};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The log.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Which lines: a level or directives, as `info` or `info,sqlx=debug`.
    pub filter: String,
    /// `auto`, `json` or `text`.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            filter: "info".to_owned(),
            format: LogFormat::default(),
        }
    }
}

impl Validate for Log {
    fn validate(&self, check: &mut Check) {
        if telemetry::filter(&self.filter).is_err() {
            check.refuse("filter", "is no log filter; use info or info,sqlx=warn");
        }
    }
}

/// The way to the end, after the first signal.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stop {
    /// For load balancers to see that readiness is red, before listeners close.
    #[serde(with = "duration")]
    pub drain: Duration,
    /// For work in flight, after that.
    #[serde(with = "duration")]
    pub grace: Duration,
}

impl Default for Stop {
    fn default() -> Self {
        Self {
            drain: Duration::from_millis(500),
            grace: Duration::from_secs(10),
        }
    }
}

impl Validate for Stop {
    fn validate(&self, check: &mut Check) {
        check.duration("drain", self.drain, Duration::ZERO..=Duration::from_secs(60));
        check.duration("grace", self.grace, Duration::from_secs(1)..=Duration::from_secs(300));
    }
}
