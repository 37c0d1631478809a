//! Messages between agent and gateway.
use crate::grant::{Action, Incarnation};
use exarch_common_base::{AgentId, ClusterId, Fence, LeaseId, RegionId, ResourceId, TenantId, WorkloadId};
use serde::{Deserialize, Serialize};

/// `typ` of an agent's session token.
pub const SESSION_TYP: &str = "exarch-agent+jwt";

/// `POST /agent/v1/enrol`, ALPN `exarch-enrol/1`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Enrol {
    /// The bootstrap token.
    pub token: String,
    /// Signing request, DER in base64url.
    pub csr: String,
    /// Name of the agent, unless the token gives it.
    pub name: Option<String>,
    /// Newest protocol that the agent speaks.
    pub protocol: u32,
}

/// `POST /agent/v1/enrol/poll`, ALPN `exarch-enrol/1`: while a person has not approved.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EnrolPoll {
    /// The agent.
    pub agent: AgentId,
    /// Seconds since 1970, within 60 s of the gateway's clock.
    pub at: i64,
    /// ES384 over [`poll_bytes`] with the key of the request, base64url.
    pub signature: String,
}

/// What an agent signs when it polls its enrolment.
pub fn poll_bytes(agent: AgentId, at: i64) -> Vec<u8> {
    format!("exarch-enrol-poll\n{agent}\n{at}").into_bytes()
}

/// The answer to both.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Enrolment {
    /// A person has to approve; nothing is handed out yet.
    Pending {
        /// The agent.
        agent: AgentId,
    },
    /// The agent may work.
    Active(Box<Enrolled>),
}

/// What an enrolled agent gets.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Enrolled {
    /// The agent.
    pub agent: AgentId,
    /// Its region.
    pub region: RegionId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Its cluster.
    pub cluster: ClusterId,
    /// Its name.
    pub name: String,
    /// Its certificate, DER in base64url.
    pub certificate: String,
    /// The region's agent authority, DER in base64url.
    pub agent_ca: String,
    /// First value of the session chain, base64url.
    pub chain: String,
    /// Keys that sign grants, to be pinned by guards.
    pub grant_keys: Vec<GrantKey>,
}

/// A public key that signs grants, ES256.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantKey {
    /// Its key id.
    pub kid: String,
    /// Uncompressed point on P-256, base64url.
    pub public: String,
}

/// Where [`RenewCertificate`] goes. The one path that answers on a connection whose certificate has expired.
pub const CERTIFICATE_PATH: &str = "/agent/v1/certificate";

/// `POST /agent/v1/certificate`: another certificate for the key of the connection's.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RenewCertificate {
    /// Signing request of the same key, DER in base64url.
    pub csr: String,
}

/// The answer to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RenewedCertificate {
    /// DER in base64url.
    pub certificate: String,
}

/// The answer to `POST /agent/v1/session/challenge`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Challenge {
    /// Random, one use, 60 s.
    pub challenge: String,
}

/// `POST /agent/v1/session`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OpenSession {
    /// The challenge.
    pub challenge: String,
    /// The chain value last received.
    pub chain: String,
    /// This start of the process.
    pub incarnation: Incarnation,
    /// Random; the same in a repeat.
    pub request_id: String,
    /// ES384 over [`session_bytes`] with the certificate's key, base64url.
    pub signature: String,
}

/// What an agent signs to open a session.
pub fn session_bytes(challenge: &str, chain: &str, incarnation: &Incarnation, request_id: &str) -> Vec<u8> {
    format!("exarch-agent-session\n{challenge}\n{chain}\n{incarnation}\n{request_id}").into_bytes()
}

/// The answer to [`OpenSession`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SessionOpened {
    /// HS256 token, bound to the certificate.
    pub token: String,
    /// Seconds.
    pub expires_in: u64,
    /// The next chain value.
    pub chain: String,
}

/// Claims of an agent's session token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionClaims {
    /// `exarch:region:…`.
    pub iss: String,
    /// The same: only this region's gateways.
    pub aud: String,
    /// The agent.
    pub sub: AgentId,
    /// Made at, seconds since 1970.
    pub iat: i64,
    /// Dead at.
    pub exp: i64,
    /// Unique.
    pub jti: String,
    /// The agent's process.
    pub inc: Incarnation,
    /// The agent's epoch: a token of an older one is dead.
    pub epo: i64,
    /// The certificate.
    pub cnf: CertificateBinding,
}

/// RFC 8705, 3.1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateBinding {
    /// base64url SHA-256 of the certificate's DER.
    #[serde(rename = "x5t#S256")]
    pub x5t_s256: String,
}

/// `GET /agent/v1/assignments?after=N&wait_ms=M`: what should run here. Long poll.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Assignments {
    /// Rises with each change; the next poll says `after`.
    pub version: u64,
    /// All of them.
    pub items: Vec<Assignment>,
}

/// One workload that should run, or wait to run, on this agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The workload.
    pub workload: WorkloadId,
    /// Its name.
    pub name: String,
    /// What must be leased before it starts.
    pub resource: ResourceId,
    /// How to run it.
    pub driver: Driver,
}

/// How a workload runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Driver {
    /// A supervised child in its own process group.
    Process {
        /// Program and arguments.
        argv: Vec<String>,
        /// The volume whose guard must accept the fence; a file.
        volume: String,
    },
}

/// `POST /agent/v1/assignments/status`: what runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssignmentStatus {
    /// The workload.
    pub workload: WorkloadId,
    /// Its state here.
    pub state: WorkloadState,
    /// One sentence for people.
    pub detail: String,
    /// The fence under which it runs.
    pub fence: Option<Fence>,
}

/// The state of a workload on one agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkloadState {
    /// Waiting for the lease.
    Waiting,
    /// Running under the lease.
    Running,
    /// Stopped, and nothing of it is left.
    Stopped,
    /// It ended by itself, or could not start.
    Failed,
    /// The guard refused the fence.
    Fenced,
}

impl WorkloadState {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Waiting, Self::Running, Self::Stopped, Self::Failed, Self::Fenced];

    /// The word in the database and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Fenced => "fenced",
        }
    }

    /// The state of a word; none for any other.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// `POST /agent/v1/leases`: long poll.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RequestLease {
    /// What to lease.
    pub resource: ResourceId,
    /// For what.
    pub actions: Vec<Action>,
    /// Random; the grant carries it.
    pub nonce: String,
    /// How long to wait while another holds it, at most 30,000.
    pub wait_ms: u64,
}

/// The answer with a grant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Granted {
    /// `granted`, or `already-held` by the same incarnation.
    pub verdict: GrantVerdict,
    /// The lease.
    pub lease: LeaseId,
    /// The signed grant.
    pub grant: String,
    /// Its fence.
    pub fence: Fence,
    /// Rises with each grant and renewal.
    pub seq: u64,
    /// How long the lease lasts, counted by the agent from before it asked.
    pub ttl_ms: u64,
}

/// How a grant came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GrantVerdict {
    /// The resource was free.
    Granted,
    /// The same incarnation holds it; the fence is the same.
    AlreadyHeld,
}

/// One lease as its holder names it: all three must match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The lease.
    pub lease: LeaseId,
    /// The resource.
    pub resource: ResourceId,
    /// The fence.
    pub fence: Fence,
}

/// `POST /agent/v1/leases/renew`, and `/release`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HeldBatch {
    /// At most 256.
    pub leases: Vec<Held>,
}

/// The answer to a renewal or release: one verdict for each lease, in order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Verdicts {
    /// In the order of the request.
    pub verdicts: Vec<Verdict>,
}

/// The verdict on one lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Good for another TTL.
    Renewed,
    /// Another holds it, or its total life is over.
    Lost,
    /// Being revoked: stop now and acknowledge by releasing.
    Revoking,
    /// It is released.
    Released,
    /// No such lease of this holder.
    Unknown,
}

/// `POST /agent/v1/heartbeat`, each 30 s.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Software version.
    pub software: String,
    /// The highest fence that a guard on this host has refused or seen, by resource.
    pub fences: Vec<(ResourceId, Fence)>,
    /// The agent's wall clock, milliseconds since 1970.
    pub clock_ms: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_has_one_word_everywhere() {
        for state in WorkloadState::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
            assert_eq!(WorkloadState::parse(state.as_str()), Some(state));
        }
        assert_eq!(WorkloadState::parse("Running"), None);
    }
}
