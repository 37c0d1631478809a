//! Messages between gateway and global, beside the passport: joining, renewal, acknowledgement.
//!
//! Bodies are JSON, both ways; a passport alone travels as CBOR ([`CBOR`]).
use crate::user_token::Version;
use exarch_common_base::{KeyId, RegionId, Slug};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Media type of a [`crate::passport::Push`].
pub const CBOR: &str = "application/cbor";
/// Bytes of one range of a section at most; asking for more gives this many.
pub const MAX_RANGE: usize = 512 * 1024;

/// Where the messages go.
pub mod paths {
    /// Gateway to global, without a certificate: [`super::Join`] for [`super::Joined`].
    pub const JOIN: &str = "/federation/v1/join";
    /// Gateway to global: [`super::RenewCertificate`] for [`super::RenewedCertificate`].
    pub const CERTIFICATE: &str = "/federation/v1/certificate";
    /// Gateway to global: [`super::AgentCa`], answered 204.
    pub const AGENT_CA: &str = "/federation/v1/agent-ca";
    /// Gateway to global: `?have=G.V` (left out: nothing) for a push; global to gateway: the push as the body, answered
    /// 2xx once it is taken.
    pub const PASSPORT: &str = "/federation/v1/passport";
    /// Gateway to global: `…/{id}?offset=&length=` for the bytes of a section's present contents from `offset`. Fewer
    /// than asked for means that it ends there; 404 that there is no such section.
    pub const SECTIONS: &str = "/federation/v1/passport/sections";
    /// Gateway to global: [`super::Acknowledge`], answered 204.
    pub const ACKNOWLEDGE: &str = "/federation/v1/passport/acknowledge";
    /// Gateway to global: [`super::NewSecret`], answered 204 once it is kept; the same again is answered the same.
    pub const SERVICE_SECRET: &str = "/federation/v1/service-secret";
    /// Global to gateway: [`crate::health::Probe`] for [`crate::health::ProbeAnswer`].
    pub const PROBE: &str = "/federation/v1/probe";
}

/// `POST /federation/v1/join`, ALPN `exarch-join/1`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Join {
    /// The join token.
    pub token: String,
    /// Signing request, DER in base64url.
    pub csr: String,
    /// Newest protocol that the gateway speaks.
    pub protocol: u32,
}

/// A secret of one direction, as handed over once.
#[derive(Clone, Serialize, Deserialize)]
pub struct HandedSecret {
    /// Its key id.
    pub kid: String,
    /// 32 bytes in base64url.
    pub secret: String,
}

/// Whose requests a service secret signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// The gateway's.
    Up,
    /// The global's.
    Down,
}

impl Direction {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Up, Self::Down];

    /// The word on the wire and in databases.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// `POST /federation/v1/service-secret`: the secret that follows the newest of its direction. The gateway makes it and knows
/// it already: from the answer on either side may sign with it, and both accept the one before for
/// [`crate::service::KEPT`] seconds more.
#[derive(Clone, Serialize, Deserialize)]
pub struct NewSecret {
    /// Whose requests it signs.
    pub direction: Direction,
    /// The secret.
    pub secret: HandedSecret,
}

/// An Ed25519 key of the cluster authority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorityKey {
    /// Its key id.
    pub kid: String,
    /// 32 bytes in base64url.
    pub public: String,
}

/// The answer to [`Join`]. Both sides keep the secrets sealed.
#[derive(Clone, Serialize, Deserialize)]
pub struct Joined {
    /// The region.
    pub region: RegionId,
    /// Its slug.
    pub slug: Slug,
    /// Its name for people.
    pub name: String,
    /// Its certificate, DER in base64url.
    pub certificate: String,
    /// The federation's authority, DER in base64url.
    pub federation_ca: String,
    /// What signs passports.
    pub authority: AuthorityKey,
    /// Issuer of user tokens.
    pub issuer: String,
    /// Secret of the gateway's requests.
    pub up: HandedSecret,
    /// Secret of the global's requests.
    pub down: HandedSecret,
}

/// `POST /federation/v1/agent-ca`: the fingerprint of the region's own agent authority.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AgentCa {
    /// `sha256:…`.
    pub fingerprint: String,
}

/// `POST /federation/v1/certificate`: renewal, signed by the certificate in use.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RenewCertificate {
    /// Signing request of the same key, DER in base64url.
    pub csr: String,
}

/// The answer to [`RenewCertificate`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RenewedCertificate {
    /// DER in base64url.
    pub certificate: String,
}

/// `POST /federation/v1/passport/acknowledge`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledge {
    /// What every live replica has applied.
    pub applied: Version,
    /// Until when this region may decide by it: `as_of` of its statement, seconds since 1970.
    pub as_of: i64,
    /// A push that was refused, and why.
    pub refused: Option<(Version, String)>,
    /// API keys of this region that were used since this was told last, with the day: days since 1970.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub keys_used: BTreeMap<KeyId, i64>,
}
