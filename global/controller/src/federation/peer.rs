//! A region as the caller of a request, once everything about the request was checked.
use axum::{extract::FromRequestParts, http::request::Parts};
use exarch_common_base::RegionId;
use exarch_common_http::{PeerBody, Problem};
use exarch_common_wire::{audit::Actor, service::ServiceKey};
use serde::de::DeserializeOwned;

/// Proof that a request came from this region's gateway, on this connection, whole and for the first time.
#[derive(Clone, Debug)]
pub struct PeerCaller {
    /// The region: of the certificate, the key id and the sender alike.
    pub region: RegionId,
    /// The request's number; an effect spends it.
    pub jti: String,
    /// The key of the connection's certificate, a point on P-384.
    pub public_key: Vec<u8>,
    /// Whether that certificate has expired; then it may be renewed, and nothing else was let through.
    pub expired: bool,
    /// The address it came from.
    pub address: String,
    pub(super) key: ServiceKey,
    pub(super) exporter: [u8; 32],
}

impl PeerCaller {
    /// It as an actor in the audit.
    pub fn actor(&self) -> Actor {
        Actor::new("peer", self.region)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PeerCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get().cloned().ok_or_else(super::gate::refused)
    }
}

/// Reads a message of our own protocol: members that this version does not know are ignored.
///
/// # Errors
/// 400, with the place.
pub fn read<T: DeserializeOwned>(body: &PeerBody) -> Result<T, Problem> {
    serde_json::from_slice(&body.0).map_err(|e| {
        Problem::bad_request("malformed-message").detail(format!(
            "The message is not what this path takes: see line {}, column {}.",
            e.line(),
            e.column()
        ))
    })
}
