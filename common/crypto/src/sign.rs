//! Signature keys: ECDSA P-256 and P-384 (FIPS 186-5) and Ed25519 (RFC 8032).
use aws_lc_rs::{
    rand::SystemRandom,
    signature::{
        self, ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED,
        ECDSA_P384_SHA384_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey,
    },
};
use std::fmt;
use zeroize::Zeroizing;

/// A signature algorithm by its name in JOSE (RFC 7518, RFC 9864).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA with P-256 and SHA-256; signatures are r‖s, 64 bytes.
    Es256,
    /// ECDSA with P-384 and SHA-384; signatures are r‖s, 96 bytes.
    Es384,
    /// Ed25519.
    Ed25519,
}

impl Algorithm {
    /// The name in a JOSE header.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Ed25519 => "Ed25519",
        }
    }
}

/// Why a key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The bytes are no PKCS#8 key of the algorithm asked for.
    #[error("not a private key of the expected algorithm")]
    Malformed,
    /// The module refused to make or use a key.
    #[error("the cryptographic module refused the operation")]
    Module,
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// A private key that signs.
pub struct SigningKey {
    algorithm: Algorithm,
    pair: Pair,
    pkcs8: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.algorithm.name())
    }
}

impl SigningKey {
    /// A new key from the module's own generator.
    ///
    /// # Errors
    /// [`KeyError::Module`].
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        let pkcs8 = match algorithm {
            Algorithm::Es256 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()),
            Algorithm::Es384 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &SystemRandom::new()),
            Algorithm::Ed25519 => Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()),
        }
        .map_err(|_| KeyError::Module)?;
        Self::from_pkcs8(algorithm, pkcs8.as_ref())
    }

    /// Reads a PKCS#8 key.
    ///
    /// # Errors
    /// [`KeyError::Malformed`] when it is not one of `algorithm`.
    pub fn from_pkcs8(algorithm: Algorithm, pkcs8: &[u8]) -> Result<Self, KeyError> {
        let pair = match algorithm {
            Algorithm::Es256 => EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map(Pair::Ecdsa),
            Algorithm::Es384 => EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, pkcs8).map(Pair::Ecdsa),
            Algorithm::Ed25519 => Ed25519KeyPair::from_pkcs8(pkcs8).map(Pair::Ed25519),
        }
        .map_err(|_| KeyError::Malformed)?;
        Ok(Self {
            algorithm,
            pair,
            pkcs8: Zeroizing::new(pkcs8.to_vec()),
        })
    }

    /// The private key, to be sealed before it is stored.
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The algorithm.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        let raw = match &self.pair {
            Pair::Ecdsa(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.public_key().as_ref().to_vec(),
        };
        PublicKey {
            algorithm: self.algorithm,
            raw,
        }
    }

    /// Signs `message`.
    ///
    /// # Errors
    /// [`KeyError::Module`].
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        match &self.pair {
            Pair::Ecdsa(pair) => {
                let signature = pair.sign(&SystemRandom::new(), message).map_err(|_| KeyError::Module)?;
                Ok(signature.as_ref().to_vec())
            }
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
        }
    }
}

/// A public key that verifies: an uncompressed point (SEC 1, 2.3.3) or 32 bytes of Ed25519.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    algorithm: Algorithm,
    raw: Vec<u8>,
}

impl PublicKey {
    /// From the raw bytes; the length must be that of `algorithm`.
    ///
    /// # Errors
    /// [`KeyError::Malformed`].
    pub fn from_raw(algorithm: Algorithm, raw: &[u8]) -> Result<Self, KeyError> {
        let good = match algorithm {
            Algorithm::Es256 => raw.len() == 65 && raw[0] == 4,
            Algorithm::Es384 => raw.len() == 97 && raw[0] == 4,
            Algorithm::Ed25519 => raw.len() == 32,
        };
        if good {
            Ok(Self {
                algorithm,
                raw: raw.to_vec(),
            })
        } else {
            Err(KeyError::Malformed)
        }
    }

    /// The raw bytes.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The algorithm.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether `signature` is one of this key over `message`.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        let algorithm: &'static dyn signature::VerificationAlgorithm = match self.algorithm {
            Algorithm::Es256 => &ECDSA_P256_SHA256_FIXED,
            Algorithm::Es384 => &ECDSA_P384_SHA384_FIXED,
            Algorithm::Ed25519 => &ED25519,
        };
        UnparsedPublicKey::new(algorithm, &self.raw)
            .verify(message, signature)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_key_signs_its_public_half_verifies_and_nothing_else_does() {
        for algorithm in [Algorithm::Es256, Algorithm::Es384, Algorithm::Ed25519] {
            let key = SigningKey::generate(algorithm).unwrap();
            let again = SigningKey::from_pkcs8(algorithm, key.pkcs8()).unwrap();
            let signature = again.sign(b"message").unwrap();
            assert!(key.public().verify(b"message", &signature));
            assert!(!key.public().verify(b"messagE", &signature));
            assert!(!key.public().verify(b"message", &signature[..signature.len() - 1]));
            assert!(
                !SigningKey::generate(algorithm)
                    .unwrap()
                    .public()
                    .verify(b"message", &signature)
            );
        }
    }

    #[test]
    fn a_key_of_another_algorithm_is_refused() {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        for other in [Algorithm::Es384, Algorithm::Ed25519] {
            assert_eq!(
                SigningKey::from_pkcs8(other, key.pkcs8()).unwrap_err(),
                KeyError::Malformed
            );
            assert_eq!(PublicKey::from_raw(other, key.public().raw()), Err(KeyError::Malformed));
        }
    }
}
