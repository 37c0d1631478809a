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
}

/// The answer to a probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeAnswer {
    /// The probe's challenge.
    pub challenge: String,
    /// Software version of the answering replica.
    pub software: String,
    /// Newest protocol it speaks.
    pub protocol: u32,
    /// The region's wall clock, milliseconds since 1970.
    pub clock_ms: i64,
    /// Round trip of a trivial query in microseconds; `None` when the database does not answer.
    pub database_us: Option<u64>,
    /// Where the database stands, when it answers.
    pub database: Option<DatabaseIdentity>,
    /// Passport applied by the answering replica, and its age in seconds.
    pub passport: Option<(Version, u64)>,
    /// Full days until the region's certificate ends.
    pub certificate_days: i64,
    /// Agents by state.
    pub agents: BTreeMap<String, u64>,
    /// Active leases.
    pub leases: u64,
    /// Seconds that the tunnel is up.
    pub tunnel_age: u64,
    /// SHA-256 over the entitled tenants and the versions of their sections, hexadecimal.
    pub entitlement_digest: String,
    /// All replicas.
    pub instances: Vec<InstanceReport>,
}
