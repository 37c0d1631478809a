//! Passwords: PBKDF2-HMAC-SHA-512 (RFC 8018) over HMAC-SHA-256(pepper, NFC(password)), stored as a PHC string.
use crate::mac;
use aws_lc_rs::pbkdf2;
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD as B64};
use exarch_common_base::{ExposeSecret, SecretSlice};
use std::num::NonZeroU32;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// Iterations of a new hash; stored hashes with fewer are renewed at the next sign-in.
pub const ITERATIONS: u32 = 210_000;
/// The longest password in characters; longer ones are refused before any hashing.
pub const MAX_CHARACTERS: usize = 256;

/// How many characters a password has, in the form in which it is hashed (NFC): the same on every keyboard.
pub fn characters(password: &str) -> usize {
    password.nfc().count()
}

/// What a check of a password found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The password is right.
    Right,
    /// The password is right, and the stored hash is weaker than a new one would be.
    RightButOutdated,
    /// The password is wrong, or the stored text is no hash that we made.
    Wrong,
}

/// Hashes and checks passwords with the pepper of this installation.
pub struct Hasher {
    pepper: SecretSlice<u8>,
    iterations: NonZeroU32,
}

impl Hasher {
    /// A hasher with today's parameters.
    pub fn new(pepper: SecretSlice<u8>) -> Self {
        Self::with_iterations(pepper, NonZeroU32::new(ITERATIONS).expect("not zero"))
    }

    /// A hasher with other parameters: tests hash a thousand passwords, people one.
    pub fn with_iterations(pepper: SecretSlice<u8>, iterations: NonZeroU32) -> Self {
        Self { pepper, iterations }
    }

    /// `$pbkdf2-sha512$i=…,l=64$salt$hash` of the password. Takes about 50 ms of one core: call it on a bounded pool.
    pub fn hash(&self, password: &str, salt: [u8; 16]) -> String {
        let out = self.derive(password, &salt, self.iterations);
        format!(
            "$pbkdf2-sha512$i={},l=64${}${}",
            self.iterations,
            B64.encode(salt),
            B64.encode(*out)
        )
    }

    /// Checks a password against a stored PHC string. With `None` (nobody of that name) the same work is done and the
    /// answer is [`Verdict::Wrong`], so that time does not tell who exists.
    pub fn verify(&self, stored: Option<&str>, password: &str) -> Verdict {
        let parsed = stored.and_then(parse);
        let (iterations, salt, expected) = parsed.unwrap_or((self.iterations, [0; 16], [0; 64]));
        let equal = mac::equal(&*self.derive(password, &salt, iterations), &expected);
        match (parsed.is_some() && equal, iterations < self.iterations) {
            (true, false) => Verdict::Right,
            (true, true) => Verdict::RightButOutdated,
            (false, _) => Verdict::Wrong,
        }
    }

    fn derive(&self, password: &str, salt: &[u8; 16], iterations: NonZeroU32) -> Zeroizing<[u8; 64]> {
        let normal: Zeroizing<String> = Zeroizing::new(password.nfc().collect());
        let peppered = Zeroizing::new(mac::hmac_sha256(self.pepper.expose_secret(), normal.as_bytes()));
        let mut out = Zeroizing::new([0; 64]);
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA512, iterations, salt, &*peppered, &mut *out);
        out
    }
}

fn parse(stored: &str) -> Option<(NonZeroU32, [u8; 16], [u8; 64])> {
    let mut fields = stored.strip_prefix("$pbkdf2-sha512$i=")?.split('$');
    let iterations = fields.next()?.strip_suffix(",l=64")?.parse().ok()?;
    let salt = B64.decode(fields.next()?).ok()?.try_into().ok()?;
    let hash = B64.decode(fields.next()?).ok()?.try_into().ok()?;
    fields.next().is_none().then_some((iterations, salt, hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hasher(pepper: &[u8], iterations: u32) -> Hasher {
        Hasher::with_iterations(pepper.to_vec().into(), NonZeroU32::new(iterations).unwrap())
    }

    #[test]
    fn only_the_right_password_under_the_right_pepper_passes() {
        let ours = hasher(b"pepper", 10);
        let stored = ours.hash("correct horse battery", [7; 16]);
        assert_eq!(ours.verify(Some(&stored), "correct horse battery"), Verdict::Right);
        assert_eq!(ours.verify(Some(&stored), "correct horse batter"), Verdict::Wrong);
        assert_eq!(ours.verify(Some(&stored), " correct horse battery"), Verdict::Wrong);
        assert_eq!(
            hasher(b"other", 10).verify(Some(&stored), "correct horse battery"),
            Verdict::Wrong
        );
        assert_eq!(ours.verify(None, "correct horse battery"), Verdict::Wrong);
    }

    #[test]
    fn two_spellings_of_one_character_are_one_password() {
        let ours = hasher(b"p", 10);
        let stored = ours.hash("caf\u{e9} caf\u{e9} caf\u{e9}", [1; 16]);
        assert_eq!(
            ours.verify(Some(&stored), "cafe\u{301} cafe\u{301} cafe\u{301}"),
            Verdict::Right
        );
    }

    #[test]
    fn a_hash_with_fewer_iterations_is_right_but_outdated() {
        let stored = hasher(b"p", 10).hash("x", [1; 16]);
        assert_eq!(hasher(b"p", 11).verify(Some(&stored), "x"), Verdict::RightButOutdated);
    }

    #[test]
    fn a_damaged_record_is_wrong_and_never_a_panic() {
        let ours = hasher(b"p", 10);
        let stored = ours.hash("x", [1; 16]);
        for cut in 0..stored.len() {
            assert_eq!(ours.verify(Some(&stored[..cut]), "x"), Verdict::Wrong);
        }
        assert_eq!(ours.verify(Some("$pbkdf2-sha512$i=0,l=64$$"), "x"), Verdict::Wrong);
    }
}
