//! COSE_Sign1 (RFC 9052, 4.2) with Ed25519 over a CBOR payload, the form of passports.
use crate::sign::{Algorithm, KeyError, PublicKey, SigningKey};
use coset::{CborSerializable, CoseSign1, CoseSign1Builder, HeaderBuilder, RegisteredLabelWithPrivate, iana};

/// Why a signed message is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CoseError {
    /// Not a COSE_Sign1 with a payload.
    #[error("malformed signed message")]
    Malformed,
    /// The protected header names another algorithm, another key id, or something critical.
    #[error("signed message of another kind")]
    Kind,
    /// No key of that id.
    #[error("unknown key id")]
    UnknownKey,
    /// The signature does not match.
    #[error("bad signature")]
    Signature,
}

/// Signs `payload` with an Ed25519 key. `context` is the external data that separates kinds of messages.
///
/// # Errors
/// The key is of another algorithm, or the module refused.
pub fn sign(key: &SigningKey, kid: &str, context: &[u8], payload: Vec<u8>) -> Result<Vec<u8>, KeyError> {
    if key.algorithm() != Algorithm::Ed25519 {
        return Err(KeyError::Malformed);
    }
    let protected = HeaderBuilder::new()
        .algorithm(iana::Algorithm::EdDSA)
        .key_id(kid.as_bytes().to_vec())
        .build();
    CoseSign1Builder::new()
        .protected(protected)
        .payload(payload)
        .try_create_signature(context, |input| key.sign(input))?
        .build()
        .to_vec()
        .map_err(|_| KeyError::Module)
}

/// Verifies a message and returns its payload.
///
/// # Errors
/// [`CoseError`].
pub fn verify(
    message: &[u8],
    context: &[u8],
    keys: impl FnOnce(&str) -> Option<PublicKey>,
) -> Result<Vec<u8>, CoseError> {
    let message = CoseSign1::from_slice(message).map_err(|_| CoseError::Malformed)?;
    let header = &message.protected.header;
    // Only what is protected counts; an unprotected header could be changed on the way.
    if header.alg != Some(RegisteredLabelWithPrivate::Assigned(iana::Algorithm::EdDSA))
        || !header.crit.is_empty()
        || !message.unprotected.is_empty()
    {
        return Err(CoseError::Kind);
    }
    let kid = std::str::from_utf8(&header.key_id).map_err(|_| CoseError::Kind)?;
    let key = keys(kid)
        .filter(|k| k.algorithm() == Algorithm::Ed25519)
        .ok_or(CoseError::UnknownKey)?;
    message
        .verify_signature(
            context,
            |signature, input| if key.verify(input, signature) { Ok(()) } else { Err(()) },
        )
        .map_err(|()| CoseError::Signature)?;
    message.payload.ok_or(CoseError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_reads_back_in_its_context_under_its_key_only() {
        let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let message = sign(&key, "a1", b"manifest", b"payload".to_vec()).unwrap();
        let known = |kid: &str| (kid == "a1").then(|| key.public());
        assert_eq!(verify(&message, b"manifest", known), Ok(b"payload".to_vec()));
        assert_eq!(verify(&message, b"statement", known), Err(CoseError::Signature));
        assert_eq!(verify(&message, b"manifest", |_| None), Err(CoseError::UnknownKey));
        for bit in 0..message.len() * 8 {
            let mut other = message.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(verify(&other, b"manifest", known).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn only_ed25519_signs() {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        assert_eq!(sign(&key, "a", b"", vec![]), Err(KeyError::Malformed));
    }
}
