//! What the sections of a passport hold.
use super::{Entry, Refusal, from_cbor, to_cbor};
use crate::{api_key::Verifier, federation::AuthorityKey, user_token::Version};
use exarch_common_base::{BreakGlassId, EntitlementId, KeyId, MembershipId, SessionId, Slug, TenantId, UserId};
use exarch_common_crypto::hash::sha256;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Id of the section with the keys that verify users' tokens.
pub const KEYS: &str = "keys";
/// Id of the section with the authority's keys.
pub const AUTHORITY: &str = "authority";
/// Id of the section with what was revoked and is still of interest.
pub const REVOCATIONS: &str = "revocations";

/// Id of a tenant's section.
pub fn tenant_section(tenant: TenantId) -> String {
    format!("tenant/{tenant}")
}

/// Keys that verify users' tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// The issuer in those tokens.
    pub issuer: String,
    /// ES256 keys, published before they sign and kept until their last token is dead.
    pub keys: Vec<UserKey>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserKey {
    /// Its key id.
    pub kid: String,
    /// Uncompressed point on P-256, base64url.
    pub public: String,
}

/// The authority's keys: the present one and, before it signs, the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authority {
    /// Signs now.
    pub current: AuthorityKey,
    /// Will sign.
    pub next: Option<AuthorityKey>,
}

/// Sessions that were ended before their time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocations {
    /// With the time, seconds since 1970, after which nobody need remember.
    pub sessions: BTreeMap<SessionId, i64>,
}

/// What a region knows of one tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// The tenant.
    pub id: TenantId,
    /// Its slug.
    pub slug: Slug,
    /// Its name.
    pub name: String,
    /// `active`, `suspended(billing)`, … as `TenantState` of common/authz spells it; an unknown word counts as an incident.
    pub state: String,
    /// Its right to be here.
    pub entitlement: Entitlement,
    /// People with a membership that reaches this region.
    pub users: Vec<User>,
    /// Their roles.
    pub memberships: Vec<Membership>,
    /// Roles that the tenant made for itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub custom_roles: Vec<CustomRole>,
    /// Keys of this region, and those that are federated, whose owners' memberships reach it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub api_keys: Vec<ApiKey>,
}

/// A tenant's right to a region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entitlement {
    /// Its id.
    pub id: EntitlementId,
    /// Seconds since 1970.
    pub from: i64,
    /// Seconds since 1970; open when absent.
    pub until: Option<i64>,
    /// At most so many; unlimited when absent.
    pub clusters: Option<u32>,
    /// Hosts.
    pub hosts: Option<u32>,
    /// Leases active at one time.
    pub leases: Option<u32>,
}

/// A person, as far as a region must know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The user.
    pub id: UserId,
    /// How the person is shown.
    pub display_name: String,
    /// `active`; anything else is not.
    pub state: String,
}

/// A role of a tenant's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomRole {
    /// Under which memberships and the region's own bindings name it; it comes before a preset of the same name.
    pub name: String,
    /// Where it is bound: `tenant` or `cluster`; another word gives nothing.
    pub scope: String,
    /// Names of permissions; one that the region does not know gives nothing.
    pub permissions: Vec<String>,
}

/// A person's roles in a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The membership: what rests on it in the region ends with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<MembershipId>,
    /// The user.
    pub user: UserId,
    /// Names of tenant-scope roles.
    pub roles: Vec<String>,
    /// Seconds since 1970; open when absent.
    pub until: Option<i64>,
    /// The approved break-glass that it is: of the provider's staff, with roles that no other membership has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<BreakGlassId>,
}

/// An API key. It gives what its role and its owner both hold when it is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// The key.
    pub id: KeyId,
    /// Its owner: it gives nothing without this membership.
    pub membership: MembershipId,
    /// Name of a tenant-scope role.
    pub role: String,
    /// From where a key of this region may be used; from anywhere when empty. One that the region cannot read voids the key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cidrs: Vec<String>,
    /// Seconds since 1970; open when absent.
    pub until: Option<i64>,
    /// What verifies a key of this region. A federated one has nothing here: its secret is known to the global alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<KeySecret>,
}

/// A secret of a key: the present one, or for a while the one before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySecret {
    /// Its digest.
    pub verifier: Verifier,
    /// Seconds since 1970; as long as the key when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
}

/// The sections that this version knows, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// Users' keys.
    pub keys: Keys,
    /// The authority.
    pub authority: Authority,
    /// Revocations.
    pub revocations: Revocations,
    /// Tenants with the version of their section.
    pub tenants: BTreeMap<TenantId, (Version, Tenant)>,
}

impl Contents {
    /// Checks and reads every section of the list.
    pub(super) fn read<'a, 'b>(
        entries: impl Iterator<Item = &'a Entry>,
        bytes: impl Fn(&str) -> Option<&'b [u8]>,
    ) -> Result<Self, Refusal> {
        let (mut keys, mut authority, mut revocations, mut tenants) = (None, None, None, BTreeMap::new());
        for entry in entries {
            let bad = || Refusal::Section(entry.id.clone());
            let content = bytes(&entry.id).filter(|b| sha256(b) == entry.sha256).ok_or_else(bad)?;
            match entry.id.as_str() {
                KEYS => keys = Some(from_cbor::<Keys>(content).ok_or_else(bad)?),
                AUTHORITY => authority = Some(from_cbor::<Authority>(content).ok_or_else(bad)?),
                REVOCATIONS => revocations = Some(from_cbor::<Revocations>(content).ok_or_else(bad)?),
                id => match id.strip_prefix("tenant/") {
                    Some(tenant_id) => {
                        let tenant: Tenant = from_cbor(content).ok_or_else(bad)?;
                        if tenant.id.to_string() != tenant_id {
                            return Err(bad());
                        }
                        tenants.insert(tenant.id, (entry.version, tenant));
                    }
                    None if entry.critical => return Err(Refusal::UnknownCritical(entry.id.clone())),
                    None => {}
                },
            }
        }
        Ok(Self {
            keys: keys.ok_or_else(|| Refusal::Section(KEYS.into()))?,
            authority: authority.ok_or_else(|| Refusal::Section(AUTHORITY.into()))?,
            revocations: revocations.ok_or_else(|| Refusal::Section(REVOCATIONS.into()))?,
            tenants,
        })
    }
}

/// The bytes of a section's content.
pub fn section_bytes(content: &impl Serialize) -> Vec<u8> {
    to_cbor(content)
}
