//! The passport: what a region must know from the centre to govern alone, signed and versioned.
//!
//! A [`Manifest`] names, by a digest over the sorted list of entries, exactly one content of each section; a
//! [`Statement`] says when the global last stood by that manifest. Neither expires: age selects what may still be done
//! (see [`Tier`]), it never makes a passport invalid.
mod sections;

pub use sections::*;

use crate::user_token::Version;
use exarch_common_base::RegionId;
use exarch_common_crypto::{
    cose::{self, CoseError},
    hash::sha256,
    sign::{KeyError, PublicKey, SigningKey},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;

const MANIFEST_CONTEXT: &[u8] = b"exarch-passport-manifest-v1";
const STATEMENT_CONTEXT: &[u8] = b"exarch-passport-statement-v1";

/// Which content of the region's passport is the present one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// For this region only.
    pub region: RegionId,
    /// Strictly rising.
    pub version: Version,
    /// Oldest and newest protocol by which the sections can be read.
    pub protocol: (u32, u32),
    /// [`entries_digest`] of the list of entries.
    #[serde(with = "bytes32")]
    pub entries: [u8; 32],
}

/// When the global last stood by a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// For this region only.
    pub region: RegionId,
    /// The manifest's version.
    pub version: Version,
    /// SHA-256 of the signed manifest's bytes.
    #[serde(with = "bytes32")]
    pub manifest: [u8; 32],
    /// Seconds since 1970 by the global's clock.
    pub as_of: i64,
}

/// One section in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// `keys`, `authority`, `revocations`, or `tenant/ten_…`.
    pub id: String,
    /// The passport version that last changed it.
    pub version: Version,
    /// SHA-256 of its bytes.
    #[serde(with = "bytes32")]
    pub sha256: [u8; 32],
    /// A gateway that does not know this kind of section must refuse the passport.
    pub critical: bool,
}

/// What travels: `GET /federation/v1/passport?have=G.V` and the body of a push.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Push {
    /// Signed [`Statement`].
    #[serde(with = "serde_bytes_vec")]
    pub statement: Vec<u8>,
    /// Signed [`Manifest`].
    #[serde(with = "serde_bytes_vec")]
    pub manifest: Vec<u8>,
    /// Entries that changed since the version asked for.
    pub entries: Vec<Entry>,
    /// Ids of sections that are gone since.
    pub gone: Vec<String>,
    /// Contents of the changed entries that fit; the others are fetched one by one.
    pub sections: BTreeMap<String, SectionBytes>,
}

/// The bytes of one section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SectionBytes(#[serde(with = "serde_bytes_vec")] pub Vec<u8>);

/// Why a passport is not applied. The last good one stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A signature or form is bad.
    #[error("the {0} is not signed by the cluster authority: {1}")]
    Signature(&'static str, CoseError),
    /// Signed, but not readable.
    #[error("the {0} cannot be read")]
    Unreadable(&'static str),
    /// For another region.
    #[error("it is for another region")]
    OtherRegion,
    /// Not above what was applied before.
    #[error("version {0} is below the highest seen, {1}")]
    Lower(Version, Version),
    /// The statement is about another manifest.
    #[error("the statement is about another manifest")]
    OtherManifest,
    /// A protocol that this version does not speak.
    #[error("it needs protocol {0} or later")]
    Protocol(u32),
    /// The list of sections is not the one signed.
    #[error("the list of sections is not the one that was signed")]
    Entries,
    /// A section is missing, altered or unreadable.
    #[error("section {0} is missing, altered or unreadable")]
    Section(String),
    /// A critical section of a kind that this version does not know.
    #[error("section {0} is critical and unknown to this version")]
    UnknownCritical(String),
}

fn to_cbor(value: &impl Serialize) -> Vec<u8> {
    let mut out = Vec::new();
    ciborium::into_writer(value, &mut out).expect("plain structures serialize to memory");
    out
}

fn from_cbor<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    ciborium::from_reader(bytes).ok()
}

/// SHA-256 over the CBOR of the entries, sorted by id.
pub fn entries_digest<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> [u8; 32] {
    let sorted: BTreeMap<&str, &Entry> = entries.into_iter().map(|e| (e.id.as_str(), e)).collect();
    sha256(&to_cbor(
        &sorted
            .values()
            .map(|e| (&e.id, e.version, hex::encode(e.sha256), e.critical))
            .collect::<Vec<_>>(),
    ))
}

/// Signs a manifest.
///
/// # Errors
/// The authority's key is no Ed25519 key, or the module refused.
pub fn sign_manifest(authority: &SigningKey, kid: &str, manifest: &Manifest) -> Result<Vec<u8>, KeyError> {
    cose::sign(authority, kid, MANIFEST_CONTEXT, to_cbor(manifest))
}

/// Signs a statement.
///
/// # Errors
/// As [`sign_manifest`].
pub fn sign_statement(authority: &SigningKey, kid: &str, statement: &Statement) -> Result<Vec<u8>, KeyError> {
    cose::sign(authority, kid, STATEMENT_CONTEXT, to_cbor(statement))
}

/// Verifies a statement alone: the answer to a poll when nothing changed.
///
/// # Errors
/// [`Refusal`].
pub fn read_statement(bytes: &[u8], authority: impl FnOnce(&str) -> Option<PublicKey>) -> Result<Statement, Refusal> {
    let payload = cose::verify(bytes, STATEMENT_CONTEXT, authority).map_err(|e| Refusal::Signature("statement", e))?;
    from_cbor(&payload).ok_or(Refusal::Unreadable("statement"))
}

/// A whole passport, as stored on disk and in the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passport {
    /// Signed [`Statement`].
    #[serde(with = "serde_bytes_vec")]
    pub statement: Vec<u8>,
    /// Signed [`Manifest`].
    #[serde(with = "serde_bytes_vec")]
    pub manifest: Vec<u8>,
    /// All entries, by id.
    pub entries: BTreeMap<String, Entry>,
    /// All contents, by id.
    pub sections: BTreeMap<String, SectionBytes>,
}

/// A passport whose every byte was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The manifest.
    pub manifest: Manifest,
    /// The statement.
    pub statement: Statement,
    /// The sections of kinds that this version knows.
    pub contents: Contents,
}

impl Passport {
    /// The passport after `push`, still to be verified. Contents that are neither in the push nor held already, or
    /// that have changed, are `missing`: fetch them and call [`Passport::verify`].
    pub fn after(before: Option<&Self>, push: &Push) -> (Self, Vec<Entry>) {
        let mut next = before.cloned().unwrap_or_else(|| Self {
            statement: Vec::new(),
            manifest: Vec::new(),
            entries: BTreeMap::new(),
            sections: BTreeMap::new(),
        });
        next.statement.clone_from(&push.statement);
        next.manifest.clone_from(&push.manifest);
        for id in &push.gone {
            next.entries.remove(id);
            next.sections.remove(id);
        }
        for entry in &push.entries {
            next.entries.insert(entry.id.clone(), entry.clone());
            if let Some(bytes) = push.sections.get(&entry.id) {
                next.sections.insert(entry.id.clone(), bytes.clone());
            }
        }
        let fits = |e: &&Entry| next.sections.get(&e.id).is_some_and(|s| sha256(&s.0) == e.sha256);
        let missing = next.entries.values().filter(|e| !fits(e)).cloned().collect();
        (next, missing)
    }

    /// Checks everything: signatures, region, version against the high-water mark, statement, protocol, list and every
    /// section.
    ///
    /// # Errors
    /// [`Refusal`]; nothing was changed.
    pub fn verify(
        &self,
        region: RegionId,
        authority: impl Fn(&str) -> Option<PublicKey>,
        highest_seen: Option<Version>,
    ) -> Result<Verified, Refusal> {
        let payload = cose::verify(&self.manifest, MANIFEST_CONTEXT, &authority)
            .map_err(|e| Refusal::Signature("manifest", e))?;
        let manifest: Manifest = from_cbor(&payload).ok_or(Refusal::Unreadable("manifest"))?;
        let statement = read_statement(&self.statement, &authority)?;
        if manifest.region != region || statement.region != region {
            return Err(Refusal::OtherRegion);
        }
        if let Some(highest) = highest_seen.filter(|h| manifest.version < *h) {
            return Err(Refusal::Lower(manifest.version, highest));
        }
        if statement.version != manifest.version || statement.manifest != sha256(&self.manifest) {
            return Err(Refusal::OtherManifest);
        }
        if manifest.protocol.0 > crate::PROTOCOL {
            return Err(Refusal::Protocol(manifest.protocol.0));
        }
        let ids_agree = self.entries.iter().all(|(id, entry)| *id == entry.id);
        if !ids_agree || entries_digest(self.entries.values()) != manifest.entries {
            return Err(Refusal::Entries);
        }
        let contents = Contents::read(self.entries.values(), |id| {
            self.sections.get(id).map(|s| s.0.as_slice())
        })?;
        Ok(Verified {
            manifest,
            statement,
            contents,
        })
    }

    /// The bytes for the disk.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_cbor(self)
    }

    /// From the disk; still to be verified.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        from_cbor(bytes)
    }
}

impl Push {
    /// The bytes for the wire (CBOR).
    pub fn to_bytes(&self) -> Vec<u8> {
        to_cbor(self)
    }

    /// From the wire.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        from_cbor(bytes)
    }
}

/// What age leaves of a passport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// Everything.
    Fresh,
    /// No enrolment, no cluster-scope role changes, no credential reveal, no key operations, no forced revokes.
    Stale,
    /// No writes of users and keys.
    Old,
    /// No users and keys.
    Expired,
}

impl Tier {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Stale => "stale",
            Self::Old => "old",
            Self::Expired => "expired",
        }
    }
}

/// The ages, in seconds, up to which a passport is fresh, stale and old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TierLimits {
    /// 15 min by default.
    pub fresh: u64,
    /// 24 h by default.
    pub stale: u64,
    /// 72 h by default.
    pub old: u64,
}

impl Default for TierLimits {
    fn default() -> Self {
        Self {
            fresh: 15 * 60,
            stale: 24 * 3600,
            old: 72 * 3600,
        }
    }
}

impl TierLimits {
    /// The tier at an age in seconds.
    pub const fn tier(&self, age: u64) -> Tier {
        if age <= self.fresh {
            Tier::Fresh
        } else if age <= self.stale {
            Tier::Stale
        } else if age <= self.old {
            Tier::Old
        } else {
            Tier::Expired
        }
    }
}

mod bytes32 {
    use serde::{Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(bytes: &[u8; 32], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_bytes(bytes)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<[u8; 32], D::Error> {
        super::serde_bytes_vec::deserialize(d)?
            .try_into()
            .map_err(|_| D::Error::custom("expected 32 bytes"))
    }
}

mod serde_bytes_vec {
    use serde::{Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(bytes: &[u8], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_bytes(bytes)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl<'de> de::Visitor<'de> for Bytes {
            type Value = Vec<u8>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: de::Error>(self, v: &[u8]) -> Result<Vec<u8>, E> {
                Ok(v.to_vec())
            }
            fn visit_byte_buf<E: de::Error>(self, v: Vec<u8>) -> Result<Vec<u8>, E> {
                Ok(v)
            }
        }
        d.deserialize_byte_buf(Bytes)
    }
}

#[cfg(test)]
mod tests;
