//! An agent that proved both its factors; what handlers of agents' routes ask for.
use super::unauthenticated;
use crate::audit::Origin;
use axum::http::request::Parts;
use exarch_common_base::{AgentId, Ambient, ClusterId, TenantId};
use exarch_common_http::Problem;
use exarch_common_pg::{Clusters, InTenant, TenantContext};
use exarch_common_wire::{
    audit::{Actor, Entry},
    grant::Incarnation,
};
use std::sync::Arc;

/// One process of one agent. Its tenant and cluster come from the database, never from what it sends.
#[derive(Clone, Debug)]
pub struct AgentCaller {
    /// The agent.
    pub id: AgentId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Where it works; other clusters do not exist for it.
    pub cluster: ClusterId,
    /// Its name.
    pub name: Arc<str>,
    /// The start of its process.
    pub incarnation: Incarnation,
    /// The request, and from where it came.
    pub origin: Origin,
}

impl AgentCaller {
    /// Something that the agent did, for the audit.
    pub fn entry(&self, ambient: &Ambient, action: &str, target_kind: &str, target_id: impl ToString) -> Entry {
        let actor = Actor::new("agent", self.id);
        self.origin
            .stamp(Entry::new(ambient, self.tenant, actor, action, target_kind, target_id))
    }
}

impl InTenant for AgentCaller {
    fn tenant_context(&self) -> TenantContext {
        TenantContext {
            tenant: self.tenant,
            clusters: Clusters::Only(vec![self.cluster]),
            actor: self.id.to_string(),
        }
    }
}

impl<S: Send + Sync> axum::extract::FromRequestParts<S> for AgentCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // A handler that asks for an agent on a route that admits anyone gets none.
        parts.extensions.get().cloned().ok_or_else(unauthenticated)
    }
}
