//! Time-based one-time codes (RFC 6238) as authenticator apps make them: HMAC-SHA-1, steps of 30 seconds, six digits.
use crate::mac;
use aws_lc_rs::hmac;
use data_encoding::{BASE32_NOPAD, DecodeError};
use exarch_common_base::{Ambient, ExposeSecret, SecretSlice, SecretString};
use zeroize::Zeroizing;

/// Seconds of one step.
pub const PERIOD: i64 = 30;
/// Digits of a code.
pub const DIGITS: usize = 6;
/// Steps before and after the present one whose codes are accepted: clocks differ, and typing takes its time.
pub const SKEW: i64 = 1;
/// Bytes of a new secret: as many as the hash has (RFC 4226, section 4).
const SECRET: usize = 20;

/// What a person's app and we share.
#[derive(Clone, Debug)]
pub struct Secret(SecretSlice<u8>);

impl Secret {
    /// A new one.
    pub fn generate(ambient: &Ambient) -> Self {
        Self(ambient.bytes::<SECRET>().to_vec().into())
    }

    /// From its bytes.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.to_vec().into())
    }

    /// From base32 (RFC 4648), as people type it: any case, spaces do not matter.
    ///
    /// # Errors
    /// Another text.
    pub fn from_base32(text: &str) -> Result<Self, DecodeError> {
        let bare: Zeroizing<String> = Zeroizing::new(text.chars().filter(|c| !c.is_whitespace()).collect());
        let bare = Zeroizing::new(bare.trim_end_matches('=').to_ascii_uppercase());
        Ok(Self(BASE32_NOPAD.decode(bare.as_bytes())?.into()))
    }

    /// In base32 without padding.
    pub fn to_base32(&self) -> SecretString {
        BASE32_NOPAD.encode(self.0.expose_secret()).into()
    }

    /// The bytes, to be sealed.
    pub fn expose(&self) -> &[u8] {
        self.0.expose_secret()
    }

    /// The code of a step.
    pub fn code(&self, step: i64) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, self.0.expose_secret());
        let tag = hmac::sign(&key, &step.to_be_bytes());
        let tag = tag.as_ref();
        // RFC 4226, section 5.3: the last four bits say where the number is
        let at = usize::from(tag[tag.len() - 1] & 0x0f);
        let number = u32::from_be_bytes([tag[at] & 0x7f, tag[at + 1], tag[at + 2], tag[at + 3]]);
        format!("{:0width$}", number % 10_u32.pow(DIGITS as u32), width = DIGITS)
    }

    /// The steps around `unix` seconds whose code this is: none for a wrong code, seldom more than one. All are compared, and
    /// each in constant time.
    pub fn steps_of(&self, code: &str, unix: i64) -> Vec<i64> {
        let now = step(unix);
        let right = |step: &i64| mac::equal(self.code(*step).as_bytes(), code.as_bytes());
        (now - SKEW..=now + SKEW).filter(right).collect()
    }
}

/// The step that `unix` seconds belong to.
pub fn step(unix: i64) -> i64 {
    unix.div_euclid(PERIOD)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rfc() -> Secret {
        Secret::from_bytes(b"12345678901234567890")
    }

    #[test]
    fn the_vectors_of_rfc_6238_come_out() {
        // appendix B, mode SHA1: the last six of the eight digits given there
        for (unix, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(rfc().code(step(unix)), code, "{unix}");
        }
    }

    #[test]
    fn base32_is_read_as_people_type_it() {
        let text = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
        assert_eq!(rfc().to_base32().expose_secret(), text);
        for typed in [text, "gezd gnbv gy3t qojq gezd gnbv gy3t qojq"] {
            assert_eq!(Secret::from_base32(typed).unwrap().expose(), rfc().expose());
        }
        assert!(Secret::from_base32("1nope").is_err());
    }

    #[test]
    fn a_code_is_good_one_step_before_and_after_and_no_further() {
        let at = 1_700_000_010;
        let code = rfc().code(step(at));
        for (seconds, good) in [(-31, false), (-30, true), (0, true), (59, true), (60, false)] {
            assert_eq!(rfc().steps_of(&code, at + seconds) == [step(at)], good, "{seconds}");
        }
    }

    #[test]
    fn nothing_but_the_six_digits_is_a_code() {
        let code = rfc().code(1);
        for text in ["", &code[1..], &format!("{code} "), &format!("0{code}")] {
            assert!(rfc().steps_of(text, PERIOD).is_empty(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_code_has_six_digits_and_is_found_at_its_step(secret in any::<[u8; 20]>(), unix in 0i64..100_000_000_000) {
            let secret = Secret::from_bytes(&secret);
            let code = secret.code(step(unix));
            prop_assert!(code.len() == DIGITS && code.bytes().all(|b| b.is_ascii_digit()));
            prop_assert!(secret.steps_of(&code, unix).contains(&step(unix)));
            let again = Secret::from_base32(secret.to_base32().expose_secret()).unwrap();
            prop_assert_eq!(again.expose(), secret.expose());
        }
    }
}
