//! The one crate that names a cryptographic library.
//!
//! Everything above asks for what it needs in the words of the design (hash, mac, sign, seal, certificates) and never
//! sees aws-lc-rs, hmac, sha2, rcgen or coset. A process calls [`init`] before anything else.
pub mod cose;
pub mod hash;
pub mod jws;
pub mod mac;
pub mod password;
pub mod pki;
pub mod seal;
pub mod sign;
pub mod tls;
pub mod totp;

use std::sync::OnceLock;

/// Why no cryptographic provider could be put in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a TLS provider was installed before exarch_common_crypto::init")]
pub struct InitError;

/// Installs aws-lc-rs as the provider of the whole process. Called first in every `main`, and in tests that use TLS;
/// calling it again is harmless.
///
/// # Errors
/// Somebody else installed a provider before: two providers in one process must not pass in silence.
pub fn init() -> Result<(), InitError> {
    static DONE: OnceLock<Result<(), InitError>> = OnceLock::new();
    *DONE.get_or_init(|| {
        rustls::crypto::aws_lc_rs::default_provider()
            .install_default()
            .map_err(|_| InitError)
    })
}
