//! The probe: a challenge each 30 seconds, answered in a service token with what the region knows of itself.
use crate::user_token::Version;
use exarch_common_base::InstanceId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where a database stands; a regress of any part means that commits may be lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseIdentity {
    /// `system_identifier` of the cluster.
    pub system: String,
    /// Timeline.
    pub timeline: u32,
    /// Position in the write-ahead log, bytes.
    pub wal: u64,
    /// The region's epoch of fences.
    pub epoch: u64,
}

/// `POST /federation/v1/probe`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Random; comes back in the answer.
    pub challenge: String,
    /// The highest database identity that the global has seen of this region.
    pub seen: Option<DatabaseIdentity>,
}

/// How a replica was at its last heartbeat, in its own words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Vitals {
    /// Newest protocol it speaks.
    pub protocol: u32,
    /// Its wall clock less the database's, milliseconds.
    pub skew_ms: i64,
    /// Round trip of a trivial query, microseconds.
    pub database_us: u64,
    /// Age of its passport, seconds.
    pub passport_age: Option<u64>,
    /// Full days until the certificate that it shows ends.
    pub certificate_days: i64,
    /// Seconds since the connection by which the global calls it was made; nothing without one.
    pub tunnel_age: Option<u64>,
}

/// One gateway replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceReport {
    /// Which.
    pub id: InstanceId,
    /// Software version.
    pub software: String,
    /// Passport version applied by it.
    pub passport: Option<Version>,
    /// Seconds since its last heartbeat.
    pub heartbeat_age: u64,
    /// The rest of what it told; nothing from an older version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vitals: Option<Vitals>,
}

impl InstanceReport {
    /// A replica whose last heartbeat is older, in seconds, does not count.
    pub const ALIVE: u64 = 3;

    /// Whether it counts: one that ended or hangs is shown and not judged.
    pub fn is_alive(&self) -> bool {
        self.heartbeat_age <= Self::ALIVE
    }
}

/// The answer to a probe. Figures that each replica has of its own are those of the worst living one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeAnswer {
    /// The probe's challenge.
    pub challenge: String,
    /// The answering replica; nothing from an older version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceId>,
    /// Software version of the answering replica.
    pub software: String,
    /// Newest protocol that all replicas speak.
    pub protocol: u32,
    /// The answering replica's wall clock, milliseconds since 1970.
    pub clock_ms: i64,
    /// Round trip of a trivial query in microseconds; `None` when the database does not answer.
    pub database_us: Option<u64>,
    /// Where the database stands, when it answers.
    pub database: Option<DatabaseIdentity>,
    /// Lowest passport applied by a replica, and the highest age in seconds; nothing when one has none.
    pub passport: Option<(Version, u64)>,
    /// Full days until the region's certificate ends, where a replica still shows an older one.
    pub certificate_days: i64,
    /// Agents by state.
    pub agents: BTreeMap<String, u64>,
    /// Active leases.
    pub leases: u64,
    /// Seconds that the youngest tunnel is up; 0 when a replica has none.
    pub tunnel_age: u64,
    /// SHA-256 over the entitled tenants and the versions of their sections, hexadecimal.
    pub entitlement_digest: String,
    /// All replicas.
    pub instances: Vec<InstanceReport>,
}
