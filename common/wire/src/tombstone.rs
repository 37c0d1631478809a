//! The tombstone: what tells a region that the federation has removed it. Signed by the cluster authority like its passport,
//! so it needs no secret between the two any more, and may be told by anybody.
use exarch_common_base::RegionId;
use exarch_common_crypto::{
    cose::{self, CoseError},
    sign::{KeyError, PublicKey, SigningKey},
};
use serde::{Deserialize, Serialize};

const CONTEXT: &[u8] = b"exarch-tombstone-v1";

/// Member of the 410 `region-removed` that carries one, base64url.
pub const MEMBER: &str = "tombstone";

/// A region is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tombstone {
    /// Which.
    pub region: RegionId,
    /// Since when, seconds since 1970 by the global's clock.
    pub removed_at: i64,
}

/// Why a tombstone is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A signature or form is bad.
    #[error("the tombstone is not signed by the cluster authority: {0}")]
    Signature(#[from] CoseError),
    /// Signed, but not readable.
    #[error("the tombstone cannot be read")]
    Unreadable,
    /// Another region's.
    #[error("the tombstone is another region's")]
    OtherRegion,
}

impl Tombstone {
    /// Signs it: COSE_Sign1 over CBOR.
    ///
    /// # Errors
    /// The authority's key is no Ed25519 key, or the module refused.
    pub fn sign(&self, authority: &SigningKey, kid: &str) -> Result<Vec<u8>, KeyError> {
        let mut payload = Vec::new();
        ciborium::into_writer(self, &mut payload).expect("plain structures serialize to memory");
        cose::sign(authority, kid, CONTEXT, payload)
    }

    /// Reads that of `region`.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn read(
        bytes: &[u8],
        region: RegionId,
        authority: impl FnOnce(&str) -> Option<PublicKey>,
    ) -> Result<Self, Refusal> {
        let payload = cose::verify(bytes, CONTEXT, authority)?;
        let read: Self = ciborium::from_reader(payload.as_slice()).map_err(|_| Refusal::Unreadable)?;
        if read.region != region {
            return Err(Refusal::OtherRegion);
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use exarch_common_base::Ambient;
    use exarch_common_crypto::sign::Algorithm;

    #[test]
    fn a_tombstone_is_believed_by_its_region_and_from_the_authority_alone() {
        let (ours, theirs): (RegionId, RegionId) = (Ambient::system().id(), Ambient::system().id());
        let (key, other) = (
            SigningKey::generate(Algorithm::Ed25519).unwrap(),
            SigningKey::generate(Algorithm::Ed25519).unwrap(),
        );
        let tombstone = Tombstone {
            region: ours,
            removed_at: 1_000,
        };
        let bytes = tombstone.sign(&key, "a1").unwrap();
        let by = |signer: &SigningKey| {
            let public = signer.public();
            move |kid: &str| (kid == "a1").then_some(public)
        };
        assert_eq!(Tombstone::read(&bytes, ours, by(&key)), Ok(tombstone));
        assert_eq!(Tombstone::read(&bytes, theirs, by(&key)), Err(Refusal::OtherRegion));
        assert!(matches!(
            Tombstone::read(&bytes, ours, by(&other)),
            Err(Refusal::Signature(_))
        ));
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x20;
            assert_ne!(Tombstone::read(&flipped, theirs, by(&key)), Ok(tombstone), "byte {at}");
        }
    }

    #[test]
    fn what_else_the_authority_signs_is_no_tombstone() {
        let region: RegionId = Ambient::system().id();
        let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let statement = crate::passport::Statement {
            region,
            version: crate::user_token::Version(1, 1),
            manifest: [0; 32],
            as_of: 1_000,
        };
        let bytes = crate::passport::sign_statement(&key, "a1", &statement).unwrap();
        let read = Tombstone::read(&bytes, region, |_| Some(key.public()));
        assert!(matches!(read, Err(Refusal::Signature(_))), "{read:?}");
    }
}
