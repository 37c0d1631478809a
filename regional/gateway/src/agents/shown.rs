//! Agents and bootstrap tokens as people see them.
use super::agent::AgentState;
use exarch_common_base::{AgentId, ClusterId, HostId, TokenId};
use exarch_common_http::Versioned;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

/// Which agents.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct AgentFilter {
    /// In this cluster alone.
    #[param(value_type = Option<String>, pattern = "^clu_[0-9a-f]{32}$")]
    pub(super) cluster_id: Option<ClusterId>,
    /// In this state alone.
    pub(super) state: Option<AgentState>,
}

/// One agent.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AgentOut {
    #[schema(value_type = String, pattern = "^agt_[0-9a-f]{32}$")]
    pub(super) id: AgentId,
    #[schema(value_type = String, pattern = "^clu_[0-9a-f]{32}$")]
    pub(super) cluster_id: ClusterId,
    /// The host it was enrolled for, if its token named one.
    #[schema(value_type = Option<String>, pattern = "^hst_[0-9a-f]{32}$")]
    pub(super) host_id: Option<HostId>,
    pub(super) name: String,
    pub(super) state: AgentState,
    #[serde(with = "time::serde::rfc3339")]
    pub(super) enrolled_at: OffsetDateTime,
    /// The address it enrolled from.
    pub(super) enrolled_from: String,
    /// The address of its last session.
    pub(super) session_from: Option<String>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub(super) certificate_until: Option<OffsetDateTime>,
    /// Software version, from its last heartbeat.
    pub(super) software: Option<String>,
    /// How far its wall clock was ahead of the gateway's.
    pub(super) clock_skew_ms: Option<i64>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub(super) last_seen_at: Option<OffsetDateTime>,
    /// Rises with each change that people make; what the agent says of itself does not count.
    pub(super) version: u64,
}

impl AgentOut {
    /// As an answer.
    pub(super) fn versioned(self) -> Versioned<Self> {
        Versioned {
            version: self.version,
            body: self,
        }
    }
}

/// One bootstrap token, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TokenOut {
    #[schema(value_type = String, pattern = "^tok_[0-9a-f]{32}$")]
    pub(super) id: TokenId,
    #[schema(value_type = String, pattern = "^clu_[0-9a-f]{32}$")]
    pub(super) cluster_id: ClusterId,
    #[schema(value_type = Option<String>, pattern = "^hst_[0-9a-f]{32}$")]
    pub(super) host_id: Option<HostId>,
    /// The name that its agent gets; without one the agent brings its own.
    pub(super) name: Option<String>,
    /// Its agent needs no approval.
    pub(super) auto: bool,
    /// `open`, `spent`, `revoked` or `expired`.
    pub(super) state: &'static str,
    #[serde(with = "time::serde::rfc3339")]
    pub(super) created_at: OffsetDateTime,
    /// Whoever made it.
    pub(super) created_by: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(super) expires_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    pub(super) spent_at: Option<OffsetDateTime>,
    /// The address of its use.
    pub(super) spent_from: Option<String>,
    /// The agent that it let in.
    #[schema(value_type = Option<String>, pattern = "^agt_[0-9a-f]{32}$")]
    pub(super) spent_by: Option<AgentId>,
}
