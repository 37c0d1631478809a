//! Recovery codes: ten, shown once, stored as hashes.
use exarch_common_base::{Ambient, UserId};
use exarch_common_crypto::hash::sha256;
use serde::Serialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// How many a person gets.
pub const COUNT: usize = 10;
/// Characters of one without its dashes: 80 bits, so that a hash needs no salt and no work factor.
const CHARACTERS: usize = 16;
/// Without look-alikes.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// The codes, to be shown this once.
#[derive(Clone, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Vec<String>)]
pub struct RecoveryCodes(Vec<String>);

impl std::fmt::Debug for RecoveryCodes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RecoveryCodes")
    }
}

impl RecoveryCodes {
    /// Ten new ones.
    pub fn generate(ambient: &Ambient) -> Self {
        Self((0..COUNT).map(|_| one(ambient.bytes())).collect())
    }

    /// What is stored of them.
    pub fn hashes(&self, user: UserId) -> Vec<[u8; 32]> {
        self.0.iter().filter_map(|code| hash(user, code)).collect()
    }
}

/// In groups of four.
fn one(random: [u8; CHARACTERS]) -> String {
    let mut text = String::with_capacity(CHARACTERS + 3);
    for (at, byte) in random.iter().enumerate() {
        if at > 0 && at % 4 == 0 {
            text.push('-');
        }
        text.push(char::from(ALPHABET[usize::from(byte % 32)]));
    }
    text
}

/// The hash of a code as somebody typed it: any case, with or without dashes and spaces. Nothing for what can be none.
pub fn hash(user: UserId, typed: &str) -> Option<[u8; 32]> {
    let bare: Zeroizing<String> = Zeroizing::new(
        typed
            .chars()
            .filter(|c| !c.is_whitespace() && *c != '-')
            .map(|c| c.to_ascii_lowercase())
            .collect(),
    );
    let good = bare.len() == CHARACTERS && bare.bytes().all(|b| ALPHABET.contains(&b));
    good.then(|| sha256(format!("exarch recovery code {user} {}", *bare).as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use uuid::Uuid;

    fn user(n: u128) -> UserId {
        Uuid::from_u128(n).into()
    }

    #[test]
    fn there_are_ten_and_no_two_are_alike() {
        let (ambient, _) = Ambient::manual(time::macros::datetime!(2026-01-01 0:00 UTC), 3);
        let codes = RecoveryCodes::generate(&ambient);
        let hashes: BTreeSet<_> = codes.hashes(user(1)).into_iter().collect();
        assert_eq!(hashes.len(), COUNT);
        assert_eq!(format!("{codes:?}"), "RecoveryCodes");
        assert!(
            codes
                .0
                .iter()
                .all(|code| code.len() == 19 && code.split('-').count() == 4)
        );
    }

    #[test]
    fn a_code_is_one_persons() {
        let code = one([5; 16]);
        assert_ne!(hash(user(1), &code), hash(user(2), &code));
    }

    proptest! {
        #[test]
        fn however_a_code_is_typed_it_is_the_same(random in any::<[u8; 16]>()) {
            let code = one(random);
            let typed = code.to_uppercase().replace('-', " ");
            prop_assert!(hash(user(1), &code).is_some());
            prop_assert_eq!(hash(user(1), &code), hash(user(1), &format!(" {typed}\n")));
            prop_assert_eq!(hash(user(1), &code[1..]), None);
        }

        #[test]
        fn six_digits_are_never_a_recovery_code(digits in "[0-9]{6}") {
            prop_assert_eq!(hash(user(1), &digits), None);
        }
    }
}
