//! Who may ask for regions: a person with a session, or a federated key in the place of its owner.
use crate::{api_keys::Holder, app::App, gate::Who, memberships::Seat};
use axum::{extract::FromRequestParts, http::request::Parts};
use exarch_common_authz::Principal;
use exarch_common_base::TenantId;
use exarch_common_http::Problem;
use exarch_common_pg::TenantContext;
use exarch_common_wire::audit::Entry;

/// One who asks.
#[derive(Clone, Debug)]
pub(super) enum Entrant {
    /// A person.
    Person(Who),
    /// A key.
    Key(Holder),
}

impl Entrant {
    /// Who it is.
    pub fn principal(&self) -> Principal {
        match self {
            Self::Person(who) => who.caller().principal(),
            Self::Key(key) => Principal::ApiKey(key.id),
        }
    }

    /// The place that decides which regions it reaches; none for a person without a tenant in force.
    pub fn seat(&self) -> Option<&Seat> {
        match self {
            Self::Person(who) => who.seat(),
            Self::Key(key) => Some(&key.seat),
        }
    }

    /// Context of a transaction in the tenant of that place.
    pub fn acting_in(&self, tenant: TenantId) -> TenantContext {
        match self {
            Self::Person(who) => who.acting_in(tenant),
            Self::Key(key) => key.acting(),
        }
    }

    /// An audit entry about what it does.
    pub fn entry(&self, app: &App, tenant: TenantId, action: &str, target: (&str, impl ToString)) -> Entry {
        match self {
            Self::Person(who) => who.entry(app, tenant, action, target),
            Self::Key(key) => key.entry(app, action, target),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Entrant {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        if let Some(key) = parts.extensions.get::<Holder>() {
            return Ok(Self::Key(key.clone()));
        }
        Who::from_request_parts(parts, state).await.map(Self::Person)
    }
}
