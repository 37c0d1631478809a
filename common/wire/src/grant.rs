//! The signed grant of a lease: what an agent shows to the guard at the volume.
use exarch_common_base::{AgentId, Fence, LeaseId, RegionId, ResourceId, TenantId};
use exarch_common_crypto::{
    jws::{self, JwsError},
    sign::{KeyError, PublicKey, SigningKey},
};
use serde::{Deserialize, Serialize};

/// `typ` of a grant.
pub const TYP: &str = "exarch-grant+jwt";

/// One start of one agent process: 128 random bits, 32 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Incarnation([u8; 16]);

impl Incarnation {
    /// From random bytes.
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl std::fmt::Display for Incarnation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl From<Incarnation> for String {
    fn from(i: Incarnation) -> Self {
        i.to_string()
    }
}

impl TryFrom<String> for Incarnation {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = hex::decode(&text).ok().and_then(|b| b.try_into().ok());
        bytes.map(Self).ok_or("an incarnation has 32 hexadecimal digits")
    }
}

/// What a lease permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Start an exclusive workload.
    Start,
    /// Make a replica the leader.
    Promote,
    /// Attach a volume.
    Attach,
    /// Detach a volume.
    Detach,
    /// Delete the resource's data.
    Delete,
}

impl Action {
    const ALL: [Self; 5] = [Self::Start, Self::Promote, Self::Attach, Self::Detach, Self::Delete];

    /// The word on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Promote => "promote",
            Self::Attach => "attach",
            Self::Detach => "detach",
            Self::Delete => "delete",
        }
    }

    /// The action of a word; none for any other.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == word)
    }
}

/// The claims of a grant. It holds no expiry: a guard judges the fence, the holder's deadline kills.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The region that granted.
    pub region: RegionId,
    /// Whose resource.
    pub tenant: TenantId,
    /// The lease.
    pub lease: LeaseId,
    /// The resource.
    pub resource: ResourceId,
    /// The holder.
    pub agent: AgentId,
    /// The holder's process.
    pub incarnation: Incarnation,
    /// What it may do.
    pub actions: Vec<Action>,
    /// The fence.
    pub fence: Fence,
    /// The request's nonce.
    pub nonce: String,
    /// How long each renewal lasts.
    pub ttl_ms: u64,
}

/// Signs a grant with the region's grant key (ES256).
///
/// # Errors
/// The module refused.
pub fn sign(key: &SigningKey, kid: &str, grant: &Grant) -> Result<String, KeyError> {
    jws::sign(key, TYP, kid, grant)
}

/// Verifies a grant.
///
/// # Errors
/// [`JwsError`].
pub fn verify(token: &str, keys: impl FnOnce(&str) -> Option<PublicKey>) -> Result<Grant, JwsError> {
    jws::verify(token, TYP, keys)
}
