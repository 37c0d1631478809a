//! A lease as people see it.
use super::lease::LeaseState;
use exarch_common_base::{AgentId, ClusterId, Fence, LeaseId, ResourceId};
use exarch_common_wire::grant::Incarnation;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

/// Which leases.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct LeaseFilter {
    /// On this resource alone.
    #[param(value_type = Option<String>, pattern = "^res_[0-9a-f]{32}$")]
    pub(super) resource_id: Option<ResourceId>,
    /// Of this agent alone.
    #[param(value_type = Option<String>, pattern = "^agt_[0-9a-f]{32}$")]
    pub(super) agent_id: Option<AgentId>,
    /// In this state alone.
    pub(super) state: Option<LeaseState>,
}

/// One lease.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LeaseOut {
    #[schema(value_type = String, pattern = "^lse_[0-9a-f]{32}$")]
    pub(super) id: LeaseId,
    #[schema(value_type = String, pattern = "^clu_[0-9a-f]{32}$")]
    pub(super) cluster_id: ClusterId,
    #[schema(value_type = String, pattern = "^res_[0-9a-f]{32}$")]
    pub(super) resource_id: ResourceId,
    /// The resource's name.
    pub(super) resource: String,
    /// The holder.
    #[schema(value_type = String, pattern = "^agt_[0-9a-f]{32}$")]
    pub(super) agent_id: AgentId,
    /// The holder's name.
    pub(super) agent: String,
    /// Which start of the holder's process.
    #[schema(value_type = String)]
    pub(super) incarnation: Incarnation,
    /// What it permits.
    pub(super) actions: Vec<String>,
    /// `epoch.generation`; higher than that of any lease of the resource before.
    #[schema(value_type = String, example = "1.42")]
    pub(super) fence: Fence,
    /// Rises with each grant on the resource and each renewal.
    pub(super) seq: u64,
    /// How long a grant or renewal lasts.
    pub(super) ttl_ms: u64,
    pub(super) state: LeaseState,
    /// For people: no decision reads the times.
    #[serde(with = "time::serde::rfc3339")]
    pub(super) granted_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub(super) expires_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    pub(super) ended_at: Option<OffsetDateTime>,
    /// While it is held: how much longer this gateway must see it unchanged before the resource is free.
    pub(super) remaining_ms: Option<u64>,
}
