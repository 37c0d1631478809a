//! Messages between gateway and global, beside the passport: joining, renewal, acknowledgement.
use crate::user_token::Version;
use exarch_common_base::{RegionId, Slug};
use serde::{Deserialize, Serialize};

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
}
