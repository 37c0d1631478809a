//! The tenant in force, told by every answer to a caller who has one: what was done, was done there.
use axum::{
    http::{Extensions, HeaderName, HeaderValue},
    response::Response,
};
use exarch_common_base::TenantId;

/// The header.
pub const TENANT: HeaderName = HeaderName::from_static("exarch-tenant");

/// The tenant in force: a gate puts it into the extensions of a request as soon as it knows the caller, whether or not it
/// admits the request then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InForce(pub TenantId);

impl InForce {
    /// As the gate found it.
    pub(crate) fn of(extensions: &Extensions) -> Option<Self> {
        extensions.get().copied()
    }

    /// Says it in an answer.
    pub(crate) fn tell(in_force: Option<Self>, mut response: Response) -> Response {
        let value = in_force.and_then(|Self(tenant)| HeaderValue::try_from(tenant.to_string()).ok());
        if let Some(value) = value {
            response.headers_mut().insert(TENANT, value);
        }
        response
    }
}
